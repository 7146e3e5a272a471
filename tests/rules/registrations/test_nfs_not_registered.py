"""REG008: a server without registered NFS or MOUNT."""

from __future__ import annotations

from tests.rules.registrations.without_statd import probed
from tests.rules.stage import CLIENT, SERVER, Stage, asked, cannot_tell, findings, fires, quiet, threshold
from tests.scenario import Host, Transport


@fires("REG008", host=SERVER, clients=(CLIENT,))
def test_no_nfs_at_the_portmapper(stage: Stage) -> bytes:
    for protocol in ("nfs3", "mount3"):
        for transport in ("tcp", "udp"):
            stage.client.getport(stage.server, protocol, netid=transport, port=0)
            stage.wait(1)
    return stage.wire()


@fires("REG008", host=SERVER, clients=(CLIENT,))
def test_mountd_has_stopped_and_nfsd_answers(stage: Stage) -> bytes:
    """mount.nfs pings nfsd each time before it looks for mountd; another client has mounted before."""
    stage.nfs(stage.other)
    for _ in range(3):
        stage.client.getport(stage.server, "nfs3", port=2049)
        stage.client.call(stage.server, "nfs3", "NULL").reply()
        stage.client.getport(stage.server, "mount3", port=0)
        stage.later(2, stage.other)
    return stage.wire()


@quiet("REG008")
def test_nfs_is_used_at_its_well_known_port(stage: Stage) -> bytes:
    stage.client.getport(stage.server, "mount3")
    stage.looks_up(stage.client, stage.server, "nfs3", 3, gap=2)
    return stage.wire()


@quiet("REG008")
def test_mountd_for_one_transport(stage: Stage) -> bytes:
    stage.client.getport(stage.server, "mount3", netid="udp", port=0)
    stage.client.getport(stage.server, "mount3")
    stage.nfs()
    return stage.wire()


@cannot_tell("REG008")
def test_the_capture_ends_while_the_mount_looks_for_a_version(stage: Stage) -> bytes:
    for protocol in ("mount1", "mount2"):
        stage.client.getport(stage.server, protocol, netid="udp", transport="udp", port=0)
    return stage.wire()


@cannot_tell("REG008")
def test_nobody_asked_for_nfs(stage: Stage) -> bytes:
    stage.client.getport(stage.server, "nlm4")
    return stage.wire()


def asks_for_mountd(stage: Stage, client: Host, times: int = 3, netid: Transport = "tcp", gap: float = 2.0) -> None:
    for _ in range(times):
        client.getport(stage.server, "mount3", netid=netid, transport="udp", port=0)
        stage.wait(gap)


@fires("REG008", host=SERVER, certainty="certain", title=f"the server {SERVER} has no mountd registered: mounts fail")
def test_mountd_is_not_registered_for_tcp(stage: Stage) -> bytes:
    asks_for_mountd(stage, stage.client)
    return stage.wire()


@fires("REG008", certainty="likely", title=f"the server {SERVER} has no mountd registered for UDP: mounts fail")
def test_mountd_was_asked_for_over_udp_only(stage: Stage) -> bytes:
    asks_for_mountd(stage, stage.client, netid="udp")
    return stage.wire()


@fires("REG008", host="127.0.0.1", certainty="certain")
def test_client_and_server_are_one_machine(stage: Stage) -> bytes:
    asks_for_mountd(stage, stage.server)
    asks_for_mountd(stage, stage.server, netid="udp")
    return stage.wire(stage.server, on="lo")


def test_a_service_that_withdraws_its_registrations_asks_for_none() -> None:
    stage = Stage()
    for version in (1, 3):
        entry = {"prog": 100005, "vers": version, "prot": 6, "port": 0}
        stage.server.call(stage.server, "portmap2", "UNSET", transport="udp", **entry).reply(result=True)
    stage.wait(5)
    stage.nfs()
    assert findings(asked("REG008", stage.any(stage.server))) == []


def test_a_host_that_boots_will_register() -> None:
    stage = Stage()
    asks_for_mountd(stage, stage.client)
    stage.boots(stage.server, stage.other)
    assert findings(asked("REG008", stage.wire())) == []


@threshold("REG008", "asks", fires=2, quiet=1)
def test_so_many_answers(stage: Stage, asks: float) -> bytes:
    asks_for_mountd(stage, stage.client, round(asks))
    return stage.wire()


@threshold("REG008", "during_s", fires=1.1, quiet=0.9)
def test_the_capture_goes_on_for_so_long(stage: Stage, after_s: float) -> bytes:
    asks_for_mountd(stage, stage.client, 2, gap=0.1)
    stage.wait(after_s - 0.2)
    stage.other.syn(stage.server, 2049)
    return stage.wire()


@threshold("REG008", "boot_s", fires=121, quiet=119)
def test_so_long_before_a_reboot_notice(stage: Stage, before_s: float) -> bytes:
    asks_for_mountd(stage, stage.client, 2, gap=1.0)
    stage.wait(before_s - 1)
    stage.boots(stage.server, stage.other)
    return stage.wire()


@quiet("REG008")
def test_mountd_is_registered_for_the_other_transport(stage: Stage) -> bytes:
    asks_for_mountd(stage, stage.client, netid="udp")
    stage.client.getport(stage.server, "mount3")
    stage.wait(5)
    stage.client.syn(stage.server, 2049)
    return stage.wire()


@cannot_tell("REG008")
def test_a_monitoring_system_mounts_nothing(stage: Stage) -> bytes:
    probed(stage)
    return stage.wire()
