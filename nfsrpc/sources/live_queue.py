"""The pieces of a live source, read by a thread of its own, so that evaluation goes on while nothing comes.

A source of this kind gives chunks of bytes, and `NextFile` before each file of a ring. It can be stopped from another
thread, and then ends after what it has already captured.
"""

from __future__ import annotations

import time
from collections.abc import Generator, Iterator
from typing import NamedTuple, Protocol, TypeAlias

from nfsrpc.sources.handover import Handover

# Pieces that wait for evaluation. A pipe gives 64 KiB at a time, or more: at most some hundred MB in the worst case,
# and some seconds of the busiest node. Beyond, the source has to wait.
PIECES_AHEAD = 1 << 10
# tcpdump -U writes packet by packet. A short pause after a small piece lets the pipe fill, and costs no more delay.
SMALL_PIECE = 1 << 14
PAUSE_S = 0.005
WAKE = b""


class NextFile(NamedTuple):
    """The pieces that follow are of another file."""

    name: str


Piece: TypeAlias = bytes | NextFile | Exception


class LiveSource(Protocol):
    """A source of a capture that is still being taken.

    `prompt`: packets are delivered at once, so that silence means that there were none. `drops`: the number of frames
    lost in capturing, None where it is not known.
    """

    name: str
    prompt: bool

    @property
    def drops(self) -> int | None: ...
    def prepare(self) -> None:
        """Does everything that needs the caller's rights, which can be given up then. Raises SourceError."""

    def pieces(self) -> Iterator[bytes | NextFile]: ...
    def stop(self) -> None: ...


class LiveQueue:
    """The pieces of a source, in order; its exception, if it ends with one; then always None."""

    def __init__(self, source: LiveSource) -> None:
        self._handover = Handover(paced(source), PIECES_AHEAD, "nfsrpc-arrivals")

    def get(self, timeout: float) -> Piece | None:
        """The next piece; empty bytes after `wake`. Raises TimeoutError when none comes within `timeout`."""
        return self._handover.get(max(timeout, 0.0))

    def wake(self) -> None:
        """Ends the wait for the next piece. May be called by a signal handler, and by another thread."""
        self._handover.put(WAKE)

    def abandon(self) -> None:
        """Ends the thread after the piece at hand, without waiting for it."""
        self._handover.abandon()


def paced(source: LiveSource) -> Generator[Piece, None, None]:
    """The pieces of a source, with a pause after each small one, and its exception as the last one."""
    try:
        for piece in source.pieces():
            yield piece
            if isinstance(piece, bytes) and len(piece) < SMALL_PIECE:
                time.sleep(PAUSE_S)
    except Exception as error:  # noqa: BLE001  it is handed to the consumer
        yield error
