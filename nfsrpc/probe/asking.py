"""RPC calls over sockets (RFC 5531 §9, §11), each written down by wire.py while it is made.

A question has an outcome, never an exception: a host that does not answer is what a probe is for. What a host sends is
bounded in bytes and in time, and is not looked at here beyond its header: the decoder reads it.
"""

from __future__ import annotations

import errno
import os
import select
import socket
import struct
import time
from collections.abc import Iterable
from contextlib import suppress
from typing import Any, NamedTuple, TypeAlias

from nfsrpc.probe.wire import Connection, Datagrams, End, Transport, Wire
from nfsrpc.protocols.numbers import AcceptStat

POLL_S = 0.05  # so late at most a retransmission is noticed
UDP_RESENDS_S = (1.0, 3.0)  # after the first datagram; the kernel's SYNs are retransmitted at these times too
MAX_RECORD = 1 << 20  # the longest reply that is read; a list of 10,000 exports has half of it
RECEIVE = 65_535
RPCVERS = 2
ACCEPTED = struct.pack(">II", 1, 0)  # REPLY, MSG_ACCEPTED

# <linux/in.h>, <linux/in6.h>, <linux/socket.h>, <linux/errqueue.h>, of which the module socket has no names before 3.14
IP_RECVERR, IPV6_RECVERR, MSG_ERRQUEUE = 11, 25, 0x2000
EXTENDED_ERROR = struct.Struct("=IBBBxII")
FROM_ICMP = (2, 3)  # SO_EE_ORIGIN_ICMP, SO_EE_ORIGIN_ICMP6
RETRANSMITS, UNACKED = 2, 24  # offsets in struct tcp_info of <linux/tcp.h>


Address: TypeAlias = tuple[Any, ...]  # of the module socket, whatever the family


class Question(NamedTuple):
    """A procedure without side effects, to be called at a port."""

    prog: int
    vers: int
    proc: int = 0
    arguments: bytes = b""


class Asked(NamedTuple):
    """A question, where it was asked, and what came of it."""

    address: str
    transport: Transport
    port: int
    question: Question
    outcome: str
    latency_s: float | None = None


ANSWERED, REFUSED, SILENT, CLOSED, UNREACHABLE = "answered", "refused", "no answer", "closed", "unreachable"
NOT_ACCEPTED = "rejected"
OUTCOMES = {status.value: ANSWERED if status == AcceptStat.SUCCESS else status.name for status in AcceptStat}


def message(xid: int, question: Question) -> bytes:
    """A call with AUTH_NONE."""
    return struct.pack(">10I", xid, 0, RPCVERS, *question[:3], 0, 0, 0, 0) + question.arguments


def outcome_of(reply: bytes) -> str:
    """What the header of a reply says: its verifier stands between reply_stat and accept_stat."""
    verifier = int.from_bytes(reply[16:20], "big") + 3 & ~3
    status = reply[20 + verifier : 24 + verifier]
    if reply[4:12] != ACCEPTED or len(status) < 4:
        return NOT_ACCEPTED
    return OUTCOMES.get(int.from_bytes(status, "big"), NOT_ACCEPTED)


def ask(
    wire: Wire, transport: Transport, address: str, port: int, questions: Iterable[Question], timeout_s: float
) -> list[Asked]:
    """Asks some questions one after the other, over one connection or from one port; OSError if nothing can be sent."""
    over = over_tcp if transport == "tcp" else over_udp
    family = socket.AF_INET6 if ":" in address else socket.AF_INET
    kind = socket.SOCK_STREAM if transport == "tcp" else socket.SOCK_DGRAM
    questions = list(questions)
    with socket.socket(family, kind) as sock:
        results = over(wire, sock, socket.getaddrinfo(address, int(port), family, kind)[0][4], questions, timeout_s)
    left = [results[-1]] * (len(questions) - len(results))  # a connection that is gone answers none of the others
    return [
        Asked(address, transport, port, question, *result)
        for question, result in zip(questions, [*results, *left], strict=True)
    ]


Result: TypeAlias = tuple[str, float | None]


def over_tcp(
    wire: Wire, sock: socket.socket, there: Address, questions: list[Question], timeout_s: float
) -> list[Result]:
    sock.setblocking(False)
    code = sock.connect_ex(there)
    if code not in (0, errno.EINPROGRESS, errno.ECONNREFUSED):
        raise OSError(code, os.strerror(code))
    here, peer = End(*sock.getsockname()[:2]), End(*there[:2])
    if here == peer:  # the kernel may give the very port that is asked: nobody listens there
        return [(REFUSED, None)]
    connection = Connection(wire, here, peer)
    connection.syn()
    outcome = REFUSED if code == errno.ECONNREFUSED else connected(sock, connection, timeout_s)
    if outcome == REFUSED:
        connection.refused()
    if outcome != ANSWERED:
        return [(outcome, None)]
    connection.accepted()
    results: list[Result] = []
    for xid, question in numbered(questions):
        results.append(exchange(sock, connection, xid, question, timeout_s))
        if results[-1][0] in (SILENT, CLOSED):
            break
    if results[-1][0] != CLOSED:
        connection.finished(connection.here)
    return results


def connected(sock: socket.socket, connection: Connection, timeout_s: float) -> str:
    """Waits for the answer to a SYN, and notes each time that the kernel sends it again."""
    deadline, resent = time.monotonic() + timeout_s, 0
    while time.monotonic() < deadline:
        _, writable, _ = select.select([], [sock], [], POLL_S)
        if writable:
            code = sock.getsockopt(socket.SOL_SOCKET, socket.SO_ERROR)
            return {0: ANSWERED, errno.ECONNREFUSED: REFUSED, errno.ETIMEDOUT: SILENT}.get(code, UNREACHABLE)
        for _ in range(resent, tcp_info(sock)[RETRANSMITS]):
            connection.syn()
            resent += 1
    return SILENT


def exchange(sock: socket.socket, connection: Connection, xid: int, question: Question, timeout_s: float) -> Result:
    """One call over a connection, and its reply."""
    call = message(xid, question)
    record = struct.pack(">I", 1 << 31 | len(call)) + call
    begun = time.monotonic()
    try:
        sock.sendall(record)
        connection.sent(record)
        reply, acknowledged = b"", False
        while (left := begun + timeout_s - time.monotonic()) > 0 and len(reply) < MAX_RECORD:
            readable, _, _ = select.select([sock], [], [], min(POLL_S, left))
            if not readable:
                if not acknowledged and not reply and not int.from_bytes(tcp_info(sock)[UNACKED:][:4], "little"):
                    connection.acknowledged(connection.there)
                    acknowledged = True
                continue
            data = sock.recv(RECEIVE)
            if not data:
                connection.finished(connection.there)
                return CLOSED, None
            connection.received(data)
            reply += data
            body = record_of(reply)
            if body is not None:
                return outcome_of(body), time.monotonic() - begun
    except (ConnectionResetError, BrokenPipeError):
        connection.reset()
        return CLOSED, None
    except OSError:
        return UNREACHABLE, None
    return SILENT, None


def record_of(data: bytes) -> bytes | None:
    """The first record, without its marks; None while it is not whole.

    >>> record_of(bytes([0, 0, 0, 1]) + b"a" + bytes([128, 0, 0, 2]) + b"bc"), record_of(bytes([128, 0, 0, 2]) + b"b")
    (b'abc', None)
    """
    body, position, last = b"", 0, False
    while not last:
        mark = int.from_bytes(data[position : position + 4], "big")
        last, length = bool(mark >> 31), mark & 0x7FFFFFFF
        if len(data) < position + 4 + length:
            return None
        body += data[position + 4 : position + 4 + length]
        position += 4 + length
    return body


def tcp_info(sock: socket.socket) -> bytes:
    """The kernel's struct tcp_info; zeros where the system has none."""
    return sock.getsockopt(socket.IPPROTO_TCP, getattr(socket, "TCP_INFO", 11), 104).ljust(104, b"\0")


def over_udp(
    wire: Wire, sock: socket.socket, there: Address, questions: list[Question], timeout_s: float
) -> list[Result]:
    with socket.socket(sock.family, socket.SOCK_DGRAM) as other:
        other.connect(there)
        source = other.getsockname()[0]
    v6 = sock.family == socket.AF_INET6
    with suppress(OSError):  # a system without it shows no ICMP errors
        sock.setsockopt(socket.IPPROTO_IPV6 if v6 else socket.IPPROTO_IP, IPV6_RECVERR if v6 else IP_RECVERR, 1)
    sock.bind((source, 0, *there[2:]))
    datagrams = Datagrams(wire, End(*sock.getsockname()[:2]), End(*there[:2]))
    results: list[Result] = []
    for xid, question in numbered(questions):
        results.append(datagram(sock, datagrams, there, xid, question, timeout_s))
        if results[-1][0] not in (ANSWERED, *AcceptStat.__members__):
            break
    return results


def datagram(
    sock: socket.socket, datagrams: Datagrams, there: Address, xid: int, question: Question, timeout_s: float
) -> Result:
    """One call over UDP, retransmitted while there is no reply; a reply may come from another address."""
    call = message(xid, question)
    begun = time.monotonic()
    due = [0.0, *(after for after in UDP_RESENDS_S if after < timeout_s)]
    try:
        while (elapsed := time.monotonic() - begun) < timeout_s:
            if due and elapsed >= due[0]:
                due.pop(0)
                sock.sendto(call, there)
                datagrams.sent(call)
            until = min(due[0] if due else timeout_s, timeout_s)
            if not select.select([sock], [], [], max(0.0, until - elapsed))[0]:
                continue
            data, source = sock.recvfrom(RECEIVE)
            datagrams.received(data, End(*source[:2]))
            if data[:4] == call[:4]:
                return outcome_of(data), time.monotonic() - begun
    except OSError:
        return icmp_error(sock, datagrams), None
    return SILENT, None


def icmp_error(sock: socket.socket, datagrams: Datagrams) -> str:
    """The outcome by the ICMP message that the kernel keeps in the error queue of a socket."""
    with suppress(OSError):
        _, ancillary, _, _ = sock.recvmsg(RECEIVE, 512, MSG_ERRQUEUE)
        for _, _, data in ancillary:
            code_of_system, origin, kind, code, _, _ = EXTENDED_ERROR.unpack_from(data)
            v6 = sock.family == socket.AF_INET6
            if origin in FROM_ICMP and kind == (1 if v6 else 3):
                offender = data[EXTENDED_ERROR.size :]
                by = socket.inet_ntop(sock.family, offender[8:24] if v6 else offender[4:8])
                datagrams.unreachable(code, by)
            return REFUSED if code_of_system == errno.ECONNREFUSED else UNREACHABLE
    return UNREACHABLE


def numbered(questions: Iterable[Question]) -> Iterable[tuple[int, Question]]:
    """Questions with xids: distinct within a probe is enough, as each has a port of its own."""
    start = time.time_ns() & 0x7FFFFFFF
    return enumerate(questions, start)
