"""A live capture by tcpdump that cuts the frames of NFS once the kernel drops packets.

It starts with whole frames. READ and WRITE fill segments regardless of where messages begin, so that cut frames lose
headers, and calls that follow each other in a segment can no longer be separated: that is right only where packets
would be dropped otherwise, among them those that matter. From then on there are two children, one for NFS with frames
cut, one for everything else with whole frames, whose packets are joined in one stream: tcpdump has one snap length per
process. The supervisor has the commands of all three from the start: later there may be no rights to start them.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import closing
from queue import Queue
from threading import Thread
from typing import NamedTuple

from nfsrpc.sources.live_queue import LiveSource, NextFile
from nfsrpc.sources.pcap import FILE_HEADER, end_of_records, with_largest_snaplen
from nfsrpc.sources.supervisor import Supervisor
from nfsrpc.sources.tcpdump import FILTER, Tcpdump

NFS_FILTER = "port 2049"
# Frames up to Ethernet's MTU stay whole; frames that the host's network card splits (TSO) or has joined (GRO) have up
# to 64 KiB, nearly all of it data.
NFS_BYTES = 2048
# Drops from which on frames are cut: a burst while tcpdump starts is no reason.
MANY_DROPS = 1000
CHUNKS_AHEAD = 4  # few, so that the next ones grow in their pipes meanwhile


class TcpdumpAdaptive:
    """A live source: tcpdump on one interface, from the first many drops on with NFS frames cut."""

    prompt = True

    def __init__(self, interface: str, command: str, supervisor: Supervisor | None = None) -> None:
        """A `supervisor` that is passed is closed by the caller."""
        self._supervisor = supervisor or Supervisor()
        self._owns_supervisor = supervisor is None
        self._whole = Tcpdump(interface, FILTER, command, 0, self._supervisor)
        self._parts = (
            Tcpdump(interface, f"{FILTER} and not {NFS_FILTER}", command, 0, self._supervisor),
            Tcpdump(interface, NFS_FILTER, command, NFS_BYTES, self._supervisor),
        )
        self._stopped = False
        self.name = self._whole.name

    @property
    def drops(self) -> int | None:
        known = [source.drops for source in (self._whole, *self._parts) if source.drops is not None]
        return sum(known) if known else None

    def prepare(self) -> None:
        self._whole.prepare()

    def stop(self) -> None:
        self._stopped = True
        for source in (self._whole, *self._parts):
            source.stop()

    def pieces(self) -> Iterator[bytes | NextFile]:
        try:
            self.prepare()
            yield from self._captured()
        finally:
            if self._owns_supervisor:
                self._supervisor.close()

    def _captured(self) -> Iterator[bytes | NextFile]:
        with closing(self._whole.pieces()) as pieces:
            for piece in pieces:
                yield piece
                if (self._whole.drops or 0) >= MANY_DROPS and not self._stopped:
                    break
            else:
                return
        if not self._stopped:
            yield NextFile(f"{self.name}, NFS frames cut")
            yield from merged(self._parts)


class Chunk(NamedTuple):
    """Bytes of one source: first the header of its file, then whole records; at its end none, or its exception."""

    data: bytes = b""
    header: bool = False
    trouble: Exception | None = None


def merged(sources: Sequence[LiveSource]) -> Iterator[bytes]:
    """One pcap stream of several with one link type, each source's packets in their order. Raises what one raises."""
    chunks: Queue[Chunk] = Queue(CHUNKS_AHEAD)
    for source in sources:
        Thread(target=read, args=(source, chunks), daemon=True).start()
    has_header, left = False, len(sources)
    trouble = None
    try:
        while left and not trouble:
            piece = chunks.get()
            trouble = piece.trouble
            left -= not piece.data
            if piece.data and not (piece.header and has_header):
                yield piece.data
            has_header |= piece.header
    finally:
        for source in sources:
            source.stop()
        while left:
            left -= not chunks.get().data
    if trouble:
        raise trouble


def read(source: LiveSource, chunks: Queue[Chunk]) -> None:
    """Puts the header and the whole records of a source's stream into the queue."""
    try:
        rest, header = b"", True
        for piece in source.pieces():
            rest += piece if isinstance(piece, bytes) else b""
            if header and len(rest) >= FILE_HEADER:
                chunks.put(Chunk(with_largest_snaplen(rest[:FILE_HEADER]), True))
                rest, header = rest[FILE_HEADER:], False
            end = 0 if header else end_of_records(rest)
            if end:
                chunks.put(Chunk(rest[:end]))
                rest = rest[end:]
        chunks.put(Chunk())
    except Exception as error:  # noqa: BLE001  it is handed to the consumer
        chunks.put(Chunk(trouble=error))
