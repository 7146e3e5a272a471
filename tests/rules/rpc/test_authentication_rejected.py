"""RPC002: calls are refused for their credentials: MSG_DENIED."""

from __future__ import annotations

from tests.rules.stage import CLIENT, SERVER, Stage, cannot_tell, fires, quiet


@fires("RPC002", host=SERVER, clients=(CLIENT,), count=3)
def test_an_export_was_withdrawn(stage: Stage) -> bytes:
    stage.nfs()
    for _ in range(3):
        stage.client.lock(stage.server).error("AUTH_ERROR", auth_stat="AUTH_BADCRED")
    return stage.wire()


@quiet("RPC002")
def test_credentials_are_accepted(stage: Stage) -> bytes:
    stage.nfs()
    return stage.wire()


@quiet("RPC002")
def test_a_gss_context_is_renewed(stage: Stage) -> bytes:
    call = stage.client.call(stage.server, "nfs3", "GETATTR", object=b"x" * 8)
    call.error("AUTH_ERROR", auth_stat="RPCSEC_GSS_CTXPROBLEM")
    stage.nfs()
    return stage.wire()


@cannot_tell("RPC002")
def test_nobody_replied(stage: Stage) -> bytes:
    stage.client.lock(stage.server)
    return stage.wire()
