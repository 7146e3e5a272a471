"""NET005: replies come from an address or a port that was not asked, and the client drops them."""

from __future__ import annotations

from tests.rules.stage import CLIENT, LOCKD, SERVER, Stage, cannot_tell, diagnosed, fires, quiet
from tests.wire import UDP


@fires("NET005", host=SERVER, clients=(CLIENT,))
def test_a_reply_from_elsewhere(stage: Stage) -> bytes:
    second = stage.scenario.host("10.0.0.10", name="nfssrv")
    question = {"prog": 100021, "vers": 4, "prot": 6}
    call = stage.client.call(stage.server, "portmap2", "GETPORT", transport="udp", from_port=900, **question)
    answer = stage.client.flow(second, 111, 17, 900)
    call.flow = answer
    call.reply(port=LOCKD)
    stage.later(20)
    return stage.wire()


def test_a_lock_that_is_answered_from_elsewhere_does_not_wait_for_statd() -> None:
    stage = Stage()
    stage.nfs()
    second = stage.scenario.host("10.0.0.10", name="nfssrv")
    lock = stage.client.lock(stage.server, transport="udp", from_port=900)
    lock.unanswered(resend=[10.2, 31.7])
    lock.flow = stage.client.flow(second, LOCKD, UDP, 900)
    lock.granted()
    stage.later(20)
    diagnosis = diagnosed(stage.wire(stage.client))
    assert diagnosis.verdict.rule == "NET005"
    assert "REG001" not in {found.rule for found in diagnosis.findings}


@quiet("NET005")
def test_a_reply_from_where_it_was_asked(stage: Stage) -> bytes:
    stage.client.getport(stage.server, "nlm4", transport="udp")
    return stage.wire()


@cannot_tell("NET005")
def test_no_datagrams(stage: Stage) -> bytes:
    stage.nfs()
    return stage.wire()
