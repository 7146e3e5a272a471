"""nfsrpc beside its peers on the same captures, in one run: python -m benchmarks.run [NAME…] [--without PEER…]

Each job is a whole process; its wall and processor time and its peak of resident memory are what the system says of it
(wait4). The number printed is the median of several runs. Captures are made where they are missing, and read once
before, so that all find them in the page cache. Compare the ratios: another machine has other numbers. Nothing is wrong
in the captures, so that every job is to exit with 0.
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
NFSRPC = Path(sys.executable).with_name("nfsrpc")
MAKER = Path(__file__).with_name("traffic.py")
SIZES = {"small": 340 << 20, "bulk": 1000 << 20}
TITLES = {"small": "1 million packets of small messages", "bulk": "1 GB of READ and WRITE with LOCK and UNLOCK between"}
CALLS = "import sys, nfsrpc; nfsrpc.read(sys.argv[1]).calls"
CORE, ANALYZE = "core alone", "nfsrpc analyze"
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
    """The others are compared with `analyze`."""
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
        Job(CORE, [sys.executable, "-m", "benchmarks.core", capture], 5),
        Job(ANALYZE, [NFSRPC, "analyze", capture], 5),
        Job("nfsrpc.read, its calls", [sys.executable, "-c", CALLS, capture], 5),
        Job("tcpdump -w /dev/null", ["tcpdump", "-r", capture, "-w", "/dev/null", "tcp or udp"], 5),
        Job("nfstrace breakdown", ["nfstrace", "--mode=stat", "-a", BREAKDOWN, "-I", capture], 3),
        Job("tshark -Y nlm", ["tshark", "-r", capture, *nlm], 1),
    ]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("names", nargs="*", choices=[*SIZES, []], metavar="NAME", help="small, bulk; both if none")
    parser.add_argument(
        "--without",
        action="append",
        default=[],
        metavar="PEER",
        help="tshark is the slowest; live takes 70 s, growth ten minutes",
    )
    arguments = parser.parse_args()
    print(f"{os.cpu_count()} processors, load {os.getloadavg()[0]:.1f}, Python {sys.version.split()[0]}")
    for name in arguments.names or SIZES:
        capture = made(name)
        if capture:
            compare(name, capture, arguments.without)
        if capture and name == "small" and "live" not in arguments.without:
            subprocess.run([sys.executable, "-m", "benchmarks.live", capture], check=True)
    if "growth" not in arguments.without and not arguments.names:
        print("\nHostile captures, processor time", flush=True)
        subprocess.run([sys.executable, "-m", "benchmarks.growth"], check=True)
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
    """One table, one row per job. The jobs take turns, so that other load on the machine slows all of them alike."""
    print(f"\n{capture}: {TITLES[name]}", flush=True)
    warm(capture)
    asked = [job for job in jobs(capture) if not any(job.name.startswith(peer) for peer in without)]
    results: dict[str, list[Measure]] = {job.name: [] for job in asked}
    remarks: dict[str, str] = {job.name: "not installed" for job in asked if not shutil.which(job.command[0])}
    frames = 0
    for turn in range(max(job.runs for job in asked)):
        for job in asked:
            if turn >= job.runs or job.name in remarks:
                continue
            try:
                measure, output = run(job.command)
            except subprocess.CalledProcessError as error:
                remarks[job.name] = f"failed: {last_line(error.stderr)}"
                continue
            if job.name == CORE:
                inner = json.loads(output)
                frames = inner["frames"]
                measure = Measure(inner["wall"], inner["cpu"], measure.memory)
            results[job.name].append(measure)
    print_table(capture.stat().st_size, frames, results, remarks)
    for how, options in (("as analyze reads", []), ("every exchange listed", ["--listed"])):
        print(f"{how}, processor s: {stages(capture, options)}")


def print_table(size: int, frames: int, results: dict[str, list[Measure]], remarks: dict[str, str]) -> None:
    print(f"{'':24}{'wall s':>9}{'cpu s':>9}{'Mpackets/s':>12}{'GB/s':>8}{'peak MB':>9}{'time / analyze':>16}")
    analyze = middle(results[ANALYZE]).wall if results.get(ANALYZE) else 0
    for name, measures in results.items():
        if name in remarks:
            print(f"{name:24}{remarks[name]}")
            continue
        wall, cpu, memory = middle(measures)
        speed = f"{frames / wall / 1e6:.2f}" if frames else ""
        ratio = f"{wall / analyze:.2f}" if analyze else ""
        print(f"{name:24}{wall:9.3f}{cpu:9.3f}{speed:>12}{size / wall / 1e9:8.2f}{memory / 1e6:9.0f}{ratio:>16}")


def stages(capture: Path, options: Sequence[str]) -> str:
    command: list[str | Path] = [sys.executable, "-m", "benchmarks.stages", capture, *options]
    seconds = [json.loads(run(command)[1]) for _ in range(3)]
    return ", ".join(f"{stage} {median(one[stage] for one in seconds):.3f}" for stage in seconds[0])


def middle(measures: Sequence[Measure]) -> Measure:
    """The median of each number."""
    walls, cpus, memories = zip(*measures, strict=True)
    return Measure(median(walls), median(cpus), int(median(memories)))


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
        measure = middle([run([NFSRPC, "--help"])[0] for _ in range(10)])
        print(f"\nnfsrpc --help: {measure.wall:.3f} s, {measure.memory / 1e6:.0f} MB")
    except (OSError, subprocess.CalledProcessError) as error:
        print(f"\nnfsrpc --help: failed: {last_line(getattr(error, 'stderr', None) or str(error))}")
    print(f"Peak MB: {LEAST_MEMORY}.")


if __name__ == "__main__":
    main()
