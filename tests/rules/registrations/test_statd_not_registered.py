"""REG001: a server without a registered statd."""

from __future__ import annotations

import pytest

from nfsrpc.decode import decode
from nfsrpc.diagnosis.verdict import diagnose
from nfsrpc.facts.lock_answers import HELD_BACK_S
from nfsrpc.facts.portmappers import SELDOM
from nfsrpc.findings.finding import CannotTell, Clear
from nfsrpc.sessions import COUNTING, WANTED, Sessions
from tests.rpc_messages import encode_reply
from tests.rules.registrations.without_statd import STALL, probed, without_statd
from tests.rules.stage import (
    CLIENT,
    LOCKD,
    OTHER,
    PATH,
    SERVER,
    STATD,
    Stage,
    asked,
    cannot_tell,
    diagnosed,
    findings,
    fires,
    quiet,
    threshold,
)
from tests.scenario import SECOND, TRANSPORTS, Flow, Scenario, Transport
from tests.wire import UDP


@fires("REG001", host=SERVER, certainty="certain", count=20, clients=(CLIENT,))
def test_the_servers_lockd_asks_for_statd(stage: Stage) -> bytes:
    return without_statd(stage).any(stage.server)


@fires("REG001", host=SERVER, certainty="likely", clients=(CLIENT,))
def test_from_the_wire_a_first_lock_waits_a_minute(stage: Stage) -> bytes:
    return without_statd(stage).wire(stage.client)


@fires("REG001", host=SERVER, certainty="likely")
def test_from_the_wire_a_first_lock_waits_when_the_capture_ends(stage: Stage) -> bytes:
    return without_statd(stage).wire(stage.client, until=30)


@fires("REG001", host=SERVER, certainty="likely", title=f"the server {SERVER} has no rpc.statd registered for UDP")
def test_another_host_asks_the_server(stage: Stage) -> bytes:
    for _ in range(3):
        stage.client.getport(stage.server, "nsm1", netid="udp", port=0, transport="udp", cred=False)
        stage.later(4)
    return stage.wire()


@fires("REG001", host=CLIENT, certainty="likely", title=f"{CLIENT} has no rpc.statd registered for UDP")
def test_a_server_that_has_booted_asks_its_client_and_only_the_portmappers_were_captured(stage: Stage) -> bytes:
    for pause in (2, 4, 8):
        stage.server.getport(stage.client, "nsm1", netid="udp", port=0, transport="udp", cred=False)
        stage.wait(pause)
    return stage.wire()


@fires("REG001", host=SERVER, certainty="likely")
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


@fires("REG001", host=SERVER, certainty="certain")
def test_another_host_asks_the_server_for_tcp(stage: Stage) -> bytes:
    stage.client.getport(stage.server, "mount3")
    stage.looks_up(stage.client, stage.server, "nsm1", 2, nfs=False)
    return stage.wire()


@pytest.mark.parametrize("host", ["server", "client"])
def test_statd_starts_and_for_what_it_asks_is_cut_off(host: str) -> None:
    """A snap length of 96 leaves the program of a question over UDP, and not the transport."""
    stage = Stage()
    stage.nfs()
    asking = getattr(stage, host)
    for _ in range(3):
        asking.getport(asking, "nsm1", netid="udp", port=0, transport="udp", cred=False)
        stage.later(3)
    answers = [asked(rule, stage.any(asking, snaplen=96)) for rule in ("REG001", "REG002")]
    assert [findings(each) for each in answers] == [[], []]


@pytest.mark.parametrize(("after_s", "count"), [(0.003, 0), (4.9, 0), (5.1, 1)])
def test_statd_starts_while_a_lock_is_served(after_s: float, count: int) -> None:
    """A question over UDP with AUTH_NONE is the server's lockd's only if a lock request is held up meanwhile."""
    stage = Stage()
    lock = stage.client.lock(stage.server)
    stage.server.getport(stage.server, "nsm1", netid="udp", port=0, transport="udp", cred=False)
    lock.granted(after=after_s)
    stage.later(20)
    assert len(findings(asked("REG001", stage.any(stage.server)))) == count


@pytest.mark.parametrize(("denied", "certainty"), [(True, "certain"), (False, "likely")])
def test_lockd_asks_once_while_a_lock_waits(denied: bool, certainty: str) -> None:
    """Ganesha denies at once; where the lock still waits statd may be about to start."""
    stage = Stage()
    stage.nfs(stage.other)
    lock = stage.client.lock(stage.server)
    stage.server.getport(stage.server, "nsm1", port=0)
    if denied:
        lock.denied("DENIED_NOLOCKS")
    (found,) = findings(asked("REG001", stage.any(stage.server)))
    assert (found.host, found.certainty) == (SERVER, certainty)


def stalls(stage: Stage, wait_s: float = 61.6, *, served: bool = False) -> bytes:
    """A client's first lock waits, and perhaps another lock is granted meanwhile."""
    stage.nfs()
    lock = stage.client.lock(stage.server)
    if served:
        stage.later(20)
        stage.other.lock(stage.server, "/srv/other").granted()
    lock.granted(after=wait_s, resent=[after for after in STALL if after < wait_s])
    stage.nfs()
    return stage.wire(stage.client if not served else None)


@pytest.mark.parametrize(("served", "count"), [(False, 1), (True, 0)])
def test_a_lock_manager_that_answers_others_meanwhile_looks_for_nothing(served: bool, count: int) -> None:
    """So a server that holds back the answer of a conflicting LOCK instead of answering BLOCKED."""
    capture = stalls(Stage(), served=served)
    assert len(findings(asked("REG001", capture))) == count
    diagnosis = diagnosed(capture)
    assert ("REG001" in {cause.rule for cause in diagnosis.hypotheses}) == bool(count)


@pytest.mark.parametrize(("apart_s", "count"), [(0.9, 1), (1.1, 0)])
def test_requests_of_two_connections_may_be_served_in_either_order(apart_s: float, count: int) -> None:
    stage = Stage()
    stage.nfs()
    lock = stage.client.lock(stage.server)
    stage.wait(apart_s)
    stage.other.lock(stage.server, "/srv/other").granted()
    lock.granted(after=61.6, resent=STALL)
    assert len(findings(asked("REG001", stage.wire()))) == count


@pytest.mark.parametrize(("held", "cause"), [(PATH, "LCK002"), ("/srv/another", "REG001")])
def test_a_reply_that_comes_when_the_holder_unlocks_was_held_back(held: str, cause: str) -> None:
    """Linux answers BLOCKED at once, with statd or without: such a server is no Linux that looks for its statd."""
    stage = Stage()
    holder = stage.client.lock(stage.server, held)
    holder.granted()
    stage.later(3)
    waiter = stage.other.lock(stage.server, PATH)
    stage.later(70, stage.other)
    holder.unlock().granted()
    stage.wait(HELD_BACK_S - 0.1)
    waiter.granted()
    found = diagnosed(stage.wire())
    assert [each.rule for each in found.causes] == [cause]
    assert bool(found.hypotheses) == (cause == "REG001")


@pytest.mark.parametrize(("port", "causes"), [(STATD, ["LCK001"]), (None, ["REG001"])])
def test_a_loopback_by_another_clock_shows_that_statd_is_registered(port: int | None, causes: list[str]) -> None:
    """Of a client's wire and the server's loopback no message is in both."""
    stage = Stage()
    stage.nfs()
    lock = stage.client.lock(stage.server)
    stage.server.getport(stage.server, "nsm1" if port else "nlm4", port=port)
    stage.later(15)
    lock.unanswered(resend=[10.2])
    stage.nfs()
    found = diagnosed([stage.wire(stage.client), stage.scenario.capture(stage.server, on="lo")])
    assert [cause.rule for cause in found.causes] == causes


def test_two_clients_wait_one_behind_the_other() -> None:
    """The answers to the first do not show that lockd serves others while the second waits."""
    stage = Stage()
    stage.nfs()
    first, second = stage.client.lock(stage.server), stage.other.lock(stage.server, "/srv/other")
    first.granted(after=61.6, resent=STALL)
    stage.client.lock(stage.server, "/srv/third").granted(after=61.8, resent=STALL)
    second.granted(after=123.2, resent=[*STALL, 70.7, 92, 120])
    (found,) = findings(asked("REG001", stage.wire()))
    assert found.clients == (CLIENT, OTHER)


def test_a_server_whose_statd_is_named_meanwhile_is_not_accused() -> None:
    stage = Stage()
    stage.nfs()
    lock = stage.client.lock(stage.server)
    stage.later(20)
    stage.other.getport(stage.server, "nsm1", netid="udp", transport="udp")
    lock.granted(after=61.6, resent=STALL)
    assert findings(asked("REG001", stage.wire())) == []


def test_a_request_that_was_answered_from_another_address_is_not_held_up() -> None:
    stage = Stage()
    stage.nfs()
    stage.other.lock(stage.server, "/srv/other", transport="udp").granted()
    lock = stage.client.lock(stage.server, transport="udp")
    lock.unanswered(resend=STALL)
    stage.later(70)
    (found,) = findings(asked("REG001", stage.wire()))
    assert "for the server's lockd, which answered no later request;" in found.explanation
    stage = Stage()
    address = stage.scenario.host("10.0.0.10", name="nfssrv")
    stage.nfs()
    stage.other.lock(stage.server, "/srv/other", transport="udp").granted()
    lock = stage.client.lock(stage.server, transport="udp")
    lock.unanswered(resend=STALL)
    reply = encode_reply(lock.program, "LOCK", {"cookie": lock.args["cookie"], "stat": "GRANTED"}, xid=lock.xid)
    elsewhere = Flow(stage.scenario, stage.client, address, lock.flow.client_port, lock.flow.server_port, UDP)
    elsewhere.send(False, reply, stage.scenario.tick())
    stage.later(70)
    assert findings(asked("REG001", stage.wire())) == []


def test_a_request_that_was_not_even_acknowledged_may_not_have_arrived() -> None:
    stage = Stage()
    stage.nfs()
    lock = stage.client.lock(stage.server, acked=False)
    lock.flow.send(True, lock.message, lock.time + 10 * SECOND, acked=False)
    stage.later(30)
    assert findings(asked("REG001", stage.wire())) == []


@pytest.mark.parametrize(("transport", "count"), [("udp", 1), ("tcp", 0), (None, 0)])
def test_by_udp_a_request_arrives_where_lockd_answers_others(transport: Transport | None, count: int) -> None:
    """Where it answers by TCP alone, a firewall may drop what comes by UDP."""
    stage = Stage()
    stage.nfs()
    if transport:
        stage.other.lock(stage.server, "/srv/other", transport=transport).granted().unlock().granted()
    stage.client.lock(stage.server, transport="udp").unanswered(resend=STALL)
    stage.later(70)
    capture = stage.wire(stage.server)
    assert len(findings(asked("REG001", capture))) == count
    counting = Sessions(decode([capture], WANTED, counting=COUNTING))
    assert [found.rule for found in diagnose(counting).causes] == ["REG001" if count else "LCK001"]


@pytest.mark.parametrize(("refused", "count"), [(True, 0), (False, 1)])
def test_a_request_that_icmp_reports_as_undeliverable_has_not_arrived(refused: bool, count: int) -> None:
    stage = Stage()
    stage.nfs()
    stage.other.lock(stage.server, "/srv/other", transport="udp").granted()
    lock = stage.client.lock(stage.server, transport="udp").unanswered(resend=STALL)
    if refused:
        lock.unreachable()
    stage.later(70)
    assert len(findings(asked("REG001", stage.wire()))) == count


@pytest.mark.parametrize(("resolves", "count"), [(True, 1), (False, 0)])
def test_a_server_that_asks_dns_may_wait_for_that(resolves: bool, count: int) -> None:
    stage = Stage()
    resolver = stage.scenario.host("10.0.0.53", name="dns")
    stage.nfs()
    lock = stage.client.lock(stage.server)
    stage.wait(1)
    question = Flow(stage.scenario, stage.server, resolver, 40_000, 53, UDP)
    question.send(True, b"x" * 40, stage.scenario.tick())
    if resolves:
        question.send(False, b"x" * 60, stage.scenario.tick())
    lock.unanswered(resend=[10.2])
    stage.later(30)
    assert len(findings(asked("REG001", stage.wire()))) == count


@threshold("REG001", "minute_s", fires=51, quiet=49)
def test_from_the_wire_a_lock_waits_so_long(stage: Stage, wait_s: float) -> bytes:
    return stalls(stage, wait_s)


@threshold("REG001", "longest_s", fires=189, quiet=191)
def test_from_the_wire_a_lock_waits_no_longer(stage: Stage, wait_s: float) -> bytes:
    return stalls(stage, wait_s)


@threshold("REG001", "nfs_s", fires=1.9, quiet=2.1)
def test_from_the_wire_nfs_waits_so_long(stage: Stage, nfs_s: float) -> bytes:
    stage.nfs()
    lock = stage.client.lock(stage.server)
    stage.wait(1)
    stage.client.call(stage.server, "nfs3", "GETATTR", object=b"x" * 8).reply(after=nfs_s, status="OK", type="REG")
    lock.granted(after=61.6, resent=STALL)
    return stage.wire(stage.client)


@threshold("REG001", "first_lock_s", fires=301, quiet=299)
def test_from_the_wire_a_client_had_a_lock_so_long_before(stage: Stage, before_s: float) -> bytes:
    stage.client.lock(stage.server, "/srv/first").granted()
    stage.wait(before_s)
    stage.client.lock(stage.server, "/srv/second").granted(after=61.6, resent=STALL)
    stage.nfs()
    return stage.wire()


@threshold("REG001", "boot_s", fires=121, quiet=119)
def test_two_answers_so_long_before_a_reboot_notice(stage: Stage, before_s: float) -> bytes:
    stage.client.lock(stage.server)
    stage.statd_asked(stage.server, 2)
    stage.wait(before_s - 3.07)
    stage.boots(stage.server, stage.other)
    return stage.any(stage.server)


def test_a_third_answer_is_no_boot() -> None:
    stage = Stage()
    stage.client.lock(stage.server)
    stage.statd_asked(stage.server, 3)
    stage.boots(stage.server, stage.other)
    assert len(findings(asked("REG001", stage.any(stage.server)))) == 1


def test_a_server_that_was_not_seen_is_not_passed() -> None:
    """Of another the portmapper names statd; the rule passes only where it could judge all."""
    stage = Stage()
    stage.monitored(stage.server, stage.client)
    stage.client.lock(stage.server).granted()
    (answer,) = asked("REG001", stage.any(stage.server))
    assert isinstance(answer, Clear)
    stage.server.lock(stage.other).granted()
    (answer,) = asked("REG001", stage.any(stage.server))
    assert isinstance(answer, CannotTell)
    assert answer.why == f"the loopback of {OTHER} was not captured"


def test_a_portmapper_that_gives_no_answer_was_asked() -> None:
    stage = Stage()
    stage.client.lock(stage.server).granted()
    stage.server.call(stage.server, "portmap2", "GETPORT", prog=100024, vers=1, prot=6)
    stage.wait(5)
    (answer,) = asked("REG001", stage.any(stage.server))
    assert isinstance(answer, CannotTell)
    assert answer.why == f"the portmapper of {SERVER} gave no answer about statd"


def test_statd_that_withdraws_its_registration_asks_for_none() -> None:
    stage = Stage()
    stage.client.lock(stage.server).granted()
    for _ in range(3):
        entry = {"prog": 100024, "vers": 1, "prot": 6, "port": 0}
        stage.server.call(stage.server, "portmap2", "UNSET", **entry).reply(result=True)
        stage.wait(1)
    assert findings(asked("REG001", stage.any(stage.server))) == []


def client_and_server(stage: Stage, servers_lead_s: float) -> bytes:
    """The host looks for its statd as a client and as a server at once, each time every 3.07 s."""
    stage.nfs()
    begin = stage.scenario.now
    own = [begin + round((5 + 3.07 * number) * SECOND) for number in range(20)]
    other = [begin + round((5 + servers_lead_s + 3.07 * number) * SECOND) for number in range(20)]
    lock = None
    for time in sorted(own + other):
        stage.scenario.now = time
        if time == other[0]:
            lock = stage.other.lock(stage.client)
        stage.client.getport(stage.client, "nsm1", port=0)
    assert lock is not None
    lock.granted(after=61.6, resent=STALL)
    stage.client.lock(stage.server).granted()
    return stage.any(stage.client)


@pytest.mark.parametrize("servers_lead_s", [-1.8, -0.9, 0.9, 1.8, 30.0, 75.0])
def test_a_client_that_is_a_server_too_looks_for_its_statd_in_two_series(servers_lead_s: float) -> None:
    capture = client_and_server(Stage(), servers_lead_s)
    for rule, clients in (("REG001", (OTHER,)), ("REG002", (CLIENT,))):
        (found,) = findings(asked(rule, capture))
        assert (found.host, found.certainty, found.count, found.clients) == (CLIENT, "certain", 20, clients)
        assert found.wait_s == pytest.approx(61.6 if rule == "REG001" else 58.3, abs=0.1)
    assert findings(asked("REG006", capture)) == []


def test_clients_that_stay_unmonitored_are_named() -> None:
    stage = without_statd(Stage())
    (found,) = findings(asked("REG001", stage.any(stage.server)))
    assert str(found.remedy[-1]) == f"# {CLIENT}: unmonitored until they unmount and mount again."


@fires("REG001", host=CLIENT, certainty="certain", count=2)
def test_another_host_asks_one_that_is_server_and_client(stage: Stage) -> bytes:
    stage.client.lock(stage.server).granted()
    stage.other.lock(stage.client).granted()
    stage.wait(60)
    stage.looks_up(stage.other, stage.client, "nsm1", 2, nfs=False)
    return stage.wire()


@fires("REG001", host=SERVER, certainty="certain", count=6)
def test_statd_was_there_for_a_moment(stage: Stage) -> bytes:
    """It was registered for both transports meanwhile: that is not a statd for UDP only (REG006)."""
    stage.client.lock(stage.server)
    stage.statd_asked(stage.server, 3)
    for netid in TRANSPORTS:
        stage.other.getport(stage.server, "nsm1", netid=netid)
    stage.statd_asked(stage.server, 3)
    return stage.any(stage.server)


@pytest.mark.parametrize(("resend", "count"), [([10.2], 1), ([], 0)])
def test_a_request_that_is_not_repeated_had_an_answer(resend: list[float], count: int) -> None:
    stage = Stage()
    stage.nfs()
    stage.client.lock(stage.server).unanswered(resend=resend)
    stage.later(30)
    assert len(findings(asked("REG001", stage.wire()))) == count


@pytest.mark.parametrize(("first_s", "count"), [(1.1, 1), (0.9, 0)])
def test_a_first_lock_that_was_answered_at_once_shows_a_known_client(first_s: float, count: int) -> None:
    stage = Stage()
    stage.client.lock(stage.server, "/srv/first").granted(after=first_s)
    stage.later(5)
    stage.client.lock(stage.server, "/srv/second").granted(after=61.6, resent=STALL)
    assert len(findings(asked("REG001", stage.wire()))) == count


def test_from_the_wire_a_server_that_denies_has_asked_its_statd() -> None:
    stage = Stage()
    stage.nfs()
    stage.client.lock(stage.server).denied("DENIED_NOLOCKS", after=61.6)
    stage.nfs()
    assert findings(asked("REG001", stage.wire())) == []


def test_a_statd_for_udp_only_is_registered() -> None:
    """That is REG006."""
    stage = Stage()
    stage.client.lock(stage.server).granted()
    stage.statd_asked(stage.server, 3)
    stage.client.getport(stage.server, "nsm1", netid="udp", transport="udp", cred=False)
    stage.statd_asked(stage.server, 3)
    assert findings(asked("REG001", stage.any(stage.server))) == []


@cannot_tell("REG001")
def test_a_server_of_nfs4_alone_needs_no_statd(stage: Stage) -> bytes:
    probed(stage)
    return stage.wire()


@fires("REG001", host=SERVER)
def test_a_monitoring_system_finds_a_lock_manager_and_no_statd(stage: Stage) -> bytes:
    probed(stage, lockd=LOCKD)
    return stage.wire()


@pytest.mark.parametrize(
    ("with_nfs", "said"),
    [
        (True, "answered no later request, while its other services answered."),
        (False, "answered no later request; no answer of its other services was captured meanwhile."),
    ],
)
def test_what_other_services_did_is_said(with_nfs: bool, said: str) -> None:
    stage = Stage()
    lock = stage.client.lock(stage.server)
    if with_nfs:
        stage.nfs()
    lock.granted(after=61.6, resent=STALL, copies=4)
    (found,) = findings(asked("REG001", stage.wire()))
    assert said in found.explanation


@pytest.mark.parametrize(("pause", "is_found"), [(SELDOM / SECOND - 1, True), (SELDOM / SECOND + 1, False)])
def test_a_monitoring_system_asks_seldom(pause: float, is_found: bool) -> None:
    """Of a host that is no server as far as the capture shows."""
    stage = Stage()
    for _ in range(4):
        stage.other.getport(stage.client, "nsm1", transport="udp", netid="udp", cred=False, port=0)
        stage.wait(pause)
    captured = stage.wire()
    assert [bool(findings(asked(rule, captured))) for rule in ("REG001", "MON004")] == [is_found] * 2


def test_one_wait_has_one_length_and_its_queries_one_number() -> None:
    stage = without_statd(Stage())
    (found,) = findings(asked("REG001", stage.any(stage.server)))
    assert found.first is not None
    assert found.last is not None
    assert round((found.last - found.first) / SECOND, 3) == found.wait_s == 61.6
    assert found.explanation.startswith("Its portmapper answered 20 times")
    assert "not registered, the last of 20 such replies" in [proof.note for proof in found.evidence]
