"""MNT001: a mount is refused by the server."""

from __future__ import annotations

from tests.rules.stage import CLIENT, SERVER, Stage, cannot_tell, fires, quiet


@fires("MNT001", host=SERVER, clients=(CLIENT,))
def test_a_mount_is_refused(stage: Stage) -> bytes:
    stage.client.call(stage.server, "mount3", "MNT", dirpath="/srv").reply(fhs_status="ACCES")
    return stage.wire()


@quiet("MNT001")
def test_a_mount_is_granted_in_the_end(stage: Stage) -> bytes:
    stage.client.call(stage.server, "mount3", "MNT", dirpath="/srv").reply(fhs_status="ACCES")
    stage.wait(10)
    stage.client.mount(stage.server, "/srv")
    return stage.wire()


@cannot_tell("MNT001")
def test_no_mount(stage: Stage) -> bytes:
    stage.nfs()
    return stage.wire()
