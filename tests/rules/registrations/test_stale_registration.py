"""REG007: a registered port at which nothing listens."""

from __future__ import annotations

import pytest

from tests.rules.stage import CLIENT, SERVER, STATD, Stage, asked, cannot_tell, findings, fires, quiet


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
