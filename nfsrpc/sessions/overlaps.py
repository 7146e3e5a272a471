"""Ranges of a file that meet others which were held for longer, without comparing each with each.

Queries are answered from the latest moment to the earliest, so that what has been put in by then are the holds that
lasted longer. Of these, those that begin before a range ends are the first ones by their start, and the furthest end
among them decides whether one meets it: a tree of maxima over the starts (Fenwick 1994) keeps it. It keeps the two
furthest, since a session does not meet itself.
"""

from __future__ import annotations

from bisect import bisect_left, bisect_right
from typing import NamedTuple, TypeAlias

import numpy as np

from nfsrpc.columns import Array
from nfsrpc.sessions.grouping import group, members
from nfsrpc.sessions.ranges import last_bytes
from nfsrpc.tables import Locks

Reach: TypeAlias = tuple[int, int]  # the end of a session's range, and its row
NOTHING: Reach = (-1, -1)


class Furthest:
    """The two sessions that reach furthest of all that begin up to a place."""

    def __init__(self, places: int) -> None:
        self.first = [NOTHING] * (places + 1)
        self.second = [NOTHING] * (places + 1)

    def put(self, place: int, reach: Reach) -> None:
        at = place + 1
        while at < len(self.first):
            if reach > self.first[at]:
                self.first[at], self.second[at] = reach, self.first[at]
            elif reach > self.second[at]:
                self.second[at] = reach
            at += at & -at

    def reaches(self, places: int, byte: int, but: int) -> bool:
        """Whether one of the first so many places, but for one row, has a range that goes as far as this byte."""
        while places:
            for end, row in (self.first[places], self.second[places]):
                if end >= byte and row != but:
                    return True
            places -= places & -places
        return False


class LockedRanges(NamedTuple):
    file: Array
    start: Array
    end: Array


def others_held(locks: Locks, holds: Array, until: Array, rows: Array, after: Array) -> list[bool]:
    """For each of these rows of locks whether another of `holds`, held until later than `after`, meets its range."""
    file, _ = group(locks["server"].codes + 1, locks["fh"].codes + 1)
    ranges = LockedRanges(file, locks["l_offset"], last_bytes(locks["l_offset"], locks["l_len"]))
    both, _ = group(file[np.concatenate([rows, holds])])
    times = np.concatenate([after, until])
    found = [False] * len(rows)
    for part in members(both):
        asking = part[part < len(rows)]
        if len(asking):
            held = part[part >= len(rows)]
            answers = of_one_file(
                ranges, holds[held - len(rows)].tolist(), times[held].tolist(), rows[asking], times[asking]
            )
            for number, answer in zip(asking.tolist(), answers, strict=True):
                found[number] = answer
    return found


def of_one_file(ranges: LockedRanges, holds: list[int], until: list[int], rows: Array, after: Array) -> list[bool]:
    start, end = (dict(zip(holds, column[holds].tolist(), strict=True)) for column in ranges[1:])
    starts, furthest = sorted(start.values()), Furthest(len(holds))
    waiting = sorted(zip(until, holds, strict=True))
    found = [False] * len(rows)
    for number in np.argsort(-after, kind="stable").tolist():
        while waiting and waiting[-1][0] > after[number]:
            _, row = waiting.pop()
            furthest.put(bisect_left(starts, start[row]), (end[row], row))
        row = int(rows[number])
        places = bisect_right(starts, int(ranges.end[row]))
        found[number] = furthest.reaches(places, int(ranges.start[row]), row)
    return found
