"""NET002: the port of a registered RPC service refuses: no process listens, or a firewall rejects."""

from __future__ import annotations

from tests.rules.stage import (
    CLIENT,
    LOCKD,
    OTHER,
    PATH,
    SERVER,
    STATD,
    Stage,
    asked,
    cannot_tell,
    diagnosed,
    findings,
    fires,
    quiet,
    threshold,
)


@fires("NET002", host=SERVER, clients=(CLIENT,))
def test_lockds_port_refuses(stage: Stage) -> bytes:
    stage.client.getport(stage.server, "nlm4")
    for _ in range(20):
        stage.client.syn(stage.server, LOCKD, refused=True)
        stage.wait(0.014)
    return stage.wire()


@fires("NET002", host=SERVER)
def test_a_udp_port_that_icmp_tells_to_be_closed(stage: Stage) -> bytes:
    stage.client.getport(stage.server, "nlm4", netid="udp")
    for svid in range(2):
        lock = stage.client.lock(stage.server, svid=svid, transport="udp")
        lock.unreachable()
        stage.wait(5)
    return stage.wire()


def test_both_transports_and_several_clients_are_one_fault() -> None:
    stage = Stage()
    for client in (stage.client, stage.other):
        for netid in ("tcp", "udp"):
            client.getport(stage.server, "nlm4", netid=netid)
        for _ in range(2):
            client.syn(stage.server, LOCKD, refused=True)
            client.call(stage.server, "nlm4", "NULL", transport="udp", cred=False).unreachable()
            stage.wait(3)
    stage.nfs()
    (found,) = findings(asked("NET002", stage.wire()))
    assert (found.clients, found.count) == ((CLIENT, OTHER), 8)
    assert f"let the firewall accept TCP and UDP port {LOCKD} from {CLIENT} and {OTHER}" in str(found)


def test_a_server_without_udp_refuses_nobody() -> None:
    """As automounters ask: NULL over UDP, and again, and then over TCP."""
    stage = Stage()
    for _ in range(2):
        probe = stage.client.call(stage.server, "nfs3", "NULL", transport="udp", cred=False)
        probe.unreachable()
        probe.resend(after=2)
        probe.unreachable()
    stage.client.getport(stage.server, "nlm4", netid="udp", transport="udp")
    probe = stage.client.call(stage.server, "nlm4", "NULL", transport="udp", cred=False)
    probe.unreachable()
    probe.resend(after=2)
    probe.unreachable()
    stage.nfs()
    stage.client.lock(stage.server).granted()
    stage.later(20)
    assert diagnosed(stage.wire()).verdict.state == "healthy"


@fires("NET002", host=SERVER)
def test_a_client_that_does_not_turn_to_tcp(stage: Stage) -> bytes:
    stage.client.call(stage.server, "nfs3", "NULL", transport="udp").unreachable().resend(after=2).unreachable()
    stage.wait(20)
    stage.client.call(stage.server, "portmap2", "NULL").reply()
    return stage.wire()


@cannot_tell("NET002")
def test_the_capture_ends_before_the_client_turns_to_tcp(stage: Stage) -> bytes:
    stage.client.call(stage.server, "nfs3", "NULL", transport="udp").unreachable().resend(after=2).unreachable()
    return stage.wire()


@quiet("NET002")
def test_a_service_at_another_port_now(stage: Stage) -> bytes:
    stage.client.getport(stage.server, "nlm4")
    for _ in range(5):
        stage.client.syn(stage.server, LOCKD, refused=True)
        stage.wait(0.1)
    stage.server.ports[100021] = 40_001
    stage.client.getport(stage.server, "nlm4")
    stage.client.lock(stage.server).granted()
    return stage.wire()


@quiet("NET002")
def test_a_port_that_nobody_named(stage: Stage) -> bytes:
    stage.nfs()
    for _ in range(3):
        stage.client.syn(stage.server, 22, refused=True)
    return stage.wire()


@quiet("NET002")
def test_a_closed_port_of_the_loopback(stage: Stage) -> bytes:
    stage.client.lock(stage.server).granted()
    stage.server.getport(stage.server, "nsm1")
    for _ in range(3):
        stage.server.syn(stage.server, STATD, refused=True)
    return stage.any(stage.server)


@cannot_tell("NET002")
def test_no_connection(stage: Stage) -> bytes:
    stage.client.getport(stage.server, "nlm4", transport="udp")
    return stage.wire()


def refused(stage: Stage, times: int = 4) -> None:
    stage.client.getport(stage.server, "nlm4")
    for _ in range(times):
        stage.client.syn(stage.server, LOCKD, refused=True)


@threshold("NET002", "tries", fires=2, quiet=1)
def test_so_many_tries(stage: Stage, tries: int) -> bytes:
    refused(stage, tries)
    return stage.wire()


@threshold("NET002", "cured_s", fires=31, quiet=29)
def test_a_service_that_is_restarted(stage: Stage, cured_s: float) -> bytes:
    refused(stage)
    stage.wait(cured_s)
    stage.client.lock(stage.server).granted()
    return stage.wire()


@threshold("NET002", "tcp_s", fires=3.2, quiet=2.8)
def test_a_client_over_udp_that_has_time_to_turn_to_tcp(stage: Stage, tcp_s: float) -> bytes:
    stage.client.call(stage.server, "nfs3", "NULL", transport="udp").unreachable().resend(after=2).unreachable()
    stage.wait(tcp_s - 2)
    stage.client.call(stage.server, "portmap2", "NULL").reply()
    return stage.wire()


@threshold("NET002", "boot_s", fires=185, quiet=175)
def test_a_host_that_has_rebooted(stage: Stage, boot_s: float) -> bytes:
    refused(stage)
    stage.wait(boot_s)
    stage.boots(stage.server, stage.client)
    return stage.wire()


@quiet("NET002")
def test_a_scan_is_no_client(stage: Stage) -> bytes:
    stage.client.getattr(stage.server, PATH)
    for port in (2049, 111, 445, LOCKD) * 2:
        stage.other.syn(stage.server, port, refused=True)
    return stage.wire()


def test_who_named_the_port_is_said_only_where_it_was_captured() -> None:
    stage = Stage()
    refused(stage)
    (found,) = findings(asked("NET002", stage.wire()))
    assert "The portmapper names that port, but no process listens there" in found.explanation
    stage = Stage()
    stage.client.lock(stage.server).granted().flow.close()
    for _ in range(2):
        stage.client.syn(stage.server, LOCKD, refused=True)
    (found,) = findings(asked("NET002", stage.wire()))
    assert "Either no process listens there" in found.explanation
