"""Latencies of all exchanges by procedure: of those that are final, and of those that may still change.

The decoder keeps an answered exchange for some minutes, since its call may come again, and may then count it instead of
listing it, with a latency to 2 %. So what is final is added up (`add`), and what is not yet is counted anew at each
look (`of_snapshot`), both with latencies of the same classes: then the sum never decreases.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np

from nfsrpc.columns import NAT, Array
from nfsrpc.metrics.histogram import Histograms
from nfsrpc.metrics.labels import procedure
from nfsrpc.sessions.exchanges import COUNTED, NO_NUMBER
from nfsrpc.sessions.grouping import group

PROCEDURE = ("prog", "vers", "proc")
CLASSES = 64  # per octave and half of it, as the core has them: five bits behind the first


def add(final: Histograms, batch: Mapping[str, Any]) -> None:
    """Adds the rows of a batch, which are final."""
    add_listed(final, batch["exchanges"])
    counted = batch["latencies"]
    if len(counted["latency"]):
        add_rows(final, counted, counted["latency"].astype(np.int64), counted["exchanges"].astype(np.int64))


def of_snapshot(exchanges: Mapping[str, Array]) -> Histograms:
    """The latencies of exchanges that are not final."""
    result = Histograms()
    add_listed(result, exchanges)
    return result


def add_listed(histograms: Histograms, exchanges: Mapping[str, Array]) -> None:
    times = exchanges["time"], exchanges["reply_time"]
    known = (exchanges["reply_frame"] > 0) & (times[0] != NAT) & (times[1] != NAT)
    known &= (exchanges["prog"] != NO_NUMBER) & (exchanges["flags"] & COUNTED == 0)
    if known.any():
        rows = {name: exchanges[name][known] for name in PROCEDURE}
        add_rows(histograms, rows, np.maximum(times[1][known] - times[0][known], 0))


def add_rows(histograms: Histograms, rows: Mapping[str, Array], latency: Array, times: Array | None = None) -> None:
    groups, first = group(*(rows[name] for name in PROCEDURE))
    numbers = zip(*(rows[name][first].tolist() for name in PROCEDURE), strict=True)
    histograms.add([procedure(*each) for each in numbers], groups, classed(latency), times)


def classed(latency: Array) -> Array:
    """The least latency of the class of each.

    >>> classed(np.array([0, 1, 100, 10_000_000])).tolist()
    [0, 1, 100, 9961472]
    """
    fraction, exponent = np.frexp(latency.astype(np.float64))
    least = np.ldexp(np.floor(fraction * CLASSES) / CLASSES, exponent)
    result: Array = least.astype(np.int64)
    return result
