"""LCK008: The server holds a lock that its owner no longer wants."""

from __future__ import annotations

from typing import Any

import pytest

from nfsrpc.facts import refusals
from nfsrpc.facts.refusals import APART_S, RENOTIFY_S
from nfsrpc.findings.finding import lacking
from tests.rules.locks.scenes import granted_too_late, polls, retries, waits_behind
from tests.rules.stage import (
    CLIENT,
    OTHER,
    SERVER,
    STATD,
    Stage,
    asked,
    cannot_tell,
    diagnosed,
    findings,
    fires,
    quiet,
    rules_of,
    starttls,
    threshold,
)


@fires("LCK008", host=SERVER, clients=(CLIENT,))
def test_a_copy_is_granted_after_the_denial(stage: Stage) -> bytes:
    granted_too_late(stage)
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
    granted_too_late(stage)
    return stage.wire()


def taken_over(stage: Stage, tries: int = 13, *, exclusive: bool = True, **options: Any) -> None:
    """After a takeover a client reclaims its lock and releases it; the other is denied the range all the same."""
    stage.nfs(stage.other)
    lock = stage.client.lock(stage.server, reclaim=True, exclusive=exclusive)
    lock.granted()
    stage.wait(10)
    lock.unlock().granted()
    stage.wait(10)
    polls(stage, tries, every=options.pop("every", 6), **options)


@fires("LCK008", host=SERVER, clients=(OTHER,), certainty="likely", severity="warning")
def test_a_range_is_denied_whose_only_holder_has_unlocked(stage: Stage) -> bytes:
    taken_over(stage)
    return stage.wire(stage.server)


def test_how_long_a_free_range_was_denied() -> None:
    stage = Stage()
    taken_over(stage, every=6)
    (found,) = findings(asked("LCK008", stage.wire(stage.server)))
    assert found.wait_s == pytest.approx(72, abs=0.5)


@threshold("LCK008", "refused_s", fires=61, quiet=59)
def test_a_free_range_is_denied_for_so_long(stage: Stage, lasts: float) -> bytes:
    taken_over(stage, every=lasts / 12)
    return stage.wire(stage.server)


@fires("LCK008", host=SERVER, clients=(OTHER,))
def test_a_request_that_waits_for_ever_for_a_free_range(stage: Stage) -> bytes:
    taken_over(stage, 0)
    for _ in range(4):
        stage.other.lock(stage.server).blocked()
        stage.later(30.7)
    return stage.wire(stage.server)


@quiet("LCK008")
def test_from_the_client_the_holder_is_not_seen(stage: Stage) -> bytes:
    taken_over(stage)
    return stage.wire(stage.other)


@quiet("LCK008")
def test_a_holder_of_before_the_capture_beside_a_shared_lock(stage: Stage) -> bytes:
    taken_over(stage, exclusive=False)
    return stage.wire(stage.server)


@fires("LCK008")
def test_a_shared_lock_is_denied_though_the_range_was_shared(stage: Stage) -> bytes:
    """Whoever excludes it would have excluded the one before, too."""
    stage.nfs(stage.other)
    lock = stage.client.lock(stage.server, exclusive=False)
    lock.granted()
    stage.wait(10)
    lock.unlock().granted()
    stage.wait(10)
    for number in range(13):
        stage.other.lock(stage.server, svid=number, block=False, exclusive=False).denied()
        stage.later(6)
    return stage.wire(stage.server)


@quiet("LCK008")
def test_a_holder_of_before_the_capture_on_another_part(stage: Stage) -> bytes:
    stage.nfs(stage.other)
    lock = stage.client.lock(stage.server, offset=0, length=100)
    lock.granted()
    stage.wait(10)
    lock.unlock().granted()
    stage.wait(10)
    polls(stage, 13, every=6, offset=50, length=100)
    return stage.wire(stage.server)


@quiet("LCK008")
def test_a_holder_of_before_the_capture(stage: Stage) -> bytes:
    stage.nfs()
    polls(stage, 13, every=6)
    return stage.wire(stage.server)


@quiet("LCK008")
def test_the_one_client_of_the_capture_may_not_be_the_only_one(stage: Stage) -> bytes:
    stage.statd_asked(stage.server, 1, port=STATD)
    lock = stage.other.lock(stage.server)
    lock.granted()
    stage.wait(10)
    lock.unlock().granted()
    stage.wait(10)
    for number in range(13):
        stage.other.lock(stage.server, svid=number, block=False).denied()
        stage.later(6, stage.other)
    return stage.any(stage.server)


@quiet("LCK008")
def test_what_is_encrypted_may_be_the_lock_of_another(stage: Stage) -> bytes:
    taken_over(stage)
    starttls(stage)
    return stage.wire(stage.server)


@quiet("LCK008")
def test_the_grant_to_another_may_be_lost(stage: Stage) -> bytes:
    taken_over(stage)
    last = stage.frames()
    stage.client.lock(stage.server, "/srv/second").granted()
    stage.client.lock(stage.server, "/srv/third").granted()
    return stage.wire(stage.server, lost=[last + 1])


@quiet("LCK008")
def test_nfs4_has_locks_that_are_not_seen(stage: Stage) -> bytes:
    taken_over(stage)
    stage.client.call(stage.server, "nfs4", "COMPOUND").reply()
    return stage.wire(stage.server)


@quiet("LCK008")
def test_the_next_one_holds_it(stage: Stage) -> bytes:
    stage.nfs(stage.other)
    lock = stage.client.lock(stage.server)
    lock.granted()
    stage.wait(10)
    lock.unlock().granted()
    stage.client.lock(stage.server, svid=2).granted()
    stage.wait(10)
    polls(stage, 13, every=6)
    return stage.wire(stage.server)


@pytest.mark.parametrize(("after", "is_found"), [(APART_S + 0.5, True), (APART_S - 0.5, False)])
def test_a_request_at_the_moment_of_the_release_may_have_come_before_it(after: float, is_found: bool) -> None:
    stage = Stage()
    stage.nfs(stage.other)
    lock = stage.client.lock(stage.server)
    lock.granted()
    stage.wait(10)
    lock.unlock().granted()
    stage.wait(after)
    polls(stage, 13, every=6)
    assert bool(findings(asked("LCK008", stage.wire(stage.server)))) == is_found


@pytest.mark.parametrize(("before", "is_found"), [(RENOTIFY_S + 5, True), (RENOTIFY_S - 5, False)])
def test_nobody_was_granted_it_since_the_server_rebooted(before: float, is_found: bool) -> None:
    """A notice soon after the capture began may be a repeated one: locks may have been reclaimed before."""
    stage = Stage()
    stage.nfs()
    stage.nfs(stage.other)
    stage.wait(before)
    stage.boots(stage.server, stage.client, stage.other)
    stage.later(95)
    polls(stage, 13, every=6)
    assert bool(findings(asked("LCK008", stage.wire(stage.server)))) == is_found


def holder_reboots(stage: Stage, *, answered: bool = True) -> None:
    """The host that holds the lock reboots and announces it; the other waits and asks again."""
    stage.client.lock(stage.server).granted()
    stage.wait(5)
    stage.other.lock(stage.server).blocked()
    stage.wait(10)
    notice = stage.client.notify(stage.server, 5)
    if answered:
        notice.reply()


@fires("LCK008", host=SERVER, clients=(CLIENT, OTHER), certainty="likely")
def test_a_lock_that_outlives_the_reboot_of_its_holder(stage: Stage) -> bytes:
    holder_reboots(stage)
    retries(stage, 3)
    return stage.wire()


@threshold("LCK008", "notice_s", fires=10.5, quiet=9.5)
def test_the_lock_is_refused_so_long_after_the_notice(stage: Stage, seconds: float) -> bytes:
    holder_reboots(stage)
    stage.later(seconds)
    stage.other.lock(stage.server).blocked()
    stage.later(40)
    return stage.wire()


@quiet("LCK008")
def test_a_notice_that_the_server_does_not_answer(stage: Stage) -> bytes:
    holder_reboots(stage, answered=False)
    retries(stage, 3)
    return stage.wire()


@quiet("LCK008")
def test_a_reboot_before_the_grant(stage: Stage) -> bytes:
    stage.boots(stage.client, stage.server)
    stage.client.lock(stage.server).granted()
    for _ in range(3):
        stage.other.lock(stage.server).blocked()
        stage.later(30.7)
    return stage.wire()


@quiet("LCK008")
def test_the_lock_of_a_host_that_rebooted_is_dropped(stage: Stage) -> bytes:
    holder_reboots(stage)
    stage.later(20)
    stage.other.lock(stage.server).granted()
    return stage.wire()


def test_a_kept_lock_explains_the_wait_and_the_polling() -> None:
    stage = Stage()
    taken_over(stage)
    diagnosis = diagnosed(stage.wire(stage.server))
    assert (diagnosis.verdict.rule, rules_of(diagnosis.findings[0].explains)) == ("LCK008", {"LCK016"})
    stage = Stage()
    holder_reboots(stage)
    retries(stage, 3)
    diagnosis = diagnosed(stage.wire())
    assert diagnosis.verdict.rule == "MON005"
    assert "LCK011" in rules_of(diagnosis.findings[0].explains)


@threshold("LCK008", "unlock_s", fires=10.5, quiet=9.5)
def test_no_unlock_follows_for_so_long(stage: Stage, seconds: float) -> bytes:
    granted_too_late(stage)
    stage.later(seconds)
    return stage.wire()


@quiet("LCK008")
def test_a_late_grant_that_is_unlocked_after_all(stage: Stage) -> bytes:
    lock = granted_too_late(stage)
    lock.unlock().granted()
    stage.later(20)
    return stage.wire()


@fires("LCK008", host=SERVER, clients=(OTHER,))
def test_a_cancel_that_is_refused(stage: Stage) -> bytes:
    waits_behind(stage, released=False)
    waiter = stage.other.lock(stage.server, "/srv/second", svid=3)
    waiter.blocked()
    waiter.cancel().denied()
    stage.later(20)
    return stage.wire()


@quiet("LCK008")
def test_a_cancel_that_is_refused_before_the_unlock(stage: Stage) -> bytes:
    waits_behind(stage, released=False)
    waiter = stage.other.lock(stage.server, "/srv/second", svid=3)
    waiter.blocked()
    waiter.cancel().denied()
    waiter.unlock().granted()
    stage.later(20)
    return stage.wire()


@quiet("LCK008")
def test_a_late_grant_whose_unlock_is_refused(stage: Stage) -> bytes:
    lock = granted_too_late(stage)
    lock.unlock().answered("DENIED_NOLOCKS")
    stage.later(20)
    return stage.wire()


@cannot_tell("LCK008")
def test_the_unlock_of_a_late_grant_may_be_lost(stage: Stage) -> bytes:
    granted_too_late(stage)
    last = stage.frames()
    stage.client.lock(stage.server, "/srv/second").granted()
    stage.client.lock(stage.server, "/srv/third").granted()
    stage.later(20)
    return stage.wire(lost=[last + 1])


@fires("LCK008", host=SERVER, clients=(CLIENT,))
def test_a_grant_after_the_client_gave_up(stage: Stage) -> bytes:
    stage.other.lock(stage.server).granted()
    waiter = stage.client.lock(stage.server)
    waiter.blocked()
    waiter.cancel().granted()
    waiter.called_back()
    stage.later(20)
    return stage.wire()


@quiet("LCK008")
def test_the_capture_at_the_server_ends_before(stage: Stage) -> list[bytes]:
    taken_over(stage)
    return [stage.wire(stage.server, until=40), stage.wire(stage.other)]


@quiet("LCK008")
def test_a_notice_of_a_host_whose_application_still_has_the_lock(stage: Stage) -> bytes:
    """sm-notify was run by hand: the holder unlocks in the end."""
    holder = stage.client.lock(stage.server)
    holder.granted()
    stage.boots(stage.client, stage.server)
    polls(stage, 13, every=6)
    holder.unlock().granted()
    return stage.wire()


@quiet("LCK008")
def test_a_notice_that_is_repeated(stage: Stage) -> bytes:
    """The reboot was before the capture, in which only the last of the repeated notices are."""
    stage.nfs()
    stage.nfs(stage.other)
    for _ in range(2):
        stage.boots(stage.server, stage.client, stage.other)
        stage.later(RENOTIFY_S)
    polls(stage, 13, every=6)
    return stage.wire(stage.server)


@quiet("LCK008")
def test_a_host_that_rebooted_has_locked_the_range_again(stage: Stage) -> bytes:
    holder_reboots(stage)
    stage.wait(1)
    stage.client.lock(stage.server, svid=7).granted()
    retries(stage, 3)
    return stage.wire()


@quiet("LCK008")
def test_a_range_that_was_free_has_another_holder_meanwhile(stage: Stage) -> bytes:
    taken_over(stage, 6)
    stage.client.lock(stage.server, svid=7).granted()
    polls(stage, 13, every=6)
    return stage.wire(stage.server)


@pytest.mark.parametrize(("most", "lack"), [(3, set()), (2, {"LCK008"})])
def test_of_very_many_refusals_the_longest_are_looked_at(
    monkeypatch: pytest.MonkeyPatch, most: int, lack: set[str]
) -> None:
    """Two wait behind a holder for a moment; the one that is refused a free range for long comes last."""
    monkeypatch.setattr(refusals, "MAX_REFUSALS", most)
    stage = Stage()
    stage.client.lock(stage.server, "/srv/held").granted()
    taken_over(stage)
    for number in range(2):
        stage.other.lock(stage.server, "/srv/held", svid=10 + number).blocked()
    stage.later(5)
    answers = asked("LCK008", stage.wire(stage.server))
    assert ([found.host for found in findings(answers)], lacking("room", answers)) == ([SERVER], lack)
