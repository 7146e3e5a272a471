"""MON006: a host says that it has rebooted."""

from __future__ import annotations

from tests.rules.stage import CLIENT, SERVER, Stage, cannot_tell, fires, quiet


@fires("MON006", host=SERVER, severity="info")
def test_a_server_has_rebooted(stage: Stage) -> bytes:
    stage.boots(stage.server, stage.client, stage.other)
    return stage.wire()


@fires("MON006", host=CLIENT, severity="warning")
def test_a_client_that_goes_on_has_not_rebooted(stage: Stage) -> bytes:
    stage.nfs()
    stage.client.lock(stage.server).granted()
    stage.wait(30)
    stage.boots(stage.client, stage.server)
    stage.later(10)
    return stage.wire()


@quiet("MON006")
def test_no_reboot(stage: Stage) -> bytes:
    stage.nfs()
    return stage.wire()


@cannot_tell("MON006")
def test_nothing_at_all(stage: Stage) -> bytes:
    return stage.wire()
