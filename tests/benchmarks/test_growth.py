"""No capture is slow: what its analysis costs grows as the capture does, whatever it is made of.

Small captures are measured first. What looks as if it grew a little too fast there is measured again with larger ones,
where what is quadratic stands out and what a busy machine has added does not.
"""

from __future__ import annotations

from functools import partial

import pytest

from benchmarks.attacks import ATTACKS
from benchmarks.growth import CAPTURES, SIZES, Cost, N, analyse, cost, imported
from benchmarks.hostile_bytes import BYTES

pytestmark = pytest.mark.acceptance

# Of the order of n log n, four times as much costs at most 4 (1 + log 4 / log n) times as much: 4.9 for n = 333.
GROWTH = 5.0
SUSPICIOUS = 4.4
SMALLER = 12  # than the benchmark's, so that all of them together take 40 s of a processor
LARGER = 4
LIMIT_S = 20
# What may be more beyond that: pages that the process had not touched before, work of the allocator.
SLACK = Cost(0.02, 16 << 20)


@pytest.fixture(scope="module")
def nothing() -> Cost:
    """What the smallest capture costs."""
    imported()
    work = partial(analyse, CAPTURES["flows"](1))
    return min(cost(work) for _ in range(3))


def faster(growth: float, name: str, n: int, nothing: Cost) -> str:
    """What grows faster than that from n to 4 n, beside what every capture costs."""
    less, more = (cost(partial(analyse, CAPTURES[name](size)), LIMIT_S) for size in (n, 4 * n))
    for what, small, large, base, slack in zip(("seconds", "bytes"), less, more, nothing, SLACK, strict=True):
        if large - base > growth * max(small - base, 0) + slack:
            return f"{small} {what} for {n}, {large} for {4 * n}, {base} for nothing"
    return ""


@pytest.mark.parametrize("name", CAPTURES)
def test_four_times_as_much_costs_at_most_five_times_as_much(name: str, nothing: Cost) -> None:
    n = SIZES.get(name, N) // SMALLER
    if faster(SUSPICIOUS, name, n, nothing):
        assert not faster(GROWTH, name, LARGER * n, nothing)


def squares(n: int) -> None:
    found = [one for one in range(n) for _ in range(n)]
    assert len(found) == n**2


def test_what_is_quadratic_is_found(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("tests.benchmarks.test_growth.analyse", squares)
    monkeypatch.setitem(CAPTURES, "squares", lambda n: n)
    assert "seconds for 800" in faster(GROWTH, "squares", 800, Cost(0.0, 0))
    assert "bytes for 4000" in faster(GROWTH, "squares", 4000, Cost(100.0, 0))


def test_every_kind_is_measured() -> None:
    assert len(CAPTURES) == len(ATTACKS) + len(BYTES)
