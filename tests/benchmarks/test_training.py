"""What `make wheel` profiles the core on runs, and reads every capture in every way that matters."""

import re
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from benchmarks import training
from benchmarks.traffic import CAPTURES

ROOT = Path(__file__).parents[2]
PACKETS = 500


def test_what_make_runs_is_found_and_ends_well() -> None:
    """Without the current directory in the path of modules: a core beside it has no counters."""
    (module,) = re.findall(r"/python -P -m (benchmarks\S+)", (ROOT / "Makefile").read_text(encoding="utf-8"))
    command = [sys.executable, "-P", "-m", module, str(PACKETS)]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False)
    assert (done.returncode, done.stdout, done.stderr) == (0, "", "")
    assert f"`{module}`" in (ROOT / "docs" / "performance.md").read_text(encoding="utf-8")


def test_every_capture_is_counted_and_listed_with_one_back_end_and_two(monkeypatch: pytest.MonkeyPatch) -> None:
    ways = set()

    def read(sources: list[Path], *wanted: Any, jobs: int, counting: Any = None) -> None:
        ways.add((sources[0].name, counting is not None, jobs))

    monkeypatch.setattr(training, "read", read)
    training.main(PACKETS)
    names = (*CAPTURES, "hostile")
    assert ways == {(name, counted, jobs) for name in names for counted in (True, False) for jobs in (1, 2)}
