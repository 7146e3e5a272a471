"""Random lock traffic, mostly healthy, with some of everything that may go wrong with a lock."""

from __future__ import annotations

import struct
from random import Random

from benchmarks.attacks import LOCKD, LOOPBACK, NFSD, SERVER, STATD, Ends, Owner, Writer, handle, host, opaque
from nfsrpc.protocols.numbers import Nlm4Stats, NlmProc, Prog

FILES, CLIENTS = 40, 6
DENIALS = [*[Nlm4Stats.DENIED] * 3, Nlm4Stats.DENIED_NOLOCKS, Nlm4Stats.DENIED_GRACE_PERIOD]


class Traffic:
    """A server's locks; `oddity` is the share of sessions with something out of the ordinary."""

    def __init__(self, seed: int, oddity: float) -> None:
        self.random = Random(seed)
        self.oddity = oddity
        self.writer = Writer()
        self.svid = 0
        self.past: list[tuple[int, Owner]] = []

    def capture(self, sessions: int) -> bytes:
        for _ in range(sessions):
            self.writer.wait(self.random.expovariate(20))
            if self.random.random() < self.oddity:
                self.random.choice(ODDITIES)(self)
            else:
                self.healthy()
        self.writer.end(self.random.choice([0, 60]))
        return self.writer.capture()

    def owner(self, client: int) -> Owner:
        if self.random.random() < 0.8:  # of flock, and of most that are new processes
            self.svid += 1
        whole = self.random.random() < 0.7
        start = 0 if whole else 10 * self.random.randrange(20)
        return Owner(
            self.random.randrange(FILES),
            self.svid,
            b"h%d" % client,
            start,
            0 if whole else self.random.choice([5, 30]),
            self.random.random() < 0.7,
        )

    def ask(self, client: int, owner: Owner, status: int | None, proc: int = NlmProc.LOCK) -> None:
        self.writer.lock(host(client), owner, status, proc)

    def healthy(self) -> None:
        client = self.random.randrange(CLIENTS)
        owner = self.owner(client)
        self.ask(client, owner, Nlm4Stats.GRANTED)
        self.writer.wait(self.random.choice([0, 0.001, 0.05]))
        self.ask(client, owner, Nlm4Stats.GRANTED, NlmProc.UNLOCK)
        self.past.append((client, owner))

    def unlocked_again(self) -> None:
        """Some owner of before unlocks, long after its lock is over, and while others wait."""
        for client, owner in self.random.sample(self.past, min(len(self.past), 2)):
            other = self.owner(client)._replace(file=owner.file, offset=0, length=0, exclusive=True)
            self.ask(self.random.randrange(CLIENTS), other, self.random.choice([Nlm4Stats.BLOCKED, Nlm4Stats.DENIED]))
            self.writer.wait(self.random.choice([0.1, 12]))
            self.ask(client, owner, Nlm4Stats.GRANTED, NlmProc.UNLOCK)

    def held(self) -> None:
        client = self.random.randrange(CLIENTS)
        self.ask(client, self.owner(client), Nlm4Stats.GRANTED)

    def unlocked_only(self) -> None:
        client = self.random.randrange(CLIENTS)
        self.ask(client, self.owner(client), Nlm4Stats.GRANTED, NlmProc.UNLOCK)

    def unlocked_twice(self) -> None:
        client = self.random.randrange(CLIENTS)
        owner = self.owner(client)
        for proc in (NlmProc.LOCK, NlmProc.UNLOCK, NlmProc.UNLOCK):
            self.ask(client, owner, Nlm4Stats.GRANTED, proc)

    def denied(self) -> None:
        client = self.random.randrange(CLIENTS)
        self.ask(client, self.owner(client), self.random.choice(DENIALS))

    def polled(self) -> None:
        client = self.random.randrange(CLIENTS)
        owner = self.owner(client)
        for _ in range(self.random.randrange(2, 8)):
            self.ask(client, owner, Nlm4Stats.DENIED)
            self.writer.wait(15)
            self.healthy()

    def waited(self) -> None:
        one, other = self.random.sample(range(CLIENTS), 2)
        owner, waiter = self.owner(one), self.owner(other)
        waiter = waiter._replace(file=owner.file, offset=owner.offset, length=owner.length)
        self.ask(one, owner, Nlm4Stats.GRANTED)
        self.ask(other, waiter, Nlm4Stats.BLOCKED)
        for _ in range(self.random.randrange(3)):
            self.healthy()
            self.writer.wait(10)
        self.ask(one, owner, Nlm4Stats.GRANTED, NlmProc.UNLOCK)
        how = self.random.randrange(4)
        if how == 0:
            self.ask(other, waiter, Nlm4Stats.GRANTED)
        elif how == 1:
            back = Ends(SERVER, 800, host(other), 40000)
            self.writer.asked(
                back,
                Prog.NLM,
                4,
                NlmProc.GRANTED,
                waiter.arguments(NlmProc.GRANTED),
                opaque(b"ck") + struct.pack(">I", 0),
            )
        elif how == 2:
            self.ask(other, waiter, Nlm4Stats.GRANTED, NlmProc.CANCEL)
        if how < 2 and self.random.random() < 0.5:
            self.ask(other, waiter, Nlm4Stats.GRANTED, NlmProc.UNLOCK)

    def late(self) -> None:
        client = self.random.randrange(CLIENTS)
        ends, owner = Ends(host(client), 700, SERVER, LOCKD), self.owner(client)
        arguments = owner.arguments(NlmProc.LOCK)
        xid = self.writer.call(ends, Prog.NLM, 4, NlmProc.LOCK, arguments)
        for _ in range(self.random.randrange(4)):
            self.healthy()
            self.writer.wait(self.random.choice([0.5, 3, 10]))
            self.writer.call(ends, Prog.NLM, 4, NlmProc.LOCK, arguments, xid=xid)
        if self.random.random() < 0.6:
            self.writer.reply(ends, xid, opaque(b"ck") + struct.pack(">I", 0))
            if self.random.random() < 0.5:
                self.ask(client, owner, Nlm4Stats.GRANTED, NlmProc.UNLOCK)

    def held_by_two(self) -> None:
        one, other = self.random.sample(range(CLIENTS), 2)
        first, second = self.owner(one), self.owner(other)
        second = second._replace(file=first.file, offset=first.offset, length=first.length, exclusive=True)
        self.ask(one, first, Nlm4Stats.GRANTED)
        self.writer.wait(self.random.choice([0.2, 2.5]))
        self.ask(other, second, Nlm4Stats.GRANTED)
        self.writer.wait(self.random.choice([0.2, 2.5]))
        self.ask(one, first, Nlm4Stats.GRANTED, NlmProc.UNLOCK)
        self.ask(other, second, Nlm4Stats.GRANTED, NlmProc.UNLOCK)

    def notified(self) -> None:
        client = self.random.randrange(CLIENTS)
        notice = opaque(b"h%d" % client) + struct.pack(">I", self.random.randrange(9))
        self.writer.asked(Ends(host(client), 701, SERVER, STATD), Prog.NSM, 1, 6, notice)

    def freed(self) -> None:
        client = self.random.randrange(CLIENTS)
        ends = Ends(host(client), 700, SERVER, LOCKD)
        self.writer.call(ends, Prog.NLM, 4, NlmProc.FREE_ALL, opaque(b"h%d" % client) + struct.pack(">I", 1))

    def looked_up(self) -> None:
        port = self.random.choice([0, 0, STATD, None])
        self.writer.getport(Ends(LOOPBACK, 700, LOOPBACK, 111), Prog.NSM, 1, port)

    def written(self) -> None:
        client, file = self.random.randrange(CLIENTS + 2), self.random.randrange(FILES)
        self.ask(0, owner := Owner(file, 9, b"h0"), Nlm4Stats.GRANTED)
        args = opaque(handle(file)) + struct.pack(">QII", 0, 4, 1) + opaque(b"data")
        results = struct.pack(">IIIIIQ", 0, 0, 0, 4, 1, 0)
        self.writer.asked(Ends(host(client), 701, SERVER, NFSD), Prog.NFS, 3, 7, args, results)
        self.ask(0, owner, Nlm4Stats.GRANTED, NlmProc.UNLOCK)

    def renamed(self) -> None:
        client = self.random.randrange(CLIENTS)
        owner = self.owner(client)._replace(name=b"other")
        self.ask(client, owner, Nlm4Stats.GRANTED)
        self.ask(client, owner, Nlm4Stats.GRANTED, NlmProc.UNLOCK)


ODDITIES = (
    *(Traffic.held, Traffic.unlocked_only, Traffic.unlocked_twice, Traffic.denied, Traffic.polled, Traffic.waited),
    *(Traffic.waited, Traffic.late, Traffic.late, Traffic.held_by_two, Traffic.notified, Traffic.freed),
    *(Traffic.looked_up, Traffic.written, Traffic.renamed, Traffic.unlocked_again),
)
