"""The folder of an incident: its capture out of the ring, its reports, and names that a capture cannot choose."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
from pathlib import Path

import pytest

import nfsrpc
from nfsrpc._core import Decoder
from nfsrpc.record import folder as module
from nfsrpc.record import manifest as manifests
from nfsrpc.record import node
from nfsrpc.record.folder import BEFORE, Job, extract, write
from nfsrpc.record.manifest import INCIDENTS, Manifest, document, folder_name, parsed, written
from nfsrpc.record.ring import DiskRing, segments, terms
from nfsrpc.record.segment import Interface, block, section
from nfsrpc.wording import SECOND
from tests.captures_dir import SETS
from tests.record.pieces import CLIENT, SERVER, START, batch, packet

FIRST = 1_795_325_499_672_967_000  # of the first sign in the sample
END = 1_795_325_563_344_272_000
NAME = "20261122T053139Z-REG001-10.1.84.31"


@pytest.fixture
def directory(samples: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A recorder's directory with the ring of the sample."""
    monkeypatch.chdir(tmp_path)  # `write` changes the working directory
    ring = DiskRing(str(tmp_path), 1 << 30, 1 << 60)
    decoder = Decoder(ring=terms(True))
    decoder.feed((samples / "server-without-statd" / "nfssrv-any.pcap").read_bytes())
    decoder.close()
    ring.take(decoder, all=True)
    ring.release()
    return tmp_path


def manifest_of(**fields: object) -> Manifest:
    values = {"id": NAME, "state": "open", "rule": "REG001", "host": SERVER, "title": "no statd"}
    values |= {"opened": END, "first": FIRST, "last": END, "findings": [f"REG001@{SERVER}"]}
    return Manifest(**values | fields)  # type: ignore[arg-type]


def job(directory: Path, manifest: Manifest | None = None, **fields: object) -> Job:
    values = {"directory": str(directory), "manifest": document(manifest or manifest_of()), "since": FIRST}
    values |= {"until": END, "size": 1 << 20, "settings": [(), (), {}, None], "kernel_log": "", "on_node": False}
    return Job(**values | fields)  # type: ignore[arg-type]


def test_what_lies_in_it(directory: Path) -> None:
    written = parsed(json.dumps(write(job(directory))))
    place = directory / INCIDENTS / NAME
    files = {path.name: path.stat().st_mode & 0o777 for path in place.iterdir()}
    names = ("capture.pcapng", "manifest.json", "report.html", "report.json", "report.txt")
    assert files == dict.fromkeys(names, 0o600)
    assert place.stat().st_mode & 0o777 == 0o700
    assert [path.name for path in place.parent.iterdir()] == [NAME]
    assert written.capture["frames"] == 393
    assert (written.capture["shows_it"], written.capture["complete"]) == (True, True)
    assert written.verdict.startswith(f"The server {SERVER} has no rpc.statd registered")
    assert parsed((place / "manifest.json").read_text()) == written


def test_the_reports_are_those_of_its_capture(directory: Path) -> None:
    write(job(directory))
    place = directory / INCIDENTS / NAME
    trace = nfsrpc.read(place / "capture.pcapng")
    assert trace.verdict.rule == "REG001"
    report = json.loads((place / "report.json").read_text())
    [proof, *_] = report["findings"][0]["evidence"]
    assert report["captures"][0]["file"] == "capture.pcapng"
    assert f"capture.pcapng:{proof['frame']}" in (place / "report.txt").read_text()
    assert proof["frame"] in {one.frame for one in trace.diagnosis.findings[0].evidence}
    assert (place / "report.html").read_text().startswith("<!DOCTYPE html>")


@pytest.mark.tshark
def test_the_frames_of_the_proof_have_comments(directory: Path) -> None:
    if shutil.which("tshark") is None:
        pytest.skip("tshark is not installed")
    write(job(directory))
    file = directory / INCIDENTS / NAME / "capture.pcapng"
    command = ["tshark", "-r", file, "-Y", "frame.comment", "-T", "fields", "-e", "frame.number", "-e", "frame.comment"]
    told = subprocess.run(command, capture_output=True, text=True, check=True).stdout
    comments = dict(line.split("\t", 1) for line in told.splitlines())
    proof = nfsrpc.read(file).diagnosis.findings[0].evidence
    assert {str(frame.frame) for frame in proof} <= set(comments)
    assert comments["105"].startswith("GETPORT call; REG001: ")


def test_it_is_renamed_when_it_is_complete(directory: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    renamed: list[tuple[str, set[str]]] = []
    real = os.rename

    def rename(source: str, target: str) -> None:
        if os.path.isdir(source):
            renamed.append((os.path.basename(target), set(os.listdir(source))))
        real(source, target)

    monkeypatch.setattr(os, "rename", rename)
    (directory / INCIDENTS / f".{NAME}.part").mkdir(parents=True)
    (directory / INCIDENTS / f".{NAME}.part" / "of an earlier try").touch()
    write(job(directory))
    names = {"capture.pcapng", "manifest.json", "report.html", "report.json", "report.txt"}
    assert renamed == [(NAME, names)]


def test_one_that_is_there_is_brought_up_to_date(directory: Path) -> None:
    write(job(directory))
    cause = {"finding": "NET001@10.1.84.31", "title": "a packet filter", "time": None}
    later = manifest_of(state="resolved", resolved=END, explained_by=[cause])
    write(job(directory, later))
    place = directory / INCIDENTS / NAME
    assert parsed((place / "manifest.json").read_text()).explained_by == [cause]
    head = (place / "report.txt").read_text().splitlines()
    assert head[0] == f"Incident {NAME}, resolved: no statd"
    assert "Explained by NET001@10.1.84.31: a packet filter" in head
    assert not list(place.glob(".*"))


def test_dropped_packets_are_told(directory: Path) -> None:
    write(job(directory, manifest_of(dropped=12)))
    place = directory / INCIDENTS / NAME
    assert nfsrpc.read(place / "capture.pcapng").captures[0]["quality"]["drops"] == 12
    assert "12 packets were dropped in capturing meanwhile" in (place / "report.txt").read_text()


def test_a_capture_that_does_not_show_it_says_so(directory: Path) -> None:
    told = parsed(json.dumps(write(job(directory, manifest_of(rule="NET001", findings=["NET001@10.1.84.99"])))))
    assert told.capture["shows_it"] is False
    assert (
        "The capture in this folder alone does not show it" in (directory / INCIDENTS / NAME / "report.txt").read_text()
    )


def test_without_frames_there_is_a_manifest(directory: Path) -> None:
    for path in directory.glob("ring-*"):
        path.unlink()
    told = parsed(json.dumps(write(job(directory))))
    assert told.notes == ["the ring holds no frame of this time"]
    assert [path.name for path in (directory / INCIDENTS / NAME).iterdir()] == ["manifest.json"]


@pytest.mark.parametrize(("free", "frames"), [(1 << 40, 393), (400_000, 393), (90_000, 196), (20_000, 0)])
def test_half_of_the_reserve_is_for_incidents(
    directory: Path, monkeypatch: pytest.MonkeyPatch, free: int, frames: int
) -> None:
    class System:
        f_blocks, f_frsize, f_bavail = 1_000_000, 1, free

    monkeypatch.setattr(os, "statvfs", lambda _: System)
    told = parsed(json.dumps(write(job(directory))))
    assert told.capture.get("frames", 0) == frames
    assert ("the file system has no room for all of the capture" in told.notes) is (frames < 393)


def test_the_nodes_own_facts(directory: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    facts = {"locks.txt": "1: POSIX\n", "rpcinfo.txt": node.UnreadableFact("rpcinfo is not installed")}
    monkeypatch.setattr(node, "facts", lambda: facts)
    line = "[   93.129579] lockd: server 10.1.84.31 not responding, still trying"
    log = f"# clock: dmesg 0.0 = epoch 1795325466.941\n{line}\n"
    told = parsed(json.dumps(write(job(directory, on_node=True, kernel_log=log))))
    assert told.node == {"locks.txt": "written", "rpcinfo.txt": "rpcinfo is not installed", "kernel.log": "written"}
    place = directory / INCIDENTS / NAME
    assert ((place / "locks.txt").read_text(), (place / "kernel.log").read_text()) == ("1: POSIX\n", log)
    assert "not responding" in (place / "report.txt").read_text()


# The range of a capture


def ring_of_times(directory: Path, times: list[int], size: int = 1 << 20) -> Path:
    ring = DiskRing(str(directory), size, 1 << 62)
    ring._interfaces = [Interface(1, "eth0", 0)]
    for time in times:
        ring.write(batch(time))
    ring.release()
    return directory


def test_two_minutes_before_the_first_sign(tmp_path: Path) -> None:
    times = [START - BEFORE - 1, START - BEFORE, START, START + SECOND, START + SECOND + 1]
    found = extract(segments(str(ring_of_times(tmp_path, times))), START - BEFORE, START + SECOND, START, 1 << 20)
    assert (len(found.packets), found.first, found.last) == (3, START - BEFORE, START + SECOND)
    assert (found.is_cut, found.is_late) == (False, False)


def test_segments_are_put_together(tmp_path: Path) -> None:
    times = [START + hour * 3600 * SECOND for hour in range(3)]
    ring_of_times(tmp_path, times, size=1600)
    assert len(segments(str(tmp_path))) == 3
    found = extract(segments(str(tmp_path)), times[1], times[2], times[1], 1 << 20)
    assert (len(found.packets), len(found.interfaces)) == (2, 1)


def test_a_clock_that_was_set_back_hides_no_segment(tmp_path: Path) -> None:
    ring_of_times(tmp_path, [START + 100 * SECOND])
    ring_of_times(tmp_path, [START])
    files = segments(str(tmp_path))
    assert [file.number for file in files] == [1, 2]
    found = extract(files, START + 99 * SECOND, START + 101 * SECOND, START + 101 * SECOND, 1 << 20)
    assert found.first == START + 100 * SECOND


def test_what_is_too_large_keeps_the_time_around_the_opening(tmp_path: Path) -> None:
    times = [START + second * SECOND for second in range(-50, 50)]
    length = len(packet(START))
    files = segments(str(ring_of_times(tmp_path, times)))
    found = extract(files, times[0], times[-1], START, 40 * length)
    assert (len(found.packets), found.is_cut) == (40, True)
    assert (found.first, found.last) == (START - 29 * SECOND, START + 10 * SECOND)
    whole = extract(files, times[0], times[-1], START, 1 << 20)
    assert (len(whole.packets), whole.is_cut) == (100, False)


def test_what_is_too_large_is_tried_without_nfs(directory: Path) -> None:
    told = parsed(json.dumps(write(job(directory, size=60_000))))
    assert told.notes == ["for its size, the capture is without NFS itself"]
    assert (told.capture["complete"], told.capture["shows_it"]) == (True, True)
    place = directory / INCIDENTS / NAME / "capture.pcapng"
    assert set(nfsrpc.read(place).calls["program"]) == {"portmap", "mount", "nlm"}


def test_a_ring_that_begins_too_late_is_told(tmp_path: Path) -> None:
    files = segments(str(ring_of_times(tmp_path, [START])))
    assert extract(files, START - BEFORE, START, START, 1 << 20).is_late is False
    assert extract(files, START - BEFORE - 1, START, START, 1 << 20).is_late is True


def test_interfaces_of_two_runs_are_told_apart(tmp_path: Path) -> None:
    for name in ("eth0", "eth1"):
        ring = DiskRing(str(tmp_path), 1 << 20, 1 << 62)
        ring._interfaces = [Interface(1, name, 0)]
        ring.write(batch(START))
        ring.release()
    found = extract(segments(str(tmp_path)), START, START, START, 1 << 20)
    assert [data[8] for data in found.packets] == [0, 1]
    assert len(found.interfaces) == 2


def test_damaged_segments_are_read_as_far_as_they_go(tmp_path: Path) -> None:
    [file] = [Path(each.path) for each in segments(str(ring_of_times(tmp_path, [START])))]
    for data in (b"", section(), section() + packet(START), section() + block(6, bytes(4)), os.urandom(500)):
        file.write_bytes(data)
        assert extract(segments(str(tmp_path)), 0, 1 << 62, START, 1 << 20).packets == []


# Names


@pytest.mark.parametrize(
    "host",
    ["../../etc/passwd", "a\nb", "$(reboot)", "10.0.0.1/..", "", None, "x" * 300, "127.0.0.1 of a.pcap", "\x1b[2J"],
)
def test_a_host_that_is_no_address_is_no_name(host: str | None) -> None:
    assert folder_name(START, "REG001", host) == "20261122T053139Z-REG001-unknown"


@pytest.mark.parametrize(
    ("host", "shown"),
    [("10.1.84.31", "10.1.84.31"), ("fe80::1%eth0", "fe80--1"), ("FD91:6:0::11", "fd91-6--11"), ("::", "--")],
)
def test_addresses_as_names(host: str, shown: str) -> None:
    name = folder_name(START, "REG001", host)
    assert name == f"20261122T053139Z-REG001-{shown}"
    assert manifests.NAME.fullmatch(name)


@pytest.mark.parametrize("time", [-(1 << 63), 0, (1 << 63) - 1])
def test_any_time_makes_a_name(time: int) -> None:
    assert manifests.NAME.fullmatch(folder_name(time, "LCK001", CLIENT))


def test_a_manifest_is_read_as_it_was_written() -> None:
    manifest = manifest_of(resolved=END, kernel_log=["a"], dropped=3, clients=[CLIENT])
    assert parsed(written(manifest)) == manifest


@pytest.mark.parametrize(
    "change",
    [{"id": "../x"}, {"state": "odd"}, {"schema": 2}, {"more": 1}, {"opened": 3}, {"first": "yesterday"}, {"id": 3}],
)
def test_what_is_no_manifest_is_refused(change: dict[str, object]) -> None:
    with pytest.raises(ValueError, match=r"manifest|time|format"):
        parsed(json.dumps(document(manifest_of()) | change))


def test_a_folder_of_another_name_than_its_manifest_is_none(tmp_path: Path) -> None:
    other = "20261122T053139Z-REG001-10.1.84.99"
    for name, text in ((NAME, written(manifest_of())), (other, written(manifest_of()))):
        (tmp_path / INCIDENTS / name).mkdir(parents=True)
        (tmp_path / INCIDENTS / name / "manifest.json").write_text(text)
    (tmp_path / INCIDENTS / "20261122T053139Z-REG001-10.1.84.98").symlink_to(tmp_path)
    (tmp_path / INCIDENTS / "notes").mkdir()
    assert manifests.manifests(str(tmp_path)) == [manifest_of(), other]
    manifests.delete(str(tmp_path), ["../x", NAME, "notes"])
    assert {path.name for path in (tmp_path / INCIDENTS).iterdir() if path.is_dir()} >= {"notes", other}
    assert not (tmp_path / INCIDENTS / NAME).exists()


def hostile() -> list[Path]:
    return sorted(SETS["hostile"].found.glob("*.pcap"))


@pytest.mark.parametrize("capture", hostile() or [None], ids=lambda path: path.name if path else "none")
def test_hostile_captures_reach_no_name_and_no_terminal(
    capture: Path | None, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    if capture is None:
        pytest.skip(f"no captures in {SETS['hostile'].found}: name their directory in {SETS['hostile'].variable}")
    monkeypatch.chdir(tmp_path)
    ring = DiskRing(str(tmp_path), 1 << 30, 1 << 60)
    decoder = Decoder(ring=terms(True))
    decoder.feed(capture.read_bytes())
    decoder.close()
    ring.take(decoder, all=True)
    ring.release()
    trace = nfsrpc.read(capture)
    for cause in trace.diagnosis.causes:
        name = folder_name(START, cause.rule, cause.host)
        manifest = manifest_of(id=name, rule=cause.rule, host=cause.host, title=cause.title, findings=[cause.id])
        write(job(tmp_path, manifest, since=0, until=1 << 62))
        place = tmp_path / INCIDENTS / name
        assert manifests.NAME.fullmatch(name)
        text = (place / "report.txt").read_text()
        assert all(char.isprintable() or char == "\n" for char in text)
        assert (place / "report.html").read_text().count("<script") == 1  # its own
    assert {path.name for path in tmp_path.iterdir()} - {INCIDENTS, ".lock"} == {
        path.name for path in tmp_path.glob("ring-*")
    }
    assert module.CAPTURE == "capture.pcapng"
