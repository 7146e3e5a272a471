"""MON008: a server's lock service restarted, and nobody was told."""

from __future__ import annotations

import pytest

from tests.records import clock_set
from tests.rules.stage import (
    CLIENT,
    SERVER,
    Stage,
    asked,
    cannot_tell,
    diagnosed,
    findings,
    fires,
    quiet,
    rules_of,
    threshold,
)

REQUEST = 226  # bytes of a frame with a LOCK


def restarted(stage: Stage) -> None:
    """The client holds a lock, and the other meets a grace period."""
    stage.client.lock(stage.server).granted()
    stage.wait(30)
    stage.other.lock(stage.server).denied("DENIED_GRACE_PERIOD")
    stage.later(5)


@fires("MON008", host=SERVER, clients=(CLIENT,))
def test_a_restart_that_nobody_was_told_of(stage: Stage) -> bytes:
    restarted(stage)
    return stage.wire()


@quiet("MON008")
def test_a_reboot_that_everybody_was_told_of(stage: Stage) -> bytes:
    stage.client.lock(stage.server).granted()
    stage.wait(30)
    stage.boots(stage.server, stage.client)
    stage.client.lock(stage.server, reclaim=True).granted()
    stage.other.lock(stage.server).denied("DENIED_GRACE_PERIOD")
    return stage.wire()


@quiet("MON008")
def test_a_restart_while_nobody_held_a_lock(stage: Stage) -> bytes:
    stage.client.lock(stage.server).granted().unlock().granted()
    stage.wait(30)
    stage.other.lock(stage.server).denied("DENIED_GRACE_PERIOD")
    return stage.wire()


@quiet("MON008")
def test_the_notice_comes_from_another_address_of_the_server(stage: Stage) -> bytes:
    node = stage.scenario.host("10.0.0.8", name="nfssrv")
    stage.client.lock(stage.server).granted()
    stage.wait(60)
    node.notify(stage.client, 5).reply()
    stage.other.lock(stage.server, "/srv/other").denied("DENIED_GRACE_PERIOD")
    return stage.wire()


@quiet("MON008")
def test_the_notice_is_in_another_capture_whose_clock_is_an_hour_ahead(stage: Stage) -> list[bytes]:
    node = stage.scenario.host("10.0.0.8", name="nfssrv")
    stage.client.lock(stage.server).granted()
    stage.wait(60)
    node.notify(stage.client, 5).reply()
    stage.other.lock(stage.server, "/srv/other").denied("DENIED_GRACE_PERIOD")
    return [stage.wire(stage.server), clock_set(stage.wire(stage.client), 1, 3600)]


@cannot_tell("MON008")
def test_no_locks_at_all(stage: Stage) -> bytes:
    stage.nfs()
    return stage.wire()


def test_a_restart_without_notice_explains_a_lock_granted_twice() -> None:
    stage = Stage()
    restarted(stage)
    stage.wait(90)
    stage.other.lock(stage.server).granted()
    diagnosis = diagnosed(stage.wire())
    assert diagnosis.verdict.rule == "MON008"
    assert "LCK009" in rules_of(diagnosis.findings[0].explains)


@threshold("MON008", "notice_s", fires=121, quiet=119)
def test_how_late_a_notice_may_come(stage: Stage, seconds: float) -> bytes:
    restarted(stage)
    stage.wait(seconds - 5)
    stage.server.notify(stage.client, 5).reply()
    return stage.wire()


@fires("MON008", certainty="certain")
def test_questions_of_sm_notify_would_be_seen(stage: Stage) -> bytes:
    stage.client.getport(stage.server, "nlm4")
    restarted(stage)
    return stage.wire()


@fires("MON008", certainty="likely")
def test_notices_may_be_filtered_out(stage: Stage) -> bytes:
    restarted(stage)
    return stage.wire()


@quiet("MON008")
def test_a_notice_that_was_not_captured_was_understood(stage: Stage) -> bytes:
    stage.client.lock(stage.server).granted()
    stage.client.lock(stage.server, "/srv/second", svid=2).granted()
    stage.wait(30)
    stage.client.lock(stage.server, reclaim=True).granted()
    stage.other.lock(stage.server, "/srv/third").denied("DENIED_GRACE_PERIOD")
    return stage.wire()


@cannot_tell("MON008")
def test_the_notice_may_be_lost(stage: Stage) -> bytes:
    restarted(stage)
    number = stage.frames()
    stage.nfs(times=3)
    stage.later(5)
    return stage.wire(lost=[number + 4])


@cannot_tell("MON008", command=True)
def test_who_held_the_lock_before_the_restart_is_not_seen(stage: Stage) -> bytes:
    stage.other.lock(stage.server).denied()
    stage.wait(30)
    stage.other.lock(stage.server, svid=2).denied("DENIED_GRACE_PERIOD")
    stage.wait(20)
    stage.other.lock(stage.server, svid=2).granted()
    return stage.wire()


def test_no_blind_notice_is_advised() -> None:
    """Notices to clients that hold locks make them lose these."""
    stage = Stage()
    restarted(stage)
    (found,) = findings(asked("MON008", stage.wire()))
    assert [line.line for line in found.remedy] == ["", "ls /var/lib/nfs/sm /var/lib/nfs/statd/sm", ""]
    assert found.remedy[0].on == CLIENT


@quiet("MON008")
def test_the_holder_that_was_in_the_way_before_has_unlocked(stage: Stage) -> bytes:
    holder = stage.client.lock(stage.server).granted()
    stage.other.lock(stage.server).denied()
    holder.unlock().granted()
    stage.wait(30)
    stage.other.lock(stage.server, svid=2).denied("DENIED_GRACE_PERIOD")
    return stage.wire()


@quiet("MON008")
def test_a_holder_that_is_not_seen_after_the_restart(stage: Stage) -> bytes:
    stage.other.lock(stage.server).denied("DENIED_GRACE_PERIOD")
    stage.wait(100)
    stage.other.lock(stage.server, svid=2).denied()
    return stage.wire()


@cannot_tell("MON008")
def test_a_lock_without_an_answer(stage: Stage) -> bytes:
    stage.nfs()
    stage.client.lock(stage.server).unanswered(resend=[10])
    stage.later(20)
    return stage.wire()


@pytest.mark.parametrize(("snaplen", "is_found"), [(REQUEST - 5, False), (REQUEST - 4, True)])
def test_requests_that_are_cut_before_they_say_whether_they_reclaim(snaplen: int, is_found: bool) -> None:
    """The last field is the state of 4 bytes, the one before says it."""
    stage = Stage()
    restarted(stage)
    assert max(len(packet.data) for packet in stage.scenario.packets()) + 14 == REQUEST
    assert bool(findings(asked("MON008", stage.wire(snaplen=snaplen)))) == is_found
