"""Circles of lock waits: which are deadlocks, and that a knot of many costs no more than its waits."""

from __future__ import annotations

from collections.abc import Iterable

import pytest

from nfsrpc.rules.locks import circles as module
from nfsrpc.rules.locks.circles import Circle, Wait, circles

STUCK = 5


def waits(*pairs: str, start: int = 0, end: int = 100) -> list[Wait]:
    """`ab`: a waits for b."""
    return [Wait(ord(waiter), ord(holder), start, end, False) for waiter, holder in pairs]


def found(graph: Iterable[Wait]) -> list[Circle]:
    return circles(list(graph), STUCK)[0]


def owners(circle: Circle) -> str:
    return "".join(sorted(chr(wait.waiter) for wait in circle.waits))


def test_two_circles_that_have_nothing_in_common() -> None:
    assert sorted(map(owners, found(waits("ab", "ba", "cd", "dc", "ac")))) == ["ab", "cd"]


def test_of_a_circle_with_chords_a_short_one_is_found() -> None:
    (circle,) = found(waits("ab", "bc", "ca", "ba"))
    assert owners(circle) == "ab"
    assert circle.knot == frozenset(map(ord, "abc"))


def test_each_wait_is_for_the_waiter_of_the_next() -> None:
    (circle,) = found(waits("ab", "bc", "cd", "da"))
    assert [wait.holder for wait in circle.waits] == [wait.waiter for wait in (*circle.waits[1:], circle.waits[0])]
    assert owners(circle) == "abcd"


def test_a_circle_that_never_was_there_at_one_time() -> None:
    assert found([*waits("ab", end=10), *waits("ba", start=11)]) == []


@pytest.mark.parametrize(("together", "deadlock"), [(STUCK, True), (STUCK - 1, False)])
def test_nobody_is_stuck_in_a_moment(together: int, deadlock: bool) -> None:
    assert bool(found([*waits("ab", end=10), *waits("ba", start=10 - together)])) == deadlock


@pytest.mark.parametrize(("asked", "deadlock"), [(10, True), (11, False)])
def test_a_moment_is_enough_where_the_server_says_so(asked: int, deadlock: bool) -> None:
    refused = Wait(ord("b"), ord("a"), asked, asked + 1, True)
    assert bool(found([*waits("ab", end=10), refused])) == deadlock


def test_the_other_wait_may_begin_before_the_answer() -> None:
    assert found([*waits("ab", start=4), Wait(ord("b"), ord("a"), 3, 5, True)])


def test_circles_of_different_times_among_the_same_owners() -> None:
    """Each component of the graph of all times is looked at as it was."""
    early, late = waits("ab", "ba", end=10), waits("bc", "cb", start=20)
    assert sorted(map(owners, found([*early, *late, *waits("ca", "ac", start=12, end=15)]))) == ["ab", "bc"]
    assert sorted(map(owners, found([*early, *waits("cd", "dc", start=20), *waits("bc", end=1), *waits("cb")]))) == [
        "ab",
        "cd",
    ]


def test_who_waits_for_itself_is_in_no_circle() -> None:
    assert found(waits("aa", "ab")) == []


def test_a_ring_of_very_many() -> None:
    many = 20_000
    (circle,) = found(Wait(owner, (owner + 1) % many, 0, 100, False) for owner in range(many))
    assert len(circle.waits) == len(circle.knot) == many


def test_of_everybody_who_waits_for_everybody_one_circle_is_found() -> None:
    (circle,) = found(Wait(one, other, 0, 100, False) for one in range(60) for other in range(60) if one != other)
    assert len(circle.waits) == 2
    assert len(circle.knot) == 60


@pytest.mark.parametrize(("few", "more"), [(12, False), (11, True)])
def test_where_too_many_steps_would_be_needed_it_is_said_that_there_may_be_more(
    monkeypatch: pytest.MonkeyPatch, few: int, more: bool
) -> None:
    """A ring of four: its circle is found by a search of three steps, and its knot by two of four."""
    monkeypatch.setattr(module, "STEPS", 0)
    monkeypatch.setattr(module, "FEW", few)
    assert circles(waits("ab", "bc", "cd", "da"), STUCK)[1] == more
