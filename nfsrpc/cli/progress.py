"""A progress bar on standard error: on a terminal, and only after a second."""

from __future__ import annotations

import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING, TypeAlias

from nfsrpc.cli.ending import Notes

if TYPE_CHECKING:
    import rich.progress

Progress: TypeAlias = Callable[[int, int | None], None]  # bytes done, bytes in all (None: a pipe has no size)

PATIENCE_S = 1.0


@contextmanager
def progress_bar(what: str = "reading") -> Iterator[Progress | None]:
    """The function to call with the progress made; None where standard error is no terminal, or with --quiet."""
    if not (Notes.wanted and sys.stderr.isatty()):
        yield None
        return
    bar = _Bar(what)
    try:
        yield bar.report
    finally:
        bar.stop()


class _Bar:
    def __init__(self, what: str) -> None:
        self.what = what
        self.begun = time.monotonic()
        self.shown: rich.progress.Progress | None = None

    def report(self, done: int, total: int | None) -> None:
        if self.shown is None:
            if time.monotonic() - self.begun < PATIENCE_S:
                return
            self.shown = self.start()
        self.shown.update(self.shown.task_ids[0], completed=done, total=total)

    def start(self) -> rich.progress.Progress:
        """rich is imported here, after a second, when its 50 ms do not matter."""
        from rich.console import Console
        from rich.progress import BarColumn, DownloadColumn, Progress, TextColumn, TimeRemainingColumn

        progress = Progress(
            TextColumn("{task.description}"),
            BarColumn(),
            DownloadColumn(),
            TimeRemainingColumn(),
            console=Console(stderr=True),
            transient=True,
        )
        progress.add_task(self.what, total=None)
        progress.start()
        return progress

    def stop(self) -> None:
        if self.shown:
            self.shown.stop()
