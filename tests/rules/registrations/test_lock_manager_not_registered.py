"""REG003: a server without a registered lock manager."""

from __future__ import annotations

from typing import Any

import pytest

from nfsrpc.findings.finding import Finding
from tests.rules.registrations.without_statd import probed
from tests.rules.stage import CLIENT, SERVER, Stage, asked, cannot_tell, diagnosed, findings, fires, quiet, threshold
from tests.scenario import SECOND
from tests.wire import TCP, shifted


@fires("REG003", host=SERVER)
def test_no_port_of_the_lock_manager_long_after_a_restart(stage: Stage) -> bytes:
    stage.nfs()
    stage.client.flow(stage.server, 2049, TCP).reset()
    stage.looks_up(stage.client, stage.server, "nlm4", 50)
    return stage.wire()


@fires("REG003", host=SERVER, clients=(CLIENT,), count=5)
def test_no_port_of_the_lock_manager(stage: Stage) -> bytes:
    stage.looks_up(stage.client, stage.server, "nlm4", 5)
    return stage.wire()


@quiet("REG003")
def test_the_lock_manager_comes_up_soon(stage: Stage) -> bytes:
    stage.looks_up(stage.client, stage.server, "nlm4", 4)
    stage.client.getport(stage.server, "nlm4")
    stage.client.lock(stage.server).granted()
    return stage.wire()


@quiet("REG003")
def test_a_server_that_asks_its_client_is_no_client(stage: Stage) -> bytes:
    stage.client.lock(stage.server).granted()
    stage.looks_up(stage.server, stage.client, "nlm4", 5)
    return stage.wire()


@cannot_tell("REG003")
def test_a_server_asks_whom_it_serves_and_only_the_portmappers_were_captured(stage: Stage) -> bytes:
    stage.client.getport(stage.server, "mount3")
    stage.looks_up(stage.server, stage.client, "nlm4", 4, gap=10, nfs=False)
    return stage.wire()


@cannot_tell("REG003")
def test_nobody_asked_for_the_lock_manager(stage: Stage) -> bytes:
    stage.nfs()
    return stage.wire()


def test_a_host_that_boots_is_not_accused() -> None:
    stage = Stage()
    stage.boots(stage.server, stage.client)
    stage.looks_up(stage.client, stage.server, "nlm4", 5)
    assert findings(asked("REG003", stage.wire())) == []


@cannot_tell("REG003")
def test_a_host_that_resets_old_connections_is_starting(stage: Stage) -> bytes:
    stage.nfs()
    stage.wait(30)
    stage.client.flow(stage.server, 2049, TCP).reset()
    stage.looks_up(stage.client, stage.server, "nlm4", 14, nfs=False)
    stage.client.getport(stage.server, "nlm4")
    stage.client.lock(stage.server, reclaim=True).granted()
    return stage.wire()


@cannot_tell("REG003")
def test_a_host_that_has_locks_claimed_again_was_starting(stage: Stage) -> bytes:
    stage.looks_up(stage.client, stage.server, "nlm4", 14, nfs=False)
    stage.client.getport(stage.server, "nlm4")
    stage.client.lock(stage.server, reclaim=True).granted()
    return stage.wire()


def asks_for_lockd(stage: Stage, times: int = 5, gap: float = 3.07, **options: Any) -> None:
    for _ in range(times):
        stage.client.getport(stage.server, "nlm4", port=0, **options)
        stage.wait(gap)


@fires("REG003", host=SERVER, certainty="certain", title=f"the server {SERVER} has no lock manager registered")
def test_it_was_asked_for_over_tcp(stage: Stage) -> bytes:
    asks_for_lockd(stage)
    return stage.wire()


@fires("REG003", host=SERVER, certainty="likely", title=f"the server {SERVER} has no lock manager registered for UDP")
def test_it_was_asked_for_over_udp_only(stage: Stage) -> bytes:
    asks_for_lockd(stage, netid="udp", transport="udp")
    return stage.wire()


@fires("REG003", certainty="likely", title="the server fd84::9 has no lock manager registered for TCP over IPv6")
def test_it_was_asked_for_over_ipv6_only(stage: Stage) -> bytes:
    server, client = stage.scenario.host("fd84::9", name="nfssrv6"), stage.scenario.host("fd84::1", name="web-6")
    for _ in range(5):
        question = {"r_prog": 100021, "r_vers": 4, "r_netid": "tcp6", "r_addr": "", "r_owner": ""}
        client.call(server, "rpcbind4", "GETADDR", **question).reply(addr="")
        stage.wait(3.07)
    return stage.wire()


@threshold("REG003", "asks", fires=3, quiet=2)
def test_so_many_answers(stage: Stage, asks: float) -> bytes:
    asks_for_lockd(stage, round(asks))
    return stage.wire()


@threshold("REG003", "found_s", fires=31, quiet=29)
def test_a_port_is_named_so_long_after_the_first_answer(stage: Stage, found_s: float) -> bytes:
    begin = stage.scenario.now
    asks_for_lockd(stage)
    stage.scenario.now = begin + round(found_s * SECOND)
    stage.client.getport(stage.server, "nlm4")
    return stage.wire()


@threshold("REG003", "boot_s", fires=121, quiet=119)
def test_so_long_before_a_reboot_notice(stage: Stage, before_s: float) -> bytes:
    asks_for_lockd(stage)
    stage.wait(before_s - 3.07)
    stage.boots(stage.server, stage.other)
    return stage.wire()


def test_one_server_has_none_and_another_does() -> None:
    """The one that passes does not make up for the other, nor is the rule passed beside a finding."""
    stage = Stage()
    stage.other.getport(stage.client, "nlm4")
    asks_for_lockd(stage)
    (answer,) = asked("REG003", stage.wire())
    assert isinstance(answer, Finding)
    assert answer.host == SERVER


def test_a_statd_that_looks_for_its_own_lockd_is_no_client() -> None:
    """So it does before a downcall; a client without locks has no lockd."""
    stage = Stage()
    for _ in range(5):
        stage.other.getport(stage.other, "nlm3", netid="udp", transport="udp", cred=False, port=0)
        stage.wait(3)
    assert findings(asked("REG003", stage.any(stage.other))) == []


@fires("REG003", host=SERVER)
def test_a_port_that_was_named_before_makes_up_for_nothing(stage: Stage) -> bytes:
    stage.client.getport(stage.server, "nlm4")
    stage.wait(60)
    asks_for_lockd(stage)
    return stage.wire()


@cannot_tell("REG003")
def test_a_monitoring_system_is_no_client(stage: Stage) -> bytes:
    probed(stage)
    return stage.wire()


@pytest.mark.parametrize("others", [[], [b""]], ids=["one clock", "two clocks"])
def test_the_first_query_is_the_first_of_all_captures(others: list[bytes]) -> None:
    """The first capture lacks the first query, and by its own clock it was begun before the second."""
    stage = Stage()
    stage.nfs(times=2)
    stage.looks_up(stage.client, stage.server, "nlm4", 15)
    captures = [stage.wire(stage.server, since=0.05), shifted(stage.wire(stage.client, until=30), 5)]
    (found,) = diagnosed([*captures, *(captures[0][:24] for _ in others)]).causes
    assert (found.rule, found.count) == ("REG003", 15)
    assert found.wait_s == pytest.approx(14 * 3.07, abs=0.1)
