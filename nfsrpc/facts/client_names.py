"""Names and addresses under which clients lock: `caller_name` of LOCK, and the address that the request comes from.

An address that locks under several names, or a name that locks from several addresses, is ambiguous: a notice of a
reboot may then be matched to another client.

What a NAT translates shows one client at two addresses where both of its sides were captured: one request, with the
same file, owner and range, a moment later from another address.
"""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Iterable, Iterator, Mapping, Set
from itertools import pairwise
from typing import NamedTuple, TypeAlias

import numpy as np

from nfsrpc.columns import NAT
from nfsrpc.facts.basic import fact, listed
from nfsrpc.sessions.conflicts import NEVER
from nfsrpc.sessions.grouping import codes_of, group
from nfsrpc.tables import Locks, Monitors
from nfsrpc.wording import named

TRANSLATED = 50_000_000  # ns that a packet spends at most in the host that translates its address
REQUEST = ("server", "fh", "oh", "svid", "l_offset", "l_len")  # what is the same of one request

# By server, client and caller_name, when its first lock appears and its last one ends.
Stays: TypeAlias = Mapping[tuple[str, str, str], tuple[int, int]]


class CallerNames:
    """Names of one host; `distinct` are those of which none is the short form of another."""

    def __init__(self, names: Iterable[str | None]) -> None:
        self.names = sorted({name for name in names if name is not None})
        self.distinct = {name for name in self.names if not self.have_long_form(name)}
        self.text = named(self.names)

    def __str__(self) -> str:
        return self.text

    def have_long_form(self, name: str) -> bool:
        at = bisect_left(self.names, f"{name}.")
        return at < len(self.names) and self.names[at].startswith(f"{name}.")

    def lack(self, name: str) -> bool:
        """Whether a name is missing here, and is neither the short nor the long form of a name that is."""
        dots = (at for at, letter in enumerate(name) if letter == ".")
        short_forms = (name[:at] for at in dots)
        return not (name in self.distinct or self.have_long_form(name)) and self.distinct.isdisjoint(short_forms)


@fact
def callers(locks: Locks) -> tuple[Locks.Row, ...]:
    """One lock session per server, client and caller_name."""
    with_name = locks.where(locks.valid("caller_name"))
    if not len(with_name):
        return ()
    _, first = group(*(with_name[name].codes for name in ("server", "client", "caller_name")))
    return tuple(with_name.take(np.sort(first)).rows())


@fact
def stays(locks: Locks) -> dict[tuple[str, str, str], tuple[int, int]]:
    """When each server, client and caller_name first appears, and when its last lock ended (NEVER: is still held)."""
    with_name = locks.where(locks.valid("caller_name") & (locks["time"] != NAT))
    key = with_name["server"], with_name["client"], with_name["caller_name"]
    groups, first = group(*(column.codes for column in key))
    begun = np.full(len(first), NEVER, dtype=np.int64)
    ended = np.full(len(first), NAT, dtype=np.int64)
    last = np.maximum(with_name["time"], np.maximum(with_name["unlock"], with_name["cancelled"]))
    np.minimum.at(begun, groups, with_name["time"])
    np.maximum.at(ended, groups, np.where(with_name["state"] == "held", NEVER, last))
    keys = zip(*(column[first].tolist() for column in key), strict=True)
    return dict(zip(keys, zip(begun.tolist(), ended.tolist(), strict=True), strict=True))


def overlap(times: Iterable[tuple[int, int]]) -> bool:
    """Whether two of these stretches of time have a moment in common.

    >>> overlap([(5, 7), (1, 4)]), overlap([(5, 7), (1, 9), (8, 8)])
    (False, True)
    """
    stretches = sorted(times)
    return any(begin <= end for (_, end), (begin, _) in pairwise(stretches))


@fact
def translated(locks: Locks, callers: tuple[Locks.Row, ...]) -> dict[str, str]:
    """Addresses of clients that a NAT shows for one another, each with one that stands for all of the same client."""
    addresses_by_name = listed(sorted({(row.caller_name, row.client) for row in callers}))
    clients = {client for addresses in addresses_by_name.values() if len(addresses) > 1 for client in addresses}
    if not clients:
        return {}
    rows = locks.where(locks["client"].isin(clients) & (locks["time"] != NAT) & locks.valid("requested"))
    groups, _ = group(*(codes_of(rows.column(name)) for name in REQUEST))
    order = np.lexsort((rows["time"], groups))
    request, time, client = groups[order], rows["time"][order], rows["client"].codes[order]
    twins = (request[1:] == request[:-1]) & (client[1:] != client[:-1]) & (time[1:] - time[:-1] < TRANSLATED)
    ones, others = client[:-1][twins], client[1:][twins]
    _, first = group(ones, others)
    labels = rows["client"].labels
    found: dict[str, str] = {}
    for one, other in zip(ones[first].tolist(), others[first].tolist(), strict=True):
        union(found, labels[one], labels[other])
    return {address: representative(found, address) for address in list(found)}


def union(found: dict[str, str], one: str, other: str) -> None:
    """Notes that two addresses are of one client, in a forest of parents."""
    first, second = sorted((representative(found, one), representative(found, other)))
    found[first] = found[second] = first


def representative(found: dict[str, str], address: str) -> str:
    """The root of an address; each walk halves the way for the next."""
    while (parent := found.setdefault(address, address)) != address:
        address = found[address] = found.get(parent, parent)
    return address


class AmbiguousClient(NamedTuple):
    """Several names of one address, or several addresses of one name, that lock at one server at the same time."""

    rows: list[Locks.Row]  # one lock session of each
    names: frozenset[str]  # the names of the one address; empty for several addresses of one name
    rebooted: bool  # the address sent a notice of its reboot


@fact
def ambiguous_clients(
    callers: tuple[Locks.Row, ...],
    translated: dict[str, str],
    stays: dict[tuple[str, str, str], tuple[int, int]],
    reboot_notices: tuple[Monitors.Row, ...],
) -> tuple[AmbiguousClient, ...]:
    """Clients that lock under several names or addresses at one time, by server."""
    rebooted = {row.asker for row in reboot_notices}
    return tuple(
        client
        for _, mine in sorted(listed((row.server, row) for row in callers).items())
        for client in (*with_several_names(mine, stays, rebooted), *with_several_addresses(mine, stays, translated))
    )


def with_several_names(callers: list[Locks.Row], stays: Stays, rebooted: Set[str]) -> Iterator[AmbiguousClient]:
    """Addresses with several names at one server."""
    for client, rows in several_of(listed((row.client, row) for row in callers)):
        names = CallerNames(row.caller_name for row in rows)
        if together((row for row in rows if row.caller_name in names.distinct), stays):
            yield AmbiguousClient(rows, frozenset(names.distinct), client in rebooted)


def with_several_addresses(
    callers: list[Locks.Row], stays: Stays, translated: Mapping[str, str]
) -> Iterator[AmbiguousClient]:
    """Names with several addresses of one family at one server; those of one client behind a NAT count as one."""
    for _, rows in several_of(listed((row.caller_name or "", row) for row in callers)):
        one_each = {translated.get(row.client, row.client): row for row in reversed(rows)}
        distinct = list(reversed(one_each.values()))
        families = listed((":" in row.client, row) for row in distinct)
        if any(together(family, stays) for family in families.values()):
            yield AmbiguousClient(distinct, frozenset(), rebooted=False)


def several_of(listed: Mapping[str, list[Locks.Row]]) -> list[tuple[str, list[Locks.Row]]]:
    """Those that have several rows, in order."""
    return sorted(part for part in listed.items() if len(part[1]) > 1)


def together(callers: Iterable[Locks.Row], stays: Stays) -> bool:
    """Whether two of these names or addresses lock at the same time."""
    found = (stays.get((row.server, row.client, row.caller_name or "")) for row in callers)
    return overlap(stay for stay in found if stay is not None)
