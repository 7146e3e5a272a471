"""`nfsrpc live` as a program: what it prints, how it ends."""

import json
import os
import pty
import re
import shutil
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

import nfsrpc
from nfsrpc.sources.tcpdump import tcpdump_command
from tests.cli.command import ENVIRONMENT, shell

as_root = pytest.mark.skipif(os.geteuid() != 0, reason="needs root, to give up its rights")
has_tcpdump = pytest.mark.skipif(tcpdump_command() is None, reason="tcpdump is not installed")
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
    assert {change["change"] for change in changes} == {"begin", "appeared", "verdict", "end"}
    assert changes[0]["change"] == "begin"
    assert changes[0]["source"] == "standard input"
    assert changes[0]["rights"]["uid"] != 0
    assert changes[0]["rights"]["capabilities"] == "0" * 16
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
        (("-", "-i", "lo"), b"", "nfsrpc: --interface and --filter are of a capture that nfsrpc makes"),
        (("--follow", "/tmp", "--filter", ""), b"", "nfsrpc: --interface and --filter are of a capture that nfsrpc"),
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
    assert b"soon is no duration" in told.stderr


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
    assert re.search(r"\d\d:\d\d:\d\d(\.\d+)?  ring0\S*:\d+ ", told.stdout.decode())


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
    assert b"parsed as " in screen
    assert b", without capabilities" in screen
    assert b"\x1b[1;38;5;166mstandard input: what comes after frame 261 is no packet" in screen  # at its foot
    left = after.rpartition(b"\x1b[?1049l")[2]
    assert b"Proof" in left
    assert left.count(b"nfsrpc: standard input: what comes after frame 261 is no packet") == 1


def read(terminal: int) -> bytes:
    try:
        return os.read(terminal, 65536)
    except OSError:  # Linux's way to say that nobody has it open any more
        return b""


def load() -> float:
    """How many times longer everything may take, because others use the processors."""
    return max(os.getloadavg()[0] / (os.cpu_count() or 1), 1.0)


def test_ctrl_c_does_not_wait_for_the_next_look(incident: bytes) -> None:
    with subprocess.Popen(
        [*LIVE, "-", "--interval", "5m"], stdin=subprocess.PIPE, stdout=subprocess.PIPE, env=ENVIRONMENT
    ) as live:
        assert live.stdin
        assert live.stdout
        live.stdin.write(incident[:30_000])
        live.stdin.flush()
        assert b"begin" in live.stdout.readline()
        time.sleep(0.3)
        live.send_signal(signal.SIGINT)
        sent = time.monotonic()
        assert b" FAULT   REG001" in live.stdout.read()
        assert live.wait(10) == 1
        assert time.monotonic() - sent < 2.0 * load()


# A reader that leaves


def pipe() -> tuple[int, int]:
    return os.pipe()


def socket_pair() -> tuple[int, int]:
    ours, theirs = socket.socketpair()
    return ours.detach(), theirs.detach()


def terminal() -> tuple[int, int]:
    return pty.openpty()


@pytest.mark.parametrize("make", [pipe, socket_pair, terminal])
def test_it_ends_when_its_reader_leaves(make: Callable[[], tuple[int, int]], incident: bytes) -> None:
    """Though nothing is written meanwhile, and the capture goes on. It exits as it would have."""
    ours, theirs = make()
    with subprocess.Popen(
        [*LIVE, "-"], stdin=subprocess.PIPE, stdout=theirs, stderr=subprocess.PIPE, env=ENVIRONMENT
    ) as live:
        os.close(theirs)
        assert live.stdin
        assert live.stderr
        live.stdin.write(incident[:30_000])
        live.stdin.flush()
        seen = b""
        while b"REG001" not in seen:
            seen += os.read(ours, 65536)
        os.close(ours)
        left = time.monotonic()
        assert live.wait(10) == 1
        assert time.monotonic() - left < 1.0 * load()
        assert live.stderr.read() == b""


def test_a_file_is_no_reader_that_leaves(incident: bytes, tmp_path: Path) -> None:
    with (tmp_path / "log").open("wb") as log:
        told = subprocess.run([*LIVE, "-"], input=incident, stdout=log, env=ENVIRONMENT, check=False, timeout=60)
    assert told.returncode == 1
    assert b"Proof" in (tmp_path / "log").read_bytes()


# With tcpdump


def children(process: int) -> list[int]:
    own = [int(number) for number in Path(f"/proc/{process}/task/{process}/children").read_text().split()]
    return [*own, *(each for child in own for each in children(child))]


def name(process: int) -> str:
    try:
        status = Path(f"/proc/{process}/status").read_text()
    except (FileNotFoundError, ProcessLookupError):
        return ""
    return "" if "State:\tZ" in status else status.partition("Name:")[2].split()[0]


def status(process: int) -> dict[str, str]:
    lines = Path(f"/proc/{process}/status").read_text().splitlines()
    return {key: value.strip() for key, _, value in (line.partition(":") for line in lines)}


@contextmanager
def capturing(*options: str, **environment: str) -> Iterator[tuple[subprocess.Popen[bytes], int]]:
    """`nfsrpc live` on loopback, and its tcpdump."""
    arguments = [*LIVE, "-i", "lo", *options]
    with subprocess.Popen(arguments, stdout=subprocess.PIPE, env=ENVIRONMENT | environment) as live:
        assert live.stdout
        assert b"begin" in live.stdout.readline()
        found: list[int] = []
        end = time.monotonic() + 10
        while not found and time.monotonic() < end:
            time.sleep(0.02)
            found = [child for child in children(live.pid) if name(child) == "tcpdump"]
        try:
            yield live, found[0]
        finally:
            live.kill()


def is_gone(process: int, seconds: float) -> bool:
    end = time.monotonic() + seconds
    while name(process) and time.monotonic() < end:
        time.sleep(0.01)
    return not name(process)


@as_root
@has_tcpdump
@pytest.mark.parametrize("is_stopped", [False, True], ids=["running", "stopped"])
def test_no_tcpdump_is_left_by_a_killed_one(is_stopped: bool) -> None:
    with capturing() as (live, tcpdump):
        if is_stopped:
            os.kill(tcpdump, signal.SIGSTOP)
        live.kill()
        assert is_gone(tcpdump, 2.0)


@as_root
@has_tcpdump
def test_ctrl_c_ends_a_stopped_tcpdump() -> None:
    with capturing() as (live, tcpdump):
        os.kill(tcpdump, signal.SIGSTOP)
        live.send_signal(signal.SIGINT)
        assert live.wait(5) == 0
        assert is_gone(tcpdump, 2.0)


@as_root
@has_tcpdump
def test_tcpdump_ends_with_the_reader() -> None:
    with capturing() as (live, tcpdump):
        assert live.stdout
        live.stdout.close()
        left = time.monotonic()
        assert live.wait(10) == 0
        assert is_gone(tcpdump, 0.1)
        assert time.monotonic() - left < 1.0 * load()


CAPABILITIES = ("CapInh", "CapPrm", "CapEff", "CapBnd", "CapAmb")


@as_root
@has_tcpdump
def test_what_parses_has_no_rights() -> None:
    with capturing(SUDO_UID="4321", SUDO_GID="8765") as (live, _):
        known = status(live.pid)
        assert (known["Uid"].split(), known["Gid"].split()) == (["4321"] * 4, ["8765"] * 4)
        assert known["Groups"].split() == ["8765"]
        assert {known[each] for each in CAPABILITIES} == {"0" * 16}
        assert known["NoNewPrivs"] == "1"


@as_root
@has_tcpdump
def test_no_drop_keeps_them() -> None:
    with capturing("--no-drop") as (live, _):
        known = status(live.pid)
        assert known["Uid"].split() == ["0"] * 4
        assert known["CapEff"] == status(os.getpid())["CapEff"]


@as_root
def test_a_ring_that_only_root_may_read_is_read(incident: bytes, tmp_path: Path) -> None:
    (tmp_path / "ring").mkdir(mode=0o700)
    (tmp_path / "ring" / "ring0").write_bytes(incident[:30_000])
    told = shell("live", "--follow", tmp_path / "ring", "--until-finding", "--format", "jsonl")
    begin, *_, end = map(json.loads, told.stdout.splitlines())
    assert told.returncode == 1
    assert begin["rights"]["uid"] != 0
    assert int(begin["rights"]["capabilities"], 16) == 1 << 2  # CAP_DAC_READ_SEARCH
    assert end["report"]["verdict"]["rule"] == "REG001"


@as_root
def test_it_runs_where_only_root_can_read_the_program(incident: bytes, tmp_path: Path) -> None:
    """Nothing is imported any more when it has become somebody else."""
    private = tmp_path / "private"
    private.mkdir(mode=0o700)
    shutil.copytree(Path(nfsrpc.__file__).parent, private / "nfsrpc")
    for format in ("text", "jsonl"):  # noqa: A001
        told = shell("live", "-", "--format", format, stdin=incident, PYTHONPATH=str(private))
        assert told.returncode == 1
        assert b"REG001" in told.stdout.splitlines()[-1] or format == "text"
        assert b"ImportError" not in told.stdout + told.stderr
        assert told.stderr == b""


# A look that takes too long

SLOW = """
from nfsrpc.diagnosis import catalogue
from nfsrpc.cli.application import application
def check(calls):
    while len(calls):
        pass
rules = catalogue.rules()
rules["LCK001"] = rules["LCK001"]._replace(check=check, parameters=("calls",))
application()(["live", "-"])
"""


@contextmanager
def slow(incident: bytes) -> Iterator[subprocess.Popen[bytes]]:
    """One whose rule LCK001 never ends."""
    with subprocess.Popen(
        [sys.executable, "-c", SLOW],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        env=ENVIRONMENT,
    ) as live:
        assert live.stdin
        assert live.stdout
        live.stdin.write(incident[:30_000])
        live.stdin.flush()
        assert b"begin" in live.stdout.readline()
        try:
            yield live
        finally:
            live.kill()


def test_a_look_is_cut_short_and_says_so(incident: bytes) -> None:
    with slow(incident) as live:
        assert live.stdout
        assert live.stderr
        while b"REG001" not in live.stdout.readline():
            pass
        told = live.stderr.readline()
        assert told == b"nfsrpc: standard input: looking takes too long and was cut short: LCK001 cannot tell\n"


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_a_signal_ends_a_look_with_a_report(incident: bytes, number: signal.Signals) -> None:
    with slow(incident) as live:
        assert live.stdout
        time.sleep(0.5)  # it looks by now
        live.send_signal(number)
        sent = time.monotonic()
        text = live.stdout.read()
        assert live.wait(10) == 1
        assert time.monotonic() - sent < 2.0 * load()
        assert b" FAULT   REG001" in text
        assert live.stderr
        assert b"the last look took too long and was cut short" in live.stderr.read()
