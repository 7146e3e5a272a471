"""What a live source delivers, taken from it by a thread: whoever evaluates can do so when nothing comes.

A source of this kind gives chunks of bytes, and `NextFile` before each file of a ring; it may be told to stop from
another thread, and then ends after what it has already captured.
"""

from __future__ import annotations

import time
from collections.abc import Generator, Iterator
from typing import NamedTuple, Protocol, TypeAlias

from nfsrpc.sources.handover import Handover

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


Piece: TypeAlias = bytes | NextFile | Exception


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
        self._handover = Handover(paced(source), CHUNKS_AHEAD, "nfsrpc-arrivals")

    def get(self, timeout: float) -> Piece | None:
        """The next one; no bytes where the wait for it was ended. Raises TimeoutError when nothing comes so long."""
        return self._handover.get(max(timeout, 0.0))

    def wake(self) -> None:
        """Ends the wait for the next one. May be called by a signal handler, and by another thread."""
        self._handover.put(WAKE)

    def abandon(self) -> None:
        """Nothing more is wanted."""
        self._handover.abandon()


def paced(source: LiveSource) -> Generator[Piece, None, None]:
    """The pieces of a source, with a pause after each small one, and its exception as the last one."""
    try:
        for piece in source.pieces():
            yield piece
            if isinstance(piece, bytes) and len(piece) < SMALL:
                time.sleep(PAUSE_S)
    except Exception as error:  # noqa: BLE001  it is handed to the consumer
        yield error
