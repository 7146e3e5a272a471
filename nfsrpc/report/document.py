"""The report at length, as blocks that know nothing of markup: markdown.py and html.py say how each looks.

The verdict first, with its proof and its cure, then everything else; unlike the report for a terminal it leaves nothing
out. Text is as captures have it: who renders it makes it harmless.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import NamedTuple, TypeAlias

from nfsrpc.report.contents import Report, nfsrpc_version, unknowns
from nfsrpc.report.words import by_program, clock, described, in_force, lacks, program_row, span, whose
from nfsrpc.rules.command import Command
from nfsrpc.rules.finding import Finding, Need


class Title(NamedTuple):
    state: str  # of the verdict
    rule: str  # what leads, if something does


class Lead(NamedTuple):
    """The one sentence that everybody is to read."""

    text: str


class Heading(NamedTuple):
    text: str


class Paragraph(NamedTuple):
    text: str


class Listing(NamedTuple):
    """Items, each with what is below it."""

    items: Sequence[tuple[str, Sequence[str]]]


class Grid(NamedTuple):
    head: Sequence[str]
    rows: Sequence[Sequence[str]]


class Commands(NamedTuple):
    """To be copied."""

    lines: Sequence[Command]


Block: TypeAlias = Title | Lead | Heading | Paragraph | Listing | Grid | Commands

STATES = {"fault": "Fault", "healthy": "Healthy", "cannot-tell": "Cannot tell"}


def blocks(report: Report) -> Iterator[Block]:
    verdict, leading = report.diagnosis.verdict, report.leading
    yield Title(verdict.state, f"{leading.rule} {leading.name} ({leading.certainty})" if leading else "")
    yield Lead(verdict.summary)
    if leading:
        yield from _finding(report, leading)
    yield from _causes(report)
    yield from _expected(report)
    yield from _logs(report)
    yield from _others(report)
    yield from _clear(report)
    yield from _unknown(report)
    yield from _settings(report)
    yield from _skipped(report)
    yield from _captures(report)
    yield Paragraph(f"nfsrpc {nfsrpc_version()}")


def _finding(report: Report, finding: Finding) -> Iterator[Block]:
    yield Paragraph(finding.explanation)
    facts = (
        ("Host to fix", finding.host),
        ("Clients", ", ".join(finding.clients)),
        ("Files", ", ".join(finding.files)),
        ("When", span(finding.first, finding.last) if finding.first is not None else ""),
    )
    yield _plain(f"{name}: {value}" for name, value in facts if value)
    if finding.evidence:
        yield Heading("Proof" if finding.certainty == "certain" else "Signs")
        rows = [(report.file(proof.capture), str(proof.frame), proof.note) for proof in finding.evidence]
        yield Grid(("capture", "frame", "what it shows"), rows)
    if finding.needs:
        yield Heading("To be sure")
        yield from _need(finding.needs)
    if finding.remedy:
        yield Heading(f"Fix, on {finding.host}" if finding.host else "Fix")
        yield Commands(finding.remedy)
    if finding.verify:
        yield Heading("Verify")
        yield Commands(finding.verify)


def _causes(report: Report) -> Iterator[Block]:
    causes = report.diagnosis.hypotheses
    if causes:
        yield Heading("Causes that fit, most probable first")
        rows = [(f"{c.rule} {c.name}", c.host or "", c.supports, c.against) for c in causes]
        yield Grid(("cause", "host", "for", "against"), rows)


def _expected(report: Report) -> Iterator[Block]:
    if report.unseen:
        yield Heading("Not found in the kernel logs" if report.logs else "To expect in kernel logs")
        yield Grid(("about", "on", "line"), [(clock(line.time), line.host, line.text) for line in report.unseen])


def _logs(report: Report) -> Iterator[Block]:
    for log in report.logs:
        yield Heading(f"Kernel log {log.file}")
        yield Paragraph(f"Clock: {log.clock}.")
        rows = [(clock(line.time) if line.time else "", line.text, whose(line)) for line in log.lines]
        yield Grid(("time", "line", "explanation"), rows)


def _others(report: Report) -> Iterator[Block]:
    if report.others:
        explained = set(report.leading.explains) if report.leading else set()
        yield Heading("Also found")
        rows = [
            (
                finding.severity,
                f"{finding.rule} {finding.name}" + (", explained by the above" if finding.rule in explained else ""),
                finding.host or "",
                finding.title,
                ", ".join(str(proof.frame) for proof in finding.evidence),
            )
            for finding in report.others
        ]
        yield Grid(("severity", "rule", "host", "what", "frames"), rows)


def _clear(report: Report) -> Iterator[Block]:
    clear = report.diagnosis.clear
    if report.diagnosis.verdict.state == "healthy" and clear:
        yield Heading("Checked")
        yield Grid(("rule", "evidence"), [(answer.rule, answer.evidence) for answer in clear])


def _unknown(report: Report) -> Iterator[Block]:
    if report.diagnosis.cannot_tell or report.diagnosis.broken:
        yield Heading("Could not be told")
    for unknown in unknowns(report.diagnosis.cannot_tell):
        yield _plain(f"{', '.join(rules)}: {why}" for why, rules in unknown.reasons)
        for need in unknown.needs:
            yield from _need(need)
    yield _plain(f"{rule.rule} failed, which is a bug of nfsrpc: {rule.error}" for rule in report.diagnosis.broken)


def _settings(report: Report) -> Iterator[Block]:
    if settings := in_force(report.diagnosis.settings):
        yield Heading("Settings in force")
        yield _plain(iter(settings))


def _skipped(report: Report) -> Iterator[Block]:
    if report.skipped:
        yield Heading("Skipped")
        yield _plain(map(str, report.skipped))


def _captures(report: Report) -> Iterator[Block]:
    yield Heading("Captures and traffic")
    yield Listing(
        [
            (f"{report.file(number)}: {described(capture)}", lacks(capture))
            for number, capture in enumerate(report.captures)
        ]
    )
    if report.programs:
        rows = [program_row(name, list(group)) for name, group in by_program(report.programs)]
        yield Grid(("program", "calls", "unanswered", "resent", "errors", "slowest answer"), rows)


def _need(need: Need) -> Iterator[Block]:
    yield Paragraph(f"Capture the {need.vantage}:")
    yield Commands([need.command])


def _plain(items: Iterator[str]) -> Listing:
    return Listing([(item, ()) for item in items])
