"""RPC002: calls are refused for their credentials: MSG_DENIED."""

from __future__ import annotations

from tests.rules.stage import CLIENT, SERVER, Stage, asked, cannot_tell, diagnosed, findings, fires, quiet, threshold


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


@threshold("RPC002", "renewed_s", fires=11, quiet=9)
def test_a_gss_context_that_is_renewed_so_soon(stage: Stage, renewed_s: float) -> bytes:
    call = stage.client.call(stage.server, "nfs3", "GETATTR", object=b"x" * 8)
    call.error("AUTH_ERROR", auth_stat="RPCSEC_GSS_CTXPROBLEM")
    stage.wait(renewed_s)
    stage.nfs()
    return stage.wire()


@fires("RPC002", host=SERVER)
def test_an_acceptance_of_another_client_renews_nothing(stage: Stage) -> bytes:
    call = stage.client.call(stage.server, "nfs3", "GETATTR", object=b"x" * 8)
    call.error("AUTH_ERROR", auth_stat="RPCSEC_GSS_CTXPROBLEM")
    stage.nfs(stage.other)
    return stage.wire()


@fires(
    "RPC002", host=SERVER, clients=(CLIENT,), count=2, title=f"the portmapper of {SERVER} refuses to answer {CLIENT}"
)
def test_a_portmapper_behind_tcp_wrappers(stage: Stage) -> bytes:
    for _ in range(2):
        question = {"prog": 100021, "vers": 4, "prot": 6, "port": 0}
        stage.client.call(stage.server, "portmap2", "GETPORT", **question).error("AUTH_ERROR", auth_stat="AUTH_TOOWEAK")
        stage.wait(5)
    return stage.wire()


@quiet("RPC002")
def test_a_portmapper_that_lists_nothing_for_strangers(stage: Stage) -> bytes:
    stage.client.call(stage.server, "portmap2", "DUMP").error("AUTH_ERROR", auth_stat="AUTH_TOOWEAK")
    return stage.wire()


def test_a_lock_manager_that_refuses_may_be_the_wrong_one_of_two() -> None:
    stage = Stage()
    stage.client.lock(stage.server).error("AUTH_ERROR", auth_stat="AUTH_BADCRED")
    (found,) = findings(asked("RPC002", stage.wire()))
    assert any(line.line.startswith("rpcinfo -p | grep nlockmgr") for line in found.remedy)
    assert "stop nfs-server and unmount its own NFSv3 mounts" in found.remedy[-1].comment
    stage = Stage()
    stage.client.call(stage.server, "nfs3", "GETATTR").error("AUTH_ERROR", auth_stat="AUTH_BADCRED")
    (found,) = findings(asked("RPC002", stage.wire()))
    assert not any("nlockmgr" in line.line for line in found.remedy)


def test_a_copy_of_a_refused_call_that_is_captured_after_its_reply_is_answered() -> None:
    """Linux sends a refused call three times with one xid; of the third, call and reply change places."""
    stage = Stage()
    stage.nfs()
    stage.wait(1)
    call = stage.client.call(stage.server, "nfs3", "GETATTR", object=b"x" * 8)
    call.error("AUTH_ERROR", auth_stat="AUTH_BADCRED")
    for _ in range(2):
        call.resend(after=0.001)
        call.error("AUTH_ERROR", auth_stat="AUTH_BADCRED", after=0.003)
    last = len(stage.scenario.packets())
    stage.later(30)
    rules_found = {found.rule for found in diagnosed(stage.wire(swapped=[last - 1])).findings}
    assert rules_found == {"RPC002"}
