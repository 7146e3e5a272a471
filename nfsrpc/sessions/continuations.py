"""Calls that go on in a capture by the same clock that was begun later: one exchange each, of which none shows all.

A client retransmits what it waits for. Where a capture shows a call without a reply, and another one that was begun
after that call shows its retransmission, the reply is in the later capture, or there is none. If the client has not
retransmitted by then, the later capture shows the reply alone. The exchange lasts from the first call to that reply.
Without a reply it is what any of the captures by itself shows.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np

from nfsrpc.columns import Array, Mask
from nfsrpc.sessions.grouping import group
from nfsrpc.wording import SECOND

# NFS over TCP retransmits after 60 s, and all others sooner: until then a reply may come without a retransmission.
LONGEST_TIMER = 60 * SECOND


class Continuations(NamedTuple):
    """Sightings of calls that captures show one after the other: rows, sorted by call and time."""

    rows: Array
    call: Array  # for each of them the number of its call
    again: Mask  # which of them are retransmissions that no earlier capture shows
    counts: Array  # by call the row that counts: the last one where it has call and reply, else the first one
    first: Array  # by call the row that shows the call first
    reply: Array  # by call the row that shows the reply; without one, the row that counts


class Sighted(NamedTuple):
    """What rows show; all times are by the same clock where `keys` are equal."""

    keys: Sequence[Array]  # what a reply has in common with its call
    rows: Array
    kind: Array  # of the call: program, version and procedure
    time: Array
    begun: Array  # when the capture was begun
    ended: Array
    called: Mask  # it shows the call
    answered: Mask  # it shows the reply


def continuations(sighted: Sighted) -> Continuations | None:
    """The calls of these rows that go on in a later capture; None where there are none."""
    same, _ = group(*sighted.keys)
    order = np.lexsort((sighted.time, same))
    same = same[order]
    rows, kind, time, begun, ended, called, answered = (column[order] for column in sighted[1:])
    retransmitted = called[1:] & (kind[1:] == kind[:-1])
    answered_alone = ~called[1:] & (time[1:] - ended[:-1] <= LONGEST_TIMER)
    goes_on = (same[1:] == same[:-1]) & ~answered[:-1] & (begun[1:] > time[:-1]) & (retransmitted | answered_alone)
    if not goes_on.any():
        return None
    begins, ends = np.r_[True, ~goes_on], np.r_[~goes_on, True]
    several = ~(begins & ends)
    again = np.r_[False, goes_on & called[1:] & (time[1:] > ended[:-1])]
    first, last, is_answered, is_whole = (
        column[mask & several]
        for column, mask in ((rows, begins), (rows, ends), (answered, ends), (called & answered, ends))
    )
    counts = np.where(is_whole, last, first)
    return Continuations(
        rows=rows[several],
        call=np.cumsum(begins[several]) - 1,
        again=again[several],
        counts=counts,
        first=first,
        reply=np.where(is_answered, last, counts),
    )
