"""REG001: a server without a registered statd."""

from __future__ import annotations

from tests.rules.registrations.without_statd import STALL, without_statd
from tests.rules.stage import CLIENT, LOCKD, SERVER, Stage, asked, cannot_tell, diagnosed, findings, fires, quiet
from tests.scenario import Scenario


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
