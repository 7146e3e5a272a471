"""A capture by tcpdump that spares itself the data of NFS where a node is too busy to capture everything.

It begins with whole frames. READ and WRITE fill segments without regard to where messages begin, so that what is left
out takes headers with it, and calls that run one into the other can no longer be told: that is right only where packets
are dropped otherwise, among them those that matter. From then on there are two children, one for NFS with frames cut,
one for everything else with whole ones, whose packets go into one stream. tcpdump has one snap length a process. Its
supervisor has the commands of all three from the beginning: nothing is to be asked for later that needs rights.
"""

from __future__ import annotations

import sys
from collections.abc import Iterator, Sequence
from contextlib import closing
from queue import Queue
from threading import Thread
from typing import NamedTuple

from nfsrpc.sources.live_queue import LiveSource, NextFile
from nfsrpc.sources.supervisor import Supervisor
from nfsrpc.sources.tcpdump import FILTER, Tcpdump

NFS = "port 2049"
# A frame of an Ethernet's MTU stays whole, and with it what is short; frames that the host's network card is to cut up,
# or has put together, have up to 64 KiB, nearly all of them data.
NFS_BYTES = 2048
# Packets dropped before it is too much: a burst as tcpdump starts says nothing.
MANY_DROPS = 1000
PIECES_AHEAD = 4  # few, so that the next ones grow in their pipes meanwhile
FILE_HEADER, RECORD_HEADER = 24, 16
SNAPLEN = slice(16, 20)  # in the header of a pcap file
LONGEST = (1 << 18).to_bytes(4, sys.byteorder)


class Sparing:
    prompt = True

    def __init__(self, interface: str, command: str, supervisor: Supervisor | None = None) -> None:
        """A `supervisor` that is passed is closed by the caller."""
        self._supervisor = supervisor or Supervisor()
        self._owns_supervisor = supervisor is None
        self._whole = Tcpdump(interface, FILTER, command, 0, self._supervisor)
        self._parts = (
            Tcpdump(interface, f"{FILTER} and not {NFS}", command, 0, self._supervisor),
            Tcpdump(interface, NFS, command, NFS_BYTES, self._supervisor),
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
            yield from together(self._parts)


class Told(NamedTuple):
    """What a source gave: the header of its file first, then whole records; at last nothing, or why it failed."""

    data: bytes = b""
    header: bool = False
    trouble: Exception | None = None


def together(sources: Sequence[LiveSource]) -> Iterator[bytes]:
    """The packets of several pcap streams of one kind as one, each in its own order. Raises what one of them raises."""
    told: Queue[Told] = Queue(PIECES_AHEAD)
    for source in sources:
        Thread(target=read, args=(source, told), daemon=True).start()
    begun, left = False, len(sources)
    trouble = None
    try:
        while left and not trouble:
            piece = told.get()
            trouble = piece.trouble
            left -= not piece.data
            if piece.data and not (piece.header and begun):
                yield piece.data
            begun |= piece.header
    finally:
        for source in sources:
            source.stop()
        while left:
            left -= not told.get().data
    if trouble:
        raise trouble


def read(source: LiveSource, told: Queue[Told]) -> None:
    try:
        rest, header = b"", True
        for piece in source.pieces():
            rest += piece if isinstance(piece, bytes) else b""
            if header and len(rest) >= FILE_HEADER:
                told.put(Told(rest[: SNAPLEN.start] + LONGEST + rest[SNAPLEN.stop : FILE_HEADER], True))
                rest, header = rest[FILE_HEADER:], False
            end = 0 if header else end_of_records(rest)
            if end:
                told.put(Told(rest[:end]))
                rest = rest[end:]
        told.put(Told())
    except Exception as error:  # noqa: BLE001  it is handed to the consumer
        told.put(Told(trouble=error))


def end_of_records(data: bytes) -> int:
    """Where the last whole record ends."""
    at = end = 0
    while at <= len(data):
        end = at
        at += RECORD_HEADER + int.from_bytes(data[at + 8 : at + 12], sys.byteorder)
    return end
