"""NET007: everything between two hosts is slow, not only locks."""

from __future__ import annotations

from tests.rules.stage import Stage, cannot_tell, fires, quiet, threshold


def slow(stage: Stage, seconds: float) -> bytes:
    for number in range(3):
        call = stage.client.call(stage.server, "nfs3", "GETATTR", transport="udp", object=b"x" * 8)
        call.reply(after=seconds, status="OK", type="REG")
        stage.client.lock(stage.server, svid=number, transport="udp").granted(after=seconds)
    return stage.wire()


@fires("NET007", severity="info")
def test_a_path_of_three_seconds(stage: Stage) -> bytes:
    return slow(stage, 3.0)


@fires("NET007", severity="warning")
def test_a_path_of_thirteen_seconds(stage: Stage) -> bytes:
    return slow(stage, 13.0)


@fires("NET007", severity="warning")
def test_a_path_that_becomes_slow(stage: Stage) -> bytes:
    stage.nfs(times=50)
    slow(stage, 13.0)
    stage.nfs(times=50)
    return stage.wire()


@quiet("NET007")
def test_a_server_that_stood_still_once(stage: Stage) -> bytes:
    calls = [
        stage.client.call(stage.server, "nfs3", "GETATTR", transport="udp", object=bytes([number]) * 8)
        for number in range(3)
    ]
    lock = stage.client.lock(stage.server, transport="udp")
    stage.wait(13)
    for call in calls:
        call.reply(status="OK", type="REG")
    lock.granted()
    return stage.wire()


@quiet("NET007")
def test_only_the_lock_manager_is_slow(stage: Stage) -> bytes:
    stage.nfs(times=5)
    for number in range(3):
        stage.client.lock(stage.server, svid=number).granted(after=10.0)
    return stage.wire()


@cannot_tell("NET007")
def test_no_answers(stage: Stage) -> bytes:
    stage.client.lock(stage.server)
    return stage.wire()


@threshold("NET007", "slow_s", fires=1.1, quiet=0.9)
def test_answers_so_late(stage: Stage, slow_s: float) -> bytes:
    return slow(stage, slow_s)


@threshold("NET007", "bad_s", fires=5.5, quiet=4.5, severity="warning")
def test_answers_so_late_that_it_is_a_warning(stage: Stage, bad_s: float) -> bytes:
    return slow(stage, bad_s)


@threshold("NET007", "calls", fires=3, quiet=2)
def test_so_many_answers_in_a_row(stage: Stage, calls: int) -> bytes:
    for number in range(calls):
        if number % 2:
            stage.client.lock(stage.server, svid=number, transport="udp").granted(after=3)
        else:
            call = stage.client.call(stage.server, "nfs3", "GETATTR", transport="udp", object=b"x" * 8)
            call.reply(after=3, status="OK", type="REG")
    return stage.wire()


@quiet("NET007")
def test_some_calls_are_quick_meanwhile(stage: Stage) -> bytes:
    for number in range(4):
        stage.client.lock(stage.server, svid=number, transport="udp").granted(after=3)
        call = stage.client.call(stage.server, "nfs3", "GETATTR", transport="udp", object=bytes([number]) * 8)
        call.reply(after=3 if number == 1 else 0.001, status="OK", type="REG")
    return stage.wire()
