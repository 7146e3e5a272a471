"""Sightings: rows of several vantages that are one message, and which of them counts.

Rows of different capture points with equal keys (addresses, ports, xid, procedure) that are close in time, once the
difference of the clocks is taken away, are one. A vantage is one capture point, or has one on each side of an address
translation (translations.py), where its clock is the same. The difference of two clocks is the median over keys that
occur once at either, and where a capture is long enough it drifts: the medians of its first and its last third show how
fast. Vantages without a common message share a clock only where they are of one host (hosts.py).
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Collection, Hashable, Sequence
from functools import cached_property
from heapq import heappop, heappush
from itertools import pairwise
from typing import NamedTuple

import numpy as np

from nfsrpc.columns import NAT, Array, Mask, isin, median
from nfsrpc.sessions.grouping import group, members

# Sightings of one message differ by its way and by the drift of clocks; a client uses an xid again much later.
TOLERANCE = 3_000_000_000
# Fewer messages, or a shorter time between them, show jitter rather than a clock's drift.
DRIFT_MESSAGES = 30
DRIFT_NS = 60_000_000_000


Places = Sequence[Collection[Hashable]]  # by vantage: two that have one in common are of one host


class Clocks(NamedTuple):
    """The clocks of vantages: those that can be compared are so with the first of them, their reference."""

    reference: Array  # by vantage: a vantage; times of two that have different ones cannot be compared
    offset: Array  # against the clock of the reference
    drift: Array  # against it, as a share; 0 where that is not known
    middle: Array  # the times, of the vantage's own clock, about which it drifts


class Sightings:
    """Rows of several vantages, with those of them whose keys several vantages have."""

    def __init__(
        self,
        keys: Sequence[Array],
        time: Array,
        vantage: Array,
        vantages: int,
        point: Array | None = None,
        places: Places = (),
    ) -> None:
        """`point` is the capture point of each row, where vantages have several."""
        self.length = len(time)
        self.vantages = vantages
        self.places = places
        self.rows = np.zeros(0, dtype=np.int64)
        several = point is not None
        point = vantage if point is None else point
        if (vantages > 1 or several) and len(time):
            groups, _ = group(*keys)
            self.rows = np.flatnonzero(in_several(groups, point) & (time != NAT))
            self.groups, self.time, self.vantage = groups[self.rows], time[self.rows], vantage[self.rows]
            self.point = point[self.rows]

    @cached_property
    def clocks(self) -> Clocks:
        """The clocks of the vantages."""
        clocks = Clocks(
            np.full(self.vantages, -1, dtype=np.int64),
            np.zeros(self.vantages, dtype=np.int64),
            np.zeros(self.vantages),
            np.zeros(self.vantages, dtype=np.int64),
        )
        once = self._once() if len(self.rows) else None
        neighbours, housemates = once.neighbours() if once else {}, self._housemates()
        for first in range(self.vantages):
            reached = [(False, first)]  # by common messages before by the host
            while reached:
                by_host, other = heappop(reached)
                if clocks.reference[other] >= 0:
                    continue
                known = clocks.reference == first
                if by_host:
                    same = min(mate for mate in housemates[other] if known[mate])
                    for column in clocks[1:]:
                        column[other] = column[same]
                elif once and other != first:
                    when, its, its_when = once.beside(other, known)
                    apart = when - its_when
                    clocks.offset[other] = clocks.offset[its] + int(median(apart))
                    clocks.drift[other] = clocks.drift[its] + drift_of(when, apart)
                    clocks.middle[other] = int(median(when))
                clocks.reference[other] = first
                for ways in ((False, neighbours), (True, housemates)):
                    for near in ways[1].get(other, ()):
                        heappush(reached, (ways[0], near))
        return clocks

    def _housemates(self) -> dict[int, set[int]]:
        """The vantages that are of one host, by vantage."""
        by_place: defaultdict[Hashable, list[int]] = defaultdict(list)
        for vantage, places in enumerate(self.places):
            for place in places:
                by_place[place].append(vantage)
        found: defaultdict[int, set[int]] = defaultdict(set)
        for vantages in by_place.values():
            for one, other in pairwise(vantages):
                found[one].add(other)
                found[other].add(one)
        return found

    def _once(self) -> Once:
        """The rows whose keys occur once at their capture points."""
        pairs, first = group(self.groups, self.point)
        rows = first[np.bincount(pairs) == 1]
        rows = rows[np.lexsort((self.vantage[rows], self.groups[rows]))]
        return Once(self.groups[rows], self.vantage[rows], self.time[rows])

    def by_first_clock(self, times: Array, vantage: Array) -> Array:
        """Times of these vantages by the clocks of their references."""
        clocks = self.clocks
        gained = (clocks.drift[vantage] * (times - clocks.middle[vantage])).astype(np.int64)
        moved: Array = times - clocks.offset[vantage] - gained
        return moved

    def counted(self, rank: Array) -> Array:
        """For each row the one that counts in its place: of least rank, then first vantage; -1 for one that counts."""
        same = np.full(self.length, -1, dtype=np.int64)
        if not len(self.rows):
            return same
        time, clock = self.by_first_clock(self.time, self.vantage), self.clocks.reference[self.vantage]
        groups, _ = group(self.groups, clock)
        order = np.lexsort((self.point, time, groups))
        cluster = clusters(groups[order], time[order], self.point[order])
        by_rank = np.lexsort((self.point[order], rank[self.rows][order], cluster))
        order, cluster = order[by_rank], cluster[by_rank]
        first = np.r_[True, cluster[1:] != cluster[:-1]]
        counts = order[np.maximum.accumulate(np.where(first, np.arange(len(first)), 0))]
        same[self.rows[order]] = np.where(first, -1, self.rows[counts])
        return same


class Once:
    """Rows sorted by group and vantage, at most one of each for every capture point."""

    def __init__(self, groups: Array, vantage: Array, time: Array) -> None:
        self.groups, self.vantage, self.time = groups, vantage, time
        self.starts, self.ends = (np.searchsorted(groups, groups, side) for side in ("left", "right"))

    @cached_property
    def _of_vantage(self) -> dict[int, Array]:
        """The rows of each vantage."""
        if not len(self.vantage):
            return {}
        groups, first = group(self.vantage)
        return dict(zip(self.vantage[first].tolist(), members(groups), strict=True))

    def neighbours(self) -> dict[int, set[int]]:
        """The vantages that have messages in common, by vantage: at least one chain of them for each message."""
        found: defaultdict[int, set[int]] = defaultdict(set)
        chain = (self.groups[1:] == self.groups[:-1]) & (self.vantage[1:] != self.vantage[:-1])
        pairs = np.unique(np.stack([self.vantage[:-1][chain], self.vantage[1:][chain]]), axis=1)
        for one, other in pairs.T.tolist():
            found[one].add(other)
            found[other].add(one)
        return found

    def beside(self, vantage: int, known: Mask) -> tuple[Array, int, Array]:
        """The times of a vantage's rows, the first known vantage that has some of the same groups, and its times."""
        mine = self._of_vantage[vantage]
        count = self.ends[mine] - self.starts[mine]
        others = np.repeat(self.ends[mine] - np.cumsum(count), count) + np.arange(int(count.sum()))
        mine = np.repeat(mine, count)
        chosen = known[self.vantage[others]]
        reference = int(self.vantage[others[chosen]].min(initial=len(known)))
        chosen &= self.vantage[others] == reference
        return self.time[mine[chosen]], reference, self.time[others[chosen]]


def drift_of(when: Array, apart: Array) -> float:
    """The drift between two clocks, by the messages of the first third and of the last; 0 for what may be jitter."""
    if len(when) < DRIFT_MESSAGES:
        return 0.0
    order = np.argsort(when, kind="stable")
    third = len(order) // 3
    early, late = order[:third], order[-third:]
    lasted = float(median(when[late]) - median(when[early]))
    before, after = median(apart[early]), median(apart[late])
    jitter = median(np.abs(apart[early] - before)) + median(np.abs(apart[late] - after))
    gained = float(after - before)
    return gained / lasted if lasted >= DRIFT_NS and abs(gained) > jitter else 0.0


def in_several(groups: Array, vantage: Array) -> Mask:
    """Whether a row's group has rows of several vantages."""
    first = np.zeros(int(groups.max()) + 1, dtype=vantage.dtype)
    first[groups] = vantage  # of one of its rows
    several = np.zeros(len(first), dtype=np.bool_)
    several[groups[vantage != first[groups]]] = True
    return several[groups]


def clusters(groups: Array, time: Array, vantage: Array) -> Array:
    """Numbers of rows, sorted by group and time, that are sightings of one message: at most one per capture point."""
    new = np.ones(len(groups), dtype=np.bool_)
    new[1:] = (groups[1:] != groups[:-1]) | (time[1:] - time[:-1] > TOLERANCE) | (vantage[1:] == vantage[:-1])
    cluster = np.cumsum(new)
    _, first = np.unique(np.stack([cluster, vantage]), axis=1, return_index=True)
    again = np.ones(len(groups), dtype=np.bool_)
    again[first] = False
    if again.any():
        seen: set[int] = set()
        for number in np.flatnonzero(isin(cluster, cluster[again])).tolist():
            if new[number] or vantage[number] in seen:
                new[number] = True
                seen = set()
            seen.add(int(vantage[number]))
        cluster = np.cumsum(new)
    return cluster
