"""RPC004: a server's lock manager stood still: all its answers wait, then come at once."""

from __future__ import annotations

from tests.rules.stage import CLIENT, OTHER, SERVER, Stage, asked, cannot_tell, findings, fires, quiet


def held_up(stage: Stage) -> None:
    """Requests of two clients wait and are answered at once."""
    stage.nfs()
    first, second = stage.client.lock(stage.server, "/a"), stage.other.lock(stage.server, "/b")
    for _ in range(10):
        stage.later(2)
    first.granted(after=21.0)
    second.granted(after=21.1)


@fires("RPC004", host=SERVER, clients=(CLIENT, OTHER), count=2)
def test_the_lock_manager_stood_still(stage: Stage) -> bytes:
    held_up(stage)
    return stage.wire()


@quiet("RPC004")
def test_one_late_lock_is_no_standstill(stage: Stage) -> bytes:
    stage.client.lock(stage.server).granted(after=21.0)
    stage.other.lock(stage.server, "/b").granted()
    return stage.wire()


@cannot_tell("RPC004")
def test_no_lock_was_answered(stage: Stage) -> bytes:
    stage.nfs()
    return stage.wire()


def test_a_standstill_while_nfs_waits_is_not_the_lock_managers() -> None:
    stage = Stage()
    first, second = stage.client.lock(stage.server, "/a"), stage.other.lock(stage.server, "/b")
    call = stage.client.call(stage.server, "nfs3", "GETATTR", object=b"x" * 8)
    first.granted(after=21.0)
    second.granted(after=21.1)
    call.reply(after=21.2, status="OK", type="REG")
    assert findings(asked("RPC004", stage.wire())) == []
