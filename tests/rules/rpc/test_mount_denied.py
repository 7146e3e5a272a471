"""MNT001: a mount is refused by the server."""

from __future__ import annotations

import pytest

from nfsrpc.findings.finding import Finding
from tests.rules.stage import CLIENT, SERVER, Stage, asked, cannot_tell, findings, fires, quiet


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


def refused(stage: Stage, port: int, status: str = "ACCES", granted_from: int | None = None) -> Finding:
    if granted_from is not None:
        stage.client.call(stage.server, "mount3", "MNT", from_port=granted_from, dirpath="/a").reply(fhs_status="OK")
    stage.client.call(stage.server, "mount3", "MNT", from_port=port, dirpath="/srv").reply(fhs_status=status)
    (found,) = findings(asked("MNT001", stage.wire()))
    return found


def test_a_source_port_above_1023_is_the_probable_reason() -> None:
    found = refused(Stage(), 1024)
    assert "source ports of 1024 and above (1024): that is the probable reason" in found.explanation
    assert any("option insecure" in line.comment for line in found.remedy)


@pytest.mark.parametrize(
    ("port", "status", "granted_from"), [(1023, "ACCES", None), (1024, "NOENT", None), (1024, "ACCES", 2000)]
)
def test_another_reason(port: int, status: str, granted_from: int | None) -> None:
    found = refused(Stage(), port, status, granted_from)
    assert "probable reason" not in found.explanation
    assert not any("insecure" in line.comment for line in found.remedy)


@fires("MNT001", clients=(CLIENT,))
def test_another_client_mounts_it(stage: Stage) -> bytes:
    stage.client.call(stage.server, "mount3", "MNT", dirpath="/srv").reply(fhs_status="ACCES")
    stage.other.mount(stage.server, "/srv")
    return stage.wire()
