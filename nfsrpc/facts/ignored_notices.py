"""Notices of a reboot (SM_NOTIFY) on which the receiver may take no action, and the locks that depend on them.

statd matches a notice by the address that it comes from (Linux) or by the name in it (others), and passes it on to its
lockd in a downcall. A notice from another address, or in another name, than the sender locks by may match nothing. Nor
may one that looks right, where statd monitors another form of the address. Whether a downcall followed, and how long
that may take, is for the rule to judge.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from ipaddress import IPv6Address, ip_address
from typing import NamedTuple

import numpy as np

from nfsrpc.facts.basic import Span, fact, listed
from nfsrpc.facts.client_names import CallerNames
from nfsrpc.facts.waiters import Waiter
from nfsrpc.sessions.grouping import Parts
from nfsrpc.sessions.stretches import Stretches
from nfsrpc.tables import Calls, Locks, Monitors
from nfsrpc.wording import SECOND, named

NONE = np.zeros(0, dtype=np.int64)  # rows


class MisaddressedNotice(NamedTuple):
    """A notice in the name of a client that does not lock from the address that the notice comes from."""

    row: Monitors.Row
    address: str  # the first from which a client of that name locks
    addresses: str  # all of these, as a text


@fact
def misaddressed_notices(
    reboot_notices: tuple[Monitors.Row, ...], callers: tuple[Locks.Row, ...], loopbacks: frozenset[str]
) -> tuple[MisaddressedNotice, ...]:
    """The notices from other addresses to hosts whose loopback, and so a downcall, the captures hold."""
    listed_addresses = listed((row.caller_name, row.client) for row in callers)
    clients = {name: dict.fromkeys(addresses) for name, addresses in listed_addresses.items()}
    texts = {name: named(addresses) for name, addresses in clients.items()}
    seen = [row for row in reboot_notices if row.host in loopbacks and row.mon_name in clients]
    return tuple(
        MisaddressedNotice(row, next(iter(clients[row.mon_name])), texts[row.mon_name])
        for row in seen
        if row.asker not in clients[row.mon_name]
    )


class MisnamedNotice(NamedTuple):
    """A notice in a name under which its sender does not lock at the receiver."""

    row: Monitors.Row
    names: CallerNames  # those under which it locks there


@fact
def misnamed_notices(
    reboot_notices: tuple[Monitors.Row, ...], callers: tuple[Locks.Row, ...]
) -> tuple[MisnamedNotice, ...]:
    """The notices in other names than those that the sender locks under."""
    locking = listed(((lock.client, lock.server), lock.caller_name) for lock in callers)
    names = {ends: CallerNames(mine) for ends, mine in locking.items()}
    known = [
        (row, row.mon_name, names[row.asker, row.host]) for row in reboot_notices if (row.asker, row.host) in names
    ]
    return tuple(MisnamedNotice(row, mine) for row, name, mine in known if name and mine.lack(name))


class LatestNotice(NamedTuple):
    """The first answered notice of a host's latest reboot to a peer, with the locks between both from before it."""

    row: Monitors.Row
    captured_until: int | None  # the end of the capture of the receiver's loopback; None: it is not captured
    monitored: tuple[str, ...] | None  # the names in its SM_MONs for the sender; None where they were not captured
    kept: Locks  # the sender's locks at the receiver
    waiting: tuple[Waiter, ...]  # behind these
    own: Locks  # the receiver's locks at the sender; none where it reclaims any, or has rebooted too
    last_request: int | None  # the last request of the receiver that the sender answered

    def is_watched(self, seconds: float) -> bool:
        """Whether a downcall within this time would have been captured."""
        return self.captured_until is not None and self.captured_until - self.row.time >= seconds * SECOND


@fact
def latest_notices(
    reboot_notices: tuple[Monitors.Row, ...],
    monitors: Monitors,
    locks: Locks,
    waiters: tuple[Waiter, ...],
    requests: Calls,
    loopbacks: frozenset[str],
    gaps: frozenset[frozenset[str]],
    span: Span | None,
) -> tuple[LatestNotice, ...]:
    """The notices of the latest reboots between hosts of which the capture lacks nothing."""
    latest = [row for row in answered(reboot_notices) if frozenset((row.asker, row.host)) not in gaps]
    if span is None or not latest:
        return ()
    watched = {host for host in loopbacks if frozenset((host,)) not in gaps}
    held = Parts(locks.where(locks.valid("granted")), "server", "client")
    behind, monitored = waiting_behind(waiters), monitored_names(monitors)
    booted = {row.asker for row in reboot_notices}
    done = requests.where(requests["state"] == "answered")
    served = Stretches((done["client"], done["server"]), done["time"])

    def of(row: Monitors.Row) -> LatestNotice:
        is_watched = row.host in watched
        kept, others = over(held[row.host, row.asker], row.time), held[row.asker, row.host]
        return LatestNotice(
            row=row,
            captured_until=span.last if is_watched else None,
            monitored=tuple(monitored.get(row.host, {}).get(plain(row.asker), ())) if is_watched else None,
            kept=kept,
            waiting=tuple(waiting_for(kept, behind)),
            own=others.take(NONE) if row.host in booted or reclaims(others) else over(others, row.time),
            last_request=served.latest((row.host, row.asker)),
        )

    return tuple(map(of, latest))


def answered(notices: tuple[Monitors.Row, ...]) -> list[Monitors.Row]:
    """The first answered notice of the latest state, per sender and peer."""
    found: dict[tuple[str, str], Monitors.Row] = {}
    for row in notices:
        if row.state != "answered":
            continue
        latest = found.get((row.asker, row.host))
        if latest is None or latest.nsm_state != row.nsm_state:
            found[row.asker, row.host] = row
    return list(found.values())


def over(held: Locks, time: int) -> Locks:
    """Those of these locks that were held when a notice came."""
    ended = np.where(held.valid("unlock"), held["unlock"], np.iinfo(np.int64).max)
    return held.where((held["granted"] < time) & (ended > time) & (held["state"] != "replaced"))


def reclaims(locks: Locks) -> bool:
    """Whether any of these locks was reclaimed, at whatever time."""
    return bool((locks["reclaim"] | (locks["reclaims"] > 0)).any())


def waiting_behind(waiters: tuple[Waiter, ...]) -> dict[tuple[int, int | None], list[Waiter]]:
    """The waiters by the frame that granted the lock which they wait for."""
    held = ((waiter, waiter.holder) for waiter in waiters if waiter.holder is not None)
    return listed(((holder.granted_capture, holder.granted_frame), waiter) for waiter, holder in held)


def waiting_for(kept: Locks, behind: Mapping[tuple[int, int | None], list[Waiter]]) -> Iterator[Waiter]:
    """The waiters for these locks."""
    frames = zip(kept["granted_capture"].tolist(), kept["granted_frame"].tolist(), strict=True)
    return (waiter for frame in frames for waiter in behind.get(frame, ()))


def monitored_names(monitors: Monitors) -> dict[str, dict[str, list[str]]]:
    """By host, and by plain address, the names under which its statd was asked to monitor peers."""
    mon = monitors.where((monitors["procedure"] == "MON") & monitors["loopback"] & monitors.valid("mon_name"))
    pairs = sorted(set(zip(mon["host"].tolist(), mon["mon_name"].tolist(), strict=True) if len(mon) else ()))
    by_host = listed((host, (plain(name), name)) for host, name in pairs if host and name)
    return {host: listed(names) for host, names in by_host.items()}


def plain(address: str) -> str:
    """An address without the IPv6 form of an IPv4 one (RFC 4291 section 2.5.5.2); a name as it is."""
    try:
        parsed = ip_address(address)
    except ValueError:
        return address
    mapped = parsed.ipv4_mapped if isinstance(parsed, IPv6Address) else None
    return str(mapped or parsed)
