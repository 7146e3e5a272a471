"""Stretches of time by key (a host, a file): whether something was going on then, without looking at every row.

Rules ask this for each host, or each call, of all the others. Sorted once, an answer takes log n.
"""

from __future__ import annotations

from array import array
from bisect import bisect_right
from collections.abc import Iterable, Sequence
from typing import Any

import numpy as np

from nfsrpc.columns import NAT, Array, Coded
from nfsrpc.sessions.grouping import codes_of, group, in_order, keys_of, known

EARLIEST, LATEST = NAT + 1, int(np.iinfo(np.int64).max)


def so_far(groups: Array, values: Array) -> Array:
    """The greatest value up to each row within its group; groups come one after the other, numbered upwards."""
    if not len(values):
        return values
    usual = values[(values != NAT) & (values != LATEST)]
    low, high = (int(usual.min()), int(usual.max())) if len(usual) else (0, 0)
    size = high - low + 3
    if size * (int(groups[-1]) + 1) <= LATEST and low > EARLIEST and high < LATEST - 1:
        base, low = groups * size, low - 1  # NAT as 0, LATEST as the last
        keys = np.clip(values, low, high + 1) - low
        keys = np.maximum.accumulate(keys + base) - base
        latest: Array = np.select([keys == 0, keys == size - 1], [NAT, LATEST], keys + low)
        return latest
    ordered = np.sort(values)
    # As ranks, so that those of a group can be put above those of the one before it.
    ranks = np.searchsorted(ordered, values) + groups * len(values)
    up_to: Array = ordered[np.maximum.accumulate(ranks) - groups * len(values)]
    return up_to


class Stretches:
    """Stretches of time by key: whether any of a key's meets another stretch takes log n, however many it has.

    Of stretches sorted by their beginning, those that begin in time are the first ones, and the latest end of these
    decides of the rest. A moment is a stretch that ends as it begins.
    """

    def __init__(self, columns: Sequence[Array | Coded], first: Array, last: Array | None = None) -> None:
        """What has no time (NAT), or no text as key, is left out."""
        last = first if last is None else last
        rows = known(columns)
        rows = rows[(first[rows] != NAT) & (last[rows] != NAT)]
        rows = rows[np.argsort(first[rows], kind="stable")]
        groups, firsts = group(*(codes_of(column)[rows] for column in columns)) if len(rows) else (rows, rows)
        order = in_order(groups)
        # Python's numbers would take four times as much memory, and numpy's are slow one by one.
        self.begins = array("q", first[rows][order].astype(np.int64, copy=False).tobytes())
        self.ends = array("q", so_far(groups[order], last[rows][order]).tobytes())
        bounds = np.cumsum(np.bincount(groups, minlength=len(firsts))).tolist()
        parts = zip([0, *bounds], bounds, strict=False)
        self.parts = dict(zip(keys_of(columns, rows[firsts]), parts, strict=True))

    @classmethod
    def of(cls, stretches: Iterable[tuple[Any, int, int]]) -> Stretches:
        """Stretches from keys with their first and last times, cut to the times that a column can hold."""
        found = [(key, max(first, EARLIEST), min(last, LATEST)) for key, first, last in stretches]
        numbers: dict[Any, int] = {}
        codes = np.array([numbers.setdefault(key, len(numbers)) for key, _, _ in found], dtype=np.int64)
        times = np.array([times for _, *times in found], dtype=np.int64).reshape(-1, 2)
        result = cls([codes], times[:, 0], times[:, 1])
        labels = list(numbers)
        result.parts = {labels[code]: part for code, part in result.parts.items()}
        return result

    def meet(self, key: Any, first: float, last: float) -> bool:
        """Whether one of the key's stretches has a moment from `first` to `last`."""
        start, end = self.parts.get(key, (0, 0))
        at = bisect_right(self.begins, last, start, end) - 1
        return at >= start and self.ends[at] >= first

    def following(self, key: Any, time: float) -> int | None:
        """The start of the next of a key's stretches after a time."""
        start, end = self.parts.get(key, (0, 0))
        at = bisect_right(self.begins, time, start, end)
        return self.begins[at] if at < end else None

    def latest(self, key: Any) -> int | None:
        """The start of the last of a key's stretches."""
        start, end = self.parts.get(key, (0, 0))
        return self.begins[end - 1] if start < end else None


def between(groups: Array, times: Array, queries: Array, first: Array, last: Array) -> Array:
    """For each query (a group), how many of its rows have a time from `first` to `last`."""
    ordered, size = np.sort(times), len(times) + 1
    keys = np.sort(groups * size + np.searchsorted(ordered, times))
    low, high = np.searchsorted(ordered, first, "left"), np.searchsorted(ordered, last, "right")
    count: Array = np.searchsorted(keys, queries * size + high) - np.searchsorted(keys, queries * size + low)
    return count
