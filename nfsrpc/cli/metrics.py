"""The options `--metrics` and `--textfile`, and the exporter that they ask for."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING, Annotated

import typer

from nfsrpc.cli.ending import say
from nfsrpc.cli.output import fail

if TYPE_CHECKING:
    from nfsrpc.metrics.exporter import Exporter
    from nfsrpc.watch.schedule import Live, Look

Metrics = Annotated[
    str | None,
    typer.Option(metavar="[ADDR:]PORT", help="Serve metrics for Prometheus, on 127.0.0.1 unless an address is named."),
]
Textfile = Annotated[
    str | None, typer.Option(metavar="FILE", help="Write metrics to a file for node_exporter (FILE.prom).")
]


def exporter_of(metrics: str | None, file: str | None) -> Exporter | None:
    """The exporter that the options ask for. To be made while the process may read where Python is installed."""
    if metrics is None and file is None:
        return None
    from nfsrpc.extras import MissingExtraError
    from nfsrpc.metrics.exporter import Exporter, address, textfile

    try:
        return Exporter(None if metrics is None else address(metrics), None if file is None else textfile(file), say)
    except (MissingExtraError, ValueError) as error:
        fail(error)


@contextmanager
def exporting(exporter: Exporter | None, watched: Live) -> Iterator[Iterator[Look]]:
    """The looks of a capture; the exporter, if there is one, serves what they show."""
    if exporter is None:
        yield watched.looks()
        return
    try:
        exporter.start(watched)
    except OSError as error:
        where = error.filename or exporter.served_at
        remedy = " (it is written as the user who parses: let that user write the directory, or use --no-drop)"
        fail(f"{where}: {error.strerror}{remedy if isinstance(error, PermissionError) and error.filename else ''}")
    try:
        yield exporter.looks(watched)
    finally:
        exporter.close()
