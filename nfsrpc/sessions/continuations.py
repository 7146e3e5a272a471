"""Calls that go on in a capture by the same clock that was begun later: one exchange each, of which none shows all.

A client retransmits what it waits for. Where a capture shows a call without a reply, and another one that was begun
after that call shows its retransmission, the reply is in the later capture, or there is none: the exchange lasts from
the first call to that reply. Without a reply it is what any of the captures by itself shows.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np

from nfsrpc.columns import Array, Mask
from nfsrpc.sessions.grouping import group


class Continuations(NamedTuple):
    """Sightings of calls that captures show one after the other: rows, sorted by call and time."""

    rows: Array
    call: Array  # for each of them the number of its call
    again: Mask  # which of them are retransmissions that no earlier capture shows
    first: Array  # by call the row that shows it first
    last: Array  # by call the row that shows it last, with its reply if there is one
    counts: Array  # by call the row that counts: the last one where it has the reply, else the first one


def continuations(
    rows: Array, keys: Sequence[Array], time: Array, begun: Array, ended: Array, called: Mask, answered: Mask
) -> Continuations | None:
    """The calls of these rows that go on in a later capture; None where there are none.

    `keys` are equal for sightings of one call; `begun` and `ended` is when the capture of a row was, by the same clock
    as `time`.
    """
    same, _ = group(*keys)
    order = np.lexsort((time, same))
    rows, same, time, begun, ended = (column[order] for column in (rows, same, time, begun, ended))
    called, answered = called[order], answered[order]
    goes_on = (same[1:] == same[:-1]) & ~answered[:-1] & called[:-1] & called[1:] & (begun[1:] > time[:-1])
    if not goes_on.any():
        return None
    again = np.r_[False, goes_on & (time[1:] > ended[:-1])]
    begins, ends = np.r_[True, ~goes_on], np.r_[~goes_on, True]
    several = ~(begins & ends)
    first, last = rows[begins & several], rows[ends & several]
    return Continuations(
        rows=rows[several],
        call=np.cumsum(begins[several]) - 1,
        again=again[several],
        first=first,
        last=last,
        counts=np.where(answered[ends & several], last, first),
    )
