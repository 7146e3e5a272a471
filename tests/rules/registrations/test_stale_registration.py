"""REG007: a registered port at which nothing listens."""

from __future__ import annotations

import pytest

from nfsrpc.findings.finding import CannotTell
from tests.rules.stage import CLIENT, LOCKD, SERVER, STATD, Stage, asked, cannot_tell, findings, fires, quiet, threshold
from tests.scenario import PORTS


@fires("REG007", host=SERVER, clients=(CLIENT,))
def test_statd_died_and_left_its_registration(stage: Stage) -> bytes:
    lock = stage.client.lock(stage.server)
    stage.server.getport(stage.server, "nsm1")
    stage.server.syn(stage.server, STATD, refused=True)
    stage.server.syn(stage.server, STATD, refused=True)
    lock.denied("DENIED_NOLOCKS")
    return stage.any(stage.server)


@pytest.mark.parametrize(("ports", "more"), [(20, ""), (21, " 1 further port of that host likewise.")])
def test_of_very_many_closed_ports_the_first_are_told(ports: int, more: str) -> None:
    stage = Stage()
    for number in range(ports):
        stage.server.getport(stage.server, "nsm1", port=1000 + number)
        stage.server.syn(stage.server, 1000 + number, refused=True)
    found = findings(asked("REG007", stage.any(stage.server)))
    assert len(found) == 20
    assert found[-1].explanation.endswith(f"or sends none.{more}")


@quiet("REG007")
def test_a_closed_port_that_no_portmapper_named(stage: Stage) -> bytes:
    stage.monitored(stage.server, stage.client)
    stage.server.syn(stage.server, 53, refused=True)
    stage.client.lock(stage.server).granted()
    return stage.any(stage.server)


@quiet("REG007")
def test_a_service_that_is_restarted_at_another_port(stage: Stage) -> bytes:
    stage.monitored(stage.server, stage.other)
    stage.server.syn(stage.server, STATD, refused=True)
    stage.server.ports[100024] = 40_001
    stage.monitored(stage.server, stage.client)
    return stage.any(stage.server)


@quiet("REG007")
def test_a_service_that_is_restarted(stage: Stage) -> bytes:
    stage.server.getport(stage.server, "nsm1")
    stage.server.syn(stage.server, STATD, refused=True)
    stage.wait(2)
    stage.monitored(stage.server, stage.client)
    return stage.any(stage.server)


@cannot_tell("REG007", command=True)
def test_a_closed_port_on_an_unseen_loopback(stage: Stage) -> bytes:
    stage.client.lock(stage.server).denied("DENIED_NOLOCKS")
    return stage.wire(stage.client)


@cannot_tell("REG007")
def test_a_scan_of_its_own_ports_is_no_registration(stage: Stage) -> bytes:
    """nmap 127.0.0.1: no portmapper was asked."""
    for port in (22, 111, 662, 2049):
        stage.server.syn(stage.server, port, refused=True)
    return stage.wire(stage.server, on="lo")


@quiet("REG007")
def test_a_port_that_refused_before_it_was_named(stage: Stage) -> bytes:
    stage.server.syn(stage.server, STATD, refused=True)
    stage.wait(30)
    stage.server.getport(stage.server, "nsm1")
    return stage.any(stage.server)


@threshold("REG007", "restart_s", fires=10.5, quiet=9.5)
def test_the_port_accepts_again_after_so_long(stage: Stage, after_s: float) -> bytes:
    stage.server.getport(stage.server, "nsm1")
    stage.server.syn(stage.server, STATD, refused=True)
    stage.wait(after_s)
    stage.server.monitor(stage.client).reply(res_stat="STAT_SUCC", state=3)
    return stage.any(stage.server)


@pytest.mark.parametrize(
    ("program", "command"), [("mount3", "systemctl restart nfs-mountd"), ("nlm4", "systemctl start nfs-server")]
)
def test_the_remedy_is_of_the_service(program: str, command: str) -> None:
    stage = Stage()
    exchange = stage.server.getport(stage.server, program)
    stage.server.syn(stage.server, PORTS[exchange.args["prog"]], refused=True)
    (found,) = findings(asked("REG007", stage.any(stage.server)))
    assert found.remedy[0].line == command


@pytest.mark.parametrize(("program", "needs_it"), [("nsm1", True), ("mount3", False)])
@pytest.mark.parametrize(("tries", "refused"), [(1, "1 try over its loopback to reach it was refused"), (2, "were")])
def test_a_host_needs_its_own_statd_and_only_clients_need_mountd(
    program: str, needs_it: bool, tries: int, refused: str
) -> None:
    stage = Stage()
    stage.nfs()
    exchange = stage.server.getport(stage.server, program)
    for _ in range(tries):
        stage.server.syn(stage.server, PORTS[exchange.args["prog"]], refused=True)
    (found,) = findings(asked("REG007", stage.any(stage.server)))
    assert found.clients == ((SERVER,) if needs_it else ())
    assert refused in found.explanation


def test_one_server_is_unseen_and_the_rule_is_not_passed() -> None:
    stage = Stage()
    stage.monitored(stage.server, stage.client)
    stage.client.lock(stage.server).granted()
    stage.client.lock(stage.other).granted()
    (answer,) = asked("REG007", [stage.any(stage.server), stage.wire(stage.client)])
    assert isinstance(answer, CannotTell)


@quiet("REG007")
def test_a_port_that_refuses_a_client_may_be_firewalled(stage: Stage) -> bytes:
    """On the wire a firewall may send the RST: that is NET002."""
    stage.monitored(stage.server, stage.client)
    stage.client.getport(stage.server, "nlm4")
    stage.client.syn(stage.server, LOCKD, refused=True)
    return stage.any(stage.server)


def test_its_own_portmapper_is_another_rule() -> None:
    """A complete list names the portmapper itself; where its port refuses, that is REG005."""
    stage = Stage()
    mapping = [{"prog": 100000, "vers": 2, "prot": 6, "port": 111}]
    stage.server.call(stage.server, "portmap2", "DUMP").reply(mappings=mapping)
    stage.wait(60)
    stage.server.syn(stage.server, 111, refused=True)
    assert findings(asked("REG007", stage.any(stage.server))) == []


@pytest.mark.parametrize("lost", [[1], [1, 2, 3], [1, 2, 4]], ids=["SYN-ACK", "and the call", "and the reply"])
def test_a_connection_whose_handshake_the_capture_lacks_was_not_refused(lost: list[int]) -> None:
    """statd ends it long after, by a RST: its host is shut down."""
    stage = Stage()
    stage.server.getport(stage.server, "nsm1")
    stage.wait(1)
    syn = len(stage.scenario.packets()) + 1
    call = stage.server.monitor(stage.client).reply(res_stat="STAT_SUCC", state=3, after=0.01)
    stage.wait(30)
    call.flow.reset()
    capture = stage.any(stage.server, lost=[syn + number for number in lost])
    assert findings(asked("REG007", capture)) == []
