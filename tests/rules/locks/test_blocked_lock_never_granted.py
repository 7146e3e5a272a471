"""LCK003: A lock became free, and the one who waits for it does not get it."""

from __future__ import annotations

from tests.rules.locks.scenes import a_part_is_released, retries, waits_behind
from tests.rules.stage import OTHER, SERVER, Stage, cannot_tell, fires, quiet, threshold
from tests.scenario import LockRequest


@fires("LCK003", host=SERVER, clients=(OTHER,), certainty="certain")
def test_a_free_lock_that_nobody_gets(stage: Stage) -> bytes:
    waits_behind(stage)
    stage.later(40)
    return stage.wire()


@fires("LCK003", host=SERVER, certainty="likely")
def test_a_free_lock_that_the_server_says_is_taken(stage: Stage) -> bytes:
    waits_behind(stage)
    retries(stage, 2)
    return stage.wire()


@quiet("LCK003")
def test_the_next_in_the_queue_has_it(stage: Stage) -> bytes:
    first, third = stage.client.lock(stage.server), stage.client.lock(stage.server, svid=7)
    first.granted()
    third.blocked()
    stage.other.lock(stage.server).blocked()
    first.unlock().granted()
    third.granted()
    stage.later(40)
    return stage.wire()


@cannot_tell("LCK003")
def test_the_holder_is_not_in_the_capture(stage: Stage) -> bytes:
    waits_behind(stage)
    stage.later(40, stage.other)
    return stage.wire(stage.other)


@quiet("LCK003")
def test_a_lock_of_which_a_part_is_still_held(stage: Stage) -> bytes:
    return a_part_is_released(stage, 50, 100)


@fires("LCK003", host=SERVER)
def test_a_part_that_is_free_and_that_nobody_gets(stage: Stage) -> bytes:
    return a_part_is_released(stage, 50, 50)


@threshold("LCK003", "free_s", fires=31, quiet=29)
def test_a_lock_is_free_for_so_long(stage: Stage, seconds: float) -> bytes:
    waits_behind(stage)
    stage.later(seconds)
    return stage.wire()


@quiet("LCK003")
def test_the_client_gave_up(stage: Stage) -> bytes:
    first = stage.client.lock(stage.server)
    first.granted()
    waiter = stage.other.lock(stage.server)
    waiter.blocked()
    stage.wait(2)
    waiter.cancel().granted()
    first.unlock().granted()
    stage.later(40)
    return stage.wire()


@cannot_tell("LCK003")
def test_the_grant_may_be_lost(stage: Stage) -> bytes:
    waits_behind(stage)
    last = stage.frames()
    stage.other.lock(stage.server, "/srv/second").granted()
    stage.later(40)
    return stage.wire(lost=[last + 1])


@quiet("LCK003")
def test_the_client_has_it_when_it_retries(stage: Stage) -> bytes:
    waits_behind(stage)
    stage.later(35)
    stage.other.lock(stage.server).granted()
    stage.later(5)
    return stage.wire()


def waits(stage: Stage) -> LockRequest:
    """Another one waits for the lock until it is free."""
    first = stage.client.lock(stage.server)
    first.granted()
    waiter = stage.other.lock(stage.server)
    waiter.blocked()
    stage.wait(2)
    first.unlock().granted()
    return waiter


def called_back(stage: Stage) -> LockRequest:
    """The grant reaches the waiter's lockd, and its GRANTED_RES is not captured."""
    waiter = waits(stage)
    waiter.call_back().reply()
    return waiter


@cannot_tell("LCK003")
def test_how_the_client_answered_the_grant_is_not_captured(stage: Stage) -> bytes:
    called_back(stage)
    stage.later(40)
    return stage.wire()


@fires("LCK003", host=SERVER, certainty="likely")
def test_a_client_that_retries_did_not_take_the_grant(stage: Stage) -> bytes:
    called_back(stage)
    retries(stage, 2)
    return stage.wire()


@fires("LCK003", host=SERVER, certainty="certain")
def test_a_grant_that_gets_no_reply_did_not_reach_the_client(stage: Stage) -> bytes:
    waiter = waits(stage)
    waiter.call_back().unanswered(resend=[10])
    stage.later(40)
    return stage.wire()


@quiet("LCK003")
def test_a_client_that_unlocks_does_not_wait(stage: Stage) -> bytes:
    waiter = called_back(stage)
    stage.later(10)
    waiter.unlock().granted()
    stage.later(40)
    return stage.wire()


@fires("LCK003", host=SERVER)
def test_a_client_that_unlocks_and_retries_waits(stage: Stage) -> bytes:
    """Another thread closes the file: its locks go, and a request of the same owner waits on."""
    waits(stage).unlock().granted()
    stage.later(5)
    retries(stage, 2)
    return stage.wire()


@quiet("LCK003")
def test_a_grant_comes_from_another_address_of_the_server(stage: Stage) -> bytes:
    """The GRANTED_RES goes to that address."""
    waiter = waits(stage)
    caller = stage.scenario.host("10.0.7.9", name="nfssrv")
    grant = {"cookie": caller.cookie(), "exclusive": True, "alock": waiter.args["alock"] | {"caller_name": "nfssrv"}}
    caller.call(stage.other, "nlm4", "GRANTED_MSG", **grant).reply()
    stage.other.call(caller, "nlm4", "GRANTED_RES", cookie=grant["cookie"], stat="GRANTED").reply()
    stage.later(40)
    return stage.wire()
