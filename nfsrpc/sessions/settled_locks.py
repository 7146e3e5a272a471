"""Lock sessions that are over and healthy, and that nothing else depends on: they leave while a capture is being read.

Such a session is a LOCK that was granted at once and its UNLOCK, each answered once, in time, with GRANTED; nobody else
held, waited for, or was denied any of its range meanwhile. What stays all the same is what a question about something
that is odd may lead to: the sessions of a client next to anything odd on the file, its requests next to anything late
on the wire, the first and the last of each connection and name, and the latest of each file. The exchanges of what
leaves are summed as tallies.

What exchanges mean is told here; the core finds the sessions that leave (core/src/lock_sessions.rs).
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from functools import cached_property
from typing import Any, NamedTuple

import numpy as np

from nfsrpc._core import MOMENT, STEP_FLAGS, LockSessions
from nfsrpc.columns import NAT, Array, Mask, Masked, isin
from nfsrpc.decode import Columns, MessageFields
from nfsrpc.protocols.numbers import Nlm4Stats, NlmProc, NsmProc, PortmapProc, Prog
from nfsrpc.reading import Batch
from nfsrpc.sessions.exchanges import Gathered
from nfsrpc.sessions.nlm import POLL_NS
from nfsrpc.sessions.wanted import NLM_PROTOCOLS
from nfsrpc.wording import SECOND

NEVER = int(np.iinfo(np.int64).max)
SLOW = SECOND  # as the core has it of exchanges that it counts
# Sessions of files that are kept as the latest of their file and client; beyond, the oldest leave.
MAX_LATEST = 1 << 12

# What a step is: core/src/lock_sessions.rs declares the flags and says what each means.
LOCK = STEP_FLAGS["LOCK"]
UNLOCK = STEP_FLAGS["UNLOCK"]
GRANT = STEP_FLAGS["GRANT"]
OVER = STEP_FLAGS["OVER"]
USUAL = STEP_FLAGS["USUAL"]
ROLES = {
    NlmProc.LOCK: LOCK,
    NlmProc.LOCK_MSG: 0,
    NlmProc.NM_LOCK: 0,
    NlmProc.UNLOCK: UNLOCK | OVER,
    NlmProc.UNLOCK_MSG: OVER,
    NlmProc.CANCEL: OVER,
    NlmProc.CANCEL_MSG: OVER,
    NlmProc.GRANTED: GRANT,
    NlmProc.GRANTED_MSG: GRANT,
}
# Answers to a LOCK after which it is held, or waits.
GOES_ON = (Nlm4Stats.GRANTED, Nlm4Stats.BLOCKED)
# Answers to a LOCK that say something of the file, and nothing of the server.
OF_THE_FILE = (Nlm4Stats.GRANTED, Nlm4Stats.DENIED, Nlm4Stats.BLOCKED)
ARGUMENTS = {f"{protocol}.args": int(protocol.removeprefix("nlm")) for protocol in NLM_PROTOCOLS}
STEP = {
    **dict.fromkeys(("exchange", "client", "server", "flow", "vers"), np.uint32),
    "capture": np.uint16,
    **dict.fromkeys(("time", "reply_time"), np.int64),
}
OF_MESSAGES = {"exchange": np.uint32, "copy": np.uint16}
ACCESS = {"handle": np.uint32, "client": np.uint32, "first": np.int64, "last": np.int64}


class Sifted(NamedTuple):
    """What is known of lock sessions, and of the exchanges of batches that say something of locks."""

    sessions: LockSessions
    plain: Array  # the numbers of exchanges that were answered once, in time, with success
    names: tuple[list[bytes], list[tuple[str, int]]]  # the strings and addresses that others are numbers of


def sifted(batches: Sequence[Batch], in_reach: Columns, until: int) -> Sifted:
    """Of batches with the same numbers of strings and addresses, which the first one has, with what has left.

    `in_reach`: exchanges that the core has yet. `until`: what is not over by then stays.
    """
    sieve = Sieve(batches, in_reach, until)
    return Sifted(sieve.sessions, sieve.raw["exchange"][sieve.plain], sieve.names)


class Sieve:
    """The exchanges of batches that say something of locks, and what is odd among them."""

    def __init__(self, batches: Sequence[Batch], in_reach: Columns, until: int) -> None:
        first = batches[0]
        self.accesses = Gathered(*((batch["accesses"], slice(None)) for batch in batches))
        self.names = first["strings"], first["addresses"]
        self.known_owners = [first[table]["owner"] for table in ("counted_owners", "earlier_owners")]
        tables = [*(batch["exchanges"] for batch in batches), in_reach]
        rows = [of_control(columns) for columns in tables]
        self.raw = Gathered(*zip(tables, rows, strict=True))
        self.final = np.arange(sum(map(len, rows))) < sum(map(len, rows[:-1]))
        self.until = min(frontier(in_reach), until)
        self.messages = [batch["decoded"] for batch in batches]

    @cached_property
    def plain(self) -> Mask:
        """Exchanges that were answered once, in time, with success, and are out of reach."""
        raw = self.raw
        once = (raw["retransmits"] == 0) & (raw["duplicates"] == 0) & (raw["flags"] == 0)
        known = (raw["call_frame"] != 0) & (raw["reply_frame"] != 0) & (raw["time"] != NAT)
        latency = raw["reply_time"] - raw["time"]
        in_time = (latency >= 0) & (latency < SLOW)
        # Answers of portmappers have no status.
        succeeded = (raw["rpc_status"] == 0) & ((raw["status"] == 0) | (raw["prog"] == Prog.PORTMAP))
        plain: Mask = once & known & in_time & succeeded & self.final
        return plain

    @cached_property
    def sessions(self) -> LockSessions:
        raw = self.raw
        rows = np.flatnonzero((raw["prog"] == Prog.NLM) & isin(raw["proc"], list(ROLES)))
        steps = {name: contiguous(raw[name][rows], dtype) for name, dtype in STEP.items()}
        roles = np.zeros(max(ROLES) + 1, dtype=np.uint8)
        roles[list(ROLES)] = list(ROLES.values())
        flags = roles[raw["proc"][rows]]
        answered = raw["reply_frame"][rows] != 0
        flags[(flags == LOCK) & ~isin(raw["status"][rows], GOES_ON)] |= OVER
        flags[~answered] &= ~np.uint8(OVER)
        flags[self.plain[rows]] |= USUAL
        restarts = np.sort(raw["time"][self.restarts])
        accesses = {name: contiguous(self.accesses[name], dtype) for name, dtype in ACCESS.items()}
        return LockSessions(
            steps | {"flags": flags},
            [(vers, plain_columns(columns)) for table, vers in ARGUMENTS.items() for columns in self.tables(table)],
            (accesses, self.moments, restarts),
            self.names,
            self.known_owners,
            (self.until, POLL_NS + MOMENT, MAX_LATEST),
        )

    @cached_property
    def moments(self) -> Array:
        """When something was late or failed, and until when what follows from it may come."""
        odd = np.flatnonzero(self.late & (self.raw["time"] != NAT))
        time, reply = self.raw["time"][odd], self.raw["reply_time"][odd]
        replied = reply[reply != NAT]
        moments: Array = np.concatenate([time, time + MOMENT, time - MOMENT // 2, replied - MOMENT, replied])
        return moments

    @cached_property
    def late(self) -> Mask:
        """Exchanges that are odd in a way that says something of the hosts: most with statds and portmappers are."""
        raw = self.raw
        nlm = raw["prog"] == Prog.NLM
        answered = raw["reply_frame"] != 0
        slow = ~answered | (raw["reply_time"] - raw["time"] >= SLOW) | (raw["retransmits"] > 0)
        failed = nlm & ((raw["rpc_status"] != 0) | ~isin(raw["status"], OF_THE_FILE))
        known = self.final | (raw["time"] < self.until)
        late: Mask = ((slow | failed) & known) | (~nlm & ~self.names_port) | self.restarts
        return late

    @cached_property
    def names_port(self) -> Mask:
        """Exchanges by which a portmapper named a port in time."""
        raw = self.raw
        rows = np.flatnonzero(self.plain & (raw["proc"] == PortmapProc.GETPORT))
        mask = np.zeros(len(raw["exchange"]), dtype=np.bool_)
        for columns in self.tables("portmap2.res"):  # which has answers of version 2 of portmappers only
            port = MessageFields(strings=[], messages={"res": columns}).column("res", "res_port", raw["exchange"][rows])
            mask[rows] |= port.valid & (port.values != 0)
        return mask

    @cached_property
    def restarts(self) -> Mask:
        """Exchanges that show that a host, or its lock manager, has restarted or gave up all locks."""
        raw = self.raw
        nlm, nsm = raw["prog"] == Prog.NLM, raw["prog"] == Prog.NSM
        found: Mask = nlm & isin(raw["proc"], (NlmProc.NSM_NOTIFY, NlmProc.FREE_ALL))
        found |= nlm & (raw["reply_frame"] != 0) & (raw["status"] == Nlm4Stats.DENIED_GRACE_PERIOD)
        found |= nsm & ~isin(raw["proc"], (0, NsmProc.SM_STAT, NsmProc.SM_MON, NsmProc.SM_UNMON))
        return found

    def tables(self, name: str) -> Iterator[dict[str, Masked]]:
        """The messages of this table, batch by batch."""
        for messages in self.messages:
            columns = {field: masked(column) for field, column in messages.get(name, {}).items()}
            if columns:
                yield columns


def masked(column: Any) -> Masked:
    return Masked(*column) if isinstance(column, tuple) else Masked(column, np.ones(len(column), dtype=np.bool_))


def plain_columns(columns: dict[str, Masked]) -> dict[str, Any]:
    """Columns of a table of messages as the core takes them."""
    own = {name: contiguous(columns[name].values, dtype) for name, dtype in OF_MESSAGES.items()}
    return {name: tuple(map(np.ascontiguousarray, column)) for name, column in columns.items()} | own


def contiguous(values: Array, dtype: Any) -> Array:
    column: Array = np.ascontiguousarray(values, dtype=dtype)
    return column


def of_control(columns: Columns) -> Array:
    """The rows of exchanges of lock managers, statds and portmappers."""
    return np.flatnonzero(isin(columns["prog"], (Prog.NLM, Prog.NSM, Prog.PORTMAP)))


def frontier(in_reach: Columns) -> int:
    """The time before which all exchanges are known, but for those that are late."""
    answered = (in_reach["reply_frame"] != 0) & (in_reach["retransmits"] == 0) & (in_reach["time"] != NAT)
    return int(in_reach["time"][answered].min(initial=NEVER))
