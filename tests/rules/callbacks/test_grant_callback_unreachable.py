"""CBK001: a server cannot reach its waiting client to tell it that the lock is granted."""

from __future__ import annotations

import pytest

from tests.rules.callbacks.handover import dropped, polled, waits
from tests.rules.stage import (
    CLIENT,
    LOCKD,
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
from tests.scenario import Exchange, Host


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
    stage.looks_up(stage.server, stage.other, "nlm4", 3, nfs=False)
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


def test_an_unreachable_client_explains_the_port_and_the_wait() -> None:
    stage = Stage()
    dropped(stage)
    diagnosis = diagnosed([stage.wire(stage.server), stage.wire(stage.other)])
    lead = diagnosis.findings[0]
    assert (diagnosis.verdict.rule, lead.host, lead.certainty) == ("CBK001", OTHER, "certain")
    assert "NET001" in rules_of(lead.explains)


FIXED = 12049


def called_at_a_fixed_port(stage: Stage, *, refused: bool = True, before_s: float = 0, tries: int = 1) -> None:
    stage.wait(before_s)
    waits(stage)
    for _ in range(tries):
        stage.server.syn(stage.other, FIXED, refused=refused, resend=() if refused else (1, 3, 7))
    polled(stage)


@fires("CBK001", host=SERVER, clients=(OTHER,), certainty="likely")
def test_a_port_that_no_portmapper_named_is_closed(stage: Stage) -> bytes:
    called_at_a_fixed_port(stage)
    return stage.wire(stage.server)


@fires("CBK001", host=SERVER, certainty="certain")
def test_a_port_that_no_portmapper_named_where_questions_would_be_seen(stage: Stage) -> bytes:
    stage.client.getport(stage.server, "nlm4")
    called_at_a_fixed_port(stage, tries=40)
    return stage.wire(stage.server)


@pytest.mark.parametrize("refused", [True, False], ids=["refuses", "drops"])
@pytest.mark.parametrize("lossy", [False, True])
def test_where_packets_are_missing_the_lookup_may_be_one_of_them(refused: bool, lossy: bool) -> None:
    stage = Stage()
    stage.client.getport(stage.server, "nlm4")
    called_at_a_fixed_port(stage, refused=refused, before_s=60)
    frame = stage.frames() + 1
    stage.nfs(stage.other)
    stage.later(1, stage.other)
    lost = stage.scenario.capture(stage.server, lost=[frame + 4] if lossy else [])
    (found,) = findings(asked("CBK001", lost))
    assert (found.host, found.certainty) == ((OTHER, "likely") if lossy else (SERVER, "certain"))


def test_who_held_the_lock_is_not_blamed_for_a_callback_that_the_server_misdirects() -> None:
    stage = Stage()
    waits(stage)
    stage.server.syn(stage.other, FIXED, refused=True)
    polled(stage, 60)
    diagnosis = diagnosed(stage.wire(stage.server))
    assert [(cause.rule, cause.host) for cause in diagnosis.verdict.causes] == [("CBK001", SERVER)]
    assert "LCK011" in rules_of(diagnosis.findings[0].explains)


@fires("CBK001", host=OTHER)
def test_a_kernel_that_asks_again_after_each_refusal_though_that_is_not_captured(stage: Stage) -> bytes:
    called_at_a_fixed_port(stage, tries=6)
    return stage.wire(stage.server)


@fires("CBK001", host=SERVER)
def test_tries_that_are_too_few_for_a_kernel(stage: Stage) -> bytes:
    called_at_a_fixed_port(stage, tries=4)
    return stage.wire(stage.server)


@fires("CBK001", host=SERVER)
def test_another_port_than_the_portmapper_named(stage: Stage) -> bytes:
    waits(stage)
    stage.server.getport(stage.other, "nlm4", port=4001)
    stage.server.syn(stage.other, FIXED, resend=[1, 3, 7])
    polled(stage)
    return stage.wire(stage.server)


@fires("CBK001", host=OTHER)
def test_the_port_was_named_to_the_client_before_that_answer(stage: Stage) -> bytes:
    """lockd of the client moved to another port, and the server still has the old one."""
    waits(stage)
    stage.server.syn(stage.other, FIXED, resend=[1, 3, 7])
    stage.server.getport(stage.other, "nlm4", port=4001)
    polled(stage)
    return stage.wire(stage.server)


@fires("CBK001", host=SERVER)
def test_a_port_that_no_portmapper_named_drops(stage: Stage) -> bytes:
    stage.client.getport(stage.server, "nlm4")
    called_at_a_fixed_port(stage, refused=False, before_s=60)
    return stage.wire(stage.server)


@fires("CBK001", host=OTHER)
def test_a_port_that_may_have_been_named_before_the_capture_drops(stage: Stage) -> bytes:
    stage.client.getport(stage.server, "nlm4")
    called_at_a_fixed_port(stage, refused=False, before_s=50)
    return stage.wire(stage.server)


@fires("CBK001", host=OTHER)
def test_a_port_drops_where_questions_would_not_be_seen(stage: Stage) -> bytes:
    stage.nfs()
    called_at_a_fixed_port(stage, refused=False, before_s=60)
    return stage.wire(stage.server)


def granted_by_udp(stage: Stage, to: Host, port: int) -> Exchange:
    _, waiter = waits(stage)
    args = {"cookie": b"1234", "exclusive": True, "alock": waiter.args["alock"]}
    return stage.server.call(to, "nlm4", "GRANTED_MSG", transport="udp", port=port, **args)


@fires("CBK001", host=SERVER)
def test_a_grant_by_udp_to_a_port_that_no_portmapper_named(stage: Stage) -> bytes:
    stage.client.getport(stage.server, "nlm4")
    stage.wait(60)
    granted_by_udp(stage, stage.other, FIXED).unanswered(resend=[10])
    polled(stage, 20)
    return stage.wire(stage.server)


@fires("CBK001", host=OTHER)
def test_a_grant_by_udp_to_the_port_that_was_named_to_another(stage: Stage) -> bytes:
    stage.client.getport(stage.other, "nlm4", netid="udp")
    stage.wait(60)
    granted_by_udp(stage, stage.other, LOCKD).unanswered(resend=[10])
    polled(stage, 20)
    return stage.wire()


@fires("CBK001", host=OTHER)
def test_what_listens_at_the_port_is_no_lock_manager(stage: Stage) -> bytes:
    granted_by_udp(stage, stage.other, LOCKD).error("PROG_UNAVAIL")
    polled(stage)
    return stage.wire(stage.server)


@fires("CBK001", host=SERVER, clients=(OTHER,))
def test_the_grant_goes_to_an_address_that_did_not_ask(stage: Stage) -> bytes:
    granted_by_udp(stage, stage.scenario.host("10.9.9.2"), LOCKD).unanswered(resend=[10])
    polled(stage, 20)
    return stage.wire(stage.server)


@cannot_tell("CBK001", command=True)
def test_a_single_grant_to_another_address_may_have_been_answered(stage: Stage) -> bytes:
    granted_by_udp(stage, stage.scenario.host("10.9.9.2"), LOCKD)
    polled(stage, 20)
    return stage.wire(stage.server)


def looked_up_from(stage: Stage, address: str) -> bytes:
    """A server that is mounted by one address and calls from another, which gets no answer."""
    waits(stage)
    node = stage.scenario.host(address, name="nfssrv")
    question = {"prog": 100021, "vers": 4, "prot": 6}
    node.call(stage.other, "portmap2", "GETPORT", transport="udp", **question).unanswered(resend=[2, 6, 14])
    polled(stage)
    return stage.wire()


@fires("CBK001", host=SERVER)
def test_the_server_calls_from_another_network(stage: Stage) -> bytes:
    return looked_up_from(stage, "10.9.9.9")


@fires("CBK001", host=OTHER)
def test_the_server_calls_from_a_neighbouring_address(stage: Stage) -> bytes:
    return looked_up_from(stage, "10.0.0.8")


def again(stage: Stage) -> None:
    """The waiter has retried and unlocks; the next callback arrives."""
    polled(stage)
    stage.other.lock(stage.server).granted().unlock().granted()
    holder = stage.client.lock(stage.server, svid=2).granted()
    waiter = stage.other.lock(stage.server, svid=2)
    waiter.blocked()
    stage.wait(10)
    holder.unlock().granted()
    waiter.granted()


@quiet("CBK001")
def test_a_later_callback_reaches_the_same_port(stage: Stage) -> bytes:
    """A network outage: nothing was closed."""
    _, waiter = waits(stage)
    waiter.call_back().unanswered(resend=[10])
    again(stage)
    return stage.wire(stage.server)


@quiet("CBK001")
def test_the_portmapper_answers_later(stage: Stage) -> bytes:
    waits(stage)
    question = {"prog": 100021, "vers": 4, "prot": 6}
    stage.server.call(stage.other, "portmap2", "GETPORT", transport="udp", **question).unanswered(resend=[2, 6])
    again(stage)
    return stage.wire(stage.server)


@quiet("CBK001")
def test_the_portmappers_port_is_open_later(stage: Stage) -> bytes:
    waits(stage)
    stage.server.syn(stage.other, 111, resend=[1, 3, 7])
    again(stage)
    return stage.wire(stage.server)


@fires("CBK001", host=OTHER)
def test_the_portmappers_port_drops(stage: Stage) -> bytes:
    waits(stage)
    stage.server.syn(stage.other, 111, resend=[1, 3, 7])
    polled(stage)
    return stage.wire(stage.server)


@fires("CBK001", host=OTHER)
def test_a_client_that_is_not_registered_is_called_from_two_addresses(stage: Stage) -> bytes:
    waits(stage)
    stage.server.getport(stage.other, "nlm4", port=0)
    polled(stage)
    waits(stage)
    node = stage.scenario.host("10.9.9.9", name="nfssrv")
    question = {"prog": 100021, "vers": 4, "prot": 6}
    node.call(stage.other, "portmap2", "GETPORT", transport="udp", **question).unanswered(resend=[2, 6, 14])
    polled(stage)
    return stage.wire()


@quiet("CBK001")
def test_a_grant_to_a_twin_of_the_waiter(stage: Stage) -> bytes:
    """Both have one name, so their owners look alike; the twin asked before the capture."""
    twin = stage.scenario.host("10.0.0.3", name=stage.other.name)
    twin.lock(stage.server, "/srv/second", svid=9).granted()
    granted_by_udp(stage, twin, LOCKD).unanswered(resend=[10])
    polled(stage, 20)
    return stage.wire(stage.server)


@threshold("CBK001", "at_once_s", fires=5.5, quiet=4.5)
def test_how_soon_a_grant_makes_up_for_a_failed_step(stage: Stage, after_s: float) -> bytes:
    _, waiter = waits(stage)
    stage.server.syn(stage.other, FIXED, refused=True)
    polled(stage, after_s - 1)
    waiter.granted(after=None)
    return stage.wire(stage.server)


@cannot_tell("CBK001")
def test_lock_requests_that_are_cut(stage: Stage) -> bytes:
    waits(stage)
    polled(stage)
    return stage.wire(snaplen=96)


def granted_without_lookup(stage: Stage, *, at_s: float, icmp: bool = False) -> bytes:
    """A GRANTED by UDP to a port that no captured lookup named, so long after the capture's begin."""
    stage.client.getport(stage.server, "nlm4")
    stage.wait(at_s - 12.1)  # `waits` takes the rest
    grant = granted_by_udp(stage, stage.other, FIXED)
    if icmp:
        grant.unreachable()
    grant.unanswered(resend=[10])
    polled(stage, 20)
    return stage.wire(stage.server)


@fires("CBK001", host=OTHER, certainty="likely")
def test_a_grant_soon_after_the_begin_may_have_been_looked_up_before(stage: Stage) -> bytes:
    return granted_without_lookup(stage, at_s=60)


@fires("CBK001", host=OTHER, certainty="likely")
def test_icmp_does_not_show_that_the_port_was_looked_up(stage: Stage) -> bytes:
    return granted_without_lookup(stage, at_s=60, icmp=True)


@fires("CBK001", host=SERVER, certainty="certain")
def test_a_grant_long_after_the_begin_was_not_looked_up(stage: Stage) -> bytes:
    return granted_without_lookup(stage, at_s=70, icmp=True)


@fires("CBK001", host=OTHER, certainty="certain")
def test_a_port_at_which_lockd_was_reached_before_needs_no_lookup(stage: Stage) -> bytes:
    stage.client.getport(stage.server, "nlm4")
    granted_by_udp(stage, stage.other, FIXED).reply()
    stage.later(60, stage.other)
    granted_by_udp(stage, stage.other, FIXED).unanswered(resend=[10])
    polled(stage, 20)
    return stage.wire(stage.server)


def test_the_text_says_that_no_lookup_was_seen() -> None:
    found = diagnosed(granted_without_lookup(Stage(), at_s=60)).findings[0]
    assert "does not show that 10.0.0.9 looked up port 12049" in found.explanation


@pytest.mark.parametrize(("every_s", "host"), [(0.22, SERVER), (0.18, OTHER)])
def test_between_so_many_refusals_a_kernel_looks_the_port_up(every_s: float, host: str) -> None:
    """No lookup is in the capture; a server that tries less often than five times per second sends none between."""
    stage = Stage()
    waits(stage)
    for _ in range(40):
        stage.server.syn(stage.other, FIXED, refused=True)
        stage.wait(every_s)
    polled(stage)
    (found,) = findings(asked("CBK001", stage.wire(stage.server)))
    assert found.host == host
