"""Frames written anew from zeros: the headers from the link to IP, with pseudonyms of their addresses.

What a header is for is copied (types, lengths, identifications, ports, flags), addresses become pseudonyms, options
that are not known stay zero, and so does whatever a frame holds that is not read here. The payload of TCP, UDP and
ICMP is left to messages (payloads.py); `Packet` says where it stands. The link types and tunnels are those of the core
(core/src/link.rs, tunnel.rs).
"""

from __future__ import annotations

import struct
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import NamedTuple

from nfsrpc.carving.checksums import Checksum
from nfsrpc.carving.pseudonyms import Pseudonyms
from nfsrpc.raw import Frame

NULL, ETHERNET, PPP, LOOP, LINUX_SLL, LINUX_SLL2 = 0, 1, 9, 108, 113, 276
PPP_HDLC, PPP_ETHER, PPP_PPPD, PPP_WITH_DIR, C_HDLC, C_HDLC_WITH_DIR = 50, 51, 166, 204, 104, 205
RAW = (12, 14, 101, 228, 229)
NFLOG, IPOIB, PKTAP = 239, 242, 258
CISCO_ADDRESSES = (0x0F, 0x8F)

IPV4_TYPE, IPV6_TYPE, PPPOE_SESSION, TRANSPARENT_ETHERNET = 0x0800, 0x86DD, 0x8864, 0x6558
VLANS, MPLS = (0x8100, 0x88A8, 0x9100), (0x8847, 0x8848)
PPP_IPV4, PPP_IPV6 = 0x21, 0x57

IPIP, TCP, UDP, IPV6_IN_IP, GRE, ICMPV6, ICMP = 4, 6, 17, 41, 47, 58, 1
HOP_BY_HOP, ROUTING, FRAGMENT, AUTHENTICATION, DESTINATION = 0, 43, 44, 51, 60
VXLAN_PORTS, GENEVE_PORT = (4789, 8472), 6081
UDP_HEADER, TUNNEL_HEADER = 8, 8  # that of VXLAN and that of Geneve without its options
MAX_NESTING = 8  # as in the core

MAC = 6
NFULA_PACKET_HDR, NFULA_PAYLOAD = 1, 9


class Unread(Exception):
    """The frame, or what it holds, is of a kind that is not read here: it is left out. The message is the kind."""


class Cut(Exception):
    """The captured bytes end in a header."""


class Packet(NamedTuple):
    """The payload of an IP packet, or of a fragment of one, in a frame."""

    protocol: int
    source: bytes  # addresses as they were captured
    target: bytes
    new_source: bytes
    new_target: bytes
    ident: int
    offset: int  # of the fragment
    more: bool  # fragments follow
    begin: int  # in the frame
    end: int  # of what was captured
    length: int  # on the wire


@dataclass
class FrameWriter:
    """A frame that is being written anew."""

    data: bytes
    wire_len: int
    names: Pseudonyms
    interface: int = 0
    out: bytearray = field(init=False)
    checksums: list[Checksum] = field(default_factory=list)  # the outermost first
    packet: Packet | None = None
    nesting: int = 0

    def __post_init__(self) -> None:
        self.out = bytearray(len(self.data))

    def need(self, end: int) -> None:
        if end > len(self.data):
            raise Cut

    def keep(self, begin: int, length: int) -> int:
        self.need(begin + length)
        self.out[begin : begin + length] = self.data[begin : begin + length]
        return begin + length

    def u8(self, at: int) -> int:
        self.need(at + 1)
        return self.data[at]

    def u16(self, at: int) -> int:
        self.need(at + 2)
        return int.from_bytes(self.data[at : at + 2], "big")

    def mac(self, at: int) -> int:
        self.need(at + MAC)
        self.out[at : at + MAC] = self.names.mac(self.data[at : at + MAC])
        return at + MAC

    def address(self, at: int, length: int) -> tuple[bytes, bytes]:
        self.need(at + length)
        original = self.data[at : at + length]
        new = self.names.address(original)
        self.out[at : at + length] = new
        return original, new


def write(captured: Frame, names: Pseudonyms) -> FrameWriter:
    """A frame with its headers written. Raises Unread for one that holds no TCP, UDP or ICMP."""
    frame = FrameWriter(captured.bytes, captured.wire_len, names, captured.interface)
    try:
        link(frame, captured.link_type, 0)
    except Cut:
        if not any(frame.out):
            raise Unread("cut in the first header") from None
    return frame


# Links


def link(frame: FrameWriter, link_type: int, at: int) -> None:
    if link_type in RAW:
        return ip(frame, at, frame.wire_len - at)
    known = LINKS.get(link_type)
    if known is None:
        raise Unread(f"of link type {link_type}")
    return known(frame, at)


def ethernet(frame: FrameWriter, at: int) -> None:
    at = frame.mac(frame.mac(at))
    ethertype(frame, frame.u16(at), frame.keep(at, 2))


def cooked(frame: FrameWriter, at: int) -> None:
    frame.keep(at, 6)
    if frame.u16(at + 4) == MAC:
        frame.mac(at + 6)
    ethertype(frame, frame.u16(at + 14), frame.keep(at + 14, 2))


def cooked2(frame: FrameWriter, at: int) -> None:
    frame.keep(at, 12)
    if frame.u8(at + 11) == MAC:
        frame.mac(at + 12)
    frame.need(at + 20)
    ethertype(frame, frame.u16(at), at + 20)


def loopback(frame: FrameWriter, at: int) -> None:
    ip(frame, frame.keep(at, 4), frame.wire_len - at - 4)


def ppp(frame: FrameWriter, at: int) -> None:
    if frame.u8(at) in CISCO_ADDRESSES:
        return cisco_hdlc(frame, at)
    if frame.data[at : at + 2] == b"\xff\x03":
        at = frame.keep(at, 2)
    protocol, length = (frame.u8(at), 1) if frame.u8(at) & 1 else (frame.u16(at), 2)
    if protocol not in (PPP_IPV4, PPP_IPV6):
        raise Unread("without IP")
    at = frame.keep(at, length)
    return ip(frame, at, frame.wire_len - at)


def ppp_of_pppd(frame: FrameWriter, at: int) -> None:
    ppp(frame, frame.keep(at, 2) if frame.u8(at + 1) == 3 else at)


def cisco_hdlc(frame: FrameWriter, at: int) -> None:
    if frame.u8(at) not in CISCO_ADDRESSES:
        raise Unread("without IP")
    ethertype(frame, frame.u16(at + 2), frame.keep(at, 4))


def over_infiniband(frame: FrameWriter, at: int) -> None:
    for before in (40, 20, 0):
        kind = int.from_bytes(frame.data[at + before : at + before + 2], "big")
        if frame.data[at + before + 2 : at + before + 4] == b"\0\0" and kind in (IPV4_TYPE, IPV6_TYPE, *VLANS):
            return ethertype(frame, kind, frame.keep(at + before, 4))
    raise Unread("without IP")


def nflog(frame: FrameWriter, at: int) -> None:
    """Netfilter's log (linux/netfilter/nfnetlink_log.h): of its attributes, the packet and its type are kept."""
    for order in ("<HH", ">HH"):
        kind, place = 0, at + 4
        while place + 4 <= len(frame.data):
            length, attribute = struct.unpack_from(order, frame.data, place)
            if length < 4:
                break
            if attribute & 0x3FFF == NFULA_PAYLOAD:
                frame.keep(at, 4)
                keep_attributes(frame, at + 4, place, order)
                return ethertype(frame, kind or IPV4_TYPE, frame.keep(place, 4), length - 4)
            if attribute & 0x3FFF == NFULA_PACKET_HDR:
                kind = frame.u16(place + 4)
            place += (length + 3) & ~3
    raise Unread("without IP")


def keep_attributes(frame: FrameWriter, at: int, end: int, order: str) -> None:
    while at < end:
        length, attribute = struct.unpack_from(order, frame.data, at)
        frame.keep(at, 8 if attribute & 0x3FFF == NFULA_PACKET_HDR else 4)
        at += (length + 3) & ~3


def pktap(frame: FrameWriter, at: int) -> None:
    """Apple's header with the name of the interface and of the process, which stay zero."""
    frame.need(at + 12)
    length, follows, inner = struct.unpack_from("<III", frame.data, at)
    if length < 12 or follows != 1 or inner == PKTAP:
        raise Unread("without IP")
    frame.keep(at, 12)
    frame.need(at + length)
    link(frame, inner, at + length)


LINKS: dict[int, Callable[[FrameWriter, int], None]] = {
    ETHERNET: ethernet,
    LINUX_SLL: cooked,
    LINUX_SLL2: cooked2,
    NULL: loopback,
    LOOP: loopback,
    PPP: ppp,
    PPP_HDLC: ppp,
    PPP_ETHER: lambda frame, at: ppp(frame, frame.keep(at, 6)),
    PPP_WITH_DIR: lambda frame, at: ppp(frame, frame.keep(at, 1)),
    PPP_PPPD: ppp_of_pppd,
    C_HDLC: cisco_hdlc,
    C_HDLC_WITH_DIR: lambda frame, at: cisco_hdlc(frame, frame.keep(at, 1)),
    NFLOG: nflog,
    IPOIB: over_infiniband,
    PKTAP: pktap,
}


def ethertype(frame: FrameWriter, kind: int, at: int, length: int | None = None) -> None:
    while kind in VLANS:
        kind, at = frame.u16(at + 2), frame.keep(at, 4)
    if kind == PPPOE_SESSION:
        return ppp(frame, frame.keep(at, 6))
    if kind in MPLS:
        while not frame.u8(at + 2) & 1:
            at = frame.keep(at, 4)
        at = frame.keep(at, 4)
    elif kind not in (IPV4_TYPE, IPV6_TYPE):
        raise Unread("without IP")
    return ip(frame, at, frame.wire_len - at if length is None else length)


# Network


def ip(frame: FrameWriter, at: int, length: int) -> None:
    version = frame.u8(at) >> 4
    if version == 4:
        ipv4(frame, at, length)
    elif version == 6:
        ipv6(frame, at, length)
    else:
        raise Unread("without IP")


def ipv4(frame: FrameWriter, at: int, length: int) -> None:
    header = (frame.u8(at) & 15) * 4
    if header < 20:
        raise Unread("without IP")
    total = frame.u16(at + 2) or length
    frame.need(at + 20)
    frame.keep(at, 10)
    source, new_source = frame.address(at + 12, 4)
    target, new_target = frame.address(at + 16, 4)
    frame.need(at + header)
    frame.checksums.append(Checksum(at + 10, at, at + header))
    ident, flags = frame.u16(at + 4), frame.u16(at + 6)
    packet = Packet(
        *(
            frame.data[at + 9],
            source,
            target,
            new_source,
            new_target,
            ident,
            (flags & 0x1FFF) * 8,
            bool(flags & 0x2000),
        ),
        *(at + header, min(at + total, len(frame.data)), total - header),
    )
    extensions(frame, packet)


def ipv6(frame: FrameWriter, at: int, length: int) -> None:
    frame.need(at + 40)
    frame.keep(at, 8)
    source, new_source = frame.address(at + 8, 16)
    target, new_target = frame.address(at + 24, 16)
    total = frame.u16(at + 4) or length - 40
    end = min(at + 40 + total, len(frame.data))
    extensions(
        frame,
        Packet(frame.data[at + 6], source, target, new_source, new_target, 0, 0, False, at + 40, end, total),
    )


def extensions(frame: FrameWriter, packet: Packet) -> None:
    """Passes extension headers, of which only the lengths are kept, and goes on to the transport."""
    while not (packet.offset or packet.more):
        at = packet.begin
        if packet.protocol in (HOP_BY_HOP, ROUTING, DESTINATION):
            size, kept = 8 + frame.u8(at + 1) * 8, 2
        elif packet.protocol == AUTHENTICATION:
            size, kept = 8 + frame.u8(at + 1) * 4, 2
        elif packet.protocol == FRAGMENT:
            size, kept = 8, 8
        else:
            break
        frame.need(at + size)
        frame.keep(at, kept)
        following = packet._replace(protocol=frame.u8(at), begin=at + size, length=packet.length - size)
        if packet.protocol == FRAGMENT:
            place = frame.u16(at + 2)
            ident = int.from_bytes(frame.data[at + 4 : at + 8], "big")
            following = following._replace(ident=ident, offset=place & 0xFFF8, more=bool(place & 1))
        packet = following
    transport(frame, packet)


def transport(frame: FrameWriter, packet: Packet) -> None:
    if packet.length < 0 or packet.begin > packet.end:
        raise Cut
    if packet.protocol not in (TCP, UDP, ICMP, ICMPV6, IPIP, IPV6_IN_IP, GRE):
        raise Unread(f"of IP protocol {packet.protocol}")
    inside = None if packet.offset or packet.more else tunnel(frame, packet)
    if inside is not None:
        frame.nesting += 1
        if frame.nesting > MAX_NESTING:
            raise Unread("with tunnels in tunnels")
        inside()
    elif packet.protocol in (IPIP, IPV6_IN_IP, GRE):
        raise Unread("of a tunnel that is not read")
    else:
        frame.packet = packet


# Tunnels


def tunnel(frame: FrameWriter, packet: Packet) -> Callable[[], None] | None:
    """What reads on inside a tunnel, if the packet is one; its own header is then written."""
    at = packet.begin
    if packet.protocol in (IPIP, IPV6_IN_IP):
        return lambda: ip(frame, at, packet.length)
    if packet.protocol == GRE:
        return gre(frame, packet)
    if packet.protocol != UDP or packet.end < at + UDP_HEADER + TUNNEL_HEADER:
        return None
    port, inner = frame.u16(at + 2), at + UDP_HEADER + TUNNEL_HEADER
    if port in VXLAN_PORTS and frame.u8(at + UDP_HEADER) & 8:
        kind = TRANSPARENT_ETHERNET
    elif port == GENEVE_PORT and not frame.u8(at + UDP_HEADER) & 0xC0:
        kind, inner = frame.u16(at + UDP_HEADER + 2), inner + 4 * (frame.u8(at + UDP_HEADER) & 63)
    else:
        return None
    if not carries_ip(frame, kind, inner):
        return None
    frame.keep(at, 6)
    frame.checksums.append(transport_checksum(packet, 6))
    frame.keep(at + UDP_HEADER, TUNNEL_HEADER)
    return lambda: carried(frame, kind, inner)


def gre(frame: FrameWriter, packet: Packet) -> Callable[[], None] | None:
    at = packet.begin
    flags, kind = frame.u16(at), frame.u16(at + 2)
    inner = at + 4 + 4 * (flags & 0xB000).bit_count()
    if flags & 0x4007 or not carries_ip(frame, kind, inner):
        return None
    frame.keep(at, inner - at)
    if flags & 0x8000:
        frame.checksums.append(Checksum(at + 4, at, packet.end, cut=packet.end < at + packet.length))
    return lambda: carried(frame, kind, inner)


def carried(frame: FrameWriter, kind: int, at: int) -> None:
    if kind == TRANSPARENT_ETHERNET:
        ethernet(frame, at)
    else:
        ethertype(frame, kind, at)


def carries_ip(frame: FrameWriter, kind: int, at: int) -> bool:
    """Whether what a tunnel carries is read here: else the packet is an ordinary one, as it is to the core."""
    if kind == TRANSPARENT_ETHERNET:
        kind, at = int.from_bytes(frame.data[at + 12 : at + 14], "big"), at + 14
    while kind in VLANS:
        kind, at = int.from_bytes(frame.data[at + 2 : at + 4], "big"), at + 4
    return kind in (IPV4_TYPE, IPV6_TYPE, PPPOE_SESSION, *MPLS) and at < len(frame.data)


def transport_checksum(packet: Packet, at: int) -> Checksum:
    """The checksum of a segment or datagram that is not in fragments, `at` bytes behind its beginning."""
    pseudo, new_pseudo = (pseudo_header(packet, addresses) for addresses in (packet[1:3], packet[3:5]))
    cut = packet.end < packet.begin + packet.length
    return Checksum(packet.begin + at, packet.begin, packet.end, pseudo, new_pseudo, cut)


def pseudo_header(packet: Packet, addresses: tuple[bytes, ...]) -> bytes:
    """RFC 9293 section 3.1, RFC 8200 section 8.1: as a sum both are the same. ICMP has none."""
    if packet.protocol == ICMP:
        return b""
    return b"".join(addresses) + struct.pack("!II", packet.length, packet.protocol)
