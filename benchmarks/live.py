"""The cost of `nfsrpc live -` while it is fed: python -m benchmarks.live FILE.

It gets packets as on a busy node, a few of them (a tenth of the calls are about locks, so that there is news each
second), and none. Processor time and memory are those of proc(5), the start left out; all frames delivered must be
taken. Frames keep the times that they have in the capture.
"""

import json
import os
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path
from tempfile import TemporaryFile
from time import monotonic, sleep
from typing import IO, NamedTuple

NFSRPC = Path(sys.executable).with_name("nfsrpc")
FILE_HEADER, RECORD = 24, 16
FIRST, STARTING_S = 1000, 3.0  # frames delivered before the measurement, and the time for them
TURN_S = 0.005  # frames of so long are delivered at once


class Rate(NamedTuple):
    title: str
    frames: int  # a second
    seconds: float


RATES = (Rate("100 000 packets/s", 100_000, 9.9), Rate("20 packets/s", 20, 20), Rate("nothing comes", 0, 20))


class Cost(NamedTuple):
    share: float  # of a core
    memory: float  # MB, the peak
    delivered: int
    taken: int


def main() -> None:
    capture = Path(sys.argv[1])
    data = capture.read_bytes()
    ends = frame_ends(data)
    title = f"nfsrpc live - ({capture.name})"
    print(f"\n{title:40}{'% of a core':>12}{'peak MB':>9}{'delivered':>14}{'taken':>9}")
    for rate in RATES:
        cost = live(data, ends, rate)
        print(f"{rate.title:40}{cost.share:12.2%}{cost.memory:9.0f}{cost.delivered:14}{cost.taken:9}", flush=True)


def frame_ends(data: bytes) -> Sequence[int]:
    ends, at = [FILE_HEADER], FILE_HEADER
    while at < len(data):
        at += RECORD + int.from_bytes(data[at + 8 : at + 12], "little")
        ends.append(at)
    return ends


def live(data: bytes, ends: Sequence[int], rate: Rate) -> Cost:
    with TemporaryFile() as output:
        command: list[str | Path] = [NFSRPC, "live", "-", "--format", "jsonl"]
        process = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=output)
        assert process.stdin
        process.stdin.write(data[: ends[FIRST]])
        process.stdin.flush()
        sleep(STARTING_S)
        before, began = processor_time(process.pid), monotonic()
        delivered = paced(process.stdin, data, ends, rate)
        share = (processor_time(process.pid) - before) / (monotonic() - began)
        memory = peak_memory(process.pid)
        process.stdin.close()
        process.wait()
        output.seek(0)
        report = json.loads(output.read().splitlines()[-1])["report"]
    return Cost(share, memory, delivered, report["captures"][0]["frames"])


def paced(pipe: IO[bytes], data: bytes, ends: Sequence[int], rate: Rate) -> int:
    """Delivers frames at a rate; returns their number in all."""
    began, delivered, passed = monotonic(), FIRST, 0.0
    while passed < rate.seconds:
        due = min(FIRST + int(rate.frames * passed), len(ends) - 1)
        if due > delivered:
            pipe.write(data[ends[delivered] : ends[due]])
            pipe.flush()
            delivered = due
        sleep(TURN_S)
        passed = monotonic() - began
    return delivered


def processor_time(process: int) -> float:
    fields = Path(f"/proc/{process}/stat").read_text().rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


def peak_memory(process: int) -> float:
    status = Path(f"/proc/{process}/status").read_text()
    return int(status.partition("VmHWM:")[2].split()[0]) * 1024 / 1e6


if __name__ == "__main__":
    main()
