"""What a live source delivers, taken from it by a thread: whoever evaluates can do so when nothing comes.

A source of this kind gives chunks of bytes, and `NextFile` before each file of a ring; it may be told to stop from
another thread, and then ends after what it has already captured.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Iterator
from queue import Empty, SimpleQueue
from typing import NamedTuple, Protocol

# Chunks that wait for who evaluates. A pipe gives 64 KiB at a time, or more: at most some hundred MB in the worst case,
# and some seconds of the busiest node. Beyond, the source has to wait.
CHUNKS_AHEAD = 1 << 10
# tcpdump -U writes packet by packet. A short pause after a small piece lets the pipe fill, and costs no more delay.
SMALL = 1 << 14
PAUSE_S = 0.005
WAKE = b""


class NextFile(NamedTuple):
    """What follows is another file."""

    name: str


class LiveSource(Protocol):
    """Where a capture comes from while it is taken.

    `prompt`: it delivers packets at once, so that silence means that there were none. `drops`: frames that it says were
    lost, None when it does not say.
    """

    name: str
    prompt: bool

    @property
    def drops(self) -> int | None: ...
    def prepare(self) -> None:
        """Does what needs the rights of whoever calls, which may be given up then. Raises SourceError."""

    def pieces(self) -> Iterator[bytes | NextFile]: ...
    def stop(self) -> None: ...


class Arrivals:
    """The pieces of a source, in order; its exception, if it ends with one; then None for ever."""

    def __init__(self, source: LiveSource) -> None:
        self._source = source
        self._ready: SimpleQueue[bytes | NextFile | Exception | None] = SimpleQueue()
        self._room = threading.Semaphore(CHUNKS_AHEAD)
        self._abandoned = False
        self._ended = False
        threading.Thread(target=self._produce, name="nfsrpc-arrivals", daemon=True).start()

    def _produce(self) -> None:
        try:
            for piece in self._source.pieces():
                self._ready.put(piece)
                self._room.acquire()
                if self._abandoned:
                    return
                if isinstance(piece, bytes) and len(piece) < SMALL:
                    time.sleep(PAUSE_S)
        except Exception as error:  # noqa: BLE001  it is handed to the consumer
            self._ready.put(error)
        finally:
            self._ready.put(None)

    def get(self, timeout: float) -> bytes | NextFile | Exception | None:
        """The next one; no bytes where the wait for it was ended. Raises TimeoutError when nothing comes so long."""
        if self._ended:
            return None
        try:
            piece = self._ready.get(timeout=max(timeout, 0.0))
        except Empty:
            raise TimeoutError from None
        if piece == WAKE:
            return WAKE
        self._room.release()
        self._ended = piece is None
        return piece

    def wake(self) -> None:
        """Ends the wait for the next one. May be called by a signal handler, and by another thread."""
        self._ready.put(WAKE)

    def abandon(self) -> None:
        """Nothing more is wanted."""
        self._abandoned = True
        self._room.release()
