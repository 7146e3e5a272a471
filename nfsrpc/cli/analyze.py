"""`nfsrpc analyze`: the verdict on captures, with its proof and its cure."""

from __future__ import annotations

import shutil
import sys
from collections.abc import Callable
from enum import StrEnum
from importlib import import_module
from threading import Thread
from typing import TYPE_CHECKING, Annotated

import typer

from nfsrpc.cli.output import Output, Traces, fail, write
from nfsrpc.cli.progress import Progress, progress_bar

if TYPE_CHECKING:
    from nfsrpc.report.contents import Report

FAULT = 1
LATER = ("nfsrpc.rules.verdict", "nfsrpc.report.text")


class Format(StrEnum):
    text = "text"
    json = "json"
    markdown = "markdown"


def analyze(
    traces: Traces,
    format: Annotated[Format, typer.Option("--format", help="For a terminal, a program, a ticket.")] = Format.text,  # noqa: A002
    output: Output = None,
    select: Annotated[str, typer.Option(metavar="RULES", help="Ask only the rules that begin so: REG001,LCK")] = "",
    ignore: Annotated[str, typer.Option(metavar="RULES", help="Do not ask the rules that begin so.")] = "",
) -> None:
    """Say why locks hang: which host to fix, how, and with what proof.

    Exits 0 when no fault was found (healthy, or it cannot be told), 1 when one was, 2 when the input or the usage is
    bad.
    """
    from nfsrpc.sources import SourceError

    try:
        with progress_bar() as progress:
            report = report_on(traces, select, ignore, progress)
    except SourceError as error:
        fail(error)
    write([RENDERERS[format](report, output)], output)
    if report.diagnosis.verdict.state == "fault":
        raise typer.Exit(FAULT)


def report_on(traces: list[str], select: str, ignore: str, progress: Progress | None) -> Report:
    from nfsrpc.trace import read

    # The core decodes without the GIL: what comes after is imported meanwhile.
    Thread(target=lambda: list(map(import_module, LATER)), daemon=True).start()
    trace = read(*traces, progress=progress)

    from nfsrpc.report.contents import report_of
    from nfsrpc.rules.verdict import diagnose

    return report_of(trace, diagnose(trace.tables, beginnings("--select", select), beginnings("--ignore", ignore)))


def beginnings(option: str, text: str) -> list[str]:
    """What identifiers or names of rules begin with. One that fits no rule is a slip of the pen, not a pass."""
    from nfsrpc.rules.catalogue import chosen

    given = [beginning.strip() for beginning in text.split(",") if beginning.strip()]
    for beginning in given:
        if not chosen([beginning]):
            fail(f"{option}: no rule begins with {beginning} (nfsrpc explain lists them)")
    return given


def as_text(report: Report, output: str | None) -> str:
    from nfsrpc.report import terminal, text

    width = shutil.get_terminal_size().columns if output is None else 80
    return text.render(report, width, colour=output is None and terminal.wants_colour(sys.stdout))


def as_json(report: Report, _output: str | None) -> str:
    from nfsrpc.report import json

    return json.render(report)


def as_markdown(report: Report, _output: str | None) -> str:
    from nfsrpc.report import markdown

    return markdown.render(report)


RENDERERS: dict[Format, Callable[[Report, str | None], str]] = {
    Format.text: as_text,
    Format.json: as_json,
    Format.markdown: as_markdown,
}
