"""What findings and verdicts show of themselves, as text and in a notebook: whom to fix, with what proof, and how."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from textwrap import wrap
from typing import TYPE_CHECKING

from nfsrpc.markup import badge, bold, cell, code, heading, listing, paragraph, table, text
from nfsrpc.printable import clean
from nfsrpc.rules.bounds import PAGE, SCREEN, clipped, ends_of, first_of, omitted, shortened
from nfsrpc.rules.wording import clock

if TYPE_CHECKING:
    from nfsrpc.rules.finding import Diagnosis, Finding, Verdict

WIDTH = 100
PROOFS = 12  # of more frames the first ones and the last are shown
CHARACTERS = SCREEN.characters


def proofs(finding: Finding) -> list[tuple[str, str]]:
    """Frames by their numbers, with what they prove; with the number of its file where the proof stands in several."""
    several = len({proof.capture for proof in finding.evidence}) > 1
    first, more, last = ends_of(finding.evidence, PROOFS)
    rows = [
        (f"{frame} of capture {capture}" if several else str(frame), clipped(note, CHARACTERS))
        for capture, frame, note in (*first, *last)
    ]
    return [*rows[: len(first)], *([("…", f"{more} more")] if more else []), *rows[len(first) :]]


def names(all_names: Sequence[str]) -> str:
    shown, more = first_of(all_names, PAGE.names)
    return clipped(", ".join(shown), CHARACTERS) + (f" and {more} more" if more else "")


def facts(finding: Finding) -> list[tuple[str, str]]:
    when = f"{clock(finding.first)} to {clock(finding.last)}" if finding.first != finding.last else clock(finding.first)
    known = {
        "host to fix": finding.host or "",
        "clients": names(finding.clients),
        "files": names(finding.files),
        "when": when if finding.first is not None else "",
        "explains": ", ".join(finding.explains),
    }
    return [(name, value) for name, value in known.items() if value]


def finding_text(finding: Finding) -> str:
    """All of it may be pasted into a shell: what is no command is a comment."""
    prose = (f"# {clean(line)}" for line in lines(finding))
    remedy, more = first_of(finding.remedy, PAGE.commands)
    return "\n".join((*prose, *map(str, remedy), *([f"# and {more} more"] if more else ())))


def lines(finding: Finding) -> Iterator[str]:
    yield f"{finding.severity.upper()} {finding.rule} {finding.name}, {finding.certainty}"
    yield from wrap(clipped(finding.title, CHARACTERS), WIDTH)
    yield from wrap(clipped(finding.explanation, CHARACTERS), WIDTH, initial_indent="  ", subsequent_indent="  ")
    yield from (f"  {name}: {value}" for name, value in facts(finding))
    yield from (f"  frame {number}: {note}" for number, note in proofs(finding))


def finding_html(finding: Finding) -> str:
    need = finding.needs
    return cell(
        heading(badge(finding.severity), bold(f"{finding.rule} {finding.name}"), text(finding.certainty)),
        heading(bold(clipped(finding.title, CHARACTERS))),
        paragraph(clipped(finding.explanation, CHARACTERS)),
        table((), facts(finding)),
        table(("frame", "shows"), proofs(finding)),
        *((heading(bold("Fix")), code(finding.remedy[: PAGE.commands])) if finding.remedy else ()),
        *((heading(bold("Verify")), code(finding.verify)) if finding.verify else ()),
        *((heading(bold(f"Be sure: capture the {need.vantage}")), code([need.command])) if need else ()),
    )


def verdict_html(verdict: Verdict) -> str:
    return cell(
        heading(badge(verdict.state), bold(verdict.rule or "")), heading(bold(clipped(verdict.summary, CHARACTERS)))
    )


def diagnosis_html(diagnosis: Diagnosis) -> str:
    failed = [f"{rule.rule} failed, which is a bug of nfsrpc: {rule.error}" for rule in diagnosis.broken]
    broken = cell(listing(failed)) if failed else ""
    return verdict_html(diagnosis.verdict) + findings_html(diagnosis.findings) + broken


def findings_html(findings: Sequence[Finding]) -> str:
    """A line each: of each rule the first ones."""
    shown = [finding for finding, _ in shortened(findings, SCREEN)]
    rows = [
        (
            badge(finding.severity),
            bold(finding.rule),
            text(finding.host or ""),
            text(clipped(finding.title, CHARACTERS)),
        )
        for finding in shown
    ]
    left_out = omitted(findings, shown)
    more = paragraph(f"and {', '.join(left_out)}") if left_out else ""
    return cell(table(("", "rule", "host to fix", "finding"), rows, pieces=True), more)
