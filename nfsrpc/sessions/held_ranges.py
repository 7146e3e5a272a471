"""Ranges of files that were held at a moment, for many moments at once.

Exclusive locks of one file that are held at one moment do not meet. So one walk through the grants, releases and
moments of a file in their order keeps those held sorted by their start, and the last one that begins before a range
ends is the one that meets it, if any does.
"""

from __future__ import annotations

from bisect import bisect_left, bisect_right, insort
from typing import NamedTuple

import numpy as np

from nfsrpc.columns import Array

# Ranges of one file that are held at one moment: more than a database locks. Further ones are not looked at, so that a
# hostile capture costs no more than its length.
MAX_HELD = 1024
RELEASED, GRANTED, ASKED = range(3)  # in this order, if they are at one time


class Ranges(NamedTuple):
    """Some bytes of files, from the first to the last one."""

    file: Array
    first: Array
    last: Array


def held_then(held: Ranges, since: Array, until: Array, asked: Ranges, at: Array) -> Array:
    """For each queried range, the row of `held` that meets it at that moment, -1 where none does."""
    rows = np.flatnonzero(since < until)
    parts = ((held.file[rows], until[rows], RELEASED), (held.file[rows], since[rows], GRANTED), (asked.file, at, ASKED))
    files, times = (np.concatenate([part[number] for part in parts]) for number in (0, 1))
    kinds = np.concatenate([np.full(len(part[0]), part[2]) for part in parts])
    numbers = np.concatenate([rows, rows, np.arange(len(at))])
    order = np.lexsort((kinds, times, files))
    ends, spans = (list(zip(part.first.tolist(), part.last.tolist(), strict=True)) for part in (held, asked))
    found = np.full(len(at), -1, dtype=np.int64)
    now: list[tuple[int, int, int]] = []
    latest = None
    for file, kind, row in zip(*(column[order].tolist() for column in (files, kinds, numbers)), strict=True):
        if file != latest:
            now, latest = [], file
        if kind == ASKED:
            first, last = spans[row]
            place = bisect_right(now, last, key=lambda hold: hold[0]) - 1
            if place >= 0 and now[place][1] >= first:
                found[row] = now[place][2]
            continue
        hold = (*ends[row], row)
        if kind == GRANTED and len(now) < MAX_HELD:
            insort(now, hold)
        elif kind == RELEASED:
            place = bisect_left(now, hold)
            if now[place : place + 1] == [hold]:
                del now[place]
    return found
