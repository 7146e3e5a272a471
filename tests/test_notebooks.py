"""The notebooks run, and what they show is what is stored in them: complete, small, and of no particular machine."""

from __future__ import annotations

import json
import re
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

ROOT = Path(__file__).resolve().parents[1]
FOLDER = ROOT / "notebooks"
NOTEBOOKS = sorted(FOLDER.glob("*.ipynb"))
MOST_BYTES = 250_000
# Folders of machines, addresses of objects, escape sequences of terminals.
VOLATILE = re.compile(r"(?<![\w.])/(?:home|root|tmp|usr|work|private|Users)/|0x[0-9a-f]{9,}|\x1b\[")

each = pytest.mark.parametrize("path", NOTEBOOKS, ids=lambda path: path.stem)


def cells(path: Path) -> list[dict[str, Any]]:
    found: list[dict[str, Any]] = json.loads(path.read_text(encoding="utf-8"))["cells"]
    return found


def outputs(path: Path) -> list[dict[str, Any]]:
    return [output for cell in cells(path) for output in cell.get("outputs", ())]


def test_there_are_four() -> None:
    assert [path.stem for path in NOTEBOOKS] == [
        "01-why-did-my-lock-hang",
        "02-statd-and-the-portmapper",
        "03-who-holds-the-lock",
        "04-latency-and-load",
    ]


@pytest.mark.acceptance
def test_what_is_stored_is_what_they_show() -> None:
    """A stale notebook is renewed by `make docs`."""
    for module in ("altair", "duckdb", "ipykernel", "nbclient", "nbformat", "vl_convert"):
        pytest.importorskip(module)
    command = [sys.executable, FOLDER / "run.py", "--check"]
    result = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, timeout=240, check=False)
    assert result.returncode == 0, result.stderr


@each
def test_every_cell_was_run_and_shows_something(path: Path) -> None:
    code = [cell for cell in cells(path) if cell["cell_type"] == "code"]
    assert [cell["execution_count"] for cell in code] == list(range(1, len(code) + 1))
    assert all(cell["outputs"] for cell in code)
    assert not [
        output for output in outputs(path) if output["output_type"] == "error" or output.get("name") == "stderr"
    ]


@each
def test_they_have_a_picture_and_a_text_for_each(path: Path) -> None:
    pictures = [output["data"] for output in outputs(path) if "image/svg+xml" in output.get("data", {})]
    assert pictures
    assert all("text/plain" in picture for picture in pictures)


@each
def test_nothing_in_them_is_of_one_machine_or_one_run(path: Path) -> None:
    text = path.read_text(encoding="utf-8")
    assert VOLATILE.findall(text) == []
    assert json.loads(text)["metadata"] == {
        "kernelspec": {"display_name": "Python 3", "language": "python", "name": "python3"}
    }
    assert all(cell["metadata"] == {} for cell in cells(path))


@each
def test_they_are_small(path: Path) -> None:
    assert path.stat().st_size < MOST_BYTES
