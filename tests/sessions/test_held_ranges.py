"""Which range of a file was held at a moment: compared with looking at each."""

from __future__ import annotations

import random

import numpy as np
import pytest

from nfsrpc.sessions.held_ranges import MAX_HELD, Ranges, held_then

SLOT = 10


def ranges(rows: list[tuple[int, int, int]]) -> Ranges:
    file, first, last = (np.array(column) for column in zip(*rows, strict=True))
    return Ranges(file, first.astype(np.uint64), last.astype(np.uint64))


@pytest.mark.parametrize("seed", range(5))
def test_it_finds_what_looking_at_each_finds(seed: int) -> None:
    rng = random.Random(seed)
    held, since, until = [], [], []
    for slot in range(40):  # the locks of one slot follow one another, and slots do not meet
        at = 0
        for _ in range(4):
            since.append(at + rng.randrange(3))
            until.append(since[-1] + rng.randrange(1, 5))
            first = slot // 2 * SLOT + rng.randrange(5)
            held.append((slot % 2, first, first + rng.randrange(5)))
            at = until[-1]
    asked = [(rng.randrange(3), first, first + rng.randrange(4)) for first in rng.sample(range(200), 100)]
    moments = [rng.randrange(25) for _ in asked]
    found = held_then(ranges(held), np.array(since), np.array(until), ranges(asked), np.array(moments)).tolist()
    for row, (file, first, last), at in zip(found, asked, moments, strict=True):
        meets = [
            number
            for number, (of, start, end) in enumerate(held)
            if of == file and start <= last and end >= first and since[number] <= at < until[number]
        ]
        assert row in meets or (row == -1 and not meets)


def test_a_range_is_held_from_its_grant_to_its_release() -> None:
    asked = ranges([(0, 5, 5)] * 4)
    found = held_then(ranges([(0, 0, 9)]), np.array([10]), np.array([20]), asked, np.array([9, 10, 19, 20]))
    assert found.tolist() == [-1, 0, 0, -1]


def test_a_range_that_was_never_held() -> None:
    asked = ranges([(0, 5, 5)])
    assert held_then(ranges([(0, 0, 9)]), np.array([10]), np.array([10]), asked, np.array([11])).tolist() == [-1]


@pytest.mark.parametrize(("number", "is_found"), [(MAX_HELD - 1, True), (MAX_HELD, False)])
def test_so_many_ranges_are_held_at_once(number: int, is_found: bool) -> None:
    assert MAX_HELD == 1024
    held = ranges([(0, row, row) for row in range(number + 1)])
    since = np.arange(number + 1)
    found = held_then(held, since, since + 10_000, ranges([(0, number, number)]), np.array([5_000]))
    assert found.tolist() == [number if is_found else -1]
