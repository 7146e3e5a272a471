"""`nfsrpc live`: what is wrong on a node, reported as soon as it shows."""

from __future__ import annotations

import os
import re
import signal
import sys
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager, suppress
from enum import StrEnum
from functools import partial
from typing import TYPE_CHECKING, Annotated

import typer

from nfsrpc.cli.analyze import as_text
from nfsrpc.cli.ending import BAD, say
from nfsrpc.cli.metrics import Metrics, Textfile, exporter_of, exporting
from nfsrpc.cli.output import ExitCode, check_rules, end_with, fail, write
from nfsrpc.cli.reader import discard_output, when_reader_leaves
from nfsrpc.cli.settings import HostsFile, Ignore, Select, Set, Timezone, settings, use_timezone

if TYPE_CHECKING:
    from nfsrpc.sources.live_queue import LiveSource
    from nfsrpc.sources.privileges import Rights
    from nfsrpc.sources.supervisor import Supervisor
    from nfsrpc.watch.schedule import Live, Look

STANDARD_INPUT = "-"
UNITS = {"ms": 0.001, "s": 1.0, "m": 60.0, "min": 60.0, "h": 3600.0, "d": 86400.0}


class ChangesFormat(StrEnum):
    text = "text"
    jsonl = "jsonl"


def seconds(text: str) -> float:
    """A duration (`15m`, `90`, `1.5 h`) in seconds."""
    match = re.fullmatch(r"\s*(\d+(?:\.\d+)?)\s*(ms|s|min|m|h|d)?\s*", text)
    if not match or float(match[1]) == 0:
        raise typer.BadParameter(f"{text} is no duration: 500ms, 10s, 15m, 2h")
    return float(match[1]) * UNITS[match[2] or "s"]


# Options that record has too.
StandardInput = Annotated[
    str | None, typer.Argument(metavar="[-]", help="- reads a capture from standard input, as of tcpdump -U -w -")
]
ANY = "any"  # interface
CaptureInterface = Annotated[
    str, typer.Option("--interface", "-i", metavar="IFACE", help="Capture here, with tcpdump.")
]
Followed = Annotated[
    str | None, typer.Option(metavar="DIR", help="Follow the files that another tcpdump writes (-C, -G, -W).")
]
CaptureFilter = Annotated[str | None, typer.Option(metavar="EXPR", help="What to capture, as pcap-filter(7) says.")]
LookInterval = Annotated[float, typer.Option(parser=seconds, metavar="DURATION", help="Run rules at most this often.")]
LookBack = Annotated[float, typer.Option(parser=seconds, metavar="DURATION", help="How far rules look back.")]
EndAfter = Annotated[
    float | None, typer.Option("--for", parser=seconds, metavar="DURATION", help="End after this time.")
]
FormatOfChanges = Annotated[ChangesFormat, typer.Option("--format", help="One line, or one JSON object, per change.")]
NoDrop = Annotated[
    bool, typer.Option("--no-drop", help="Parse with all rights of root, not as the user of sudo or as nobody.")
]


def live(
    stream: StandardInput = None,
    interface: CaptureInterface = ANY,
    follow: Followed = None,
    filter: CaptureFilter = None,  # noqa: A002
    interval: LookInterval = "1s",  # type: ignore[assignment]
    window: LookBack = "15m",  # type: ignore[assignment]
    for_: EndAfter = None,
    until_finding: Annotated[bool, typer.Option("--until-finding", help="End when a fault is found.")] = False,
    format: FormatOfChanges = ChangesFormat.text,  # noqa: A002
    no_drop: NoDrop = False,
    metrics: Metrics = None,
    textfile: Textfile = None,
    select: Select = "",
    ignore: Ignore = "",
    thresholds: Set = None,
    hosts: HostsFile = None,
    timezone: Timezone = "",
    exit_code: ExitCode = False,
) -> None:
    """Watch RPC traffic on this node and report a fault as soon as it shows.

    On a terminal a screen, else one line per change. Ctrl-C ends it with a report. Its exit code is that of the verdict
    at the end.
    """
    # Each thread has its own capabilities, so there must be no other before they are given up, not even numpy's.
    os.environ["OPENBLAS_NUM_THREADS"] = "1"
    from nfsrpc.sources import SourceError
    from nfsrpc.sources.supervisor import Supervisor
    from nfsrpc.watch.limit import Limit
    from nfsrpc.watch.schedule import Live, Options

    use_timezone(timezone)
    chosen = settings(select, ignore, thresholds, hosts)
    options = Options(interval, window, for_ or float("inf"), until_finding, chosen)
    exporter = exporter_of(metrics, textfile)
    supervisor = Supervisor(sys.stdout.fileno() if has_screen(format) else None)
    try:
        source = source_of(stream, interface, follow, filter, window, supervisor)
        watched = Live(source, options, say, limit=Limit())
        with stopping(watched.interrupt), closing(supervisor):
            source.prepare()
            with suppress(OSError):  # it was only to restore the terminal
                supervisor.start()
            rights = parsing_rights(source, no_drop)
            when_reader_leaves(watched.abandon)
            with exporting(exporter, watched) as looks:
                last = run(watched, looks, format, rights, supervisor)
            if watched.is_abandoned:
                discard_output()
            elif last:
                write([report(watched, last, format)], None)
    except SourceError as error:
        fail(error)
    if watched.trouble:
        say(str(watched.trouble))
    check_rules(last.diagnosis if last else None)
    end_with(last.diagnosis if last else None, exit_code and not watched.trouble)
    if watched.trouble:
        raise typer.Exit(BAD)


def source_of(
    stream: str | None,
    interface: str,
    follow: str | None,
    expression: str | None,
    window: float,
    supervisor: Supervisor,
) -> LiveSource:
    from nfsrpc.sources.follow import Follow
    from nfsrpc.sources.stream import Stream
    from nfsrpc.sources.tcpdump import FILTER
    from nfsrpc.watch.live import capturing

    if stream not in (None, STANDARD_INPUT):
        fail(f"{stream}: live reads - (standard input); nfsrpc analyze reads files, --follow a directory that grows")
    if stream and follow:
        fail("either - or --follow")
    if (stream or follow) and (interface != ANY or expression is not None):
        fail("--interface and --filter are of a capture that nfsrpc makes: without - and --follow")
    if stream:
        return Stream()
    if follow:
        return Follow(follow, window, say=say)
    return capturing(interface, FILTER if expression is None else expression, say, supervisor)


def parsing_rights(source: LiveSource, no_drop: bool, before: Callable[[], None] = lambda: None) -> Rights:
    """Gives up the rights that only capturing needs; returns those that are left. `before` imports what needs them."""
    from nfsrpc.sources import privileges
    from nfsrpc.sources.follow import Follow

    if not no_drop:
        if os.geteuid() == privileges.ROOT:
            from nfsrpc.cli.live_imports import import_all

            import_all()
            before()
        is_hidden = source.is_hidden if isinstance(source, Follow) else lambda: False
        privileges.drop(privileges.unprivileged_user(), is_hidden)
    return privileges.in_force()


@contextmanager
def stopping(stop: Callable[[], None]) -> Iterator[None]:
    """Makes the first Ctrl-C, SIGTERM or SIGHUP (a terminal that closes) call `stop`; a second one ends the process."""
    before = {number: signal.getsignal(number) for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)}

    def once(_number: int, _frame: object) -> None:
        restore()
        stop()

    def restore() -> None:
        for number, handler in before.items():
            signal.signal(number, handler)

    for number in before:
        signal.signal(number, once)
    try:
        yield
    finally:
        restore()


def has_screen(format: ChangesFormat) -> bool:  # noqa: A002
    return format is ChangesFormat.text and sys.stdout is not None and sys.stdout.isatty()


def run(
    watched: Live,
    looks: Iterator[Look],
    format: ChangesFormat,  # noqa: A002
    rights: Rights,
    supervisor: Supervisor,
) -> Look | None:
    """Reports every change to the end of the source, and returns the last look."""
    from nfsrpc.watch import lines

    if has_screen(format):
        return run_screen(watched, looks, rights, supervisor)
    begin = lines.begin if format is ChangesFormat.text else lines.begin_jsonl
    render = lines.lines if format is ChangesFormat.text else partial(map, lines.jsonl)
    write([begin(watched.source.name, rights)], None)
    look = None
    for look in looks:
        write(list(render(look.changes)), None)
    return look


def run_screen(watched: Live, looks: Iterator[Look], rights: Rights, supervisor: Supervisor) -> Look | None:
    """Shows every look on a screen to the end of the source, and returns the last one."""
    from nfsrpc.cli.live_screen import Screen

    supervisor.show_screen(True)
    look = None
    with Screen(watched, str(rights)) as screen:
        for look in looks:
            screen.show(look)
    supervisor.show_screen(False)
    return look


def report(watched: Live, look: Look, format: ChangesFormat) -> str:  # noqa: A002
    """The report on the last look; the verdict alone if the report takes too long after an interrupt."""
    from nfsrpc.diagnosis.run import CutShort, Limited, unlimited
    from nfsrpc.printable import clean
    from nfsrpc.report.contents import report_of
    from nfsrpc.watch import lines
    from nfsrpc.watch.limit import REPORT

    def whole() -> str:
        result = report_of(look.trace.tables, look.diagnosis)
        return "\n" + as_text(result, None) if format is ChangesFormat.text else lines.end(result)

    limited: Limited = unlimited
    if watched.limit and watched.is_interrupted:
        watched.limit.begin(REPORT)
        limited = watched.limit
    try:
        return limited(whole)
    except CutShort:
        say("the report took too long and was cut short")
        verdict = look.diagnosis.verdict
        return f"\n{clean(str(verdict))}\n" if format is ChangesFormat.text else lines.end_cut_short(verdict)
