"""LCK016: A client asks for a lock again and again, and is denied it each time."""

from __future__ import annotations

import pytest

from nfsrpc.facts.polling import TRIES
from nfsrpc.sessions.nlm import POLL_NS
from tests.rules.locks.scenes import polls
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


@threshold("LCK016", "denied_s", fires=61, quiet=59)
def test_the_series_lasts_for_so_long(stage: Stage, lasts: float) -> bytes:
    stage.client.lock(stage.server).granted()
    polls(stage, 13, every=lasts / 12)
    return stage.wire()


@fires("LCK016", host=CLIENT, clients=(OTHER,), count=90, severity="warning", certainty="certain", needs=None)
def test_polling_behind_a_live_holder(stage: Stage) -> bytes:
    stage.client.lock(stage.server).granted()
    polls(stage, 90, every=1)
    return stage.wire()


@fires("LCK016", host=None, clients=(OTHER,), count=90)
def test_polling_behind_a_holder_that_is_not_in_the_capture(stage: Stage) -> bytes:
    stage.client.lock(stage.server).granted()
    polls(stage, 90, every=1)
    return stage.wire(stage.other)


@fires("LCK016", count=90)
def test_polling_by_messages(stage: Stage) -> bytes:
    stage.client.lock(stage.server).granted()
    polls(stage, 90, every=1, asynchronous=True)
    return stage.wire()


@fires("LCK016", count=90)
def test_a_poller_that_is_granted_it_in_the_end(stage: Stage) -> bytes:
    lock = stage.client.lock(stage.server)
    lock.granted()
    polls(stage, 90, every=1)
    lock.unlock().granted()
    stage.other.lock(stage.server, block=False).granted()
    return stage.wire()


@quiet("LCK016")
def test_a_grant_between_two_series(stage: Stage) -> bytes:
    for _ in range(2):
        lock = stage.client.lock(stage.server)
        lock.granted()
        polls(stage, 50, every=1)
        lock.unlock().granted()
        stage.other.lock(stage.server, block=False).granted().unlock().granted()
    return stage.wire()


@quiet("LCK016")
def test_each_range_is_tried_once(stage: Stage) -> bytes:
    stage.client.lock(stage.server).granted()
    for number in range(90):
        stage.other.lock(stage.server, offset=number, length=1, block=False).denied()
        stage.later(1)
    return stage.wire()


@quiet("LCK016")
def test_many_clients_try_a_few_times(stage: Stage) -> bytes:
    stage.client.lock(stage.server).granted()
    for number in range(20):
        host = stage.scenario.host(f"10.1.0.{number + 1}", name=f"h{number}")
        for _ in range(4):
            host.lock(stage.server, block=False).denied()
            stage.later(1)
    return stage.wire()


@quiet("LCK016")
def test_a_lock_that_waits_is_not_polled(stage: Stage) -> bytes:
    stage.client.lock(stage.server).granted()
    for _ in range(5):
        stage.other.lock(stage.server).blocked()
        stage.later(30.7)
    return stage.wire()


@pytest.mark.parametrize(("pause", "is_found"), [(POLL_NS / 1e9 - 1, True), (POLL_NS / 1e9 + 1, False)])
def test_a_job_that_starts_once_per_minute_is_no_poller(pause: float, is_found: bool) -> None:
    stage = Stage()
    stage.client.lock(stage.server).granted()
    polls(stage, 10, every=pause)
    assert bool(findings(asked("LCK016", stage.wire()))) == is_found


@pytest.mark.parametrize(("tries", "is_found"), [(TRIES, True), (TRIES - 1, False)])
def test_a_few_tries_are_no_series(tries: int, is_found: bool) -> None:
    stage = Stage()
    stage.client.lock(stage.server).granted()
    polls(stage, tries, every=25)
    assert bool(findings(asked("LCK016", stage.wire()))) == is_found


def test_a_holder_whose_unlock_may_be_lost_is_not_named() -> None:
    stage = Stage()
    lock = stage.client.lock(stage.server)
    lock.granted()
    stage.wait(1)
    number = stage.frames()
    stage.client.lock(stage.server, "/srv/second").granted()
    polls(stage, 90, every=1)
    (found,) = findings(asked("LCK016", stage.wire(lost=[number + 1])))
    assert found.host is None
    assert found.needs is not None


def test_the_pollers_of_one_file_are_one_finding() -> None:
    stage = Stage()
    stage.client.lock(stage.server).granted()
    third = stage.scenario.host("10.0.0.3", name="web-3")
    for _ in range(70):
        for host in (stage.other, third):
            host.lock(stage.server, block=False).denied()
        stage.wait(1)
    (found,) = findings(asked("LCK016", stage.wire()))
    assert (found.clients, found.count) == ((OTHER, "10.0.0.3"), 140)
    assert found.wait_s == pytest.approx(69, abs=1)


def test_a_dead_holder_leads() -> None:
    stage = Stage()
    stage.client.lock(stage.server).granted()
    for _ in range(100):
        stage.other.lock(stage.server, block=False).denied()
        stage.wait(1)
    diagnosis = diagnosed(stage.wire(stage.server))
    assert diagnosis.verdict.rule == "LCK010"
    assert "LCK016" in rules_of(diagnosis.findings[0].explains)
    assert diagnosis.findings[0].wait_s == pytest.approx(99, abs=1)


@cannot_tell("LCK016")
def test_results_of_tries_are_cut_off(stage: Stage) -> bytes:
    polls(stage, 90, every=1)
    return stage.wire(snaplen=90)


@quiet("LCK016")
def test_no_lock_is_denied(stage: Stage) -> bytes:
    stage.client.lock(stage.server).granted()
    return stage.wire()


def test_where_the_holder_would_be_seen() -> None:
    stage = Stage()
    polls(stage, 90, every=1)
    (found,) = findings(asked("LCK016", stage.wire()))
    assert found.needs is not None
    assert found.needs.vantage.startswith(f"wire of {SERVER}")


def test_the_title_names_the_holder_or_that_it_is_not_known() -> None:
    stage = Stage()
    stage.client.lock(stage.server).granted()
    polls(stage, 90, every=1)
    (known,) = findings(asked("LCK016", stage.wire()))
    assert known.title.endswith(f": held by 1@web-1 ({CLIENT})")
    (unknown,) = findings(asked("LCK016", stage.wire(stage.other)))
    assert unknown.title.endswith(": the capture does not show who holds it")
