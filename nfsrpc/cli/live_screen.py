"""The screen of `nfsrpc live` on the terminal: painted at each look, each second while packets arrive, else rarely.

Messages on standard error stand at the foot of the screen meanwhile, and are printed when the screen is gone.
"""

from __future__ import annotations

import io
import sys
from contextlib import redirect_stderr, suppress
from time import monotonic
from types import TracebackType
from typing import TYPE_CHECKING, Self

from rich.console import Console, RenderableType
from rich.live import Live as Display

from nfsrpc.diagnosis.run import CutShort
from nfsrpc.watch.screen import Pulse, Rate, brief, screen

if TYPE_CHECKING:
    from nfsrpc.watch.schedule import Health, Live, Look

BUSY_S, IDLE_S = 1.0, 10.0


class Screen:
    """The screen, as a context: it is on the terminal within it."""

    def __init__(self, watched: Live, rights: str) -> None:
        self.watched, self.rights = watched, rights
        self.look: Look | None = None
        self._too_large: Look | None = None  # a look that takes too long to show
        self._display = Display(
            console=Console(), screen=True, auto_refresh=False, transient=True, redirect_stderr=False
        )
        self._said = io.StringIO()
        self._redirected = redirect_stderr(self._said)
        self._painted = self._seen = float("-inf")
        self._rate = Rate(0.0, 0.0)
        self._before, self._measured = watched.health, monotonic()

    def __enter__(self) -> Self:
        self._display.start()
        self._redirected.__enter__()
        self._tick_before, self.watched.tick = self.watched.tick, self.tick
        self.paint()
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        self._redirected.__exit__(kind, error, at)
        with suppress(OSError):  # the terminal is gone
            self._display.stop()
        sys.stderr.write(self._said.getvalue())

    def show(self, look: Look) -> None:
        self.look, self._seen = look, monotonic()
        self.paint()

    def tick(self) -> None:
        self._tick_before()
        since = monotonic() - self._painted
        busy = self.watched.health.frames != self._before.frames or (self.look and self.look.waits)
        if since >= (BUSY_S if busy else IDLE_S):
            self.paint()

    def paint(self) -> None:
        now, health = monotonic(), self.watched.health
        self._measure(now, health)
        elapsed = now - self._seen if self.look else 0.0
        *_, note = ["", *self._said.getvalue().splitlines()]
        pulse = Pulse(self.watched.source.name, health, self._rate, elapsed, note.removeprefix("nfsrpc: "), self.rights)
        try:
            self._display.update(self._content(pulse), refresh=True)
        except OSError:  # the terminal is gone
            self.watched.abandon()
        self._painted = now

    def _content(self, pulse: Pulse) -> RenderableType:
        height = self._display.console.height
        if self.look is None or self.look is self._too_large:
            return brief(self.look, pulse)
        try:
            return self.watched.limited(lambda: screen(self.look, pulse, height), at_the_end=True)
        except CutShort:
            self._too_large = self.look
            return brief(self.look, pulse)

    def _measure(self, now: float, health: Health) -> None:
        passed = now - self._measured
        if passed >= BUSY_S:
            frames, data = health.frames - self._before.frames, health.bytes - self._before.bytes
            self._rate = Rate(frames / passed, data / passed)
            self._before, self._measured = health, now
