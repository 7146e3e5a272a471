"""REG008: a server without registered NFS or MOUNT."""

from __future__ import annotations

from tests.rules.stage import CLIENT, SERVER, Stage, cannot_tell, fires, quiet


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
    for _ in range(3):
        stage.client.getport(stage.server, "nfs3", port=0)
        stage.later(2)
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
