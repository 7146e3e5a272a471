"""MON004: a host tells of its reboot, and is not heard."""

from __future__ import annotations

from tests.rules.stage import CLIENT, SERVER, Stage, cannot_tell, fires, quiet


@fires("MON004", host=CLIENT, clients=(SERVER,))
def test_a_notice_that_is_not_heard(stage: Stage) -> bytes:
    stage.nfs()
    stage.server.notify(stage.client, 5).unanswered(resend=[2, 6, 14])
    stage.later(20)
    return stage.wire()


@fires("MON004", host=CLIENT)
def test_a_client_without_statd_is_told(stage: Stage) -> bytes:
    stage.nfs()
    for _ in range(4):
        stage.server.getport(stage.client, "nsm1", netid="udp", port=0, transport="udp", cred=False)
        stage.later(4)
    return stage.wire()


@quiet("MON004")
def test_a_notice_that_is_heard(stage: Stage) -> bytes:
    stage.boots(stage.server, stage.client)
    return stage.wire()


@cannot_tell("MON004")
def test_nobody_rebooted(stage: Stage) -> bytes:
    stage.nfs()
    return stage.wire()
