"""Until when a capture that shows two hosts goes on: what passed between them later is not known.

Captures that are compared begin and end at different times. Where the server's ends first, a client's still shows that
client, and nothing of the others: not that one of them has released its lock, nor that its host is alive.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping
from functools import cached_property

import numpy as np

from nfsrpc.columns import NULLS, Array
from nfsrpc.facts.basic import fact, listed
from nfsrpc.sessions.conflicts import NEVER
from nfsrpc.sessions.grouping import group, members
from nfsrpc.tables import Captures, Flows, Locks


class Coverage:
    """The times for which what passes between two hosts was captured."""

    def __init__(self, flows: Flows, captures: Captures) -> None:
        self.flows = flows
        timed = captures.where(captures.valid("first") & captures.valid("last"))
        spans = zip(timed["first"].tolist(), timed["last"].tolist(), strict=True)
        files = listed(zip(timed["vantage"].tolist(), spans, strict=True))
        self.of_vantage = {
            vantage: (min(first for first, _ in of), max(last for _, last in of)) for vantage, of in files.items()
        }

    @cached_property
    def _of_hosts(self) -> Mapping[frozenset[str | None], tuple[Array, Array]]:
        """The begins and the ends of what captures show of two hosts, without a pause between them."""
        client, server, vantage = self.flows["client"], self.flows["server"], self.flows["vantage"]
        _, first = group(client.codes, server.codes, vantage)
        found: defaultdict[frozenset[str | None], set[tuple[int, int]]] = defaultdict(set)
        for one, other, number in zip(*(column[first].tolist() for column in (client, server, vantage)), strict=True):
            if number in self.of_vantage:
                found[frozenset((one, other))].add(self.of_vantage[number])
        return {hosts: joined(spans) for hosts, spans in found.items()}

    def ends(self, locks: Locks) -> Array:
        """For each session until when what passes between its client and its server is known, from its grant on.

        NEVER ends what the only capture shows: nothing is known of what comes behind it.
        """
        ends = np.full(len(locks), NEVER)
        since = np.where(locks.valid("granted"), locks["granted"], locks["time"])
        for rows, begun, ended in self._by_hosts(locks):
            at = np.searchsorted(begun, since[rows], "right")
            ends[rows] = np.maximum(since[rows], np.append(ended, since.min())[at - 1])
        return ends

    def last_ends(self, locks: Locks) -> Array:
        """As `ends`, of the last capture that shows both, whatever pauses are before it."""
        ends = np.full(len(locks), NEVER)
        for rows, _, ended in self._by_hosts(locks):
            ends[rows] = ended[-1] if len(ended) else locks["time"][rows]
        return ends

    def _by_hosts(self, locks: Locks) -> Iterator[tuple[Array, Array, Array]]:
        """The rows of each client and server, with the begins and the ends; none where there is one capture only."""
        if len(self.of_vantage) < 2 or not len(locks):
            return
        nothing = np.zeros(0, dtype=np.int64)
        pairs, firsts = group(locks["client"].codes, locks["server"].codes)
        hosts = zip(locks["client"][firsts].tolist(), locks["server"][firsts].tolist(), strict=True)
        for rows, pair in zip(members(pairs), hosts, strict=True):
            yield rows, *self._of_hosts.get(frozenset(pair), (nothing, nothing))

    def held_by(self, locks: Locks) -> Array:
        """The column `held_by`, without holders that may have released the range, unseen, when it was asked for."""
        held_by: Array = locks["held_by"].copy()
        behind = np.flatnonzero(held_by != NULLS["u32?"])
        holders = held_by[behind]
        gone = ~locks.valid("released")[holders] & (self.ends(locks)[holders] < locks["requested"][behind])
        held_by[behind[gone]] = NULLS["u32?"]
        return held_by


def joined(spans: Iterable[tuple[int, int]]) -> tuple[Array, Array]:
    """The begins and the ends of these stretches of time, of which those that meet are one."""
    found: list[list[int]] = []
    for first, last in sorted(spans):
        if found and first <= found[-1][1]:
            found[-1][1] = max(found[-1][1], last)
        else:
            found.append([first, last])
    begins, ends = np.array(found, dtype=np.int64).reshape(-1, 2).T
    return begins, ends


@fact
def coverage(flows: Flows, captures: Captures) -> Coverage:
    """Until when captures show two hosts."""
    return Coverage(flows, captures)
