"""Rows of a window that were not in it at the look before: each row is counted once, though windows overlap."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from nfsrpc.columns import NAT, Array, Mask, isin
from nfsrpc.reading import RING_OVERLAP

SPREAD = 0x9E3779B97F4A7C15 - (
    1 << 64
)  # 2^64 divided by the golden ratio: two numbers become one that is rarely another's


class Counted(NamedTuple):
    """What has been counted: all rows up to a time. Packets are misordered by RING_OVERLAP at most."""

    until: int = NAT
    recent: Array = np.zeros(0, dtype=np.int64)  # the rows of the last RING_OVERLAP

    def news(self, times: Array, others: Array) -> tuple[Mask, Counted]:
        """Which rows are new, and what has been counted with them; `others` sets rows of one time apart."""
        known = times != NAT
        if not known.any():
            return known, self
        marks = times + others.astype(np.int64) * np.int64(SPREAD)
        new = known & (times > self.until)
        if self.until != NAT:
            new |= known & (times > self.until - RING_OVERLAP) & ~isin(marks, self.recent)
        until = max(self.until, int(times.max()))
        return new, Counted(until, marks[known & (times > until - RING_OVERLAP)])
