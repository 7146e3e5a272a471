"""LCK007: Locks are not given back."""

from __future__ import annotations

from tests.rules.locks.scenes import ends, frames_of, over_udp
from tests.rules.stage import CLIENT, SERVER, Stage, asked, cannot_tell, findings, fires, quiet


@fires("LCK007", host=SERVER, clients=(CLIENT,), count=1, title=f"1 UNLOCK to {SERVER} never answered")
def test_an_unlock_without_answer(stage: Stage) -> bytes:
    stage.nfs()
    stage.client.lock(stage.server).granted().unlock().unanswered(resend=[10.2])
    stage.later(15)
    return stage.wire()


@fires("LCK007", host=SERVER, title=f"1 UNLOCK to {SERVER} refused")
def test_an_unlock_that_is_refused(stage: Stage) -> bytes:
    stage.client.lock(stage.server).granted().unlock().answered("DENIED_NOLOCKS")
    return stage.wire()


@quiet("LCK007")
def test_an_unlock_that_is_granted(stage: Stage) -> bytes:
    stage.client.lock(stage.server).granted().unlock().granted()
    return stage.wire()


@cannot_tell("LCK007")
def test_no_unlock(stage: Stage) -> bytes:
    stage.client.lock(stage.server).granted()
    return stage.wire()


def test_an_unlock_that_was_lost_on_the_way_is_located() -> None:
    stage = Stage()
    over_udp(stage).granted().unlock().unanswered(resend=[10.2, 31.7])
    stage.later(20)
    calls = frames_of(stage, stage.any(stage.server), "UNLOCK", reply=False)
    (found,) = findings(asked("LCK007", ends(stage, unseen_by_server=calls)))
    assert f"never reached the server {SERVER}" in found.explanation


@quiet("LCK007")
def test_an_unlock_in_the_grace_period(stage: Stage) -> bytes:
    stage.client.lock(stage.server).granted().unlock().answered("DENIED_GRACE_PERIOD")
    return stage.wire()


@cannot_tell("LCK007")
def test_the_capture_ends_just_after_the_unlock(stage: Stage) -> bytes:
    stage.client.lock(stage.server).granted().unlock()
    stage.later(5)
    return stage.wire()
