"""Two streams joined in one: packets of both, each whole and in its order; one that fails or ends, ends both."""

import struct
import sys
from collections.abc import Iterator
from threading import Event

import pytest

from nfsrpc.sources import SourceError
from nfsrpc.sources.live_queue import NextFile
from nfsrpc.sources.pcap import MAX_SNAPLEN
from nfsrpc.sources.tcpdump_adaptive import merged

ORDER = "<" if sys.byteorder == "little" else ">"


def header(snaplen: int) -> bytes:
    return struct.pack(f"{ORDER}IHHiIII", 0xA1B2C3D4, 2, 4, 0, 0, snaplen, 1)


def record(number: int, size: int) -> bytes:
    return struct.pack(f"{ORDER}IIII", number, 0, size, size) + bytes([number]) * size


class Script:
    """A live source of some bytes, in pieces of some length, which then waits to be stopped, or fails."""

    prompt = True
    drops: int | None = None

    def __init__(self, data: bytes, step: int, error: str = "") -> None:
        self.name, self.data, self.step, self.error = "script", data, step, error
        self.stopped, self.is_delivered = Event(), Event()

    def pieces(self) -> Iterator[bytes | NextFile]:
        for start in range(0, len(self.data), self.step):
            yield self.data[start : start + self.step]
        self.is_delivered.set()
        if self.error:
            raise SourceError(self.name, self.error)
        self.stopped.wait(10)

    def stop(self) -> None:
        self.stopped.set()


@pytest.mark.parametrize("step", [1, 7, 24, 40, 1000])
def test_whole_packets_of_both(step: int) -> None:
    first = [record(number, 10 * number) for number in range(1, 6)]
    second = [record(number, 3) for number in range(101, 140)]
    sources = [Script(header(0) + b"".join(first), step), Script(header(2048) + b"".join(second), step)]
    taken = b""
    for piece in merged(sources):
        taken += piece
        if len(taken) >= 24 + sum(map(len, first + second)):
            for source in sources:
                source.stop()
    assert taken.startswith(header(MAX_SNAPLEN))
    found, at = [], 24
    while at < len(taken):
        (size,) = struct.unpack_from(f"{ORDER}I", taken, at + 8)
        found.append(taken[at : at + 16 + size])
        at += 16 + size
    assert [one for one in found if one in first] == first
    assert [one for one in found if one in second] == second
    assert len(found) == len(first) + len(second)


def test_where_one_fails_the_other_ends() -> None:
    well, ill = Script(header(0) + record(1, 9), 99), Script(header(0), 99, error="was ended by SIGKILL")
    with pytest.raises(SourceError, match="was ended by SIGKILL"):
        list(merged([well, ill]))
    assert well.stopped.is_set()


def test_closing_ends_both() -> None:
    sources = [Script(header(0) + record(1, 9) * 500, 25) for _ in range(2)]
    taken = merged(sources)
    next(taken)
    taken.close()
    assert all(source.stopped.is_set() for source in sources)
