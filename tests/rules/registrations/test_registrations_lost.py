"""REG004: a portmapper that lost the registration of a program which still serves."""

from __future__ import annotations

from tests.rules.stage import SERVER, Stage, asked, cannot_tell, findings, fires, quiet, threshold
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


def forgotten(stage: Stage, program: str = "nlm4") -> None:
    """A service that still serves, and is not registered any more."""
    stage.client.getport(stage.server, program)
    stage.client.lock(stage.server).granted()
    stage.later(60)
    stage.other.getport(stage.server, program, port=0)
    stage.wait(1)
    stage.client.lock(stage.server, "/srv/two").granted()


@threshold("REG004", "boot_s", fires=181, quiet=179)
def test_so_long_before_a_reboot_notice(stage: Stage, before_s: float) -> bytes:
    forgotten(stage)
    stage.wait(before_s - 1)
    stage.boots(stage.server, stage.other)
    return stage.wire()


@quiet("REG004")
def test_a_program_for_ipv4_only_is_not_lost_for_ipv6(stage: Stage) -> bytes:
    stage.client.getport(stage.server, "nlm4")
    stage.client.lock(stage.server).granted()
    question = {"r_prog": 100021, "r_vers": 4, "r_netid": "tcp6", "r_addr": "", "r_owner": ""}
    stage.other.call(stage.server, "rpcbind4", "GETADDR", **question).reply(addr="")
    stage.wait(1)
    stage.client.lock(stage.server, "/srv/two").granted()
    return stage.wire()


@quiet("REG004")
def test_it_is_registered_again(stage: Stage) -> bytes:
    forgotten(stage)
    stage.other.getport(stage.server, "nlm4")
    return stage.wire()


def test_two_loopbacks_are_two_portmappers() -> None:
    stage = Stage()
    stage.server.getport(stage.server, "nsm1")
    stage.wait(1)
    stage.client.getport(stage.client, "nsm1", port=0)
    stage.wait(1)
    stage.server.monitor(stage.client).reply(res_stat="STAT_SUCC", state=3)
    stage.nfs()
    assert findings(asked("REG004", [stage.any(stage.server), stage.any(stage.client)])) == []


def test_a_restart_that_drops_locks_is_the_last_resort() -> None:
    stage = Stage()
    forgotten(stage)
    (found,) = findings(asked("REG004", stage.wire()))
    assert found.remedy[0].line == "systemctl start nfs-server"
    assert not any("restart nfs-server" in command.line for command in found.remedy)  # what is pasted
    assert any("last resort" in command.note and "restart nfs-server" in command.note for command in found.remedy)
