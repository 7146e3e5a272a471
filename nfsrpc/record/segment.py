"""The bytes of a segment of the ring, a pcapng file (draft-ietf-opsawg-pcapng): written as they come, read by time.

The core makes the packet blocks. Here are the blocks before and after them, and the scan over the blocks of a file that
may end anywhere: the recorder may have been killed within a write. All blocks are little-endian, with times in ns.
"""

from __future__ import annotations

import struct
from collections.abc import Iterator
from typing import NamedTuple

SECTION, INTERFACE, STATISTICS, PACKET = 0x0A0D0D0A, 1, 5, 6
BYTE_ORDER = 0x1A2B3C4D
COMMENT, USER_APPLICATION, IF_NAME, IF_TSRESOL, ISB_OSDROP = 1, 4, 2, 9, 7  # options
NANOSECONDS = 9
MAX_NAME = 256  # bytes, as in core/src/capture/pcapng.rs
MAX_COMMENT = 4000  # bytes: a frame may be evidence of many findings
UNKNOWN_LENGTH = -1
FRONT, BACK = 8, 4  # type and length; the length again
PACKET_DATA = 28  # of a packet block: where the frame begins
MAX_BLOCK = 16 << 20


class Interface(NamedTuple):
    """An interface as the core names it for its blocks."""

    link_type: int
    name: str
    snaplen: int


class PacketBlock(NamedTuple):
    """A packet block as it lies in the file."""

    time: int
    interface: int  # of its file
    data: bytes


def block(kind: int, body: bytes) -> bytes:
    size = FRONT + len(body) + BACK
    return struct.pack("<II", kind, size) + body + struct.pack("<I", size)


def options(*pairs: tuple[int, bytes]) -> bytes:
    """Options with their end."""
    parts = [struct.pack("<HH", code, len(value)) + value + bytes(-len(value) % 4) for code, value in pairs]
    return b"".join([*parts, bytes(4)])


def section(comment: str = "") -> bytes:
    pairs = [(COMMENT, text(comment, MAX_COMMENT))] if comment else []
    head = struct.pack("<IHHq", BYTE_ORDER, 1, 0, UNKNOWN_LENGTH)
    return block(SECTION, head + options(*pairs, (USER_APPLICATION, b"nfsrpc record")))


def interface_block(interface: Interface) -> bytes:
    pairs = [(IF_NAME, text(interface.name, MAX_NAME))] if interface.name else []
    head = struct.pack("<HHI", interface.link_type, 0, interface.snaplen)
    return block(INTERFACE, head + options(*pairs, (IF_TSRESOL, bytes([NANOSECONDS]))))


def statistics(time: int, drops: int) -> bytes:
    """The number of packets that the system dropped while the file was written."""
    head = struct.pack("<III", 0, time >> 32 & 0xFFFFFFFF, time & 0xFFFFFFFF)
    return block(STATISTICS, head + options((ISB_OSDROP, struct.pack("<Q", max(drops, 0)))))


def with_interface(packet: bytes, number: int) -> bytes:
    """A packet block of another interface."""
    return packet[:FRONT] + struct.pack("<I", number) + packet[FRONT + 4 :]


def with_comment(packet: bytes, comment: str) -> bytes:
    """A packet block, which has no options, with a comment."""
    return block(PACKET, packet[FRONT:-BACK] + options((COMMENT, text(comment, MAX_COMMENT))))


def text(value: str, limit: int) -> bytes:
    return value.encode("utf-8", "backslashreplace")[:limit].decode("utf-8", "ignore").encode()


def blocks(data: bytes | memoryview) -> Iterator[tuple[int, int, int]]:
    """Type, begin and end of each whole block. What comes after the last whole one is left out."""
    at = 0
    while at + FRONT + BACK <= len(data):
        kind, size = struct.unpack_from("<II", data, at)
        if not FRONT + BACK <= size <= MAX_BLOCK or size % 4 or at + size > len(data):
            return
        if struct.unpack_from("<I", data, at + size - BACK) != (size,):
            return
        yield kind, at, at + size
        at += size


def packet_time(data: bytes | memoryview, at: int) -> int:
    """The time of the packet block that begins at `at`."""
    high, low = struct.unpack_from("<II", data, at + FRONT + 4)
    return int(high << 32 | low)


def packets(data: bytes, since: int, until: int) -> Iterator[bytes | PacketBlock]:
    """The interface blocks of a file, as they lie there, and the packets of a range of time."""
    for kind, begin, end in blocks(data):
        if kind == INTERFACE:
            yield data[begin:end]
        elif kind == PACKET and end - begin >= PACKET_DATA + BACK:
            time = packet_time(data, begin)
            if since <= time <= until:
                [interface] = struct.unpack_from("<I", data, begin + FRONT)
                yield PacketBlock(time, interface, data[begin:end])
