"""LCK012: Lock owners wait for each other in a circle: a deadlock."""

from __future__ import annotations

from tests.rules.locks.scenes import waits_behind
from tests.rules.stage import CLIENT, OTHER, Stage, cannot_tell, diagnosed, fires, quiet


def crossed(stage: Stage) -> None:
    """Each holds what the other asks for."""
    stage.client.lock(stage.server, "/srv/a").granted()
    stage.other.lock(stage.server, "/srv/b").granted()
    stage.client.lock(stage.server, "/srv/b").blocked()
    stage.wait(0.5)


@fires("LCK012", clients=(CLIENT, OTHER))
def test_a_deadlock_that_the_server_tells(stage: Stage) -> bytes:
    crossed(stage)
    stage.other.lock(stage.server, "/srv/a").denied("DEADLCK")
    return stage.wire()


@fires("LCK012", clients=(CLIENT, OTHER))
def test_a_deadlock_that_nobody_notices(stage: Stage) -> bytes:
    crossed(stage)
    stage.other.lock(stage.server, "/srv/a").blocked()
    stage.later(20)
    return stage.wire()


@quiet("LCK012")
def test_a_queue_is_no_circle(stage: Stage) -> bytes:
    waits_behind(stage, released=False)
    stage.later(20)
    return stage.wire()


@cannot_tell("LCK012")
def test_one_half_of_a_deadlock(stage: Stage) -> bytes:
    crossed(stage)
    stage.other.lock(stage.server, "/srv/a").denied("DEADLCK")
    return stage.wire(stage.other)


def test_a_deadlock_explains_what_the_server_told() -> None:
    stage = Stage()
    crossed(stage)
    stage.other.lock(stage.server, "/srv/a").denied("DEADLCK")
    assert diagnosed(stage.wire()).verdict.rule == "LCK012"
