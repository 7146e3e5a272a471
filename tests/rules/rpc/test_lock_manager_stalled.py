"""RPC004: a server's lock manager stood still: all its answers wait, then come at once."""

from __future__ import annotations

import pytest

from tests.rules.stage import CLIENT, OTHER, SERVER, Stage, asked, cannot_tell, findings, fires, quiet, threshold


def held_up(stage: Stage) -> None:
    """Requests of two clients wait and are answered at once."""
    stage.nfs()
    first, second = stage.client.lock(stage.server, "/a"), stage.other.lock(stage.server, "/b")
    for _ in range(10):
        stage.later(2)
    first.granted(after=21.0)
    second.granted(after=21.1)


@fires("RPC004", host=SERVER, clients=(CLIENT, OTHER), count=2)
def test_the_lock_manager_stood_still(stage: Stage) -> bytes:
    held_up(stage)
    return stage.wire()


def test_how_long_it_stood_still_is_told() -> None:
    stage = Stage()
    held_up(stage)
    (found,) = findings(asked("RPC004", stage.wire()))
    assert found.title == f"the lock manager of {SERVER} stood still for up to 21.1 s"
    assert "answered in one burst, after up to 21.1 s" in found.explanation


@quiet("RPC004")
def test_one_late_lock_is_no_standstill(stage: Stage) -> bytes:
    stage.client.lock(stage.server).granted(after=21.0)
    stage.other.lock(stage.server, "/b").granted()
    return stage.wire()


@cannot_tell("RPC004")
def test_no_lock_was_answered(stage: Stage) -> bytes:
    stage.nfs()
    return stage.wire()


def test_a_standstill_while_nfs_waits_is_not_the_lock_managers() -> None:
    stage = Stage()
    first, second = stage.client.lock(stage.server, "/a"), stage.other.lock(stage.server, "/b")
    call = stage.client.call(stage.server, "nfs3", "GETATTR", object=b"x" * 8)
    first.granted(after=21.0)
    second.granted(after=21.1)
    call.reply(after=21.2, status="OK", type="REG")
    assert findings(asked("RPC004", stage.wire())) == []


def burst(stage: Stage, waits: list[float]) -> None:
    """Requests of that many clients, sent at once, each answered so long after."""
    clients = [stage.client, stage.other, stage.scenario.host("10.0.0.3")]
    locks = [client.lock(stage.server, f"/{number}") for number, client in enumerate(clients[: len(waits)])]
    begin = stage.scenario.now
    for lock, wait in zip(locks, waits, strict=True):
        stage.scenario.now = begin
        lock.granted(after=wait)


@threshold("RPC004", "late_s", fires=5.5, quiet=4.5)
def test_answers_so_late(stage: Stage, late_s: float) -> bytes:
    burst(stage, [late_s, late_s])
    return stage.wire()


@threshold("RPC004", "burst_s", fires=1.8, quiet=2.2)
def test_answers_so_close_together(stage: Stage, burst_s: float) -> bytes:
    burst(stage, [20, 20 + burst_s])
    return stage.wire()


@threshold("RPC004", "together", fires=2, quiet=1)
def test_so_many_answers_together(stage: Stage, together: int) -> bytes:
    burst(stage, [20] * together)
    return stage.wire()


@threshold("RPC004", "boot_s", fires=125, quiet=115)
def test_a_server_that_has_rebooted(stage: Stage, boot_s: float) -> bytes:
    burst(stage, [20, 20])
    stage.wait(boot_s)
    stage.boots(stage.server, stage.client)
    return stage.wire()


@quiet("RPC004")
def test_requests_that_waited_one_after_the_other(stage: Stage) -> bytes:
    for client in (stage.client, stage.other):
        client.lock(stage.server, "/a").granted(after=6)
    return stage.wire()


@quiet("RPC004")
def test_a_chain_of_late_answers_to_requests_that_did_not_wait_together(stage: Stage) -> bytes:
    """Each is answered within 2 s of the one before, but the last was sent after the first was answered."""
    begin = stage.scenario.now
    for number, (sent, answered) in enumerate([(0, 6), (1, 7.5), (2, 9), (3, 10.5), (6.5, 12)]):
        stage.scenario.now = begin + round(sent * 10**9)
        client = stage.client if number % 2 else stage.other
        client.lock(stage.server, f"/{number}", svid=number).granted(after=answered - sent)
    return stage.wire()


@pytest.mark.parametrize("since", [5, 15])
def test_one_late_lock_in_a_capture_that_is_begun_meanwhile_is_no_standstill_either(since: float) -> None:
    stage = Stage()
    lock = stage.client.lock(stage.server)
    for _ in range(9):
        stage.later(2, stage.other)
    lock.granted(after=21.0, resent=[10.2])
    for _ in range(3):
        stage.later(2)
    captures = [stage.wire(stage.server), stage.wire(stage.client, since=since)]
    assert findings(asked("RPC004", captures)) == []
    (late,) = findings(asked("LCK002", captures))
    assert late.count == 1
