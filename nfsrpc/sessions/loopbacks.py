"""Loopback interfaces of several hosts in one interface of a capture, as merging captures leaves them.

A 127.0.0.1 there is each of these hosts. The AUTH_SYS credentials of the kernels' calls separate them: a connection
belongs to the host that calls itself so in it. Each such host gets a loopback domain of its own; what goes without a
name stays in the old one, which has no owner.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import replace

import numpy as np

from nfsrpc.columns import Array, distinct
from nfsrpc.decode import EVERYWHERE, NO_STRING, Columns, Decoded
from nfsrpc.sessions.exchanges import Exchanges
from nfsrpc.sessions.grouping import group, members
from nfsrpc.sessions.hosts import HostsByAddress
from nfsrpc.sessions.loopback_owners import SHARE
from nfsrpc.sessions.translations import ENDS


def with_own_loopbacks(decoded: Decoded) -> Decoded:
    """The decoded captures, with a loopback domain of its own for every host that shares one with another."""
    hosts = HostsByAddress(Exchanges(decoded))
    names = names_in(decoded) if hosts.loopbacks.domains else {}
    shared = [domain for domain in hosts.loopbacks.domains if is_shared(hosts, domain, names.get(domain, {}))]
    return split(decoded, {domain: names[domain] for domain in shared if domain in names})


def is_shared(hosts: HostsByAddress, domain: int, names: Mapping[int, Array]) -> bool:
    """Whether several hosts captured here: senders of frames talk with each other, or several names have no owner."""
    loopbacks = hosts.loopbacks
    return hosts.points.talk(loopbacks.sent_from(domain)) or (len(names) > 1 and loopbacks.sender_of(domain) is None)


def names_in(decoded: Decoded) -> dict[int, dict[int, Array]]:
    """The connections whose callers go by a name, by loopback and by name (a number of a string)."""
    raw, domains = decoded.exchanges, np.array([domain for _, domain in decoded.addresses], dtype=np.int64)
    named = np.flatnonzero((raw["machine"] != NO_STRING) & (domains[raw["client"]] != EVERYWHERE))
    if not len(named):
        return {}
    where, names = domains[raw["client"][named]], raw["machine"][named]
    found: dict[int, dict[int, Array]] = {}
    groups, first = group(where, names)
    each = zip(where[first].tolist(), names[first].tolist(), members(groups), strict=True)
    for domain, name, rows in sorted(each, key=lambda one: one[:2]):
        found.setdefault(domain, {})[name] = raw["flow"][named[rows]]
    return found


def split(decoded: Decoded, shared: Mapping[int, Mapping[int, Array]]) -> Decoded:
    """The decoded captures, with the ends of these connections moved to a share of their loopback, one per name."""
    if not shared:
        return decoded
    moves = Moves(decoded, shared)
    exchanges, flows = (columns | dict(moves.ends(columns)) for columns in (decoded.exchanges, decoded.flows))
    return replace(decoded, addresses=[*decoded.addresses, *moves.added], exchanges=exchanges, flows=flows)


class Moves:
    """Addresses of shared loopbacks, and what they become on which connections."""

    def __init__(self, decoded: Decoded, shared: Mapping[int, Mapping[int, Array]]) -> None:
        self.domains = np.array([domain for _, domain in decoded.addresses], dtype=np.int64)
        tables = decoded.exchanges, decoded.flows
        size = 1 + max(int(columns["flow"].max(initial=0)) for columns in tables)
        # Of each connection the loopback, and the share of it, from 1 on.
        self.domain, self.share = np.full(size, -1, dtype=np.int64), np.zeros(size, dtype=np.int64)
        for domain, names in shared.items():
            for share, flows in reversed(list(enumerate(names.values(), 1))):
                self.domain[flows], self.share[flows] = domain, share
        self.places = distinct(np.concatenate([self.place(columns, end) for columns in tables for end in ENDS]))
        self.places = self.places[self.places >= len(self.domains)]
        numbers = zip(*(part.tolist() for part in np.divmod(self.places, len(self.domains))), strict=True)
        addresses = decoded.addresses
        self.added = [(addresses[number][0], addresses[number][1] + share * SHARE) for share, number in numbers]

    def place(self, columns: Columns, end: str) -> Array:
        """The address at an end of each row, and its share, as one number."""
        number, flow = columns[end].astype(np.int64), columns["flow"]
        moved = self.domains[number] == self.domain[flow]
        place: Array = number + np.where(moved, self.share[flow], 0) * len(self.domains)
        return place

    def ends(self, columns: Columns) -> Iterator[tuple[str, Array]]:
        """The ends of rows, which are other addresses on these flows."""
        for end in ENDS:
            place = self.place(columns, end)
            moved = place >= len(self.domains)
            ends = columns[end].copy()
            ends[moved] = len(self.domains) + np.searchsorted(self.places, place[moved])
            yield end, ends
