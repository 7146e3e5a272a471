"""REG004: a portmapper that lost the registration of a program which still serves."""

from __future__ import annotations

from tests.rules.stage import SERVER, Stage, asked, cannot_tell, findings, fires, quiet
from tests.wire import TCP


def test_nor_are_its_registrations_lost() -> None:
    stage = Stage()
    stage.client.getport(stage.server, "nfs3")
    stage.nfs()
    stage.wait(30)
    stage.client.flow(stage.server, 2049, TCP).reset()
    stage.other.getport(stage.server, "nfs3", port=0)
    stage.wait(5)
    stage.nfs()
    assert findings(asked("REG004", stage.wire())) == []


@fires("REG004", host=SERVER)
def test_rpcbind_forgot_a_lock_manager_that_serves(stage: Stage) -> bytes:
    stage.client.getport(stage.server, "nlm4")
    stage.client.lock(stage.server).granted()
    stage.later(60)
    stage.other.getport(stage.server, "nlm4", port=0)
    stage.wait(1)
    stage.client.lock(stage.server, "/srv/two").granted()
    return stage.wire()


@quiet("REG004")
def test_a_service_that_stopped_is_not_forgotten(stage: Stage) -> bytes:
    stage.client.getport(stage.server, "nlm4")
    stage.client.lock(stage.server).granted()
    stage.later(60)
    stage.other.getport(stage.server, "nlm4", port=0)
    return stage.wire()


@cannot_tell("REG004")
def test_no_portmapper_named_a_port(stage: Stage) -> bytes:
    stage.nfs()
    return stage.wire()
