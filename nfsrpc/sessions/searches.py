"""Searches: questions to a portmapper that a kernel repeats at an even pace until it has an answer.

A node that is client and server at once has two searches for its statd at a time, one in between the other; the pace
of each is what its own questions have, and not the mean of both.
"""

from __future__ import annotations

import numpy as np

from nfsrpc.columns import Array
from nfsrpc.wording import SECOND

PACE_S = 3.07  # Linux asks for a service that is not registered
# A loaded host is late, but no timer ends early. Within these another search cannot be distinguished from this one.
EARLY_S, LATE_S = 0.2, 0.8
QUESTIONS = 3  # fewer at that pace are no search
OPEN = 8  # searches of one host at a time: that of its client, and those of a server's threads


def searches(times: Array) -> Array:
    """For each question, whose times come in order, the number of its search; 0 for all where no two overlap.

    >>> searches(np.array([0, 1000, 3070, 4070, 6140, 7140]) * 1_000_000).tolist()
    [0, 1, 0, 1, 0, 1]
    >>> searches(np.array([0, 3070, 6140, 20_000, 23_070]) * 1_000_000).tolist()
    [0, 0, 0, 0, 0]
    """
    pace, early, late = (round(span * SECOND) for span in (PACE_S, EARLY_S, LATE_S))
    running: dict[int, int] = {}  # the last question of each
    found = np.zeros(len(times), dtype=np.int64)
    count = 0
    for row, time in enumerate(times.tolist()):
        running = {number: last for number, last in running.items() if time - last <= pace + late}
        due = {number: abs(time - last - pace) for number, last in running.items() if time - last >= pace - early}
        number = min(due, key=due.__getitem__, default=count)
        if number not in due:
            number, count = count, count + 1
        running[number] = time
        if len(running) > OPEN:
            del running[next(iter(running))]
        found[row] = number
    return of_several(found) if overlap(times, found) else np.zeros(len(times), dtype=np.int64)


def lasting(found: Array) -> Array:
    """The numbers of those that have enough questions."""
    return np.flatnonzero(np.bincount(found) >= QUESTIONS) if len(found) else found


def overlap(times: Array, found: Array) -> bool:
    """Whether a search began before another one ended."""
    numbers = lasting(found)
    if len(numbers) < 2:
        return False
    begins, ends = np.full(len(numbers), times[-1]), np.full(len(numbers), times[0])
    known = np.isin(found, numbers)
    at = np.searchsorted(numbers, found[known])
    np.minimum.at(begins, at, times[known])
    np.maximum.at(ends, at, times[known])
    return bool((begins[1:] < np.maximum.accumulate(ends)[:-1]).any())


def of_several(found: Array) -> Array:
    """The number of the search that each question is of; one that is of none belongs to the one before it."""
    numbers = lasting(found)
    known = np.isin(found, numbers)
    at = np.maximum.accumulate(np.where(known, np.arange(len(found)), 0))
    at[: np.flatnonzero(known)[0]] = np.flatnonzero(known)[0]
    result: Array = np.searchsorted(numbers, found[at])
    return result
