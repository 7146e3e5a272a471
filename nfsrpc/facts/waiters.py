"""Lock requests that wait behind a lock, what holds it, and whether the holder's host is alive."""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Iterator, Mapping, Sequence
from itertools import accumulate
from typing import NamedTuple

import numpy as np

from nfsrpc.columns import NAT, NULLS, Array, Mask, distinct
from nfsrpc.facts.basic import fact, lacks, listed
from nfsrpc.facts.coverage import Coverage
from nfsrpc.findings.finding import Evidence
from nfsrpc.protocols.numbers import Nlm4Stats
from nfsrpc.sessions.conflicts import NEVER
from nfsrpc.sessions.overlaps import others_held
from nfsrpc.sessions.ranges import last_bytes
from nfsrpc.tables import Flows, Hosts, Locks
from nfsrpc.wording import SECOND, duration

HOW_GRANTED = {
    "reply": "by the reply",
    "poll": "when the client retried",
    "callback": "by a callback",
    "late-reply": "by a late reply",
}
SHORT_S = 1.0  # shorter waits are of no concern; a storm of small locks has thousands of them
POLL_S = 25.0  # Linux retries a LOCK that was BLOCKED after 30 s; so long a wait may have lasted for that only


class Waiter(NamedTuple):
    """A lock session that waited behind another, or that was answered DEADLCK."""

    row: Locks.Row
    number: int  # its row number there
    holder: Locks.Row | None  # the row of what stood in its way, where the capture shows it and nothing that refutes it
    seen_until: int = NEVER  # when the captures end that show the holder with its server

    @property
    def start(self) -> int:
        return self.row.requested or 0  # the fact takes no others

    @property
    def end(self) -> int:
        """When the waiter was granted or denied or gave up; else the end of the capture."""
        return self.start + round((self.row.wait_s or 0.0) * SECOND)

    @property
    def free_s(self) -> float:
        """How long the range had been free at the end of the wait, in seconds: since the holder released it.

        What the client's own capture alone shows of the wait does not count: another one may have been granted it.
        """
        return self._since_release_s(min(self.end, self.seen_until))

    @property
    def unheld_s(self) -> float:
        """As `free_s`, also where another one may have been granted the range: how long this holder did not have it."""
        return self._since_release_s(self.end)

    def _since_release_s(self, end: int) -> float:
        released = self.holder.released if self.holder is not None else None
        return 0.0 if released is None else (end - released) / SECOND

    @property
    def is_unseen(self) -> bool:
        """Whether the holder released the range, and only captures that do not show it go on to the end of the wait."""
        return self.free_s > 0 and self.seen_until < self.end


@fact
def waiters(locks: Locks, gaps: frozenset[frozenset[str]], coverage: Coverage) -> tuple[Waiter, ...]:
    """Sessions that were answered BLOCKED and waited for a while, or DEADLCK, in the order of their requests."""
    blocked, deadlock = locks.valid("blocked"), locks["status"] == Nlm4Stats.DEADLCK
    if not (blocked | deadlock).any():
        return ()
    with np.errstate(invalid="ignore"):
        long = (locks["wait_s"] >= SHORT_S) | during(locks, locks["requested"][deadlock])
    numbers = np.flatnonzero(locks.valid("requested") & ((blocked & long) | deadlock))
    held_by = coverage.held_by(locks)[numbers]
    holders = rows_of(locks, distinct(held_by[held_by != NULLS["u32?"]]))
    rows, seen_until = rows_of(locks, numbers), coverage.ends(locks)
    found = []
    for (number, row), behind in zip(rows.items(), held_by.tolist(), strict=True):
        holder = holders.get(behind)
        until = NEVER if holder is None else int(seen_until[behind])
        found.append(Waiter(row, number, sure_holder(row, holder, gaps), until))
    return tuple(found)


def held_by_others(locks: Locks, waiting: Sequence[Waiter]) -> list[bool]:
    """One flag per waiter: whether another session held the range after the holder that it waited for."""
    if not waiting:
        return []
    holds = np.flatnonzero(locks.valid("granted") & (locks["state"] != "replaced"))
    released = np.where(locks.valid("released"), locks["released"], NEVER)
    numbers = np.array([waiter.number for waiter in waiting], dtype=np.int64)
    after = [waiter.holder.released if waiter.holder is not None else 0 for waiter in waiting]
    return others_held(locks, holds, released[holds], numbers, np.array(after, dtype=np.int64))


def sure_holder(row: Locks.Row, holder: Locks.Row | None, gaps: frozenset[frozenset[str]]) -> Locks.Row | None:
    """The holder, or None where the capture may lack its unlock: the waiter was granted what it seems to hold."""
    if holder is None or row.granted is None or not lacks(gaps, holder):
        return holder
    return holder if holder.released is not None and holder.released <= row.granted + SECOND else None


@fact
def unexplained_waits(waiters: tuple[Waiter, ...]) -> tuple[Waiter, ...]:
    """Waits behind a holder that is not captured and that no callback ended: the client retried, or waits still.

    Whether the lock was free meanwhile cannot be seen.
    """
    return tuple(
        waiter
        for waiter in waiters
        if waiter.holder is None
        and (waiter.row.state == "waiting" or waiter.row.granted_by == "poll")
        and waiter.row.blocked is not None
        and (waiter.row.wait_s or 0.0) >= POLL_S
    )


def held_until(locks: Locks) -> Array:
    """When the server may have taken a lock away from its holder: as soon as UNLOCK was called."""
    unlocked = np.where(locks.valid("unlock"), locks["unlock"], NEVER)
    given_up = np.where(locks.valid("cancelled"), locks["cancelled"], NEVER)
    ended: Array = np.where(locks["state"] == "replaced", locks["granted"], NEVER)
    return np.minimum(np.minimum(unlocked, given_up), ended)


def during(locks: Locks, moments: Array) -> Mask:
    """The sessions that waited at one of these moments."""
    start = locks["requested"]
    end = start + (np.nan_to_num(locks["wait_s"]) * SECOND).astype(np.int64)
    moments = np.sort(moments)
    mask: Mask = np.searchsorted(moments, start, "left") < np.searchsorted(moments, end, "right")
    return mask


def rows_of(locks: Locks, numbers: Array) -> dict[int, Locks.Row]:
    """Rows by their numbers."""
    return dict(zip(numbers.tolist(), locks.take(numbers).rows(), strict=True))


class LastSeen(NamedTuple):
    """The last frame that a host sent."""

    time: int
    closed_connection: bool  # it closed a connection then: the host was idle, or shut down, and did not die


@fact
def last_seen(flows: Flows) -> Mapping[str, LastSeen]:
    """The last frame of each host."""
    found: dict[str, LastSeen] = {}
    for side, way in (("client", "c"), ("server", "s")):
        hosts, last = flows.column(side), flows.column(f"{way}_last")
        latest = np.full(len(hosts.labels) + 1, NAT, dtype=np.int64)
        np.maximum.at(latest, hosts.codes, last)
        closed = np.full(len(hosts.labels) + 1, NAT, dtype=np.int64)
        fin = flows.column(f"{way}_fin") > 0
        np.maximum.at(closed, hosts.codes[fin], last[fin])
        for label, time, end in zip(hosts.labels, latest.tolist(), closed.tolist(), strict=False):
            if time != NAT and (label not in found or found[label].time < time):
                found[label] = LastSeen(time, end == time)
    return found


@fact
def last_seen_by_name(last_seen: Mapping[str, LastSeen], connections: Flows, hosts: Hosts) -> Mapping[str, LastSeen]:
    """The last frame of each host under any address: those that go by the same names and sent at the same time are one.

    One that began to send after the other fell silent may be its successor, or the same one after a reboot.
    """
    first = first_seen(connections)
    known = [(row.names, [each for each in row.addresses or () if each in last_seen]) for row in hosts.rows()]
    named = ((tuple(names), address) for names, addresses in known if names for address in addresses)
    found = dict(last_seen)
    for names, addresses in listed(named).items():
        if len(addresses) == 1 or names[0].partition(".")[0].lower() == "localhost":
            continue
        alike = sorted((first.get(address, NEVER), address) for address in addresses)
        latest = list(accumulate((last_seen[address] for _, address in alike), max))
        for address in addresses:
            at = bisect_right(alike, (last_seen[address].time, chr(0x10FFFF))) - 1
            found[address] = max(found[address], latest[at]) if at >= 0 else found[address]
    return found


def first_seen(connections: Flows) -> Mapping[str, int]:
    """The first frame of a connection or pair of ports on which a host sent something."""
    found: dict[str, int] = {}
    for side, way in (("client", "c"), ("server", "s")):
        rows = connections.where(connections.column(f"{way}_frames") > 0)
        hosts = rows.column(side)
        first = np.full(len(hosts.labels) + 1, NEVER, dtype=np.int64)
        np.minimum.at(first, hosts.codes, rows["first"])
        for label, time in zip(hosts.labels, first.tolist(), strict=False):
            found[label] = min(found.get(label, NEVER), time)
    return found


def silent_s(last_seen: Mapping[str, LastSeen], host: str, until: int) -> float:
    """How long a host had been silent at a time, in seconds; 0 if it closed its last connection itself."""
    seen = last_seen.get(host)
    return 0.0 if seen is None or seen.closed_connection else (until - seen.time) / SECOND


def same_range(locks: Locks, number: int) -> Mask:
    """The sessions of one file on one server whose range meets that of the session of this number."""
    rows = np.flatnonzero(same_file(locks, number))
    starts, ends = ranges(locks, rows)
    own = np.searchsorted(rows, number)
    mask = np.zeros(len(locks), dtype=np.bool_)
    mask[rows[(starts <= ends[own]) & (ends >= starts[own])]] = True
    return mask


def covering(locks: Locks, number: int) -> Mask:
    """The sessions of one file on one server whose range has all of that of the session of this number."""
    rows = np.flatnonzero(same_file(locks, number))
    starts, ends = ranges(locks, rows)
    own = np.searchsorted(rows, number)
    mask = np.zeros(len(locks), dtype=np.bool_)
    mask[rows[(starts <= starts[own]) & (ends >= ends[own])]] = True
    return mask


def ranges(locks: Locks, rows: Array) -> tuple[Array, Array]:
    """The first and the last byte of the ranges of these sessions."""
    start = locks["l_offset"][rows]
    return start, last_bytes(start, locks["l_len"][rows])


def same_file(locks: Locks, number: int) -> Mask:
    """The sessions of the same file on the same server as the session of this number."""
    codes = (locks[name].codes for name in ("server", "fh"))
    mask: Mask = np.logical_and.reduce([column == column[number] for column in codes])
    return mask


def proof(waiter: Waiter) -> Iterator[Evidence]:
    """The frames of a wait: the request, BLOCKED, the holder's grant and release, and how it ended."""
    row, holder = waiter.row, waiter.holder
    if holder is not None and holder.granted_frame is not None:
        yield Evidence(holder.granted_capture, holder.granted_frame, f"granted to {holder.owner} ({holder.client})")
    yield Evidence.of(row.requested_capture, row.requested_frame, f"LOCK of {row.owner} ({row.client})")
    if row.blocked_frame is not None:
        yield Evidence(row.blocked_capture, row.blocked_frame, "BLOCKED")
    if holder is not None and holder.released_frame is not None:
        yield Evidence(holder.released_capture, holder.released_frame, "the holder has released it")
    if row.granted_frame is not None:
        after = duration(row.wait_s or 0.0)
        yield Evidence(
            row.granted_capture, row.granted_frame, f"granted {HOW_GRANTED[row.granted_by or 'reply']}, after {after}"
        )
