"""Producing chunks in a thread, a few ahead of who uses them.

Decompressors and the decoder release the GIL, so they run at the same time, one core each. For plain files it does not
pay: a read costs no more than handing its chunk from thread to thread.
"""

import threading
from collections.abc import Generator, Iterator
from queue import SimpleQueue

# Enough that neither side waits for the other's every chunk; the price is so many chunks of memory.
CHUNKS_AHEAD = 4


def read_ahead(chunks: Generator[bytes, None, None]) -> Iterator[bytes]:
    """The same chunks; an exception of the producer is raised where it would have been.

    A consumer that stops early does not wait for the producer, which may be held in a read and closes `chunks` itself.
    """
    ready: SimpleQueue[bytes | Exception | None] = SimpleQueue()
    room = threading.Semaphore(CHUNKS_AHEAD)
    abandoned = threading.Event()

    def produce() -> None:
        try:
            for chunk in chunks:
                ready.put(chunk)
                room.acquire()
                if abandoned.is_set():
                    break
            ready.put(None)
        except Exception as error:  # noqa: BLE001  it is raised again in the consumer
            ready.put(error)
        finally:
            chunks.close()

    threading.Thread(target=produce, name="nfsrpc-read-ahead", daemon=True).start()
    try:
        while isinstance(item := ready.get(), bytes):
            room.release()
            yield item
        if item is not None:
            raise item
    finally:
        abandoned.set()
        room.release()
