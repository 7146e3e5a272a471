"""RPC005: nFS or MOUNT calls are not answered in time."""

from __future__ import annotations

from tests.rules.stage import CLIENT, SERVER, Stage, cannot_tell, fires, quiet


@fires("RPC005", host=SERVER, clients=(CLIENT,))
def test_nfs_without_answer(stage: Stage) -> bytes:
    stage.nfs()
    stage.client.call(stage.server, "nfs3", "GETATTR", object=b"x" * 8)
    stage.later(20)
    return stage.wire()


@fires("RPC005", host=SERVER, clients=(CLIENT,))
def test_nfs_answers_late_before_it_is_asked_again(stage: Stage) -> bytes:
    """The kernel sends an NFS call again after a minute."""
    stage.nfs()
    call = stage.client.call(stage.server, "nfs3", "GETATTR", object=b"x" * 8)
    call.reply(status="OK", type="REG", after=40)
    return stage.wire()


@quiet("RPC005")
def test_nfs_answers(stage: Stage) -> bytes:
    stage.nfs()
    return stage.wire()


@cannot_tell("RPC005")
def test_no_nfs(stage: Stage) -> bytes:
    stage.client.lock(stage.server).granted()
    return stage.wire()
