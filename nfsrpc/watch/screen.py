"""The screen of `live` on a terminal: verdict, waiting requests, findings, registrations, traffic, health of capture.

Pure functions: from a look and the health of the capture to something that rich renders.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from typing import NamedTuple

from rich.console import Console, ConsoleOptions, Group, RenderableType, RenderResult
from rich.padding import Padding
from rich.segment import Segment
from rich.table import Table as Grid
from rich.text import Text

from nfsrpc.findings.finding import Finding
from nfsrpc.printable import clean
from nfsrpc.protocols.numbers import Prog
from nfsrpc.report.captures import busiest
from nfsrpc.report.contents import ProcedureTraffic, procedures_of
from nfsrpc.tables import Registrations
from nfsrpc.watch.changes import LockWait
from nfsrpc.watch.schedule import Health, Look
from nfsrpc.wording import count, date_time, digits, duration, size

BADGES = {
    "fault": (" FAULT ", "bold white on red3"),
    "healthy": (" HEALTHY ", "bold white on green4"),
    "cannot-tell": (" CANNOT TELL ", "bold black on gold3"),
}
SEVERITIES = {"error": "bold red1", "warning": "bold dark_orange3", "info": "bold deep_sky_blue3"}
# Programs that a lock server needs, with their names in /etc/rpc.
SERVICES: dict[int, str] = {Prog.NFS: "nfs", Prog.MOUNT: "mountd", Prog.NLM: "nlockmgr", Prog.NSM: "status"}
ROWS = 10  # of a list that may be longer than the screen
UNANSWERED_S = 10.0  # the age from which a rule reports it
SILENT_S = 10.0  # shorter pauses are not shown


class Rate(NamedTuple):
    """Frames and bytes per second."""

    frames: float
    bytes: float


class Pulse(NamedTuple):
    """The state of the capture, to be shown at the foot of the screen."""

    source: str
    health: Health
    rate: Rate
    elapsed_s: float  # since the look, by which the ages of its waiting requests have grown
    note: str = ""  # the last remark for the user
    rights: str = ""  # of the process that parses


class Fitted:
    """As many lines of a body as there is room for, above a foot that always stays."""

    def __init__(self, body: RenderableType, foot: RenderableType, height: int) -> None:
        self.body, self.foot, self.height = body, foot, height

    def __rich_console__(self, console: Console, options: ConsoleOptions) -> RenderResult:
        body, foot = (console.render_lines(part, options, pad=False) for part in (self.body, self.foot))
        foot = foot[: self.height // 3]
        for number, line in enumerate([*body[: self.height - len(foot)], *foot]):
            yield from [Segment.line(), *line] if number else line


def brief(look: Look | None, pulse: Pulse) -> RenderableType:
    """The verdict and the foot alone: before the first look, or where the whole screen takes too long."""
    if look is None:
        return Group(Text("nfsrpc live", style="bold"), Text("nothing has been captured yet"), health(None, pulse))
    return Group(verdict(look), health(look, pulse))


def screen(look: Look | None, pulse: Pulse, height: int) -> RenderableType:
    """The whole screen, in at most `height` lines."""
    if look is None:
        return brief(None, pulse)
    parts = [
        verdict(look),
        section("Waiting", waits(look.waits, pulse.elapsed_s, min(ROWS, max(height // 4, 1)))),
        section("Findings", findings(look.diagnosis.findings)),
        section("Registered", registered(look.trace.tables["registrations"])),
        section("Traffic", traffic(procedures_of(look.trace.tables))),
    ]
    foot = Padding(health(look, pulse), (1, 0, 0, 0))
    return Fitted(Group(*(part for part in parts if part is not None)), foot, height)


def verdict(look: Look) -> RenderableType:
    badge, style = BADGES[look.diagnosis.verdict.state]
    text = Text()
    text.append(badge, style)
    text.append(f"  {clean(look.diagnosis.verdict.summary)}", "bold")
    return text


def section(title: str, content: RenderableType | None) -> RenderableType | None:
    if content is None:
        return None
    return Group(Text(f"\n{title}", style="bold"), Padding(content, (0, 0, 0, 2)))


def grid(
    head: Sequence[str], rows: Iterable[Sequence[str | Text]], right: Sequence[int] = (), long: Sequence[int] = ()
) -> Grid | None:
    """A table with one line per row; `right` are the columns of numbers, `long` those to shorten if room is short."""
    table = Grid(box=None, pad_edge=False, header_style="grey50", padding=(0, 2, 0, 0))
    for number, name in enumerate(head):
        table.add_column(one_line(name), justify="right" if number in right else "left", no_wrap=number not in long)
    for row in rows:
        table.add_row(*(one_line(cell) if isinstance(cell, str) else cell for cell in row))
    return table if table.row_count else None


def one_line(text: str) -> Text:
    return Text(clean(text), no_wrap=True, overflow="ellipsis")


def waits(waiting: Sequence[LockWait], elapsed_s: float, most: int) -> Grid | None:
    """The waiting requests, the longest wait first, with the age that they have by now."""
    rows = [
        (
            Text(duration(wait.age_s + elapsed_s), style="bold red1" if wait.age_s + elapsed_s >= UNANSWERED_S else ""),
            wait.client,
            wait.owner,
            wait.file,
            wait.server,
            ", ".join(wait.behind),
        )
        for wait in waiting[:most]
    ]
    if len(waiting) > most:
        rows.append((Text("…"), count(len(waiting) - most, "more request"), "", "", "", ""))
    return grid(("age", "client", "owner", "file", "server", "behind"), rows, (0,), (2, 3, 5))


def findings(found: Sequence[Finding]) -> Grid | None:
    rows = [
        (Text(finding.severity, SEVERITIES[finding.severity]), finding.rule, finding.certainty, finding.title)
        for finding in found[:ROWS]
    ]
    return grid(("severity", "rule", "certainty", "what"), rows, long=(3,))


def registered(registrations: Registrations) -> Grid | None:
    """The latest answer of each host's port mapper for each service."""
    by_host: dict[str, dict[int, dict[str, int]]] = {}
    for row in latest_answers(registrations):
        if row.prog is not None and row.port is not None:
            by_host.setdefault(row.host, {}).setdefault(row.prog, {})[row.transport or "?"] = row.port
    rows: list[tuple[str | Text, ...]] = [
        (host, *(ports(services.get(prog, {})) for prog in SERVICES)) for host, services in sorted(by_host.items())
    ]
    return grid(("server", *SERVICES.values()), rows[:ROWS])


def latest_answers(registrations: Registrations) -> Iterator[Registrations.Row]:
    known = registrations.valid("port") & registrations.valid("prog") & registrations.valid("host")
    for row in registrations.where(known).rows():
        if row.prog in SERVICES:
            yield row


def ports(by_transport: dict[str, int]) -> Text:
    if not by_transport:
        return Text("not asked", style="grey50")
    if not any(by_transport.values()):
        return Text("not registered", style="bold red1")
    return Text(" ".join(f"{transport}/{port}" for transport, port in sorted(by_transport.items()) if port))


def traffic(procedures: Sequence[ProcedureTraffic]) -> Grid | None:
    rows = []
    for name, its in busiest(procedures, ROWS)[0]:
        slowest = max(its, key=lambda procedure: procedure.max or -1.0)
        most = max(its, key=lambda procedure: procedure.replies)
        totals = (sum(getattr(known, field) for known in its) for field in ("calls", "unanswered", "retransmits"))
        latency = f"{slowest.procedure} {duration(slowest.max)}" if slowest.max is not None else "–"
        rows.append((name, *map(digits, totals), f"{most.procedure} {duration(most.p50)}", latency))
    head = ("program", "calls", "unanswered", "resent", "median of the most", "slowest answer")
    return grid(head, rows, (1, 2, 3), (4, 5))


def health(look: Look | None, pulse: Pulse) -> Text:
    health, rate = pulse.health, pulse.rate
    text = Text()
    text.append(
        f"{clean(pulse.source)}: {count(health.frames, 'frame')}, {rate.frames:,.0f}/s, {size(int(rate.bytes))}/s"
    )
    drops = "drops unknown" if health.drops is None else f"{digits(health.drops)} dropped"
    text.append(f", {drops}", style="bold red1" if health.drops else "")
    if health.silent_s >= SILENT_S:
        text.append(f", silent for {duration(health.silent_s)}")
    if pulse.note:
        text.append(f"\n{clean(pulse.note)}", "bold dark_orange3")
    if pulse.rights:
        text.append(f"\nparsed {clean(pulse.rights)}", style="grey50")
    if look is not None:
        text.append(f"\nas of {date_time(look.time)}; Ctrl-C ends with a report", style="grey50")
    return text
