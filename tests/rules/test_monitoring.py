"""statd: MON001 to MON008."""

from __future__ import annotations

from nfsrpc.rules.monitoring.monitor_name_mismatch import Names
from tests.records import clock_set
from tests.rules.stage import (
    CLIENT,
    OTHER,
    SERVER,
    Stage,
    asked,
    cannot_tell,
    diagnosed,
    findings,
    fires,
    quiet,
    rules_of,
)
from tests.scenario import LockRequest
from tests.wire import UDP


def watched(stage: Stage, result: str | None, after: float, lock: str = "GRANTED") -> None:
    """The server's lockd asks statd while a LOCK waits."""
    stage.nfs(stage.other)
    request = stage.client.lock(stage.server)
    stage.server.getport(stage.server, "nsm1")
    call = stage.server.monitor(stage.client)
    if result is None:
        stage.wait(after)
    else:
        call.reply(res_stat=result, state=3, after=after)
    request.answered(lock)


@fires("MON001", host=SERVER, clients=(CLIENT,))
def test_statd_refuses(stage: Stage) -> bytes:
    watched(stage, "STAT_FAIL", 0.01, "DENIED_NOLOCKS")
    return stage.any(stage.server)


@quiet("MON001")
def test_statd_agrees(stage: Stage) -> bytes:
    watched(stage, "STAT_SUCC", 0.01)
    return stage.any(stage.server)


@quiet("MON001")
def test_statd_agrees_when_asked_again(stage: Stage) -> bytes:
    watched(stage, "STAT_FAIL", 0.01, "DENIED_NOLOCKS")
    watched(stage, "STAT_SUCC", 0.01)
    return stage.any(stage.server)


@cannot_tell("MON001", command=True)
def test_statd_is_not_seen(stage: Stage) -> bytes:
    watched(stage, "STAT_FAIL", 0.01, "DENIED_NOLOCKS")
    return stage.wire(stage.client)


@fires("MON002", host=SERVER, clients=(CLIENT,))
def test_statd_is_slow(stage: Stage) -> bytes:
    watched(stage, "STAT_SUCC", 10.2)
    return stage.any(stage.server)


@quiet("MON002")
def test_statd_is_quick(stage: Stage) -> bytes:
    watched(stage, "STAT_SUCC", 0.4)
    return stage.any(stage.server)


@cannot_tell("MON002", command=True)
def test_a_slow_statd_is_not_seen(stage: Stage) -> bytes:
    watched(stage, "STAT_SUCC", 10.2)
    return stage.wire(stage.client)


@fires("MON003", host=SERVER, clients=(CLIENT,))
def test_statd_hangs(stage: Stage) -> bytes:
    watched(stage, None, 60.0, "DENIED_NOLOCKS")
    stage.later(20)
    return stage.any(stage.server)


@fires("MON003", host=SERVER, certainty="likely")
def test_the_capture_ends_before_lockd_gives_up(stage: Stage) -> bytes:
    stage.nfs(stage.other)
    stage.client.lock(stage.server)
    stage.server.monitor(stage.client)
    stage.later(20, stage.other)
    return stage.any(stage.server)


@fires("MON003", host=SERVER)
def test_statd_answers_when_lockd_has_given_up(stage: Stage) -> bytes:
    stage.nfs(stage.other)
    lock = stage.client.lock(stage.server)
    call = stage.server.monitor(stage.client)
    lock.denied("DENIED_NOLOCKS", after=18.0)
    call.reply(res_stat="STAT_SUCC", state=3, after=30.0)
    return stage.any(stage.server)


@quiet("MON003")
def test_statd_answers(stage: Stage) -> bytes:
    watched(stage, "STAT_SUCC", 0.01)
    return stage.any(stage.server)


@cannot_tell("MON003")
def test_the_capture_ends_while_statd_thinks(stage: Stage) -> bytes:
    watched(stage, None, 3.0, "BLOCKED")
    return stage.any(stage.server)


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


def restarted(stage: Stage) -> None:
    """The client holds a lock, and the other meets a grace period."""
    stage.client.lock(stage.server).granted()
    stage.wait(30)
    stage.other.lock(stage.server).denied("DENIED_GRACE_PERIOD")
    stage.later(5)


@fires("MON008", host=SERVER, clients=(CLIENT,))
def test_a_restart_that_nobody_was_told_of(stage: Stage) -> bytes:
    restarted(stage)
    return stage.wire()


@quiet("MON008")
def test_a_reboot_that_everybody_was_told_of(stage: Stage) -> bytes:
    stage.client.lock(stage.server).granted()
    stage.wait(30)
    stage.boots(stage.server, stage.client)
    stage.client.lock(stage.server, reclaim=True).granted()
    stage.other.lock(stage.server).denied("DENIED_GRACE_PERIOD")
    return stage.wire()


@quiet("MON008")
def test_a_restart_while_nobody_held_a_lock(stage: Stage) -> bytes:
    stage.client.lock(stage.server).granted().unlock().granted()
    stage.wait(30)
    stage.other.lock(stage.server).denied("DENIED_GRACE_PERIOD")
    return stage.wire()


@quiet("MON008")
def test_the_notice_comes_from_another_address_of_the_server(stage: Stage) -> bytes:
    node = stage.scenario.host("10.0.0.8", name="nfssrv")
    stage.client.lock(stage.server).granted()
    stage.wait(60)
    node.notify(stage.client, 5).reply()
    stage.other.lock(stage.server, "/srv/other").denied("DENIED_GRACE_PERIOD")
    return stage.wire()


@quiet("MON008")
def test_the_notice_is_in_another_capture_whose_clock_is_an_hour_ahead(stage: Stage) -> list[bytes]:
    node = stage.scenario.host("10.0.0.8", name="nfssrv")
    stage.client.lock(stage.server).granted()
    stage.wait(60)
    node.notify(stage.client, 5).reply()
    stage.other.lock(stage.server, "/srv/other").denied("DENIED_GRACE_PERIOD")
    return [stage.wire(stage.server), clock_set(stage.wire(stage.client), 1, 3600)]


@cannot_tell("MON008")
def test_no_locks_at_all(stage: Stage) -> bytes:
    stage.nfs()
    return stage.wire()


def test_a_restart_without_notice_explains_a_lock_granted_twice() -> None:
    stage = Stage()
    restarted(stage)
    stage.wait(90)
    stage.other.lock(stage.server).granted()
    diagnosis = diagnosed(stage.wire())
    assert diagnosis.verdict.rule == "MON008"
    assert "LCK009" in rules_of(diagnosis.findings[0].explains)


def test_a_frozen_statd_explains_denials_and_the_orphan() -> None:
    stage = Stage()
    stage.nfs(stage.other)
    lock = stage.client.lock(stage.server)
    stage.server.getport(stage.server, "nsm1")
    call = stage.server.monitor(stage.client)
    lock.denied("DENIED_NOLOCKS", after=60.0)
    call.reply(res_stat="STAT_SUCC", state=3, after=80.0)
    lock.reply(stat="GRANTED", after=80.1)
    stage.later(20)
    diagnosis = diagnosed(stage.any(stage.server))
    assert (diagnosis.verdict.rule, diagnosis.findings[0].host) == ("MON003", SERVER)
    assert {"LCK004", "LCK008"} <= rules_of(diagnosis.findings[0].explains)


def resolving(stage: Stage, seconds: float) -> LockRequest:
    """The server's statd looks up a name before it agrees to watch a client, and DNS does not answer."""
    stage.nfs(stage.other)
    request = stage.client.lock(stage.server)
    stage.server.getport(stage.server, "nsm1")
    stage.server.monitor(stage.client)
    resolver = stage.scenario.host("10.0.0.53")
    for _ in range(round(seconds / 5)):
        stage.server.flow(resolver, 53, UDP).note(stage.scenario.tick(), True, 0, b"who is 10.0.0.1?")
        stage.later(5, stage.other)
    return request


@fires("MON002", host=SERVER)
def test_statd_waits_for_names_to_the_end_of_the_capture(stage: Stage) -> bytes:
    resolving(stage, 20)
    return stage.any(stage.server)


@cannot_tell("MON003")
def test_statd_that_waits_for_names_does_not_hang_yet(stage: Stage) -> bytes:
    resolving(stage, 20)
    return stage.any(stage.server)


def test_statd_waits_for_names_until_lockd_gives_up() -> None:
    stage = Stage()
    resolving(stage, 60).denied("DENIED_NOLOCKS")
    stage.later(10)
    (finding,) = findings(asked("MON003", stage.any(stage.server)))
    assert "It waits for DNS" in finding.explanation
    assert any("asks DNS, no answer" in proof.note for proof in finding.evidence)


@fires("MON003", host=SERVER)
def test_another_host_asks_dns_in_vain(stage: Stage) -> bytes:
    stage.nfs(stage.other)
    stage.client.lock(stage.server)
    stage.server.monitor(stage.client)
    stage.client.flow(stage.scenario.host("10.0.0.53"), 53, UDP).note(stage.scenario.tick(), True, 0, b"?")
    stage.later(20, stage.other)
    return stage.any(stage.server)


def test_on_the_wire_questions_for_dns_speak_for_the_resolver() -> None:
    stage = Stage()
    resolving(stage, 20).unanswered(resend=[10.2])
    diagnosis = diagnosed(stage.wire(stage.server))
    assert diagnosis.verdict.rule == "LCK001"
    assert diagnosis.hypotheses[0].rule == "MON002"


def test_a_statd_that_hung_was_not_slow_besides() -> None:
    stage = Stage()
    stage.nfs(stage.other)
    lock = stage.client.lock(stage.server)
    call = stage.server.monitor(stage.client)
    lock.denied("DENIED_NOLOCKS", after=60.0)
    again = stage.server.monitor(stage.client)
    stage.wait(10)
    call.reply(res_stat="STAT_SUCC", state=3)
    again.reply(res_stat="STAT_SUCC", state=3)
    stage.later(1)
    diagnosis = diagnosed(stage.any(stage.server))
    assert diagnosis.verdict.rule == "MON003"
    assert "MON002" in rules_of(diagnosis.findings[0].explains)


def test_a_frozen_statd_explains_denials_of_what_waited_before_it_was_asked() -> None:
    """lockd does one thing at a time: the LOCK came half a minute before it asked statd because of it."""
    stage = Stage()
    stage.nfs()
    stage.client.lock(stage.server, "/srv/first").granted(after=30)
    lock = stage.other.lock(stage.server)
    stage.wait(30)
    stage.server.monitor(stage.other)
    lock.denied("DENIED_NOLOCKS", after=90)
    stage.later(5)
    diagnosis = diagnosed(stage.any(stage.server))
    assert diagnosis.verdict.rule == "MON003"
    assert "LCK004" in rules_of(diagnosis.findings[0].explains)


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
