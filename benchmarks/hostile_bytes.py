"""Captures that cost much to read, of any size: containers, frames and streams made to be searched, copied or kept.

`BYTES` has a generator for each kind, which gives the files of it: some `n` of what it is named after. What messages
mean does not matter here; attacks.py has captures whose messages are to be compared with each other.
"""

from __future__ import annotations

import struct
from collections.abc import Callable, Iterator
from random import Random

from benchmarks.attacks import (
    ACK,
    CLIENT,
    LOCK,
    LOCKD,
    NFS,
    NFSD,
    NLM,
    PSH,
    SECOND,
    SERVER,
    SYN,
    TEST,
    UDP,
    Ends,
    Frame,
    Owner,
    Writer,
    block,
    handle,
    host,
    opaque,
    pcap,
    record,
)

Files = list[bytes]
BYTES: dict[str, Callable[[int], Files]] = {}
SEED = 100021
GETATTR, READDIRPLUS = 1, 17
MORE_FRAGMENTS = 0x2000
ENDS = Ends(CLIENT, 700, SERVER, NFSD)
ATTRIBUTES = struct.pack(">I", 0) + bytes(84)
MESSAGE = struct.pack(">IIIIIIIIII", 1, 0, 2, NFS, 3, GETATTR, 0, 0, 0, 0) + opaque(handle(0))


def files(generator: Callable[[int], Files]) -> Callable[[int], Files]:
    BYTES[generator.__name__] = generator
    return generator


def frames(generator: Callable[[Writer, int], None]) -> Callable[[Writer, int], None]:
    """One pcap file."""

    def written(n: int) -> Files:
        writer = Writer()
        generator(writer, n)
        return [pcap(writer.frames)]

    BYTES[generator.__name__] = written
    return generator


def blocks(generator: Callable[[int], Iterator[bytes]]) -> Callable[[int], Iterator[bytes]]:
    """One pcapng file, with a frame at its end."""
    BYTES[generator.__name__] = lambda n: [b"".join([SECTION, INTERFACE, *generator(n), enhanced(getattr_frame(0))])]
    return generator


SECTION = block(0x0A0D0D0A, struct.pack("<IHHq", 0x1A2B3C4D, 1, 0, -1))
INTERFACE = block(1, struct.pack("<HHI", 1, 0, 0))


def getattr_frame(number: int) -> Frame:
    writer = Writer()
    writer.wait(number * 1e-6)
    writer.call(ENDS, NFS, 3, GETATTR, opaque(handle(0)), xid=number)
    return writer.frames[0]


def enhanced(frame: Frame, interface: int = 0) -> bytes:
    time, size = frame.time // 1000, len(frame.data)
    head = struct.pack("<IIIII", interface, time >> 32, time & 0xFFFFFFFF, size, size)
    return block(6, head + frame.data + bytes(-size % 4))


def named(number: int) -> bytes:
    name = b"eth%06d\0\0" % number
    return block(1, struct.pack("<HHI", 1, 0, 0) + struct.pack("<HH", 2, 9) + name + b"\0" + bytes(4))


# Containers


@blocks
def interfaces_described(n: int) -> Iterator[bytes]:
    """Interfaces, each with a name and a frame."""
    yield from map(named, range(n))
    yield from (enhanced(getattr_frame(number), 1 + number) for number in range(n))


@blocks
def sections(n: int) -> Iterator[bytes]:
    """Sections, each with an interface and a frame."""
    for number in range(n):
        yield SECTION + named(number) + enhanced(getattr_frame(number))


@blocks
def unknown_blocks(n: int) -> Iterator[bytes]:
    yield from [block(0x7777, bytes(40))] * n


@blocks
def options(n: int) -> Iterator[bytes]:
    """Options of one interface."""
    yield block(1, struct.pack("<HHI", 1, 0, 0) + (struct.pack("<HH", 7, 4) + b"port") * n + bytes(4))


@blocks
def statistics(n: int) -> Iterator[bytes]:
    """Statistics of one interface."""
    for number in range(n):
        yield block(5, struct.pack("<IIIHHQ", 0, 0, 0, 5, 8, number))


@blocks
def corrupt_blocks(n: int) -> Iterator[bytes]:
    """What begins like blocks that end far behind it, between blocks."""
    for number in range(n):
        yield enhanced(getattr_frame(number)) + struct.pack("<II", 6, 4000) * 3


@files
def corrupt_records(n: int) -> Files:
    """Record headers that may be ones, until the next record is looked at."""
    one = struct.pack("<IIII", 1_700_000_000, 0, 60_000, 60_000)
    return [pcap([getattr_frame(0)]) + b"\xff" * 16 + one * n]


@files
def ring(n: int) -> Files:
    """Files that continue each other."""
    return [second_of(number) for number in range(n)]


@files
def vantages(n: int) -> Files:
    """Files of the same time."""
    return [second_of(0)] * n


def second_of(number: int) -> bytes:
    writer = Writer()
    writer.wait(number)
    ends = ENDS._replace(client=host(number))
    writer.reply(ends, writer.call(ends, NFS, 3, GETATTR, opaque(handle(number)), b"h%d" % number), ATTRIBUTES)
    return pcap(writer.frames)


@frames
def times_in_disorder(w: Writer, n: int) -> None:
    random = Random(SEED)
    for number in range(n):
        w.time = random.randrange(SECOND**2, 2 * SECOND**2)
        w.asked(ENDS, NFS, 3, GETATTR, opaque(handle(number)), ATTRIBUTES)


# Frames


@frames
def tags(w: Writer, n: int) -> None:
    """Frames with many VLAN tags."""
    for number in range(n):
        frame = getattr_frame(number)
        w.frames.append(frame._replace(data=frame.data[:12] + b"\x81\0\0\1" * 200 + frame.data[12:]))


@frames
def tunnels_in_tunnels(w: Writer, n: int) -> None:
    """IP in IP, thirty times."""
    for _ in range(n):
        w.udp(CLIENT, 700, SERVER, NFSD, b"")
        frame = w.frames.pop()
        packet = frame.data[14:]
        for _ in range(30):
            packet = (
                frame.data[14:16]
                + struct.pack(">H", 20 + len(packet))
                + frame.data[18:23]
                + b"\4"
                + (frame.data[24:34] + packet)
            )
        w.frames.append(frame._replace(data=frame.data[:14] + packet))


@frames
def pieces_of_a_datagram(w: Writer, n: int) -> None:
    """Every other fragment of a datagram, 8 bytes each, from the last one to the first."""
    for number in range(n):
        datagram, piece = divmod(number, 4000)
        w.ip(host(datagram), SERVER, UDP, bytes(8), MORE_FRAGMENTS | 2 * (4000 - piece))
        frame = w.frames[-1]  # one identification for all of them
        w.frames[-1] = frame._replace(data=frame.data[:18] + bytes(2) + frame.data[20:])


@frames
def last_fragments(w: Writer, n: int) -> None:
    """Fragments that stand at the end of datagrams of 64 kB, and nothing else of them."""
    for number in range(n):
        w.ip(host(number), SERVER, UDP, bytes(8), MORE_FRAGMENTS | 8100)


# Streams


def stream(w: Writer, begin: int, data: bytes, port: int = 700) -> None:
    w.tcp(CLIENT, port, SERVER, NFSD, PSH | ACK, seq=begin, data=data)


@frames
def holes(w: Writer, n: int) -> None:
    """One stream with a hole before each segment."""
    stream(w, 1, record(MESSAGE))
    for number in range(n):
        stream(w, 10_000 + 200 * number, bytes(100))


@frames
def holes_from_the_end(w: Writer, n: int) -> None:
    """The same, the last segment first."""
    stream(w, 1, record(MESSAGE))
    for number in range(n, 0, -1):
        stream(w, 10_000 + 200 * number, bytes(100))


@frames
def holes_acknowledged(w: Writer, n: int) -> None:
    """The same, with everything acknowledged."""
    stream(w, 1, record(MESSAGE))
    for number in range(n):
        stream(w, 10_000 + 200 * number, bytes(100))
        w.tcp(SERVER, NFSD, CLIENT, 700, ACK, ack=10_100 + 200 * number)


@frames
def streams_with_a_hole(w: Writer, n: int) -> None:
    for number in range(n):
        w.tcp(host(number), 700, SERVER, NFSD, PSH | ACK, seq=1, data=record(MESSAGE))
        w.tcp(host(number), 700, SERVER, NFSD, PSH | ACK, seq=10_000, data=bytes(100))


@frames
def overlapping_segments(w: Writer, n: int) -> None:
    """Segments behind a hole, each over many others."""
    stream(w, 1, record(MESSAGE))
    for number in range(n):
        stream(w, 10_000 + number * 7919 % 60_000, bytes(1 + number % 1400))


@frames
def bytes_alone(w: Writer, n: int) -> None:
    """Records in segments of one byte."""
    w.tcp(CLIENT, 700, SERVER, NFSD, SYN, seq=0, ack=0)
    records = record(MESSAGE) * (n // len(record(MESSAGE)) + 1)
    for number in range(n):
        stream(w, 1 + number, records[number : number + 1])


@frames
def empty_fragments(w: Writer, n: int) -> None:
    """Record marks of fragments without a byte."""
    w.tcp(CLIENT, 700, SERVER, NFSD, SYN, seq=0, ack=0)
    for number in range(n):
        stream(w, 1 + 1200 * number, bytes(1200))


@frames
def signs_of_records(w: Writer, n: int) -> None:
    """What looks like replies, and is none."""
    sign = struct.pack(">IIIII", 0x80000100, 5, 1, 0, 0) * 60
    for number in range(n):
        stream(w, 1 + 1200 * number, sign)


@frames
def flows(w: Writer, n: int) -> None:
    for number in range(n):
        w.call(ENDS._replace(client=host(number)), NFS, 3, GETATTR, opaque(handle(0)))


@frames
def reconnections(w: Writer, n: int) -> None:
    """Connections on one pair of ports."""
    for number in range(n):
        w.tcp(CLIENT, 700, SERVER, NFSD, SYN, seq=1000 * number, ack=0)


@frames
def unreachable(w: Writer, n: int) -> None:
    """ICMP messages about flows that are not there."""
    for number in range(n):
        w.call(ENDS._replace(client=host(number)), NFS, 3, GETATTR)
        w.ip(SERVER, CLIENT, 1, struct.pack(">BBHI", 3, 3, 0, 0) + w.frames.pop().data[14:42])


# Messages


@frames
def calls_of_one_xid(w: Writer, n: int) -> None:
    for number in range(n):
        w.call(ENDS, NFS, 3, GETATTR, opaque(handle(number)), xid=7)


@frames
def copies_of_a_call(w: Writer, n: int) -> None:
    for _ in range(n):
        w.call(ENDS, NFS, 3, GETATTR, opaque(handle(0)), xid=7)
        w.wait(0.03)


@frames
def copies_of_a_reply(w: Writer, n: int) -> None:
    w.call(ENDS, NFS, 3, GETATTR, opaque(handle(0)), xid=7)
    for _ in range(n):
        w.reply(ENDS, 7, ATTRIBUTES)
        w.wait(0.03)


@frames
def replies_alone(w: Writer, n: int) -> None:
    for number in range(n):
        w.reply(ENDS, number, ATTRIBUTES)


@frames
def long_strings(w: Writer, n: int) -> None:
    """Names of a kilobyte."""
    for number in range(n):
        owner = Owner(number, 1, b"%01000d" % number)
        w.call(Ends(CLIENT, 700, SERVER, LOCKD), NLM, 4, LOCK, owner.arguments(LOCK))


@frames
def callers(w: Writer, n: int) -> None:
    """Names in the credentials of one client."""
    for number in range(n):
        xid = w.call(ENDS, NFS, 3, GETATTR, opaque(handle(0)), b"h%d" % number)
        w.reply(ENDS, xid, ATTRIBUTES)


@frames
def error_codes(w: Writer, n: int) -> None:
    for number in range(n):
        w.asked(ENDS, NFS, 3, GETATTR, opaque(handle(0)), struct.pack(">I", number + 1))


@frames
def no_messages(w: Writer, n: int) -> None:
    """Arguments that are none."""
    for _ in range(n):
        w.call(Ends(CLIENT, 700, SERVER, LOCKD), NLM, 4, TEST, b"\xff" * 40)


@frames
def entries(w: Writer, n: int) -> None:
    """Entries of READDIRPLUS, a thousand in each reply."""
    for first in range(0, n, 1000):
        listed = (
            struct.pack(">IQ", 1, number) + opaque(b"f%07d" % number) + struct.pack(">QII", number, 0, 0)
            for number in range(first, min(first + 1000, n))
        )
        args = opaque(handle(0)) + struct.pack(">QQII", 0, 0, 1000, 100_000)
        results = struct.pack(">IIQ", 0, 0, 0) + b"".join(listed) + struct.pack(">II", 0, 1)
        w.asked(ENDS, NFS, 3, READDIRPLUS, args, results)
