"""Who holds and who waits, moment by moment."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from nfsrpc.sessions.holders import holders
from tests.scenario import LockRequest, Scenario
from tests.sessions.conftest import Read

START = 1_700_000_000
Seen = list[tuple[str, str, tuple[str, ...]]]


@pytest.fixture
def s() -> Scenario:
    return Scenario(START)


@pytest.fixture
def at(s: Scenario, tables: Read) -> Callable[[float], Seen]:
    """Owner, state and what is in its way, of everybody at so many seconds after the start."""

    def seen(seconds: float) -> Seen:
        return [(row.owner, row.state, row.behind) for row in moment(s, tables, seconds)]

    return seen


def moment(s: Scenario, tables: Read, seconds: float) -> list[Any]:
    return list(holders(tables(s.capture())["locks"], int((START + seconds) * 1e9)).rows())


def test_from_request_to_release(s: Scenario, at: Callable[[float], Seen]) -> None:
    server, one, two = s.host("10.0.0.9"), s.host("10.0.0.1", name="a"), s.host("10.0.0.2", name="b")
    s.wait(1)
    first = one.lock(server).granted(after=0.5)
    s.wait(2.5)
    second = two.lock(server, svid=2).blocked()
    s.wait(6)
    first.unlock().granted(after=0.5)
    s.wait(1)
    second.granted()
    s.wait(5)
    second.unlock().granted()
    assert at(0.9) == []
    assert at(1.3) == [("1@a", "waits", ())]
    assert at(1.9) == [("1@a", "holds", ())]
    assert at(5) == [("1@a", "holds", ()), ("2@b", "waits", ("1@a (10.0.0.1)",))]
    assert at(11.2) == [("2@b", "waits", ())]
    assert at(12.5) == [("2@b", "holds", ())]
    assert at(30) == []


def test_since_when(s: Scenario, tables: Read) -> None:
    server, one = s.host("10.0.0.9"), s.host("10.0.0.1", name="a")
    s.wait(1)
    one.lock(server, offset=3, length=4).granted(after=0.5)
    (waits,), (holds,) = moment(s, tables, 1.25), moment(s, tables, 9.5)
    assert (holds.session, holds.client, holds.l_offset, holds.l_len, holds.exclusive) == (0, "10.0.0.1", 3, 4, True)
    assert waits.age_s == pytest.approx(0.25, abs=0.01)
    assert holds.since - waits.since == 500_000_000
    assert holds.age_s == pytest.approx(8, abs=0.01)


def test_held_since_before_the_capture(s: Scenario, tables: Read) -> None:
    server, one = s.host("10.0.0.9"), s.host("10.0.0.1", name="a")
    taken = one.lock(server).granted()
    s.wait(5)
    taken.unlock().granted(after=1)
    locks = tables(s.capture(since=3))["locks"]
    (row,) = holders(locks, START * 10**9).rows()
    assert (row.owner, row.state, row.since, row.age_s) == ("1@a", "holds", None, None)
    assert len(holders(locks, (START + 7) * 10**9)) == 0


def test_locked_again_without_a_release(s: Scenario, at: Callable[[float], Seen]) -> None:
    server, one = s.host("10.0.0.9"), s.host("10.0.0.1", name="a")
    one.lock(server).granted()
    s.wait(5)
    one.lock(server).granted()
    assert at(3) == at(9) == [("1@a", "holds", ())]


def test_denied_and_cancelled_wait_no_longer(s: Scenario, at: Callable[[float], Seen]) -> None:
    server, one, two = s.host("10.0.0.9"), s.host("10.0.0.1", name="a"), s.host("10.0.0.2", name="b")
    one.lock(server).granted()
    s.wait(1)
    two.lock(server, svid=2).denied(after=1)
    waiting = two.lock(server, svid=3).blocked()
    s.wait(5)
    waiting.cancel().granted()
    held = ("1@a", "holds", ())
    assert at(1.5) == [held, ("2@b", "waits", ("1@a (10.0.0.1)",))]
    assert at(4) == [held, ("3@b", "waits", ("1@a (10.0.0.1)",))]
    assert at(9) == [held]


def test_only_what_conflicts_is_in_the_way(s: Scenario, at: Callable[[float], Seen]) -> None:
    server, one, two = s.host("10.0.0.9"), s.host("10.0.0.1", name="a"), s.host("10.0.0.2", name="b")
    one.lock(server, "/srv/a", svid=1, exclusive=False).granted()
    one.lock(server, "/srv/a", svid=2, offset=100, length=10).granted()
    one.lock(server, "/srv/b", svid=3).granted()
    two.lock(server, "/srv/a", svid=4, offset=0, length=50).blocked()
    two.lock(server, "/srv/a", svid=5, exclusive=False).blocked()
    two.lock(server, "/srv/b", svid=6).blocked()
    s.wait(9)
    behind = {owner: others for owner, state, others in at(5) if state == "waits"}
    assert behind == {"4@b": ("1@a (10.0.0.1)",), "5@b": ("2@a (10.0.0.1)",), "6@b": ("3@a (10.0.0.1)",)}


def test_by_file_the_holders_first(s: Scenario, at: Callable[[float], Seen]) -> None:
    server, one, two = s.host("10.0.0.9"), s.host("10.0.0.1", name="a"), s.host("10.0.0.2", name="b")
    one.lock(server, "/srv/a", svid=1).granted()
    two.lock(server, "/srv/b", svid=2).granted()
    one.lock(server, "/srv/b", svid=3).blocked()
    two.lock(server, "/srv/a", svid=4).blocked()
    assert [(owner, state) for owner, state, _ in at(5)] == [
        ("1@a", "holds"),
        ("4@b", "waits"),
        ("2@b", "holds"),
        ("3@a", "waits"),
    ]


def unlocked(lock: LockRequest, offset: int, length: int) -> LockRequest:
    """Its owner gives up a part of it."""
    return lock.about("UNLOCK", alock=lock.args["alock"] | {"l_offset": offset, "l_len": length}).granted()


def ranges(s: Scenario, tables: Read, seconds: float) -> list[tuple[int, int]]:
    return sorted((row.l_offset, row.l_len) for row in moment(s, tables, seconds) if row.state == "holds")


def test_what_is_left_when_a_part_is_unlocked(s: Scenario, tables: Read) -> None:
    server, one, two = s.host("10.0.0.9"), s.host("10.0.0.1", name="a"), s.host("10.0.0.2", name="b")
    whole = one.lock(server).granted()
    s.wait(5)
    unlocked(whole, 100, 50)
    s.wait(1)
    two.lock(server, svid=2, offset=100, length=50).granted()
    two.lock(server, svid=3, offset=90, length=20).blocked()
    s.wait(4)
    whole.unlock().granted()
    s.wait(5)
    two.getattr(server, "/srv")
    assert ranges(s, tables, 3) == [(0, 0)]
    assert ranges(s, tables, 5.5) == [(0, 100), (150, 0)]
    assert ranges(s, tables, 8) == [(0, 100), (100, 50), (150, 0)]
    assert ranges(s, tables, 12) == [(100, 50)]
    (waiter,) = [row for row in moment(s, tables, 8) if row.state == "waits"]
    assert sorted(waiter.behind) == ["1@a (10.0.0.1)", "2@b (10.0.0.2)"]
    first, *_ = moment(s, tables, 8)
    assert first.age_s == pytest.approx(8, abs=0.1)  # as old as the grant
    assert first.exclusive


def test_a_part_that_is_locked_otherwise(s: Scenario, tables: Read) -> None:
    server, one = s.host("10.0.0.9"), s.host("10.0.0.1", name="a")
    one.lock(server, length=100).granted()
    s.wait(5)
    one.lock(server, offset=20, length=10, exclusive=False).granted()
    s.wait(5)
    modes = {(row.l_offset, row.l_len): row.exclusive for row in moment(s, tables, 8)}
    assert modes == {(0, 20): True, (20, 10): False, (30, 70): True}


def test_a_part_that_is_refused_or_unanswered_takes_nothing(s: Scenario, tables: Read) -> None:
    server, one = s.host("10.0.0.9"), s.host("10.0.0.1", name="a")
    lock = one.lock(server).granted()
    s.wait(1)
    part = lock.args["alock"] | {"l_offset": 0, "l_len": 10}
    lock.about("UNLOCK", alock=part).denied("DENIED_NOLOCKS")
    one.lock(server, offset=5, length=5, exclusive=False).denied("DENIED_NOLOCKS")
    s.wait(1)
    lock.about("UNLOCK", alock=part).unanswered()
    s.wait(20)
    assert ranges(s, tables, 15) == [(0, 0)]


def test_many_ranges_of_one_owner(s: Scenario, tables: Read) -> None:
    server, one = s.host("10.0.0.9"), s.host("10.0.0.1", name="a")
    for number in range(300):
        one.lock(server, offset=number * 10, length=10).granted()
    lock = one.lock(server, offset=5000, length=10).granted()
    s.wait(1)
    unlocked(lock, 5, 2990)
    assert ranges(s, tables, 20) == [(0, 5), (2995, 5), (5000, 10)]
