"""LCK006: Locks fail for a reason that the server names."""

from __future__ import annotations

from tests.rules.stage import CLIENT, SERVER, Stage, cannot_tell, fires, quiet


@fires("LCK006", host=SERVER, clients=(CLIENT,))
def test_a_stale_handle(stage: Stage) -> bytes:
    stage.client.lock(stage.server).denied("STALE_FH")
    return stage.wire()


@fires("LCK006", host=None)
def test_a_deadlock_is_the_applications(stage: Stage) -> bytes:
    stage.client.lock(stage.server, asynchronous=True).denied("DEADLCK")
    return stage.wire()


@quiet("LCK006")
def test_denied_is_no_failure(stage: Stage) -> bytes:
    stage.client.lock(stage.server, block=False).denied()
    return stage.wire()


@cannot_tell("LCK006")
def test_no_results_of_locks(stage: Stage) -> bytes:
    stage.client.lock(stage.server)
    return stage.wire()
