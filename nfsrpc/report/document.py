"""The report at length, as blocks without markup: markdown.py and html.py say how each looks.

The verdict first, each of its faults with proof and remedy, then everything else, at greater length than for a terminal
(findings/bounds.py). Text is as captures have it: who renders it makes it harmless.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from itertools import chain
from typing import NamedTuple, TypeAlias

from nfsrpc.findings.bounds import PAGE, SCREEN, clipped, ends_of, first_of, omitted, shortened
from nfsrpc.findings.command import Command
from nfsrpc.findings.finding import Finding, Need
from nfsrpc.report.captures import busiest, described, in_force, lacks, program_row, whose
from nfsrpc.report.contents import Fault, Report, nfsrpc_version
from nfsrpc.report.host_names import OWNER_MEANS
from nfsrpc.report.needs import HEALTHY_SO_FAR, unknowns
from nfsrpc.report.proof import display_filters
from nfsrpc.wording import count, date_time, digits, named, span, time_zone, times_of_day


class Title(NamedTuple):
    state: str  # of the verdict
    rule: str  # of one fault its rule, of several how many there are


class Lead(NamedTuple):
    """The one sentence that every reader needs."""

    text: str


class Heading(NamedTuple):
    text: str
    level: int = 1  # 2 for a part of one of several faults
    fault: int = 0  # the number of the fault that begins here


class Paragraph(NamedTuple):
    text: str


class Listing(NamedTuple):
    """Items, each with what is below it."""

    items: Sequence[tuple[str, Sequence[str]]]


class Grid(NamedTuple):
    head: Sequence[str]
    rows: Sequence[Sequence[str]]
    frames: Sequence[tuple[int, int]] = ()  # of each row: capture and frame, in its column `file:frame`
    faults: Sequence[int] = ()  # of each row: the number of the fault, in its column `cause`; 0 where it has none


class Commands(NamedTuple):
    """Commands to be copied into a shell."""

    lines: Sequence[Command]


class Filters(NamedTuple):
    """Display filters to be copied into Wireshark, one per file."""

    filters: Sequence[tuple[str, str]]


class Pictures(NamedTuple):
    """The place of pictures, where the medium has some."""


Block: TypeAlias = Title | Lead | Heading | Paragraph | Listing | Grid | Commands | Filters | Pictures

FRAME, CAUSE = "file:frame", "cause"  # heads of columns
STATES = {"fault": "Fault", "healthy": "Healthy", "cannot-tell": "Cannot tell"}


def blocks(report: Report) -> Iterator[Block]:
    verdict, faults = report.diagnosis.verdict, report.faults
    yield Title(verdict.state, _ruled(faults[0].finding) if len(faults) == 1 else _number(faults))
    yield Lead(clipped(verdict.summary, PAGE.characters))
    yield from _fleet(report)
    if first := report.first_capture:
        yield Paragraph(f"Capture {first.where}:")
        yield Commands([first.command])
    shown, more = first_of(faults, PAGE.causes)
    for number, fault in enumerate(shown, 1):
        if len(faults) > 1:
            yield Heading(f"Fault {number} of {len(faults)}: {_ruled(fault.finding)}", fault=number)
            yield Paragraph(clipped(fault.summary, PAGE.characters))
        parts = (
            _finding(report, fault.finding),
            _hypotheses(report, fault.finding),
            _table(report, "Explains", fault.effects),
        )
        for block in chain(*parts):
            yield block._replace(level=2) if len(faults) > 1 and isinstance(block, Heading) else block
    if more:
        yield from _table(report, "Further faults", [fault.finding for fault in faults[len(shown) :]])
    yield Pictures()
    if report.has_owners:
        yield Paragraph(f"Owners are {OWNER_MEANS}.")
    yield from _expected(report)
    yield from _logs(report)
    yield from _table(report, "Also found", report.others)
    yield from _clear(report)
    yield from _unknown(report)
    yield from _settings(report)
    yield from _skipped(report)
    yield from _nodes(report)
    yield from _captures(report)
    yield Paragraph(f"nfsrpc {nfsrpc_version()}")


def _fleet(report: Report) -> Iterator[Block]:
    """What a report on a fleet leads with."""
    overview = report.fleet
    if not overview:
        return
    if overview.hosts_to_fix:
        shown, more = first_of(overview.hosts_to_fix, PAGE.causes)
        yield Heading("Hosts to fix")
        rows = [
            (report.located(row.finding), row.cause, row.certainty, row.number, row.wait, named(row.clients))
            for row in shown
        ]
        numbers = {fault.finding.id: number for number, fault in enumerate(report.faults[: PAGE.causes], 1)}
        faults = [numbers.get(row.finding.id, 0) if len(report.faults) > 1 else 0 for row in shown]
        yield Grid(("host", CAUSE, "certainty", "clients", "longest wait", "affected"), rows, faults=faults)
        yield from _more(more, "more row")
    yield Heading("What the nodes show")
    yield _plain(f"{label}: {sentence}" for label, sentence in overview.notes)
    if overview.unknown:
        unknown, more = first_of(overview.unknown, PAGE.unknown)
        yield Heading("What nodes cannot tell")
        yield _plain(clipped(str(each), PAGE.characters) for each in unknown)
        yield from _more(more, "more reason")
    if overview.one_more:
        yield Heading("One more capture")
        yield Paragraph(str(overview.one_more))
        yield Commands([overview.one_more.need.command])


def _nodes(report: Report) -> Iterator[Block]:
    if report.fleet:
        nodes, more = first_of(report.fleet.nodes, PAGE.captures)
        yield Heading("Nodes by themselves")
        rows = [
            (node.name, digits(node.files), STATES[node.state], clipped(node.summary, PAGE.characters))
            for node in nodes
        ]
        yield Grid(("node", "files", "verdict", "what its captures say"), rows)
        yield from _more(more, "more node")


def _finding(report: Report, finding: Finding) -> Iterator[Block]:
    yield Paragraph(clipped(finding.explanation, PAGE.characters))
    facts = (
        ("Host to fix", report.located(finding)),
        ("Clients", _hosts(report, finding.clients)),
        ("Files", _names(finding.files)),
        ("When", span(finding.first, finding.last) if finding.first is not None else ""),
    )
    yield _plain(f"{name}: {value}" for name, value in facts if value)
    if finding.evidence:
        yield Heading("Proof" if finding.certainty == "certain" else "Signs")
        files = report.file_names()
        first, more, last = ends_of(finding.evidence, PAGE.frames)
        ends = (*first, *last)
        times = times_of_day([proof.time for proof in ends])
        rows = [
            (time.strip(), f"{files[proof.capture]}:{proof.frame}", clipped(proof.note, PAGE.characters))
            for proof, time in zip(ends, times, strict=True)
        ]
        places = [(proof.capture, proof.frame) for proof in ends]
        yield Grid((f"time, {time_zone(finding.first)}", FRAME, "what it shows"), rows, places)
        yield from _more(more, "more frame", "before the last one")
        filters, _ = first_of(display_filters(ends), SCREEN.captures)
        yield Filters([(files[capture], expression) for capture, expression in filters])
    if finding.needs and finding.certainty != "certain":
        yield Heading("To be sure")
        yield from _need(finding.needs)
    yield from _commands(f"Fix, on {report.located(finding)}" if finding.host else "Fix", finding.remedy)
    yield from _commands("Verify", finding.verify)


def _commands(heading: str, commands: Sequence[Command]) -> Iterator[Block]:
    if commands:
        shown, more = first_of(commands, PAGE.commands)
        yield Heading(heading)
        yield Commands(shown)
        yield from _more(more, "more line")


def _hypotheses(report: Report, finding: Finding) -> Iterator[Block]:
    causes = [cause for cause in report.diagnosis.hypotheses if cause.finding == finding.id]
    if causes:
        yield Heading("Causes that fit, most probable first")
        rows = [(f"{c.rule} {c.name}", report.host(c.host or ""), c.supports, c.against) for c in causes]
        yield Grid(("cause", "host", "for", "against"), rows)


def _expected(report: Report) -> Iterator[Block]:
    if report.unseen:
        yield Heading("Not found in the kernel logs" if report.logs else "To expect in kernel logs")
        lines, more = first_of(report.unseen, PAGE.expected)
        yield Grid(
            ("about", "on", "line"), [(date_time(line.time), report.host(line.host), line.text) for line in lines]
        )
        yield from _more(more, "more line")


def _logs(report: Report) -> Iterator[Block]:
    for log in report.logs:
        yield Heading(f"Kernel log {log.file}")
        yield Paragraph(f"Clock: {log.clock}.")
        lines = log.lines[-PAGE.lines :]
        rows = [(date_time(line.time) if line.time else "", line.text, whose(line)) for line in lines]
        yield Grid(("time", "line", "explanation"), rows)
        yield from _more(len(log.lines) - len(lines), "more line", "before")


def _table(report: Report, heading: str, findings: Sequence[Finding]) -> Iterator[Block]:
    """A table of findings, one line each: of each rule the first ones."""
    if findings:
        shown = [finding for finding, _ in shortened(findings, PAGE)]
        yield Heading(heading)
        rows = [
            (
                finding.severity,
                f"{finding.rule} {finding.name}",
                report.located(finding),
                clipped(finding.title, PAGE.characters),
                _names([str(proof.frame) for proof in finding.evidence[: PAGE.frames + 1]]),
            )
            for finding in shown
        ]
        yield Grid(("severity", "rule", "host", "what", "frames"), rows)
        left_out = omitted(findings, shown)
        if left_out:
            yield Paragraph(f"And {', '.join(left_out)} (--format json).")


def _clear(report: Report) -> Iterator[Block]:
    clear = report.diagnosis.clear
    if report.diagnosis.verdict.state == "healthy" and clear:
        yield Heading("Passed")
        yield Grid(("rule", "evidence"), [(answer.rule, answer.evidence) for answer in clear])


def _unknown(report: Report) -> Iterator[Block]:
    if report.diagnosis.cannot_tell or report.diagnosis.broken:
        yield Heading("Unknown")
    room, more = PAGE.unknown, 0
    if report.diagnosis.verdict.state == "healthy" and report.diagnosis.cannot_tell:
        yield _plain(iter([HEALTHY_SO_FAR]))
    for unknown in unknowns(report.diagnosis.cannot_tell):
        reasons, left = first_of(unknown.reasons, room)
        needs, _ = first_of(unknown.needs, room)
        room, more = max(room - len(reasons) - len(needs), 0), more + left
        shown_by = f"; shown by: {', '.join(need.vantage for need in needs)}" if needs else ""
        yield _plain(clipped(f"{', '.join(rules)}: {why}{shown_by}", PAGE.characters) for why, rules in reasons)
    yield from _more(more, "more reason")
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
    captures, more = first_of(report.captures, PAGE.captures)
    files = report.file_names()
    named = zip(files, captures, strict=False)
    yield Listing([(f"{file}: {described(capture)}", lacks(capture)) for file, capture in named])
    yield from _more(more, "more file")
    if report.programs:
        programs, more = busiest(report.programs, PAGE.programs)
        rows = [program_row(name, group) for name, group in programs]
        yield Grid(("program", "calls", "unanswered", "resent", "errors", "slowest answer"), rows)
        yield from _more(more, "more program", "with fewer calls")


def _ruled(finding: Finding) -> str:
    return f"{finding.rule} {finding.name} ({finding.certainty})"


def _number(faults: Sequence[Fault]) -> str:
    return count(len(faults), "fault") if faults else ""


def _need(need: Need) -> Iterator[Block]:
    yield Paragraph(f"Capture the {need.vantage}:")
    yield Commands([need.command])


def _plain(items: Iterator[str]) -> Listing:
    return Listing([(item, ()) for item in items])


def _names(names: Sequence[str]) -> str:
    shown, more = first_of(names, PAGE.names)
    return ", ".join(shown) + (f" and {digits(more)} more" if more else "")


def _hosts(report: Report, addresses: Sequence[str]) -> str:
    shown, _ = first_of(addresses, PAGE.names)
    return _names([*report.hosts(shown), *addresses[len(shown) :]])


def _more(number: int, noun: str, where: str = "") -> Iterator[Block]:
    """A paragraph with the number of things that a page has no room for."""
    if number:
        yield Paragraph(f"And {count(number, noun)}{where and f' {where}'} (--format json).")
