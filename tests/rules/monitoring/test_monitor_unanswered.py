"""MON003: statd does not answer when it is asked to watch a host."""

from __future__ import annotations

import pytest

from nfsrpc.facts.signs import Signs
from nfsrpc.rules.monitoring.monitor_unanswered import suspected
from nfsrpc.wording import NAME_CUT
from tests.rules.monitoring.statd import resolving, watched
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
from tests.wire import UDP


@fires("MON003", host=SERVER, clients=(CLIENT,))
def test_statd_hangs(stage: Stage) -> bytes:
    watched(stage, None, 60.0, "DENIED_NOLOCKS")
    stage.later(20)
    return stage.any(stage.server)


@fires("MON003", host=SERVER, certainty="likely")
def test_the_capture_ends_before_lockd_gives_up(stage: Stage) -> bytes:
    stage.nfs(stage.other)
    stage.client.lock(stage.server)
    stage.server.monitor(stage.client)
    stage.later(20, stage.other)
    return stage.any(stage.server)


@fires("MON003", host=SERVER)
def test_statd_answers_when_lockd_has_given_up(stage: Stage) -> bytes:
    stage.nfs(stage.other)
    lock = stage.client.lock(stage.server)
    call = stage.server.monitor(stage.client)
    lock.denied("DENIED_NOLOCKS", after=18.0)
    call.reply(res_stat="STAT_SUCC", state=3, after=30.0)
    return stage.any(stage.server)


@quiet("MON003")
def test_statd_answers(stage: Stage) -> bytes:
    watched(stage, "STAT_SUCC", 0.01)
    return stage.any(stage.server)


@cannot_tell("MON003")
def test_the_capture_ends_while_statd_thinks(stage: Stage) -> bytes:
    watched(stage, None, 3.0, "BLOCKED")
    return stage.any(stage.server)


def test_a_frozen_statd_explains_denials_and_the_orphan() -> None:
    stage = Stage()
    stage.nfs(stage.other)
    lock = stage.client.lock(stage.server)
    stage.server.getport(stage.server, "nsm1")
    call = stage.server.monitor(stage.client)
    lock.denied("DENIED_NOLOCKS", after=60.0)
    call.reply(res_stat="STAT_SUCC", state=3, after=80.0)
    lock.reply(stat="GRANTED", after=80.1)
    stage.later(20)
    diagnosis = diagnosed(stage.any(stage.server))
    assert (diagnosis.verdict.rule, diagnosis.findings[0].host) == ("MON003", SERVER)
    assert {"LCK004", "LCK008"} <= rules_of(diagnosis.findings[0].explains)


@cannot_tell("MON003")
def test_statd_that_waits_for_names_does_not_hang_yet(stage: Stage) -> bytes:
    resolving(stage, 20)
    return stage.any(stage.server)


def test_statd_waits_for_names_until_lockd_gives_up() -> None:
    stage = Stage()
    resolving(stage, 60).denied("DENIED_NOLOCKS")
    stage.later(10)
    (finding,) = findings(asked("MON003", stage.any(stage.server)))
    assert "It waits for DNS" in finding.explanation
    assert any("asks DNS, no answer" in proof.note for proof in finding.evidence)


@fires("MON003", host=SERVER)
def test_another_host_asks_dns_in_vain(stage: Stage) -> bytes:
    stage.nfs(stage.other)
    stage.client.lock(stage.server)
    stage.server.monitor(stage.client)
    stage.client.flow(stage.scenario.host("10.0.0.53"), 53, UDP).note(stage.scenario.tick(), True, 0, b"?")
    stage.later(20, stage.other)
    return stage.any(stage.server)


def test_a_statd_that_hung_was_not_slow_besides() -> None:
    stage = Stage()
    stage.nfs(stage.other)
    lock = stage.client.lock(stage.server)
    call = stage.server.monitor(stage.client)
    lock.denied("DENIED_NOLOCKS", after=60.0)
    again = stage.server.monitor(stage.client)
    stage.wait(10)
    call.reply(res_stat="STAT_SUCC", state=3)
    again.reply(res_stat="STAT_SUCC", state=3)
    stage.later(1)
    diagnosis = diagnosed(stage.any(stage.server))
    assert diagnosis.verdict.rule == "MON003"
    assert "MON002" in rules_of(diagnosis.findings[0].explains)


def test_a_frozen_statd_explains_denials_of_what_waited_before_it_was_asked() -> None:
    """lockd does one thing at a time: the LOCK came half a minute before it asked statd because of it."""
    stage = Stage()
    stage.nfs()
    stage.client.lock(stage.server, "/srv/first").granted(after=30)
    lock = stage.other.lock(stage.server)
    stage.wait(30)
    stage.server.monitor(stage.other)
    lock.denied("DENIED_NOLOCKS", after=90)
    stage.later(5)
    diagnosis = diagnosed(stage.any(stage.server))
    assert diagnosis.verdict.rule == "MON003"
    assert "LCK004" in rules_of(diagnosis.findings[0].explains)


@threshold("MON003", "gave_up_s", fires=56, quiet=54)
def test_an_answer_is_too_late(stage: Stage, seconds: float) -> bytes:
    watched(stage, "STAT_SUCC", seconds)
    return stage.any(stage.server)


@threshold("MON003", "served_s", fires=10.5, quiet=9.5)
def test_how_soon_a_lockd_that_had_its_answer_serves_others(stage: Stage, seconds: float) -> bytes:
    stage.nfs(stage.other)
    stage.client.lock(stage.server)
    stage.server.monitor(stage.client)
    stage.wait(seconds)
    stage.other.lock(stage.server, "/srv/second").granted()
    stage.later(20, stage.other)
    return stage.any(stage.server)


@threshold("MON003", "served_s", fires=10.5, quiet=9.5)
def test_a_lock_manager_with_many_threads_serves_others_meanwhile(stage: Stage, seconds: float) -> bytes:
    """Ganesha denies the LOCK for which it asked statd after 18 s."""
    stage.nfs(stage.other)
    lock = stage.client.lock(stage.server)
    stage.server.monitor(stage.client)
    stage.wait(1)
    stage.other.lock(stage.server, "/srv/second").granted()
    lock.denied("DENIED_NOLOCKS", after=seconds)
    stage.later(20, stage.other)
    return stage.any(stage.server)


@cannot_tell("MON003")
def test_a_client_that_sends_its_lock_had_its_answer(stage: Stage) -> bytes:
    stage.client.monitor(stage.server).reply(res_stat="STAT_SUCC", state=3)
    stage.client.monitor(stage.server)
    stage.client.lock(stage.server).granted()
    stage.later(20)
    return stage.any(stage.client)


def test_how_a_wait_speaks_for_a_statd_that_hangs() -> None:
    def weight(granted_s: float | None = None, denied_s: float | None = None, open_s: float | None = None) -> int:
        suspicion = suspected(Signs(granted_s, denied_s, open_s, resolves=False, served=False))
        return suspicion.weight if suspicion else 0

    assert [weight(denied_s=15), weight(denied_s=14)] == [5, 0]
    assert weight(open_s=11) == 3
    assert [weight(granted_s=55), weight(granted_s=54)] == [1, 0]


@cannot_tell("MON003")
def test_the_answer_may_be_lost(stage: Stage) -> bytes:
    """The capture lacks something of that loopback."""
    stage.nfs(stage.other)
    stage.client.lock(stage.server)
    stage.server.monitor(stage.client)
    number = stage.frames()
    stage.server.getport(stage.server, "nsm1")
    stage.later(70, stage.other)
    return stage.any(stage.server, lost=[number + 4])


@pytest.mark.parametrize(
    ("rule", "answer"), [("MON001", ("STAT_FAIL", 0.1)), ("MON002", ("STAT_SUCC", 6.0)), ("MON003", (None, 60.0))]
)
def test_a_name_that_is_cut_off_is_said_to_be(rule: str, answer: tuple[str | None, float]) -> None:
    stage = Stage()
    watched(stage, *answer, "DENIED_NOLOCKS")
    stage.later(20)
    (found,) = findings(asked(rule, stage.any(stage.server, snaplen=130)))
    assert f"SM_MON {NAME_CUT}" in {proof.note for proof in found.evidence}
