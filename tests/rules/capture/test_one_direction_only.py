"""CAP001: of some conversations the capture holds one direction only."""

from __future__ import annotations

from tests.rules.stage import CLIENT, Stage, cannot_tell, diagnosed, fires, quiet


@fires("CAP001", severity="warning", clients=(CLIENT,))
def test_only_what_the_server_sent(stage: Stage) -> bytes:
    stage.client.lock(stage.server).granted()
    stage.later(10)
    return stage.wire(sent_by=stage.server)


@fires("CAP001", severity="warning")
def test_only_what_the_client_sent(stage: Stage) -> bytes:
    stage.client.lock(stage.server).granted()
    stage.later(10)
    return stage.wire(sent_by=stage.client)


@quiet("CAP001")
def test_both_directions(stage: Stage) -> bytes:
    stage.nfs()
    return stage.wire()


@cannot_tell("CAP001")
def test_no_rpc(stage: Stage) -> bytes:
    stage.client.syn(stage.server, 22)
    return stage.wire()


def test_one_direction_is_no_verdict() -> None:
    stage = Stage()
    stage.client.lock(stage.server).granted()
    stage.later(30)
    assert diagnosed(stage.wire(sent_by=stage.client)).verdict.state == "cannot-tell"
