"""Hostile captures of many hosts take no more memory than a capture with nothing in it and what the limits allow."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

from benchmarks.attacks import written

# Beside what the program takes without a capture worth the name, some 45 MB: 250 MB in all are promised.
MAX_MB = 200
KB_PER_MB = 1000

# A process begins with the peak of the one that starts it, which therefore is a small one.
STARTED = """
import os, sys, subprocess
process = subprocess.Popen(sys.argv[1:], stdout=subprocess.DEVNULL)
_, status, usage = os.wait4(process.pid, 0)
process.returncode = os.waitstatus_to_exitcode(status)
print(process.returncode, usage.ru_maxrss)
"""

# Those that took most, at the size from which they take no more.
ATTACKS = {"unanswered_locks": 50_000, "interfaces": 40_000, "writers": 60_000}


@pytest.mark.acceptance
@pytest.mark.skipif(not hasattr(os, "wait4"), reason="the memory of a child is known by wait4")
@pytest.mark.parametrize(("name", "n"), ATTACKS.items())
def test_memory_is_bounded(name: str, n: int, tmp_path: Path) -> None:
    small, large = (peak(written(name, size, tmp_path / f"{size}.pcap")) for size in (1, n))
    assert large - small < MAX_MB


def peak(capture: Path) -> float:
    """The most memory that an analysis had resident, in MB."""
    command = [sys.executable, "-c", STARTED, sys.executable, "-m", "nfsrpc", "analyze", str(capture)]
    found = subprocess.run(command, capture_output=True, text=True, check=True, cwd=capture.parent)
    code, kilobytes = map(int, found.stdout.split())
    assert code in (0, 1)
    return kilobytes / KB_PER_MB
