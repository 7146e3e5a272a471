"""NET005: replies come from an address or a port that was not asked, and the client drops them."""

from __future__ import annotations

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
    threshold,
)
from tests.scenario import Host
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


def results(stage: Stage, sender: Host, times: int, *, late_s: float = 0.1, cookies: bool = False) -> bytes:
    """LOCK_MSG so many times, with one cookie or with several, each followed by a LOCK_RES."""
    stage.nfs()
    first = stage.client.lock(stage.server, asynchronous=True, transport="udp")
    for number in range(times):
        again = first.args | ({"cookie": bytes([number] * 4)} if cookies else {})
        call = first if number == 0 else stage.client.call(stage.server, "nlm4", "LOCK_MSG", transport="udp", **again)
        call.reply()
        stage.wait(late_s)
        result = {"transport": "udp", "cookie": again["cookie"] if number else first.args["cookie"], "stat": "GRANTED"}
        sender.call(stage.client, "nlm4", "LOCK_RES", from_port=700 + number, **result).reply()
        stage.wait(5)
    stage.nfs()
    return stage.wire()


@threshold("NET005", "repeated", fires=3, quiet=2)
def test_results_from_a_host_that_was_not_asked(stage: Stage, repeated: int) -> bytes:
    return results(stage, stage.scenario.host("10.0.0.10"), repeated)


@threshold("NET005", "soon_s", fires=1.8, quiet=2.2)
def test_results_so_soon_after_the_requests(stage: Stage, soon_s: float) -> bytes:
    return results(stage, stage.scenario.host("10.0.0.10"), 3, late_s=soon_s)


@threshold("NET005", "repeated", fires=3, quiet=2)
def test_results_that_the_client_does_not_accept(stage: Stage, repeated: int) -> bytes:
    return results(stage, stage.server, repeated)


def test_a_host_that_was_not_asked_is_named() -> None:
    stage = Stage()
    (found,) = findings(asked("NET005", results(stage, stage.scenario.host("10.0.0.10"), 4)))
    assert (found.host, found.clients, found.count) == (SERVER, (CLIENT,), 4)
    assert found.title == f"{SERVER} answers {CLIENT} from another address, 10.0.0.10"
    stage = Stage()
    (found,) = findings(asked("NET005", results(stage, stage.server, 4)))
    assert (found.host, found.certainty, found.count) == (SERVER, "likely", 4)
    assert found.title == f"{CLIENT} does not accept the lock results of {SERVER}"


@quiet("NET005")
def test_an_application_that_locks_the_same_range_again(stage: Stage) -> bytes:
    return results(stage, stage.server, 4, cookies=True)


def granted_by(stage: Stage, sender: Host, stat: str) -> bytes:
    """A waiter is called back, by the server that it asked or by another host."""
    holder, waiter = stage.client.lock(stage.server), stage.other.lock(stage.server)
    holder.granted()
    waiter.blocked()
    stage.wait(5)
    holder.unlock().granted()
    grant = {"alock": waiter.args["alock"] | {"caller_name": "nfssrv"}, "cookie": b"1234", "exclusive": True}
    sender.call(stage.other, "nlm4", "GRANTED_MSG", transport="udp", **grant).reply()
    stage.other.call(sender, "nlm4", "GRANTED_RES", transport="udp", cookie=b"1234", stat=stat).reply()
    stage.wait(20)
    stage.other.lock(stage.server).granted()
    return stage.wire()


@fires("NET005", host=SERVER, clients=(OTHER,))
def test_a_grant_from_another_address_that_is_refused(stage: Stage) -> bytes:
    return granted_by(stage, stage.scenario.host("10.0.0.10"), "DENIED")


@quiet("NET005")
def test_a_grant_from_another_address_that_is_accepted(stage: Stage) -> bytes:
    return granted_by(stage, stage.scenario.host("10.0.0.10"), "GRANTED")


@quiet("NET005")
def test_a_grant_of_the_server_that_is_refused(stage: Stage) -> bytes:
    return granted_by(stage, stage.server, "DENIED")
