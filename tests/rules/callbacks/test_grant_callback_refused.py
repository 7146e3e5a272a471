"""CBK002: a client refuses the lock that it waited for."""

from __future__ import annotations

from tests.rules.callbacks.handover import waits
from tests.rules.stage import OTHER, Stage, cannot_tell, fires, quiet


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
