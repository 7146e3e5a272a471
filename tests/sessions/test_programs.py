"""Latencies by procedure."""

import pytest

from nfsrpc.sessions import programs

GETATTR = (100003, 3, 1)


@pytest.mark.parametrize(
    ("latencies", "greatest", "shown"),
    [
        ([10**6, 2 * 10**6, 4 * 10**6], 3 * 10**6, (0.001, 0.002, 0.003, 0.003)),  # a class of 2 % is wider than that
        ([10**6, 2 * 10**6, 4 * 10**6], None, (0.001, 0.002, 0.004, None)),  # it has left the window of `live`
        ([None, None, None], None, (None, None, None, None)),
    ],
)
def test_no_answer_is_slower_than_the_slowest(
    latencies: list[int | None], greatest: int | None, shown: tuple[float | None, ...]
) -> None:
    row = programs._row((GETATTR, (1, 1, 0, 0, 0, 0, 0), latencies, greatest))
    assert row[4] == "GETATTR"
    assert row[-4:] == shown
