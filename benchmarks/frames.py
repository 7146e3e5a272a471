"""Ethernet frames in a pcap file, made by the thousand: a matrix of payloads in, a matrix of packet records out.

All rows of a matrix have one length, so every header field is one assignment to a column of bytes. Addresses, sequence
numbers and checksums are right; TCP carries timestamps (RFC 7323) as Linux's does.
"""

from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

Bytes = NDArray[np.uint8]
Numbers = NDArray[np.int64]

# pcap, little-endian, microseconds, version 2.4, snap length 256 KiB, Ethernet.
FILE_HEADER = bytes.fromhex("d4c3b2a1 0200 0400 00000000 00000000 00000400 01000000")
RECORD, ETHERNET, IP, UDP, TCP = 16, 14, 20, 8, 32
TCP_RECORD, UDP_RECORD = RECORD + ETHERNET + IP + TCP, RECORD + ETHERNET + IP + UDP
FIN, SYN, PUSH, ACK = 1, 2, 8, 16
TCP_PROTOCOL, UDP_PROTOCOL = 6, 17


class Ends(NamedTuple):
    """Sender and receiver of frames, a value per row or one for all: IPv4 addresses as numbers, also for the MAC."""

    source: Any
    source_port: Any
    target: Any
    target_port: Any

    def swapped(self) -> "Ends":
        return Ends(self.target, self.target_port, self.source, self.source_port)


def put(rows: Bytes, at: int, width: int, values: Any) -> None:
    """Big-endian numbers into the same columns of every row."""
    for byte in range(width):
        rows[:, at + byte] = np.asarray(values, dtype=np.int64) >> 8 * (width - 1 - byte) & 0xFF


def tcp(ends: Ends, time_us: Any, seq: Any, ack: Any, payload: Bytes, flags: int = PUSH | ACK) -> Bytes:
    """Packet records of TCP segments, one row per segment."""
    rows, segment = _packets(ends, time_us, TCP, payload, TCP_PROTOCOL)
    put(rows, segment + 4, 4, seq)
    put(rows, segment + 8, 4, ack)
    put(rows, segment + 12, 2, TCP // 4 << 12 | flags)
    put(rows, segment + 14, 2, 0x1000)
    rows[:, segment + 20 : segment + 24] = (1, 1, 8, 10)  # NOP, NOP, timestamps
    put(rows, segment + 24, 4, np.asarray(time_us) // 1000)
    put(rows, segment + 28, 4, np.asarray(time_us) // 1000)
    put(rows, segment + 16, 2, _checksum(rows, segment, TCP_PROTOCOL))
    return rows


def udp(ends: Ends, time_us: Any, payload: Bytes) -> Bytes:
    """Packet records of UDP datagrams, one row per datagram."""
    rows, datagram = _packets(ends, time_us, UDP, payload, UDP_PROTOCOL)
    put(rows, datagram + 4, 2, UDP + payload.shape[1])
    put(rows, datagram + 6, 2, _checksum(rows, datagram, UDP_PROTOCOL))
    return rows


def _packets(ends: Ends, time_us: Any, header: int, payload: Bytes, protocol: int) -> tuple[Bytes, int]:
    """Rows with everything but what the transport adds, and where its header begins."""
    count, size = payload.shape
    ip = RECORD + ETHERNET
    transport = ip + IP
    rows = np.zeros((count, transport + header + size), np.uint8)
    rows[:, transport + header :] = payload
    time = np.broadcast_to(np.asarray(time_us, np.int64), count)
    frame = ETHERNET + IP + header + size
    record = np.stack([time // 1_000_000, time % 1_000_000, np.full(count, frame), np.full(count, frame)], axis=1)
    rows[:, :RECORD] = record.astype("<u4").view(np.uint8)
    for at, address in ((0, ends.target), (6, ends.source)):
        put(rows, RECORD + at, 2, 0x0200)  # locally administered
        put(rows, RECORD + at + 2, 4, address)
    put(rows, RECORD + 12, 2, 0x0800)
    put(rows, ip, 2, 0x4500)
    put(rows, ip + 2, 2, frame - ETHERNET)
    put(rows, ip + 4, 2, time & 0xFFFF)
    put(rows, ip + 6, 2, 0x4000)  # don't fragment
    put(rows, ip + 8, 2, 64 << 8 | protocol)
    put(rows, ip + 12, 4, ends.source)
    put(rows, ip + 16, 4, ends.target)
    put(rows, ip + 10, 2, _folded(_word_sum(rows[:, ip:transport])))
    put(rows, transport, 2, ends.source_port)
    put(rows, transport + 2, 2, ends.target_port)
    return rows, transport


def _checksum(rows: Bytes, transport: int, protocol: int) -> Numbers:
    pseudo_header = _word_sum(rows[:, transport - 8 : transport])  # both addresses
    length = rows.shape[1] - transport
    constant = int.from_bytes((protocol + length & 0xFFFF).to_bytes(2, "big"), "little")
    return _folded(pseudo_header + _word_sum(rows[:, transport:]) + constant)


def _word_sum(columns: Bytes) -> Numbers:
    """The sum of each row's 16-bit words as they lie there: RFC 1071 §2 (B) lets bytes be swapped at the end."""
    sums: Numbers = np.ascontiguousarray(columns).view("<u2").sum(axis=1, dtype=np.int64)
    return sums


def _folded(sums: Numbers) -> Numbers:
    for _ in range(3):
        sums = (sums & 0xFFFF) + (sums >> 16)
    complement = ~sums & 0xFFFF
    return complement >> 8 | (complement & 0xFF) << 8
