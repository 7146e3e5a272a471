"""Rows of overlapping windows, each counted once, whatever small disorder there is."""

from __future__ import annotations

import numpy as np

from nfsrpc.columns import NAT, Array
from nfsrpc.metrics.counted_once import Counted
from nfsrpc.wording import SECOND


def rows(*seconds: float) -> Array:
    return np.array([round(second * SECOND) for second in seconds], dtype=np.int64)


def news(times: Array, counted: Counted, others: Array | None = None) -> tuple[list[bool], Counted]:
    new, after = counted.news(times, np.zeros(len(times), dtype=np.int64) if others is None else others)
    return new.tolist(), after


def test_each_row_is_new_once() -> None:
    new, counted = news(rows(1, 2, 3), Counted())
    assert new == [True, True, True]
    assert news(rows(2, 3, 4), counted)[0] == [False, False, True]


def test_a_row_that_is_earlier_by_less_than_a_second() -> None:
    _, counted = news(rows(1, 5), Counted())
    assert news(rows(1, 4.001, 5, 6), counted)[0] == [False, True, False, True]
    assert news(rows(1, 3.999, 5, 6), counted)[0] == [False, False, False, True]


def test_rows_of_one_time_are_told_apart() -> None:
    _, counted = news(rows(5), Counted(), np.array([7]))
    assert news(rows(5, 5), counted, np.array([7, 8]))[0] == [False, True]


def test_rows_without_time_do_not_count() -> None:
    new, counted = news(np.array([NAT, NAT], dtype=np.int64), Counted())
    assert (new, counted.until) == ([False, False], NAT)
