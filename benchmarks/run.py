"""nfsrpc beside its peers on the same captures, in one run: python -m benchmarks.run [NAME…] [--packets N] [--live] …

Each job is a whole process; its wall and processor time and its peak of resident memory are what the system says of it
(wait4). The number printed is the median of several runs. Captures are made where they are missing, and read once
before, so that all find them in the page cache. Compare the ratios: another machine has other numbers.
A run with all captures and peers is appended to benchmarks/results/, and README.md then quotes its ratios (results.py).
"""

from __future__ import annotations

import argparse
import json
import os
import shutil
import subprocess
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path
from statistics import median
from tempfile import TemporaryDirectory, TemporaryFile
from time import perf_counter
from typing import NamedTuple

from benchmarks import results

CAPTURES = Path("bench-captures")
NFSRPC = Path(sys.executable).with_name("nfsrpc")
MAKER = Path(__file__).with_name("traffic.py")
PACKETS = 1_000_000
BYTES = 1000  # of a packet at most: for the space that a capture needs
TITLES = {
    "small": "small messages, a tenth of them LOCK and UNLOCK",
    "bulk": "READ and WRITE of up to 1 MiB, LOCK and UNLOCK between",
    "held": "small messages, a fifth of them LOCKs that are never unlocked",
    "pairs": "four fifths LOCK and UNLOCK",
    "storm": "LOCKs of 1,000 clients, retransmitted to a server without statd",
}
GROWING = (16, 4, 1)  # the capture's size divided by these: n, 4 n, 16 n
CALLS = "import sys, nfsrpc; nfsrpc.read(sys.argv[1]).calls"
CORE, ANALYZE = "core alone", "nfsrpc analyze"
BREAKDOWN = "/usr/lib/nfstrace/libbreakdown.so"  # nfstrace's cheapest analysis: calls and latencies by procedure
FIELDS = ("-Y", "nlm", "-T", "fields", "-e", "frame.number", "-e", "rpc.xid", "-e", "nlm.procedure_v4")
LEAST_MEMORY = "the memory of a process is at least that of this runner at its start, some 15 MB"


class Job(NamedTuple):
    name: str
    command: Sequence[str | Path]
    runs: int
    environment: Mapping[str, str] = {}


class Measure(NamedTuple):
    wall: float
    cpu: float
    memory: int  # bytes


def jobs(capture: Path) -> list[Job]:
    """The others are compared with `analyze`."""
    analyze: list[str | Path] = [NFSRPC, "analyze", capture]
    return [
        Job(CORE, [sys.executable, "-m", "benchmarks.core", capture], 3),
        Job(ANALYZE, analyze, 3),
        Job(f"{ANALYZE}, 1 job", analyze, 3, {"NFSRPC_JOBS": "1"}),
        Job(f"{ANALYZE}, 2 jobs", analyze, 3, {"NFSRPC_JOBS": "2"}),
        Job("nfsrpc.read, its calls", [sys.executable, "-c", CALLS, capture], 1),
        Job("tcpdump -w /dev/null", ["tcpdump", "-r", capture, "-w", "/dev/null", "tcp or udp"], 3),
        Job("nfstrace breakdown", ["nfstrace", "--mode=stat", "-a", BREAKDOWN, "-I", capture], 3),
        Job("tshark -Y nlm", ["tshark", "-r", capture, *FIELDS], 1),
    ]


def jobs_on_part(capture: Path) -> list[Job]:
    """Peers that take minutes for a million packets."""
    peer: list[str | Path] = [sys.executable, "-m", "benchmarks.peers"]
    return [
        Job(ANALYZE, [NFSRPC, "analyze", capture], 3),
        Job("dpkt, each segment", [*peer, "dpkt", capture], 1),
        Job("scapy, each segment", [*peer, "scapy", capture], 1),
        Job("tshark -T pdml, as pyshark", [*peer, "pdml", capture], 1),
    ]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument(
        "names", nargs="*", choices=[*TITLES, []], metavar="NAME", help=f"{', '.join(TITLES)}; else all"
    )
    parser.add_argument("--packets", type=int, default=PACKETS, help="in each capture; bulk has 1 kB for each")
    parser.add_argument("--without", action="append", default=[], metavar="JOB", help="tshark is the slowest")
    parser.add_argument("--live", action="store_true", help="what live costs, too: 70 s")
    parser.add_argument("--recorder", action="store_true", help="what record costs, too: three minutes")
    parser.add_argument("--growth", action="store_true", help="what hostile captures cost, too: ten minutes")
    arguments = parser.parse_args()
    machine, moment = results.machine(), results.moment()
    print(", ".join(f"{name} {value}" for name, value in machine.items()))
    captures = {}
    for name in arguments.names or TITLES:
        capture = made(name, arguments.packets)
        if capture:
            captures[name] = measured(name, capture, arguments.packets, arguments.without)
        if capture and name == "small" and arguments.live:
            subprocess.run([sys.executable, "-m", "benchmarks.live", capture], check=True)
    if arguments.recorder:
        subprocess.run([sys.executable, "-m", "benchmarks.recorder"], check=True)
    if arguments.growth:
        print("\nHostile captures, processor time", flush=True)
        subprocess.run([sys.executable, "-m", "benchmarks.growth"], check=True)
    start_up()
    if set(captures) == set(TITLES) and not arguments.without:
        results.append({**moment, "machine": machine, "packets": arguments.packets, "captures": captures})
        print(f"Appended to {results.FILE.name}; README.md has its ratios.")


def measured(name: str, capture: Path, packets: int, without: Sequence[str]) -> results.Capture:
    """All that is measured of one capture, which is printed meanwhile."""
    print(f"\n{capture}: {TITLES[name]}", flush=True)
    frames, whole = compare(capture, jobs(capture), without)
    for how, options in (("as analyze reads", []), ("every exchange listed", ["--listed"])):
        print(f"{how}, processor s: {stages(capture, options)}")
    found: results.Capture = {"frames": frames, "jobs": whole}
    part = made(name, packets // results.PART) if name == "small" else None
    if part:
        print(f"\n{part}: a hundredth", flush=True)
        _, found["part"] = compare(part, jobs_on_part(part), without)
    sizes = [packets // divisor for divisor in GROWING]
    curve = [(size, path) for size in sizes if (path := made(name, size))]
    found["growth"] = [(size, *run([NFSRPC, "analyze", path])[0][1:]) for size, path in curve]
    print("; ".join(f"{size} packets: {cpu:.2f} s, {memory / 1e6:.0f} MB" for size, cpu, memory in found["growth"]))
    return found


def made(name: str, packets: int) -> Path | None:
    """The capture of that name and size, made if it is missing or older than what makes it."""
    path = CAPTURES / f"{name}-{packets}.pcap"
    if path.exists() and path.stat().st_mtime > MAKER.stat().st_mtime:
        return path
    CAPTURES.mkdir(exist_ok=True)
    free = shutil.disk_usage(CAPTURES).free
    if free < packets * BYTES:
        print(f"{path}: not made, it may need {packets * BYTES >> 20} MB and {free >> 20} MB are free")
        return None
    subprocess.run([sys.executable, "-m", "benchmarks.traffic", name, path, str(packets)], check=True)
    return path


def compare(capture: Path, every: Sequence[Job], without: Sequence[str]) -> tuple[int, dict[str, results.Figures]]:
    """One table, one row per job. The jobs take turns, so that other load on the machine slows all of them alike."""
    warm(capture)
    asked = [job for job in every if not any(job.name.startswith(peer) for peer in without)]
    measures: dict[str, list[Measure]] = {job.name: [] for job in asked}
    remarks: dict[str, str] = {job.name: "not installed" for job in asked if not shutil.which(job.command[0])}
    frames = 0
    for turn in range(max(job.runs for job in asked)):
        for job in asked:
            if turn >= job.runs or job.name in remarks:
                continue
            try:
                measure, output = run(job.command, job.environment)
            except subprocess.CalledProcessError as error:
                remarks[job.name] = f"failed: {last_line(error.stderr)}"
                continue
            if job.name == CORE:
                inner = json.loads(output)
                frames = inner["frames"]
                measure = Measure(inner["wall"], inner["cpu"], measure.memory)
            measures[job.name].append(measure)
    print_table(capture.stat().st_size, frames, measures, remarks)
    return frames, {name: middle(found)._asdict() for name, found in measures.items() if found}


def print_table(size: int, frames: int, measures: dict[str, list[Measure]], remarks: dict[str, str]) -> None:
    print(
        f"{'':28}{'wall s':>9}{'cpu s':>9}{'Mpackets/s':>12}{'GB/s':>8}{'peak MB':>9}{'wall / analyze':>16}{'cpu':>8}"
    )
    analyze = middle(measures[ANALYZE]) if measures.get(ANALYZE) else None
    for name, found in measures.items():
        if name in remarks:
            print(f"{name:28}{remarks[name]}")
            continue
        wall, cpu, memory = middle(found)
        speed = f"{frames / wall / 1e6:.2f}" if frames else ""
        ratios = f"{wall / analyze.wall:16.2f}{cpu / analyze.cpu:8.2f}" if analyze else ""
        print(f"{name:28}{wall:9.3f}{cpu:9.3f}{speed:>12}{size / wall / 1e9:8.2f}{memory / 1e6:9.0f}{ratios}")


def stages(capture: Path, options: Sequence[str]) -> str:
    command: list[str | Path] = [sys.executable, "-m", "benchmarks.stages", capture, *options]
    seconds = json.loads(run(command)[1])
    return ", ".join(f"{stage} {spent:.3f}" for stage, spent in seconds.items())


def middle(measures: Sequence[Measure]) -> Measure:
    """The median of each number."""
    walls, cpus, memories = zip(*measures, strict=True)
    return Measure(median(walls), median(cpus), int(median(memories)))


def run(command: Sequence[str | Path], environment: Mapping[str, str] = {}) -> tuple[Measure, str]:
    """What a process took, and its output. Raises CalledProcessError unless it ends with 0, or with 1 for a fault."""
    with TemporaryDirectory() as directory, TemporaryFile() as output, TemporaryFile() as errors:
        absolute = [str(Path(part).absolute()) if isinstance(part, Path) else part for part in command]
        variables = {**os.environ, "PYTHONPATH": str(MAKER.parent.parent), **environment}
        began = perf_counter()
        # nfstrace leaves a log where it runs.
        process = subprocess.Popen(
            absolute, stdin=subprocess.DEVNULL, stdout=output, stderr=errors, cwd=directory, env=variables
        )
        _, status, usage = os.wait4(process.pid, 0)
        wall = perf_counter() - began
        process.returncode = os.waitstatus_to_exitcode(status)
        output.seek(0)
        errors.seek(0)
        said, complained = (file.read().decode(errors="replace") for file in (output, errors))
        if process.returncode not in ((0, 1) if command[0] == NFSRPC else (0,)):
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
