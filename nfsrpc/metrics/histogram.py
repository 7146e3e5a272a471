"""Durations counted by bucket and label, many at once.

Their sums are whole ns: sums of floats depend on the order of the parts, and the sum of a histogram must not decrease.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator, Sequence
from typing import TypeAlias

import numpy as np

from nfsrpc.columns import Array
from nfsrpc.wording import SECOND

Labels: TypeAlias = tuple[str, ...]

# In seconds. NFS takes fractions of a ms, a late answer 5 s (facts/stalls.py); Linux resends after 10 s and 30 s, logs
# "not responding" after 60 s, and its lockd grants without statd after 61.6 s.
BOUNDS = (0.0001, 0.0005, 0.001, 0.005, 0.01, 0.05, 0.1, 0.5, 1.0, 5.0, 10.0, 30.0, 60.0, 120.0)
BOUNDS_NS = np.array([round(bound * SECOND) for bound in BOUNDS])


class Histograms:
    """One histogram per combination of labels."""

    def __init__(self) -> None:
        self._counts: defaultdict[Labels, Array] = defaultdict(lambda: np.zeros(len(BOUNDS) + 1, dtype=np.int64))
        self._sums: defaultdict[Labels, int] = defaultdict(int)

    def add(self, labels: Sequence[Labels], groups: Array, durations: Array, times: Array | None = None) -> None:
        """Adds durations in ns, each `times` times; those of group n have the n-th labels."""
        each = np.ones(len(groups), dtype=np.int64) if times is None else times
        buckets = np.searchsorted(BOUNDS_NS, durations)  # the first bound that is not less
        width = len(BOUNDS) + 1
        counts = np.bincount(groups * width + buckets, weights=each, minlength=len(labels) * width)
        sums = np.bincount(groups, weights=durations * each, minlength=len(labels))
        for group, label in enumerate(labels):
            mine = counts[group * width : (group + 1) * width].astype(np.int64)
            if mine.any():
                self._counts[label] += mine
                self._sums[label] += int(sums[group])

    def plus(self, other: Histograms) -> Histograms:
        """The sum of both."""
        result = Histograms()
        for each in (self, other):
            for label, counts in each._counts.items():
                result._counts[label] += counts
                result._sums[label] += each._sums[label]
        return result

    def items(self) -> Iterator[tuple[Labels, list[int], float]]:
        """Labels, the number of durations up to each bound and in all, and their sum in seconds."""
        for label in sorted(self._counts):
            yield label, np.cumsum(self._counts[label]).tolist(), self._sums[label] / SECOND
