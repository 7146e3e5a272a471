"""`nfsrpc live -` as a process, fed by traffic as that of the benchmarks: it keeps up, loses nothing, does not grow."""

import json
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from statistics import median
from time import sleep
from typing import Any

import numpy as np
import pytest

from benchmarks import traffic
from benchmarks.frames import FILE_HEADER, RECORD, Bytes
from tests.cli.command import ENVIRONMENT, shell

HOURS = 24
FRAMES = 20_000  # an hour
ROUND_US = 3600 * 10**6
SETTLED_S = 0.05


@pytest.fixture
def hour(tmp_path: Path) -> Bytes:
    """Calls of an hour."""
    traffic.mixed(traffic.SMALL._replace(frame_us=ROUND_US // FRAMES), tmp_path / "hour.pcap", FRAMES)
    return np.fromfile(tmp_path / "hour.pcap", np.uint8)


def records(capture: Bytes) -> Iterator[int]:
    at = len(FILE_HEADER)
    while at < len(capture):
        yield at
        at += RECORD + int(capture[at + 8 : at + 12].view("<u4")[0])


def day(hour: Bytes) -> Iterator[bytes]:
    """That hour again and again: the same hosts, on new connections."""
    at = np.fromiter(records(hour), np.int64)
    seconds = at[:, None] + np.arange(4)
    first = np.ascontiguousarray(hour[seconds]).view("<u4")[:, 0]
    yield hour[: len(FILE_HEADER)].tobytes()
    for number in range(HOURS):
        hour[seconds] = (first + number * 3600).astype("<u4")[:, None].view(np.uint8)
        yield hour[len(FILE_HEADER) :].tobytes()


def resident(process: int) -> int:
    """Bytes, once it has nothing to do: what waits to be read is no part of the question."""
    ticks = -1
    while ticks != (ticks := sum(map(int, Path(f"/proc/{process}/stat").read_text().split()[13:15]))):
        sleep(SETTLED_S)
    status = Path(f"/proc/{process}/status").read_text()
    return 1024 * int(status.partition("VmRSS:")[2].split()[0])


@pytest.mark.skipif(not Path("/proc/self/status").exists(), reason="memory is read from /proc")
def test_a_day_in_flat_memory(hour: Bytes, tmp_path: Path) -> None:
    command = [sys.executable, "-m", "nfsrpc", "live", "-", "--format", "jsonl", "--interval", "50ms"]
    sizes = []
    with (
        (tmp_path / "told").open("w+b") as told,
        subprocess.Popen(command, stdin=subprocess.PIPE, stdout=told, env=ENVIRONMENT) as live,
    ):
        assert live.stdin
        for piece in day(hour):
            live.stdin.write(piece)
            live.stdin.flush()
            sizes.append(resident(live.pid))
        live.stdin.close()
        live.wait()
        told.seek(0)
        end = json.loads(told.read().splitlines()[-1])
    assert live.returncode == 0
    assert end["report"]["captures"][0]["last"].startswith("2026-01-01T23:59:")
    assert end["report"]["captures"][0]["quality"]["oddities"] == 0
    assert median(sizes[-HOURS // 4 :]) < 1.1 * max(sizes[2 : HOURS // 2])


def test_nothing_is_lost_at_full_speed(hour: Bytes, tmp_path: Path) -> None:
    def said(*command: str, **options: Any) -> dict[str, Any]:
        told = shell(*command, **options).stdout.splitlines()[-1]
        document: dict[str, Any] = json.loads(told)
        return document

    path = tmp_path / "hour.pcap"
    whole = json.loads(shell("analyze", path, "--format", "json").stdout)
    end = said("live", "-", "--format", "jsonl", "--window", "1d", stdin=path.read_bytes())["report"]
    assert end["captures"][0]["frames"] == FRAMES
    assert end["programs"] == whole["programs"]
