"""What happens to a finished capture (pcap with nanoseconds, Ethernet): frames again, kept away, at other times."""

from __future__ import annotations

import struct
from collections.abc import Callable, Iterator, Mapping, Sequence
from itertools import count

NO_CHECKSUM = b"\0\0"  # of IP: left to the network card


def records_of(capture: bytes) -> Iterator[bytes]:
    """The frames, each with its header of 16 bytes."""
    at = 24
    while at < len(capture):
        size = 16 + int(struct.unpack_from("<I", capture, at + 8)[0])
        yield capture[at : at + size]
        at += size


def kept(capture: bytes, keep: Callable[[bytes], bool]) -> bytes:
    """The capture with those records of which this is true."""
    return capture[:24] + b"".join(record for record in records_of(capture) if keep(record))


def source_port(record: bytes) -> int:
    return int.from_bytes(record[16 + 34 : 16 + 36])


def target_port(record: bytes) -> int:
    return int.from_bytes(record[16 + 36 : 16 + 38])


def sent_again(capture: bytes, frames: Mapping[int, Sequence[float]]) -> bytes:
    """With some of its frames sent by TCP again: the same segments in new IP packets, so long after."""
    records = list(records_of(capture))
    numbers = count(0x7000)
    for record, delay in [(records[frame - 1], delay) for frame, delays in frames.items() for delay in delays]:
        seconds, nanoseconds = struct.unpack_from("<II", record)
        time = divmod(seconds * 10**9 + nanoseconds + round(delay * 10**9), 10**9)
        identification = struct.pack(">H", next(numbers))
        header = record[30:34] + identification + record[36:40] + NO_CHECKSUM + record[42:50]
        records.append(struct.pack("<II", *time) + record[8:30] + header + record[50:])
    records.sort(key=lambda record: struct.unpack_from("<II", record))
    return capture[:24] + b"".join(records)


def clock_set(capture: bytes, frame: int, seconds: int) -> bytes:
    """As if the capturing host's clock had been set by so much just before this frame."""
    records = list(records_of(capture))
    for number in range(frame - 1, len(records)):
        (time,) = struct.unpack_from("<I", records[number])
        records[number] = struct.pack("<I", time + seconds) + records[number][4:]
    return capture[:24] + b"".join(records)
