"""What findings and verdicts show of themselves, as text and in a notebook: whom to fix, with what proof, and how."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from textwrap import wrap
from typing import TYPE_CHECKING

from nfsrpc.markup import badge, bold, cell, code, heading, listing, paragraph, table, text
from nfsrpc.printable import clean
from nfsrpc.rules.wording import clock

if TYPE_CHECKING:
    from nfsrpc.rules.finding import Diagnosis, Finding, Verdict

WIDTH = 100
PROOFS = 12  # of more frames the first ones and the last are shown


def frame(finding: Finding, capture: int, number: int) -> str:
    """A frame by its number; with that of its file where the proof stands in several."""
    several = len({proof.capture for proof in finding.evidence}) > 1
    return f"{number} of capture {capture}" if several else str(number)


def proofs(finding: Finding) -> list[tuple[str, str]]:
    """Frames with what they prove."""
    all_of_them = [(frame(finding, proof.capture, proof.frame), proof.note) for proof in finding.evidence]
    if len(all_of_them) <= PROOFS:
        return all_of_them
    return [*all_of_them[: PROOFS - 2], ("…", f"{len(all_of_them) - PROOFS + 1} more"), all_of_them[-1]]


def facts(finding: Finding) -> list[tuple[str, str]]:
    when = f"{clock(finding.first)} to {clock(finding.last)}" if finding.first != finding.last else clock(finding.first)
    known = {
        "host to fix": finding.host or "",
        "clients": ", ".join(finding.clients),
        "files": ", ".join(finding.files),
        "when": when if finding.first is not None else "",
        "explains": ", ".join(finding.explains),
    }
    return [(name, value) for name, value in known.items() if value]


def finding_text(finding: Finding) -> str:
    """All of it may be pasted into a shell: what is no command is a comment."""
    prose = (f"# {clean(line)}" for line in lines(finding))
    return "\n".join((*prose, *map(str, finding.remedy)))


def lines(finding: Finding) -> Iterator[str]:
    yield f"{finding.severity.upper()} {finding.rule} {finding.name}, {finding.certainty}"
    yield from wrap(finding.title, WIDTH)
    yield from wrap(finding.explanation, WIDTH, initial_indent="  ", subsequent_indent="  ")
    yield from (f"  {name}: {value}" for name, value in facts(finding))
    yield from (f"  frame {number}: {note}" for number, note in proofs(finding))


def finding_html(finding: Finding) -> str:
    need = finding.needs
    return cell(
        heading(badge(finding.severity), bold(f"{finding.rule} {finding.name}"), text(finding.certainty)),
        heading(bold(finding.title)),
        paragraph(finding.explanation),
        table((), facts(finding)),
        table(("frame", "shows"), proofs(finding)),
        *((heading(bold("Fix")), code(finding.remedy)) if finding.remedy else ()),
        *((heading(bold("Verify")), code(finding.verify)) if finding.verify else ()),
        *((heading(bold(f"Be sure: capture the {need.vantage}")), code([need.command])) if need else ()),
    )


def verdict_html(verdict: Verdict) -> str:
    return cell(heading(badge(verdict.state), bold(verdict.rule or "")), heading(bold(verdict.summary)))


def diagnosis_html(diagnosis: Diagnosis) -> str:
    failed = [f"{rule.rule} failed, which is a bug of nfsrpc: {rule.error}" for rule in diagnosis.broken]
    broken = cell(listing(failed)) if failed else ""
    return verdict_html(diagnosis.verdict) + findings_html(diagnosis.findings) + broken


def findings_html(findings: Iterable[Finding]) -> str:
    """A line each."""
    rows = [
        (badge(finding.severity), bold(finding.rule), text(finding.host or ""), text(finding.title))
        for finding in findings
    ]
    return cell(table(("", "rule", "host to fix", "finding"), rows, pieces=True))
