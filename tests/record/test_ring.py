"""The ring on disk: what it keeps and for how long, and what is left of it on a full disk or after a kill."""

from __future__ import annotations

import errno
import os
import shutil
import struct
import subprocess
from pathlib import Path

import pytest

import nfsrpc
from nfsrpc._core import Decoder
from nfsrpc.diagnosis.causes import is_fault
from nfsrpc.record import ring as module
from nfsrpc.record.ring import DiskRing, segment_name, segments, terms
from nfsrpc.record.segment import Interface, blocks, section, statistics
from nfsrpc.sources import SourceError
from nfsrpc.wording import SECOND
from tests.captures_dir import Capture, captures
from tests.record.pieces import START, batch, packet

HOUR = 3600 * SECOND
ETHERNET = [Interface(1, "eth0", 0)]


def ring_of(directory: Path, size: int = 1 << 20, age: int = 24 * HOUR) -> tuple[DiskRing, list[str]]:
    said: list[str] = []
    return DiskRing(str(directory), size, age, said.append), said


def names(directory: Path) -> list[str]:
    return sorted(path.name for path in directory.glob("ring-*"))


def recorded(data: bytes, directory: Path, nfs: bool = True) -> None:
    """Has a ring keep what belongs to it of a capture."""
    decoder = Decoder(ring=terms(nfs))
    ring, _ = ring_of(directory, 1 << 30)
    for at in range(0, len(data), 1 << 20):
        decoder.feed(data[at : at + (1 << 20)])
        ring.take(decoder)
    decoder.close()
    ring.take(decoder, all=True)
    ring.release()


@pytest.mark.parametrize("capture", captures("samples"))
def test_the_ring_of_a_capture_has_its_verdict(capture: Capture, tmp_path: Path) -> None:
    """But for the time of the last packet, which may be no control traffic: what waits waits until the last one."""
    if capture.name.startswith("one-sided"):
        pytest.skip("its finding is about packets that are no control traffic")
    data = capture.load()
    recorded(data, tmp_path)
    whole, kept = nfsrpc.read(data).diagnosis, nfsrpc.read(tmp_path).diagnosis
    assert (kept.verdict.state, kept.verdict.rule) == (whole.verdict.state, whole.verdict.rule)
    assert [(found.id, found.certainty) for found in kept.findings if is_fault(found)] == [
        (found.id, found.certainty) for found in whole.findings if is_fault(found)
    ]


def test_without_nfs_the_ring_has_the_locks_alone(samples: Path, tmp_path: Path) -> None:
    data = (samples / "server-without-statd" / "nfssrv-any.pcap").read_bytes()
    recorded(data, tmp_path, nfs=False)
    whole, kept = nfsrpc.read(data), nfsrpc.read(tmp_path)
    assert kept.verdict.rule == whole.verdict.rule == "REG001"
    assert set(kept.calls["program"]) == set(whole.calls["program"]) - {"nfs", "nfsacl"}
    assert len(kept.calls) == (~whole.calls["program"].isin(["nfs", "nfsacl"])).sum()


@pytest.mark.tshark
def test_wireshark_reads_it(samples: Path, tmp_path: Path) -> None:
    if shutil.which("tshark") is None:
        pytest.skip("tshark is not installed")
    recorded((samples / "server-without-statd" / "nfssrv-any.pcap").read_bytes(), tmp_path)
    [file] = tmp_path.glob("ring-*")
    for shown in ("nlm", "portmap", "mount", "tcp.flags.syn == 1"):
        assert messages(file, shown) == messages(samples / "server-without-statd" / "nfssrv-any.pcap", shown) != []


def messages(file: Path, shown: str) -> list[str]:
    """Times and lengths of the frames that a display filter shows."""
    command = ["tshark", "-r", file, "-Y", shown, "-T", "fields", "-e", "frame.time_epoch", "-e", "frame.cap_len"]
    return subprocess.run(command, capture_output=True, text=True, check=True).stdout.splitlines()


def test_a_name_has_the_time_of_the_first_frame_and_a_number(tmp_path: Path) -> None:
    ring, _ = ring_of(tmp_path)
    ring.write(batch(START), ETHERNET)
    ring.release()
    again, _ = ring_of(tmp_path)
    again.write(batch(START + HOUR), ETHERNET)
    assert names(tmp_path) == ["ring-20261122T053139Z-000001.pcapng", "ring-20261122T063139Z-000002.pcapng"]
    assert {path.stat().st_mode & 0o777 for path in tmp_path.glob("ring-*")} == {0o600}


def test_the_size_is_kept(tmp_path: Path) -> None:
    ring, _ = ring_of(tmp_path, size=64_000)
    for second in range(1000):
        ring.write(batch(START + second * SECOND), ETHERNET if not second else ())
        assert sum(path.stat().st_size for path in tmp_path.glob("ring-*")) == ring.total <= 64_000
    ring.close()
    assert 64_000 * 15 // 16 - 500 < ring.total <= 64_000
    last = segments(str(tmp_path))[-1]
    assert last.first <= START + 999 * SECOND


def test_a_segment_that_just_fits_stays(tmp_path: Path) -> None:
    ring, _ = ring_of(tmp_path, size=16_000)  # segments of 1000
    ring._interfaces = [*ETHERNET]
    length = len(packet(START))
    head = len(section()) + len(module.interface_block(ETHERNET[0]))
    ring.write(batch(START), ETHERNET)
    rest = (ring.segment_size - head - length) // length
    for _ in range(rest):
        ring.write(batch(START))
    assert len(names(tmp_path)) == 1
    ring.write(batch(START))
    assert len(names(tmp_path)) == 2


@pytest.mark.parametrize(("later", "left"), [(0, 2), (1, 1)])
def test_the_age_is_kept(tmp_path: Path, later: int, left: int) -> None:
    ring, _ = ring_of(tmp_path, age=24 * HOUR)
    ring.write(batch(START), ETHERNET)
    ring.write(batch(START + 24 * HOUR + later))
    assert len(names(tmp_path)) == left


@pytest.mark.parametrize(("later", "left"), [(0, 1), (1, 0)])
def test_what_is_too_old_goes_also_when_nothing_comes(tmp_path: Path, later: int, left: int) -> None:
    ring, _ = ring_of(tmp_path, age=24 * HOUR)
    ring.write(batch(START), ETHERNET)
    ring.expire(START + 24 * HOUR + later)
    assert len(names(tmp_path)) == left


def test_a_segment_ends_after_a_part_of_the_age(tmp_path: Path) -> None:
    ring, _ = ring_of(tmp_path, age=24 * HOUR)
    ring.write(batch(START), ETHERNET)
    ring.write(batch(START + HOUR))
    assert len(names(tmp_path)) == 1
    ring.write(batch(START + HOUR + 1))
    assert len(names(tmp_path)) == 2


def test_every_segment_names_all_interfaces(tmp_path: Path) -> None:
    ring, _ = ring_of(tmp_path)
    ring._interfaces = [*ETHERNET]
    ring.write(batch(START), ETHERNET)
    ring.close()
    ring.write(batch(START + HOUR))
    for path in sorted(tmp_path.glob("ring-*")):
        assert [kind for kind, _, _ in blocks(path.read_bytes())] == [0x0A0D0D0A, 1, 6]


def test_segments_are_on_the_disk_when_they_end(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    synced: list[int] = []
    monkeypatch.setattr(os, "fsync", synced.append)
    ring, _ = ring_of(tmp_path)
    ring.write(batch(START), ETHERNET)
    assert synced == []
    ring.close()
    assert len(synced) == 1


def test_packets_that_were_dropped_are_in_the_segment(samples: Path, tmp_path: Path) -> None:
    data = (samples / "server-without-statd" / "nfssrv-any.pcap").read_bytes()
    decoder = Decoder(ring=terms(True))
    decoder.feed(data)
    ring, _ = ring_of(tmp_path)
    ring.take(decoder, drops=5)
    ring.take(decoder, drops=12)
    ring.close()
    assert nfsrpc.read(tmp_path).captures[0]["quality"]["drops"] == 12
    [file] = tmp_path.glob("ring-*")
    assert file.read_bytes().endswith(statistics(1_795_325_563_344_272_000, 12))


def test_a_block_that_is_half_written_is_read_as_cut(samples: Path, tmp_path: Path) -> None:
    recorded((samples / "server-without-statd" / "nfssrv-any.pcap").read_bytes(), tmp_path)
    [file] = tmp_path.glob("ring-*")
    with open(file, "r+b") as opened:
        opened.truncate(file.stat().st_size - 50)
    trace = nfsrpc.read(tmp_path)
    assert trace.captures[0]["quality"]["truncated"]
    assert trace.captures[0]["frames"] == 392
    assert trace.verdict.rule == "REG001"


def test_a_full_disk_stops_the_ring_and_is_reported_once(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    ring, said = ring_of(tmp_path)
    ring.write(batch(START), ETHERNET)
    before = ring.total
    real = os.write

    def full(file: int, data: bytes | memoryview) -> int:
        if len(data) > 10:
            return real(file, data[:10])
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(os, "write", full)
    for second in range(3):
        ring.write(batch(START + second * SECOND))
    assert said == [f"{tmp_path}: the ring has stopped: No space left on device"]
    assert ring.is_stopped
    monkeypatch.setattr(os, "write", real)
    assert sum(path.stat().st_size for path in tmp_path.glob("ring-*")) == ring.total == before
    ring.write(batch(START + 5 * SECOND))
    assert said[1:] == [f"{tmp_path}: there is room again; the ring goes on"]
    for path in tmp_path.glob("ring-*"):
        data = path.read_bytes()
        *_, (_, _, end) = blocks(data)
        assert end == len(data)


@pytest.mark.parametrize(("free", "stops"), [(50_000 + 1000, False), (50_000 - 1, True)])
def test_a_reserve_is_left(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, free: int, stops: bool) -> None:
    class System:
        f_blocks, f_frsize, f_bavail = 1_000_000, 1, free

    monkeypatch.setattr(os, "statvfs", lambda _: System)
    ring, said = ring_of(tmp_path)
    ring.write(batch(START), ETHERNET)
    assert ring.is_stopped is stops
    assert bool(said) is stops
    assert len(names(tmp_path)) == (0 if stops else 1)


def test_the_reserve_of_a_large_disk_is_a_gigabyte(monkeypatch: pytest.MonkeyPatch) -> None:
    class System:
        f_blocks, f_frsize, f_bavail = 1 << 40, 1, 3 << 30

    monkeypatch.setattr(os, "statvfs", lambda _: System)
    assert module.room("/") == 2 << 30


def test_one_recorder_at_a_time(tmp_path: Path) -> None:
    ring, _ = ring_of(tmp_path)
    with pytest.raises(SourceError, match="another recorder writes there"):
        ring_of(tmp_path)
    ring.release()
    ring_of(tmp_path)[0].release()


def test_files_of_others_are_left_alone(tmp_path: Path) -> None:
    for name in ("other.pcapng", "ring-x.pcapng", "ring-20261122T053139Z-000001.pcapng.gz"):
        (tmp_path / name).write_bytes(bytes(100_000))
    target = tmp_path / "target"
    target.write_bytes(b"x")
    (tmp_path / "ring-20261122T053139Z-000009.pcapng").symlink_to(target)
    ring, _ = ring_of(tmp_path, size=20_000, age=HOUR)
    for hour in range(10):
        ring.write(batch(START + hour * HOUR), ETHERNET if not hour else ())
    assert segments(str(tmp_path))[0].number > 1
    assert not any(os.path.islink(segment.path) for segment in segments(str(tmp_path)))
    assert {"other.pcapng", "ring-x.pcapng", "target"} < {path.name for path in tmp_path.iterdir()}


@pytest.mark.parametrize("time", [-(1 << 63), -1, 0, (1 << 63) - 1])
def test_any_time_makes_a_name(time: int) -> None:
    assert module.NAME.fullmatch(segment_name(time, 1))


def test_blocks_end_where_one_is_damaged() -> None:
    data = section() + packet(START) + packet(START)
    for at, value in ((4, 7), (4, 1 << 30), (4, 0)):
        broken = bytearray(data)
        struct.pack_into("<I", broken, len(section()) + at, value)
        assert [kind for kind, _, _ in blocks(bytes(broken))] == [0x0A0D0D0A]
