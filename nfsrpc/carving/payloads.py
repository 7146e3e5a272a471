"""The payloads of frames written anew: fragments joined, streams put in order, messages rewritten, all put back.

A datagram of fragments and one direction of a TCP connection are put together once, as the first delivery of each byte
has it; what is written of their messages goes back into every frame that holds a part, also a retransmitted one. A
byte of a frame that differs from the one put together stays zero. Records are found as the core finds them: one behind
the other, and behind a hole by their header. A reply is read by the call to the same client with its xid.
"""

from __future__ import annotations

import re
from bisect import bisect_right
from collections import Counter, defaultdict
from collections.abc import Iterable, Iterator, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from functools import cached_property
from typing import NamedTuple, TypeAlias

import numpy as np

from nfsrpc.carving import dns
from nfsrpc.carving.checksums import Checksum
from nfsrpc.carving.headers import (
    ICMP,
    ICMPV6,
    TCP,
    UDP,
    UDP_HEADER,
    Cut,
    FrameWriter,
    Packet,
    Unread,
    ip,
    pseudo_header,
)
from nfsrpc.carving.private_fields import message
from nfsrpc.carving.pseudonyms import Pseudonyms
from nfsrpc.protocols import PROTOCOLS, program_name
from nfsrpc.protocols.numbers import AuthFlavor, Port

Party: TypeAlias = tuple[bytes, int]  # address, with the interface where it is a loopback, and port
Way: TypeAlias = tuple[Party, Party]

LOOPBACK_NETWORK, LOOPBACK = 127, bytes(15) + b"\1"
MAX_AGE = 30_000_000_000  # ns that fragments are waited for, as in the core
SYN, ACK, ODD = 2, 16, 0b101101  # FIN, RST, PSH and URG, which no SYN has
NEAR = 0xFFFF  # bytes from where a stream stands: a window without scaling, as in the core
TCP_HEADER, CHECKSUM_AT = 20, {TCP: 16, UDP: 6, ICMP: 2, ICMPV6: 2}
END_OF_OPTIONS, NO_OPERATION = 0, 1
OPTIONS = {2, 3, 4, 5, 8}  # TCP's: segment size, window scale, SACK, time stamps; others become no operation
# ICMP's errors quote the packet that they are about; behind their type are 4 bytes, of which the last two are an MTU.
ERRORS = {ICMP: (3, 11, 12), ICMPV6: (1, 2, 3, 4)}
ICMP_HEADER, QUOTED = 8, 8  # bytes; of a datagram that everybody quotes

CALL, REPLY = 0, 1
MAX_RECORD, LAST = 1 << 24, 0x80000000
SHORTEST, HEAD = 20, 32  # bytes of a message, and those by which it is known
MAX_AUTH, MAX_FLAVOR, MAX_NUMBER = 400, 7, 10_000  # as in the core: what is beyond is no RPC
RECORD_START = re.compile(rb"(?=[\x00\x80].{7}\x00{3}(?:\x00{4}\x02|\x01\x00{3}[\x00\x01]))", re.DOTALL)
TLS_RECORD = re.compile(rb"[\x14-\x17]\x03[\x00-\x04]")

NO_RPC, TLS = "without RPC", "of TLS"
SECRET: dict[int, str] = {AuthFlavor.RPCSEC_GSS: "of RPCSEC_GSS", AuthFlavor.AUTH_TLS: TLS}
PROCEDURES = {
    (program.number, program.version, procedure.number): procedure
    for program in PROTOCOLS
    for procedure in program.procedures
}


@dataclass
class Datagram:
    """The payload of one IP packet, be it in fragments: as it was captured, and as it is written."""

    packet: Packet
    parts: list[tuple[int, int, int, int]]  # frame, where it begins there, its offset, bytes captured
    data: bytes  # without a hole from the first byte on
    length: int | None  # on the wire; None where the last fragment is missing
    interface: int  # a loopback address is another host at each
    new: bytearray = field(init=False)

    def __post_init__(self) -> None:
        self.new = bytearray(len(self.data))

    @property
    def frame(self) -> int:
        return self.parts[-1][0]

    @property
    def way(self) -> Way:
        source, target = (int.from_bytes(self.data[at : at + 2], "big") for at in (0, 2))
        domain = self.interface.to_bytes(4, "big") if is_loopback(self.packet.source) else b""
        return (self.packet.source + domain, source), (self.packet.target + domain, target)

    def keep(self, begin: int, end: int) -> None:
        self.new[begin:end] = self.data[begin:end]

    def put(self, frames: Sequence[FrameWriter | None]) -> None:
        """Writes the checksum, and everything into the frames."""
        at, complete = CHECKSUM_AT[self.packet.protocol], len(self.data) == self.length
        whole = self.packet._replace(length=len(self.data))
        pseudo, new_pseudo = (pseudo_header(whole, addresses) for addresses in (whole[1:3], whole[3:5]))
        Checksum(at, 0, len(self.data), pseudo, new_pseudo, not complete).put(self.data, self.new)
        for number, begin, offset, length in self.parts:
            frame, end = frames[number], min(offset + length, len(self.data))
            if frame is not None and offset < end:
                into = slice(begin, begin + end - offset)
                frame.out[into] = agreeing(frame.data[into], self.data[offset:end], self.new[offset:end])


def is_loopback(address: bytes) -> bool:
    return address[0] == LOOPBACK_NETWORK if len(address) == 4 else address == LOOPBACK


def agreeing(data: bytes, original: bytes, new: bytes | bytearray) -> bytes:
    """What is written for `data`, of which `original` was put together: zero where they differ."""
    if data == original:
        return bytes(new)
    same = np.frombuffer(data, np.uint8) == np.frombuffer(original, np.uint8)
    return np.where(same, np.frombuffer(bytes(new), np.uint8), 0).astype(np.uint8).tobytes()


class Fragments:
    """The fragments of one datagram."""

    def __init__(self, packet: Packet, time: int, interface: int) -> None:
        self.packet, self.time, self.interface = packet, time, interface
        self.pieces: dict[int, bytes] = {}
        self.parts: list[tuple[int, int, int, int]] = []
        self.total: int | None = None

    def fits(self, packet: Packet, data: bytes, time: int) -> bool:
        end = packet.offset + packet.length
        return (
            time - self.time <= MAX_AGE
            and self.pieces.get(packet.offset, data) == data
            and (packet.more or self.total in (None, end))
        )

    def add(self, number: int, packet: Packet, data: bytes) -> None:
        self.pieces.setdefault(packet.offset, data)
        self.parts.append((number, packet.begin, packet.offset, len(data)))
        if not packet.more:
            self.total = packet.offset + packet.length

    def datagram(self) -> Datagram:
        data = bytearray()
        for offset, piece in sorted(self.pieces.items()):
            if offset > len(data):
                break
            data += piece[len(data) - offset :]
        return Datagram(self.packet, self.parts, bytes(data), self.total, self.interface)


def datagrams(frames: Sequence[FrameWriter | None], times: Sequence[int]) -> list[Datagram]:
    """The payloads of all frames, those of fragments joined, in the order of their last frame."""
    found: list[Datagram] = []
    waiting: dict[tuple[bytes, bytes, int, int], Fragments] = {}
    for number, (frame, time) in enumerate(zip(frames, times, strict=True)):
        packet = frame.packet if frame else None
        if frame is None or packet is None:
            continue
        data = frame.data[packet.begin : packet.end]
        if not (packet.offset or packet.more):
            parts = [(number, packet.begin, 0, len(data))]
            found.append(Datagram(packet, parts, data, packet.length, frame.interface))
            continue
        key = packet.source, packet.target, packet.protocol, packet.ident
        known = waiting.get(key)
        if known is None or not known.fits(packet, data, time):
            if known is not None:
                found.append(known.datagram())
            known = waiting[key] = Fragments(packet, time, frame.interface)
        known.add(number, packet, data)
    found += (known.datagram() for known in waiting.values())
    return sorted(found, key=lambda each: each.frame)


# Streams


@dataclass
class Island:
    """Bytes of a stream without a hole."""

    start: int
    data: bytearray
    new: bytearray = field(init=False)

    def __post_init__(self) -> None:
        self.new = bytearray(len(self.data))

    @property
    def end(self) -> int:
        return self.start + len(self.data)


class Segment(NamedTuple):
    place: int  # in its stream
    datagram: Datagram
    header: int

    @property
    def length(self) -> int:
        return len(self.datagram.data) - self.header


class Direction:
    """One direction of a connection."""

    def __init__(self, way: Way) -> None:
        self.way = way
        self.segments: list[Segment] = []
        self.islands: list[Island] = []
        self.starts: list[int] = []
        self.last = 0, 0  # sequence number and place

    def add(self, datagram: Datagram, header: int, seq: int) -> None:
        number, place = self.last if self.segments else (seq, 0)
        place += (seq - number + 2**31) % 2**32 - 2**31
        self.last = seq, place
        self.segments.append(Segment(place, datagram, header))

    def distance(self, seq: int) -> int:
        """How far a sequence number is from that of the last segment."""
        return abs((seq - self.last[0] + 2**31) % 2**32 - 2**31)

    def join(self) -> None:
        """Puts the stream together; of bytes that were sent twice the first count."""
        order = sorted((each for each in self.segments if each.length > 0), key=lambda each: each.place)
        groups: list[list[Segment]] = []
        end = 0
        for segment in order:
            if not groups or segment.place > end:
                groups.append([])
                end = segment.place
            groups[-1].append(segment)
            end = max(end, segment.place + segment.length)
        self.islands = [assembled(group) for group in groups]
        self.starts = [island.start for island in self.islands]

    def island(self, place: int) -> Island | None:
        number = bisect_right(self.starts, place) - 1
        return self.islands[number] if number >= 0 and place < self.islands[number].end else None

    def records(self) -> Iterator[Record]:
        at = self.starts[0] if self.starts else 0
        while (found := self.next_record(at)) is not None:
            yield found
            at = found.pieces[-1][1]

    def next_record(self, at: int) -> Record | None:
        """The record that begins here, or else the next that is one by its header."""
        for number in range(max(0, bisect_right(self.starts, at) - 1), len(self.islands)):
            island = self.islands[number]
            here = max(at, island.start)
            while here < island.end:
                if (record := self.record(here)) is not None:
                    return record
                match = RECORD_START.search(island.data, here - island.start + 1)
                here = island.start + match.start() if match else island.end
        return None

    def record(self, at: int) -> Record | None:
        """The record that begins here, with as much of it as was captured before the first hole."""
        pieces: list[tuple[int, int]] = []
        data, whole, last = bytearray(), True, 0
        while not last and len(data) <= MAX_RECORD and len(mark := self.read(at, at + 4)) == 4:
            number = int.from_bytes(mark, "big")
            begin, end, last = at + 4, at + 4 + (number & ~LAST), number & LAST
            if end - begin > MAX_RECORD or (not pieces and head(self.read(begin, min(end, begin + HEAD))) is None):
                return None
            captured = self.read(begin, end) if whole else b""
            data += captured
            whole = whole and len(captured) == end - begin
            pieces.append((begin, end))
            at = end
        return Record(self.way, self.frame(pieces[0][0]), bytes(data), self, pieces) if pieces else None

    def read(self, begin: int, end: int) -> bytes:
        island = self.island(begin)
        return bytes(island.data[begin - island.start : end - island.start]) if island else b""

    def frame(self, place: int) -> int:
        """The frame of the segment that begins at this place of the stream, or else before it."""
        places, frames = self.frames_by_place
        return frames[max(0, bisect_right(places, place) - 1)]

    @cached_property
    def frames_by_place(self) -> tuple[list[int], list[int]]:
        order = sorted((segment.place, segment.datagram.frame) for segment in self.segments)
        return [place for place, _ in order], [frame for _, frame in order]

    def put(self, pieces: Iterable[tuple[int, int]], new: bytes) -> None:
        """Writes a record, with its marks, where it stands."""
        used = 0
        for begin, end in pieces:
            island = self.island(begin - 4)
            if island is not None:
                at = begin - 4 - island.start
                island.new[at : at + 4] = island.data[at : at + 4]
            island = self.island(begin)
            if island is not None and used < len(new):
                at, size = begin - island.start, min(end, island.end) - begin
                part = new[used : used + size]
                island.new[at : at + len(part)] = part
                used += len(part)

    def put_back(self) -> None:
        for segment in self.segments:
            island = self.island(segment.place) if segment.length > 0 else None
            if island is not None:
                begin = segment.place - island.start
                part = slice(begin, begin + segment.length)
                data = segment.datagram.data[segment.header :]
                segment.datagram.new[segment.header :] = agreeing(data, bytes(island.data[part]), island.new[part])

    @property
    def encrypted(self) -> bool:
        return any(TLS_RECORD.match(island.data) for island in self.islands)


def assembled(segments: Sequence[Segment]) -> Island:
    start = segments[0].place
    end = max(segment.place + segment.length for segment in segments)
    data, filled = bytearray(end - start), bytearray(end - start)
    for segment in sorted(segments, key=lambda each: each.datagram.frame):
        part = slice(segment.place - start, segment.place - start + segment.length)
        payload = segment.datagram.data[segment.header :]
        if any(filled[part]):
            known = np.frombuffer(filled[part], np.bool_)
            mixed = np.where(known, np.frombuffer(data[part], np.uint8), np.frombuffer(payload, np.uint8))
            data[part] = mixed.astype(np.uint8).tobytes()
        else:
            data[part] = payload
        filled[part] = b"\1" * segment.length
    return Island(start, data)


# Messages


class MessageHead(NamedTuple):
    xid: int
    kind: int
    prog: int = 0
    vers: int = 0
    proc: int = 0
    flavor: int = 0


def head(data: bytes) -> MessageHead | None:
    """The header of an RPC message, None where these bytes begin none."""
    if len(data) < SHORTEST:
        return None
    words = [int.from_bytes(data[at : at + 4], "big") for at in range(0, min(len(data), HEAD) // 4 * 4, 4)]
    xid, kind, *words = words
    if kind == CALL:
        version, prog, vers, proc, flavor, size, *_ = *words, *(0,) * 6
        known = version == 2 and prog and (vers <= MAX_NUMBER or not proc) and proc <= MAX_NUMBER and size <= MAX_AUTH
        return MessageHead(xid, kind, prog, vers, proc, flavor) if known else None
    status, flavor, size = words[:3]
    accepted = status == 0 and flavor <= MAX_FLAVOR and size <= MAX_AUTH
    return (
        MessageHead(xid, kind, flavor=flavor) if kind == REPLY and (accepted or (status == 1 and flavor <= 1)) else None
    )


@dataclass
class Record:
    """An RPC message, and where it goes."""

    way: Way
    frame: int
    data: bytes
    holder: Direction | Datagram
    pieces: list[tuple[int, int]]

    def put(self, new: bytes) -> None:
        if isinstance(self.holder, Direction):
            self.holder.put(self.pieces, new)
        else:
            self.holder.new[UDP_HEADER : UDP_HEADER + len(new)] = new


class Calls:
    """The calls of a capture, for the replies to them: by transport, client and xid, in the order of their frames."""

    def __init__(self, records: Iterable[tuple[Record, MessageHead]]) -> None:
        self.known: dict[tuple[bool, Party, int], list[tuple[int, MessageHead]]] = defaultdict(list)
        for record, header in sorted(records, key=lambda each: each[0].frame):
            if header.kind == CALL:
                self.known[self.key(record, record.way[0], header)].append((record.frame, header))

    @staticmethod
    def key(record: Record, client: Party, header: MessageHead) -> tuple[bool, Party, int]:
        return isinstance(record.holder, Direction), client, header.xid

    def of(self, record: Record, header: MessageHead) -> MessageHead | None:
        """The call itself, or that which a reply answers: the last before it, or else the first after it."""
        if header.kind == CALL:
            return header
        calls = self.known.get(self.key(record, record.way[1], header))
        if not calls:
            return None
        return calls[max(0, bisect_right(calls, record.frame, key=lambda call: call[0]) - 1)][1]


# All of it


class Payloads:
    """The payloads of some frames: `rewrite` writes them, and notes which frames are left out, and why."""

    def __init__(self, frames: Sequence[FrameWriter | None], times: Sequence[int], names: Pseudonyms) -> None:
        self.frames, self.names = frames, names
        self.left_out: dict[int, str] = {}
        self.blank: Counter[str] = Counter()  # messages without their contents, by program
        self.datagrams = datagrams(frames, times)
        self.udp: list[Datagram] = []
        self.connections: dict[tuple[frozenset[Party], int], dict[Way, Direction]] = {}  # each with its generation

    def rewrite(self) -> None:
        opened: dict[frozenset[Party], tuple[int, int]] = {}
        for datagram in self.datagrams:
            protocol = datagram.packet.protocol
            if protocol == TCP:
                self.open_segment(datagram, opened)
            elif protocol == UDP:
                datagram.keep(0, UDP_HEADER)
                self.udp.append(datagram)
            else:
                self.rewrite_icmp(datagram)
        streams = [stream for ways in self.connections.values() for stream in ways.values()]
        for stream in streams:
            stream.join()
        records = [record for stream in streams for record in stream.records()]
        records += (Record(each.way, each.frame, each.data[UDP_HEADER:], each, []) for each in self.udp)
        heads = [(record, header) for record in records if (header := head(record.data))]
        self.rewrite_records(heads)
        self.judge_others(heads)
        for stream in streams:
            stream.put_back()
        for datagram in self.datagrams:
            datagram.put(self.frames)
        for frame in filter(None, self.frames):
            for checksum in reversed(frame.checksums):
                checksum.put(frame.data, frame.out)

    def open_segment(self, datagram: Datagram, opened: dict[frozenset[Party], tuple[int, int]]) -> None:
        """Adds a segment to its stream; a SYN with another number begins a new connection on the same ports.

        Unless it is damaged: a segment that goes on where the connection before stands is of that one.
        """
        header = put_tcp_header(datagram)
        way, data = datagram.way, datagram.data
        pair, seq = frozenset(way), int.from_bytes(data[4:8], "big")
        flags = data[13] if len(data) > 13 else 0
        generation, first = opened.get(pair, (0, -1))
        if flags & SYN and (flags & ODD or len(data) > header):
            return  # damaged: its payload stays zero
        if flags & (SYN | ACK) == SYN and seq != first:
            generation += 1
            opened[pair] = generation, seq
        elif not flags & SYN:
            now, before = (self.connections.get((pair, number), {}).get(way) for number in (generation, generation - 1))
            if before and before.distance(seq) <= NEAR and not (now and now.distance(seq) < before.distance(seq)):
                generation -= 1
        ways = self.connections.setdefault((pair, generation), {})
        ways.setdefault(way, Direction(way)).add(datagram, header, seq + bool(flags & SYN))

    def rewrite_icmp(self, datagram: Datagram) -> None:
        """Rewrites an error, with the headers of the packet that it quotes; others are left out."""
        data, protocol = datagram.data, datagram.packet.protocol
        if len(data) < ICMP_HEADER or data[0] not in ERRORS[protocol]:
            return self.leave_out([datagram], "of ICMP that are no errors")
        quoted = FrameWriter(data, len(data), self.names)
        quoted.keep(0, 4)
        quoted.keep(6, 2)
        with suppress(Unread, Cut):
            ip(quoted, ICMP_HEADER, len(data) - ICMP_HEADER)
        if (packet := quoted.packet) is not None and packet.begin < packet.end:
            size, at = (TCP_HEADER, CHECKSUM_AT[TCP]) if packet.protocol == TCP else (QUOTED, CHECKSUM_AT[UDP])
            quoted.keep(packet.begin, min(packet.end - packet.begin, size))
            rest = max(0, min(packet.end - packet.begin - at, 2))
            quoted.out[packet.begin + at : packet.begin + at + rest] = bytes(rest)  # of more than is quoted
        for checksum in reversed(quoted.checksums):
            checksum.put(data, quoted.out)
        datagram.new[:] = quoted.out
        return None

    def rewrite_records(self, heads: Sequence[tuple[Record, MessageHead]]) -> None:
        calls = Calls(heads)
        for record, header in heads:
            call = calls.of(record, header)
            procedure = PROCEDURES.get((call.prog, call.vers, call.proc)) if call else None
            if call and (procedure is None or procedure.args is None) and header.kind == CALL:
                self.blank[f"{program_name(call.prog, call.vers)} version {call.vers}"] += 1
            record.put(message(record.data, procedure, self.names))

    def judge_others(self, heads: Sequence[tuple[Record, MessageHead]]) -> None:
        """Leaves out what is encrypted, and what is no RPC unless it is on a port of RPC, where it may be a part of it.

        Of the latter all payload is zero. DNS is rewritten: what names it is about is known once all messages are.
        """
        spoken = {frozenset(record.way) for record, _ in heads}
        services = {record.way[1] for record, header in heads if header.kind == CALL}
        secret = {frozenset(record.way): SECRET[header.flavor] for record, header in heads if header.flavor in SECRET}

        def reason(pair: frozenset[Party], has_payload: bool) -> str:
            foreign = pair not in spoken and not is_service(pair, services)
            return secret.get(pair) or (NO_RPC if foreign and has_payload else "")

        for (pair, _), ways in self.connections.items():
            segments = (segment.datagram for stream in ways.values() for segment in stream.segments)
            if any(stream.encrypted for stream in ways.values()):
                secret[pair] = TLS
            self.leave_out(segments, reason(pair, any(each.islands for each in ways.values())))
        for datagram in self.udp:
            pair = frozenset(datagram.way)
            if pair not in secret and any(port == Port.DNS for _, port in pair):
                datagram.new[UDP_HEADER:] = dns.message(datagram.data[UDP_HEADER:], self.names)
            else:
                self.leave_out([datagram], reason(pair, bool(datagram.data)))

    def leave_out(self, datagrams: Iterable[Datagram], why: str) -> None:
        """Leaves the packets of these datagrams out, for this reason; "" for none."""
        for datagram in datagrams if why else ():
            for number, *_ in datagram.parts:
                self.left_out[number] = why


def is_service(pair: frozenset[Party], services: set[Party]) -> bool:
    return any(party in services or party[1] in (Port.PORTMAP, Port.NFS) for party in pair)


def put_tcp_header(datagram: Datagram) -> int:
    """Writes the header of a segment, with the options that everybody uses; returns its length."""
    data = datagram.data
    size = max(TCP_HEADER, (data[12] >> 4) * 4) if len(data) > 12 else TCP_HEADER
    datagram.keep(0, min(TCP_HEADER, len(data)))
    at, end = TCP_HEADER, min(size, len(data))
    while at < end and data[at] != END_OF_OPTIONS:
        length = 1 if data[at] == NO_OPERATION or at + 1 >= end else max(data[at + 1], 2)
        if data[at] in OPTIONS and at + length <= end:
            datagram.keep(at, at + length)
        else:
            datagram.new[at : min(at + length, end)] = bytes((NO_OPERATION,)) * (min(at + length, end) - at)
        at += length
    return size
