"""A conversation held by sockets, as the IP packets that it took.

Sockets show no packets, but all that they show has passed as packets: a connection that was accepted, refused or not
answered, bytes sent, received and acknowledged, an ICMP error. Each becomes a packet with the time at which the socket
showed it (RFC 791, 8200, 768, 9293, 792, 4443). How bytes were cut into segments is not known, and no rule asks.
"""

from __future__ import annotations

import io
import socket
import threading
import time
from collections.abc import Iterator
from typing import Literal, NamedTuple, TypeAlias

import dpkt

from nfsrpc.carving.pcapng import write
from nfsrpc.raw import Frame

LINKTYPE_RAW = 101  # packets begin with IP
SNAPLEN = 262_144  # as tcpdump has it
SEGMENT = 16_384  # most bytes of a packet: below what the length of an IP packet can say
QUOTED = 8  # bytes behind the IP header that ICMP quotes (RFC 792)
FIRST_SEQ = 1

Transport: TypeAlias = Literal["tcp", "udp"]
SYN, ACK, PSH, RST, FIN = dpkt.tcp.TH_SYN, dpkt.tcp.TH_ACK, dpkt.tcp.TH_PUSH, dpkt.tcp.TH_RST, dpkt.tcp.TH_FIN


class End(NamedTuple):
    """An address and a port."""

    address: str
    port: int


class Wire:
    """The packets of all conversations, from several threads."""

    def __init__(self) -> None:
        self.packets: list[tuple[int, bytes]] = []
        self._lock = threading.Lock()

    def add(self, packet: bytes) -> None:
        with self._lock:
            self.packets.append((max(time.time_ns(), self.packets[-1][0] if self.packets else 0), packet))

    def pcapng(self) -> bytes:
        """The packets as a capture file."""
        file = io.BytesIO()
        interface = {"capture": 0, "interface": 0, "link_type": LINKTYPE_RAW, "name": "probe", "snaplen": SNAPLEN}
        write(file, [interface], self._frames(), "Packets of an nfsrpc probe, as its sockets saw them")
        return file.getvalue()

    def _frames(self) -> Iterator[tuple[Frame, str]]:
        for number, (moment, packet) in enumerate(self.packets, 1):
            yield Frame(0, number, moment, 0, LINKTYPE_RAW, len(packet), packet), ""


class Datagrams:
    """A pair of UDP ports."""

    def __init__(self, wire: Wire, here: End, there: End) -> None:
        self.wire, self.here, self.there = wire, here, there
        self.last = b""  # the packet that an ICMP error quotes

    def sent(self, data: bytes) -> None:
        self.last = self._packet(self.here, self.there, data)
        self.wire.add(self.last)

    def received(self, data: bytes, source: End) -> None:
        self.wire.add(self._packet(source, self.here, data))

    def unreachable(self, code: int, by: str) -> None:
        self.wire.add(icmp(by, self.here.address, code, self.last))

    def _packet(self, source: End, destination: End, data: bytes) -> bytes:
        datagram = dpkt.udp.UDP(sport=source.port, dport=destination.port, ulen=8 + len(data), data=data)
        return ip(source.address, destination.address, dpkt.ip.IP_PROTO_UDP, datagram)


class Connection:
    """A TCP connection, with the sequence numbers of both sides."""

    def __init__(self, wire: Wire, here: End, there: End) -> None:
        self.wire, self.here, self.there = wire, here, there
        self.next = {here: FIRST_SEQ, there: FIRST_SEQ}
        self.last = b""

    def syn(self) -> None:
        """A SYN, or the same again."""
        self.last = self._segment(self.here, SYN, b"", FIRST_SEQ, 0)
        self.wire.add(self.last)

    def accepted(self) -> None:
        self.next[self.here] += 1
        self.wire.add(self._segment(self.there, SYN | ACK, b"", FIRST_SEQ, self.next[self.here]))
        self.next[self.there] += 1
        self.acknowledged(self.here)

    def refused(self) -> None:
        self.wire.add(self._segment(self.there, RST | ACK, b"", 0, FIRST_SEQ + 1))

    def unreachable(self, code: int, by: str) -> None:
        self.wire.add(icmp(by, self.here.address, code, self.last))

    def sent(self, data: bytes) -> None:
        self._data(self.here, data)

    def received(self, data: bytes) -> None:
        self._data(self.there, data)

    def acknowledged(self, by: End) -> None:
        """A bare ACK for all that the other side has sent."""
        self.wire.add(self._segment(by, ACK, b"", self.next[by], self.next[self._other(by)]))

    def finished(self, by: End) -> None:
        self.wire.add(self._segment(by, FIN | ACK, b"", self.next[by], self.next[self._other(by)]))
        self.next[by] += 1

    def reset(self) -> None:
        self.wire.add(self._segment(self.there, RST | ACK, b"", self.next[self.there], self.next[self.here]))

    def _data(self, source: End, data: bytes) -> None:
        for start in range(0, len(data), SEGMENT):
            piece = data[start : start + SEGMENT]
            self.wire.add(self._segment(source, PSH | ACK, piece, self.next[source], self.next[self._other(source)]))
            self.next[source] += len(piece)

    def _other(self, end: End) -> End:
        return self.there if end == self.here else self.here

    def _segment(self, source: End, flags: int, data: bytes, seq: int, ack: int) -> bytes:
        other = self._other(source)
        segment = dpkt.tcp.TCP(
            sport=source.port, dport=other.port, seq=seq, ack=ack, flags=flags, win=0xFFFF, data=data
        )
        return ip(source.address, other.address, dpkt.ip.IP_PROTO_TCP, segment)


def ip(source: str, destination: str, protocol: int, payload: dpkt.Packet) -> bytes:
    """An IP packet; dpkt works its checksums out."""
    if ":" not in source:
        src, dst = socket.inet_aton(source), socket.inet_aton(destination)
        return bytes(dpkt.ip.IP(src=src, dst=dst, p=protocol, ttl=64, data=payload, len=20 + len(payload)))
    src, dst = (socket.inet_pton(socket.AF_INET6, bare(address)) for address in (source, destination))
    packet = dpkt.ip6.IP6(src=src, dst=dst, nxt=protocol, hlim=64, plen=len(payload), data=payload)
    packet.extension_hdrs, packet.all_extension_headers = {}, []
    return bytes(packet)


def icmp(source: str, destination: str, code: int, about: bytes) -> bytes:
    """Destination unreachable, quoting the packet that it is about."""
    if ":" not in source:
        quoted = about[: 20 + QUOTED]
        unreachable = dpkt.icmp.ICMP(type=3, code=code, data=dpkt.icmp.ICMP.Unreach(data=quoted))
        return ip(source, destination, dpkt.ip.IP_PROTO_ICMP, unreachable)
    unreachable6 = dpkt.icmp6.ICMP6(type=1, code=code, data=dpkt.icmp6.ICMP6.Unreach(data=about[: 40 + QUOTED]))
    return ip(source, destination, dpkt.ip.IP_PROTO_ICMP6, unreachable6)


def bare(address: str) -> str:
    """An IPv6 address without its zone: fe80::1%eth0."""
    return address.partition("%")[0]
