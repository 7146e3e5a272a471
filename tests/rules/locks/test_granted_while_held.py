"""LCK009: A lock is granted that, by this capture, another holds."""

from __future__ import annotations

import pytest

from nfsrpc.findings.finding import lacking
from nfsrpc.rules.locks import granted_while_held
from nfsrpc.rules.locks.granted_while_held import MAX_CASES
from tests.rules.locks.scenes import twins, unlock
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
    rules_of,
    threshold,
)


def both_granted(stage: Stage) -> None:
    stage.client.lock(stage.server).granted()
    stage.wait(10)
    stage.other.lock(stage.server).granted()


@fires("LCK009", host=SERVER, severity="error", certainty="certain", clients=(CLIENT, OTHER), needs=None)
def test_granted_while_another_holds_it(stage: Stage) -> bytes:
    stage.client.getport(stage.server, "nlm4")
    both_granted(stage)
    return stage.wire()


@fires("LCK009", host=SERVER, certainty="certain")
def test_granted_while_another_holds_it_beside_the_talk_of_statds(stage: Stage) -> bytes:
    both_granted(stage)
    stage.monitored(stage.server, stage.other)
    return stage.any(stage.server)


@fires("LCK009", host=SERVER, certainty="likely")
def test_a_capture_of_lockds_port_alone_would_not_show_that_the_holder_rebooted(stage: Stage) -> bytes:
    both_granted(stage)
    return stage.wire()


def test_what_would_show_that_the_holder_rebooted() -> None:
    stage = Stage()
    both_granted(stage)
    (found,) = findings(asked("LCK009", stage.wire()))
    assert found.needs is not None
    assert found.needs.command.line.endswith(f"-w {SERVER}.pcap 'host {CLIENT} or host {OTHER}'")
    assert "not captured" in found.explanation


@fires("LCK009", host=SERVER)
def test_granted_in_the_middle_of_a_range_that_another_holds(stage: Stage) -> bytes:
    stage.client.lock(stage.server, offset=0, length=100).granted()
    stage.wait(10)
    stage.other.lock(stage.server, offset=50, length=1, exclusive=False).granted()
    return stage.wire()


@pytest.mark.parametrize("others", [1, 19, 21, 240])
def test_a_lock_granted_twice_is_found_behind_others_granted_at_once(others: int) -> None:
    """Which of some clients was first within a second is not known; who comes ten seconds later is one too many."""
    stage = Stage()
    for number in range(others):
        stage.scenario.host(f"10.1.0.{number + 1}", name=f"h{number}").lock(stage.server, "/srv/a").granted()
    stage.later(10)
    stage.client.lock(stage.server, "/srv/a").granted()
    stage.later(10)
    assert [found.rule for found in findings(asked("LCK009", stage.wire()))] == ["LCK009"]


@quiet("LCK009")
def test_shared_locks_and_other_ranges(stage: Stage) -> bytes:
    for host in (stage.client, stage.other):
        host.lock(stage.server, "/srv/shared", exclusive=False).granted()
        host.lock(stage.server, "/srv/ranges", offset=host.number * 100, length=100).granted()
        stage.wait(10)
    return stage.wire()


@quiet("LCK009")
def test_the_holder_unlocks_and_the_grant_crosses_the_answer(stage: Stage) -> bytes:
    lock = stage.client.lock(stage.server).granted()
    stage.wait(10)
    unlock = lock.unlock()
    stage.other.lock(stage.server).granted()
    unlock.granted()
    return stage.wire()


@quiet("LCK009")
def test_the_holder_has_rebooted(stage: Stage) -> bytes:
    stage.client.lock(stage.server).granted()
    stage.wait(60)
    stage.boots(stage.client, stage.server)
    stage.wait(5)
    stage.other.lock(stage.server).granted()
    return stage.wire()


@quiet("LCK009")
def test_the_part_that_another_gets_was_released(stage: Stage) -> bytes:
    whole = stage.client.lock(stage.server)
    whole.granted()
    stage.wait(5)
    unlock(stage, whole, 0, 100)
    stage.wait(5)
    stage.other.lock(stage.server, offset=0, length=50).granted()
    return stage.wire()


@fires("LCK009", host=SERVER)
def test_another_part_was_released(stage: Stage) -> bytes:
    whole = stage.client.lock(stage.server)
    whole.granted()
    stage.wait(5)
    unlock(stage, whole, 0, 100)
    stage.wait(5)
    stage.other.lock(stage.server, offset=200, length=50).granted()
    return stage.wire()


@quiet("LCK009")
def test_the_holder_made_a_part_of_its_lock_a_shared_one(stage: Stage) -> bytes:
    stage.client.lock(stage.server).granted()
    stage.wait(5)
    stage.client.lock(stage.server, offset=0, length=100, exclusive=False).granted()
    stage.wait(5)
    stage.other.lock(stage.server, offset=0, length=50, exclusive=False).granted()
    return stage.wire()


@fires("LCK009", host=SERVER)
def test_the_holder_made_another_part_of_its_lock_a_shared_one(stage: Stage) -> bytes:
    stage.client.lock(stage.server).granted()
    stage.wait(5)
    stage.client.lock(stage.server, offset=0, length=100, exclusive=False).granted()
    stage.wait(5)
    stage.other.lock(stage.server, offset=100, length=50, exclusive=False).granted()
    return stage.wire()


@quiet("LCK009")
def test_the_holder_freed_all_that_it_had(stage: Stage) -> bytes:
    stage.client.lock(stage.server).granted()
    stage.wait(5)
    stage.client.call(stage.server, "nlm4", "FREE_ALL", name="web-1", state=5).reply()
    stage.wait(5)
    stage.other.lock(stage.server).granted()
    return stage.wire()


@cannot_tell("LCK009")
def test_no_lock_was_granted(stage: Stage) -> bytes:
    stage.client.lock(stage.server, block=False).denied()
    return stage.wire()


def test_clients_of_one_name_hold_one_owner_twice_and_nobody_else() -> None:
    stage = Stage()
    twins(stage)
    assert findings(asked("LCK009", stage.wire())) == []


def test_in_a_capture_with_gaps_the_unlock_may_be_missing() -> None:
    stage = Stage()
    lock = stage.client.lock(stage.server).granted()
    stage.wait(10)
    gap = len(stage.scenario.packets())
    lock.unlock().granted()
    stage.client.lock(stage.server, "/srv/after").granted()
    stage.other.lock(stage.server).granted()
    assert findings(asked("LCK009", stage.wire(lost=[gap + 1]))) == []


@threshold("LCK009", "moment_s", fires=1.5, quiet=0.5)
def test_a_release_that_is_captured_so_late_came_before(stage: Stage, seconds: float) -> bytes:
    holder = stage.client.lock(stage.server)
    holder.granted()
    stage.wait(10)
    stage.other.lock(stage.server).granted()
    stage.wait(seconds)
    holder.unlock().granted()
    return stage.wire()


@threshold("LCK009", "moment_s", fires=1.5, quiet=0.5)
def test_of_two_grants_at_one_moment_neither_was_first(stage: Stage, seconds: float) -> bytes:
    stage.client.lock(stage.server).granted()
    stage.wait(seconds)
    stage.other.lock(stage.server).granted()
    stage.later(10)
    return stage.wire()


@pytest.mark.parametrize("cases", [MAX_CASES, MAX_CASES + 1])
def test_so_many_cases_are_reported(cases: int) -> None:
    stage = Stage()
    for number in range(cases):
        for host in (stage.client, stage.other):
            host.lock(stage.server, f"/srv/{number}").granted()
            stage.wait(2)
    answers = asked("LCK009", stage.wire())
    (found,) = findings(answers)
    assert (found.count, found.at_least) == (MAX_CASES, cases > MAX_CASES)
    assert lacking("room", answers) == ({"LCK009"} if cases > MAX_CASES else set())


@pytest.mark.parametrize(("most", "state"), [(2, "healthy"), (1, "cannot-tell")])
def test_nothing_is_healthy_where_not_all_locks_that_overlap_are_looked_at(
    monkeypatch: pytest.MonkeyPatch, most: int, state: str
) -> None:
    monkeypatch.setattr(granted_while_held, "MAX_GRANTS", most)
    stage = Stage()
    for number in range(3):
        stage.client.lock(stage.server, offset=10 * number, length=5).granted()
        stage.wait(2)
    assert diagnosed(stage.wire()).verdict.state == state


def test_a_reclaim_that_is_refused_is_explained_by_the_grant_to_another() -> None:
    stage = Stage()
    stage.client.lock(stage.server).granted()
    stage.wait(60)
    stage.other.lock(stage.server).granted()
    stage.wait(5)
    stage.client.lock(stage.server, reclaim=True).denied()
    diagnosis = diagnosed(stage.wire())
    assert diagnosis.verdict.rule == "LCK009"
    assert "LCK015" in rules_of(diagnosis.findings[0].explains)


@pytest.mark.parametrize("reclaimed", [True, False])
def test_a_holder_that_did_not_reclaim_after_its_servers_notice_has_lost_its_lock(reclaimed: bool) -> None:
    stage = Stage()
    stage.client.lock(stage.server).granted()
    stage.wait(60)
    stage.boots(stage.server, stage.client)
    if reclaimed:
        stage.client.lock(stage.server, reclaim=True).granted()
    stage.later(20)
    stage.other.lock(stage.server).granted()
    stage.later(5)
    (found,) = findings(asked("LCK009", stage.wire()))
    assert (found.host, found.certainty) == ((SERVER, "certain") if reclaimed else (CLIENT, "likely"))
    assert (f"{CLIENT} did not reclaim the lock" in found.explanation) != reclaimed
    assert found.clients == (CLIENT, OTHER)


@cannot_tell("LCK009")
def test_an_unlock_by_datagram_may_be_among_the_packets_that_a_capture_lost(stage: Stage) -> bytes:
    """Over UDP nothing shows what is missing; here a connection of another client does."""
    stage.nfs(stage.other)
    stage.client.lock(stage.server, transport="udp").granted()
    stage.wait(10)
    frame = stage.frames() + 1
    stage.nfs(stage.other)
    stage.other.lock(stage.server).granted()
    stage.later(5, stage.other)
    return stage.wire(lost=[frame + 1])
