"""`nfsrpc analyze`: the verdict on captures, with its proof and its remedy."""

from __future__ import annotations

import gc
import shutil
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from enum import StrEnum
from importlib import import_module
from typing import TYPE_CHECKING, Annotated

import typer

from nfsrpc.cli.ending import FAULT
from nfsrpc.cli.output import Output, Traces, check_rules, fail, mention_skipped, write
from nfsrpc.cli.progress import Progress, progress_bar
from nfsrpc.cli.settings import Ignore, Jobs, Select, Set, Timezone, Verbose, settings, use_timezone

if TYPE_CHECKING:
    from nfsrpc.findings.finding import Settings
    from nfsrpc.report.contents import Report

HANDOVER_S = 1e-5


class Format(StrEnum):
    text = "text"
    json = "json"
    markdown = "markdown"
    html = "html"


def analyze(
    traces: Traces,
    format: Annotated[Format, typer.Option("--format", help="For people, programs, tickets, browsers.")] = Format.text,  # noqa: A002
    output: Output = None,
    select: Select = "",
    ignore: Ignore = "",
    thresholds: Set = None,
    dmesg: Annotated[
        list[str] | None, typer.Option(metavar="FILE", help="A kernel log: dmesg [-T], journalctl -k (repeatable).")
    ] = None,
    timezone: Timezone = "",
    verbose: Verbose = False,
    jobs: Jobs = None,
) -> None:
    """Say why locks hang: which host to fix, how, and with what proof.

    Exits 0 when no fault was found (healthy, or unknown), 1 when one was, 2 when the input or the usage is
    bad, 70 when a rule failed, which is a bug of nfsrpc.
    """
    from nfsrpc.sources import SourceError

    use_timezone(timezone)
    chosen = settings(select, ignore, thresholds)
    try:
        with progress_bar() as progress, in_a_hurry():
            report = report_on(traces, chosen, dmesg or [], format, progress, jobs)
    except SourceError as error:
        fail(error)
    write([as_text(report, output, verbose) if format is Format.text else RENDERERS[format](report)], output)
    check_rules(report.diagnosis)
    if report.diagnosis.verdict.state == "fault":
        raise typer.Exit(FAULT)


@contextmanager
def in_a_hurry() -> Iterator[None]:
    """Lets threads switch often, without garbage collection meanwhile.

    The thread that decodes needs the GIL between two chunks, and must not wait 5 ms for it. All objects made meanwhile
    are needed to the end: collecting garbage among them takes 10 ms.
    """
    interval = sys.getswitchinterval()
    sys.setswitchinterval(HANDOVER_S)
    gc.disable()
    try:
        yield
    finally:
        gc.enable()
        sys.setswitchinterval(interval)


def report_on(
    traces: list[str],
    chosen: Settings,
    logs: list[str],
    format: Format,  # noqa: A002
    progress: Progress | None,
    jobs: int | None,
) -> Report:
    from nfsrpc.reading import ahead, prepared
    from nfsrpc.sessions.counting import COUNTING
    from nfsrpc.sessions.wanted import WANTED

    # The core decodes without the GIL, so all that comes after, numpy included, is imported meanwhile.
    reading = ahead(prepared(traces, WANTED, progress=progress, counting=COUNTING, jobs=jobs))

    from nfsrpc.decode import merge
    from nfsrpc.diagnosis.catalogue import rules
    from nfsrpc.diagnosis.verdict import diagnose
    from nfsrpc.report.contents import report_of
    from nfsrpc.trace import Trace

    rules()
    import_module(f"nfsrpc.report.{format}")
    trace = Trace(merge(reading()))
    mention_skipped(trace)
    return report_of(trace.tables, diagnose(trace.tables, *chosen, skipped=trace.skipped), logs)


def as_text(report: Report, output: str | None, verbose: bool = False) -> str:
    from nfsrpc.report import terminal, text

    width = shutil.get_terminal_size().columns if output is None else 80
    return text.render(report, width, output is None and terminal.uses_colour(sys.stdout), verbose)


def as_json(report: Report) -> str:
    from nfsrpc.report import json

    return json.render(report)


def as_markdown(report: Report) -> str:
    from nfsrpc.report import markdown

    return markdown.render(report)


def as_html(report: Report) -> str:
    from nfsrpc.report import html

    return html.render(report)


RENDERERS: dict[Format, Callable[[Report], str]] = {
    Format.json: as_json,
    Format.markdown: as_markdown,
    Format.html: as_html,
}
