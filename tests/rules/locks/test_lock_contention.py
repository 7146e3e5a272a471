"""LCK011: Locks wait for others who hold them."""

from __future__ import annotations

from tests.rules.locks.scenes import a_part_is_released, waits_behind
from tests.rules.stage import CLIENT, OTHER, Stage, cannot_tell, fires, quiet


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
