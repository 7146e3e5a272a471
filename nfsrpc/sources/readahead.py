"""Chunks produced in a thread, a few ahead of their consumer.

Decompressors and the decoder release the GIL, so they run at the same time, one core each. For plain files it does not
pay: a read costs no more than handing its chunk from thread to thread.
"""

from __future__ import annotations

from collections.abc import Generator, Iterator

from nfsrpc.sources.handover import Handover

# Enough that neither side waits at every chunk; the price is the memory of so many chunks.
CHUNKS_AHEAD = 4


def read_ahead(chunks: Generator[bytes, None, None]) -> Iterator[bytes]:
    """The chunks of a generator, produced in a thread; its exception is raised where it ended.

    A consumer that stops early does not wait for the producer, which may be held in a read and closes `chunks` itself.
    """
    handover = Handover(chunks, CHUNKS_AHEAD, "nfsrpc-read-ahead")
    try:
        while (chunk := handover.get()) is not None:
            yield chunk
    finally:
        handover.abandon()
