"""NFS001: nFS calls are answered with errors."""

from __future__ import annotations

from tests.rules.stage import SERVER, Stage, cannot_tell, fires, quiet, threshold


@fires("NFS001", host=SERVER, severity="warning")
def test_stale_handles(stage: Stage) -> bytes:
    stage.client.call(stage.server, "nfs3", "GETATTR", object=b"x" * 8).reply(status="STALE")
    return stage.wire()


@fires("NFS001", severity="info")
def test_no_permission(stage: Stage) -> bytes:
    stage.client.call(stage.server, "nfs3", "GETATTR", object=b"x" * 8).reply(status="ACCES")
    return stage.wire()


@quiet("NFS001")
def test_a_name_that_is_not_there(stage: Stage) -> bytes:
    lookup = {"dir": b"x" * 8, "name": "missing"}
    stage.client.call(stage.server, "nfs3", "LOOKUP", **lookup).reply(status="NOENT")
    return stage.wire()


@cannot_tell("NFS001")
def test_no_nfs_at_all(stage: Stage) -> bytes:
    stage.client.lock(stage.server).granted()
    return stage.wire()


@threshold("NFS001", "jukebox", fires=10, quiet=9, severity="warning")
def test_so_many_jukebox_answers(stage: Stage, jukebox: int) -> bytes:
    for number in range(jukebox):
        stage.client.call(stage.server, "nfs3", "GETATTR", object=bytes([number]) * 8).reply(status="JUKEBOX")
    return stage.wire()


@quiet("NFS001")
def test_a_name_that_exists_already(stage: Stage) -> bytes:
    stage.client.call(stage.server, "nfs3", "MKDIR", dir=b"x" * 8, name="a").reply(status="EXIST")
    return stage.wire()


@fires("NFS001", severity="info")
def test_a_missing_name_that_is_no_look_up(stage: Stage) -> bytes:
    stage.client.call(stage.server, "nfs3", "REMOVE", dir=b"x" * 8, name="a").reply(status="NOENT")
    return stage.wire()
