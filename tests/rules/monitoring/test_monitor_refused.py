"""MON001: statd refuses to watch a host: SM_MON is answered STAT_FAIL."""

from __future__ import annotations

from nfsrpc.facts.signs import Signs
from nfsrpc.rules.monitoring.monitor_refused import suspected
from tests.rules.monitoring.statd import watched
from tests.rules.stage import CLIENT, SERVER, Stage, asked, cannot_tell, findings, fires, quiet


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


def test_how_a_quick_denial_speaks_for_a_refusal() -> None:
    assert suspected(Signs(None, 4.9, None, resolves=False, served=False)) is not None
    assert suspected(Signs(None, 5.0, None, resolves=False, served=False)) is None
    assert suspected(Signs(3.0, None, None, resolves=False, served=False)) is None


def test_the_names_that_statd_refuses() -> None:
    stage = Stage()
    watched(stage, "STAT_FAIL", 0.01, "DENIED_NOLOCKS")
    (finding,) = findings(asked("MON001", stage.any(stage.server)))
    assert str(finding.remedy[0]) == "getent hosts 10.0.0.1   # on 10.0.0.9"
