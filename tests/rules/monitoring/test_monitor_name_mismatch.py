"""MON005: a host goes by different names or addresses, so that a notice of its reboot will not be understood."""

from __future__ import annotations

from nfsrpc.facts.client_names import Names
from tests.rules.stage import CLIENT, OTHER, SERVER, Stage, cannot_tell, fires, quiet


@fires("MON005", host=CLIENT)
def test_several_names_at_one_address(stage: Stage) -> bytes:
    stage.client.lock(stage.server).granted()
    stage.client.name = "web-7"
    stage.client.lock(stage.server, "/srv/other").granted()
    return stage.wire()


@fires("MON005", clients=(CLIENT, OTHER))
def test_one_name_at_several_addresses(stage: Stage) -> bytes:
    stage.other.name = stage.client.name
    for host in (stage.client, stage.other):
        host.lock(stage.server, f"/srv/{host.number}").granted()
    return stage.wire()


@fires("MON005", host=OTHER)
def test_a_notice_from_another_address_is_ignored(stage: Stage) -> bytes:
    stage.monitored(stage.server, stage.client)
    stage.client.lock(stage.server).granted()
    stage.wait(60)
    stage.other.notify(stage.server, 5, mon_name=stage.client.name).reply()
    stage.later(20)
    return stage.any(stage.server)


@fires("MON005", host=CLIENT, severity="info", clients=(SERVER,), count=1)
def test_a_notice_in_another_name(stage: Stage) -> bytes:
    stage.client.lock(stage.server).granted()
    for _ in range(3):
        stage.client.notify(stage.server, 5, mon_name="web-7.example.com").reply()
    return stage.wire()


@quiet("MON005")
def test_a_notice_in_another_name_that_was_understood(stage: Stage) -> bytes:
    stage.client.lock(stage.server).granted()
    stage.client.notify(stage.server, 5, mon_name="web-7").reply()
    told = {"transport": "udp", "cred": False, "mon_name": stage.client.address, "state": 5}
    stage.server.call(stage.server, "nlm3", "NSM_NOTIFY", **told).reply()
    return stage.any(stage.server)


@quiet("MON005")
def test_a_notice_in_the_full_name(stage: Stage) -> bytes:
    stage.client.lock(stage.server).granted()
    stage.client.notify(stage.server, 5, mon_name="web-1.example.com").reply()
    return stage.wire()


@quiet("MON005")
def test_in_a_merged_file_statds_downcall_is_nobodys(stage: Stage) -> bytes:
    for host, peer in ((stage.client, stage.server), (stage.server, stage.client)):
        stage.monitored(host, peer)
    stage.client.lock(stage.server).granted()
    stage.other.notify(stage.server, 5, mon_name=stage.client.name).reply()
    told = {"transport": "udp", "cred": False, "mon_name": stage.client.name, "state": 5}
    stage.server.call(stage.server, "nlm3", "NSM_NOTIFY", **told).reply()
    return stage.wire(on="any")


@quiet("MON005")
def test_one_request_before_and_behind_a_nat(stage: Stage) -> bytes:
    behind = stage.scenario.host("192.0.2.1", name=stage.client.name)
    behind.lock(stage.server).granted()
    stage.client.lock(stage.server).granted()
    return stage.wire()


@quiet("MON005")
def test_short_and_full_names_and_an_address_of_each_family(stage: Stage) -> bytes:
    sixth = stage.scenario.host("fd00::9", name="nfssrv")
    stage.client.lock(stage.server).granted()
    stage.client.name = "web-1.example.com"
    stage.client.lock(stage.server, "/srv/two").granted()
    stage.scenario.host("fd00::2", name="web-2").lock(sixth).granted()
    stage.other.lock(stage.server, "/srv/three").granted()
    return stage.wire()


@cannot_tell("MON005")
def test_nobody_named_himself(stage: Stage) -> bytes:
    stage.nfs()
    return stage.wire()


def test_one_more_name_and_other_forms_of_the_same() -> None:
    names = Names(["web-1", "web-1.example.com", "db", "a.b"])
    assert names.distinct == {"web-1.example.com", "db", "a.b"}
    assert [
        name for name in ("web-2", "web", "a", "a.b.c", "db.example.com", "db", "web-1", "b") if names.lack(name)
    ] == [
        "web-2",
        "web",
        "b",
    ]
    assert names.lack("web-1.example.org")  # web-1 is the short form of another, so this is one more
