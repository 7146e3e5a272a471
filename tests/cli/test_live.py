"""`nfsrpc live` as a program: what it prints, how it ends."""

import json
import os
import pty
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from tests.cli.command import ENVIRONMENT, shell

LIVE = (sys.executable, "-m", "nfsrpc", "live")


@pytest.fixture
def incident(samples: Path) -> bytes:
    return (samples / "server-without-statd" / "nfssrv-any.pcap").read_bytes()


def test_a_capture_through_a_pipe(incident: bytes) -> None:
    told = shell("live", "-", stdin=incident)
    assert told.returncode == 1
    text = told.stdout.decode()
    assert "appeared  error REG001, certain" in text
    assert " FAULT   REG001 statd-not-registered, certain" in text
    assert told.stderr == b""


def test_objects(incident: bytes, samples: Path) -> None:
    told = shell("live", "-", "--format", "jsonl", stdin=incident)
    changes = [json.loads(line) for line in told.stdout.splitlines()]
    assert {change["change"] for change in changes} == {"appeared", "verdict", "end"}
    whole = json.loads(
        shell("analyze", samples / "server-without-statd" / "nfssrv-any.pcap", "--format", "json").stdout
    )
    end = changes[-1]["report"]
    assert end["findings"] == whole["findings"]
    assert end["captures"][0].pop("file") == "standard input"
    assert whole["captures"][0].pop("file")
    assert end["captures"] == whole["captures"]


def test_a_healthy_capture_exits_with_0(samples: Path) -> None:
    told = shell("live", "-", stdin=(samples / "contended" / "nfssrv-any.pcap").read_bytes())
    assert told.returncode == 0


def test_rules_are_chosen_and_thresholds_set(incident: bytes) -> None:
    def found(*args: str) -> set[str]:
        told = shell("live", "-", "--format", "jsonl", *args, stdin=incident)
        return {finding["rule"] for finding in json.loads(told.stdout.splitlines()[-1])["report"]["findings"]}

    assert {"REG001", "LCK002"} <= found()
    assert "LCK002" not in found("--set", "LCK002.late_s=90")
    assert found("--select", "LCK") == {"LCK002"}
    assert "REG001" not in found("--ignore", "REG")


@pytest.mark.parametrize(
    ("args", "stdin", "said"),
    [
        (("-",), b"hello, this is no capture", "nfsrpc: standard input: "),
        (("-",), b"", "nfsrpc: standard input: is empty"),
        (("trace.pcap",), b"", "nfsrpc: trace.pcap: live reads - (standard input)"),
        (("-", "--follow", "x"), b"", "nfsrpc: either - or --follow"),
        (("--follow", "/nowhere"), b"", "nfsrpc: /nowhere: cannot be followed: No such file or directory"),
    ],
)
def test_what_cannot_be_watched(args: tuple[str, ...], stdin: bytes, said: str) -> None:
    told = shell("live", *args, stdin=stdin)
    assert told.returncode == 2
    assert told.stderr.decode().startswith(said)
    assert told.stderr.count(b"\n") == 1


def test_lengths_of_time() -> None:
    told = shell("live", "-", "--window", "soon")
    assert told.returncode == 2
    assert b"soon is no length of time" in told.stderr


def test_until_finding_ends_though_the_stream_goes_on(incident: bytes) -> None:
    with subprocess.Popen(
        [*LIVE, "-", "--until-finding"], stdin=subprocess.PIPE, stdout=subprocess.PIPE, env=ENVIRONMENT
    ) as live:
        assert live.stdin
        live.stdin.write(incident[:30_000])
        live.stdin.flush()
        assert live.wait(20) == 1
        assert live.stdout
        assert b" FAULT   REG001" in live.stdout.read()


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM, signal.SIGHUP])
def test_a_signal_ends_it_with_a_report(incident: bytes, number: signal.Signals) -> None:
    with subprocess.Popen([*LIVE, "-"], stdin=subprocess.PIPE, stdout=subprocess.PIPE, env=ENVIRONMENT) as live:
        assert live.stdin
        assert live.stdout
        live.stdin.write(incident[:30_000])
        live.stdin.flush()
        assert live.stdout.readline()
        live.send_signal(number)
        assert live.wait(10) == 1
        assert b" FAULT   REG001" in live.stdout.read()


def test_a_ring_is_followed(incident: bytes, tmp_path: Path) -> None:
    (tmp_path / "ring0").write_bytes(incident[:30_000])
    told = shell("live", "--follow", tmp_path, "--until-finding")
    assert told.returncode == 1
    assert "frames of ring0" in told.stdout.decode()


def test_on_a_terminal_there_is_a_screen_and_then_the_report(incident: bytes) -> None:
    ours, theirs = pty.openpty()
    environment = ENVIRONMENT | {"TERM": "xterm-256color", "COLUMNS": "100", "LINES": "40"}
    with subprocess.Popen([*LIVE, "-"], stdin=subprocess.PIPE, stdout=theirs, stderr=theirs, env=environment) as live:
        os.close(theirs)
        assert live.stdin
        live.stdin.write(incident[:30_000] + b"\xee" * 2000 + incident[30_000:])
        live.stdin.flush()
        screen = b""
        end = time.monotonic() + 10
        while not (b"Registered" in screen and b"no packet" in screen) and time.monotonic() < end:
            screen += os.read(ours, 65536)
        live.send_signal(signal.SIGINT)
        after = b""
        while piece := read(ours):
            after += piece
        assert live.wait(10) == 1
    os.close(ours)
    assert b"\x1b[?1049h" in screen
    assert b"not registered" in screen
    assert b"\x1b[1;38;5;166mstandard input: what comes after frame 261 is no packet" in screen  # at its foot
    left = after.rpartition(b"\x1b[?1049l")[2]
    assert b"Proof" in left
    assert left.count(b"nfsrpc: standard input: what comes after frame 261 is no packet") == 1


def read(terminal: int) -> bytes:
    try:
        return os.read(terminal, 65536)
    except OSError:  # Linux's way to say that nobody has it open any more
        return b""
