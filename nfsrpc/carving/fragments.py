"""Frames that hold fragments of IP datagrams (RFC 791, RFC 8200 §4.5), and those with the other fragments.

The core names the frame in which a datagram is complete. The other fragments came shortly before.
"""

from __future__ import annotations

import struct
from collections.abc import Collection, Iterator
from typing import Any, TypeAlias

import dpkt

from nfsrpc.decode import Decoded
from nfsrpc.raw import Frame, reread

Place: TypeAlias = tuple[int, int]
# A datagram has up to 45 fragments of an Ethernet frame each, with those of other datagrams between them.
NEARBY = 512  # frames
FRAGMENT = 44  # IPv6's next header

ETHERNET, C_HDLC, NFLOG, IPOIB, PKTAP = 1, 104, 239, 242, 258
LINKS: dict[int, Any] = {
    ETHERNET: dpkt.ethernet.Ethernet,
    113: dpkt.sll.SLL,
    276: dpkt.sll2.SLL2,
    0: dpkt.loopback.Loopback,
    108: dpkt.loopback.Loopback,
}
NFULA_PAYLOAD = 9
HEADERS = {C_HDLC: 4, IPOIB: 44}  # bytes before the packet


def other_fragments(decoded: Decoded, places: Collection[Place]) -> Iterator[tuple[Place, Place]]:
    """Frames with the other fragments of datagrams, each with the frame of `places` that completes the datagram."""
    datagrams: dict[tuple[Any, ...], Place] = {}
    for frame in reread(decoded, places).frames:
        if key := datagram(frame):
            datagrams[key] = frame.capture, frame.frame
    near = {(capture, number) for capture, last in datagrams.values() for number in range(max(1, last - NEARBY), last)}
    for frame in reread(decoded, near).frames if near else ():
        whole = datagrams.get(datagram(frame) or ())
        if whole is not None and whole != (frame.capture, frame.frame):
            yield (frame.capture, frame.frame), whole


def datagram(frame: Frame) -> tuple[Any, ...] | None:
    """The key of the datagram of which a frame holds a fragment; None if it holds none."""
    try:
        packet = packet_in(frame.link_type, frame.bytes)
    except (dpkt.UnpackError, IndexError, struct.error):
        return None
    if isinstance(packet, dpkt.ip.IP) and (packet.mf or packet.offset):
        return frame.capture, packet.src, packet.dst, packet.p, packet.id
    if isinstance(packet, dpkt.ip6.IP6):
        fragment = packet.extension_hdrs.get(FRAGMENT)
        return fragment and (frame.capture, packet.src, packet.dst, fragment.nxt, fragment.id)
    return None


def packet_in(link_type: int, data: bytes) -> Any:
    """The IP packet in a frame of this link type."""
    if link_type in LINKS:
        return LINKS[link_type](data).data
    if link_type == PKTAP:
        length, _, inner = struct.unpack_from("<III", data)
        return packet_in(inner if inner != PKTAP else ETHERNET, data[length:])
    if link_type == NFLOG:
        return ip_packet(nflog_packet(data))
    return ip_packet(data[HEADERS.get(link_type, 0) :])


def nflog_packet(data: bytes) -> bytes:
    """The packet among the attributes of an NFLOG message (linux/netfilter/nfnetlink_log.h)."""
    at = 4
    while True:
        length, kind = struct.unpack_from("<HH", data, at)
        if kind == NFULA_PAYLOAD or length < 4:
            return data[at + 4 : at + length]
        at += (length + 3) & ~3


def ip_packet(data: bytes) -> Any:
    """The IPv4 or IPv6 packet in data without a link header."""
    return (dpkt.ip6.IP6 if data[0] >> 4 == 6 else dpkt.ip.IP)(data)
