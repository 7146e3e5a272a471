"""LCK012: Lock owners wait for each other in a circle: a deadlock."""

from __future__ import annotations

import pytest

from nfsrpc.findings.finding import lacking
from nfsrpc.rules.locks import circles
from nfsrpc.rules.locks.lock_wait_cycle import MAX_OWNERS, STUCK_S
from tests.rules.locks.scenes import waits_behind
from tests.rules.stage import CLIENT, OTHER, Stage, asked, cannot_tell, diagnosed, findings, fires, quiet


def crossed(stage: Stage) -> None:
    """Each holds what the other asks for."""
    stage.client.lock(stage.server, "/srv/a").granted()
    stage.other.lock(stage.server, "/srv/b").granted()
    stage.client.lock(stage.server, "/srv/b").blocked()
    stage.wait(0.5)


@fires("LCK012", clients=(CLIENT, OTHER))
def test_a_deadlock_that_the_server_tells(stage: Stage) -> bytes:
    crossed(stage)
    stage.other.lock(stage.server, "/srv/a").denied("DEADLCK")
    return stage.wire()


@fires("LCK012", clients=(CLIENT, OTHER))
def test_a_deadlock_that_nobody_notices(stage: Stage) -> bytes:
    crossed(stage)
    stage.other.lock(stage.server, "/srv/a").blocked()
    stage.later(20)
    return stage.wire()


@quiet("LCK012")
def test_a_queue_is_no_circle(stage: Stage) -> bytes:
    waits_behind(stage, released=False)
    stage.later(20)
    return stage.wire()


@cannot_tell("LCK012")
def test_one_half_of_a_deadlock(stage: Stage) -> bytes:
    crossed(stage)
    stage.other.lock(stage.server, "/srv/a").denied("DEADLCK")
    return stage.wire(stage.other)


def test_a_deadlock_explains_what_the_server_told() -> None:
    stage = Stage()
    crossed(stage)
    stage.other.lock(stage.server, "/srv/a").denied("DEADLCK")
    verdict = diagnosed(stage.wire()).verdict
    assert verdict.rule == "LCK012"
    assert "waited for each other" in verdict.summary


@pytest.mark.parametrize(("seconds", "is_found"), [(STUCK_S + 0.5, True), (STUCK_S - 0.5, False)])
def test_owners_that_wait_for_each_other_for_a_moment(seconds: float, is_found: bool) -> None:
    """One of them gives up: its application has a timeout."""
    stage = Stage()
    crossed(stage)
    waiter = stage.other.lock(stage.server, "/srv/a", svid=1)
    waiter.blocked()
    stage.later(seconds)
    waiter.cancel().granted()
    assert bool(findings(asked("LCK012", stage.wire()))) == is_found


@pytest.mark.parametrize(("owners", "is_short"), [(MAX_OWNERS, True), (MAX_OWNERS + 1, False)])
def test_of_a_long_circle_so_many_owners_are_named(owners: int, is_short: bool) -> None:
    stage = Stage()
    hosts = [stage.scenario.host(f"10.1.0.{number + 1}", name=f"h{number}") for number in range(owners)]
    for number, host in enumerate(hosts):
        host.lock(stage.server, f"/srv/{number}").granted()
    for number, host in enumerate(hosts):
        host.lock(stage.server, f"/srv/{(number + 1) % owners}").blocked()
    stage.later(20)
    (found,) = findings(asked("LCK012", stage.wire()))
    assert ("and so back to the first" in found.explanation) != is_short
    assert len(found.evidence) == MAX_OWNERS


@pytest.mark.parametrize(("few", "lack"), [(100, set()), (1, {"LCK012"})])
def test_where_not_all_circles_are_searched_there_may_be_more(
    monkeypatch: pytest.MonkeyPatch, few: int, lack: set[str]
) -> None:
    monkeypatch.setattr(circles, "STEPS", 0)
    monkeypatch.setattr(circles, "FEW", few)
    stage = Stage()
    crossed(stage)
    stage.other.lock(stage.server, "/srv/a").blocked()
    stage.later(20)
    assert lacking("room", asked("LCK012", stage.wire())) == lack
