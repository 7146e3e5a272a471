"""Runs of the benchmarks as they were measured: benchmarks/results/bench.jsonl, one line per run, the newest last.

README.md quotes ratios of the newest run, between two markers; `python -m benchmarks.results` writes them anew.
"""

from __future__ import annotations

import json
import os
import platform
import re
import shutil
import subprocess
from collections.abc import Iterator, Mapping
from datetime import UTC, datetime
from pathlib import Path
from textwrap import wrap
from typing import Any, TypedDict

ROOT = Path(__file__).parent.parent
FILE = ROOT / "benchmarks" / "results" / "bench.jsonl"
README = ROOT / "README.md"
WIDTH = 120
QUOTED = re.compile(r"(<!-- speed: .*? -->\n).*?(<!-- end -->)", re.DOTALL)
PART = 100  # peers in Python get a capture so much smaller
Figures = dict[str, Any]  # wall and processor seconds, bytes of memory at the peak

ANALYZE = "nfsrpc analyze"
PEERS = {"tcpdump": "tcpdump -w /dev/null", "nfstrace": "nfstrace breakdown", "tshark": "tshark -Y nlm"}
PEERS_ON_PART = {
    "dpkt": "dpkt, each segment",
    "scapy": "scapy, each segment",
    "pyshark's way": "tshark -T pdml, as pyshark",
}
VERSIONS = {
    "tcpdump": r"tcpdump version (\S+)",
    "tshark": r"TShark \(Wireshark\) (\S+?)\.? ",
    "nfstrace": r"nfstrace (\d\S*)",
}


class Capture(TypedDict, total=False):
    """What was measured of one capture."""

    frames: int
    jobs: dict[str, Figures]
    part: dict[str, Figures]  # on a hundredth of it
    growth: list[tuple[int, float, int]]  # packets, processor seconds, bytes of memory: n, 4 n, 16 n


def machine() -> dict[str, str]:
    """The machine, its load, and the versions of all that is measured."""
    model = re.search(r"model name\s*: (.*)", Path("/proc/cpuinfo").read_text(encoding="ascii", errors="replace"))
    found = {
        "processors": f"{os.cpu_count()} × {model[1] if model else platform.machine()}",
        "kernel": platform.release(),
        "load": f"{os.getloadavg()[0]:.1f}",
        "Python": platform.python_version(),
    }
    return found | {peer: version_of(peer, pattern) for peer, pattern in VERSIONS.items() if shutil.which(peer)}


def version_of(peer: str, pattern: str) -> str:
    answer = subprocess.run([peer, "--help"], capture_output=True, text=True, check=False)
    found = re.search(pattern, answer.stdout + answer.stderr, re.IGNORECASE)
    return found[1] if found else "unknown"


def moment() -> dict[str, str]:
    """The date, and the commit that is measured; with a + where files differ from it."""
    commit = subprocess.run(["git", "describe", "--always", "--dirty=+"], capture_output=True, text=True, check=False)
    return {"date": datetime.now(UTC).strftime("%Y-%m-%d"), "commit": commit.stdout.strip()}


def append(result: Mapping[str, Any]) -> None:
    FILE.parent.mkdir(exist_ok=True)
    with FILE.open("a", encoding="utf-8") as file:
        file.write(f"{json.dumps(result)}\n")
    quote()


def newest() -> dict[str, Any]:
    result: dict[str, Any] = json.loads(FILE.read_text(encoding="utf-8").splitlines()[-1])
    return result


def quote() -> None:
    """Writes the ratios of the newest run into README.md."""
    README.write_text(with_ratios(README.read_text(encoding="utf-8"), newest()), encoding="utf-8")


def with_ratios(text: str, result: Mapping[str, Any]) -> str:
    lines = "".join(f"{line}\n" for line in table(result))
    return QUOTED.sub(lambda found: f"{found[1]}{lines}{found[2]}", text)


def table(result: Mapping[str, Any]) -> Iterator[str]:
    """Processor time of the peers as multiples of analyze's, per packet of each capture, in Markdown."""
    columns = {**PEERS, **PEERS_ON_PART}
    yield f"| capture | `analyze` | {' | '.join(columns)} |"
    yield f"|---|---:|{'---:|' * len(columns)}"
    for name, capture in result["captures"].items():
        jobs, frames = capture["jobs"], capture["frames"]
        ratios = [ratio(jobs, job, jobs[ANALYZE]["cpu"]) for job in PEERS.values()]
        ratios += [ratio(capture.get("part", {}), job, jobs[ANALYZE]["cpu"] / PART) for job in PEERS_ON_PART.values()]
        cost = f"{frames / jobs[ANALYZE]['cpu'] / 1e6:.1f} M/s, {jobs[ANALYZE]['memory'] / 1e6:.0f} MB"
        yield f"| {name} | {cost} | {' | '.join(ratios)} |"
    yield ""
    machine = ", ".join(f"{name} {value}" for name, value in result["machine"].items())
    origin = f"{result['date']}, {result['packets']:,} packets per capture, commit {result['commit']}; {machine}."
    yield from wrap(origin, WIDTH)


def ratio(jobs: Mapping[str, Figures], job: str, analyze: float) -> str:
    """The processor time of a job by that of analyze, to two digits."""
    if job not in jobs:
        return "–"
    times = jobs[job]["cpu"] / analyze
    return f"{float(f'{times:.2g}'):g} ×"


if __name__ == "__main__":
    quote()
