"""How findings and verdicts are shown as text and in a notebook: the host to fix, the proof, the remedy.

A finding inherits it (`ShownFinding`), so that this file needs to import nothing of what it shows.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from textwrap import wrap
from typing import Any, Protocol

from nfsrpc.findings.bounds import PAGE, SCREEN, clipped, ends_of, first_of, omitted, shortened
from nfsrpc.findings.command import Command
from nfsrpc.markup import badge, bold, cell, code, heading, listing, paragraph, table, text
from nfsrpc.printable import clean
from nfsrpc.wording import clock_time

WIDTH = 100
PROOFS = 12  # of more frames the first ones and the last are shown
CHARACTERS = SCREEN.characters


class Missing(Protocol):
    """A vantage that is missing, and the command that captures it."""

    @property
    def vantage(self) -> str: ...

    @property
    def command(self) -> Command: ...


class Proof(Protocol):
    """A frame, and what it proves."""

    @property
    def capture(self) -> int: ...

    @property
    def frame(self) -> int: ...

    @property
    def note(self) -> str: ...


class ShownFinding:
    """The fields of a finding that are shown, and how it shows them."""

    rule: str
    name: str
    severity: str
    certainty: str
    host: str | None
    host_capture: str | None
    title: str
    explanation: str
    clients: tuple[str, ...]
    files: tuple[str, ...]
    first: int | None
    last: int | None
    evidence: Sequence[Proof]
    remedy: tuple[Command, ...]
    verify: tuple[Command, ...]
    explains: tuple[str, ...]
    needs: Missing | None

    def __str__(self) -> str:
        return finding_text(self)

    def _repr_pretty_(self, printer: Any, _cycle: bool) -> None:
        printer.text(str(self))

    def _repr_html_(self) -> str:
        return finding_html(self)


def proofs(finding: ShownFinding) -> list[tuple[str, str]]:
    """The frames of evidence, each with what it proves; with its file's number where several files have some."""
    several = len({proof.capture for proof in finding.evidence}) > 1
    first, more, last = ends_of(finding.evidence, PROOFS)
    rows = [
        (f"{proof.frame} of capture {proof.capture}" if several else str(proof.frame), clipped(proof.note, CHARACTERS))
        for proof in (*first, *last)
    ]
    return [*rows[: len(first)], *([("…", f"{more} more")] if more else []), *rows[len(first) :]]


def names(all_names: Sequence[str]) -> str:
    shown, more = first_of(all_names, PAGE.names)
    return clipped(", ".join(shown), CHARACTERS) + (f" and {more} more" if more else "")


def located(finding: ShownFinding) -> str:
    """The host to fix; a loopback address with its capture."""
    return f"{finding.host} ({finding.host_capture})" if finding.host_capture else finding.host or ""


def facts(finding: ShownFinding) -> list[tuple[str, str]]:
    first, last = clock_time(finding.first), clock_time(finding.last)
    when = first if finding.first == finding.last else f"{first} to {last}"
    known = {
        "host to fix": located(finding),
        "clients": names(finding.clients),
        "files": names(finding.files),
        "when": when if finding.first is not None else "",
        "explains": names(finding.explains),
    }
    return [(name, value) for name, value in known.items() if value]


def finding_text(finding: ShownFinding) -> str:
    """A finding as text that may be pasted into a shell: what is no command is a comment."""
    prose = (f"# {clean(line)}" for line in lines(finding))
    remedy, more = first_of(finding.remedy, PAGE.commands)
    return "\n".join((*prose, *map(str, remedy), *([f"# and {more} more"] if more else ())))


def lines(finding: ShownFinding) -> Iterator[str]:
    yield f"{finding.severity.upper()} {finding.rule} {finding.name}, {finding.certainty}"
    yield from wrap(clipped(finding.title, CHARACTERS), WIDTH)
    yield from wrap(clipped(finding.explanation, CHARACTERS), WIDTH, initial_indent="  ", subsequent_indent="  ")
    yield from (f"  {name}: {value}" for name, value in facts(finding))
    yield from (f"  frame {number}: {note}" for number, note in proofs(finding))


def finding_html(finding: ShownFinding) -> str:
    need = finding.needs if finding.certainty != "certain" else None
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


def verdict_html(state: str, rule: str | None, summary: str, causes: Sequence[str] = ()) -> str:
    """The verdict; of several causes each in one sentence below it."""
    shown, more = first_of(causes, SCREEN.others)
    sentences = [clipped(cause, CHARACTERS) for cause in shown] + ([f"and {more} more"] if more else [])
    return cell(
        heading(badge(state), bold(rule or "")),
        heading(bold(clipped(summary, CHARACTERS))),
        *([listing(sentences)] if len(causes) > 1 else ()),
    )


def failures_html(rules: Sequence[tuple[str, str]]) -> str:
    """Rules that failed, each with its error."""
    failed = [f"{rule} failed, which is a bug of nfsrpc: {error}" for rule, error in rules]
    return cell(listing(failed)) if failed else ""


def findings_html(findings: Sequence[ShownFinding]) -> str:
    """A table of findings, one line each; of each rule the first ones."""
    shown = [finding for finding, _ in shortened(findings, SCREEN)]
    rows = [
        (
            badge(finding.severity),
            bold(finding.rule),
            text(located(finding)),
            text(clipped(finding.title, CHARACTERS)),
        )
        for finding in shown
    ]
    left_out = omitted(findings, shown)
    more = paragraph(f"and {', '.join(left_out)}") if left_out else ""
    return cell(table(("", "rule", "host to fix", "finding"), rows, pieces=True), more)
