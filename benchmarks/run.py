"""nfsrpc beside its peers on the same captures, in one run: python -m benchmarks.run [NAME…] [--without PEER…]

Each job is a whole process; its wall and processor time and its peak of resident memory are what the system says of it
(wait4). The number printed is the median of several runs. Captures are made where they are missing, and read once
before, so that all find them in the page cache. Compare the ratios: another machine has other numbers.
"""

import argparse
import json
import os
import shutil
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path
from statistics import median
from tempfile import TemporaryDirectory, TemporaryFile
from time import perf_counter
from typing import NamedTuple

CAPTURES = Path("bench-captures")
MAKER = Path(__file__).with_name("traffic.py")
SIZES = {"small": 340 << 20, "bulk": 1000 << 20}
TITLES = {"small": "1 million packets of small messages", "bulk": "1 GB of READ and WRITE with LOCK and UNLOCK between"}
NFSRPC = Path(sys.executable).with_name("nfsrpc")
BREAKDOWN = "/usr/lib/nfstrace/libbreakdown.so"  # nfstrace's cheapest analysis: calls and latencies by procedure
LEAST_MEMORY = "the memory of a process is at least that of this runner at its start, some 15 MB"


class Job(NamedTuple):
    name: str
    command: Sequence[str | Path]
    runs: int


class Measure(NamedTuple):
    wall: float
    cpu: float
    memory: int  # bytes


def jobs(capture: Path) -> list[Job]:
    """`analyze` is the second: the others are compared with it."""
    nlm: list[str | Path] = [
        "-Y",
        "nlm",
        "-T",
        "fields",
        "-e",
        "frame.number",
        "-e",
        "rpc.xid",
        "-e",
        "nlm.procedure_v4",
    ]
    return [
        Job("core alone", [sys.executable, "-m", "benchmarks.core", capture], 5),
        Job("nfsrpc analyze", [NFSRPC, "analyze", capture], 5),
        Job("tcpdump -w /dev/null", ["tcpdump", "-r", capture, "-w", "/dev/null", "tcp or udp"], 5),
        Job("nfstrace breakdown", ["nfstrace", "--mode=stat", "-a", BREAKDOWN, "-I", capture], 3),
        Job("tshark -Y nlm", ["tshark", "-r", capture, *nlm], 1),
    ]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("names", nargs="*", choices=[*SIZES, []], metavar="NAME", help="small, bulk; both if none")
    parser.add_argument("--without", action="append", default=[], metavar="PEER", help="tshark is the slowest")
    arguments = parser.parse_args()
    print(f"{os.cpu_count()} processors, load {os.getloadavg()[0]:.1f}, Python {sys.version.split()[0]}")
    for name in arguments.names or SIZES:
        capture = made(name)
        if capture:
            compare(name, capture, arguments.without)
    start_up()


def made(name: str) -> Path | None:
    """The capture of that name, made if it is missing or older than what makes it."""
    path = CAPTURES / f"{name}.pcap"
    if path.exists() and path.stat().st_mtime > MAKER.stat().st_mtime:
        return path
    CAPTURES.mkdir(exist_ok=True)
    free = shutil.disk_usage(CAPTURES).free
    if free < SIZES[name]:
        print(f"{path}: not made, it needs {SIZES[name] >> 20} MB and {free >> 20} MB are free")
        return None
    print(f"Making {path}", flush=True)
    subprocess.run([sys.executable, "-m", "benchmarks.traffic", name, path], check=True)
    return path


def compare(name: str, capture: Path, without: Sequence[str]) -> None:
    """One table: a row a job."""
    size = capture.stat().st_size
    print(f"\n{capture}: {TITLES[name]}")
    print(f"{'':24}{'wall s':>9}{'cpu s':>9}{'Mpackets/s':>12}{'GB/s':>8}{'peak MB':>9}{'time / analyze':>16}")
    warm(capture)
    frames, analyze = 0, None
    for job in jobs(capture):
        if any(job.name.startswith(peer) for peer in without):
            continue
        if not shutil.which(job.command[0]):
            print(f"{job.name:24}not installed")
            continue
        try:
            measure, output = measured(job)
        except subprocess.CalledProcessError as error:
            print(f"{job.name:24}failed: {last_line(error.stderr)}")
            continue
        if job.name == "core alone":
            inner = json.loads(output)
            frames = inner["frames"]
            measure = Measure(inner["wall"], inner["cpu"], measure.memory)
        if job.name == "nfsrpc analyze":
            analyze = measure
        ratio = f"{measure.wall / analyze.wall:.2f}" if analyze else ""
        speed = f"{frames / measure.wall / 1e6:.2f}" if frames else ""
        print(
            f"{job.name:24}{measure.wall:9.3f}{measure.cpu:9.3f}{speed:>12}{size / measure.wall / 1e9:8.2f}"
            f"{measure.memory / 1e6:9.0f}{ratio:>16}",
            flush=True,
        )


def measured(job: Job) -> tuple[Measure, str]:
    """The medians over its runs, and what the last one printed. Nothing is wrong in the captures: all exit with 0."""
    measures = []
    for _ in range(job.runs):
        measure, output = run(job.command)
        measures.append(measure)
    walls, cpus, memories = zip(*measures, strict=True)
    return Measure(median(walls), median(cpus), int(median(memories))), output


def run(command: Sequence[str | Path]) -> tuple[Measure, str]:
    with TemporaryDirectory() as directory, TemporaryFile() as output, TemporaryFile() as errors:
        absolute = [str(Path(part).absolute()) if isinstance(part, Path) else part for part in command]
        environment = {**os.environ, "PYTHONPATH": str(MAKER.parent.parent)}
        began = perf_counter()
        # nfstrace leaves a log where it runs.
        process = subprocess.Popen(
            absolute, stdin=subprocess.DEVNULL, stdout=output, stderr=errors, cwd=directory, env=environment
        )
        _, status, usage = os.wait4(process.pid, 0)
        wall = perf_counter() - began
        process.returncode = os.waitstatus_to_exitcode(status)
        output.seek(0)
        errors.seek(0)
        said, complained = (file.read().decode(errors="replace") for file in (output, errors))
        if process.returncode:
            raise subprocess.CalledProcessError(process.returncode, absolute, stderr=complained or said)
        return Measure(wall, usage.ru_utime + usage.ru_stime, usage.ru_maxrss << 10), said


def last_line(text: str) -> str:
    return (text.strip().splitlines() or ["without a word"])[-1]


def warm(capture: Path) -> None:
    with capture.open("rb", buffering=0) as file:
        while file.read(1 << 20):
            pass


def start_up() -> None:
    try:
        measure, _ = measured(Job("help", [NFSRPC, "--help"], 10))
        print(f"\nnfsrpc --help: {measure.wall:.3f} s, {measure.memory / 1e6:.0f} MB")
    except (OSError, subprocess.CalledProcessError) as error:
        print(f"\nnfsrpc --help: failed: {last_line(getattr(error, 'stderr', None) or str(error))}")
    print(f"Peak MB: {LEAST_MEMORY}.")


if __name__ == "__main__":
    main()
