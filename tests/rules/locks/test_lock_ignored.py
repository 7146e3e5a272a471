"""LCK013: One client locks a file that another writes without any lock."""

from __future__ import annotations

from typing import Any

import pytest

from tests.rules.locks.scenes import granted_too_late
from tests.rules.stage import CLIENT, OTHER, PATH, Stage, asked, cannot_tell, findings, fires, inputs, quiet
from tests.scenario import Host, handle


def write(client: Host, stage: Stage, path: str = PATH, status: str = "OK", offset: int = 0) -> None:
    call = client.call(stage.server, "nfs3", "WRITE", file=handle(path), offset=offset, count=4, data=b"data")
    call.reply(status=status)


@fires("LCK013", host=OTHER, clients=(CLIENT,), certainty="certain", count=2)
def test_another_writes_to_what_is_locked(stage: Stage) -> bytes:
    lock = stage.client.lock(stage.server).granted()
    write(stage.other, stage)
    stage.wait(1)
    write(stage.other, stage)
    stage.wait(1)
    lock.unlock().granted()
    return stage.wire()


@fires("LCK013", host=OTHER, certainty="likely")
def test_another_writes_while_a_part_is_locked(stage: Stage) -> bytes:
    stage.client.lock(stage.server, offset=100, length=10).granted()
    write(stage.other, stage)
    return stage.wire()


@fires("LCK013", host=OTHER, certainty="likely")
def test_another_writes_beside_a_shared_lock(stage: Stage) -> bytes:
    stage.client.lock(stage.server, exclusive=False).granted()
    write(stage.other, stage)
    return stage.wire()


@fires("LCK013", host=OTHER, count=1)
def test_nfs2_writes_count_too(stage: Stage) -> bytes:
    fh = handle(PATH).ljust(32, b"\0")
    alock = {"caller_name": "web-1", "fh": fh, "oh": b"1@web-1", "svid": 1, "l_offset": 0, "l_len": 0}
    stage.client.call(stage.server, "nlm3", "LOCK", exclusive=True, alock=alock).reply(stat="GRANTED")
    stage.other.call(stage.server, "nfs2", "WRITE", file=fh, data=b"data").reply(status="OK")
    return stage.wire()


@quiet("LCK013")
def test_writes_before_and_after_the_lock(stage: Stage) -> bytes:
    write(stage.other, stage)
    stage.wait(1)
    lock = stage.client.lock(stage.server).granted()
    stage.wait(1)
    lock.unlock().granted()
    stage.wait(1)
    write(stage.other, stage)
    write(stage.client, stage)
    return stage.wire()


@quiet("LCK013")
def test_a_write_that_is_refused(stage: Stage) -> bytes:
    stage.client.lock(stage.server).granted()
    write(stage.other, stage, status="ACCES")
    write(stage.client, stage)
    return stage.wire()


@quiet("LCK013")
def test_who_writes_locks_too(stage: Stage) -> bytes:
    stage.client.lock(stage.server, length=10).granted()
    stage.other.lock(stage.server, offset=10, length=10).granted()
    write(stage.other, stage)
    write(stage.client, stage)
    return stage.wire()


@quiet("LCK013")
def test_the_holder_writes(stage: Stage) -> bytes:
    stage.client.lock(stage.server).granted()
    write(stage.client, stage)
    write(stage.other, stage, "/srv/another")
    return stage.wire()


@quiet("LCK013")
def test_who_writes_shares_files(stage: Stage) -> bytes:
    share = {"caller_name": "web-2", "fh": handle(PATH), "oh": b"1@web-2", "mode": 0, "access": 2}
    stage.client.lock(stage.server).granted()
    stage.other.call(stage.server, "nlm4", "SHARE", share=share).reply(stat="GRANTED")
    write(stage.other, stage)
    write(stage.client, stage)
    return stage.wire()


@cannot_tell("LCK013", command=True)
def test_only_one_client_was_captured(stage: Stage) -> bytes:
    stage.client.lock(stage.server).granted()
    write(stage.client, stage)
    return stage.wire()


@cannot_tell("LCK013")
def test_handles_of_writes_are_cut(stage: Stage) -> bytes:
    stage.client.lock(stage.server).granted()
    write(stage.client, stage)
    write(stage.other, stage)
    return stage.wire(snaplen=130)


@cannot_tell("LCK013")
def test_no_lock_is_granted(stage: Stage) -> bytes:
    write(stage.other, stage)
    return stage.wire()


@cannot_tell("LCK013")
def test_the_lock_of_who_writes_is_lost(stage: Stage) -> bytes:
    stage.other.lock(stage.server, "/srv/one").granted()
    before = len(stage.scenario.packets())
    stage.other.lock(stage.server, offset=10, length=10).granted()
    after = len(stage.scenario.packets())
    stage.other.lock(stage.server, "/srv/two").granted()
    stage.client.lock(stage.server, length=10).granted()
    write(stage.other, stage)
    return stage.wire(lost=range(before + 1, after + 1))


def test_many_files_are_one_finding() -> None:
    stage = Stage()
    for number in range(30):
        stage.client.lock(stage.server, f"/srv/{number}").granted()
        write(stage.other, stage, f"/srv/{number}")
    (finding,) = findings(asked("LCK013", stage.wire()))
    assert (finding.count, len(finding.files), finding.clients) == (30, 20, (CLIENT,))
    assert "and 29 other files" in finding.title


@fires("LCK013", host=OTHER, severity="warning", certainty="certain")
def test_a_write_into_what_is_locked_exclusively_is_a_warning(stage: Stage) -> bytes:
    lock = stage.client.lock(stage.server).granted()
    write(stage.other, stage)
    lock.unlock().granted()
    return stage.wire()


def severity(lock: dict[str, Any], *offsets: int) -> tuple[str, str]:
    """What writes of four bytes at these offsets are, beside this lock."""
    stage = Stage()
    stage.client.lock(stage.server, **lock).granted()
    for offset in offsets:
        write(stage.other, stage, offset=offset)
    (found,) = findings(asked("LCK013", stage.wire()))
    return found.severity, found.certainty


@pytest.mark.parametrize("lock", [{"exclusive": False}, {"length": 100}, {"offset": 104}])
def test_a_write_beside_the_lock_is_information(lock: dict[str, Any]) -> None:
    assert severity(lock, 100) == ("info", "likely")


@pytest.mark.parametrize("lock", [{"length": 101}, {"offset": 103}, {"offset": 101, "length": 1}])
def test_a_write_that_meets_the_lock_is_a_warning(lock: dict[str, Any]) -> None:
    assert severity(lock, 100) == ("warning", "certain")


def test_writes_of_ten_seconds_certainly_fall_into_what_contains_them_all() -> None:
    lock = {"offset": 100, "length": 24}
    assert severity(lock, 100, 120) == ("warning", "certain")
    assert severity(lock, 99, 120) == ("warning", "likely")
    assert severity(lock, 100, 121) == ("warning", "likely")
    assert severity(lock, 92, 96) == ("info", "likely")


def test_a_range_that_is_held_for_longer_than_the_latest() -> None:
    stage = Stage()
    first = stage.client.lock(stage.server, offset=100, length=10).granted()
    stage.client.lock(stage.server, offset=200, length=10).granted()
    stage.client.lock(stage.server, offset=300, length=10).granted().unlock().granted()
    write(stage.other, stage, offset=104)
    (found,) = findings(asked("LCK013", stage.wire()))
    assert (found.severity, found.certainty) == ("warning", "certain")
    assert "into its range" in found.explanation
    (lock,) = (row for row in inputs(stage.wire())["locks"].rows() if row.l_offset == 100)
    assert f"in frame {lock.granted_frame}," in found.explanation
    first.unlock().granted()
    stage.wait(11)
    write(stage.other, stage, offset=104)
    (found,) = findings(asked("LCK013", stage.wire()))
    assert found.severity == "warning"


def test_a_range_that_was_released_before() -> None:
    stage = Stage()
    stage.client.lock(stage.server, offset=100, length=10).granted().unlock().granted()
    stage.client.lock(stage.server, offset=200, length=10).granted()
    write(stage.other, stage, offset=104)
    (found,) = findings(asked("LCK013", stage.wire()))
    assert (found.severity, found.certainty) == ("info", "likely")


@pytest.mark.parametrize(("lock", "expected"), [({"length": 10}, ("info", "likely")), ({}, ("warning", "certain"))])
def test_offsets_of_writes_are_cut(lock: dict[str, Any], expected: tuple[str, str]) -> None:
    stage = Stage()
    stage.client.lock(stage.server, **lock).granted()
    write(stage.scenario.host("10.0.0.3", name="n" * 200), stage)  # a longer header than that of any other call
    answers = (findings(asked("LCK013", stage.wire(snaplen=size))) for size in range(360, 400, 4))
    cut = next(filter(None, answers))
    assert (cut[0].severity, cut[0].certainty) == expected


@quiet("LCK013")
def test_nobody_writes(stage: Stage) -> bytes:
    stage.client.lock(stage.server).granted()
    stage.nfs(stage.client)
    stage.nfs(stage.other)
    return stage.wire()


@cannot_tell("LCK013")
def test_a_lock_that_its_application_does_not_have(stage: Stage) -> bytes:
    granted_too_late(stage)
    write(stage.other, stage)
    return stage.wire()
