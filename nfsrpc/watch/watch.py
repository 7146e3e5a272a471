"""An endless capture: bytes are fed as they arrive, and the trace of its last quarter of an hour is made on demand.

The decoder and the tables are those of files. `stir` takes the decoder's rows and returns whether they are worth a
look; `trace` puts the window together. Time is the packets'. If the source delivers at once, silence is time too: then
the age of an unanswered request grows although no packet comes, by `elapsed`.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from enum import IntEnum
from typing import Any, TypeAlias

import numpy as np

from nfsrpc._core import Decoder, Layouts
from nfsrpc.columns import NAT, Array
from nfsrpc.protocols import PROTOCOLS, compile  # noqa: A004
from nfsrpc.reading import SECONDARY, WRITES, refusing
from nfsrpc.sessions import COUNTING, WANTED
from nfsrpc.sources import Capture, SourceError
from nfsrpc.trace import Trace
from nfsrpc.watch.window import MAX_ROWS, NFS_PROGRAMS, Window
from nfsrpc.wording import SECOND

WINDOW_S = 900.0
# Bytes of frames by program, those of other programs, and ports, as the core takes them.
Kept: TypeAlias = tuple[Sequence[tuple[int, int]], int, Sequence[int]]
# Rows are taken from the core after so many bytes at the latest: those of a busy second.
STIR_BYTES = 64 << 20
# The core drops its strings after so many strings and rows of messages: well below its limits, so that none is refused.
MAX_TAKEN_ROWS = 1 << 18
# Columns of an unfinished exchange that change when something happens to it.
STATE = ("exchange", "reply_frame", "retransmits", "duplicates", "flags")


class Stir(IntEnum):
    """The kind of what came since the last time."""

    NOTHING = 0
    TRAFFIC = 1  # only NFS, which no rule has to report at once
    NEWS = 2  # calls, replies or resends of something else than NFS


class Watch:
    """An endless capture, with its decoder and its window."""

    def __init__(
        self,
        source: Capture = "-",
        window_s: float = WINDOW_S,
        kept: Kept | None = None,
        max_rows: int = MAX_ROWS,
    ) -> None:
        """`kept`: frames that the decoder keeps besides, for who takes them (`Decoder.take_kept`)."""
        compiled, specs = compile(PROTOCOLS, WANTED)
        layouts = Layouts(compiled, specs, SECONDARY)
        self.decoder = Decoder(layouts, fold=COUNTING.procedures, by_handle=WRITES, ring=kept)
        self.window = Window({table: dict(columns) for table, columns in specs}, round(window_s * SECOND), max_rows)
        self.window.sources[0] = source
        self.last = NAT  # the latest packet
        self.frames = 0  # of all files
        self.bytes = 0
        self.drops: int | None = None  # frames lost in capturing, by the source's count
        self.settle: Callable[[dict[str, Any]], None] = lambda _: None  # called with each batch of rows that are final
        self._snapshot: dict[str, Any] | None = None
        self._current = False  # the snapshot is of everything fed so far
        self._stirred = 0  # frames at the last `stir`
        self._capture = 0
        self._fed = 0
        self._before = 0  # frames of files that are over
        self._state = b""
        self._taken_rows = 0
        self._forgot = NAT

    @property
    def source(self) -> str:
        """The name of the current file."""
        return str(self.window.sources[self._capture])

    def feed(self, data: bytes) -> None:
        """Decodes the next bytes. Raises SourceError for what is no capture."""
        with refusing(self.source):
            self.decoder.feed(data)
        self._fed += len(data)
        self.bytes += len(data)
        self._current = False
        if self._fed >= STIR_BYTES:
            self._snap()

    def next_file(self, source: Capture) -> None:
        """Begins the next file of the ring, or the first."""
        if not self.bytes:
            self.window.sources[self._capture] = source
            return
        with refusing(self.source):
            self.decoder.next_capture()
        self._current = False
        batch = self.decoder.drain()
        self._note(batch["captures"])
        self._take(batch)
        self._before = self.frames
        self._capture = (self._capture + 1) & 0xFFFF
        self.window.sources[self._capture] = source

    def _take(self, batch: dict[str, Any]) -> None:
        """Adds rows that are final to the window."""
        messages = sum(len(columns["exchange"]) for columns in batch["decoded"].values())
        self._taken_rows += len(batch["strings"]) + messages
        self.settle(batch)
        self.window.add(batch, self.last)
        self._fed = 0

    def _note(self, captures: dict[str, Array]) -> None:
        if len(captures["frames"]):
            self.frames = self._before + int(captures["frames"][-1])
            self.last = max(self.last, int(captures["last"][-1]))

    def _snap(self) -> dict[str, Any]:
        """Adds the rows that are final to the window; those that are not yet, both as of now, so that each is once."""
        self.decoder.release()
        batch, snapshot = self.decoder.drain(), self.decoder.snapshot()
        for rows in (batch, snapshot):  # the time first, by which rows are kept
            self._note(rows["captures"])
        self._take(batch)
        self._snapshot, self._current = snapshot, True
        return snapshot

    @property
    def snapshot(self) -> dict[str, Any]:
        """The rows of the latest trace that are not final."""
        assert self._snapshot is not None, "there is a trace"
        return self._snapshot

    def stir(self) -> Stir:
        exchanges = self._snap()["exchanges"]
        if self.frames == self._stirred:
            return Stir.NOTHING
        self._stirred = self.frames
        urgent = ~np.isin(exchanges["prog"], NFS_PROGRAMS)
        state = b"".join(exchanges[name][urgent].tobytes() for name in STATE)
        self._state, earlier = state, self._state
        return Stir.TRAFFIC if state == earlier else Stir.NEWS

    @property
    def open_calls(self) -> Array:
        """The times of the calls that have no reply yet."""
        if self._snapshot is None:
            return np.zeros(0, dtype=np.int64)
        exchanges = self._snapshot["exchanges"]
        times: Array = exchanges["time"][(exchanges["reply_frame"] == 0) & (exchanges["time"] != NAT)]
        return times

    def trace(self, elapsed: int = 0) -> Trace | None:
        """The window's trace, `elapsed` ns after the last packet; None before the first `stir` or the first file."""
        if self._snapshot is None or not (self.frames or self.window.files):
            return None
        if not self._current:
            self._snap()
        now = self.last if self.last == NAT else self.last + elapsed
        decoded = self.window.decoded(self._snapshot, now)
        if self.drops is not None:
            decoded.interfaces[-1:] = [row | {"drops": self.drops} for row in decoded.interfaces[-1:]]
        self._forget(now)
        return Trace(decoded)

    def _forget(self, now: int) -> None:
        assert self._snapshot is not None
        if self._forgot == NAT:
            self._forgot = now
        if self._taken_rows > MAX_TAKEN_ROWS or now - self._forgot > self.window.length:
            self.window.forget(self._snapshot)
            self.decoder.forget()
            self._taken_rows, self._forgot = 0, now
            self._snap()

    def close(self, elapsed: int = 0) -> Trace | None:
        """The last trace, after the end of the source, with what only the end decides. Raises SourceError.

        If a later file of a ring is no capture, the trace is of the files before it.
        """
        try:
            with refusing(self.source):
                last = self.decoder.close()
        except SourceError:
            if not self.frames:
                raise
            return self.trace(elapsed)
        if not self.bytes:
            last["captures"]["truncated"][:] = 0  # nothing came: nothing is cut
        self._note(last["captures"])
        self.settle(last)
        self.window.add(last, self.last)
        self._current = True
        self._snapshot = EMPTY | {table: {name: values[:0] for name, values in last[table].items()} for table in LATEST}
        return self.trace(elapsed)


LATEST = ("exchanges", "flows", "captures")
EMPTY: dict[str, Any] = {"capture_formats": [], "interfaces": []}
