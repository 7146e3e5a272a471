"""LCK005: The server is in its grace period after a reboot, and denies new locks."""

from __future__ import annotations

import pytest

from nfsrpc.rules.locks.lock_denied_grace_period import ASKED_S
from tests.rules.locks.scenes import rebooted
from tests.rules.stage import SERVER, Stage, asked, cannot_tell, diagnosed, findings, fires, quiet, threshold


def in_grace(stage: Stage, seconds: float) -> bytes:
    lock = stage.client.lock(stage.server)
    for _ in range(int(seconds / 5)):
        lock.denied("DENIED_GRACE_PERIOD")
        stage.wait(5)
        lock = stage.client.lock(stage.server)
    lock.granted()
    return stage.wire()


@fires("LCK005", host=SERVER, severity="info", count=18)
def test_a_grace_period(stage: Stage) -> bytes:
    return in_grace(stage, 90)


@fires("LCK005", host=SERVER, severity="warning")
def test_a_grace_period_that_lasts(stage: Stage) -> bytes:
    return in_grace(stage, 150)


@fires("LCK005", host=SERVER, severity="warning")
def test_a_grace_period_that_begins_again(stage: Stage) -> bytes:
    in_grace(stage, 20)
    return in_grace(stage, 20)


@quiet("LCK005")
def test_no_grace_period(stage: Stage) -> bytes:
    stage.client.lock(stage.server).granted()
    return stage.wire()


@cannot_tell("LCK005")
def test_no_results(stage: Stage) -> bytes:
    stage.client.lock(stage.server)
    return stage.wire()


@fires("LCK005", severity="info", count=11)
def test_reclaims_do_not_end_a_grace_period(stage: Stage) -> bytes:
    return rebooted(stage)


def test_a_server_that_reboots_is_healthy() -> None:
    assert diagnosed(rebooted(Stage())).verdict.state == "healthy"


@threshold("LCK005", "long_s", fires=130, quiet=120, severity="warning")
def test_a_grace_period_may_last_so_long(stage: Stage, seconds: float) -> bytes:
    return in_grace(stage, seconds)


@pytest.mark.parametrize(("pause", "severity"), [(ASKED_S - 1, "warning"), (ASKED_S + 1, "info")])
def test_over_a_long_pause_it_is_unknown_whether_the_grace_period_went_on(pause: float, severity: str) -> None:
    stage = Stage()
    for _ in range(4):
        stage.client.lock(stage.server).denied("DENIED_GRACE_PERIOD")
        stage.wait(pause)
    (found,) = findings(asked("LCK005", stage.wire()))
    assert found.severity == severity


@threshold("LCK005", "long_s", fires=125, quiet=115, severity="warning")
def test_a_request_of_before_the_reboot_does_not_make_the_grace_period_longer(stage: Stage, seconds: float) -> bytes:
    stage.client.lock(stage.server).denied("DENIED_GRACE_PERIOD", after=40.0)
    for _ in range(5):
        stage.wait(seconds / 5)
        stage.client.lock(stage.server).denied("DENIED_GRACE_PERIOD")
    return stage.wire()


@cannot_tell("LCK005")
def test_only_a_reclaim_is_in_the_capture(stage: Stage) -> bytes:
    stage.client.lock(stage.server, reclaim=True).granted()
    return stage.wire()
