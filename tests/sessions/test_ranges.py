"""Where the ranges of locks end."""

from __future__ import annotations

import numpy as np
import pytest

from nfsrpc.sessions.ranges import TO_THE_END, is_to_the_end, last_bytes

END = int(TO_THE_END)
MOST = 2**63 - 1  # Linux has no byte beyond
RANGES = [
    *((10, 5, 14), (7, 1, 7), (0, MOST, MOST - 1), (MOST - 1, 1, MOST - 1)),
    *((0, 0, END), (10, 0, END), (0, MOST + 1, END), (MOST, 1, END), (10, END, END), (END, 1, END)),
]


@pytest.mark.parametrize(("start", "length", "last"), RANGES)
def test_the_last_byte_of_a_range(start: int, length: int, last: int) -> None:
    starts, lengths = (np.array([value], dtype=np.uint64) for value in (start, length))
    assert last_bytes(starts, lengths).tolist() == [last]
    assert is_to_the_end(start, length) == (last == END)


def test_columns_may_be_one_value_in_the_memory_of_one_row_or_every_other_row() -> None:
    starts = np.broadcast_to(np.array([10], dtype=np.uint64), (3,))
    lengths = np.array([5, 9, 0, 9, 1], dtype=np.uint64)[::2]
    assert last_bytes(starts, lengths).tolist() == [14, END, 10]
