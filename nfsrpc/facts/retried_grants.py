"""Locks that waiting clients got only when they retried, of servers that sent them no callback.

A server that grants a lock to a waiting client calls the client's lockd (facts/callbacks.py). Where it neither called
nor tried to, the lock stays free until the client retries. How long is too long is for the rule to judge. Behind
address translation a call comes from another address of the server, and goes to another one of the client: a grant of
the same lock is the same wherever it goes, and who looks up a lock manager there may be that server.
"""

from __future__ import annotations

from bisect import bisect_right
from typing import NamedTuple

from nfsrpc.columns import NAT
from nfsrpc.facts.basic import Roles, fact, listed, pairs_of
from nfsrpc.facts.callbacks import CallbackFailure
from nfsrpc.facts.waiters import Waiter
from nfsrpc.protocols.numbers import Prog
from nfsrpc.sessions.stretches import Stretches
from nfsrpc.tables import Flows, Locks, Registrations
from nfsrpc.wording import SECOND

RETRY_S = 35.0  # a Linux client that waits asks again after 30.7 s: a lock that is free for longer is granted then


class RetriedGrant(NamedTuple):
    """A lock that a waiting client got when it retried, without a callback."""

    waiter: Waiter
    free_s: float  # for so long the lock had been free; 0 without a release
    is_unseen: bool  # the last holder, or what the server sent, may not be captured, or went to another address


@fact
def contacted_clients(
    failed_callbacks: tuple[CallbackFailure, ...], connections: Flows, registrations: Registrations, roles: Roles
) -> frozenset[tuple[str, str]]:
    """Pairs of a server and a client that it tried to call: it looked up its lockd, or sent SYNs without success."""
    failed = {(failure.server, failure.client) for failure in failed_callbacks}
    unopened = pairs_of(connections.where((connections["syn"] > 0) & (connections["synack"] == 0)))
    return frozenset(failed | unopened | lockd_lookups(registrations, roles))


@fact
def retried_grants(
    waiters: tuple[Waiter, ...],
    locks: Locks,
    contacted_clients: frozenset[tuple[str, str]],
    gaps: frozenset[frozenset[str]],
    registrations: Registrations,
    roles: Roles,
) -> tuple[RetriedGrant, ...]:
    """The locks that clients got when they retried, where nothing shows that the server called the waiter."""
    called = {lock_of(waiter) for waiter in waiters if is_called(waiter, contacted_clients)}
    retried = [waiter for waiter in waiters if waiter.row.blocked is not None and waiter.row.granted_by == "poll"]
    if not retried:
        return ()
    free, granted, lookups = free_for(retried, locks), granted_locks(locks), lookups_by_others(registrations, roles)

    def is_called_elsewhere(row: Locks.Row) -> bool:
        return (row.fh, row.oh, row.svid) in granted or lookups.meet(0, row.requested or NAT, row.granted or NAT)

    return tuple(
        RetriedGrant(waiter, free_s, is_unseen(waiter, free_s, gaps) or is_called_elsewhere(waiter.row))
        for waiter, free_s in ((waiter, free[waiter.number]) for waiter in retried)
        if lock_of(waiter) not in called
    )


def granted_locks(locks: Locks) -> set[tuple[object, ...]]:
    """The locks that callbacks granted, by file and owner: whatever addresses these came from and went to."""
    called = locks.where(locks.valid("callback"))
    return set(zip(*(called[name].tolist() for name in ("fh", "oh", "svid")), strict=True))


def lookups_by_others(registrations: Registrations, roles: Roles) -> Stretches:
    """When a host that is no lock client looked up the lock manager of one that is no server, nor a client of it."""
    lookups = registrations.where((registrations["prog"] == Prog.NLM) & ~registrations["loopback"])
    clients = {client for client, _ in roles.lock_pairs}
    return Stretches.of(
        (0, row.time, row.time)
        for row in lookups.rows()
        if row.asker not in clients and row.host not in roles.servers and roles.calling(row.asker, row.host) is None
    )


def lockd_lookups(registrations: Registrations, roles: Roles) -> set[tuple[str, str]]:
    """Pairs of a server that looked up a client's lockd, and that client."""
    lookups = registrations.where(registrations["prog"] == Prog.NLM)
    pairs = {(row.asker, row.host) for row in lookups.rows()}
    found = ((roles.calling(asker, client), client) for asker, client in pairs)
    return {(server, client) for server, client in found if server is not None}


def is_called(waiter: Waiter, contacted: frozenset[tuple[str, str]]) -> bool:
    return waiter.row.callback is not None or (waiter.row.server, waiter.row.client) in contacted


def lock_of(waiter: Waiter) -> tuple[str, str, str]:
    """Server, owner and file of a wait, without the address: captures of both sides of a NAT show one waiter at two."""
    return waiter.row.server, waiter.row.owner, waiter.row.file


def free_for(retried: list[Waiter], locks: Locks) -> dict[int, float]:
    """Seconds for which each waiter's lock was free before it was granted, by number; 0 without a release.

    The lock may have had other holders after the one for which it was first refused.
    """
    if not retried:
        return {}
    files = {(waiter.row.server, waiter.row.fh) for waiter in retried}
    ended = locks.where(locks.valid("released"))
    ends = zip(ended["server"].tolist(), ended["fh"].tolist(), ended["released"].tolist(), strict=True)
    releases = listed(((server, fh), time) for server, fh, time in ends if (server, fh) in files)
    for times in releases.values():
        times.sort()
    found = {}
    for waiter in retried:
        times = releases.get((waiter.row.server, waiter.row.fh), [])
        at = bisect_right(times, waiter.row.granted)
        found[waiter.number] = (
            (waiter.row.granted - times[at - 1]) / SECOND if at and waiter.holder is not None else 0.0
        )
    return found


def is_unseen(waiter: Waiter, free_s: float, gaps: frozenset[frozenset[str]]) -> bool:
    if waiter.holder is None or frozenset((waiter.row.client, waiter.row.server)) in gaps:
        return True
    if waiter.seen_until < (waiter.row.granted or 0):  # another one may have held it meanwhile
        return True
    return bool(waiter.row.polls > 1 and free_s > RETRY_S)
