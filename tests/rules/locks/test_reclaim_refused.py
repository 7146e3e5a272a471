"""LCK015: A client claims a lock again after a reboot of the server, and is refused: the lock is lost."""

from __future__ import annotations

from typing import Any

import pytest

from nfsrpc.rules.locks.reclaim_refused import STATUSES
from tests.rules.stage import (
    CLIENT,
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


def rebooted(stage: Stage) -> None:
    """The client holds the lock when the server reboots."""
    stage.client.lock(stage.server).granted()
    stage.wait(60)
    stage.boots(stage.server, stage.client, stage.other)


@fires("LCK015", host=SERVER, clients=(CLIENT,), count=1, severity="error")
def test_a_reclaim_that_is_denied(stage: Stage) -> bytes:
    rebooted(stage)
    stage.client.lock(stage.server, reclaim=True).denied()
    return stage.wire()


@fires("LCK015", host=SERVER, clients=(CLIENT,))
def test_a_reclaim_of_a_lock_of_before_the_capture(stage: Stage) -> bytes:
    stage.client.lock(stage.server, reclaim=True).denied("DENIED_NOLOCKS")
    return stage.wire()


@fires("LCK015")
def test_a_reclaim_by_message(stage: Stage) -> bytes:
    stage.client.lock(stage.server, reclaim=True, asynchronous=True).denied()
    return stage.wire()


@threshold("LCK015", "again_s", fires=10.5, quiet=9.5)
def test_a_reclaim_after_the_grace_period(stage: Stage, seconds: float) -> bytes:
    rebooted(stage)
    stage.wait(100)
    stage.client.lock(stage.server, reclaim=True).denied("DENIED_GRACE_PERIOD")
    stage.later(seconds)
    return stage.wire()


@cannot_tell("LCK015")
def test_the_capture_ends_before_the_client_would_try_again(stage: Stage) -> bytes:
    stage.client.lock(stage.server, reclaim=True).denied("DENIED_GRACE_PERIOD")
    stage.later(5)
    return stage.wire()


@quiet("LCK015")
def test_a_reclaim_that_is_granted(stage: Stage) -> bytes:
    rebooted(stage)
    stage.client.lock(stage.server, reclaim=True).granted()
    return stage.wire()


@quiet("LCK015")
def test_a_reclaim_that_is_granted_when_it_is_tried_again(stage: Stage) -> bytes:
    rebooted(stage)
    stage.client.lock(stage.server, reclaim=True).denied("DENIED_NOLOCKS")
    stage.wait(40)
    stage.client.lock(stage.server, reclaim=True).granted()
    return stage.wire()


@quiet("LCK015")
def test_a_reclaim_of_which_a_copy_is_granted(stage: Stage) -> bytes:
    lock = stage.client.lock(stage.server, reclaim=True)
    lock.denied("DENIED_NOLOCKS", after=60.0)
    lock.reply(stat="GRANTED", after=80.0)
    return stage.wire()


@quiet("LCK015")
def test_a_lock_that_is_denied_is_no_reclaim(stage: Stage) -> bytes:
    rebooted(stage)
    stage.other.lock(stage.server, block=False).denied()
    return stage.wire()


@quiet("LCK015")
def test_a_lock_that_was_reclaimed_and_later_denied_to_its_owner(stage: Stage) -> bytes:
    stage.client.lock(stage.server, reclaim=True).granted().unlock().granted()
    stage.wait(60)
    stage.client.lock(stage.server, block=False).denied()
    return stage.wire()


@cannot_tell("LCK015")
def test_no_reclaim_was_answered(stage: Stage) -> bytes:
    stage.client.lock(stage.server, reclaim=True)
    return stage.wire()


@pytest.mark.parametrize("status", [name for number, name in STATUSES.items() if number not in (3, 4)])
def test_whatever_the_reason_is_the_lock_is_lost(status: str) -> None:
    stage = Stage()
    stage.client.lock(stage.server, reclaim=True).denied(status)
    (found,) = findings(asked("LCK015", stage.wire()))
    assert found.title == f"1 reclaim of {CLIENT} refused by {SERVER}: {status}"


@pytest.mark.parametrize(
    ("status", "options", "cause"),
    [
        ("STALE_FH", {}, "LCK015"),
        ("STALE_FH", {"asynchronous": True, "svid": 2}, "LCK015"),
        ("DENIED_NOLOCKS", {}, "LCK004"),
        ("DENIED_NOLOCKS", {"asynchronous": True, "svid": 2}, "LCK004"),
    ],
)
def test_a_refused_reclaim_is_one_fault(status: str, options: dict[str, Any], cause: str) -> None:
    stage = Stage()
    rebooted(stage)
    stage.client.lock(stage.server, reclaim=True, **options).denied(status)
    assert [each.rule for each in diagnosed(stage.wire()).causes] == [cause]


def test_who_was_granted_it_between_is_named() -> None:
    stage = Stage()
    rebooted(stage)
    stage.other.lock(stage.server).granted()
    stage.wait(5)
    stage.client.lock(stage.server, reclaim=True).denied()
    diagnosis = diagnosed(stage.wire())
    (found,) = (found for found in diagnosis.findings if found.rule == "LCK015")
    assert f"The range was granted to 1@web-2 ({OTHER}) before." in found.explanation
    assert [proof.note for proof in found.evidence][-1] == f"granted to 1@web-2 ({OTHER})"
