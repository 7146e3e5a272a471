"""MON006: a host says that it has rebooted."""

from __future__ import annotations

from typing import Any

import pytest

from tests.rules.stage import CLIENT, SERVER, Stage, asked, cannot_tell, findings, fires, quiet, threshold


@fires("MON006", host=SERVER, severity="info")
def test_a_server_has_rebooted(stage: Stage) -> bytes:
    stage.boots(stage.server, stage.client, stage.other)
    return stage.wire()


@fires("MON006", host=CLIENT, severity="warning")
def test_a_client_that_goes_on_has_not_rebooted(stage: Stage) -> bytes:
    stage.nfs()
    stage.client.lock(stage.server).granted()
    stage.wait(30)
    stage.boots(stage.client, stage.server)
    stage.later(10)
    return stage.wire()


@quiet("MON006")
def test_no_reboot(stage: Stage) -> bytes:
    stage.nfs()
    return stage.wire()


@cannot_tell("MON006")
def test_nothing_at_all(stage: Stage) -> bytes:
    return stage.wire()


def goes_on(stage: Stage, before_s: float, after_s: float, *, locked: bool = True) -> bytes:
    """A client's connections began so long before its notice, and are used so long after it."""
    if locked:
        stage.client.lock(stage.server).granted()
    stage.nfs()
    stage.wait(before_s)
    stage.boots(stage.client, stage.server)
    stage.later(after_s)
    return stage.wire()


@threshold("MON006", "before_s", fires=5.5, quiet=4.5, severity="warning")
def test_how_old_a_connection_is(stage: Stage, seconds: float) -> bytes:
    return goes_on(stage, seconds, 10)


@threshold("MON006", "after_s", fires=2.5, quiet=1.5, severity="warning")
def test_how_long_a_connection_is_used_after_the_notice(stage: Stage, seconds: float) -> bytes:
    return goes_on(stage, 30, seconds)


@fires("MON006", severity="info")
def test_a_false_notice_of_a_client_without_locks_does_no_harm(stage: Stage) -> bytes:
    return goes_on(stage, 30, 10, locked=False)


@fires("MON006", severity="info", host=None)
def test_a_downcall_without_its_notice(stage: Stage) -> bytes:
    told: dict[str, Any] = {"transport": "udp", "cred": False, "mon_name": "web-9", "state": 5, "priv": bytes(16)}
    stage.nfs()
    stage.server.call(stage.server, "nlm3", "NSM_NOTIFY", **told).reply()
    return stage.any(stage.server)


@pytest.mark.parametrize(
    ("missing", "notice"),
    [(0, "SM_NOTIFY nfssrv, state 5"), (4, "SM_NOTIFY nfssrv"), (8, "SM_NOTIFY a host whose name is cut off")],
)
def test_a_notice_that_is_cut_off(missing: int, notice: str) -> None:
    stage = Stage()
    stage.server.notify(stage.client, 5)
    (packet,) = stage.scenario.packets()
    (found,) = findings(asked("MON006", stage.wire(snaplen=14 + len(packet.data) - missing)))
    assert f"({notice}). Its peers" in found.explanation
