"""LCK011: Locks wait for others who hold them."""

from __future__ import annotations

import pytest

from nfsrpc.facts.waiters import POLL_S
from tests.rules.locks.scenes import a_part_is_released, waits_behind
from tests.rules.stage import (
    CLIENT,
    OTHER,
    PATH,
    Stage,
    asked,
    cannot_tell,
    diagnosed,
    findings,
    fires,
    quiet,
    threshold,
)


@fires("LCK011", host=CLIENT, severity="warning")
def test_who_waits_for_a_part_that_is_still_held(stage: Stage) -> bytes:
    return a_part_is_released(stage, 50, 100)


@fires("LCK011", host=CLIENT, severity="info", clients=(OTHER,))
def test_a_wait_behind_a_living_holder(stage: Stage) -> bytes:
    waits_behind(stage, released=False)
    stage.later(20)
    return stage.wire()


@fires("LCK011", host=None, severity="warning")
def test_a_long_wait_behind_somebody_unknown(stage: Stage) -> bytes:
    waits_behind(stage, released=False)
    stage.later(70, stage.other)
    return stage.wire(stage.other)


def unlock_is_lost(stage: Stage, lost: int) -> bytes:
    """The other has the lock after the holder, whose UNLOCK is among so many frames that the capture lacks."""
    first = stage.client.lock(stage.server).granted()
    stage.other.lock(stage.server).blocked()
    stage.wait(10)
    number = stage.frames()
    first.unlock().granted()
    stage.client.lock(stage.server, "/srv/second").granted()
    stage.wait(20)
    stage.other.lock(stage.server).granted()
    return stage.wire(lost=range(number + 1, number + 1 + lost))


@fires("LCK011", host=CLIENT)
def test_a_wait_behind_somebody_whose_unlock_is_seen(stage: Stage) -> bytes:
    return unlock_is_lost(stage, 0)


@fires("LCK011", host=None)
def test_a_wait_behind_somebody_whose_unlock_may_be_lost(stage: Stage) -> bytes:
    return unlock_is_lost(stage, 1)


@quiet("LCK011")
def test_a_short_wait(stage: Stage) -> bytes:
    first = stage.client.lock(stage.server).granted()
    waiter = stage.other.lock(stage.server)
    waiter.blocked()
    first.unlock().granted()
    waiter.granted()
    return stage.wire()


@cannot_tell("LCK011")
def test_nobody_asked_for_a_lock(stage: Stage) -> bytes:
    stage.nfs()
    return stage.wire()


def waits(stage: Stage, seconds: float) -> None:
    """A live holder unlocks after so long, and the other is granted the lock."""
    holder = stage.client.lock(stage.server)
    holder.granted()
    waiter = stage.other.lock(stage.server)
    waiter.blocked()
    stage.later(seconds)
    holder.unlock().granted()
    waiter.granted()


@threshold("LCK011", "wait_s", fires=5.5, quiet=4.5)
def test_shorter_waits_are_not_reported(stage: Stage, seconds: float) -> bytes:
    waits(stage, seconds)
    return stage.wire()


@threshold("LCK011", "long_s", fires=61, quiet=59, severity="warning")
def test_a_wait_of_a_minute_is_a_warning(stage: Stage, seconds: float) -> bytes:
    waits(stage, seconds)
    return stage.wire()


@threshold("LCK011", "silence_s", fires=74, quiet=76)
def test_a_holder_whose_host_is_silent_is_no_contention(stage: Stage, seconds: float) -> bytes:
    stage.client.lock(stage.server).granted()
    stage.other.lock(stage.server).blocked()
    stage.later(seconds, stage.other)
    return stage.wire()


def test_a_wait_that_does_not_end_lasts_to_the_end_of_the_capture() -> None:
    stage = Stage()
    stage.client.lock(stage.server).granted()
    stage.other.lock(stage.server).blocked()
    stage.later(45)
    (found,) = findings(asked("LCK011", stage.wire()))
    assert found.wait_s == pytest.approx(45, abs=0.1)
    assert "had not ended when the capture did" in found.explanation
    assert found.files == (PATH,) or found.files[0].startswith("FH:")


def test_a_holder_that_is_not_captured_is_said_to_be_so() -> None:
    stage = Stage()
    stage.other.lock(stage.server).blocked()
    stage.later(20)
    (found,) = findings(asked("LCK011", stage.wire()))
    assert found.host is None
    assert "behind a holder that this capture does not show" in found.title
    assert found.needs is not None


def polled(stage: Stage, seconds: float) -> bytes:
    """A wait that ends when the client retries; the capture of its wire does not show why."""
    stage.other.lock(stage.server).blocked()
    stage.later(seconds, stage.other)
    lock = stage.other.lock(stage.server)
    lock.granted()
    lock.unlock().granted()
    return stage.wire(stage.other)


@pytest.mark.parametrize(("seconds", "state"), [(POLL_S + 1, "cannot-tell"), (POLL_S - 1, "healthy")])
def test_a_wait_whose_cause_was_not_captured(seconds: float, state: str) -> None:
    verdict = diagnosed(polled(Stage(), seconds)).verdict
    assert verdict.state == state
    assert ("the capture does not show who held the range" in verdict.summary) == (state == "cannot-tell")


def test_a_wait_that_has_not_ended_when_the_capture_does() -> None:
    stage = Stage()
    stage.other.lock(stage.server, "/srv/quick").granted()
    stage.other.lock(stage.server).blocked()
    stage.later(40, stage.other)
    verdict = diagnosed(stage.wire(stage.other)).verdict
    assert verdict.state == "cannot-tell"
    assert "is not granted when the capture ends" in verdict.summary


def test_a_wait_that_a_callback_ended_is_healthy() -> None:
    stage = Stage()
    waiter = stage.other.lock(stage.server)
    waiter.blocked()
    stage.later(40, stage.other)
    waiter.granted()
    assert diagnosed(stage.wire(stage.other)).verdict.state == "healthy"


def test_a_wait_behind_a_holder_that_is_seen_is_healthy() -> None:
    stage = Stage()
    waits(stage, 40)
    assert diagnosed(stage.wire()).verdict.state == "healthy"


def released_long_ago(stage: Stage, *, taken: bool = False) -> bytes:
    """The client unlocks 6 s after the other began to wait; a third may get the lock then, and keep it."""
    holder = stage.client.lock(stage.server).granted()
    stage.other.lock(stage.server).blocked()
    stage.wait(6)
    holder.unlock().granted()
    if taken:
        stage.scenario.host("10.0.0.3", name="web-3").lock(stage.server).granted()
    for _ in range(3):
        stage.later(31, stage.other)
        stage.other.lock(stage.server).blocked()
    return stage.wire()


@fires("LCK011", host=CLIENT, severity="info", wait_s=pytest.approx(6, abs=0.1))
def test_a_holder_that_unlocked_and_fell_silent(stage: Stage) -> bytes:
    return released_long_ago(stage)


@fires("LCK011", host=None, severity="warning", wait_s=pytest.approx(99, abs=0.1))
def test_a_holder_after_the_first_is_not_blamed_on_the_first(stage: Stage) -> bytes:
    return released_long_ago(stage, taken=True)


@quiet("LCK011")
def test_a_deadlock_that_the_server_was_slow_to_detect_is_no_queue(stage: Stage) -> bytes:
    stage.client.lock(stage.server).granted()
    stage.other.lock(stage.server).denied("DEADLCK", after=6)
    stage.later(1)
    return stage.wire()
