"""`nfsrpc live`: what is wrong on a node, said as soon as it can be known."""

from __future__ import annotations

import re
import signal
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from enum import StrEnum
from functools import partial
from typing import TYPE_CHECKING, Annotated

import typer

from nfsrpc.cli.analyze import FAULT, as_text
from nfsrpc.cli.output import BAD, fail, say, write
from nfsrpc.cli.settings import Ignore, Select, Set, settings

if TYPE_CHECKING:
    from nfsrpc.report.contents import Report
    from nfsrpc.sources.arrivals import LiveSource
    from nfsrpc.watch.moments import Live, Moment

STANDARD_INPUT = "-"
UNITS = {"ms": 0.001, "s": 1.0, "m": 60.0, "min": 60.0, "h": 3600.0, "d": 86400.0}


class Format(StrEnum):
    text = "text"
    jsonl = "jsonl"


def seconds(text: str) -> float:
    """`15m`, `90`, `1.5 h` in seconds."""
    match = re.fullmatch(r"\s*(\d+(?:\.\d+)?)\s*(ms|s|min|m|h|d)?\s*", text)
    if not match or float(match[1]) == 0:
        raise typer.BadParameter(f"{text} is no length of time: 500ms, 10s, 15m, 2h")
    return float(match[1]) * UNITS[match[2] or "s"]


Duration = Annotated[float, typer.Option(parser=seconds, metavar="DURATION")]


def live(
    stream: Annotated[
        str | None, typer.Argument(metavar="[-]", help="- reads a capture from standard input: tcpdump -U -w - | …")
    ] = None,
    interface: Annotated[str, typer.Option("--interface", "-i", help="Capture here, with tcpdump.")] = "any",
    follow: Annotated[
        str | None, typer.Option(metavar="DIR", help="Follow the files that another tcpdump writes (-C, -G, -W).")
    ] = None,
    filter: Annotated[str | None, typer.Option(metavar="EXPR", help="What to capture, as pcap-filter(7) says.")] = None,  # noqa: A002
    interval: Annotated[float, typer.Option(parser=seconds, metavar="DURATION", help="Look so often at most.")] = "1s",  # type: ignore[assignment]
    window: Annotated[float, typer.Option(parser=seconds, metavar="DURATION", help="What rules look back on.")] = "15m",  # type: ignore[assignment]
    for_: Annotated[
        float | None, typer.Option("--for", parser=seconds, metavar="DURATION", help="End after so long.")
    ] = None,
    until_finding: Annotated[bool, typer.Option("--until-finding", help="End when a fault is found.")] = False,
    format: Annotated[Format, typer.Option("--format", help="A line, or an object, a change.")] = Format.text,  # noqa: A002
    select: Select = "",
    ignore: Ignore = "",
    thresholds: Set = None,
) -> None:
    """Watch RPC traffic on this node, and say what is wrong as soon as it can be known.

    On a terminal a screen, else a line a change. Ctrl-C ends it with a report. Exits as analyze does: 1 when there is a
    fault at the end, 2 when the source was bad or failed, else 0.
    """
    from nfsrpc.sources import SourceError
    from nfsrpc.watch.moments import Live, Options

    chosen = settings(select, ignore, thresholds)
    options = Options(interval, window, for_ or float("inf"), until_finding, chosen)
    try:
        watched = Live(source_of(stream, interface, follow, filter, window), options, say)
        with stopping(watched.stop):
            last = told(watched, format)
    except SourceError as error:
        fail(error)
    report = report_of_last(last)
    write([RENDERERS[format](report)], None)
    if watched.trouble:
        say(str(watched.trouble))
    if report.diagnosis.verdict.state == "fault":
        raise typer.Exit(FAULT)
    if watched.trouble:
        raise typer.Exit(BAD)


def source_of(
    stream: str | None, interface: str, follow: str | None, expression: str | None, window: float
) -> LiveSource:
    from nfsrpc.sources.follow import Follow
    from nfsrpc.sources.stream import Stream
    from nfsrpc.sources.tcpdump import FILTER
    from nfsrpc.watch.live import capturing

    if stream not in (None, STANDARD_INPUT):
        fail(f"{stream}: live reads - (standard input); nfsrpc analyze reads files, --follow a directory that grows")
    if stream and follow:
        fail("either - or --follow")
    if stream:
        return Stream()
    if follow:
        return Follow(follow, window, say=say)
    return capturing(interface, FILTER if expression is None else expression, say)


@contextmanager
def stopping(stop: Callable[[], None]) -> Iterator[None]:
    """The first Ctrl-C or SIGTERM ends the watching, a second one the process; so does a terminal that is closed."""
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


def told(watched: Live, format: Format) -> Moment:  # noqa: A002
    """Tells every change, and returns the last moment."""
    if format is Format.text and sys.stdout.isatty():
        return shown(watched)
    from nfsrpc.watch import lines

    render = lines.lines if format is Format.text else partial(map, lines.jsonl)
    for moment in watched.moments():
        write(list(render(moment.changes)), None)
    return moment


def shown(watched: Live) -> Moment:
    from nfsrpc.cli.live_screen import Screen

    with Screen(watched) as screen:
        for moment in watched.moments():
            screen.show(moment)
    return moment


def report_of_last(moment: Moment) -> Report:
    from nfsrpc.report.contents import report_of

    return report_of(moment.trace, moment.diagnosis)


def text(report: Report) -> str:
    return "\n" + as_text(report, None)


def jsonl(report: Report) -> str:
    from nfsrpc.watch.lines import end

    return end(report)


RENDERERS: dict[Format, Callable[[Report], str]] = {Format.text: text, Format.jsonl: jsonl}
