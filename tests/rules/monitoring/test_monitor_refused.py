"""MON001: statd refuses to watch a host: SM_MON is answered STAT_FAIL."""

from __future__ import annotations

from tests.rules.monitoring.statd import watched
from tests.rules.stage import CLIENT, SERVER, Stage, cannot_tell, fires, quiet


@fires("MON001", host=SERVER, clients=(CLIENT,))
def test_statd_refuses(stage: Stage) -> bytes:
    watched(stage, "STAT_FAIL", 0.01, "DENIED_NOLOCKS")
    return stage.any(stage.server)


@quiet("MON001")
def test_statd_agrees(stage: Stage) -> bytes:
    watched(stage, "STAT_SUCC", 0.01)
    return stage.any(stage.server)


@quiet("MON001")
def test_statd_agrees_when_asked_again(stage: Stage) -> bytes:
    watched(stage, "STAT_FAIL", 0.01, "DENIED_NOLOCKS")
    watched(stage, "STAT_SUCC", 0.01)
    return stage.any(stage.server)


@cannot_tell("MON001", command=True)
def test_statd_is_not_seen(stage: Stage) -> bytes:
    watched(stage, "STAT_FAIL", 0.01, "DENIED_NOLOCKS")
    return stage.wire(stage.client)
