"""MON002: statd takes long to agree to watch a host."""

from __future__ import annotations

from tests.rules.monitoring.statd import resolving, watched
from tests.rules.stage import CLIENT, SERVER, Stage, cannot_tell, diagnosed, fires, quiet


@fires("MON002", host=SERVER, clients=(CLIENT,))
def test_statd_is_slow(stage: Stage) -> bytes:
    watched(stage, "STAT_SUCC", 10.2)
    return stage.any(stage.server)


@quiet("MON002")
def test_statd_is_quick(stage: Stage) -> bytes:
    watched(stage, "STAT_SUCC", 0.4)
    return stage.any(stage.server)


@cannot_tell("MON002", command=True)
def test_a_slow_statd_is_not_seen(stage: Stage) -> bytes:
    watched(stage, "STAT_SUCC", 10.2)
    return stage.wire(stage.client)


@fires("MON002", host=SERVER)
def test_statd_waits_for_names_to_the_end_of_the_capture(stage: Stage) -> bytes:
    resolving(stage, 20)
    return stage.any(stage.server)


def test_on_the_wire_questions_for_dns_speak_for_the_resolver() -> None:
    stage = Stage()
    resolving(stage, 20).unanswered(resend=[10.2])
    diagnosis = diagnosed(stage.wire(stage.server))
    assert diagnosis.verdict.rule == "LCK001"
    assert diagnosis.hypotheses[0].rule == "MON002"
