"""LCK010: A lock is held by a client host that is silent: dead, or cut off."""

from __future__ import annotations

import pytest

from tests.rules.locks.scenes import waits_behind
from tests.rules.stage import CLIENT, OTHER, PATH, Stage, cannot_tell, diagnosed, fires, quiet, threshold


@fires("LCK010", host=CLIENT, clients=(OTHER,))
def test_the_holders_host_is_dead(stage: Stage) -> bytes:
    waits_behind(stage, released=False)
    for _ in range(3):
        stage.wait(30.7)
        stage.other.lock(stage.server).blocked()
    return stage.wire(stage.server)


@quiet("LCK010")
def test_the_holders_host_lives(stage: Stage) -> bytes:
    waits_behind(stage, released=False)
    for _ in range(3):
        stage.later(30.7, stage.client)
        stage.other.lock(stage.server).blocked()
    return stage.wire(stage.server)


@quiet("LCK010")
def test_the_holders_host_closed_its_connection(stage: Stage) -> bytes:
    lock = stage.client.lock(stage.server)
    lock.granted()
    stage.other.lock(stage.server).blocked()
    lock.flow.close()
    for _ in range(4):
        stage.wait(30.7)
        stage.other.lock(stage.server).blocked()
    return stage.wire(stage.server)


@cannot_tell("LCK010")
def test_the_holder_was_not_captured(stage: Stage) -> bytes:
    waits_behind(stage, released=False)
    stage.later(90, stage.other)
    return stage.wire(stage.other)


@threshold("LCK010", "wait_s", fires=61, quiet=59)
def test_others_have_waited_for_so_long(stage: Stage, seconds: float) -> bytes:
    stage.client.lock(stage.server).granted()
    stage.wait(40)
    stage.other.lock(stage.server).blocked()
    stage.later(seconds, stage.other)
    return stage.wire()


@threshold("LCK010", "silence_s", fires=76, quiet=74)
def test_the_holders_host_has_been_silent_for_so_long(stage: Stage, seconds: float) -> bytes:
    stage.client.lock(stage.server).granted()
    stage.other.lock(stage.server).blocked()
    stage.later(50, stage.client)
    stage.later(seconds, stage.other)
    return stage.wire()


def unlock_may_be_lost(stage: Stage) -> bytes:
    stage.client.lock(stage.server).granted()
    stage.wait(1)
    last = stage.frames()
    for number in range(2):
        stage.client.lock(stage.server, f"/srv/{number}").granted()
    for _ in range(4):
        stage.other.lock(stage.server).blocked()
        stage.later(30.7, stage.other)
    return stage.wire(lost=[last + 1])


@cannot_tell("LCK010")
def test_the_unlock_may_be_lost(stage: Stage) -> bytes:
    return unlock_may_be_lost(stage)


def test_then_the_long_wait_is_one_behind_a_holder_all_the_same() -> None:
    diagnosis = diagnosed(unlock_may_be_lost(Stage()))
    assert [(found.rule, found.severity, found.host) for found in diagnosis.causes] == [("LCK011", "warning", CLIENT)]


@quiet("LCK010")
def test_a_holder_that_unlocked_before_it_fell_silent(stage: Stage) -> bytes:
    waits_behind(stage)
    stage.later(100, stage.other)
    return stage.wire()


@quiet("LCK010")
def test_the_lock_is_dropped_in_the_end(stage: Stage) -> bytes:
    """By hand on the server, as the report advises: the one that waited has it."""
    stage.client.lock(stage.server).granted()
    waiter = stage.other.lock(stage.server)
    waiter.blocked()
    stage.later(100, stage.other)
    waiter.granted()
    return stage.wire()


@pytest.mark.parametrize(
    ("address", "name", "since_s", "is_silent"),
    [
        ("10.0.1.1", "web-1", -1, False),
        ("fd84::1", "web-1", -1, False),
        ("10.0.1.1", "web-1", 1, True),
        ("10.0.1.1", "web-7", -1, True),
    ],
)
def test_the_holders_host_sends_from_another_address(address: str, name: str, since_s: float, is_silent: bool) -> None:
    """Unless it began to send only when the holder's address had fallen silent: that may be after a reboot."""
    stage = Stage()
    second = stage.scenario.host(address, name=name)
    server = stage.scenario.host("fd84::9", name="nfssrv") if ":" in address else stage.server
    lock = stage.client.lock(stage.server)
    if since_s < 0:
        second.getattr(server, PATH)
    stage.wait(1)
    lock.granted()
    stage.later(1, stage.client)
    for _ in range(4):
        stage.other.lock(stage.server).blocked()
        stage.wait(30.7)
        second.getattr(server, PATH)
    found = {each.rule for each in diagnosed(stage.wire()).findings}
    assert found & {"LCK010", "LCK011"} == {"LCK010" if is_silent else "LCK011"}
