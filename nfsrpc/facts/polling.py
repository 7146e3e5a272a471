"""Clients that request one range repeatedly and are denied each time.

F_SETLK and LOCK_NB do not wait: an application that needs the lock asks again. On Linux each try has a new svid and a
new oh, so a poller is one client and one range of one file. A series of tries ends where the client was granted the
range, or where it paused for long.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import NamedTuple

import numpy as np

from nfsrpc.columns import NAT, NULLS, Array, distinct, isin
from nfsrpc.facts.basic import fact, lacks
from nfsrpc.facts.coverage import Coverage
from nfsrpc.facts.waiters import rows_of
from nfsrpc.protocols.numbers import Nlm4Stats
from nfsrpc.sessions.grouping import group, long_runs
from nfsrpc.sessions.nlm import POLL_NS
from nfsrpc.tables import Locks
from nfsrpc.wording import SECOND

SAME = ("server", "client", "fh")
TRIES = 5  # fewer in a minute are no series: an application that tries a few times and gives up


class Series(NamedTuple):
    """A series of requests for one range that were all denied, and the locks that held it meanwhile."""

    number: int  # of the row of the first try in locks
    first: Locks.Row
    last: Locks.Row
    tries: int
    holders: tuple[Locks.Row, ...]  # rows of locks: those that the capture shows

    @property
    def lasted_s(self) -> float:
        return ((self.last.denied or 0) - (self.first.requested or 0)) / SECOND


@fact
def polled(locks: Locks, gaps: frozenset[frozenset[str]], coverage: Coverage) -> tuple[Series, ...]:
    """One series per client and range that was requested repeatedly and denied each time."""
    held_by = coverage.held_by(locks)
    return tuple(series(locks, run, held_by[run], gaps) for run in runs(locks))


def series(locks: Locks, run: Array, held_by: Array, gaps: frozenset[frozenset[str]]) -> Series:
    """A run of sessions as a series, with its holders except those near gaps of the capture."""
    first, last = rows_of(locks, run[[0, -1]]).values()
    holders = rows_of(locks, distinct(held_by[held_by != NULLS["u32?"]])).values()
    seen = (holder for holder in holders if not lacks(gaps, holder))
    return Series(int(run[0]), first, last, locks.counted(len(run)), tuple(seen))


def runs(locks: Locks) -> Iterator[Array]:
    """The rows of the sessions of each series, by time."""
    denied = (locks["status"] == Nlm4Stats.DENIED) & locks.valid("requested")
    if int(denied.sum()) < TRIES:
        return
    numbers = np.flatnonzero(denied | (locks["granted"] != NAT))
    ranges, _ = group(
        *(locks.column(name).codes[numbers] + 1 for name in SAME), locks["l_offset"][numbers], locks["l_len"][numbers]
    )
    mine = isin(ranges, ranges[denied[numbers]])
    numbers, ranges = numbers[mine], ranges[mine]
    denials = denied[numbers]
    times = np.where(denials, locks["requested"][numbers], locks["granted"][numbers])
    order = np.lexsort((times, ranges))
    numbers, ranges, denials, times = numbers[order], ranges[order], denials[order], times[order]
    near = times[1:] - times[:-1] <= POLL_NS
    goes_on = (ranges[1:] == ranges[:-1]) & denials[1:] & denials[:-1] & near
    for first, last in long_runs(goes_on, TRIES):
        yield numbers[first:last]
