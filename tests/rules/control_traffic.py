"""Random control traffic: monitoring systems, pings and mounts, mostly healthy, with some of what may go wrong."""

from __future__ import annotations

import struct
from random import Random

from benchmarks.attacks import (
    DENIED,
    LOCK,
    LOCKD,
    MOUNT,
    NFS,
    NFSD,
    NLM,
    NLM_GRANTED,
    NSM,
    PORTMAP,
    RST,
    SERVER,
    STATD,
    SYN,
    TCP,
    UDP,
    UNLOCK,
    Ends,
    Owner,
    Writer,
    host,
    opaque,
)

MOUNTD = 20048
MONITOR, BALANCER = "10.9.0.9", "10.9.0.10"
SERVICES = {NFS: (3, NFSD), MOUNT: (3, MOUNTD), NLM: (4, LOCKD), NSM: (1, STATD)}
UNSET = 2


class Control:
    """Polls of a server every `every` seconds; `oddity` is the probability of something odd after each."""

    def __init__(self, seed: int, oddity: float, every: float) -> None:
        self.random = Random(seed)
        self.oddity, self.every = oddity, every
        self.writer = Writer()
        self.port = 0
        self.svid = 0
        self.lost: set[int] = set()  # programs that are not registered
        self.asked = self.random.sample([*SERVICES], self.random.randrange(1, 5))

    def capture(self, polls: int) -> bytes:
        for _ in range(polls):
            self.poll()
            if self.random.random() < self.oddity:
                self.random.choice(ODDITIES)(self)
            self.writer.wait(self.every * self.random.choice([0.9, 1, 1, 1.1]))
        self.writer.end(self.random.choice([0, 60, 200]))
        return self.writer.capture()

    def ends(self, client: str, to: int, server: str = SERVER) -> Ends:
        self.port += self.random.randrange(2)
        return Ends(client, 40000 + self.port % 20000, server, to)

    def poll(self) -> None:
        for prog in self.asked:
            self.getport(MONITOR, prog)
        self.dump()
        for prog, vers, to in ((PORTMAP, 2, 111), (NLM, 4, LOCKD), (NSM, 1, STATD), (MOUNT, 3, MOUNTD)):
            self.writer.asked(self.ends(BALANCER, to), prog, vers, 0)

    def getport(self, client: str, prog: int, protocol: int = TCP, server: str = SERVER) -> None:
        vers, port = SERVICES[prog]
        port = 0 if prog in self.lost else port
        self.writer.getport(self.ends(client, 111, server), prog, vers, port, protocol)

    def dump(self, client: str = MONITOR, server: str = SERVER) -> None:
        entries = [
            struct.pack(">IIIII", 1, prog, vers, protocol, port)
            for prog, (vers, port) in SERVICES.items()
            if prog not in self.lost
            for protocol in (TCP, UDP)
        ]
        self.writer.asked(self.ends(client, 111, server), PORTMAP, 2, 4, b"", b"".join(entries) + struct.pack(">I", 0))

    def lock(self, status: int | None, proc: int = LOCK, after: float = 0.0) -> None:
        owner = Owner(self.random.randrange(3), self.svid)
        ends = Ends(host(1), 700, SERVER, LOCKD)
        xid = self.writer.call(ends, NLM, 4, proc, owner.arguments(proc))
        self.writer.wait(after)
        if status is not None:
            self.writer.reply(ends, xid, opaque(b"ck") + struct.pack(">I", status))

    def locked(self) -> None:
        self.svid += 1
        self.lock(NLM_GRANTED)
        self.lock(NLM_GRANTED, UNLOCK)

    def late_lock(self) -> None:
        self.svid += 1
        ends, owner = Ends(host(2), 700, SERVER, LOCKD), Owner(7, self.svid)
        xid = self.writer.call(ends, NLM, 4, LOCK, owner.arguments(LOCK))
        for _ in range(self.random.choice([2, 12, 60])):
            self.writer.wait(self.every)
            self.poll()
        self.writer.reply(ends, xid, opaque(b"ck") + struct.pack(">I", self.random.choice([NLM_GRANTED, 2])))

    def silent_lock(self) -> None:
        self.svid += 1
        ends, owner = Ends(host(2), 700, SERVER, LOCKD), Owner(7, self.svid)
        xid = self.writer.call(ends, NLM, 4, LOCK, owner.arguments(LOCK))
        for _ in range(2):
            self.writer.wait(10)
            self.poll()
            self.writer.call(ends, NLM, 4, LOCK, owner.arguments(LOCK), xid=xid)

    def denied(self) -> None:
        self.svid += 1
        self.lock(DENIED)

    def loses(self) -> None:
        self.lost ^= {self.random.choice([*SERVICES])}

    def mounts(self) -> None:
        client = host(self.random.randrange(4))
        self.getport(client, MOUNT)
        self.writer.asked(self.ends(client, MOUNTD), MOUNT, 3, 0)
        path = opaque(b"/export/%d" % self.random.randrange(3))
        found = struct.pack(">I", 0) + opaque(b"h" * 28) + struct.pack(">II", 1, 1)
        self.writer.asked(self.ends(client, MOUNTD), MOUNT, 3, 1, path, found)

    def refused(self) -> None:
        """A connection to the port of a service, which nothing has any more."""
        to = self.random.choice([LOCKD, STATD, MOUNTD])
        ends = self.ends(self.random.choice([MONITOR, host(1)]), to)
        for _ in range(self.random.randrange(1, 4)):
            self.writer.tcp(ends.client, ends.client_port, SERVER, to, SYN)
            self.writer.tcp(SERVER, to, ends.client, ends.client_port, RST | 16)
            self.writer.wait(1)

    def unavailable(self) -> None:
        """PROG_UNAVAIL at the port that the portmapper names."""
        prog, (vers, to) = self.random.choice([*SERVICES.items()])
        ends = self.ends(self.random.choice([MONITOR, host(1)]), to)
        self.writer.reply(ends, self.writer.call(ends, prog, vers, 0), accepted=1)

    def unanswered(self) -> None:
        ends = self.ends(MONITOR, 111)
        xid = self.writer.call(ends, PORTMAP, 2, 4)
        for _ in range(self.random.randrange(3)):
            self.writer.wait(5)
            self.writer.call(ends, PORTMAP, 2, 4, xid=xid)

    def slow(self) -> None:
        self.writer.asked(
            self.ends(MONITOR, 111), PORTMAP, 2, 4, b"", bytes(4), after=self.random.choice([0.9, 1.1, 6])
        )

    def looks_up_lockd(self) -> None:
        """A server that looks for the lock manager of a client, before it calls it."""
        self.getport(SERVER, NLM, self.random.choice([TCP, UDP]), host(1))
        if self.random.random() < 0.5:
            self.writer.tcp(SERVER, 900, host(1), LOCKD, SYN)
            self.writer.tcp(host(1), LOCKD, SERVER, 900, RST | 16)

    def notifies(self) -> None:
        self.getport(SERVER, NSM, UDP, host(1))
        notice = opaque(b"server") + struct.pack(">I", 3 + 2 * self.random.randrange(3))
        self.writer.asked(self.ends(SERVER, STATD, host(1)), NSM, 1, 6, notice)

    def monitors(self) -> None:
        name = opaque(host(1).encode()) + opaque(b"server") + struct.pack(">III", NLM, 4, 16) + bytes(16)
        self.writer.asked(Ends("127.0.0.1", 800, "127.0.0.1", STATD), NSM, 1, 2, name, struct.pack(">II", 0, 3))

    def unsets(self) -> None:
        prog = self.random.choice([*SERVICES])
        self.writer.asked(
            self.ends(MONITOR, 111), PORTMAP, 2, UNSET, struct.pack(">IIII", prog, 1, 0, 0), struct.pack(">I", 1)
        )
        self.lost.add(prog)

    def uses_an_xid_twice(self) -> None:
        ends = Ends(MONITOR, 50000, SERVER, 111)
        xid = self.writer.call(ends, PORTMAP, 2, 0)
        self.writer.reply(ends, xid)
        self.writer.wait(self.random.choice([1, 59]))
        self.writer.reply(ends, self.writer.call(ends, PORTMAP, 2, 4, xid=xid), bytes(4))

    def is_away(self) -> None:
        self.writer.wait(self.random.choice([11, 24, 26, 400]))


ODDITIES = [
    Control.locked,
    Control.late_lock,
    Control.silent_lock,
    Control.denied,
    Control.loses,
    Control.mounts,
    Control.refused,
    Control.unavailable,
    Control.unanswered,
    Control.slow,
    Control.looks_up_lockd,
    Control.notifies,
    Control.monitors,
    Control.unsets,
    Control.uses_an_xid_twice,
    Control.is_away,
]
