"""A capture that goes on: fed as it comes, and asked now and then for the trace of its last quarter of an hour.

The decoder and the tables are those of files. `stir` takes what the decoder has and says whether it is worth a look;
`trace` puts the window together. Time is the packets'. Where the source delivers at once, silence is time too: then a
request that nobody answers grows old although no packet comes, and `elapsed` says by how much.
"""

from __future__ import annotations

from enum import IntEnum
from typing import Any

import numpy as np

from nfsrpc._core import Decoder
from nfsrpc.columns import NAT, Array
from nfsrpc.protocols import PROTOCOLS, compile  # noqa: A004
from nfsrpc.reading import SECONDARY, WRITES, refusing
from nfsrpc.sessions import COUNTING, WANTED
from nfsrpc.sources import Capture, SourceError
from nfsrpc.trace import Trace
from nfsrpc.watch.window import NFS, Window
from nfsrpc.wording import SECOND

WINDOW_S = 900.0
# Rows are taken from the core at least so often: what a busy second brings.
STIR_BYTES = 64 << 20
# The core forgets after so many strings and rows of messages: well below its limits, so that none is ever refused.
MAX_TOLD = 1 << 18
# Columns of an exchange in reach that change when something happens to it.
STATE = ("exchange", "reply_frame", "retransmits", "duplicates", "flags")


class Stir(IntEnum):
    """What came since the last time."""

    NOTHING = 0
    TRAFFIC = 1  # only what rules do not hurry about
    NEWS = 2  # calls, answers or resends of something else than NFS


class Watch:
    def __init__(self, source: Capture = "-", window_s: float = WINDOW_S) -> None:
        layouts, specs = compile(PROTOCOLS, WANTED)
        self.decoder = Decoder(layouts, specs, 0, COUNTING.procedures, secondary=SECONDARY, by_handle=WRITES)
        self.window = Window({table: dict(columns) for table, columns in specs}, round(window_s * SECOND))
        self.window.sources[0] = source
        self.last = NAT  # the latest packet
        self.frames = 0  # of all files
        self.bytes = 0
        self.drops: int | None = None  # frames that who captures says were lost
        self._snapshot: dict[str, Any] | None = None
        self._current = False  # the snapshot is of all that was fed
        self._stirred = 0  # frames, when stirred last
        self._capture = 0
        self._fed = 0
        self._before = 0  # frames of files that are over
        self._state = b""
        self._told = 0
        self._forgot = NAT

    @property
    def source(self) -> str:
        """The name of the file that is being read."""
        return str(self.window.sources[self._capture])

    def feed(self, data: bytes) -> None:
        """Raises SourceError for what is no capture."""
        with refusing(self.source):
            self.decoder.feed(data)
        self._fed += len(data)
        self.bytes += len(data)
        self._current = False
        if self._fed >= STIR_BYTES:
            self._snap()

    def next_file(self, source: Capture) -> None:
        """What follows is the next file of the ring, or the first."""
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
        """Rows that are final go to the window."""
        self._told += len(batch["strings"]) + sum(len(columns["exchange"]) for columns in batch["decoded"].values())
        self.window.add(batch, self.last)
        self._fed = 0

    def _note(self, captures: dict[str, Array]) -> None:
        if len(captures["frames"]):
            self.frames = self._before + int(captures["frames"][-1])
            self.last = max(self.last, int(captures["last"][-1]))

    def _snap(self) -> dict[str, Any]:
        """Rows that are final, and those that are not yet: both as of now, so that each is there once."""
        self.decoder.release()
        batch, snapshot = self.decoder.drain(), self.decoder.snapshot()
        for told in (batch, snapshot):  # the time first, by which rows are kept
            self._note(told["captures"])
        self._take(batch)
        self._snapshot, self._current = snapshot, True
        return snapshot

    def stir(self) -> Stir:
        exchanges = self._snap()["exchanges"]
        if self.frames == self._stirred:
            return Stir.NOTHING
        self._stirred = self.frames
        urgent = ~np.isin(exchanges["prog"], NFS)
        state = b"".join(exchanges[name][urgent].tobytes() for name in STATE)
        self._state, earlier = state, self._state
        return Stir.TRAFFIC if state == earlier else Stir.NEWS

    @property
    def open_calls(self) -> Array:
        """When the calls were sent that have no answer yet."""
        if self._snapshot is None:
            return np.zeros(0, dtype=np.int64)
        exchanges = self._snapshot["exchanges"]
        times: Array = exchanges["time"][(exchanges["reply_frame"] == 0) & (exchanges["time"] != NAT)]
        return times

    def trace(self, elapsed: int = 0) -> Trace | None:
        """The window, `elapsed` ns after the last packet; None before the first `stir`, or where there is nothing."""
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
        if self._told > MAX_TOLD or now - self._forgot > self.window.length:
            self.window.forget(self._snapshot)
            self.decoder.forget()
            self._told, self._forgot = 0, now
            self._snap()

    def close(self, elapsed: int = 0) -> Trace | None:
        """The source has ended: the last trace, with what only the end decides. Raises SourceError.

        Where a later file of a ring is no capture, it is that of what came before.
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
        self.window.add(last, self.last)
        self._current = True
        self._snapshot = EMPTY | {table: {name: values[:0] for name, values in last[table].items()} for table in LATEST}
        return self.trace(elapsed)


LATEST = ("exchanges", "flows", "captures")
EMPTY: dict[str, Any] = {"capture_formats": [], "interfaces": []}
