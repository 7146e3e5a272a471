"""REG003: a server without a registered lock manager."""

from __future__ import annotations

from tests.rules.stage import CLIENT, SERVER, Stage, asked, cannot_tell, findings, fires, quiet
from tests.wire import TCP


@fires("REG003", host=SERVER)
def test_no_port_of_the_lock_manager_long_after_a_restart(stage: Stage) -> bytes:
    stage.nfs()
    stage.client.flow(stage.server, 2049, TCP).reset()
    for _ in range(50):
        stage.client.getport(stage.server, "nlm4", port=0)
        stage.later(3.07)
    return stage.wire()


@fires("REG003", host=SERVER, clients=(CLIENT,), count=5)
def test_no_port_of_the_lock_manager(stage: Stage) -> bytes:
    for _ in range(5):
        stage.client.getport(stage.server, "nlm4", port=0)
        stage.later(3.07)
    return stage.wire()


@quiet("REG003")
def test_the_lock_manager_comes_up_soon(stage: Stage) -> bytes:
    for _ in range(4):
        stage.client.getport(stage.server, "nlm4", port=0)
        stage.later(3.07)
    stage.client.getport(stage.server, "nlm4")
    stage.client.lock(stage.server).granted()
    return stage.wire()


@quiet("REG003")
def test_a_server_that_asks_its_client_is_no_client(stage: Stage) -> bytes:
    stage.client.lock(stage.server).granted()
    for _ in range(5):
        stage.server.getport(stage.client, "nlm4", port=0)
        stage.later(3.07)
    return stage.wire()


@cannot_tell("REG003")
def test_a_server_asks_whom_it_serves_and_only_the_portmappers_were_captured(stage: Stage) -> bytes:
    stage.client.getport(stage.server, "mount3")
    for _ in range(4):
        stage.server.getport(stage.client, "nlm4", port=0)
        stage.wait(10)
    return stage.wire()


@cannot_tell("REG003")
def test_nobody_asked_for_the_lock_manager(stage: Stage) -> bytes:
    stage.nfs()
    return stage.wire()


def test_a_host_that_boots_is_not_accused() -> None:
    stage = Stage()
    stage.boots(stage.server, stage.client)
    for _ in range(5):
        stage.client.getport(stage.server, "nlm4", port=0)
        stage.later(3.07)
    assert findings(asked("REG003", stage.wire())) == []


@cannot_tell("REG003")
def test_a_host_that_resets_old_connections_is_starting(stage: Stage) -> bytes:
    stage.nfs()
    stage.wait(30)
    stage.client.flow(stage.server, 2049, TCP).reset()
    for _ in range(14):
        stage.client.getport(stage.server, "nlm4", port=0)
        stage.wait(3.07)
    stage.client.getport(stage.server, "nlm4")
    stage.client.lock(stage.server, reclaim=True).granted()
    return stage.wire()


@cannot_tell("REG003")
def test_a_host_that_has_locks_claimed_again_was_starting(stage: Stage) -> bytes:
    for _ in range(14):
        stage.client.getport(stage.server, "nlm4", port=0)
        stage.wait(3.07)
    stage.client.getport(stage.server, "nlm4")
    stage.client.lock(stage.server, reclaim=True).granted()
    return stage.wire()
