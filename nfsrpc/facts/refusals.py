"""Locks that a server keeps refusing although, by the capture, no client holds the range any more.

The capture shows that the range is free where an owner held it in a way that excluded all others and released it, or
where the server itself rebooted; and that no client was granted it since only where it was taken at the server, lacks
nothing of it, and shows more than one of its clients. A holder whose host has announced its own reboot to the server
(SM_NOTIFY, answered) holds nothing any more either.

What no capture shows remains: a process of the server itself, or another node of its cluster, may hold the range.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Literal, NamedTuple, TypeAlias

import numpy as np

from nfsrpc.columns import Table, distinct
from nfsrpc.facts.basic import Span, fact, listed
from nfsrpc.facts.polling import Series
from nfsrpc.facts.vantages import Vantages
from nfsrpc.facts.waiters import Waiter, covering, rows_of, same_range
from nfsrpc.protocols.numbers import Nlm4Stats, Prog
from nfsrpc.tables import Calls, Flows, Locks, Monitors, Tallies
from nfsrpc.wording import SECOND

Freed: TypeAlias = Literal["released", "server rebooted", "holder rebooted"]
HOLDING = ("held", "releasing")
APART_S = 1.0  # a request within a second of the release may have come before it
# sm-notify repeats a notice that is not answered after up to 120 s: an earlier one may be from before the capture.
RENOTIFY_S = 130.0
MAX_REFUSALS = 200  # are looked at, the longest: each costs a look at all locks


class Refusal(NamedTuple):
    """Requests for one range, refused from `first` to `last`, and since when the range is free."""

    row: Locks.Row  # the first one
    first: int
    last: int
    freed: Freed
    since: int
    holder: Locks.Row | None  # the session that held it

    @property
    def lasted_s(self) -> float:
        """How long the range was refused although it was free, in seconds."""
        return (self.last - max(self.first, self.since)) / SECOND


class Refusals(NamedTuple):
    """The refusals of ranges that were free by the capture, and whether there may be more."""

    found: tuple[Refusal, ...]
    more: bool


@fact
def overseen(
    connections: Flows, exchanges: Calls, counted: Tallies, gaps: frozenset[frozenset[str]], crowded: bool
) -> frozenset[str]:
    """Servers of which the captures lack nothing, with several clients, of which none locks where it is not seen.

    NFSv4 has its locks in its own protocol, and what is encrypted is not seen.
    """
    if crowded:
        return frozenset()
    wire = connections.where(~connections["loopback"] & connections["rpc"])
    clients = listed({(server, client) for client, server in ends(wire)})
    unseen = {host for pair in gaps for host in pair}
    for table in (exchanges, counted):
        unseen |= {server for _, server in ends(table.where((table["prog"] == Prog.NFS) & (table["vers"] == 4)))}
    unseen |= {server for _, server in ends(connections.where(connections["tls"]))}
    return frozenset(server for server, locking in clients.items() if len(locking) > 1 and server not in unseen)


def ends(table: Table) -> set[tuple[str, str]]:
    """The pairs (client, server) of a table."""
    return set(zip(table["client"].tolist(), table["server"].tolist(), strict=True))


@fact
def refusals(
    locks: Locks,
    nlm: Calls,
    monitors: Monitors,
    waiters: tuple[Waiter, ...],
    polled: tuple[Series, ...],
    free_ranges: FreeRanges,
) -> Refusals:
    """The refusals of ranges that were free by the capture."""
    pending = [*of_waiters(waiters, nlm), *((each.number, each.first, each.last.denied or 0) for each in polled)]
    longest = sorted(pending, key=lambda each: (each[1].requested or 0) - each[2])[:MAX_REFUSALS]
    behind = distinct(np.array([row.held_by for _, row, _ in longest if row.held_by is not None], dtype=np.int64))
    holders = rows_of(locks, behind)
    found = []
    for number, row, last in longest:
        holder = None if row.held_by is None else holders.get(row.held_by)
        freed = notice_of(holder, monitors) if holder else free_ranges.before(number, row, last)
        if freed is not None and not is_taken_since(locks, number, freed[1], last):
            found.append(Refusal(row, row.requested or 0, last, *freed))
    return Refusals(tuple(found), len(pending) > len(longest))


def is_taken_since(locks: Locks, number: int, since: int, last: int) -> bool:
    """Whether the range was granted again, excluding this session; perhaps to the host that has just rebooted."""
    granted = same_range(locks, number) & (locks["granted"] > since) & (locks["granted"] < last)
    granted &= locks["exclusive"] | locks["exclusive"][number]
    granted[number] = False
    return bool(granted.any())


def of_waiters(waiters: Sequence[Waiter], nlm: Calls) -> Iterator[tuple[int, Locks.Row, int]]:
    """Waiters that were never granted the lock, each with the time of its last request that was answered BLOCKED."""
    waiting = [waiter for waiter in waiters if waiter.row.state == "waiting"]
    if not waiting:
        return
    blocked = nlm.where(nlm["status"] == Nlm4Stats.BLOCKED)
    times = dict(zip(blocked["exchange"].tolist(), blocked["time"].tolist(), strict=True))
    for waiter in waiting:
        row = waiter.row
        last = row.blocked if row.last_exchange is None else times.get(row.last_exchange, row.blocked)
        if last is not None:
            yield waiter.number, row, last


def notice_of(holder: Locks.Row, monitors: Monitors) -> tuple[Freed, int, Locks.Row | None] | None:
    """When the host of a holder sent the server a notice of its reboot that was answered."""
    if holder.granted is None or holder.state not in HOLDING:
        return None
    notices = monitors.where((monitors["procedure"] == "NOTIFY") & monitors.valid("reply_time"))
    notices = notices.where((notices["asker"] == holder.client) & (notices["host"] == holder.server))
    times = notices["time"][notices["time"] > holder.granted]
    return ("holder rebooted", int(times.min()), holder) if len(times) else None


class FreeRanges:
    """Ranges of which the capture shows that they were free before they were asked for."""

    def __init__(
        self,
        locks: Locks,
        boots: Mapping[str, tuple[int, ...]],
        overseen: frozenset[str],
        vantages: Vantages,
        span: Span | None,
    ) -> None:
        self.locks, self.boots, self.overseen, self.vantages, self.span = locks, boots, overseen, vantages, span

    def before(self, number: int, row: Locks.Row, last: int) -> tuple[Freed, int, Locks.Row | None] | None:
        """How and when the range of a session became free before it, if everything since then is captured."""
        if row.server not in self.overseen or self.span is None:
            return None
        freed = self.release(number, row) or self.reboot(row)
        if freed is None:
            return None
        _, since, holder = freed
        seen_from = since if holder is None or holder.granted is None else holder.granted
        at = [self.vantages.taken_at(row.server, time) for time in (seen_from, last)]
        return freed if at[0] & at[1] else None

    def release(self, number: int, row: Locks.Row) -> tuple[Freed, int, Locks.Row | None] | None:
        """The last release of the whole range by an owner whose lock excluded all others."""
        locks = self.locks
        alone = covering(locks, number) & locks.valid("granted") & (locks["exclusive"] | ~locks["exclusive"][number])
        alone &= locks.valid("released") & (locks["released"] < (row.requested or 0) - round(APART_S * SECOND))
        rows = np.flatnonzero(alone)
        if not len(rows):
            return None
        holder = locks.row(int(rows[np.argmax(locks["released"][rows])]))
        return "released", holder.released or 0, holder

    def reboot(self, row: Locks.Row) -> tuple[Freed, int, Locks.Row | None] | None:
        """The last reboot of the server, if its first notice was captured."""
        times = [time for time in self.boots.get(row.server, ()) if time < (row.requested or 0)]
        if not times or self.span is None or times[0] - self.span.first < RENOTIFY_S * SECOND:
            return None
        return "server rebooted", times[-1], None


@fact
def free_ranges(
    locks: Locks,
    boots: Mapping[str, tuple[int, ...]],
    overseen: frozenset[str],
    vantages: Vantages,
    span: Span | None,
) -> FreeRanges:
    """The ranges of which the capture shows that they were free."""
    return FreeRanges(locks, boots, overseen, vantages, span)
