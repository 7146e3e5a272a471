"""CBK002: a client refuses the lock that it waited for."""

from __future__ import annotations

from tests.rules.callbacks.handover import polled, waits
from tests.rules.stage import OTHER, SERVER, Stage, asked, cannot_tell, findings, fires, quiet, threshold


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


@fires("CBK002", host=SERVER, clients=(OTHER,))
def test_the_grant_comes_from_another_address_of_the_server(stage: Stage) -> bytes:
    """Linux knows servers by the address that it mounted."""
    node = stage.scenario.host("10.9.9.9", name="nfssrv")
    _, waiter = waits(stage)
    cookie = node.cookie()
    grant = {"cookie": cookie, "exclusive": True, "alock": waiter.args["alock"]}
    node.call(stage.other, "nlm4", "GRANTED_MSG", **grant).reply()
    stage.other.call(node, "nlm4", "GRANTED_RES", cookie=cookie, stat="DENIED").reply()
    polled(stage)
    return stage.wire()


@quiet("CBK002")
def test_the_client_had_unlocked(stage: Stage) -> bytes:
    """A waiter that is killed may send UNLOCK at once, and CANCEL later."""
    _, waiter = waits(stage)
    waiter.unlock().granted()
    waiter.called_back("DENIED")
    return stage.wire()


@quiet("CBK002")
def test_the_client_had_the_lock_already(stage: Stage) -> bytes:
    _, waiter = waits(stage)
    polled(stage, 1)
    waiter.called_back("DENIED")
    return stage.wire()


@threshold("CBK002", "crossing_s", fires=5.5, quiet=4.5)
def test_how_soon_a_cancel_crosses_the_grant(stage: Stage, after_s: float) -> bytes:
    _, waiter = waits(stage)
    waiter.called_back("DENIED")
    stage.wait(after_s)
    waiter.cancel().granted()
    return stage.wire()


@cannot_tell("CBK002")
def test_a_cancel_may_be_lost(stage: Stage) -> bytes:
    _, waiter = waits(stage)
    number = stage.frames()
    waiter.cancel().granted()
    waiter.called_back("DENIED")
    stage.other.lock(stage.server, "/srv/second").granted()
    return stage.wire(lost=[number + 1, number + 2])


@cannot_tell("CBK002")
def test_the_answers_to_grants_are_not_captured(stage: Stage) -> bytes:
    _, waiter = waits(stage)
    waiter.call_back()
    return stage.wire()


def test_each_file_is_named_once() -> None:
    stage = Stage()
    for svid in (1, 2):
        waiter = stage.other.lock(stage.server, svid=svid)
        waiter.blocked()
        stage.wait(1)
        waiter.called_back("DENIED")
    (found,) = findings(asked("CBK002", stage.wire()))
    assert (found.count, len(found.files)) == (2, 1)
