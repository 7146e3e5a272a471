"""Captures made to cost much, of any size: many of one thing, or one thing that has to be compared with many.

`ATTACKS` has a generator for each kind: it writes some `n` of what it is named after. Every frame is what a sniffer
could see; checksums are left out, since the core does not check them. Analysis has to take time of the order of
n log n for each of them.

    python -m benchmarks.attacks NAME N FILE

writes one to a file while it is made, so that a million packets take no memory.
"""

from __future__ import annotations

import struct
import sys
from collections.abc import Callable, Iterable
from io import BytesIO
from pathlib import Path
from socket import AF_INET, AF_INET6, inet_ntoa, inet_pton
from typing import BinaryIO, NamedTuple

PORTMAP, NFS, MOUNT, NLM, NSM = 100000, 100003, 100005, 100021, 100024
TEST, LOCK, CANCEL, UNLOCK, GRANTED, LOCK_MSG, LOCK_RES, FREE_ALL = 1, 2, 3, 4, 5, 7, 12, 23
NLM_GRANTED, DENIED, NOLOCKS, BLOCKED, GRACE, DEADLCK = range(6)
LOCKD, STATD, NFSD = 32803, 662, 2049
UDP, TCP = 17, 6
SYN, RST, PSH, ACK = 2, 4, 8, 16
SECOND = 1_000_000_000
ETHERNET, IPV4 = b"\2" + bytes(11), struct.Struct(">BBHHHBBH")
LOOPBACK = "127.0.0.1"
SERVER, CLIENT = "10.255.0.1", "10.254.0.1"


def host(number: int) -> str:
    """An address of its own for each number below ten million."""
    return inet_ntoa(struct.pack(">I", (10 << 24) + 1 + number))


def host6(number: int) -> str:
    return f"2001:db8::{number >> 16:x}:{number & 0xFFFF:x}"


def packed(address: str) -> bytes:
    return inet_pton(AF_INET6 if ":" in address else AF_INET, address)


class Frame(NamedTuple):
    time: int
    interface: int
    data: bytes


class Writer:
    """Frames of a capture, each a microsecond after the one before by default."""

    def __init__(self) -> None:
        self.time = 1_700_000_000 * SECOND
        self.interface = 0
        self.link = ETHERNET
        self.frames: list[Frame] = []
        self.xid = 0

    @property
    def count(self) -> int:
        """How many frames there are so far."""
        return len(self.frames)

    def add(self, frame: Frame) -> None:
        self.frames.append(frame)

    def wait(self, seconds: float) -> None:
        self.time += round(seconds * SECOND)

    def ip(
        self, source: str, target: str, protocol: int, payload: bytes, fragment: int = 0x4000, ident: int | None = None
    ) -> None:
        self.time += 1000
        ident = self.count if ident is None else ident  # what comes again was retransmitted, not captured twice
        ends = packed(source) + packed(target)
        if ":" in source:
            header = struct.pack(">IHBB", 6 << 28, len(payload), protocol, 64)
            self.add(Frame(self.time, self.interface, self.link + b"\x86\xdd" + header + ends + payload))
            return
        header = IPV4.pack(0x45, 0, 20 + len(payload), ident & 0xFFFF, fragment, 64, protocol, 0)
        self.add(Frame(self.time, self.interface, self.link + b"\x08\0" + header + ends + payload))

    def udp(self, source: str, port: int, target: str, to: int, data: bytes) -> None:
        self.ip(source, target, UDP, struct.pack(">HHHH", port, to, 8 + len(data), 0) + data)

    def tcp(
        self, source: str, port: int, target: str, to: int, flags: int, seq: int = 1, ack: int = 1, data: bytes = b""
    ) -> None:
        numbers = seq & 0xFFFFFFFF, ack & 0xFFFFFFFF
        self.ip(source, target, TCP, struct.pack(">HHIIBBHHH", port, to, *numbers, 0x50, flags, 65535, 0, 0) + data)

    def call(
        self,
        ends: Ends,
        prog: int,
        vers: int,
        proc: int,
        args: bytes = b"",
        machine: bytes | None = None,
        xid: int | None = None,
    ) -> int:
        """Over UDP; gives the xid."""
        if xid is None:
            self.xid = xid = self.xid + 1
        head = struct.pack(">IIIIII", xid, 0, 2, prog, vers, proc) + credential(machine) + struct.pack(">II", 0, 0)
        self.udp(ends.client, ends.client_port, ends.server, ends.port, head + args)
        return xid

    def over_tcp(self, ends: Ends, seq: int, data: bytes) -> None:
        self.tcp(ends.client, ends.client_port, ends.server, ends.port, PSH | ACK, seq=seq, data=data)

    def reply(self, ends: Ends, xid: int, results: bytes = b"", accepted: int = 0) -> None:
        head = struct.pack(">IIIIII", xid, 1, 0, 0, 0, accepted)
        self.udp(ends.server, ends.port, ends.client, ends.client_port, head + results)

    def deny(self, ends: Ends, xid: int, auth_stat: int) -> None:
        """MSG_DENIED with AUTH_ERROR."""
        self.udp(ends.server, ends.port, ends.client, ends.client_port, struct.pack(">IIIII", xid, 1, 1, 1, auth_stat))

    def asked(
        self, ends: Ends, prog: int, vers: int, proc: int, args: bytes = b"", results: bytes = b"", after: float = 0.0
    ) -> None:
        xid = self.call(ends, prog, vers, proc, args)
        self.wait(after)
        self.reply(ends, xid, results)

    def lock(self, client: str, owner: Owner, status: int | None, proc: int = LOCK, server: str = SERVER) -> None:
        """A lock request of version 4, answered with this status, or not at all."""
        ends = Ends(client, 700, server, LOCKD)
        xid = self.call(ends, NLM, 4, proc, owner.arguments(proc))
        if status is not None:
            self.reply(ends, xid, opaque(b"ck") + struct.pack(">I", status))

    def getport(self, ends: Ends, prog: int, vers: int, port: int | None, protocol: int = TCP) -> None:
        xid = self.call(ends, PORTMAP, 2, 3, struct.pack(">IIII", prog, vers, protocol, 0))
        if port is not None:
            self.reply(ends, xid, struct.pack(">I", port))

    def end(self, seconds: float = 60.0) -> None:
        """Something at the end, so that what has no answer by then has none."""
        self.wait(seconds)
        self.asked(Ends(CLIENT, 999, SERVER, 111), PORTMAP, 2, 0)

    def capture(self) -> bytes:
        return pcapng(self.frames) if any(frame.interface for frame in self.frames) else pcap(self.frames)


class Ends(NamedTuple):
    client: str
    client_port: int
    server: str
    port: int


class Owner(NamedTuple):
    """Whose lock of what."""

    file: int
    svid: int
    name: bytes = b"cl1"
    offset: int = 0
    length: int = 0
    exclusive: bool = True

    def arguments(self, proc: int) -> bytes:
        lock = opaque(self.name) + opaque(handle(self.file)) + opaque(b"%d@%b" % (self.svid, self.name))
        lock += struct.pack(">IQQ", self.svid, self.offset, self.length)
        flags = {UNLOCK: b"", GRANTED: struct.pack(">I", self.exclusive)}.get(
            proc, struct.pack(">II", 1, self.exclusive)
        )
        return opaque(b"ck") + flags + lock + (struct.pack(">II", 0, 1) if proc in (LOCK, LOCK_MSG) else b"")


def opaque(data: bytes) -> bytes:
    return struct.pack(">I", len(data)) + data + bytes(-len(data) % 4)


def credential(machine: bytes | None) -> bytes:
    if machine is None:
        return struct.pack(">II", 0, 0)
    return struct.pack(">I", 1) + opaque(struct.pack(">I", 0) + opaque(machine) + struct.pack(">III", 0, 0, 0))


def handle(number: int) -> bytes:
    return b"\1\0\1\0" + struct.pack(">Q", number) + bytes(16)


def record(message: bytes) -> bytes:
    return struct.pack(">I", 0x80000000 | len(message)) + message


def pcap(frames: Iterable[Frame]) -> bytes:
    parts = [struct.pack("<IHHiIII", 0xA1B23C4D, 2, 4, 0, 0, 1 << 18, 1)]
    for frame in frames:
        parts.append(struct.pack("<IIII", *divmod(frame.time, SECOND), len(frame.data), len(frame.data)))
        parts.append(frame.data)
    return b"".join(parts)


class FileWriter(Writer):
    """Writes frames to a file of pcapng as they come, with an interface for each number that they have."""

    count = 0

    def __init__(self, file: BinaryIO) -> None:
        super().__init__()
        self.file = file
        self.interfaces = 0
        file.write(block(0x0A0D0D0A, struct.pack("<IHHq", 0x1A2B3C4D, 1, 0, -1)))

    def add(self, frame: Frame) -> None:
        for _ in range(self.interfaces, frame.interface + 1):
            self.file.write(INTERFACE)
            self.interfaces += 1
        self.count += 1
        size = len(frame.data)
        head = struct.pack("<IIIII", frame.interface, frame.time >> 32, frame.time & 0xFFFFFFFF, size, size)
        self.file.write(block(6, head + frame.data + bytes(-size % 4)))


def pcapng(frames: Iterable[Frame]) -> bytes:
    file = BytesIO()
    writer = FileWriter(file)
    for frame in frames:
        writer.add(frame)
    return file.getvalue()


def block(kind: int, body: bytes) -> bytes:
    return struct.pack("<II", kind, len(body) + 12) + body + struct.pack("<I", len(body) + 12)


# Of Ethernet, with times in nanoseconds.
INTERFACE = block(1, struct.pack("<HHI", 1, 0, 0) + struct.pack("<HHBxxxHH", 9, 1, 9, 0, 0))

ATTACKS: dict[str, Callable[[Writer, int], None]] = {}


def attack(generator: Callable[[Writer, int], None]) -> Callable[[Writer, int], None]:
    ATTACKS[generator.__name__] = generator
    return generator


def written(name: str, n: int, path: Path) -> Path:
    """The capture of an attack of this size, written to a file."""
    writer = Writer()
    ATTACKS[name](writer, n)
    path.write_bytes(writer.capture())
    return path


# Locks


@attack
def everybody_waits_for_everybody(w: Writer, n: int) -> None:
    """A complete graph of n waits: each owner holds a file and waits for those of all others."""
    owners = max(2, int(n**0.5))
    for one in range(owners):
        w.lock(CLIENT, Owner(one, one), NLM_GRANTED)
    for one in range(owners):
        for other in range(owners):
            if one != other:
                w.lock(CLIENT, Owner(other, one), BLOCKED)
    w.end()


@attack
def deadlocks(w: Writer, n: int) -> None:
    """Pairs of owners that wait for each other."""
    for one in range(n):
        w.lock(CLIENT, Owner(one, one), NLM_GRANTED)
    for one in range(n):
        w.lock(CLIENT, Owner(one ^ 1, one), BLOCKED)
    w.end()


@attack
def wait_chain(w: Writer, n: int) -> None:
    """Each owner waits for the next one's file."""
    for one in range(n):
        w.lock(CLIENT, Owner(one, one), NLM_GRANTED)
    for one in range(n - 1):
        w.lock(CLIENT, Owner(one + 1, one), BLOCKED)
    w.end()


@attack
def queue(w: Writer, n: int) -> None:
    """Hosts that wait for one file, and get it one after the other by asking again."""
    for one in range(n):
        w.lock(host(one), Owner(0, one, b"h%d" % one), BLOCKED if one else NLM_GRANTED)
    w.wait(10)
    for one in range(n):
        w.lock(host(one), Owner(0, one, b"h%d" % one), NLM_GRANTED, UNLOCK)
        w.wait(40 if one == 0 else 0.001)
        if one + 1 < n:
            w.lock(host(one + 1), Owner(0, one + 1, b"h%d" % (one + 1)), NLM_GRANTED)
    w.end()


@attack
def dead_holders(w: Writer, n: int) -> None:
    """Hosts that hold a file each and are silent, while another waits."""
    for one in range(n):
        w.lock(host(one), Owner(one, 1, b"h%d" % one), NLM_GRANTED)
    for one in range(n):
        w.lock(CLIENT, Owner(one, one), BLOCKED)
    w.end(200)


@attack
def granted_twice(w: Writer, n: int) -> None:
    """One range granted to everybody."""
    for one in range(n):
        w.lock(host(one), Owner(0, one, b"h%d" % one), NLM_GRANTED)
        w.wait(2)


@attack
def freed(w: Writer, n: int) -> None:
    """Hosts whose locks were all given up (FREE_ALL) when others were granted them."""
    for one in range(n):
        w.lock(host(one), Owner(0, one, b"h%d" % one), NLM_GRANTED)
        w.wait(2)
        w.call(Ends(host(one), 700, SERVER, LOCKD), NLM, 4, FREE_ALL, opaque(b"h%d" % one) + struct.pack(">I", 1))


@attack
def ranges(w: Writer, n: int) -> None:
    """One owner's ranges, from the last to the first, and then all of them unlocked by calls without answer."""
    for one in range(n):
        w.lock(CLIENT, Owner(0, 1, offset=10 * (n - one), length=5), NLM_GRANTED)
    for _ in range(n):
        w.lock(CLIENT, Owner(0, 1), None, UNLOCK)
    w.end()


@attack
def waiting_ranges(w: Writer, n: int) -> None:
    """One owner that waits for many ranges of a file, and unlocks others."""
    for one in range(n):
        w.lock(CLIENT, Owner(0, 1, offset=10 * one, length=5), BLOCKED)
    for one in range(n):
        w.lock(CLIENT, Owner(0, 1, offset=10 * one + 1, length=2), NLM_GRANTED, UNLOCK)
    w.end()


@attack
def denied_without_locks(w: Writer, n: int) -> None:
    """DENIED_NOLOCKS of many servers."""
    for one in range(n):
        w.lock(CLIENT, Owner(one, one), NOLOCKS, server=host(one))


@attack
def grace_periods(w: Writer, n: int) -> None:
    """Servers that grant a lock, restart and deny the next."""
    for status in (NLM_GRANTED, GRACE):
        for one in range(n):
            w.lock(CLIENT, Owner(one, status), status, server=host(one))


@attack
def unanswered_locks(w: Writer, n: int) -> None:
    """Servers that answer one lock request and no other, though that one is retransmitted."""
    for one in range(n):
        w.lock(CLIENT, Owner(one, one), NLM_GRANTED, server=host(one))
    for again in range(2):
        for one in range(n):
            ends = Ends(CLIENT, 700, host(one), LOCKD)
            w.call(ends, NLM, 4, LOCK, Owner(one + n, one).arguments(LOCK), xid=10 * n + one)
        w.wait(10 * (again + 1))
    w.end()


@attack
def late_locks(w: Writer, n: int) -> None:
    """Requests of many clients to as many servers, answered late."""
    for one in range(n):
        w.call(Ends(host(one), 700, host(n + one), LOCKD), NLM, 4, LOCK, Owner(one, 1).arguments(LOCK), xid=one)
    w.wait(20)
    for one in range(n):
        w.reply(Ends(host(one), 700, host(n + one), LOCKD), one, opaque(b"ck") + struct.pack(">I", 0))
        w.wait(3)


@attack
def refused_grants(w: Writer, n: int) -> None:
    """Clients that wait, and refuse the lock."""
    for one in range(n):
        owner = Owner(one, one, b"h%d" % one)
        w.lock(host(one), owner, BLOCKED)
        w.wait(6)
        ends = Ends(SERVER, 800, host(one), 40000)
        w.asked(ends, NLM, 4, GRANTED, owner.arguments(GRANTED), opaque(b"ck") + struct.pack(">I", DENIED))


@attack
def unheard_grants(w: Writer, n: int) -> None:
    """Clients that wait, and cannot be called back."""
    for one in range(n):
        w.lock(host(one), Owner(one, one, b"h%d" % one), BLOCKED)
    w.wait(6)
    for _ in range(2):
        for one in range(n):
            ends = Ends(SERVER, 800, host(one), 40000)
            w.call(ends, NLM, 4, GRANTED, Owner(one, one, b"h%d" % one).arguments(GRANTED), xid=10 * n + one)
        w.wait(10)
    for one in range(n):
        w.lock(host(one), Owner(one, one, b"h%d" % one), BLOCKED)
    w.end()


@attack
def messages(w: Writer, n: int) -> None:
    """LOCK_MSG answered by LOCK_RES with a failure."""
    for one in range(n):
        there, back = Ends(CLIENT, 700, SERVER, LOCKD), Ends(SERVER, 701, CLIENT, 40000)
        w.asked(there, NLM, 4, LOCK_MSG, Owner(one, one).arguments(LOCK_MSG))
        w.asked(back, NLM, 4, LOCK_RES, opaque(b"ck") + struct.pack(">I", 9))


# Hosts and names


@attack
def clients(w: Writer, n: int) -> None:
    for one in range(n):
        w.lock(host(one), Owner(0, 1, b"h%d" % one, offset=10 * one, length=1), NLM_GRANTED)


@attack
def names_of_one_client(w: Writer, n: int) -> None:
    for one in range(n):
        w.lock(CLIENT, Owner(one, 1, b"name%d" % one), NLM_GRANTED)


@attack
def addresses_of_one_name(w: Writer, n: int) -> None:
    for one in range(n):
        w.lock(host(one), Owner(one, 1), NLM_GRANTED)


@attack
def identities(w: Writer, n: int) -> None:
    """Clients whose one owner locks the same range from two ports at once."""
    for _ in range(2):
        for port in (700, 701):
            for one in range(n):
                ends = Ends(host(one), port, SERVER, LOCKD)
                arguments = Owner(one, 1, b"h%d" % one).arguments(LOCK)
                w.asked(ends, NLM, 4, LOCK, arguments, opaque(b"ck") + struct.pack(">I", 0))


@attack
def callers_on_one_loopback(w: Writer, n: int) -> None:
    """Hosts that share a loopback, as far as the names in their credentials tell."""
    for one in range(n):
        ends = Ends(LOOPBACK, 1000 + one % 60000, LOOPBACK, 111)
        xid = w.call(ends, PORTMAP, 2, 3, struct.pack(">IIII", NSM, 1, TCP, 0), machine=b"h%d" % one)
        w.reply(ends, xid, struct.pack(">I", 0))


@attack
def interfaces(w: Writer, n: int) -> None:
    """Interfaces of one capture, each with a loopback of its own."""
    for one in range(n):
        w.interface = one
        w.getport(Ends(LOOPBACK, 600, LOOPBACK, 111), NSM, 1, 0)


# Portmappers and statds


@attack
def refused_getports(w: Writer, n: int) -> None:
    """One portmapper that is asked for statd, again and again."""
    for _ in range(n):
        w.getport(Ends(CLIENT, 600, SERVER, 111), NSM, 1, 0)


@attack
def refused_and_found(w: Writer, n: int) -> None:
    """Programs that are registered for UDP only, by as many hosts."""
    for one in range(n):
        w.getport(Ends(CLIENT, 600, host(one), 111), NSM, 1, 700, UDP)
        w.getport(Ends(CLIENT, 600, host(one), 111), NSM, 1, 0)


@attack
def refused_by_all(w: Writer, n: int) -> None:
    """Hosts whose portmappers know neither lockd, nor NFS, nor statd; who asks for all of them is no client."""
    for _ in range(3):
        for one in range(n):
            for asker, prog in ((CLIENT, NLM), (SERVER, NSM), (CLIENT, NFS)):
                w.getport(Ends(asker, 600, host(one), 111), prog, 3, 0)
        w.wait(3)


@attack
def forgotten(w: Writer, n: int) -> None:
    """Programs that a portmapper named, and names no more."""
    for port in (700, 0):
        for one in range(n):
            w.getport(Ends(CLIENT, 600, SERVER, 111), 200000 + one, 1, port, UDP)
            w.asked(Ends(CLIENT, 601, SERVER, 700), 200000 + one, 1, 0)


@attack
def dumps(w: Writer, n: int) -> None:
    """Mappings in answers to DUMP, a thousand in each, with a lock manager and without statd."""
    for start in range(0, n, 1000):
        count = min(1000, n - start)
        some = (struct.pack(">IIIII", 1, NLM + (k > 0) * (100000 + k), 4, TCP, 700) for k in range(count))
        w.asked(Ends(CLIENT, 600, SERVER, 111), PORTMAP, 2, 4, results=b"".join(some) + struct.pack(">I", 0))


@attack
def silent_portmapper(w: Writer, n: int) -> None:
    """GETPORT calls without reply, each retransmitted."""
    w.getport(Ends(CLIENT, 599, SERVER, 111), NSM, 1, 700)
    for one in range(n):
        for _ in range(2):
            args = struct.pack(">IIII", NLM, 4, TCP, 0)
            w.call(Ends(host(one), 600, SERVER, 111), PORTMAP, 2, 3, args, xid=10 * n + one)
            w.wait(0.01)
    w.end(120)


@attack
def notices(w: Writer, n: int) -> None:
    """Notices of reboot of one host, answered."""
    for one in range(n):
        args = opaque(b"name%d" % one) + struct.pack(">I", 1)
        w.asked(Ends(CLIENT, 700, SERVER, STATD), NSM, 1, 6, args)


@attack
def notices_of_many(w: Writer, n: int) -> None:
    """Notices of reboot that nobody answers, of hosts that have locks."""
    for one in range(n):
        w.lock(host(one), Owner(one, 1, b"h%d" % one), NLM_GRANTED)
    for _ in range(2):
        for one in range(n):
            args = opaque(b"other%d" % one) + struct.pack(">I", 1)
            w.call(Ends(host(one), 700, SERVER, STATD), NSM, 1, 6, args)
        w.wait(2)
    w.end()


@attack
def monitored(w: Writer, n: int) -> None:
    """SM_MON of peers over a loopback, answered late; DNS does not answer."""
    w.lock(CLIENT, Owner(0, 1), NLM_GRANTED)
    for one in range(n):
        args = opaque(b"m%d" % one) + opaque(b"srv") + struct.pack(">III", NLM, 3, 16) + bytes(16)
        ends = Ends(LOOPBACK, 700, LOOPBACK, STATD)
        w.asked(ends, NSM, 1, 2, args, struct.pack(">II", one % 3 == 2, one), after=6 if one % 2 else 0.001)
        w.udp(SERVER, 2000 + one % 60000, CLIENT, 53, bytes(40))


@attack
def unmonitored(w: Writer, n: int) -> None:
    """SM_MON without answer."""
    w.lock(CLIENT, Owner(0, 1), NLM_GRANTED)
    w.getport(Ends(LOOPBACK, 600, LOOPBACK, 111), NSM, 1, STATD)
    for one in range(n):
        args = opaque(b"m%d" % one) + opaque(b"srv") + struct.pack(">III", NLM, 3, 16) + bytes(16)
        w.call(Ends(LOOPBACK, 700, LOOPBACK, STATD), NSM, 1, 2, args)
        w.udp(SERVER, 2000 + one % 60000, CLIENT, 53, bytes(40))
    w.end(40)


# Connections, calls and files


@attack
def closed_ports(w: Writer, n: int) -> None:
    """Hosts that are refused by a port, twice each."""
    w.getport(Ends(CLIENT, 600, SERVER, 111), NLM, 4, LOCKD)
    for _ in range(2):
        w.wait(1)
        for one in range(n):
            w.tcp(host(one), 800, SERVER, LOCKD, SYN, ack=0)
            w.tcp(SERVER, LOCKD, host(one), 800, RST | ACK, seq=0, ack=2)


@attack
def stale_ports(w: Writer, n: int) -> None:
    """Ports of a loopback that are registered and closed, while locks of as many clients are denied."""
    w.getport(Ends(LOOPBACK, 600, LOOPBACK, 111), NSM, 1, 1)
    for one in range(n):
        w.getport(Ends(LOOPBACK, 600, LOOPBACK, 111), 200000 + one, 1, 1000 + one % 60000)
        w.tcp(LOOPBACK, 800, LOOPBACK, 1000 + one % 60000, SYN, ack=0)
        w.tcp(LOOPBACK, 1000 + one % 60000, LOOPBACK, 800, RST | ACK, seq=0, ack=2)
        w.lock(host(one), Owner(one, 1, b"h%d" % one), NOLOCKS)


@attack
def filtered_ports(w: Writer, n: int) -> None:
    """Hosts whose SYNs are dropped, while other ports answer them."""
    for one in range(n):
        w.getport(Ends(host(one), 600, SERVER, 111), NLM, 4, LOCKD)
    for again in range(3):
        for one in range(n):
            w.tcp(host(one), 800, SERVER, LOCKD, SYN, ack=0)
        w.wait(1 + again)
    for one in range(n):
        w.getport(Ends(host(one), 600, SERVER, 111), NLM, 4, LOCKD)


@attack
def dead_connections(w: Writer, n: int) -> None:
    """Connections on which a call is retransmitted many times, while the server answers others."""
    for one in range(n):
        w.tcp(host(one), 800, SERVER, NFSD, SYN, ack=0)
        w.tcp(SERVER, NFSD, host(one), 800, SYN | ACK, seq=0, ack=2)
    for again in range(5):
        for one in range(n):
            message = struct.pack(">IIIIIIIIII", one, 0, 2, NFS, 3, 1, 0, 0, 0, 0) + opaque(handle(one))
            w.tcp(host(one), 800, SERVER, NFSD, PSH | ACK, seq=2, data=record(message))
        w.wait(2 * again + 1)
        w.asked(Ends(CLIENT, 700, SERVER, 111), PORTMAP, 2, 0)
    w.end()


@attack
def one_way(w: Writer, n: int) -> None:
    """Pairs of hosts of which one is heard only."""
    for one in range(n):
        message = struct.pack(">IIIIIIIIII", one, 0, 2, NFS, 3, 1, 0, 0, 0, 0) + opaque(handle(one))
        w.tcp(host(one), 800, SERVER, NFSD, PSH | ACK, seq=2, data=record(message))
    w.end()


@attack
def unavailable_programs(w: Writer, n: int) -> None:
    for one in range(n):
        ends = Ends(CLIENT, 700, SERVER, 5000)
        w.reply(ends, w.call(ends, 200000 + one, 1, 1), accepted=1)


@attack
def refused_credentials(w: Writer, n: int) -> None:
    """A GSS context that the server does not know, again and again."""
    for one in range(n):
        ends = Ends(host(one), 700, SERVER, NFSD)
        w.deny(ends, w.call(ends, NFS, 3, 1, opaque(handle(one))), 14)


@attack
def failing_servers(w: Writer, n: int) -> None:
    """Servers of which one mount, one NFS call and one lock each fail."""
    for one in range(n):
        there = host(one)
        w.asked(Ends(CLIENT, 700, there, 635), MOUNT, 3, 1, opaque(b"/srv"), struct.pack(">I", 13))
        w.asked(Ends(CLIENT, 700, there, NFSD), NFS, 3, 1, opaque(handle(one)), struct.pack(">I", 70))
        w.lock(CLIENT, Owner(one, 1), 9, server=there)


@attack
def silent_servers(w: Writer, n: int) -> None:
    """Servers that answer one NFS call and then fall silent."""
    for one in range(n):
        w.asked(Ends(CLIENT, 700, host(one), NFSD), NFS, 3, 0)
    for _ in range(3):
        for one in range(n):
            args = opaque(handle(one))
            w.call(Ends(CLIENT, 700, host(one), NFSD), NFS, 3, 1, args, xid=10 * n + one)
            w.call(Ends(CLIENT, 700, host(one), LOCKD), NLM, 4, LOCK, Owner(one, 1).arguments(LOCK), xid=20 * n + one)
        w.wait(5)
    w.end()


@attack
def answers_from_elsewhere(w: Writer, n: int) -> None:
    """Replies over UDP from addresses that were not asked."""
    for one in range(n):
        xid = w.call(Ends(CLIENT, 700, host(one), NFSD), NFS, 3, 1, opaque(handle(one)))
        w.reply(Ends(CLIENT, 700, host(n + one), NFSD), xid, struct.pack(">I", 0) + bytes(84))
    w.end()


@attack
def clock_set(w: Writer, n: int) -> None:
    """Calls that take an hour without a retransmission, while others go on."""
    for one in range(n):
        xid = w.call(Ends(CLIENT, 700, SERVER, LOCKD), NLM, 4, LOCK, Owner(one, one).arguments(LOCK))
        w.wait(700)
        w.asked(Ends(host(one), 700, SERVER, 111), PORTMAP, 2, 0)
        w.wait(700)
        w.reply(Ends(CLIENT, 700, SERVER, LOCKD), xid, opaque(b"ck") + struct.pack(">I", 0))


@attack
def deep_directories(w: Writer, n: int) -> None:
    """A directory within another, and so on; the deepest is locked."""
    nothing = struct.pack(">II", 0, 0)
    for one in range(n):
        args, results = opaque(handle(one)) + opaque(b"d"), struct.pack(">I", 0) + opaque(handle(one + 1)) + nothing
        w.asked(Ends(CLIENT, 701, SERVER, NFSD), NFS, 3, 3, args, results)
    w.lock(CLIENT, Owner(n, 1), NLM_GRANTED)


@attack
def writers(w: Writer, n: int) -> None:
    """Hosts that write to a file that another has locked."""
    w.lock(CLIENT, Owner(0, 1), NLM_GRANTED)
    for one in range(n):
        args = opaque(handle(0)) + struct.pack(">QII", 0, 4, 1) + opaque(b"data")
        w.asked(Ends(host(one), 701, SERVER, NFSD), NFS, 3, 7, args, struct.pack(">IIIIIQ", 0, 0, 0, 4, 1, 0))


@attack
def lost_fragments(w: Writer, n: int) -> None:
    """Datagrams of many sizes that lack fragments, beside NFS over UDP."""
    for one in range(n):
        w.ip(host(one), SERVER, UDP, bytes(1024), 0x2000 | one * 131 % 7000)
        w.asked(Ends(CLIENT, 701, SERVER, NFSD), NFS, 3, 0)
    w.end()


# Of several things many at once


@attack
def free_ranges(w: Writer, n: int) -> None:
    """Ranges of one file, each released by one owner and waited for by another, who never gets it."""
    for status, name in ((NLM_GRANTED, b"h"), (BLOCKED, b"w")):
        for one in range(n):
            w.lock(CLIENT, Owner(0, one, name, offset=10 * one, length=5), status)
    w.wait(2)
    for one in range(n):
        w.lock(CLIENT, Owner(0, one, b"h", offset=10 * one, length=5), NLM_GRANTED, UNLOCK)
    w.end()


@attack
def resent_locks(w: Writer, n: int) -> None:
    """Requests that are retransmitted after 10 and 60 s, and answered then, by a server that reboots all the time."""
    ends = [Ends(host(one), 700, SERVER, LOCKD) for one in range(n)]
    for pause in (10, 51, 5):
        for one in range(n):
            w.call(ends[one], NLM, 4, LOCK, Owner(one, 1, b"h%d" % one).arguments(LOCK), xid=one)
        w.wait(pause)
    for one in range(n):
        w.reply(ends[one], one, opaque(b"ck") + struct.pack(">I", 0))
        notice = opaque(b"srv") + struct.pack(">I", one)
        w.asked(Ends(SERVER, 701, host(one), STATD), NSM, 1, 6, notice)


@attack
def statuses(w: Writer, n: int) -> None:
    """NFS calls and mounts that fail with statuses that nobody knows."""
    for one in range(n):
        status = struct.pack(">I", 100_000 + one)
        w.asked(Ends(CLIENT, 701, SERVER, NFSD), NFS, 3, 1, opaque(handle(one)), status)
        w.asked(Ends(CLIENT, 702, SERVER, 635), MOUNT, 3, 1, opaque(b"/srv%d" % one), status)


@attack
def downcalls(w: Writer, n: int) -> None:
    """Reboots that statd tells its lockd of, in names of which each is the long form of another."""
    w.lock(CLIENT, Owner(0, 1, b"a"), NLM_GRANTED)
    for one in range(n):
        name = b"a" + b".a" * (one % 100) + b"%d" % one
        w.asked(Ends(CLIENT, 700, SERVER, STATD), NSM, 1, 6, opaque(name) + struct.pack(">I", 1))
        arguments = opaque(b"b%d" % one) + struct.pack(">I", 1) + bytes(16)
        w.asked(Ends(LOOPBACK, 700, LOOPBACK, LOCKD), NLM, 3, 16, arguments)


@attack
def refused_portmappers(w: Writer, n: int) -> None:
    """Hosts whose portmapper refuses connections, and the own one of a server whose locks are all denied."""
    for _ in range(2):
        for one in range(n):
            for ends in ((host(one), SERVER), (LOOPBACK, LOOPBACK)):
                w.tcp(ends[0], 800 + one % 50_000, ends[1], 111, SYN, ack=0)
                w.tcp(ends[1], 111, ends[0], 800 + one % 50_000, RST | ACK, seq=0, ack=2)
        w.wait(4)
    for one in range(n):
        w.lock(host(one), Owner(one, 1, b"h%d" % one), NOLOCKS)


@attack
def address_lists(w: Writer, n: int) -> None:
    """Answers of rpcbind version 4 to GETADDRLIST."""
    for one in range(n):
        entry = opaque(b"10.255.0.1.2.188") + opaque(b"tcp") + struct.pack(">I", 3) + opaque(b"inet") + opaque(b"tcp")
        asked = struct.pack(">II", NLM, 4) + opaque(b"tcp") + opaque(b"") + opaque(b"superuser")
        w.asked(Ends(host(one), 600, SERVER, 111), PORTMAP, 4, 11, asked, struct.pack(">I", 1) + entry + bytes(4))


@attack
def long_paths(w: Writer, n: int) -> None:
    """Files below a hundred directories of long names, each locked."""
    nothing, deep = struct.pack(">II", 0, 0), 100
    for one in range(deep + n):
        above, name = min(one, deep), b"d" * 250 if one < deep else b"file%d" % one
        results = struct.pack(">I", 0) + opaque(handle(one + 1)) + nothing
        w.asked(Ends(CLIENT, 701, SERVER, NFSD), NFS, 3, 3, opaque(handle(above)) + opaque(name), results)
    for one in range(n):
        w.lock(CLIENT, Owner(deep + one + 1, 1), NLM_GRANTED)


# Encodings and other paths to the same messages


@attack
def clients_of_ipv6(w: Writer, n: int) -> None:
    """Hosts with addresses of IPv6 that hold a lock each."""
    for one in range(n):
        w.lock(host6(one), Owner(one, 1, b"h%d" % one), NLM_GRANTED, server="2001:db8:1::1")


@attack
def networks(w: Writer, n: int) -> None:
    """Locks in VLANs with other tags each, of two levels."""
    for one in range(n):
        w.link = ETHERNET + struct.pack(">HHHH", 0x88A8, one >> 12 & 0xFFF, 0x8100, one & 0xFFF)
        w.lock(CLIENT, Owner(one, 1), NLM_GRANTED)


@attack
def tunnels(w: Writer, n: int) -> None:
    """Locks in VXLANs with other numbers each, between as many ends."""
    for one in range(n):
        inner = Writer()
        inner.lock(CLIENT, Owner(one, 1), NLM_GRANTED)
        for frame in inner.frames:
            w.udp(host(one), 4789, SERVER, 4789, struct.pack(">II", 8 << 24, (one & 0xFFFFFF) << 8) + frame.data)


@attack
def interleaved_fragments(w: Writer, n: int) -> None:
    """Lock requests in two fragments each: the first ones of a thousand, then the second ones."""
    for start in range(0, n, 1000):
        halves: list[tuple[str, int, bytes]] = []
        for one in range(start, min(start + 1000, n)):
            message = struct.pack(">10I", one, 0, 2, NLM, 4, LOCK, 0, 0, 0, 0) + Owner(one, 1).arguments(LOCK)
            data = struct.pack(">HHHH", 700, LOCKD, 8 + len(message), 0) + message
            ident = w.count
            w.ip(host(one), SERVER, UDP, data[:64], 0x2000)
            halves.append((host(one), ident, data[64:]))
        for source, ident, half in halves:
            w.ip(source, SERVER, UDP, half, 8, ident)
    w.end()


@attack
def half_records(w: Writer, n: int) -> None:
    """Connections that carry the first half of a lock request each, and are not closed."""
    for one in range(n):
        message = struct.pack(">10I", one, 0, 2, NLM, 4, LOCK, 0, 0, 0, 0) + Owner(one, 1).arguments(LOCK)
        w.over_tcp(Ends(host(one), 700, SERVER, LOCKD), 1, record(message)[:100])
    w.end()


@attack
def records_of_fragments(w: Writer, n: int) -> None:
    """Lock requests over TCP in fragments of one word behind the first (RFC 5531 section 11), answered likewise."""
    ends, back, sent, received = Ends(CLIENT, 700, SERVER, LOCKD), Ends(SERVER, LOCKD, CLIENT, 700), 1, 1
    for one in range(n):
        call = struct.pack(">10I", one, 0, 2, NLM, 4, LOCK, 0, 0, 0, 0) + Owner(one, 1).arguments(LOCK)
        reply = struct.pack(">6I", one, 1, 0, 0, 0, 0) + opaque(b"ck") + struct.pack(">I", NLM_GRANTED)
        data, answer = pieces(call), pieces(reply)
        w.over_tcp(ends, sent, data)
        w.over_tcp(back, received, answer)
        sent, received = sent + len(data), received + len(answer)


def pieces(message: bytes) -> bytes:
    """A record of fragments: the beginning, which shows what it is, and then single words."""
    first = min(64, len(message) - 4)
    words = (message[at : at + 4] for at in range(first, len(message) - 4, 4))
    return b"".join(struct.pack(">I", len(part)) + part for part in (message[:first], *words)) + record(message[-4:])


@attack
def gss_contexts(w: Writer, n: int) -> None:
    """Contexts of RPCSEC_GSS (RFC 2203), each created, used for one NFS call, and not known any more."""
    for one in range(n):
        ends = Ends(host(one % 60_000), 700, SERVER, NFSD)
        for proc, context in ((1, b""), (0, b"context %d" % one)):
            w.xid += 1
            body = struct.pack(">IIII", 1, proc, one, 1) + opaque(context)
            head = struct.pack(">IIIIII", w.xid, 0, 2, NFS, 3, 0 if proc else 1) + struct.pack(">I", 6) + opaque(body)
            w.udp(ends.client, 700, SERVER, NFSD, head + struct.pack(">II", 0, 0) + opaque(b"token %d" % one))
            if proc:
                w.reply(ends, w.xid, opaque(b"context %d" % one) + struct.pack(">III", 0, 0, 128) + opaque(b"token"))
            else:
                w.deny(ends, w.xid, 14)


@attack
def copies(w: Writer, n: int) -> None:
    """Locks of hosts behind an address translation, captured on both sides of it."""
    for one in range(n):
        owner, inside, outside = Owner(one, 1, b"h%d" % one), host(one), "10.253.0.1"
        for source, port in ((inside, 700), (outside, 1024 + one % 60_000)):
            w.call(Ends(source, port, SERVER, LOCKD), NLM, 4, LOCK, owner.arguments(LOCK), xid=one)
        for source, port in ((outside, 1024 + one % 60_000), (inside, 700)):
            w.reply(Ends(source, port, SERVER, LOCKD), one, opaque(b"ck") + struct.pack(">I", NLM_GRANTED))


@attack
def icmp_errors(w: Writer, n: int) -> None:
    """Calls over UDP to a lock manager, each answered by ICMP: port unreachable."""
    w.getport(Ends(CLIENT, 600, SERVER, 111), NLM, 4, LOCKD, UDP)
    for one in range(n):
        w.call(Ends(host(one), 700, SERVER, LOCKD), NLM, 4, LOCK, Owner(one, 1, b"h%d" % one).arguments(LOCK))
        quoted = IPV4.pack(0x45, 0, 200, 0, 0, 64, UDP, 0) + packed(host(one)) + packed(SERVER)
        quoted += struct.pack(">HHHH", 700, LOCKD, 180, 0)
        w.ip(SERVER, host(one), 1, struct.pack(">BBHI", 3, 3, 0, 0) + quoted)


@attack
def reset_connections(w: Writer, n: int) -> None:
    """Connections to a lock manager that are opened, used for a lock without answer, and reset."""
    for one in range(n):
        ends = Ends(host(one), 800, SERVER, LOCKD)
        message = struct.pack(">10I", one, 0, 2, NLM, 4, LOCK, 0, 0, 0, 0) + Owner(one, 1).arguments(LOCK)
        w.tcp(*ends, SYN, ack=0)
        w.tcp(SERVER, LOCKD, host(one), 800, SYN | ACK, seq=0, ack=2)
        w.over_tcp(ends, 2, record(message))
        w.tcp(SERVER, LOCKD, host(one), 800, RST, seq=1)


@attack
def disorder(w: Writer, n: int) -> None:
    """Lock exchanges of which every other one has a time that lies hours before or behind."""
    for one in range(n):
        w.time += (-1) ** one * (one * 7919 % 50_000) * SECOND
        w.lock(host(one), Owner(one, 1, b"h%d" % one), NLM_GRANTED)


# Long names, and many of them


@attack
def long_names(w: Writer, n: int) -> None:
    """Locks that are held, of owners with names and owner handles of 1,024 bytes, all different."""
    for one in range(n):
        name = b"%01000d.example.test." % one
        w.lock(CLIENT, Owner(one, 1, name[:1018]), NLM_GRANTED)


@attack
def long_names_monitored(w: Writer, n: int) -> None:
    """SM_MON and SM_NOTIFY with names of 1,024 bytes, without answer."""
    for one in range(n):
        name = b"%01000d.example.test" % one
        args = opaque(name) + opaque(name) + struct.pack(">III", NLM, 3, 16) + bytes(16)
        w.call(Ends(LOOPBACK, 700, LOOPBACK, STATD), NSM, 1, 2, args)
        w.call(Ends(host(one), 700, SERVER, STATD), NSM, 1, 6, opaque(name) + struct.pack(">I", 1))
    w.end()


@attack
def machine_names(w: Writer, n: int) -> None:
    """Calls of one host whose credentials have another machine name each."""
    for one in range(n):
        ends = Ends(CLIENT, 700, SERVER, NFSD)
        w.reply(ends, w.call(ends, NFS, 3, 1, opaque(handle(one)), b"machine%d" % one), struct.pack(">I", 70))


@attack
def mounts(w: Writer, n: int) -> None:
    """Mounts of as many paths by as many hosts, unmounted at once."""
    for one in range(n):
        ends, path = Ends(host(one), 700, SERVER, 635), opaque(b"/srv/path%d" % one)
        w.asked(ends, MOUNT, 3, 1, path, struct.pack(">I", 0) + opaque(handle(one)) + struct.pack(">II", 1, 1))
        w.asked(ends, MOUNT, 3, 3, path)


@attack
def exports(w: Writer, n: int) -> None:
    """Entries in answers to EXPORT of mountd, a hundred in each."""
    for start in range(0, n, 100):
        some = (struct.pack(">I", 1) + opaque(b"/srv/%d" % one) + bytes(4) for one in range(start, start + 100))
        w.asked(Ends(host(start // 100), 700, SERVER, 635), MOUNT, 3, 5, b"", b"".join(some) + bytes(4))


@attack
def directories(w: Writer, n: int) -> None:
    """Entries in answers to READDIRPLUS, thirty in each, every file with another name and handle; some are locked."""
    attributes = bytes(4)
    for start in range(0, n, 30):
        entries = [
            struct.pack(">IQ", 1, one) + opaque(b"file%d" % one) + struct.pack(">Q", one) + attributes
            + struct.pack(">I", 1) + opaque(handle(one + 1))
            for one in range(start, start + 30)
        ]  # fmt: skip
        args = opaque(handle(0)) + struct.pack(">QQII", start, 0, 4096, 32768)
        results = struct.pack(">I", 0) + attributes + bytes(8) + b"".join(entries) + struct.pack(">II", 0, 0)
        w.asked(Ends(CLIENT, 701, SERVER, NFSD), NFS, 3, 17, args, results)
        w.lock(CLIENT, Owner(start + 1, 1), NLM_GRANTED)


# What a lock manager knows besides


@attack
def shares(w: Writer, n: int) -> None:
    """SHARE of as many files, granted; UNSHARE of which none is answered."""
    ends = Ends(CLIENT, 700, SERVER, LOCKD)
    for proc in (20, 21):
        for one in range(n):
            args = opaque(b"ck") + opaque(b"cl1") + opaque(handle(one)) + opaque(b"%d" % one)
            xid = w.call(ends, NLM, 4, proc, args + struct.pack(">III", 0, 1, 0))
            if proc == 20:
                w.reply(ends, xid, opaque(b"ck") + struct.pack(">II", 0, 0))
    w.end()


@attack
def free_alls(w: Writer, n: int) -> None:
    """FREE_ALL of as many hosts, each sent by the host and for another's name, which had a lock."""
    for one in range(n):
        w.lock(host(one), Owner(one, 1, b"h%d" % one), NLM_GRANTED)
        args = opaque(b"h%d" % (one // 2)) + struct.pack(">I", one)
        w.call(Ends(host(one), 700, SERVER, LOCKD), NLM, 4, FREE_ALL, args)
        w.call(Ends(SERVER, 700, host(one), LOCKD), NLM, 4, FREE_ALL, args)
    w.end()


@attack
def tests_and_results(w: Writer, n: int) -> None:
    """TEST_MSG, LOCK_MSG and their results, each with a cookie of its own; TEST is denied, with the holder."""
    there, back = Ends(CLIENT, 700, SERVER, LOCKD), Ends(SERVER, 701, CLIENT, 40000)
    for one in range(n):
        cookie, lock = opaque(b"cookie %d" % one), Owner(one, one)
        holder = struct.pack(">II", 1, one) + opaque(b"%d@holder" % one) + struct.pack(">QQ", 0, 0)
        w.call(there, NLM, 4, 6, cookie + lock.arguments(TEST)[8:])
        w.call(back, NLM, 4, 11, cookie + struct.pack(">I", DENIED) + holder)
        w.call(there, NLM, 4, LOCK_MSG, cookie + lock.arguments(LOCK_MSG)[8:])
        w.call(back, NLM, 4, LOCK_RES, cookie + struct.pack(">I", BLOCKED if one % 2 else DENIED))
    w.end()


@attack
def grants_to_strangers(w: Writer, n: int) -> None:
    """GRANTED to hosts that had asked for nothing, by as many servers, without answer."""
    for _ in range(2):
        for one in range(n):
            args = Owner(one, one, b"h%d" % one).arguments(GRANTED)
            w.call(Ends(host(n + one), 800, host(one), 40000), NLM, 4, GRANTED, args, xid=one)
        w.wait(10)
    w.end()


@attack
def cancelled(w: Writer, n: int) -> None:
    """Waits for as many files, cancelled, of which the answer to CANCEL is a failure."""
    for one in range(n):
        w.lock(host(one), Owner(one, 1, b"h%d" % one), BLOCKED)
        w.lock(host(one), Owner(one, 1, b"h%d" % one), DENIED, CANCEL)
    w.end()


@attack
def polling(w: Writer, n: int) -> None:
    """Owners that ask for a held file again and again, each every thirty seconds, and are denied."""
    w.lock(CLIENT, Owner(0, 1), NLM_GRANTED)
    owners = max(n // 20, 1)
    for _ in range(20):
        for one in range(owners):
            w.lock(host(one), Owner(0, one, b"h%d" % one), DENIED)
        w.wait(30)


@attack
def reclaims(w: Writer, n: int) -> None:
    """Locks that clients reclaim from servers that rebooted, and that are refused."""
    for one in range(n):
        ends, owner = Ends(host(one), 700, host(n + one), LOCKD), Owner(one, 1, b"h%d" % one)
        w.lock(ends.client, owner, NLM_GRANTED, server=ends.server)
        notice = opaque(b"s%d" % one) + struct.pack(">I", 3)
        w.asked(Ends(ends.server, 700, ends.client, STATD), NSM, 1, 6, notice)
        args = owner.arguments(LOCK)[:-8] + struct.pack(">II", 1, 3)
        w.asked(ends, NLM, 4, LOCK, args, opaque(b"ck") + struct.pack(">I", DENIED))


@attack
def forgotten_peers(w: Writer, n: int) -> None:
    """Peers that are monitored, no longer monitored, and all given up, by names of their own."""
    ends = Ends(LOOPBACK, 700, LOOPBACK, STATD)
    for one in range(n):
        mine = opaque(b"me%d" % one) + struct.pack(">III", NLM, 3, 16)
        w.asked(ends, NSM, 1, 2, opaque(b"m%d" % one) + mine + bytes(16), struct.pack(">II", 0, one))
        w.asked(ends, NSM, 1, 3, opaque(b"m%d" % one) + mine, struct.pack(">I", one))
        w.asked(ends, NSM, 1, 4, mine, struct.pack(">I", one))


# What RPC allows


@attack
def reused_xids(w: Writer, n: int) -> None:
    """Two requests of each host with one xid, of which only the second one is answered."""
    for one in range(n):
        ends = Ends(host(one), 700, SERVER, LOCKD)
        w.call(ends, NLM, 4, LOCK, Owner(one, 1, b"h%d" % one).arguments(LOCK), xid=one)
        w.call(ends, NLM, 4, LOCK, Owner(one, 2, b"h%d" % one).arguments(LOCK), xid=one)
        w.reply(ends, one, opaque(b"ck") + struct.pack(">I", NLM_GRANTED))
    w.end()


@attack
def versions(w: Writer, n: int) -> None:
    """Calls of versions that the server does not have, of as many programs (PROG_MISMATCH)."""
    for one in range(n):
        ends = Ends(host(one), 700, SERVER, 5000)
        w.reply(ends, w.call(ends, 200_000 + one % 50_000, one // 50_000 + 1, 1), struct.pack(">II", 90, 99), 2)


@attack
def procedures(w: Writer, n: int) -> None:
    """Answered calls of NLM and NFS with as many procedure numbers, between as many hosts."""
    for one in range(n):
        w.asked(Ends(host(one), 700, SERVER, LOCKD), NLM, 4, 100 + one)
        w.asked(Ends(host(one), 700, SERVER, NFSD), NFS, 3, 100 + one)


@attack
def registered(w: Writer, n: int) -> None:
    """Programs that hosts register with their own portmapper and take back (SET, UNSET), and look up in between."""
    for one in range(n):
        mapping = struct.pack(">IIII", 200_000 + one, 1, TCP, 1024 + one % 60_000)
        ends = Ends(LOOPBACK, 600, LOOPBACK, 111)
        w.asked(ends, PORTMAP, 2, 1, mapping, struct.pack(">I", 1))
        w.getport(Ends(host(one), 600, SERVER, 111), 200_000 + one, 1, 1024 + one % 60_000)
        w.asked(ends, PORTMAP, 2, 2, mapping, struct.pack(">I", 1))


@attack
def refused_lock_credentials(w: Writer, n: int) -> None:
    """Lock requests of as many hosts whose credentials are refused (AUTH_TOOWEAK)."""
    for one in range(n):
        ends = Ends(host(one), 700, SERVER, LOCKD)
        w.deny(ends, w.call(ends, NLM, 4, LOCK, Owner(one, 1, b"h%d" % one).arguments(LOCK), b"h%d" % one), 5)


def main() -> None:
    name, n, path = sys.argv[1:]
    with open(path, "wb") as file:
        ATTACKS[name](FileWriter(file), int(n))


if __name__ == "__main__":
    main()
