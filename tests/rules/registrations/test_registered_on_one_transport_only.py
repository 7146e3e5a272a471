"""REG006: a lock service that is registered for one transport only."""

from __future__ import annotations

from tests.rules.stage import CLIENT, SERVER, STATD, Stage, cannot_tell, diagnosed, fires, quiet, threshold
from tests.scenario import Transport


@fires("REG006", host=SERVER)
def test_statd_for_udp_only(stage: Stage) -> bytes:
    stage.client.lock(stage.server).granted()
    stage.client.getport(stage.server, "nsm1", netid="udp", transport="udp", cred=False)
    stage.statd_asked(stage.server, 3)
    return stage.any(stage.server)


@fires("REG006", host=SERVER, certainty="certain")
def test_statd_for_udp_only_all_the_while(stage: Stage) -> bytes:
    stage.client.lock(stage.server).granted()
    stage.statd_asked(stage.server, 3)
    stage.client.getport(stage.server, "nsm1", netid="udp", transport="udp", cred=False)
    stage.statd_asked(stage.server, 3)
    return stage.any(stage.server)


def stopped_after_the_mount(stage: Stage) -> bytes:
    stage.client.getport(stage.client, "nsm1", netid="udp", transport="udp", cred=False)
    stage.client.call(stage.client, "nsm1", "NULL", transport="udp", cred=False).reply()
    stage.later(10)
    stage.statd_asked(stage.client, 20)
    stage.client.lock(stage.server).granted()
    return stage.any(stage.client)


def test_statd_was_named_for_udp_and_then_no_more() -> None:
    diagnosis = diagnosed(stopped_after_the_mount(Stage()))
    assert (diagnosis.verdict.rule, diagnosis.findings[0].host) == ("REG002", CLIENT)
    assert [found for found in diagnosis.findings if found.rule == "REG006"] == []


def answered(stage: Stage, netid: Transport, port: int) -> None:
    stage.client.getport(stage.server, "nsm1", netid=netid, transport="udp", cred=False, port=port)


@threshold("REG006", "together_s", fires=0.9, quiet=1.1)
def test_udp_is_named_so_long_before(stage: Stage, before_s: float) -> bytes:
    answered(stage, "udp", STATD)
    stage.wait(before_s)
    answered(stage, "tcp", 0)
    return stage.wire()


@fires("REG006", certainty="likely")
def test_udp_is_named_at_once_after(stage: Stage) -> bytes:
    answered(stage, "tcp", 0)
    stage.wait(0.5)
    answered(stage, "udp", STATD)
    return stage.wire()


@fires("REG006", certainty="certain")
def test_tcp_is_missing_while_udp_is_named(stage: Stage) -> bytes:
    for netid, port in (("udp", STATD), ("tcp", 0), ("udp", STATD)):
        answered(stage, netid, port)
        stage.wait(60)
    return stage.wire()


@quiet("REG006")
def test_tcp_is_named_as_well(stage: Stage) -> bytes:
    for netid, port in (("tcp", 0), ("udp", STATD), ("tcp", 0), ("tcp", STATD)):
        answered(stage, netid, port)
        stage.wait(0.1)
    return stage.wire()


@fires("REG006", title=f"the lockd of {SERVER} is registered for tcp6, and not for tcp")
def test_a_lock_manager_for_ipv6_only(stage: Stage) -> bytes:
    for netid, addr in (("tcp", ""), ("tcp6", "::.128.35")):
        question = {"r_prog": 100021, "r_vers": 4, "r_netid": netid, "r_addr": "", "r_owner": ""}
        stage.client.call(stage.server, "rpcbind4", "GETADDR", **question).reply(addr=addr)
    return stage.wire()


@quiet("REG006")
def test_statd_was_started_for_both_and_asked_for_by_udp(stage: Stage) -> bytes:
    stage.statd_asked(stage.server, 3)
    stage.client.getport(stage.server, "nsm1", netid="udp", transport="udp", cred=False)
    return stage.any(stage.server)


@quiet("REG006")
def test_a_lock_manager_without_udp_is_meant(stage: Stage) -> bytes:
    stage.client.getport(stage.server, "nlm4")
    stage.client.getport(stage.server, "nlm4", netid="udp", port=0)
    return stage.wire()


@cannot_tell("REG006")
def test_nobody_asked_for_statd_or_lockd(stage: Stage) -> bytes:
    stage.nfs()
    return stage.wire()
