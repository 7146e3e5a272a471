"""`nfsrpc record` and `nfsrpc incidents` as programs: what they write, what they print, how they end."""

from __future__ import annotations

import json
import os
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

import nfsrpc
from benchmarks.live import frame_ends
from benchmarks.recorder import mixed
from nfsrpc.cli.record import without_limit
from nfsrpc.record.ring import RESERVE_SHARE
from nfsrpc.sources.tcpdump import tcpdump_command
from tests.cli.command import ENVIRONMENT, run, shell

RECORD = (sys.executable, "-m", "nfsrpc", "record")
NAME = "20261122T053139Z-REG001-10.1.84.31"
TITLE = "the server 10.1.84.31 has no rpc.statd registered"
FILES = {"capture.pcapng", "manifest.json", "report.html", "report.json", "report.txt"}
as_root = pytest.mark.skipif(os.geteuid() != 0, reason="needs root, to give up its rights")
has_tcpdump = pytest.mark.skipif(tcpdump_command() is None, reason="tcpdump is not installed")


@pytest.fixture
def incident(samples: Path) -> bytes:
    return (samples / "server-without-statd" / "nfssrv-any.pcap").read_bytes()


@pytest.fixture
def open_directory() -> Iterator[Path]:
    """A directory that other users may reach."""
    with tempfile.TemporaryDirectory(dir="/tmp") as directory:
        os.chmod(directory, 0o755)
        yield Path(directory)


def record(directory: Path, *args: str | Path, stdin: bytes = b"") -> subprocess.CompletedProcess[bytes]:
    return shell("record", "-", "--directory", directory, "--no-drop", *args, stdin=stdin)


def started(directory: Path, *args: str | Path, **environment: str) -> subprocess.Popen[bytes]:
    command = [*RECORD, "-", "--directory", str(directory), "--no-drop", *map(str, args)]
    return subprocess.Popen(
        command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.PIPE, env=ENVIRONMENT | environment
    )


def wait_for(condition: Callable[[], object], seconds: float = 20.0) -> None:
    end = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < end
        time.sleep(0.05)


def ring_bytes(directory: Path) -> int:
    return sum(path.stat().st_size for path in directory.glob("ring-*"))


def manifest(directory: Path, name: str = NAME) -> dict[str, object]:
    found: dict[str, object] = json.loads((directory / "incidents" / name / "manifest.json").read_text())
    return found


def test_a_replay_is_one_incident(incident: bytes, tmp_path: Path) -> None:
    told = record(tmp_path, stdin=incident)
    assert (told.returncode, told.stderr) == (1, b"")
    assert [path.name for path in (tmp_path / "incidents").iterdir()] == [NAME]
    assert {path.name for path in (tmp_path / "incidents" / NAME).iterdir()} == FILES
    found = manifest(tmp_path)
    assert (found["rule"], found["host"], found["state"], found["count"]) == ("REG001", "10.1.84.31", "open", 21)
    assert found["findings"] == ["REG001@10.1.84.31", "LCK002@10.1.84.31"]
    text = told.stdout.decode()
    assert f"incident  opened {tmp_path}/incidents/{NAME}: the server 10.1.84.31 has no rpc.statd registered" in text
    assert " FAULT   REG001 statd-not-registered, certain" in text


def test_analyze_reads_the_ring_and_not_the_incidents(incident: bytes, tmp_path: Path) -> None:
    record(tmp_path, stdin=incident)
    told = json.loads(shell("analyze", tmp_path, "--format", "json").stdout)
    assert [Path(capture["file"]).name for capture in told["captures"]] == ["ring-20261122T053138Z-000001.pcapng"]
    assert told["verdict"]["rule"] == "REG001"
    assert (told["captures"][0]["quality"]["truncated"], told["captures"][0]["frames"]) == (False, 393)


def test_after_a_last_look_that_is_cut_short_the_command_without_a_limit_is_named() -> None:
    assert without_limit("/var/lib/nfsrpc").startswith("nfsrpc analyze /var/lib/nfsrpc judges what was recorded")
    assert without_limit("a b").startswith("nfsrpc analyze 'a b' ")


def test_objects(incident: bytes, tmp_path: Path) -> None:
    told = record(tmp_path, "--format", "jsonl", stdin=incident)
    changes = [json.loads(line) for line in told.stdout.splitlines()]
    [opened] = [change for change in changes if change["change"] == "incident"]
    assert (opened["what"], opened["folder"]) == ("opened", f"{tmp_path}/incidents/{NAME}")
    assert opened["incident"]["verdict"].startswith("The server 10.1.84.31 has no rpc.statd registered")
    assert (changes[0]["change"], changes[-1]["change"]) == ("begin", "end")


def test_a_healthy_capture_is_no_incident(samples: Path, tmp_path: Path) -> None:
    told = record(tmp_path, stdin=(samples / "contended" / "nfssrv-any.pcap").read_bytes())
    assert told.returncode == 0
    assert not (tmp_path / "incidents").exists()
    assert run("incidents", tmp_path).stdout == "no incidents\n"


def test_the_list_and_the_report(incident: bytes, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    record(tmp_path, stdin=incident)
    listed = run("incidents", tmp_path).stdout
    assert listed.splitlines() == [
        "2026-11-22 05:31:39 UTC  10.1.84.31  open",
        f"    error REG001: {TITLE}",
        f"    {NAME}",
    ]
    monkeypatch.setenv("COLUMNS", "50")
    assert run("incidents", tmp_path).stdout.splitlines()[1:3] == [
        "    error REG001: the server 10.1.84.31 has no",
        "    rpc.statd registered",
    ]
    for name in (NAME, "20261122"):
        shown = run("incidents", tmp_path, name)
        assert shown.exit_code == 0
        assert shown.stdout.startswith(f"Incident {NAME}, open: ")
        assert " FAULT   REG001 statd-not-registered, certain" in shown.stdout
    assert run("incidents", tmp_path, "--timezone", "Europe/Berlin").stdout.startswith("2026-11-22 06:31:39 CET")


def test_a_file_is_no_directory_of_a_recorder(tmp_path: Path) -> None:
    file = tmp_path / "a.pcap"
    file.write_bytes(b"")
    for path, reason in (
        (file, "is a file; name the directory that a recorder writes"),
        (tmp_path / "b", "no such directory"),
    ):
        result = run("incidents", path)
        assert (result.exit_code, result.stdout, result.stderr) == (2, "", f"nfsrpc: {path}: {reason}\n")


def test_an_incident_that_there_is_not(tmp_path: Path) -> None:
    for name in (NAME, NAME.replace("REG001", "LCK001")):
        (tmp_path / "incidents" / name).mkdir(parents=True)
    for name, what in (("2027", "no such incident"), ("2026", "2 incidents begin so")):
        assert run("incidents", tmp_path, name).stderr == f"nfsrpc: {name}: {what} (nfsrpc incidents DIR lists them)\n"


@pytest.mark.parametrize("name", ["..", "2027", "../incidents", f"{NAME}/..", "/etc", "*"])
def test_no_other_folder_can_be_shown(incident: bytes, tmp_path: Path, name: str) -> None:
    (tmp_path / "incidents" / NAME).mkdir(parents=True)
    (tmp_path / "incidents" / "report.txt").write_text("secret")
    shown = run("incidents", tmp_path, name)
    assert shown.exit_code == 2
    assert "secret" not in shown.stdout


def test_what_lies_in_a_folder_is_shown_without_control_sequences(incident: bytes, tmp_path: Path) -> None:
    record(tmp_path, stdin=incident)
    place = tmp_path / "incidents" / NAME
    (place / "report.txt").write_text("\x1b[2J\n")
    changed = manifest(tmp_path) | {"title": "\x1b[2J", "host": "\x1b"}
    (place / "manifest.json").write_text(json.dumps(changed))
    for args in ((), (NAME,)):
        assert "\x1b" not in run("incidents", tmp_path, *args).stdout
    (place / "manifest.json").write_text("{")
    assert run("incidents", tmp_path).stdout == f"{NAME}  its manifest cannot be read\n"


@pytest.mark.parametrize(
    ("args", "said"),
    [
        (("-",), "nfsrpc: record writes to a directory: --directory DIR"),
        (("-", "-d", "{}/file/x"), "nfsrpc: {}/file/x: cannot be made: Not a directory"),
        (("-", "-d", "{}", "--size", "1K"), "nfsrpc: Invalid value for '--size': 1K is no size of 1M or more"),
        (("-", "-d", "{}", "--webhook", "file:///etc/passwd"), "nfsrpc: --webhook file:///etc/passwd: not an address"),
        (("-", "-d", "{}", "--exec", "'a"), "nfsrpc: --exec 'a: No closing quotation"),
        (("-", "-d", "{}"), "nfsrpc: standard input: is empty"),
        (("trace.pcap", "-d", "{}"), "nfsrpc: trace.pcap: "),
        (("--follow", "{}/.", "-d", "{}"), "nfsrpc: {}: the ring that is followed cannot be the one that is written"),
    ],
)
def test_what_cannot_be_recorded(tmp_path: Path, args: tuple[str, ...], said: str) -> None:
    (tmp_path / "file").touch()
    told = shell("record", "--no-drop", *(arg.format(tmp_path) for arg in args))
    assert told.returncode == 2
    assert told.stderr.decode().startswith(said.format(tmp_path))
    assert told.stderr.count(b"\n") == 1


def test_the_ring_is_there_while_it_records_and_after_a_kill(incident: bytes, tmp_path: Path) -> None:
    with started(tmp_path) as recorder:
        assert recorder.stdin
        recorder.stdin.write(incident[:30_000])
        recorder.stdin.flush()
        wait_for(lambda: ring_bytes(tmp_path) > 15_000)
        wait_for(lambda: (tmp_path / "incidents" / NAME / "manifest.json").exists())
        assert nfsrpc.read(tmp_path).verdict.rule == "REG001"
        recorder.kill()
    before = nfsrpc.read(tmp_path)
    assert before.verdict.rule == "REG001"
    # The next one goes on: with the same incident, and in a segment of its own.
    rest = next(end for end in frame_ends(incident) if end >= 30_000)
    record(tmp_path, stdin=incident[:24] + incident[rest:])
    assert len(list(tmp_path.glob("ring-*"))) == 2
    assert [path.name for path in (tmp_path / "incidents").iterdir()] == [NAME]


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_a_signal_closes_the_segment(incident: bytes, tmp_path: Path, number: signal.Signals) -> None:
    with started(tmp_path) as recorder:
        assert recorder.stdin
        assert recorder.stdout
        recorder.stdin.write(incident[:30_000])
        recorder.stdin.flush()
        wait_for(lambda: ring_bytes(tmp_path) > 15_000)
        recorder.send_signal(number)
        assert recorder.wait(20) == 1
        assert b" FAULT   REG001" in recorder.stdout.read()
    assert nfsrpc.read(tmp_path).captures[0]["quality"]["truncated"] is False
    assert {path.name for path in (tmp_path / "incidents" / NAME).iterdir()} == FILES


def test_the_command_is_run_and_the_service_manager_is_told(incident: bytes, tmp_path: Path) -> None:
    said = tmp_path / "said"
    hook = tmp_path / "hook.sh"
    hook.write_text(f'#!/bin/sh\necho "$1 $2 $(cat "$2/manifest.json" | wc -l)" >> {said}\n')
    hook.chmod(0o755)
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as manager:
        manager.bind(str(tmp_path / "notify"))
        manager.settimeout(5)
        environment = {"NOTIFY_SOCKET": str(tmp_path / "notify"), "WATCHDOG_USEC": "300000"}
        with started(tmp_path / "d", "--exec", str(hook), **environment) as recorder:
            assert manager.recv(100) == b"READY=1"
            assert recorder.stdin
            recorder.stdin.write(incident)
            recorder.stdin.flush()
            assert manager.recv(100) == b"WATCHDOG=1"
            recorder.communicate()
    what, folder, lines = said.read_text().split()
    assert (what, folder) == ("opened", str(tmp_path / "d" / "incidents" / NAME))
    assert int(lines) > 20


def test_incidents_beyond_those_to_keep_are_deleted(incident: bytes, tmp_path: Path) -> None:
    for day in range(10, 14):
        name = f"202611{day}T000000Z-REG001-10.0.0.1"
        (tmp_path / "incidents" / name).mkdir(parents=True)
    record(tmp_path, "--keep-incidents", "2", stdin=incident)
    assert sorted(path.name for path in (tmp_path / "incidents").iterdir()) == [
        "20261113T000000Z-REG001-10.0.0.1",
        NAME,
    ]


def test_without_nfs(incident: bytes, tmp_path: Path) -> None:
    told = record(tmp_path, "--nfs", "none", stdin=incident)
    assert told.returncode == 1
    assert "nfs" not in set(nfsrpc.read(tmp_path).calls["program"])
    capture = manifest(tmp_path)["capture"]
    assert isinstance(capture, dict)
    assert capture["shows_it"] is True


@as_root
def test_rights_are_given_up_and_the_directory_is_the_users(incident: bytes, open_directory: Path) -> None:
    directory = open_directory / "ring"
    told = shell("record", "-", "-d", directory, "--format", "jsonl", stdin=incident)
    begin = json.loads(told.stdout.splitlines()[0])
    assert begin["rights"]["uid"] != 0
    assert begin["rights"]["capabilities"] == "0" * 16
    place = directory / "incidents" / NAME
    assert {path.name for path in place.iterdir()} == FILES
    assert {path.stat().st_uid for path in (directory, place, *place.iterdir())} == {begin["rights"]["uid"]}


@as_root
def test_a_directory_of_root_is_refused(incident: bytes, tmp_path: Path) -> None:
    told = shell("record", "-", "-d", tmp_path, stdin=incident)
    assert told.returncode == 2
    assert f"{tmp_path}: cannot be written: Permission denied (it has to belong to the user" in told.stderr.decode()


@as_root
@has_tcpdump
@pytest.mark.acceptance
def test_on_a_node(open_directory: Path) -> None:
    """Captures on the loopback, where a portmapper's port is asked and nothing answers."""
    directory = open_directory / "ring"
    command = [*RECORD, "-i", "lo", "-d", str(directory), "--for", "6s"]
    with subprocess.Popen(command, stdout=subprocess.PIPE, env=ENVIRONMENT) as recorder:
        time.sleep(3)
        with socket.socket() as client, socket.socket() as server:
            server.bind(("127.0.0.1", 0))
            client.connect_ex(server.getsockname())
        recorder.communicate(timeout=30)
    trace = nfsrpc.read(directory)
    assert trace.captures[0]["frames"] >= 2


@as_root
@pytest.mark.acceptance
def test_a_disk_that_fills_keeps_a_reserve(tmp_path: Path) -> None:
    if not shutil.which("unshare"):
        pytest.skip("unshare is not installed")
    capture, disk, size = tmp_path / "mixed.pcap", tmp_path / "disk", 8 << 20
    disk.mkdir()
    mixed(capture, 60_000)
    command = " ".join(map(str, [*RECORD, "-", "-d", f"{disk}/d", "--no-drop", "--size", "64M"]))
    mount = f"mount -t tmpfs -o size={size} tmpfs {disk} || exit 99"
    script = f"{mount}; {command} <{capture} >/dev/null; df -B1 --output=avail {disk}; ls {disk}/d"
    told = subprocess.run(
        ["unshare", "--mount", "sh", "-c", script], capture_output=True, text=True, env=ENVIRONMENT, check=False
    )
    if told.returncode == 99:
        pytest.skip("no file system can be mounted here")
    _, available, *names = told.stdout.split()
    assert size // RESERVE_SHARE <= int(available) < size // 4
    assert told.stderr.count("the ring has stopped: the file system has no room beyond its reserve") == 1
    assert names[0].startswith("ring-")
