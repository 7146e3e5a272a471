"""LCK002: Lock requests are answered, but late."""

from __future__ import annotations

import pytest

from nfsrpc.facts.lock_answers import HELD_BACK_S
from tests.rules.locks.scenes import ends, frames_of, over_udp, rebooted
from tests.rules.stage import CLIENT, OTHER, SERVER, Stage, asked, cannot_tell, findings, fires, quiet, threshold


@fires("LCK002", host=SERVER, severity="warning", clients=(CLIENT,))
def test_a_lock_after_ten_seconds(stage: Stage) -> bytes:
    stage.client.lock(stage.server).granted(after=10.2)
    return stage.wire()


@fires("LCK002", host=SERVER, severity="error", count=2)
def test_requests_after_more_than_a_minute(stage: Stage) -> bytes:
    lock = stage.client.lock(stage.server)
    unlock = stage.other.lock(stage.server, "/srv/other").granted(after=0.01).unlock()
    lock.granted(after=61.6, resent=[10.2, 31.7, 60.5])
    unlock.answered("GRANTED", after=61.7)
    return stage.wire()


@quiet("LCK002")
def test_locks_in_time(stage: Stage) -> bytes:
    stage.client.lock(stage.server).granted(after=4.9)
    return stage.wire()


@quiet("LCK002")
def test_a_reclaim_just_after_the_servers_notice(stage: Stage) -> bytes:
    stage.client.lock(stage.server).granted()
    stage.wait(60)
    stage.boots(stage.server, stage.client)
    stage.client.lock(stage.server, reclaim=True).granted(after=5.4)
    return stage.wire()


@quiet("LCK002")
def test_a_reclaim_whose_notice_was_not_captured(stage: Stage) -> bytes:
    stage.client.lock(stage.server, reclaim=True).granted(after=5.4)
    return stage.wire()


@quiet("LCK002")
def test_a_reclaim_of_a_lock_whose_grant_is_lost(stage: Stage) -> bytes:
    stage.client.lock(stage.server).granted()
    stage.wait(1)
    number = stage.frames()
    stage.client.lock(stage.server, "/srv/second").granted()
    stage.wait(60)
    stage.client.lock(stage.server, "/srv/second", reclaim=True).granted(after=5.4)
    return stage.wire(lost=[number + 2])


@quiet("LCK002")
def test_a_request_after_the_notice_that_is_cut_before_it_says_whether_it_reclaims(stage: Stage) -> bytes:
    stage.boots(stage.server, stage.client)
    stage.client.lock(stage.server, reclaim=True).granted(after=5.4)
    return stage.wire(snaplen=160)


@fires("LCK002", severity="error")
def test_a_reclaim_for_which_lockd_looks_for_statd(stage: Stage) -> bytes:
    stage.boots(stage.server, stage.client)
    stage.client.lock(stage.server, reclaim=True).granted(after=61.6)
    return stage.wire()


@cannot_tell("LCK002")
def test_no_lock_was_answered(stage: Stage) -> bytes:
    stage.client.lock(stage.server)
    stage.later(20)
    return stage.wire()


@quiet("LCK002")
def test_a_request_that_outlasts_a_reboot(stage: Stage) -> bytes:
    stage.client.lock(stage.server, "/srv/quick").granted()
    return rebooted(stage)


def test_an_answer_that_was_lost_on_the_way_is_located() -> None:
    stage = Stage()
    over_udp(stage).granted(after=0.01).resend(after=10.2).reply(stat="GRANTED", after=10.21)
    stage.later(20)
    replies = frames_of(stage, stage.any(stage.client), "LOCK", reply=True)
    for captures in (both := ends(stage, unseen_by_client=replies[:1])), both[::-1]:
        (found,) = findings(asked("LCK002", captures))
        assert f"the server, which answered after 10 ms (frame {replies[0]} of the capture" in found.explanation
        assert f"that answer was lost on the way to {CLIENT}." in found.explanation
        assert found.wait_s == pytest.approx(10.21, abs=0.01)
    assert findings(asked("LCK002", ends(stage))) == []


def test_a_lock_that_came_only_when_it_was_sent_again() -> None:
    stage = Stage()
    over_udp(stage).granted(after=10.21, resent=[10.2])
    stage.later(20)
    calls = frames_of(stage, stage.any(stage.server), "LOCK", reply=False)
    (found,) = findings(asked("LCK002", ends(stage, unseen_by_server=calls[:1])))
    assert f"It left the client {CLIENT}, was lost on the way, and reached {SERVER} 10.2 s later." in found.explanation


@threshold("LCK002", "late_s", fires=5.5, quiet=4.5)
def test_a_reply_after_so_long(stage: Stage, seconds: float) -> bytes:
    stage.client.lock(stage.server).granted(after=seconds)
    return stage.wire()


@threshold("LCK002", "error_s", fires=61, quiet=59, severity="error")
def test_from_here_on_it_is_an_error(stage: Stage, seconds: float) -> bytes:
    stage.client.lock(stage.server).granted(after=seconds)
    return stage.wire()


@threshold("LCK002", "reclaim_s", fires=61, quiet=59)
def test_a_reclaim_may_take_so_long(stage: Stage, seconds: float) -> bytes:
    stage.client.lock(stage.server, reclaim=True).granted(after=seconds)
    return stage.wire()


@threshold("LCK002", "reclaim_s", fires=61, quiet=59)
def test_a_cut_request_so_long_after_the_notice_may_be_a_reclaim(stage: Stage, seconds: float) -> bytes:
    stage.boots(stage.server, stage.client)
    stage.wait(seconds)
    stage.client.lock(stage.server, reclaim=True).granted(after=5.4)
    return stage.wire(snaplen=160)


@fires("LCK002")
def test_an_unlock_soon_after_the_notice_is_no_reclaim(stage: Stage) -> bytes:
    stage.boots(stage.server, stage.client)
    lock = stage.client.lock(stage.server, reclaim=True)
    lock.granted()
    lock.unlock().granted(after=5.4)
    return stage.wire(snaplen=160)


def held_back(stage: Stage, after: float = 0.001, *, length: int = 0) -> bytes:
    """A LOCK in conflict that is not answered BLOCKED, but when the holder unlocks."""
    holder = stage.client.lock(stage.server)
    holder.granted()
    stage.wait(3)
    waiter = stage.other.lock(stage.server, length=length)
    stage.wait(48)
    holder.unlock().granted()
    stage.wait(after)
    waiter.granted()
    return stage.wire()


@pytest.mark.parametrize(("after", "is_said"), [(HELD_BACK_S - 0.1, True), (HELD_BACK_S + 0.1, False)])
def test_a_reply_that_is_held_back_until_the_holder_unlocks(after: float, is_said: bool) -> None:
    (found,) = findings(asked("LCK002", held_back(Stage(), after)))
    said = f"came when 1@web-1 ({CLIENT}) released the range: {SERVER} held it back instead of answering BLOCKED."
    assert (said in found.explanation) == is_said
    assert (found.needs is None) == is_said
    assert ("BLOCKED" in found.remedy[0].note) == is_said
    assert (found.host, found.clients) == (SERVER, (OTHER,))


def test_a_late_reply_beside_a_lock_of_another_file_is_not_held_back() -> None:
    stage = Stage()
    holder = stage.client.lock(stage.server, "/srv/another")
    holder.granted()
    waiter = stage.other.lock(stage.server)
    stage.wait(48)
    holder.unlock().granted()
    waiter.granted()
    (found,) = findings(asked("LCK002", stage.wire()))
    assert "held it back" not in found.explanation


def test_shared_locks_do_not_hold_each_other_back() -> None:
    stage = Stage()
    holder = stage.client.lock(stage.server, exclusive=False)
    holder.granted()
    waiter = stage.other.lock(stage.server, exclusive=False)
    stage.wait(48)
    holder.unlock().granted()
    waiter.granted()
    (found,) = findings(asked("LCK002", stage.wire()))
    assert "held it back" not in found.explanation


def test_the_next_holder_does_not_hold_back_the_one_before() -> None:
    stage = Stage()
    lock = stage.client.lock(stage.server)
    lock.granted(after=20)
    lock.unlock().granted()
    stage.other.lock(stage.server).granted().unlock().granted()
    (found,) = findings(asked("LCK002", stage.wire()))
    assert "held it back" not in found.explanation
