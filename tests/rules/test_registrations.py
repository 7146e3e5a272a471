"""What portmappers say of statd, lockd and NFS: REG001 to REG008."""

from __future__ import annotations

import pytest

from tests.rules.stage import (
    CLIENT,
    LOCKD,
    SERVER,
    STATD,
    Stage,
    asked,
    cannot_tell,
    diagnosed,
    findings,
    fires,
    quiet,
    rules_of,
)
from tests.scenario import Scenario
from tests.wire import TCP

STALL = [10.2, 31.7, 60.5]  # when Linux sends a LOCK again


def without_statd(stage: Stage) -> Stage:
    """A server without statd: its lockd asks 20 times, then grants."""
    stage.nfs()
    lock = stage.client.lock(stage.server)
    for _ in range(20):
        stage.server.getport(stage.server, "nsm1", port=0)
        stage.later(3.07)
    lock.granted(after=61.6, resent=STALL, copies=4)
    stage.nfs()
    return stage


@fires("REG001", host=SERVER, certainty="certain", count=20, clients=(CLIENT,))
def test_the_servers_lockd_asks_for_statd(stage: Stage) -> bytes:
    return without_statd(stage).any(stage.server)


@fires("REG001", host=SERVER, certainty="likely", clients=(CLIENT,))
def test_from_the_wire_a_first_lock_waits_a_minute(stage: Stage) -> bytes:
    return without_statd(stage).wire(stage.client)


@fires("REG001", host=SERVER, certainty="likely")
def test_from_the_wire_a_first_lock_waits_when_the_capture_ends(stage: Stage) -> bytes:
    return without_statd(stage).wire(stage.client, until=30)


@fires("REG001", host=SERVER, certainty="certain")
def test_another_host_asks_the_server(stage: Stage) -> bytes:
    for _ in range(3):
        stage.client.getport(stage.server, "nsm1", netid="udp", port=0, transport="udp", cred=False)
        stage.later(4)
    return stage.wire()


@fires("REG001", host=CLIENT, certainty="likely", title=f"{CLIENT} has no rpc.statd registered")
def test_a_server_that_has_booted_asks_its_client_and_only_the_portmappers_were_captured(stage: Stage) -> bytes:
    for pause in (2, 4, 8):
        stage.server.getport(stage.client, "nsm1", netid="udp", port=0, transport="udp", cred=False)
        stage.wait(pause)
    return stage.wire()


@fires("REG001", host=SERVER, certainty="certain")
def test_who_asks_it_for_mountd_as_well_is_its_client(stage: Stage) -> bytes:
    stage.client.getport(stage.server, "mount3")
    for pause in (2, 4, 8):
        stage.client.getport(stage.server, "nsm1", netid="udp", port=0, transport="udp", cred=False)
        stage.wait(pause)
    return stage.wire()


@fires("REG001", host=SERVER, certainty="certain")
def test_a_list_names_a_lock_manager_and_no_statd(stage: Stage) -> bytes:
    stage.client.lock(stage.server).granted()
    mapping = [
        {"prog": 100021, "vers": 4, "prot": 6, "port": LOCKD},
        {"prog": 100003, "vers": 3, "prot": 6, "port": 2049},
    ]
    stage.client.call(stage.server, "portmap2", "DUMP").reply(mappings=mapping)
    return stage.wire()


@fires("REG001", host=SERVER, certainty="certain")
def test_a_server_that_asks_over_udp_while_a_lock_waits(stage: Stage) -> bytes:
    stage.nfs(stage.other)
    lock = stage.client.lock(stage.server)
    stage.server.getport(stage.server, "nsm1", netid="udp", port=0, transport="udp", cred=False)
    lock.denied("DENIED_NOLOCKS")
    return stage.any(stage.server)


@fires("REG001", host=SERVER, certainty="certain", clients=(CLIENT,))
def test_in_a_merged_file_the_name_of_who_asks_tells_whose_statd_is_missing(stage: Stage) -> bytes:
    stage.monitored(stage.client, stage.server)
    without_statd(stage)
    return stage.wire(on="any")


@quiet("REG002")
def test_in_a_merged_file_a_client_is_not_accused_of_its_servers_fault(stage: Stage) -> bytes:
    stage.monitored(stage.client, stage.server)
    without_statd(stage)
    return stage.wire(on="any")


@fires("REG001", certainty="likely", title="127.0.0.1 of bytes has no rpc.statd registered")
def test_a_loopback_alone_does_not_tell_what_the_host_is(stage: Stage) -> bytes:
    stage.statd_asked(stage.server, 20)
    return stage.wire(stage.server, on="lo")


@fires("REG001", host=SERVER, certainty="likely", count=20, clients=(CLIENT,))
def test_what_the_servers_lockd_asks_for_is_cut_off(stage: Stage) -> bytes:
    return without_statd(stage).any(stage.server, snaplen=128)


@quiet("REG001")
def test_statd_is_registered(stage: Stage) -> bytes:
    stage.monitored(stage.server, stage.client)
    stage.client.lock(stage.server).granted()
    return stage.any(stage.server)


@quiet("REG001")
def test_statd_asks_once_when_it_starts(stage: Stage) -> bytes:
    stage.server.getport(stage.server, "nsm1", netid="udp", port=0, transport="udp", cred=False)
    stage.later(5)
    stage.monitored(stage.server, stage.client)
    stage.client.lock(stage.server).granted()
    return stage.any(stage.server)


@quiet("REG001")
def test_statd_was_started_meanwhile(stage: Stage) -> bytes:
    lock = stage.client.lock(stage.server)
    stage.statd_asked(stage.server, 5)
    stage.monitored(stage.server, stage.client)
    lock.granted()
    return stage.any(stage.server)


@cannot_tell("REG001", command=True)
def test_the_servers_loopback_was_not_captured(stage: Stage) -> bytes:
    stage.client.lock(stage.server).granted()
    return stage.wire(stage.client)


def test_from_the_wire_nothing_is_claimed_when_nfs_waits_as_well() -> None:
    stage = Stage()
    stage.nfs()
    lock = stage.client.lock(stage.server)
    stage.client.call(stage.server, "nfs3", "GETATTR", object=b"x" * 8).reply(after=61.0, status="OK", type="REG")
    lock.granted(after=61.6, resent=STALL, copies=4)
    assert findings(asked("REG001", stage.wire(stage.client))) == []


def test_from_the_wire_nothing_is_claimed_when_the_first_lock_was_quick() -> None:
    stage = Stage()
    stage.client.lock(stage.server, "/srv/first").granted()
    stage.later(5)
    stage.client.lock(stage.server, "/srv/second").granted(after=61.6, resent=STALL)
    assert findings(asked("REG001", stage.wire(stage.client))) == []


def reclaims_without_statd(stage: Stage, wait_s: float) -> bytes:
    """A server reboots; a client claims its lock again, and that waits."""
    stage.client.lock(stage.server).granted()
    stage.later(60)
    stage.boots(stage.server, stage.client)
    stage.later(1)
    lock = stage.client.lock(stage.server, reclaim=True)
    for _ in range(int(wait_s / 3.07)):
        stage.later(3.07)
    lock.granted(after=wait_s)
    stage.nfs()
    return stage.wire(stage.client)


@fires("REG001", host=SERVER, certainty="likely", clients=(CLIENT,))
def test_from_the_wire_a_reclaim_waits_a_minute(stage: Stage) -> bytes:
    return reclaims_without_statd(stage, 61.6)


@cannot_tell("REG001", command=True)
def test_from_the_wire_a_reclaim_waits_for_another_time(stage: Stage) -> bytes:
    return reclaims_without_statd(stage, 75)


@cannot_tell("REG001", command=True)
def test_from_the_wire_a_request_waits_over_a_reboot(stage: Stage) -> bytes:
    lock = stage.client.lock(stage.server)
    stage.later(31)
    stage.boots(stage.server, stage.client)
    stage.later(30.6)
    lock.granted(after=61.6)
    return stage.wire(stage.client)


def test_a_host_that_is_server_and_client_may_need_its_statd_as_either() -> None:
    stage = Stage()
    stage.nfs()
    stage.server.getattr(stage.client, "/srv")
    stage.statd_asked(stage.client, 20)
    (found,) = findings(asked("REG001", stage.any(stage.client)))
    assert (found.host, found.certainty) == (CLIENT, "likely")


def test_one_server_of_two_is_accused() -> None:
    scenario = Scenario()
    good, bad = scenario.host("10.0.0.8", name="good"), scenario.host("10.0.0.9", name="bad")
    client = scenario.host("10.0.0.1", name="web-1")
    client.lock(good, "/a").granted().unlock().granted()
    lock = client.lock(bad, "/b")
    for _ in range(20):
        bad.getport(bad, "nsm1", port=0)
        client.getattr(bad, "/b")
        good.getport(good, "nsm1")
        scenario.wait(3.07)
    lock.granted(after=61.6, resent=STALL)
    diagnosis = diagnosed([scenario.capture(host, on="any", link="sll2") for host in (bad, good, client)])
    assert (diagnosis.verdict.rule, diagnosis.findings[0].host) == ("REG001", "10.0.0.9")
    assert {finding.host for finding in diagnosis.findings} == {"10.0.0.9"}


def test_loopbacks_of_a_server_and_a_client_are_not_confused() -> None:
    stage = without_statd(Stage())
    stage.monitored(stage.client, stage.server)
    answers = asked("REG001", [stage.any(stage.client), stage.any(stage.server)])
    assert [finding.host for finding in findings(answers)] == [SERVER]
    assert findings(asked("REG002", [stage.any(stage.client), stage.any(stage.server)])) == []


@fires("REG002", host=CLIENT, certainty="certain", count=20)
def test_the_clients_lockd_asks_for_statd(stage: Stage) -> bytes:
    stage.nfs()
    stage.statd_asked(stage.client, 20)
    stage.client.lock(stage.server).granted()
    return stage.any(stage.client)


@quiet("REG002")
def test_mount_asks_once_before_it_starts_statd(stage: Stage) -> bytes:
    stage.client.getport(stage.client, "nsm1", netid="udp", port=0, transport="udp", cred=False)
    stage.nfs()
    stage.monitored(stage.client, stage.server)
    stage.client.lock(stage.server).granted()
    return stage.any(stage.client)


@cannot_tell("REG002", command=True)
def test_the_clients_loopback_was_not_captured(stage: Stage) -> bytes:
    stage.client.lock(stage.server).granted()
    return stage.wire(stage.server)


@fires("REG003", host=SERVER)
def test_no_port_of_the_lock_manager_long_after_a_restart(stage: Stage) -> bytes:
    stage.nfs()
    stage.client.flow(stage.server, 2049, TCP).reset()
    for _ in range(50):
        stage.client.getport(stage.server, "nlm4", port=0)
        stage.later(3.07)
    return stage.wire()


@fires("REG003", host=SERVER, clients=(CLIENT,), count=5)
def test_no_port_of_the_lock_manager(stage: Stage) -> bytes:
    for _ in range(5):
        stage.client.getport(stage.server, "nlm4", port=0)
        stage.later(3.07)
    return stage.wire()


@quiet("REG003")
def test_the_lock_manager_comes_up_soon(stage: Stage) -> bytes:
    for _ in range(4):
        stage.client.getport(stage.server, "nlm4", port=0)
        stage.later(3.07)
    stage.client.getport(stage.server, "nlm4")
    stage.client.lock(stage.server).granted()
    return stage.wire()


@quiet("REG003")
def test_a_server_that_asks_its_client_is_no_client(stage: Stage) -> bytes:
    stage.client.lock(stage.server).granted()
    for _ in range(5):
        stage.server.getport(stage.client, "nlm4", port=0)
        stage.later(3.07)
    return stage.wire()


@cannot_tell("REG003")
def test_a_server_asks_whom_it_serves_and_only_the_portmappers_were_captured(stage: Stage) -> bytes:
    stage.client.getport(stage.server, "mount3")
    for _ in range(4):
        stage.server.getport(stage.client, "nlm4", port=0)
        stage.wait(10)
    return stage.wire()


@cannot_tell("REG003")
def test_nobody_asked_for_the_lock_manager(stage: Stage) -> bytes:
    stage.nfs()
    return stage.wire()


def test_a_host_that_boots_is_not_accused() -> None:
    stage = Stage()
    stage.boots(stage.server, stage.client)
    for _ in range(5):
        stage.client.getport(stage.server, "nlm4", port=0)
        stage.later(3.07)
    assert findings(asked("REG003", stage.wire())) == []


@cannot_tell("REG003")
def test_a_host_that_resets_old_connections_is_starting(stage: Stage) -> bytes:
    stage.nfs()
    stage.wait(30)
    stage.client.flow(stage.server, 2049, TCP).reset()
    for _ in range(14):
        stage.client.getport(stage.server, "nlm4", port=0)
        stage.wait(3.07)
    stage.client.getport(stage.server, "nlm4")
    stage.client.lock(stage.server, reclaim=True).granted()
    return stage.wire()


@cannot_tell("REG003")
def test_a_host_that_has_locks_claimed_again_was_starting(stage: Stage) -> bytes:
    for _ in range(14):
        stage.client.getport(stage.server, "nlm4", port=0)
        stage.wait(3.07)
    stage.client.getport(stage.server, "nlm4")
    stage.client.lock(stage.server, reclaim=True).granted()
    return stage.wire()


def test_nor_are_its_registrations_lost() -> None:
    stage = Stage()
    stage.client.getport(stage.server, "nfs3")
    stage.nfs()
    stage.wait(30)
    stage.client.flow(stage.server, 2049, TCP).reset()
    stage.other.getport(stage.server, "nfs3", port=0)
    stage.wait(5)
    stage.nfs()
    assert findings(asked("REG004", stage.wire())) == []


@fires("REG004", host=SERVER)
def test_rpcbind_forgot_a_lock_manager_that_serves(stage: Stage) -> bytes:
    stage.client.getport(stage.server, "nlm4")
    stage.client.lock(stage.server).granted()
    stage.later(60)
    stage.other.getport(stage.server, "nlm4", port=0)
    stage.wait(1)
    stage.client.lock(stage.server, "/srv/two").granted()
    return stage.wire()


@quiet("REG004")
def test_a_service_that_stopped_is_not_forgotten(stage: Stage) -> bytes:
    stage.client.getport(stage.server, "nlm4")
    stage.client.lock(stage.server).granted()
    stage.later(60)
    stage.other.getport(stage.server, "nlm4", port=0)
    return stage.wire()


@cannot_tell("REG004")
def test_no_portmapper_named_a_port(stage: Stage) -> bytes:
    stage.nfs()
    return stage.wire()


@fires("REG005", host=SERVER, clients=(CLIENT,))
def test_a_portmapper_that_drops(stage: Stage) -> bytes:
    stage.nfs()
    stage.client.syn(stage.server, 111, resend=[1, 3, 7, 15])
    stage.nfs()
    return stage.wire()


@fires("REG005", host=SERVER, clients=(CLIENT,), certainty="likely")
def test_a_portmapper_of_a_host_of_which_nothing_comes(stage: Stage) -> bytes:
    """Who gets an answer does not send its SYN again, whether the capture would hold it or not."""
    stage.client.syn(stage.server, 111, resend=[1, 3, 7, 15])
    return stage.wire()


@fires("REG005", host=SERVER)
def test_a_portmapper_that_refuses(stage: Stage) -> bytes:
    stage.nfs()
    for _ in range(3):
        stage.client.syn(stage.server, 111, refused=True)
        stage.later(5.1)
    return stage.wire()


@fires("REG005", host=SERVER)
def test_a_portmapper_that_does_not_answer_over_udp(stage: Stage) -> bytes:
    stage.nfs()
    question = {"prog": 100021, "vers": 4, "prot": 6}
    stage.client.call(stage.server, "portmap2", "GETPORT", transport="udp", **question).unanswered(resend=[5, 10, 15])
    stage.later(20)
    return stage.wire()


@cannot_tell("REG005")
def test_the_portmappers_answers_were_filtered_out(stage: Stage) -> bytes:
    """Whoever sends data was accepted, and over UDP who gets no answer asks again."""
    stage.nfs()
    for _ in range(3):
        stage.client.getport(stage.server, "mount3")
        stage.client.getport(stage.server, "mount3", transport="udp")
        stage.later(5)
    sent = enumerate(stage.scenario.packets(), 1)
    return stage.wire(lost=[number for number, packet in sent if packet.data[20:22] == b"\0\x6f"])


def refuses(stage: Stage, seconds: int) -> None:
    stage.nfs()
    for _ in range(seconds // 5):
        stage.client.syn(stage.server, 111, refused=True)
        stage.later(5)
    stage.client.getport(stage.server, "nlm4")
    stage.client.lock(stage.server).granted()


@fires("REG005", host=SERVER)
def test_a_portmapper_that_was_away_for_a_minute(stage: Stage) -> bytes:
    refuses(stage, 60)
    return stage.wire()


def test_lockd_cannot_ask_its_own_portmapper_for_statd() -> None:
    stage = Stage()
    stage.client.getport(stage.server, "nlm4")
    stage.nfs()
    lock = stage.client.lock(stage.server)
    for _ in range(2):
        stage.server.syn(stage.server, 111, refused=True)
    lock.denied("DENIED_NOLOCKS")
    stage.later(5)
    diagnosis = diagnosed(stage.any(stage.server))
    assert (diagnosis.verdict.rule, diagnosis.findings[0].host) == ("REG005", SERVER)
    assert diagnosis.findings[0].clients == (CLIENT,)
    assert "LCK004" in rules_of(diagnosis.findings[0].explains)
    assert "REG005" in {cause.rule for cause in diagnosed(stage.wire()).hypotheses}


@fires("REG005", host=SERVER, clients=(CLIENT,))
def test_the_denial_goes_by_another_clock(stage: Stage) -> bytes:
    """In captures of both ends: to the client's clock the LOCK left after its server had been refused."""
    stage.nfs()
    for _ in range(2):
        stage.server.syn(stage.server, 111, refused=True)
    stage.wait(0.3)
    stage.client.lock(stage.server).denied("DENIED_NOLOCKS")
    stage.later(5)
    return stage.any(stage.server)


@quiet("REG005")
def test_a_portmapper_that_was_restarted(stage: Stage) -> bytes:
    refuses(stage, 20)
    return stage.wire()


@quiet("REG005")
def test_a_portmapper_of_a_host_that_boots(stage: Stage) -> bytes:
    refuses(stage, 60)
    stage.boots(stage.server, stage.client)
    return stage.wire()


@quiet("REG005")
def test_a_portmapper_that_answers_over_udp(stage: Stage) -> bytes:
    stage.client.syn(stage.server, 111, resend=[1, 3, 7])
    stage.client.getport(stage.server, "nlm4", transport="udp")
    return stage.wire()


@cannot_tell("REG005")
def test_a_portmapper_whose_words_are_cut_off_talks_all_the_same(stage: Stage) -> bytes:
    stage.client.syn(stage.server, 111, refused=True)
    stage.later(4)
    stage.client.syn(stage.server, 111, refused=True)
    stage.client.getport(stage.server, "nlm4", transport="udp")
    return stage.wire(snaplen=60)


@cannot_tell("REG005")
def test_who_does_not_repeat_a_syn_was_answered(stage: Stage) -> bytes:
    stage.nfs()
    for _ in range(3):
        stage.client.syn(stage.server, 111)
        stage.later(5)
    return stage.wire()


@fires("REG005", host=SERVER, clients=(CLIENT,))
def test_a_portmapper_that_answers_others_and_its_own_host(stage: Stage) -> bytes:
    stage.nfs()
    stage.client.syn(stage.server, 111, resend=[1, 3, 7, 15])
    stage.other.getport(stage.server, "nlm4")
    stage.monitored(stage.server, stage.other)
    stage.nfs()
    return stage.any(stage.server)


@cannot_tell("REG005")
def test_no_portmapper_was_asked(stage: Stage) -> bytes:
    stage.nfs()
    return stage.wire()


@fires("REG006", host=SERVER)
def test_statd_for_udp_only(stage: Stage) -> bytes:
    stage.client.lock(stage.server).granted()
    stage.client.getport(stage.server, "nsm1", netid="udp", transport="udp", cred=False)
    stage.statd_asked(stage.server, 3)
    return stage.any(stage.server)


@fires("REG006", host=SERVER, certainty="certain")
def test_statd_for_udp_only_all_the_while(stage: Stage) -> bytes:
    stage.client.lock(stage.server).granted()
    stage.statd_asked(stage.server, 3)
    stage.client.getport(stage.server, "nsm1", netid="udp", transport="udp", cred=False)
    stage.statd_asked(stage.server, 3)
    return stage.any(stage.server)


def stopped_after_the_mount(stage: Stage) -> bytes:
    stage.client.getport(stage.client, "nsm1", netid="udp", transport="udp", cred=False)
    stage.client.call(stage.client, "nsm1", "NULL", transport="udp", cred=False).reply()
    stage.later(10)
    stage.statd_asked(stage.client, 20)
    stage.client.lock(stage.server).granted()
    return stage.any(stage.client)


def test_statd_was_named_for_udp_and_then_no_more() -> None:
    diagnosis = diagnosed(stopped_after_the_mount(Stage()))
    assert (diagnosis.verdict.rule, diagnosis.findings[0].host) == ("REG002", CLIENT)
    assert [found.certainty for found in diagnosis.findings if found.rule == "REG006"] == ["likely"]
    assert "REG006" in rules_of(diagnosis.findings[0].explains)


@quiet("REG006")
def test_statd_was_started_for_both_and_asked_for_by_udp(stage: Stage) -> bytes:
    stage.statd_asked(stage.server, 3)
    stage.client.getport(stage.server, "nsm1", netid="udp", transport="udp", cred=False)
    return stage.any(stage.server)


@quiet("REG006")
def test_a_lock_manager_without_udp_is_meant(stage: Stage) -> bytes:
    stage.client.getport(stage.server, "nlm4")
    stage.client.getport(stage.server, "nlm4", netid="udp", port=0)
    return stage.wire()


@cannot_tell("REG006")
def test_nobody_asked_for_statd_or_lockd(stage: Stage) -> bytes:
    stage.nfs()
    return stage.wire()


@fires("REG007", host=SERVER, clients=(CLIENT,))
def test_statd_died_and_left_its_registration(stage: Stage) -> bytes:
    lock = stage.client.lock(stage.server)
    stage.server.getport(stage.server, "nsm1")
    stage.server.syn(stage.server, STATD, refused=True)
    stage.server.syn(stage.server, STATD, refused=True)
    lock.denied("DENIED_NOLOCKS")
    return stage.any(stage.server)


@pytest.mark.parametrize(("ports", "more"), [(20, ""), (21, " 1 further port of that host likewise.")])
def test_of_very_many_closed_ports_the_first_are_told(ports: int, more: str) -> None:
    stage = Stage()
    for number in range(ports):
        stage.server.getport(stage.server, "nsm1", port=1000 + number)
        stage.server.syn(stage.server, 1000 + number, refused=True)
    found = findings(asked("REG007", stage.any(stage.server)))
    assert len(found) == 20
    assert found[-1].explanation.endswith(f"or sends none.{more}")


@quiet("REG007")
def test_a_closed_port_that_no_portmapper_named(stage: Stage) -> bytes:
    stage.monitored(stage.server, stage.client)
    stage.server.syn(stage.server, 53, refused=True)
    stage.client.lock(stage.server).granted()
    return stage.any(stage.server)


@quiet("REG007")
def test_a_service_that_is_restarted_at_another_port(stage: Stage) -> bytes:
    stage.monitored(stage.server, stage.other)
    stage.server.syn(stage.server, STATD, refused=True)
    stage.server.ports[100024] = 40_001
    stage.monitored(stage.server, stage.client)
    return stage.any(stage.server)


@quiet("REG007")
def test_a_service_that_is_restarted(stage: Stage) -> bytes:
    stage.server.getport(stage.server, "nsm1")
    stage.server.syn(stage.server, STATD, refused=True)
    stage.wait(2)
    stage.monitored(stage.server, stage.client)
    return stage.any(stage.server)


@cannot_tell("REG007", command=True)
def test_a_closed_port_on_an_unseen_loopback(stage: Stage) -> bytes:
    stage.client.lock(stage.server).denied("DENIED_NOLOCKS")
    return stage.wire(stage.client)


@fires("REG008", host=SERVER, clients=(CLIENT,))
def test_no_nfs_at_the_portmapper(stage: Stage) -> bytes:
    for protocol in ("nfs3", "mount3"):
        for transport in ("tcp", "udp"):
            stage.client.getport(stage.server, protocol, netid=transport, port=0)
            stage.wait(1)
    return stage.wire()


@fires("REG008", host=SERVER, clients=(CLIENT,))
def test_mountd_has_stopped_and_nfsd_answers(stage: Stage) -> bytes:
    """mount.nfs pings nfsd each time before it looks for mountd; another client has mounted before."""
    stage.nfs(stage.other)
    for _ in range(3):
        stage.client.getport(stage.server, "nfs3", port=2049)
        stage.client.call(stage.server, "nfs3", "NULL").reply()
        stage.client.getport(stage.server, "mount3", port=0)
        stage.later(2, stage.other)
    return stage.wire()


@quiet("REG008")
def test_nfs_is_used_at_its_well_known_port(stage: Stage) -> bytes:
    stage.client.getport(stage.server, "mount3")
    for _ in range(3):
        stage.client.getport(stage.server, "nfs3", port=0)
        stage.later(2)
    return stage.wire()


@quiet("REG008")
def test_mountd_for_one_transport(stage: Stage) -> bytes:
    stage.client.getport(stage.server, "mount3", netid="udp", port=0)
    stage.client.getport(stage.server, "mount3")
    stage.nfs()
    return stage.wire()


@cannot_tell("REG008")
def test_the_capture_ends_while_the_mount_looks_for_a_version(stage: Stage) -> bytes:
    for protocol in ("mount1", "mount2"):
        stage.client.getport(stage.server, protocol, netid="udp", transport="udp", port=0)
    return stage.wire()


@cannot_tell("REG008")
def test_nobody_asked_for_nfs(stage: Stage) -> bytes:
    stage.client.getport(stage.server, "nlm4")
    return stage.wire()
