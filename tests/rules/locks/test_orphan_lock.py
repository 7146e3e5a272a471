"""LCK008: The server holds a lock that its owner no longer wants."""

from __future__ import annotations

from tests.rules.locks.scenes import waits_behind
from tests.rules.stage import CLIENT, SERVER, Stage, cannot_tell, fires, quiet


@fires("LCK008", host=SERVER, clients=(CLIENT,))
def test_a_copy_is_granted_after_the_denial(stage: Stage) -> bytes:
    lock = stage.client.lock(stage.server)
    lock.denied("DENIED_NOLOCKS", after=60.0)
    lock.reply(stat="GRANTED", after=80.0)
    stage.later(20)
    return stage.wire()


@quiet("LCK008")
def test_copies_are_granted_together(stage: Stage) -> bytes:
    stage.client.lock(stage.server).granted(after=61.6, resent=[10.2, 31.7, 60.5], copies=4)
    stage.later(20)
    return stage.wire()


@quiet("LCK008")
def test_a_late_grant_that_is_refused(stage: Stage) -> bytes:
    waits_behind(stage, released=False)
    waiter = stage.other.lock(stage.server, "/srv/second", svid=3)
    waiter.blocked()
    waiter.cancel().granted()
    waiter.called_back("DENIED")
    stage.later(20)
    return stage.wire()


@cannot_tell("LCK008")
def test_the_capture_ends_after_the_late_grant(stage: Stage) -> bytes:
    lock = stage.client.lock(stage.server)
    lock.denied("DENIED_NOLOCKS", after=60.0)
    lock.reply(stat="GRANTED", after=80.0)
    return stage.wire()
