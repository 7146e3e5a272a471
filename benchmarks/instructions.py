"""Instructions that processes take, as valgrind counts them: other load on the machine does not change them.

python -m benchmarks.instructions compares those of the core on small captures with instructions.json, and with --renew
writes them there (make instructions). What Python takes to start is measured on an empty capture, and left out. Another
version of the compiler may need other figures.
"""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
from collections.abc import Mapping
from pathlib import Path
from tempfile import TemporaryDirectory

from benchmarks.frames import FILE_HEADER
from benchmarks.traffic import CAPTURES

FIGURES = Path(__file__).with_suffix(".json")
TOLERANCE = 0.03
PACKETS = {"small": 20_000, "bulk": 10_000, "held": 20_000, "pairs": 20_000, "storm": 20_000}
TOTAL = re.compile(r"refs:\s+([\d,]+)")


def of_command(*arguments: str | Path) -> int:
    """The instructions of a run of Python with these arguments, whatever its exit code is."""
    root = str(Path(__file__).parent.parent)
    environment = {**os.environ, "PYTHONPATH": root, "PYTHONHASHSEED": "0", "NFSRPC_JOBS": "1"}
    environment["OPENBLAS_NUM_THREADS"] = "1"  # a thread for each core else, and instructions by their number
    with TemporaryDirectory() as directory:
        log = Path(directory) / "log"
        tool = ["valgrind", "--tool=callgrind", "--callgrind-out-file=/dev/null", f"--log-file={log}", sys.executable]
        subprocess.run([*tool, *arguments], env=environment, cwd=root, stdout=subprocess.DEVNULL, check=False)
        (counted,) = TOTAL.findall(log.read_text(encoding="utf-8"))
    return int(counted.replace(",", ""))


def of_core() -> dict[str, float]:
    """The core's instructions per packet, by capture."""
    with TemporaryDirectory() as directory:
        path = Path(directory) / "trace.pcap"
        path.write_bytes(FILE_HEADER)
        start = of_command("-m", "benchmarks.core", path)
        found = {}
        for name, packets in PACKETS.items():
            CAPTURES[name](path, packets)
            found[name] = round((of_command("-m", "benchmarks.core", path) - start) / packets, 1)
    return found


def known() -> Mapping[str, float]:
    figures: Mapping[str, float] = json.loads(FIGURES.read_text(encoding="utf-8"))
    return figures


def changed(found: Mapping[str, float], before: Mapping[str, float]) -> dict[str, float]:
    """The captures on which the core takes more, or fewer, instructions than TOLERANCE allows, with the ratio."""
    ratios = {name: found[name] / before[name] for name in found}
    return {name: round(ratio, 3) for name, ratio in ratios.items() if abs(ratio - 1) > TOLERANCE}


def main() -> None:
    found = of_core()
    for name, figure in found.items():
        print(f"{name:8}{figure:10.1f} instructions per packet")
    if "--renew" in sys.argv:
        FIGURES.write_text(f"{json.dumps(found, indent=2)}\n", encoding="utf-8")
    elif beyond := changed(found, known()):
        sys.exit(f"not as in {FIGURES.name}, by more than {TOLERANCE:.0%}: {beyond}; make instructions writes it anew")


if __name__ == "__main__":
    main()
