"""Conflicts: which session held a range when another had to wait for it, or was denied it.

The server decides at some moment between a request and its answer, so whoever held at any time between may be meant;
who held throughout is preferred, and of several the one that was granted last.
"""

from __future__ import annotations

from bisect import bisect_right
from typing import NamedTuple

import numpy as np

from nfsrpc.columns import Array

# How many of a file's holders are looked at, latest first: a file with more at once has other troubles.
MAX_HOLDERS = 64
NEVER = int(np.iinfo(np.int64).max)
NO_ROW = -1


class Holds(NamedTuple):
    """One row per session: its range, and from when until when it held it (NEVER in `since`: it did not)."""

    file: Array
    owner: Array
    start: Array  # first and last byte
    end: Array
    exclusive: Array
    since: Array
    until: Array


def in_the_way(holds: Holds, waiters: Array, asked: Array, answered: Array) -> Array:
    """The row in the way of each waiter (a row of `holds`), requested and answered at these times, or NO_ROW."""
    concerned = np.zeros(int(holds.file.max(initial=0)) + 1, dtype=np.bool_)
    concerned[holds.file[waiters]] = True
    rows = np.flatnonzero(concerned[holds.file] & (holds.since != NEVER))
    rows = rows[np.lexsort((holds.since[rows], holds.file[rows]))]
    first = np.searchsorted(holds.file[rows], holds.file[waiters], side="left").tolist()
    last = np.searchsorted(holds.file[rows], holds.file[waiters], side="right").tolist()
    holders = list(zip(*(column[rows].tolist() for column in holds), strict=True))
    since = holds.since[rows].tolist()
    found = []
    wishes = zip(*(column[waiters].tolist() for column in holds), strict=True)
    for wish, low, high, begin, end in zip(wishes, first, last, asked.tolist(), answered.tolist(), strict=True):
        at = bisect_right(since, end, low, high)
        found.append(latest(Hold(*wish), holders, range(at - 1, max(low, at - MAX_HOLDERS) - 1, -1), begin, end))
    return np.array([NO_ROW if at == NO_ROW else rows[at] for at in found], dtype=np.int64)


class Hold(NamedTuple):
    """One row of Holds."""

    file: int
    owner: int
    start: int
    end: int
    exclusive: bool
    since: int
    until: int

    def conflicts(self, other: Hold) -> bool:
        overlap = self.start <= other.end and other.start <= self.end
        return overlap and self.owner != other.owner and (self.exclusive or other.exclusive)


def latest(wish: Hold, holders: list[tuple[int, ...]], candidates: range, begin: int, end: int) -> int:
    fallback = NO_ROW
    for at in candidates:
        holder = Hold(*holders[at])  # type: ignore[arg-type]
        if holder.until < begin or not wish.conflicts(holder):
            continue
        if holder.since <= begin and holder.until >= end:
            return at
        fallback = at if fallback == NO_ROW else fallback
    return fallback
