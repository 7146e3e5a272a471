"""RPC005: nFS or MOUNT calls are not answered in time."""

from __future__ import annotations

from tests.rules.stage import CLIENT, SERVER, Stage, cannot_tell, fires, quiet, threshold


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


@threshold("RPC005", "late_s", fires=10.5, quiet=9.5)
def test_a_reply_so_late(stage: Stage, late_s: float) -> bytes:
    stage.nfs()
    call = stage.client.call(stage.server, "nfs3", "GETATTR", object=b"x" * 8)
    call.reply(status="OK", type="REG", after=late_s)
    return stage.wire()


@threshold("RPC005", "boot_s", fires=185, quiet=175)
def test_a_server_that_has_rebooted(stage: Stage, boot_s: float) -> bytes:
    stage.nfs()
    stage.client.call(stage.server, "nfs3", "GETATTR", object=b"x" * 8).reply(status="OK", type="REG", after=30)
    stage.wait(boot_s - 30)
    stage.boots(stage.server, stage.client)
    return stage.wire()


@cannot_tell("RPC005")
def test_the_capture_ends_too_soon(stage: Stage) -> bytes:
    stage.nfs()
    stage.client.call(stage.server, "nfs3", "GETATTR", object=b"x" * 8)
    stage.later(5)
    return stage.wire()


@cannot_tell("RPC005")
def test_a_client_that_closed_the_connection_itself(stage: Stage) -> bytes:
    stage.nfs()
    call = stage.client.call(stage.server, "nfs3", "GETATTR", object=b"x" * 8)
    stage.wait(1)
    call.flow.close()
    stage.later(30)
    return stage.wire()


@quiet("RPC005")
def test_a_probe_over_udp_of_a_server_that_answers_over_tcp(stage: Stage) -> bytes:
    stage.nfs()
    stage.client.getport(stage.server, "nfs3", transport="udp")
    stage.client.call(stage.server, "nfs3", "NULL", transport="udp").unanswered(resend=[1, 3])
    stage.later(30)
    return stage.wire()


@fires("RPC005", count=1)
def test_a_call_over_udp_of_a_server_that_answers_over_tcp(stage: Stage) -> bytes:
    stage.nfs()
    stage.client.getport(stage.server, "nfs3", transport="udp")
    stage.client.call(stage.server, "nfs3", "GETATTR", transport="udp").unanswered(resend=[1, 3])
    stage.later(30)
    return stage.wire()


@cannot_tell("RPC005")
def test_a_capture_with_gaps_may_lack_the_reply(stage: Stage) -> bytes:
    for _ in range(10):
        stage.nfs(stage.other)
        stage.wait(1)
    stage.nfs()
    stage.client.call(stage.server, "nfs3", "GETATTR", object=b"x" * 8)
    stage.later(20, stage.other)
    return stage.wire(lost=range(10, 14))
