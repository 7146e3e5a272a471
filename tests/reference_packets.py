"""The front half of the slow decoder (reference.py): a capture's bytes → frames → whole segments and datagrams.

Strategy: dpkt reads the headers; slices of the frame, cut at the lengths the headers state, go from layer to layer, so
that what the snap length cut off stays known as missing.
"""

from __future__ import annotations

import io
import socket
import struct
from collections import Counter, defaultdict
from collections.abc import Iterable, Iterator
from typing import NamedTuple

import dpkt
import dpkt.snoop

TCP, UDP = 6, 17
NO_TIME = -(1 << 63)
VXLAN_PORT = 4789
NANOSECONDS = {dpkt.pcap.TCPDUMP_MAGIC_NANO, dpkt.pcap.PMUDPCT_MAGIC_NANO}
LITTLE_ENDIAN = {dpkt.pcap.PMUDPCT_MAGIC, dpkt.pcap.PMUDPCT_MAGIC_NANO, dpkt.pcap.PACPDOM_MAGIC}
PACKET_BLOCKS = {2: "HHIIII", 3: "I", 6: "IIIII"}  # pcapng block type: its fixed part
NUMBERED_BLOCKS = {9, 0xBAD, 0x40000BAD}  # journal entries and custom blocks, frames to Wireshark
LOOP_LINKS, RAW_LINKS = {0, 108}, {12, 14, 101, 228, 229}
PPP_LINKS = {9: 0, 50: 0, 51: 6, 204: 1}  # link type: what stands before PPP
HDLC_LINKS = {104: 0, 205: 1}  # the same of Cisco's HDLC
NFLOG, IPOIB, PKTAP = 239, 242, 258
ROCE_PORT = 4791
ETHERTYPE = {1: (12, 14), 113: (14, 16), 276: (0, 20)}  # link type: where its ethertype stands, header length
VLAN_TYPES = {0x8100, 0x88A8, 0x9100}
IP6_FRAGMENT = 44
MOST_VERIFIED = 640  # bytes whose checksum is verified
IP6_OPTIONS = {0, 43, IP6_FRAGMENT, 60}

Party = tuple[str, int, int]  # address, port, and for a loopback address the interface, since each host has its own


class Frame(NamedTuple):
    number: int
    time: int
    link: int
    interface: int
    data: bytes


class Datagram(NamedTuple):
    source: str
    target: str
    protocol: int
    ident: int
    offset: int
    more: bool
    data: bytes
    length: int  # on the wire; more than the data where the snap length cut it


class Packet(NamedTuple):
    frame: Frame
    transport: int
    source: Party
    target: Party
    seq: int
    flags: int
    data: bytes
    length: int
    ident: int


def frames(data: bytes) -> Iterator[Frame]:
    if data[:4] == b"\n\r\r\n":
        yield from pcapng_frames(data)
    elif data[:8] == b"snoop\0\0\0":
        for number, (time, packet) in enumerate(dpkt.snoop.Reader(io.BytesIO(data)), 1):
            yield Frame(number, round(time * 1e6) * 1000, dpkt.pcap.DLT_EN10MB, 0, packet)
    else:
        yield from pcap_frames(data)


def pcap_frames(data: bytes) -> Iterator[Frame]:
    magic = dpkt.pcap.FileHdr(data[:24]).magic
    link = (dpkt.pcap.LEFileHdr if magic in LITTLE_ENDIAN else dpkt.pcap.FileHdr)(data[:24]).linktype & 0xFFFF
    header = dpkt.pcap.MAGIC_TO_PKT_HDR[magic]
    at, number, tick = 24, 1, 1 if magic in NANOSECONDS else 1000
    while at + header.__hdr_len__ <= len(data):
        head = header(data[at : at + header.__hdr_len__])
        start, at = at + header.__hdr_len__, at + header.__hdr_len__ + head.caplen
        if at <= len(data):
            yield Frame(number, head.tv_sec * 10**9 + head.tv_usec * tick, link, 0, data[start:at])
        number += 1


def pcapng_frames(data: bytes) -> Iterator[Frame]:
    order, at, number, base = "<", 0, 1, 0
    interfaces: list[tuple[int, int, int]] = []  # link type, ticks a second, offset in seconds
    while at + 12 <= len(data):
        if data[at : at + 4] == b"\n\r\r\n":
            order = "<" if data[at + 8 : at + 12] == b"\x4d\x3c\x2b\x1a" else ">"
            base, interfaces = base + len(interfaces), []
        kind, length = struct.unpack_from(order + "II", data, at)
        body, at = data[at + 8 : at + length - 4], at + length
        if at > len(data):
            return
        if kind == dpkt.pcapng.PCAPNG_BT_IDB:
            options = dict(pcapng_options(order, body[8:]))
            power = options.get(dpkt.pcapng.PCAPNG_OPT_IF_TSRESOL, b"\x06")[0]
            (offset,) = struct.unpack(order + "q", options.get(dpkt.pcapng.PCAPNG_OPT_IF_TSOFFSET, bytes(8)))
            ticks = 2 ** (power & 127) if power & 128 else 10**power
            interfaces.append((struct.unpack_from(order + "H", body)[0], ticks, offset))
        elif kind in PACKET_BLOCKS:
            head = struct.unpack_from(order + PACKET_BLOCKS[kind], body)
            interface, high, low, captured = (head[0], *head[-4:-1]) if len(head) > 1 else (0, 0, 0, head[0])
            link, ticks, offset = interfaces[interface]
            time = offset * 10**9 + ((high << 32) + low) * 10**9 // ticks if len(head) > 1 else NO_TIME
            start = struct.calcsize(order + PACKET_BLOCKS[kind])
            yield Frame(number, time, link, base + interface, body[start : start + captured])
        number += kind in PACKET_BLOCKS or kind in NUMBERED_BLOCKS


def pcapng_options(order: str, data: bytes) -> Iterator[tuple[int, bytes]]:
    while len(data) >= 4:
        code, length = struct.unpack_from(order + "HH", data)
        yield code, data[4 : 4 + length]
        data = data[4 + (length + 3) // 4 * 4 :]


def network(link: int, data: bytes) -> bytes:
    """The IP packet in a frame, behind any VLAN tags and MPLS labels; empty when there is none."""
    if link == PKTAP:
        length, follows, inner = struct.unpack_from("<3I", data)
        return network(inner, data[length:]) if follows == 1 else b""
    if link in PPP_LINKS:
        return point_to_point(data[PPP_LINKS[link] :])
    if link == NFLOG:
        return logged(data)
    if link in ETHERTYPE:
        at, header = ETHERTYPE[link]
        return announced(int.from_bytes(data[at : at + 2], "big"), data[header:])
    if link == IPOIB:  # behind what may be a global route header: ethertype and two bytes of zero
        return announced(int.from_bytes(data[40:42], "big"), data[44:])
    if link in HDLC_LINKS:
        return point_to_point(data[HDLC_LINKS[link] :])
    return data[4:] if link in LOOP_LINKS else data if link in RAW_LINKS else b""


def point_to_point(data: bytes) -> bytes:
    """PPP (RFC 1661, RFC 1662), or Cisco's HDLC, recognised by its first byte."""
    if data[:1] in (b"\x0f", b"\x8f"):
        return announced(int.from_bytes(data[2:4], "big"), data[4:])
    data = data.removeprefix(b"\xff\x03")
    data = data if data[:1] == b"\0" else b"\0" + data
    return data[2:] if data[:2] in (b"\x00\x21", b"\x00\x57") else b""


def logged(data: bytes) -> bytes:
    """The payload among the attributes of a firewall's log, in either byte order."""
    for order in "<>":
        rest = data[4:]
        while len(rest) >= 4:
            length, kind = struct.unpack_from(order + "HH", rest)
            if length < 4:
                break
            if kind == 9:
                return rest[4:length]
            rest = rest[(length + 3) // 4 * 4 :]
    return b""


def announced(kind: int, data: bytes) -> bytes:
    """The IP packet in what an ethertype announced."""
    while kind in VLAN_TYPES:
        kind, data = int.from_bytes(data[2:4], "big"), data[4:]
    if kind == dpkt.ethernet.ETH_TYPE_MPLS:
        while len(data) > 4 and not data[2] & 1:  # the bottom of the label stack
            data = data[4:]
        return data[4:]
    return data if kind in (dpkt.ethernet.ETH_TYPE_IP, dpkt.ethernet.ETH_TYPE_IP6) else b""


def internet(data: bytes) -> Datagram | None:
    version = data[0] >> 4 if data else 0
    if version == 4 and len(data) >= 20:
        head = (data[0] & 15) * 4
        ip = dpkt.ip.IP(data[:head])
        source, target = socket.inet_ntop(socket.AF_INET, ip.src), socket.inet_ntop(socket.AF_INET, ip.dst)
        return Datagram(source, target, ip.p, ip.id, ip.offset * 8, ip.mf, data[head : ip.len], ip.len - head)
    if version == 6 and len(data) >= 40:
        length, kind = struct.unpack_from("!HB", data, 4)
        source, target = (socket.inet_ntop(socket.AF_INET6, data[at : at + 16]) for at in (8, 24))
        at, end, ident, offset = 40, 40 + length, 0, 0
        while kind in IP6_OPTIONS and at + 8 <= len(data):
            if kind == IP6_FRAGMENT:
                offset, ident = struct.unpack_from("!HI", data, at + 2)
            size = 8 if kind == IP6_FRAGMENT else (data[at + 1] + 1) * 8
            kind, at = data[at], at + size
        return Datagram(source, target, kind, ident, offset & ~7, bool(offset & 1), data[at:end], end - at)
    return None


def datagrams(capture: Iterable[Frame]) -> Iterator[tuple[Frame, Datagram]]:
    """Whole datagrams, fragments joined at the frame that completes them (RFC 791; RFC 8200 section 4.5)."""
    partial: dict[object, dict[int, Datagram]] = defaultdict(dict)
    for frame in capture:
        datagram = internet(network(frame.link, frame.data))
        if datagram and (datagram.offset or datagram.more):
            pieces = partial[datagram[:4]]
            pieces.setdefault(datagram.offset, datagram)
            ordered = [pieces[offset] for offset in sorted(pieces)]
            ends = [piece.offset + piece.length for piece in ordered]
            if [0, *ends[:-1]] != [piece.offset for piece in ordered] or ordered[-1].more:
                continue
            short = [i for i, piece in enumerate(ordered) if len(piece.data) < piece.length]
            readable = ordered[: short[0] + 1] if short else ordered
            datagram = ordered[0]._replace(data=b"".join(piece.data for piece in readable), length=ends[-1])
            del partial[datagram[:4]]
        if datagram:
            yield frame, datagram


def intact(found: Iterable[tuple[Frame, Datagram]]) -> Iterator[tuple[Frame, Datagram]]:
    """Without the short ones whose checksum is wrong, where nearly all of their sender's are right (RFC 1071)."""
    summed = [(*each, checksum(each[1])) for each in found]
    counts = Counter((datagram.source, datagram.protocol, is_right) for _, datagram, is_right in summed)
    for frame, datagram, is_right in summed:
        right, wrong = (counts[datagram.source, datagram.protocol, which] for which in (True, False))
        if is_right is not False or right <= 8 * (wrong - 1):
            yield frame, datagram


def checksum(datagram: Datagram) -> bool | None:
    """Whether it is right; None where it is not there, was left to the network card, or costs too much."""
    data, at = datagram.data, {TCP: 16, UDP: 6}.get(datagram.protocol)
    if at is None or not at + 2 <= len(data) == datagram.length <= MOST_VERIFIED:
        return None
    family = socket.AF_INET6 if ":" in datagram.source else socket.AF_INET
    ends = (socket.inet_pton(family, address) for address in (datagram.source, datagram.target))
    pseudo = b"".join(ends) + struct.pack("!HH", datagram.protocol, len(data))
    left = (b"\0\0", struct.pack("!H", dpkt.in_cksum(pseudo) ^ 0xFFFF))
    is_right = dpkt.in_cksum(pseudo + data) == 0
    return True if is_right else None if data[at : at + 2] in left else False


def packets(capture: Iterable[Frame]) -> Iterator[Packet]:
    for frame, datagram in intact(datagrams(capture)):
        protocol, data = datagram.protocol, datagram.data
        if len(data) < {TCP: 20, UDP: 8}.get(protocol, len(data) + 1):
            continue
        ports = struct.unpack_from("!HH", data)
        source, target = (
            (address, port, frame.interface if address.startswith("127.") or address == "::1" else 0)
            for address, port in zip((datagram.source, datagram.target), ports, strict=True)
        )
        if protocol == UDP and target[1] == VXLAN_PORT:
            yield from packets([frame._replace(link=dpkt.pcap.DLT_EN10MB, data=data[16:])])
        elif protocol == UDP and target[1] == ROCE_PORT:
            continue
        elif protocol == UDP:
            yield Packet(frame, UDP, source, target, 0, 0, data[8:], datagram.length - 8, datagram.ident)
        else:
            tcp = dpkt.tcp.TCP(data[:20])
            head = tcp.off * 4
            length = datagram.length - head
            yield Packet(frame, TCP, source, target, tcp.seq, tcp.flags, data[head:], length, datagram.ident)
