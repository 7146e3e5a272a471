"""MON005: a host goes by different names or addresses, so that a notice of its reboot will not be understood."""

from __future__ import annotations

from typing import Any

from nfsrpc.facts.client_names import CallerNames
from nfsrpc.findings.finding import Finding
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
    threshold,
)
from tests.scenario import Host


def several_names(stage: Stage, *, unlocked: bool = False) -> None:
    """Pods behind one address lock, one after the other or at the same time."""
    first = stage.client.lock(stage.server).granted()
    if unlocked:
        first.unlock().granted()
    stage.client.name = "web-7"
    stage.client.lock(stage.server, "/srv/other").granted()


@fires("MON005", host=CLIENT, severity="info")
def test_several_names_at_one_address(stage: Stage) -> bytes:
    several_names(stage)
    return stage.wire()


@fires("MON005", host=CLIENT, severity="warning")
def test_several_names_at_one_address_of_which_a_notice_comes(stage: Stage) -> bytes:
    several_names(stage)
    stage.boots(stage.client, stage.server)
    return stage.wire()


@quiet("MON005")
def test_a_client_gets_another_name(stage: Stage) -> bytes:
    several_names(stage, unlocked=True)
    return stage.wire()


def moved(stage: Stage, *, unlocked: bool) -> bytes:
    """A client gets another address (DHCP, a temporary address of IPv6)."""
    lock = stage.client.lock(stage.server).granted()
    if unlocked:
        lock.unlock().granted()
    stage.wait(30)
    stage.scenario.host("10.0.0.55", name=stage.client.name).lock(stage.server, "/srv/other").granted()
    return stage.wire()


@quiet("MON005")
def test_a_client_gets_another_address(stage: Stage) -> bytes:
    return moved(stage, unlocked=True)


@fires("MON005", clients=(CLIENT, "10.0.0.55"))
def test_a_client_gets_another_address_and_holds_a_lock_from_before(stage: Stage) -> bytes:
    return moved(stage, unlocked=False)


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
    names = CallerNames(["web-1", "web-1.example.com", "db", "a.b"])
    assert names.distinct == {"web-1.example.com", "db", "a.b"}
    assert [
        name for name in ("web-2", "web", "a", "a.b.c", "db.example.com", "db", "web-1", "b") if names.lack(name)
    ] == [
        "web-2",
        "web",
        "b",
    ]
    assert names.lack("web-1.example.org")  # web-1 is the short form of another, so this is one more


def rebooted(stage: Stage, *, monitored: str | None = "::ffff:10.0.0.1", unlocked: bool = False) -> None:
    """The server's statd monitors the client under that name; the client locks, and reboots 30 s later."""
    stage.server.getport(stage.server, "nsm1")
    if monitored is not None:
        mine = {"my_name": "nfssrv", "my_prog": 100021, "my_vers": 3, "my_proc": 16}
        call = stage.server.call(stage.server, "nsm1", "SM_MON", mon_name=monitored, **mine)
        call.reply(res_stat="STAT_SUCC", state=3)
    lock = stage.client.lock(stage.server).granted()
    stage.wait(30)
    if unlocked:
        lock.unlock().granted()
    stage.client.notify(stage.server, 5).reply()


def downcall(stage: Stage, host: Host, about: str) -> None:
    told: dict[str, Any] = {"transport": "udp", "cred": False, "mon_name": about, "state": 5, "priv": bytes(16)}
    host.call(host, "nlm3", "NSM_NOTIFY", **told).reply()


@fires("MON005", host=SERVER, certainty="certain", clients=(CLIENT,))
def test_statd_monitors_another_form_of_the_address(stage: Stage) -> bytes:
    rebooted(stage)
    stage.later(20, stage.other)
    return stage.any(stage.server)


def kept(monitored: str | None) -> Finding:
    stage = Stage()
    rebooted(stage, monitored=monitored)
    stage.later(20, stage.other)
    (found,) = findings(asked("MON005", stage.any(stage.server)))
    return found


def explanation(monitored: str | None) -> str:
    return kept(monitored).explanation


def test_what_mends_a_client_that_is_monitored_by_the_ipv6_form_of_its_address() -> None:
    comments = {name: " ".join(line.comment for line in kept(name).remedy) for name in ("::ffff:10.0.0.1", "10.0.0.1")}
    assert "Ganesha does so with IPv6 sockets" in comments["::ffff:10.0.0.1"]
    assert "IPv6 sockets" not in comments["10.0.0.1"]


def test_under_which_name_the_client_is_monitored() -> None:
    assert "monitors ::ffff:10.0.0.1, and the notice comes from 10.0.0.1" in explanation("::ffff:10.0.0.1")
    assert "No SM_MON for 10.0.0.1 was captured" in explanation("10.0.0.7")
    assert "No SM_MON for 10.0.0.1 was captured" in explanation(None)
    assert "onitor" not in explanation("10.0.0.1")


@quiet("MON005")
def test_a_downcall_follows(stage: Stage) -> bytes:
    rebooted(stage)
    downcall(stage, stage.server, CLIENT)
    stage.later(20, stage.other)
    return stage.any(stage.server)


@quiet("MON005")
def test_the_client_has_unlocked_before_it_rebooted(stage: Stage) -> bytes:
    rebooted(stage, unlocked=True)
    stage.later(20, stage.other)
    return stage.any(stage.server)


@quiet("MON005")
def test_the_same_state_is_announced_twice(stage: Stage) -> bytes:
    """statd makes one downcall for each new state."""
    rebooted(stage)
    downcall(stage, stage.server, CLIENT)
    stage.wait(20)
    stage.client.notify(stage.server, 5, mon_name="web-1.example.com").reply()
    stage.later(20, stage.other)
    return stage.any(stage.server)


@fires("MON005", host=SERVER)
def test_the_second_of_two_reboots_is_ignored(stage: Stage) -> bytes:
    stage.client.notify(stage.server, 3).reply()
    downcall(stage, stage.server, CLIENT)
    stage.wait(20)
    rebooted(stage)
    stage.later(20, stage.other)
    return stage.any(stage.server)


@quiet("MON005")
def test_the_downcall_may_be_lost(stage: Stage) -> bytes:
    rebooted(stage)
    stage.wait(1)
    number = stage.frames()
    for _ in range(2):
        stage.server.getport(stage.server, "nlm3")
    stage.later(20, stage.other)
    return stage.any(stage.server, lost=[number + 4])


@quiet("MON005")
def test_the_unlock_may_be_lost(stage: Stage) -> bytes:
    lock = stage.client.lock(stage.server).granted()
    number = stage.frames()
    lock.unlock().granted()
    stage.client.lock(stage.server, "/srv/second").granted().unlock().granted()
    stage.client.notify(stage.server, 5).reply()
    stage.later(20, stage.other)
    return stage.any(stage.server, lost=[number + 1, number + 2])


@threshold("MON005", "downcall_s", fires=10.5, quiet=9.5)
def test_how_long_a_downcall_may_take(stage: Stage, seconds: float) -> bytes:
    """The capture ends so long after the notice."""
    rebooted(stage)
    stage.later(seconds, stage.other)
    return stage.any(stage.server)


@threshold("MON005", "stays_s", fires=46, quiet=44)
def test_a_lock_of_a_client_that_rebooted_is_still_in_the_way(stage: Stage, seconds: float) -> bytes:
    """On the wire only."""
    stage.client.lock(stage.server).granted()
    stage.other.lock(stage.server).blocked()
    stage.wait(10)
    stage.client.notify(stage.server, 5).reply()
    stage.wait(seconds)
    stage.other.lock(stage.server).blocked()
    return stage.wire()


def test_a_lock_that_outlives_its_client_is_why_others_wait() -> None:
    stage = Stage()
    stage.client.lock(stage.server).granted()
    stage.other.lock(stage.server).blocked()
    stage.wait(10)
    stage.client.notify(stage.server, 5).reply()
    stage.wait(90)
    stage.other.lock(stage.server).blocked()
    diagnosis = diagnosed(stage.wire())
    (cause,) = [found for found in diagnosis.findings if found.rule == "MON005"]
    assert rules_of(cause.explains) == {"LCK008", "LCK010"}


@quiet("MON005")
def test_on_the_wire_a_lock_that_nobody_waits_for(stage: Stage) -> bytes:
    rebooted(stage)
    stage.later(100, stage.other)
    return stage.wire()


@quiet("MON005")
def test_a_notice_that_is_not_answered(stage: Stage) -> bytes:
    stage.client.lock(stage.server).granted()
    stage.other.lock(stage.server).blocked()
    stage.client.notify(stage.server, 5).unanswered(resend=[2, 6])
    stage.wait(60)
    stage.other.lock(stage.server).blocked()
    return stage.wire()


def served_by_one_that_reboots(stage: Stage, *, reclaimed: bool = False) -> None:
    stage.client.lock(stage.server).granted()
    stage.wait(30)
    stage.server.notify(stage.client, 5).reply()
    if reclaimed:
        stage.client.lock(stage.server, reclaim=True).granted()


@threshold("MON005", "reclaim_s", fires=31, quiet=29)
def test_a_client_reclaims_nothing(stage: Stage, seconds: float) -> bytes:
    served_by_one_that_reboots(stage)
    stage.wait(seconds)
    stage.client.lock(stage.server, "/srv/second").granted()
    return stage.wire()


@fires("MON005", host=CLIENT, certainty="certain", clients=(CLIENT,))
def test_the_clients_statd_makes_no_downcall(stage: Stage) -> bytes:
    stage.client.getport(stage.client, "nsm1")
    served_by_one_that_reboots(stage)
    stage.later(20)
    return stage.any(stage.client)


@quiet("MON005")
def test_the_clients_statd_makes_a_downcall(stage: Stage) -> bytes:
    stage.client.getport(stage.client, "nsm1")
    served_by_one_that_reboots(stage)
    downcall(stage, stage.client, SERVER)
    stage.later(40)
    return stage.any(stage.client)


@quiet("MON005")
def test_a_client_reclaims(stage: Stage) -> bytes:
    served_by_one_that_reboots(stage, reclaimed=True)
    stage.wait(60)
    stage.client.lock(stage.server, "/srv/second").granted()
    return stage.wire()


@quiet("MON005")
def test_a_client_that_finds_no_lock_manager_reclaims_nothing(stage: Stage) -> bytes:
    served_by_one_that_reboots(stage)
    stage.client.getport(stage.server, "nlm4", port=0)
    stage.later(60)
    return stage.wire()


@quiet("MON005")
def test_a_client_that_rebooted_too_has_nothing_to_reclaim(stage: Stage) -> bytes:
    served_by_one_that_reboots(stage)
    stage.client.notify(stage.server, 7).reply()
    stage.wait(60)
    stage.client.lock(stage.server, "/srv/second").granted()
    return stage.wire()


@quiet("MON005")
def test_both_sides_of_a_nat_of_which_one_was_captured_earlier(stage: Stage) -> bytes:
    """The first request is seen at one side only, and the next at both."""
    outside = stage.scenario.host("192.0.2.1", name=stage.client.name)
    stage.client.lock(stage.server, "/srv/first", svid=1).granted()
    stage.wait(5)
    for host in (stage.client, outside):
        host.lock(stage.server, "/srv/second", svid=2).granted()
    return stage.wire()


def alike(seconds: float) -> bytes:
    """Two clients of one name ask for the same, so long after one another."""
    stage = Stage()
    stage.other.name = stage.client.name
    for host in (stage.client, stage.other):
        host.lock(stage.server, exclusive=False).granted()
        stage.wait(seconds)
    return stage.wire()


def test_how_long_a_nat_may_take() -> None:
    assert findings(asked("MON005", alike(0.04))) == []
    assert len(findings(asked("MON005", alike(0.06)))) == 1


def test_each_client_of_one_name_gets_its_own() -> None:
    (found,) = findings(asked("MON005", alike(1)))
    note = "or another name that is its own; then reboot it, since lockd and statd keep the old one"
    assert list(map(str, found.remedy)) == [
        f"hostnamectl set-hostname client-10-0-0-{number}   # on 10.0.0.{number}: {note}" for number in (1, 2)
    ]


@quiet("MON005")
def test_a_lock_that_was_granted_after_the_reboot(stage: Stage) -> bytes:
    stage.server.getport(stage.server, "nsm1")
    stage.client.notify(stage.server, 5).reply()
    stage.client.lock(stage.server).granted()
    stage.later(20, stage.other)
    return stage.any(stage.server)


@quiet("MON005")
def test_a_lock_that_was_replaced_by_another_and_unlocked(stage: Stage) -> bytes:
    stage.server.getport(stage.server, "nsm1")
    stage.client.lock(stage.server, exclusive=False).granted()
    stage.client.lock(stage.server).granted().unlock().granted()
    stage.client.notify(stage.server, 5).reply()
    stage.later(20, stage.other)
    return stage.any(stage.server)


@quiet("MON005")
def test_of_two_notices_the_second_is_not_answered(stage: Stage) -> bytes:
    stage.server.getport(stage.server, "nsm1")
    stage.client.notify(stage.server, 3).reply()
    stage.client.lock(stage.server).granted()
    stage.client.notify(stage.server, 5).unanswered(resend=[2, 6])
    stage.later(20, stage.other)
    return stage.any(stage.server)
