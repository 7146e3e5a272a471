"""How waiting clients are called back: CBK001 to CBK003."""

from __future__ import annotations

from tests.rules.callbacks.handover import polled, waits
from tests.rules.stage import CLIENT, LOCKD, OTHER, SERVER, Stage, cannot_tell, diagnosed, fires, quiet, rules_of


def dropped(stage: Stage) -> None:
    waits(stage)
    stage.server.getport(stage.other, "nlm4")
    stage.server.syn(stage.other, LOCKD, resend=[1, 3, 7])
    polled(stage)


@fires("CBK001", host=OTHER, clients=(OTHER,), certainty="certain")
def test_the_clients_port_drops(stage: Stage) -> bytes:
    dropped(stage)
    return stage.wire(stage.server)


@fires("CBK001", host=OTHER)
def test_seen_from_the_client_that_waits(stage: Stage) -> bytes:
    dropped(stage)
    return stage.wire(stage.other)


@fires("CBK001", host=OTHER)
def test_the_clients_lockd_is_not_registered(stage: Stage) -> bytes:
    waits(stage)
    for _ in range(3):
        stage.server.getport(stage.other, "nlm4", port=0)
        stage.wait(3.07)
    polled(stage, 5)
    return stage.wire(stage.server)


@fires("CBK001", host=OTHER)
def test_the_clients_port_is_closed(stage: Stage) -> bytes:
    waits(stage)
    stage.server.getport(stage.other, "nlm4")
    for _ in range(3):
        stage.server.syn(stage.other, LOCKD, refused=True)
    polled(stage)
    return stage.wire(stage.server)


@fires("CBK001", host=OTHER)
def test_the_grant_is_not_answered(stage: Stage) -> bytes:
    _, waiter = waits(stage)
    alock = waiter.args["alock"]
    grant = stage.server.call(
        stage.other, "nlm4", "GRANTED_MSG", transport="udp", cookie=b"1234", exclusive=True, alock=alock
    )
    grant.unanswered(resend=[10])
    polled(stage, 20)
    return stage.wire(stage.server)


@quiet("CBK001")
def test_the_grant_arrives(stage: Stage) -> bytes:
    _, waiter = waits(stage)
    waiter.granted()
    return stage.wire(stage.server)


@quiet("CBK001")
def test_one_lost_packet(stage: Stage) -> bytes:
    _, waiter = waits(stage)
    stage.server.syn(stage.other, LOCKD, resend=[1.0])
    waiter.granted()
    return stage.wire(stage.server)


@cannot_tell("CBK001")
def test_a_result_for_which_the_server_looks_the_client_up(stage: Stage) -> bytes:
    waits(stage)
    stage.other.lock(stage.server, "/srv/second", asynchronous=True).reply()
    stage.server.getport(stage.other, "nlm4", port=0)
    stage.later(9)
    return stage.wire(stage.server)


def given_up_unseen(stage: Stage, *, lost: bool) -> bytes:
    """The waiter gives up, which the capture may lack; the server's call crosses it."""
    _, waiter = waits(stage)
    stage.wait(1)
    number = stage.frames()
    waiter.cancel().granted()
    stage.server.syn(stage.other, LOCKD, resend=[1, 3, 7])
    stage.other.lock(stage.server, "/srv/second").granted()
    stage.later(5, stage.other)
    return stage.wire(stage.server, lost=[number + 1, number + 2] if lost else ())


@cannot_tell("CBK001")
def test_that_the_waiter_gave_up_may_be_lost(stage: Stage) -> bytes:
    return given_up_unseen(stage, lost=True)


@cannot_tell("CBK001", command=True)
def test_what_the_server_sends_is_not_seen(stage: Stage) -> bytes:
    waits(stage)
    polled(stage)
    return stage.wire(stage.other)


@fires("CBK002", host=OTHER)
def test_the_client_refuses(stage: Stage) -> bytes:
    _, waiter = waits(stage)
    waiter.called_back("DENIED")
    return stage.wire()


@quiet("CBK002")
def test_the_client_accepts(stage: Stage) -> bytes:
    _, waiter = waits(stage)
    waiter.granted()
    return stage.wire()


@quiet("CBK002")
def test_the_client_had_given_up(stage: Stage) -> bytes:
    stage.client.lock(stage.server).granted()
    waiter = stage.other.lock(stage.server)
    waiter.blocked()
    waiter.cancel().granted()
    waiter.called_back("DENIED")
    waiter = stage.other.lock(stage.server, "/srv/second", svid=9)
    waiter.blocked()
    waiter.granted()
    return stage.wire()


@cannot_tell("CBK002")
def test_no_locks(stage: Stage) -> bytes:
    stage.nfs()
    return stage.wire()


@cannot_tell("CBK002")
def test_what_was_asked_before_the_grant_was_not_captured(stage: Stage) -> bytes:
    _, waiter = waits(stage)
    waiter.called_back("DENIED")
    return stage.wire(since=11)


@fires("CBK003", host=SERVER, certainty="likely")
def test_only_lockds_port_was_captured(stage: Stage) -> bytes:
    """The server may have looked the client up in vain, at a port that was not captured."""
    waits(stage)
    polled(stage)
    return stage.wire(stage.server)


@fires("CBK003", host=SERVER, clients=(OTHER,), certainty="certain")
def test_the_server_calls_nobody(stage: Stage) -> bytes:
    stage.client.getport(stage.server, "nlm4")
    waits(stage)
    polled(stage)
    return stage.wire(stage.server)


def test_a_server_that_calls_from_another_address() -> None:
    """One that moves between nodes: it is mounted by one address, and calls from the node's own."""
    stage = Stage()
    node = stage.scenario.host("10.0.0.8", name="nfssrv")
    stage.nfs()
    holder = stage.other.lock(stage.server).granted()
    waiter = stage.client.lock(stage.server)
    waiter.blocked()
    stage.later(5)
    holder.unlock().granted()
    for _ in range(6):
        node.getport(stage.client, "nlm4", port=0)
        stage.later(3.07)
    stage.client.lock(stage.server).granted()
    diagnosis = diagnosed(stage.wire())
    assert (diagnosis.verdict.rule, diagnosis.findings[0].host) == ("CBK001", CLIENT)
    assert {"REG003", "CBK003"} & {found.rule for found in diagnosis.findings} == set()


@quiet("CBK003")
def test_both_sides_of_a_nat(stage: Stage) -> list[bytes]:
    """Inside, the waiter has another address, which nobody calls."""
    inside = stage.scenario.host("192.168.1.2", name="web-2")
    holder = stage.client.lock(stage.server).granted()
    for waiter in (inside, stage.other):
        waiter.lock(stage.server, svid=7).blocked()
    stage.wait(10)
    holder.unlock().granted()
    stage.server.syn(stage.other, LOCKD, refused=True)
    stage.wait(20)
    for waiter in (inside, stage.other):
        waiter.lock(stage.server, svid=7).granted()
    return [stage.wire()]


@quiet("CBK003")
def test_the_server_calls(stage: Stage) -> bytes:
    _, waiter = waits(stage)
    waiter.granted()
    return stage.wire(stage.server)


@quiet("CBK003")
def test_a_server_that_tries_is_not_silent(stage: Stage) -> bytes:
    dropped(stage)
    return stage.wire(stage.server)


@cannot_tell("CBK003", command=True)
def test_when_the_lock_became_free_is_not_seen(stage: Stage) -> bytes:
    waits(stage)
    polled(stage)
    return stage.wire(stage.other)


def test_an_unreachable_client_explains_the_port_and_the_wait() -> None:
    stage = Stage()
    dropped(stage)
    diagnosis = diagnosed([stage.wire(stage.server), stage.wire(stage.other)])
    lead = diagnosis.findings[0]
    assert (diagnosis.verdict.rule, lead.host, lead.certainty) == ("CBK001", OTHER, "certain")
    assert "NET001" in rules_of(lead.explains)


def test_a_silent_server_is_told_apart_from_an_unreachable_client() -> None:
    stage = Stage()
    waits(stage)
    polled(stage)
    diagnosis = diagnosed(stage.wire(stage.server))
    assert (diagnosis.verdict.rule, diagnosis.findings[0].host) == ("CBK003", SERVER)
    assert CLIENT not in {finding.host for finding in diagnosis.findings if finding.severity != "info"}
