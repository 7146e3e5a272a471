"""MON004: a host tells of its reboot, and is not heard."""

from __future__ import annotations

from collections.abc import Sequence

import pytest

from tests.records import sent_again
from tests.rules.registrations.without_statd import probed
from tests.rules.stage import CLIENT, LOCKD, SERVER, Stage, asked, cannot_tell, findings, fires, quiet, threshold
from tests.scenario import Exchange, Host
from tests.wire import TCP


@fires("MON004", host=SERVER, clients=(CLIENT,), certainty="certain")
def test_a_server_that_does_not_receive_a_notice_keeps_locks_of_the_client(stage: Stage) -> bytes:
    stage.nfs()
    stage.client.notify(stage.server, 5).unanswered(resend=[2, 6, 14])
    stage.later(20)
    return stage.wire()


@fires("MON004", host=CLIENT, clients=(CLIENT,), certainty="certain")
def test_a_notice_that_is_not_heard(stage: Stage) -> bytes:
    stage.nfs()
    stage.server.notify(stage.client, 5).unanswered(resend=[2, 6, 14])
    stage.later(20)
    return stage.wire()


@fires("MON004", host=CLIENT, certainty="likely")
def test_a_client_without_statd_is_told(stage: Stage) -> bytes:
    stage.nfs()
    for _ in range(4):
        stage.server.getport(stage.client, "nsm1", netid="udp", port=0, transport="udp", cred=False)
        stage.later(4)
    return stage.wire()


def explanation(stage: Stage) -> str:
    stage.later(20)
    return findings(asked("MON004", stage.wire()))[0].explanation


def test_whether_the_query_was_answered_is_said() -> None:
    refused, silent = Stage(), Stage()
    refused.looks_up(refused.server, refused.client, "nsm1", 4, 4, netid="udp", transport="udp", cred=False)
    searched(silent.server, silent.client)
    assert "over UDP 4 times, which was answered: not registered." in explanation(refused)
    assert "over UDP 4 times, which got no answer." in explanation(silent)


@quiet("MON004")
def test_a_notice_that_is_heard(stage: Stage) -> bytes:
    stage.boots(stage.server, stage.client)
    return stage.wire()


@cannot_tell("MON004")
def test_nobody_rebooted(stage: Stage) -> bytes:
    stage.nfs()
    return stage.wire()


def searched(sender: Host, peer: Host, resend: Sequence[float] = (2, 6, 14)) -> Exchange:
    """sm-notify asks for the peer's statd, and gets no answer."""
    question = {"prog": 100024, "vers": 1, "prot": 17}
    call = sender.call(peer, "portmap2", "GETPORT", transport="udp", cred=False, **question)
    return call.unanswered(resend=resend)


def notified_from(stage: Stage, address: str, *, after_s: float = 5) -> bytes:
    """The client has the server mounted; the notice comes from this address."""
    stage.client.lock(stage.server).granted()
    stage.wait(5)
    searched(stage.scenario.host(address, name="nfssrv"), stage.client)
    stage.later(after_s)
    return stage.wire()


@fires("MON004", host="10.9.9.9", clients=(CLIENT,), certainty="likely")
def test_the_notice_comes_from_an_address_of_another_network(stage: Stage) -> bytes:
    return notified_from(stage, "10.9.9.9")


@fires("MON004", host="10.9.9.9", certainty="certain")
def test_the_address_that_was_mounted_restarted_too(stage: Stage) -> bytes:
    stage.client.lock(stage.server).granted()
    stage.client.flow(stage.server, LOCKD, TCP).reset()
    return notified_from(stage, "10.9.9.9")


@pytest.mark.parametrize(("address", "lines"), [("10.9.9.9", [f"ping -c 3 -I {SERVER} {CLIENT}"]), ("10.0.0.8", [])])
def test_the_way_back_is_tried_from_the_address_that_is_mounted(address: str, lines: list[str]) -> None:
    (found,) = findings(asked("MON004", notified_from(Stage(), address)))
    assert [line.line for line in found.verify] == [*lines, f"rpcinfo -u {CLIENT} 100024"]


@fires("MON004", host=CLIENT)
def test_the_notice_comes_from_a_neighbouring_address(stage: Stage) -> bytes:
    return notified_from(stage, "10.0.0.8")


@fires("MON004", host=CLIENT)
def test_the_peer_may_be_down(stage: Stage) -> bytes:
    stage.client.lock(stage.server).granted()
    stage.wait(5)
    searched(stage.scenario.host("10.9.9.9"), stage.client)
    stage.nfs(stage.other)
    return stage.wire()


@fires("MON004", host=CLIENT)
def test_the_peer_sent_something_to_that_address(stage: Stage) -> bytes:
    node = stage.scenario.host("10.9.9.9", name="nfssrv")
    stage.client.flow(node, 22, TCP)
    return notified_from(stage, "10.9.9.9")


@fires("MON004", host=SERVER, clients=(CLIENT,))
def test_statd_is_registered_for_tcp_only(stage: Stage) -> bytes:
    stage.client.lock(stage.server).granted()
    stage.server.getport(stage.client, "nsm1", netid="tcp")
    for _ in range(4):
        stage.server.getport(stage.client, "nsm1", netid="udp", port=0, transport="udp", cred=False)
        stage.wait(4)
    return stage.wire()


def notified_in_an_outage(stage: Stage, after_s: float) -> bytes:
    """What the client sends is not acknowledged from 5 s on, for 12.6 s; the notice is sent so long after that."""
    stage.nfs()
    stage.wait(5)
    stage.client.lock(stage.server, acked=False)
    number = len(stage.scenario.packets())
    stage.wait(after_s)
    stage.server.notify(stage.client, 5).unanswered(resend=[2, 6])
    stage.later(20, stage.other)
    return sent_again(stage.wire(), {number: [0.2, 0.6, 1.4, 3.0, 6.2, 12.6]})


@cannot_tell("MON004")
def test_tcp_between_the_two_gets_no_answer_either(stage: Stage) -> bytes:
    return notified_in_an_outage(stage, 10)


@fires("MON004", host=CLIENT)
def test_tcp_between_the_two_got_no_answer_before(stage: Stage) -> bytes:
    return notified_in_an_outage(stage, 15)


@threshold("MON004", "tries", fires=2, quiet=1)
def test_a_notice_is_repeated(stage: Stage, number: float) -> bytes:
    stage.nfs()
    stage.server.notify(stage.client, 5).unanswered(resend=[2.0][: int(number) - 1])
    stage.later(20)
    return stage.wire()


@cannot_tell("MON004")
def test_one_answer_that_statd_is_not_registered(stage: Stage) -> bytes:
    """It may be about to start."""
    stage.nfs()
    stage.server.getport(stage.client, "nsm1", netid="udp", port=0, transport="udp", cred=False)
    return stage.wire()


@quiet("MON004")
def test_a_later_notice_is_answered(stage: Stage) -> bytes:
    stage.server.notify(stage.client, 5).unanswered(resend=[2, 6])
    stage.wait(10)
    stage.server.notify(stage.client, 5).reply()
    return stage.wire()


def test_a_notice_sent_once_in_a_capture_that_lost_packets() -> None:
    stage = Stage()
    stage.nfs()
    for _ in range(2):
        stage.server.notify(stage.client, 5)
    number = stage.frames()
    stage.nfs(times=3)
    stage.later(20)
    assert len(findings(asked("MON004", stage.wire()))) == 1
    assert findings(asked("MON004", stage.wire(lost=[number + 4]))) == []


@cannot_tell("MON004")
def test_a_repeated_question_that_is_answered_once(stage: Stage) -> bytes:
    """statd of the peer may be about to start."""
    stage.nfs()
    searched(stage.server, stage.client, [2]).reply(port=0)
    stage.later(20)
    return stage.wire()


@fires("MON004", host=CLIENT)
def test_statd_is_registered_for_tcp_and_does_not_answer_udp(stage: Stage) -> bytes:
    stage.client.lock(stage.server).granted()
    stage.server.getport(stage.client, "nsm1", netid="tcp")
    searched(stage.server, stage.client)
    stage.later(20)
    return stage.wire()


@cannot_tell("MON004")
def test_a_monitoring_system_asks_for_statd(stage: Stage) -> bytes:
    probed(stage)
    return stage.wire()
