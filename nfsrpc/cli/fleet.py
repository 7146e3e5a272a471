"""`nfsrpc analyze --dask`: captures of many nodes, decoded and judged on a cluster of Dask."""

from __future__ import annotations

import logging
import os
import sys
from collections.abc import Iterator
from concurrent.futures import CancelledError
from contextlib import contextmanager
from importlib.util import find_spec
from typing import TYPE_CHECKING, Any

from nfsrpc.cli.ending import Notes, note
from nfsrpc.extras import extra
from nfsrpc.sources import SourceError

if TYPE_CHECKING:
    from nfsrpc.fleet.run import Progress
    from nfsrpc.report.contents import Report

CONNECT_S = 10  # for a scheduler that does not answer, or has no worker
EXAMPLE = "give it like tcp://HOST:8786"
LOCAL = "127.0.0.1:0"  # of the HTTP server that a scheduler always has: any port, and for this machine alone


@contextmanager
def cluster(scheduler: str) -> Iterator[Any]:
    """A client of the scheduler at an address; without one, of a cluster of this machine's cores."""
    distributed = extra("fleet", "distributed", "a fleet")
    if scheduler:
        try:
            connected = distributed.Client(scheduler, timeout=CONNECT_S)
        except (ValueError, TypeError) as error:  # TypeError: of tls:// and ucx:// that are not configured
            raise SourceError(scheduler, f"is no address of a scheduler: {error}", EXAMPLE) from error
        with connected as client:
            try:
                client.wait_for_workers(1, timeout=CONNECT_S)
            except TimeoutError as error:
                raise SourceError(scheduler, f"has no worker after {CONNECT_S} s", "start one: dask worker") from error
            yield client
        return
    options = {"n_workers": os.cpu_count(), "threads_per_worker": 1, "dashboard_address": LOCAL}
    with (
        distributed.LocalCluster(silence_logs=logging.CRITICAL, **options) as local,
        distributed.Client(local) as client,
    ):
        yield client


def fleet_of(traces: list[str], scheduler: str, cache: str, settings: Any) -> Report:
    from nfsrpc.fleet.overview import reported
    from nfsrpc.fleet.run import analyze

    # What packages that read URLs log of what they raise, with tracebacks, is one line here.
    logging.getLogger().addHandler(logging.NullHandler())
    with cluster(scheduler) as client:
        if on_terminal() and (scheduler or find_spec("bokeh")) and (link := dashboard(client)):
            note(f"dashboard: {link}")
        try:
            with progress_by_node() as progress:
                return reported(analyze(traces, client, cache, settings, progress))
        except CancelledError as error:
            raise SourceError(scheduler or "the cluster", f"was lost: {error}") from error


def on_terminal() -> bool:
    """Whether progress is shown."""
    return Notes.wanted and sys.stderr.isatty()


def dashboard(client: Any) -> str:
    """The address of the scheduler's dashboard, where it has one."""
    return str(client.dashboard_link) if "dashboard" in client.scheduler_info()["services"] else ""


@contextmanager
def progress_by_node() -> Iterator[Progress | None]:
    """A bar on a terminal that names the node that was decoded last, and says when the nodes are judged."""
    if not on_terminal():
        yield None
        return
    from rich.console import Console
    from rich.progress import BarColumn, MofNCompleteColumn, TextColumn, TimeElapsedColumn
    from rich.progress import Progress as Bar

    from nfsrpc.printable import clean

    columns = TextColumn("{task.description}", markup=False), BarColumn(), MofNCompleteColumn(), TimeElapsedColumn()
    with Bar(*columns, console=Console(stderr=True), transient=True) as bar:
        task = bar.add_task("decoding", total=None)

        def show(name: str, done: int, total: int) -> None:
            doing = f"decoded {clean(name)}" if done < total else "judging"
            bar.update(task, completed=done, total=total, description=doing, refresh=True)

        yield show
