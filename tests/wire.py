"""From segments of conversations to the bytes of a capture: TCP, UDP and ICMP, IP, link headers, pcap and pcapng.

Sequence numbers and acknowledgements are set here, once all segments of a flow are known and in order of time.
"""

from __future__ import annotations

import struct
from collections.abc import Callable, Iterator, Mapping, Sequence
from ipaddress import ip_address
from itertools import count
from typing import TYPE_CHECKING, NamedTuple

if TYPE_CHECKING:
    from tests.scenario import Flow, Host

ICMP, TCP, UDP, ICMP6 = 1, 6, 17, 58
FIN, SYN, RST, PSH, ACK = 1, 2, 4, 8, 16
UNREACHABLE = -1  # in the place of a segment's flags: ICMP says that nobody listens at the port
MSS = 1448
DELAYED_ACK = 40_000_000  # ns that Linux waits for data to carry an acknowledgement
FIRST_SEQUENCE = (0xFFFFFF00, 0x10000000)  # by upstream; the server's soon wraps
SEQUENCE_STEP = 0x01000000  # from one connection to the next, so that they differ on the same ports
VLAN = 42
FRAGMENT, FRAGMENT_HEADER = 44, 8  # IPv6's, and its size


class Segment(NamedTuple):
    """A segment or datagram that was sent; `acked` is whether the receiver's host acknowledges it."""

    time: int
    flow: Flow
    upstream: bool
    flags: int = 0
    payload: bytes = b""
    acked: bool = True


class Packet(NamedTuple):
    """An IP packet between two hosts, or of one host with itself."""

    time: int
    source: Host
    target: Host
    data: bytes


class Frame(NamedTuple):
    time: int
    interface: int
    data: bytes


def packets(flow: Flow, segments: Sequence[Segment]) -> Iterator[Packet]:
    """The packets of one flow, of which the segments come in order of time."""
    first = [start + flow.number * SEQUENCE_STEP & 0xFFFFFFFF for start in FIRST_SEQUENCE]
    sent = list(first)  # by upstream: the next sequence number
    numbers = count(flow.client_port << 4)
    latest = b""
    for segment in with_acknowledgements(segments) if flow.transport == TCP else segments:
        up = segment.upstream
        for start in range(0, max(len(segment.payload), 1), MSS if flow.transport == TCP else 65_535):
            payload = segment.payload[start : start + MSS] if flow.transport == TCP else segment.payload
            if segment.flags == UNREACHABLE:
                data = unreachable(flow, latest)
            elif flow.transport == UDP:
                data = internet(flow, up, UDP, udp(flow, up, payload), next(numbers))
            else:
                sequence = first[up] if segment.flags & SYN else sent[up]
                acknowledged = sent[not up] if segment.flags & ACK else 0
                header = tcp(flow, up, sequence, acknowledged, segment.flags)
                data = internet(flow, up, TCP, header + payload, next(numbers))
                sent[up] = sequence + len(payload) + bool(segment.flags & (SYN | FIN)) & 0xFFFFFFFF
            latest = data
            ends = (flow.client, flow.server) if up else (flow.server, flow.client)
            yield Packet(segment.time, *ends, data)


def with_acknowledgements(segments: Sequence[Segment]) -> list[Segment]:
    """Data that the other side lets wait for longer than Linux does is acknowledged by a segment of its own."""
    added = []
    for index, segment in enumerate(segments):
        due, ended = segment.time + DELAYED_ACK, segment.flow.ended
        back = (later for later in segments[index + 1 :] if later.upstream != segment.upstream)
        alive = ended is None or due < ended
        if segment.payload and segment.acked and alive and all(later.time > due for later in back):
            added.append(Segment(due, segment.flow, not segment.upstream, ACK))
    return sorted([*segments, *added], key=lambda segment: segment.time)


def tcp(flow: Flow, up: bool, sequence: int, acknowledged: int, flags: int) -> bytes:
    return struct.pack(">HHIIBBHHH", *ports(flow, up), sequence & 0xFFFFFFFF, acknowledged, 5 << 4, flags, 65_535, 0, 0)


def udp(flow: Flow, up: bool, payload: bytes) -> bytes:
    return struct.pack(">HHHH", *ports(flow, up), 8 + len(payload), 0) + payload


def ports(flow: Flow, up: bool) -> tuple[int, int]:
    return (flow.client_port, flow.server_port) if up else (flow.server_port, flow.client_port)


def unreachable(flow: Flow, quoted: bytes) -> bytes:
    """Port unreachable (RFC 792, RFC 4443), with the packet that it is about."""
    kind, code, protocol = (1, 4, ICMP6) if ":" in flow.client.address else (3, 3, ICMP)
    return internet(flow, False, protocol, struct.pack(">BBHI", kind, code, 0, 0) + quoted[:548], 0)


CHECKSUM_AT = {ICMP: 2, TCP: 16, UDP: 6, ICMP6: 2}


def internet(flow: Flow, up: bool, protocol: int, payload: bytes, number: int) -> bytes:
    """The packet of a flow, its checksums filled in."""
    local = flow.client is flow.server
    here, there = (flow.client, flow.server) if up else (flow.server, flow.client)
    ends = b"".join(ip_address(host.loopback if local else host.address).packed for host in (here, there))
    pseudo = b"" if protocol == ICMP else ends + struct.pack(">II", len(payload), protocol)
    at = CHECKSUM_AT[protocol]
    return network(ends, protocol, payload[:at] + checksum(pseudo + payload) + payload[at + 2 :], number)


def readdressed(packet: Packet, addresses: Mapping[str, str], delay: int) -> Packet:
    """A packet behind network address translation, which leaves sequence numbers and payload as they are."""
    data = packet.data
    size = 20 if data[0] >> 4 == 4 else 40
    half = 4 if size == 20 else 16
    ends = [str(ip_address(data[at : at + half])) for at in (size - 2 * half, size - half)]
    swapped = b"".join(ip_address(addresses.get(end, end)).packed for end in ends)
    protocol, payload = data[9 if size == 20 else 6], data[size:]
    at = CHECKSUM_AT[protocol]
    payload = payload[:at] + b"\0\0" + payload[at + 2 :]
    pseudo = swapped + struct.pack(">II", len(payload), protocol)
    payload = payload[:at] + checksum(pseudo + payload) + payload[at + 2 :]
    number = int.from_bytes(data[4:6])
    return packet._replace(time=packet.time + delay, data=network(swapped, protocol, payload, number))


DONT_FRAGMENT, MORE_FRAGMENTS = 0x4000, 0x2000  # with the offset in eights of bytes


def network(ends: bytes, protocol: int, payload: bytes, number: int, fragment: int = DONT_FRAGMENT) -> bytes:
    """An IPv4 or IPv6 packet between two addresses."""
    if len(ends) == 32:
        return struct.pack(">IHBB", 6 << 28, len(payload), protocol, 64) + ends + payload
    size = 20 + len(payload)
    header = struct.pack(">BBHHHBBH", 0x45, 0, size, number & 0xFFFF, fragment, 64, protocol, 0) + ends
    return header[:10] + checksum(header) + header[12:] + payload


def fragments(packet: Packet, mtu: int) -> Iterator[Packet]:
    """The fragments that a packet goes in where the links carry `mtu` bytes (RFC 791 §3.2, RFC 8200 §4.5)."""
    data, ipv6 = packet.data, packet.data[0] >> 4 == 6
    if len(data) <= mtu:
        yield packet
        return
    header = 40 if ipv6 else 20
    payload, ends, protocol = data[header:], data[8:40] if ipv6 else data[12:20], data[6 if ipv6 else 9]
    number = packet.time & 0xFFFFFFFF if ipv6 else int.from_bytes(data[4:6])
    size = (mtu - header - (FRAGMENT_HEADER if ipv6 else 0)) // 8 * 8
    for start in range(0, len(payload), size):
        piece, more = payload[start : start + size], start + size < len(payload)
        if ipv6:
            head = struct.pack(">BBHI", protocol, 0, start | more, number)
            yield packet._replace(data=network(ends, FRAGMENT, head + piece, 0))
        else:
            place = start // 8 | (MORE_FRAGMENTS if more else 0)
            yield packet._replace(data=network(ends, protocol, piece, number, place))


def tunnelled(packet: Packet, tunnel: str) -> Packet:
    """The packet between the ends of a tunnel that carries a packet from host to host."""
    ends = bytes([192, 0, 2, packet.source.number, 192, 0, 2, packet.target.number])
    protocol, payload = TUNNELS[tunnel](packet)
    return packet._replace(data=network(ends, protocol, payload, packet.time))


def ipip(packet: Packet) -> tuple[int, bytes]:
    return (41 if packet.data[0] >> 4 == 6 else 4), packet.data


def gre(packet: Packet) -> tuple[int, bytes]:
    return 47, struct.pack(">HH", 0, ether_type(packet)) + packet.data


def vxlan(packet: Packet) -> tuple[int, bytes]:
    return overlay(4789, struct.pack(">II", 8 << 24, 84 << 8) + ethernet(packet, None))


def geneve(packet: Packet) -> tuple[int, bytes]:
    return overlay(6081, struct.pack(">HHI", 0, 0x6558, 84 << 8) + ethernet(packet, None))


def overlay(port: int, payload: bytes) -> tuple[int, bytes]:
    return UDP, struct.pack(">HHHH", 50_000, port, 8 + len(payload), 0) + payload


TUNNELS: dict[str, Callable[[Packet], tuple[int, bytes]]] = {
    "ipip": ipip,
    "gre": gre,
    "vxlan": vxlan,
    "geneve": geneve,
}


def checksum(data: bytes) -> bytes:
    """RFC 1071: the complement of the sum in ones' complement, which is the remainder by 65535."""
    return ((-int.from_bytes(data + bytes(len(data) % 2)) % 0xFFFF) or 0xFFFF).to_bytes(2)


def ether_type(packet: Packet) -> int:
    return 0x86DD if packet.data[0] >> 4 == 6 else 0x0800


def is_local(packet: Packet) -> bool:
    return packet.source is packet.target


def mac(packet: Packet, host: Host) -> bytes:
    return bytes(6) if is_local(packet) else b"\2\0\0\0\0" + bytes([host.number])


def ethernet(packet: Packet, place: Host | None, tag: bytes = b"") -> bytes:
    ends = mac(packet, packet.target) + mac(packet, packet.source)
    return ends + tag + struct.pack(">H", ether_type(packet)) + packet.data


def vlan(packet: Packet, place: Host | None) -> bytes:
    return ethernet(packet, place, struct.pack(">HH", 0x8100, VLAN))


def cooked(packet: Packet, place: Host | None) -> tuple[int, int, bytes]:
    """What Linux' cooked headers tell: the hardware, whether it was sent or received, the sender's address."""
    outgoing = packet.source is place and not is_local(packet)
    return 772 if is_local(packet) else 1, 4 if outgoing else 0, mac(packet, packet.source) + bytes(2)


def sll(packet: Packet, place: Host | None) -> bytes:
    hardware, direction, sender = cooked(packet, place)
    return struct.pack(">HHH8sH", direction, hardware, 6, sender, ether_type(packet)) + packet.data


def sll2(packet: Packet, place: Host | None) -> bytes:
    hardware, direction, sender = cooked(packet, place)
    interface = 1 if is_local(packet) else 2
    return struct.pack(">HHIHBB8s", ether_type(packet), 0, interface, hardware, direction, 6, sender) + packet.data


def null(packet: Packet, place: Host | None) -> bytes:
    return struct.pack("<I", 30 if ether_type(packet) == 0x86DD else 2) + packet.data


def raw(packet: Packet, place: Host | None) -> bytes:
    return packet.data


def hdlc(packet: Packet, place: Host | None) -> bytes:
    return struct.pack(">BBH", 0x0F, 0, ether_type(packet)) + packet.data


def ipoib(packet: Packet, place: Host | None) -> bytes:
    return (
        bytes(20)
        + mac(packet, packet.target).ljust(20, b"\1")
        + struct.pack(">HH", ether_type(packet), 0)
        + packet.data
    )


def nflog(packet: Packet, place: Host | None) -> bytes:
    """As `-i nflog:1` has it on a little-endian host: the EtherType, a prefix, and the packet (NFULA_PAYLOAD)."""
    family = 10 if ether_type(packet) == 0x86DD else 2
    attributes = ((1, struct.pack(">HBB", ether_type(packet), 1, 0)), (10, b"nfs\0"), (9, packet.data))
    padded = (struct.pack("<HH", 4 + len(value), kind) + value + bytes(-len(value) % 4) for kind, value in attributes)
    return struct.pack(">BBH", family, 0, 1) + b"".join(padded)


def pktap(packet: Packet, place: Host | None) -> bytes:
    return struct.pack("<III24s72x", 108, 1, LINKS["ethernet"][0], b"en0") + ethernet(packet, place)


LINKS: dict[str, tuple[int, Callable[[Packet, Host | None], bytes]]] = {
    "ethernet": (1, ethernet),
    "vlan": (1, vlan),
    "sll": (113, sll),
    "sll2": (276, sll2),
    "null": (0, null),
    "raw": (101, raw),
    "hdlc": (104, hdlc),
    "nflog": (239, nflog),
    "ipoib": (242, ipoib),
    "pktap": (258, pktap),
}


def pcap(frames: Sequence[Frame], link: int, snaplen: int, names: Sequence[str]) -> bytes:
    """A pcap file with times in nanoseconds."""
    header = struct.pack("<IHHiIII", 0xA1B23C4D, 2, 4, 0, 0, snaplen, link)
    records = (
        struct.pack("<IIII", *divmod(frame.time, 10**9), min(len(frame.data), snaplen), len(frame.data))
        + frame.data[:snaplen]
        for frame in frames
    )
    return header + b"".join(records)


def pcapng(frames: Sequence[Frame], link: int, snaplen: int, names: Sequence[str]) -> bytes:
    """A section with an interface for each name, times in nanoseconds (if_tsresol)."""
    section = block(0x0A0D0D0A, struct.pack("<IHHq", 0x1A2B3C4D, 1, 0, -1))
    interfaces = (
        block(1, struct.pack("<HHI", link, 0, snaplen) + option(2, name.encode()) + option(9, b"\x09") + option(0, b""))
        for name in names
    )
    packets = (
        block(
            6,
            struct.pack("<I", frame.interface)
            + struct.pack("<II", *divmod(frame.time, 2**32))
            + struct.pack("<II", min(len(frame.data), snaplen), len(frame.data))
            + padded(frame.data[:snaplen]),
        )
        for frame in frames
    )
    return section + b"".join(interfaces) + b"".join(packets)


def block(kind: int, body: bytes) -> bytes:
    size = struct.pack("<I", len(body) + 12)
    return struct.pack("<I", kind) + size + body + size


def option(code: int, value: bytes) -> bytes:
    return struct.pack("<HH", code, len(value)) + padded(value)


def padded(data: bytes) -> bytes:
    return data + bytes(-len(data) % 4)


WRITERS: dict[str, Callable[[Sequence[Frame], int, int, Sequence[str]], bytes]] = {"pcap": pcap, "pcapng": pcapng}


def shifted(capture: bytes, seconds: int) -> bytes:
    """A pcap file by another clock."""
    order = "<" if capture[0] in (0xD4, 0x4D) else ">"
    found, at = bytearray(capture), 24
    while at < len(found):
        time, _, size = struct.unpack_from(f"{order}3I", found, at)
        struct.pack_into(f"{order}I", found, at, time + seconds)
        at += 16 + size
    return bytes(found)
