"""MON002: statd takes long to agree to watch a host."""

from __future__ import annotations

from nfsrpc.facts.signs import Signs
from nfsrpc.rules.monitoring.monitor_slow import suspected
from tests.rules.monitoring.statd import resolving, watched
from tests.rules.stage import CLIENT, SERVER, Stage, cannot_tell, diagnosed, fires, quiet, threshold


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


@threshold("MON002", "slow_s", fires=1.1, quiet=0.9)
def test_how_long_statd_may_take(stage: Stage, seconds: float) -> bytes:
    watched(stage, "STAT_SUCC", seconds)
    return stage.any(stage.server)


@threshold("MON002", "gave_up_s", fires=54, quiet=56)
def test_an_answer_after_lockd_has_given_up_is_another_rules(stage: Stage, seconds: float) -> bytes:
    watched(stage, "STAT_SUCC", seconds)
    return stage.any(stage.server)


@cannot_tell("MON002")
def test_statd_waits_for_names_until_lockd_has_given_up(stage: Stage) -> bytes:
    resolving(stage, 60)
    return stage.any(stage.server)


def test_how_a_wait_speaks_for_the_resolver() -> None:
    def weight(granted_s: float | None, *, resolves: bool = False) -> int:
        suspicion = suspected(Signs(granted_s, None, None, resolves, served=False))
        return suspicion.weight if suspicion else 0

    assert [weight(10.5), weight(10.7), weight(4.5), weight(4.3)] == [4, 1, 4, 1]
    assert [weight(44), weight(45), weight(None)] == [1, 0, 0]
    assert [weight(None, resolves=True), weight(54, resolves=True), weight(55, resolves=True)] == [6, 6, 0]


@fires("MON002")
def test_statd_that_takes_just_as_long(stage: Stage) -> bytes:
    watched(stage, "STAT_SUCC", 1.0)
    return stage.any(stage.server)
