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


@quiet("MON007")
def test_a_name_that_is_not_known_otherwise(stage: Stage) -> bytes:
    stage.client.lock(stage.server).granted()
    stage.other.notify(stage.server, 5, mon_name="web-9").reply()
    return stage.wire()


@quiet("MON007")
def test_the_other_family_of_the_same_host(stage: Stage) -> bytes:
    """Its loopback and its name show that both addresses are of one host."""
    sixth = stage.scenario.host("fd00::1", name="web-1")
    server = stage.scenario.host("fd00::9", name="nfssrv")
    stage.client.getport(stage.client, "nsm1")
    stage.client.lock(stage.server).granted()
    sixth.lock(server).granted()
    sixth.notify(server, 5).reply()
    return stage.wire()


@cannot_tell("MON007")
def test_a_peer_that_is_only_searched_for(stage: Stage) -> bytes:
    stage.server.getport(stage.client, "nsm1", netid="udp", port=0, transport="udp", cred=False)
    return stage.wire()
