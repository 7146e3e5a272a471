"""CAP007: captures of which nothing shows how their clocks differ."""

from __future__ import annotations

from tests.rules.stage import Stage, cannot_tell, fires, quiet


@fires("CAP007", severity="info")
def test_two_clients_that_captured_their_own_wire(stage: Stage) -> list[bytes]:
    for client in (stage.client, stage.other):
        stage.nfs(client)
        client.lock(stage.server).granted()
    stage.later(1)
    stage.nfs(stage.client)
    return [stage.wire(client) for client in (stage.client, stage.other)]


@quiet("CAP007")
def test_both_captured_what_one_of_them_sent(stage: Stage) -> list[bytes]:
    stage.client.lock(stage.server).granted()
    return [stage.wire(stage.client), stage.wire(stage.server)]


@cannot_tell("CAP007")
def test_no_frames(stage: Stage) -> bytes:
    return stage.wire()
