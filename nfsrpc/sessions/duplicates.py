"""Sightings: rows of several vantages that are one message, and which of them counts.

Rows of different capture points with equal keys (addresses, ports, xid, procedure) that are close in time, once the
difference of the clocks is taken away, are one. A vantage is one capture point, or has one on each side of an address
translation (translations.py), where its clock is the same.

Vantages of one host (hosts.py) have one clock. The difference of two others is the median over keys that occur once at
either, and where a capture is long enough it drifts: the medians of its first and its last third show how fast. A call
and its retransmission have one key, and where one capture ends before the other begins each shows one of them, apart by
the timer of the client. So clocks are compared by exchanges that both vantages show whole, with one call each, and by
at least two of them: a client whose call was answered retransmits it only if the reply was lost. Without those any row
compares them whose two times are closer together than a client's shortest timer. Other vantages share no clock.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Collection, Hashable, Iterable, Mapping, Sequence
from functools import cached_property
from heapq import heappop, heappush
from itertools import chain, pairwise
from typing import NamedTuple

import numpy as np

from nfsrpc.columns import NAT, Array, Mask, isin, median
from nfsrpc.sessions.grouping import group, members

# Sightings of one message differ by its way and by the drift of clocks; a client uses an xid again much later.
TOLERANCE = 3_000_000_000
# Fewer messages, or a shorter time between them, show jitter rather than a clock's drift.
DRIFT_MESSAGES = 30
DRIFT_NS = 60_000_000_000

# One exchange may still be a call whose reply was lost, and its retransmission.
COMPARABLE = 2
# A client retransmits no sooner than this: glibc and libtirpc over UDP after 1 s or more, lockd after 10 s.
SHORTEST_TIMER = 1_000_000_000
EVER = int(np.iinfo(np.int64).max)

# A key that occurs so often at each of two capture points is as many messages, in one order.
MOST_AGAIN = 8

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
        known: Clocks | None = None,
        whole: Mask | None = None,
    ) -> None:
        """`point` is the capture point of each row, where vantages have several; `known`: the clocks, if they are.

        `whole`: which rows show a call, sent once, and its reply; by default all.
        """
        self.length = len(time)
        self.vantages = vantages
        self.places, self.known = places, known
        self.rows = np.zeros(0, dtype=np.int64)
        several = point is not None
        point = vantage if point is None else point
        if (vantages > 1 or several) and len(time):
            groups, _ = group(*keys)
            self.rows = np.flatnonzero(in_several(groups, point) & (time != NAT))
            self.groups, self.time, self.vantage = groups[self.rows], time[self.rows], vantage[self.rows]
            self.point = point[self.rows]
            self.whole = np.ones(len(self.rows), dtype=np.bool_) if whole is None else whole[self.rows]

    @cached_property
    def clocks(self) -> Clocks:
        """The clocks of the vantages."""
        if self.known is not None:
            return self.known
        clocks = Clocks(
            np.full(self.vantages, -1, dtype=np.int64),
            np.zeros(self.vantages, dtype=np.int64),
            np.zeros(self.vantages),
            np.zeros(self.vantages, dtype=np.int64),
        )
        if not len(self.rows) and not any(self.places):
            return clocks._replace(reference=np.arange(self.vantages))
        ways = self._ways()
        for first in range(self.vantages):
            reached = [(0, first)]
            while reached:
                way, other = heappop(reached)
                if clocks.reference[other] >= 0:
                    continue
                known = clocks.reference == first
                if other != first:
                    self._align(clocks, other, known, ways[way])
                clocks.reference[other] = first
                for number, each in enumerate(ways):
                    for near in each.neighbours.get(other, ()):
                        heappush(reached, (number, near))
        return clocks

    def _ways(self) -> list[Once | Housemates]:
        """The ways by which one clock is compared with another, the best first."""
        found: list[Once | Housemates] = [Housemates(self.places)]
        if len(self.rows):
            whole, any_row = (self.whole, COMPARABLE, EVER), (np.ones_like(self.whole), 1, SHORTEST_TIMER)
            found += [self._once(most, *which) for which in (whole, any_row) for most in (1, MOST_AGAIN)]
        return found

    @staticmethod
    def _align(clocks: Clocks, vantage: int, known: Mask, way: Once | Housemates) -> None:
        """Compares the clock of a vantage with that of a known one."""
        if isinstance(way, Housemates):
            same = min(mate for mate in way.neighbours[vantage] if known[mate])
            for column in clocks[1:]:
                column[vantage] = column[same]
            return
        when, its, its_when = way.beside(vantage, known)
        apart = when - its_when
        clocks.offset[vantage] = clocks.offset[its] + int(median(apart))
        clocks.drift[vantage] = clocks.drift[its] + drift_of(when, apart)
        clocks.middle[vantage] = int(median(when))

    def _once(self, most: int, chosen: Mask, least: int, within: int) -> Once:
        """The chosen rows whose keys occur once at their capture points, or so often at each, then one by one."""
        pairs, _ = group(self.groups, self.point)
        times = np.bincount(pairs)[pairs]
        order = np.lexsort((self.time, pairs))
        place = np.empty(len(order), dtype=np.int64)  # of a row among those of its key at its point
        starts = np.r_[True, pairs[order][1:] != pairs[order][:-1]]
        place[order] = np.arange(len(order)) - np.maximum.accumulate(np.where(starts, np.arange(len(order)), 0))
        rows = np.flatnonzero((times <= most) & chosen)
        groups, _ = group(self.groups[rows], times[rows], place[rows])
        order = np.lexsort((self.vantage[rows], groups))
        rows = rows[order]
        return Once(groups[order], self.vantage[rows], self.time[rows], least, within)

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
    """Rows sorted by group and vantage, at most one of each for every capture point.

    Two vantages are compared by at least `least` groups, whose times are no further apart than `within`.
    """

    def __init__(self, groups: Array, vantage: Array, time: Array, least: int, within: int) -> None:
        self.groups, self.vantage, self.time = groups, vantage, time
        self.least, self.within = least, within

    @cached_property
    def _of_vantage(self) -> dict[int, Array]:
        """The rows of each vantage."""
        if not len(self.vantage):
            return {}
        groups, first = group(self.vantage)
        return dict(zip(self.vantage[first].tolist(), members(groups), strict=True))

    @cached_property
    def neighbours(self) -> Mapping[int, set[int]]:
        """The vantages with enough messages in common, by vantage: of those of one message each and the next."""
        alike = (self.groups[1:] == self.groups[:-1]) & (self.vantage[1:] != self.vantage[:-1])
        alike &= np.abs(self.time[1:] - self.time[:-1]) <= self.within
        pairs = np.stack([self.vantage[:-1][alike], self.vantage[1:][alike]])
        pairs, messages = np.unique(pairs, axis=1, return_counts=True)
        return both_ways(map(tuple, pairs.T[messages >= self.least].tolist()))

    def beside(self, vantage: int, known: Mask) -> tuple[Array, int, Array]:
        """The times of a vantage's rows, its first known neighbour, and the times that the same groups have there."""
        reference = min(near for near in self.neighbours[vantage] if known[near])
        mine, theirs = self._of_vantage[vantage], self._of_vantage[reference]
        starts, ends = (np.searchsorted(self.groups[theirs], self.groups[mine], side) for side in ("left", "right"))
        count = ends - starts
        others = theirs[np.repeat(ends - np.cumsum(count), count) + np.arange(int(count.sum()))]
        mine = np.repeat(mine, count)
        chosen = np.abs(self.time[mine] - self.time[others]) <= self.within
        return self.time[mine[chosen]], reference, self.time[others[chosen]]


class Housemates:
    """Vantages of one host, whose clock is one."""

    def __init__(self, places: Places) -> None:
        by_place: defaultdict[Hashable, list[int]] = defaultdict(list)
        for vantage, found in enumerate(places):
            for place in found:
                by_place[place].append(vantage)
        self.neighbours = both_ways(chain.from_iterable(map(pairwise, by_place.values())))


def both_ways(pairs: Iterable[tuple[int, int]]) -> Mapping[int, set[int]]:
    """For each number those with which it is a pair."""
    found: defaultdict[int, set[int]] = defaultdict(set)
    for one, other in pairs:
        found[one].add(other)
        found[other].add(one)
    return found


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
