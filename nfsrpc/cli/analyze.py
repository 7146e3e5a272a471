"""`nfsrpc analyze`: the verdict on captures, with its proof and its remedy."""

from __future__ import annotations

import shutil
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from enum import StrEnum
from importlib import import_module
from typing import TYPE_CHECKING, Annotated

import typer

from nfsrpc.cli.ending import Notes
from nfsrpc.cli.output import ExitCode, Output, Traces, check_rules, end_with, fail, mention_skipped, write
from nfsrpc.cli.progress import Progress, progress_bar
from nfsrpc.cli.settings import HostsFile, Ignore, Jobs, Select, Set, Timezone, Verbose, settings, use_timezone

if TYPE_CHECKING:
    from nfsrpc.findings.finding import Settings
    from nfsrpc.report.contents import Report
    from nfsrpc.sessions import Sessions

HANDOVER_S = 1e-4
NOT_OF_A_FLEET = {
    "--dmesg": "a fleet is judged without kernel logs; analyze the captures of their node with it",
    "--jobs": "each worker of a fleet decodes with one processor",
    "-": "workers cannot read standard input; analyze it without --dask and --scheduler",
}


class ReportFormat(StrEnum):
    text = "text"
    json = "json"
    markdown = "markdown"
    html = "html"


def analyze(
    traces: Traces,
    format: Annotated[  # noqa: A002
        ReportFormat, typer.Option("--format", help="For people, programs, tickets, browsers.")
    ] = ReportFormat.text,
    output: Output = None,
    select: Select = "",
    ignore: Ignore = "",
    thresholds: Set = None,
    dmesg: Annotated[
        list[str] | None, typer.Option(metavar="FILE", help="A kernel log: dmesg [-T], journalctl -k (repeatable).")
    ] = None,
    hosts: HostsFile = None,
    timezone: Timezone = "",
    verbose: Verbose = False,
    jobs: Jobs = None,
    dask: Annotated[bool, typer.Option("--dask", help="Captures of many nodes: a cluster of this machine.")] = False,
    scheduler: Annotated[
        str, typer.Option(metavar="ADDRESS", help="The same on the cluster of this scheduler of Dask.")
    ] = "",
    cache: Annotated[
        str, typer.Option(metavar="URL", help="With --dask: keeps each node's rows there, and reads them again.")
    ] = "",
    exit_code: ExitCode = False,
) -> None:
    """Find out why locks hang: which host to fix, how, and the proof."""
    from nfsrpc.sources import SourceError

    use_timezone(timezone)
    chosen = settings(select, ignore, thresholds, hosts)
    if dask or scheduler:
        for option, given in (("--dmesg", dmesg), ("--jobs", jobs), ("-", "-" in traces)):
            if given:
                fail(f"{option}: {NOT_OF_A_FLEET[option]}")
        analyze_fleet(traces, scheduler, cache, chosen, format, output, verbose, exit_code)
        return
    if cache:
        fail("--cache: only a fleet has one: add --dask, or --scheduler ADDRESS")
    try:
        with progress_bar() as progress, in_a_hurry():
            report, tables = report_on(traces, chosen, dmesg or [], format, progress, jobs)
    except SourceError as error:
        fail(error)
    write([rendered(report, tables, format, output, verbose)], output)
    check_rules(report.diagnosis)
    end_with(report.diagnosis, exit_code)


def analyze_fleet(
    traces: list[str],
    scheduler: str,
    cache: str,
    chosen: Settings,
    format: ReportFormat,  # noqa: A002
    output: str | None,
    verbose: bool,
    exit_code: bool,
) -> None:
    from nfsrpc.cli.fleet import fleet_of
    from nfsrpc.extras import MissingExtraError
    from nfsrpc.sources import SourceError

    try:
        report = fleet_of(traces, scheduler, cache, chosen)
    except (SourceError, MissingExtraError, OSError) as error:
        fail(error)
    mention_skipped(report)
    write([rendered(report, None, format, output, verbose)], output)
    check_rules(report.diagnosis)
    end_with(report.diagnosis, exit_code)


@contextmanager
def in_a_hurry() -> Iterator[None]:
    """Lets threads switch often: the thread that decodes needs the GIL between two chunks, and must not wait 5 ms."""
    interval = sys.getswitchinterval()
    sys.setswitchinterval(HANDOVER_S)
    try:
        yield
    finally:
        sys.setswitchinterval(interval)


def report_on(
    traces: list[str],
    chosen: Settings,
    logs: list[str],
    format: ReportFormat,  # noqa: A002
    progress: Progress | None,
    jobs: int | None,
) -> tuple[Report, Sessions]:
    from nfsrpc.cli import heap
    from nfsrpc.reading import ahead, prepared
    from nfsrpc.sessions.counting import COUNTING
    from nfsrpc.sessions.wanted import WANTED

    heap.share()
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
    report = report_of(trace.tables, diagnose(trace.tables, *chosen, skipped=trace.skipped), logs)
    return report, trace.tables


def rendered(
    report: Report,
    tables: Sessions | None,
    format: ReportFormat,  # noqa: A002
    output: str | None,
    verbose: bool,
) -> str:
    return as_text(report, output, verbose) if format is ReportFormat.text else RENDERERS[format](report, tables)


def as_text(report: Report, output: str | None, verbose: bool = False) -> str:
    from nfsrpc.report import terminal, text

    if not Notes.wanted:
        return text.one_line(report)
    width = shutil.get_terminal_size().columns if output is None else 80
    return text.render(report, width, output is None and terminal.uses_colour(sys.stdout), verbose)


def as_json(report: Report, _tables: Sessions | None) -> str:
    from nfsrpc.report import json

    return json.render(report)


def as_markdown(report: Report, _tables: Sessions | None) -> str:
    from nfsrpc.report import markdown

    return markdown.render(report)


def as_html(report: Report, tables: Sessions | None) -> str:
    """With pictures and messages, unless the captures lie elsewhere: a fleet's."""
    from nfsrpc.report import html
    from nfsrpc.report.attachments import attachments

    if tables is None:
        return html.render(report)
    return html.render(report, attachments(report, tables))


RENDERERS: dict[ReportFormat, Callable[[Report, Sessions | None], str]] = {
    ReportFormat.json: as_json,
    ReportFormat.markdown: as_markdown,
    ReportFormat.html: as_html,
}
