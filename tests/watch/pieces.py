"""Captures cut into pieces by the time of their packets, as they would have come."""

import struct
from collections.abc import Iterator
from typing import NamedTuple

HEADER, RECORD = 24, 16
NANOSECONDS = bytes.fromhex("4d3cb2a1")


class Piece(NamedTuple):
    at: float  # s since the first packet
    data: bytes


def by_time(capture: bytes, seconds: float) -> Iterator[Piece]:
    """A little-endian pcap file, the packets of so many seconds a piece; the first has the file's header."""
    tick = 1e-9 if capture.startswith(NANOSECONDS) else 1e-6
    at, start, first, turn = HEADER, 0, None, 0.0
    while at < len(capture):
        whole, fraction, length = struct.unpack_from("<III", capture, at)
        time = whole + fraction * tick
        first = time if first is None else first
        if time - first >= turn + seconds:
            yield Piece(turn + seconds, capture[start:at])
            start, turn = at, (time - first) // seconds * seconds
        at += RECORD + length
    yield Piece(turn + seconds, capture[start:])
