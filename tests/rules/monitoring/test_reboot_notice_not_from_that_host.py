"""MON007: a notice of a reboot does not come from the host that it names."""

from __future__ import annotations

from tests.rules.stage import CLIENT, OTHER, Stage, cannot_tell, fires, quiet


@fires("MON007", host=OTHER)
def test_a_notice_in_anothers_name(stage: Stage) -> bytes:
    stage.client.lock(stage.server).granted()
    stage.other.notify(stage.server, 5, mon_name=stage.client.name).reply()
    return stage.wire()


@fires("MON007", host=CLIENT)
def test_a_downcall_from_outside(stage: Stage) -> bytes:
    call = {"mon_name": "web-2", "state": 5, "priv": bytes(16)}
    stage.client.call(stage.server, "nlm3", "NSM_NOTIFY", transport="udp", **call).reply()
    return stage.wire()


@quiet("MON007")
def test_a_notice_in_its_own_name(stage: Stage) -> bytes:
    stage.client.lock(stage.server).granted()
    stage.boots(stage.client, stage.server)
    return stage.wire()


@cannot_tell("MON007")
def test_no_notice(stage: Stage) -> bytes:
    stage.nfs()
    return stage.wire()
