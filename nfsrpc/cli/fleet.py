"""`nfsrpc analyze --dask`: captures of many nodes, decoded and judged on a cluster of Dask."""

from __future__ import annotations

import logging
import os
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

from nfsrpc.extras import extra

if TYPE_CHECKING:
    from nfsrpc.fleet.run import Fleet, Progress

CONNECT_S = 10  # for a scheduler that does not answer


@contextmanager
def cluster(scheduler: str) -> Iterator[Any]:
    """A client of the scheduler at an address; without one, of a cluster of this machine's cores."""
    distributed = extra("fleet", "distributed", "a fleet")
    if scheduler:
        with distributed.Client(scheduler, timeout=CONNECT_S) as client:
            yield client
        return
    options = {"n_workers": os.cpu_count(), "threads_per_worker": 1, "dashboard_address": None}
    with (
        distributed.LocalCluster(silence_logs=logging.CRITICAL, **options) as local,
        distributed.Client(local) as client,
    ):
        yield client


def fleet_of(traces: list[str], scheduler: str, cache: str, settings: Any) -> Fleet:
    from nfsrpc.fleet.run import analyze

    with cluster(scheduler) as client, progress_by_node() as progress:
        return analyze(traces, client, cache, settings, progress)


@contextmanager
def progress_by_node() -> Iterator[Progress | None]:
    """A bar on a terminal that names the node that was decoded last."""
    if not sys.stderr.isatty():
        yield None
        return
    from rich.console import Console
    from rich.progress import Progress as Bar

    with Bar(console=Console(stderr=True), transient=True) as bar:
        task = bar.add_task("nodes")

        def show(name: str, done: int, total: int) -> None:
            bar.update(task, completed=done, total=total, description=name)

        yield show
