"""CAP005: the proof of a fault can only be seen elsewhere."""

from __future__ import annotations

from tests.rules.stage import SERVER, Stage, fires, quiet


@fires("CAP005", severity="info", host=SERVER)
def test_the_proof_is_on_the_servers_loopback(stage: Stage) -> bytes:
    stage.client.lock(stage.server).denied("DENIED_NOLOCKS")
    return stage.wire(stage.client)


@quiet("CAP005")
def test_the_proof_is_in_the_capture(stage: Stage) -> bytes:
    stage.nfs(stage.other)
    lock = stage.client.lock(stage.server)
    stage.server.getport(stage.server, "nsm1")
    stage.server.syn(stage.server, 662, refused=True)
    lock.denied("DENIED_NOLOCKS")
    return stage.any(stage.server)
