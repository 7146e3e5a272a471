"""RPC001: a service answers that it does not have the program, version or procedure, or cannot read the call."""

from __future__ import annotations

from tests.rules.stage import SERVER, Stage, cannot_tell, fires, quiet


@fires("RPC001", host=SERVER, severity="error")
def test_no_version_4_of_the_lock_manager(stage: Stage) -> bytes:
    stage.client.lock(stage.server).error("PROG_MISMATCH", low=1, high=3)
    return stage.wire()


@fires("RPC001", severity="info")
def test_a_probe(stage: Stage) -> bytes:
    stage.client.call(stage.server, "nfs3", "NULL").error("PROG_UNAVAIL")
    return stage.wire()


@quiet("RPC001")
def test_all_programs_are_there(stage: Stage) -> bytes:
    stage.nfs()
    return stage.wire()


@cannot_tell("RPC001")
def test_calls_without_replies(stage: Stage) -> bytes:
    stage.client.lock(stage.server)
    return stage.wire()
