"""What analyze takes for hostile captures is measured for captures of the sizes that were asked for."""

from __future__ import annotations

import subprocess
import sys
from io import BytesIO
from pathlib import Path

import pytest

from benchmarks import reach
from benchmarks.attacks import ATTACKS, FileWriter, Writer, main, pcapng
from benchmarks.run import Measure


@pytest.mark.parametrize(
    ("name", "packets"),
    [
        ("clients", 50_000),  # two packets each
        ("resent_locks", 50_000),  # six
        ("one_way", 50_000),  # one, and two at the end
    ],
)
def test_so_many_packets_are_made(name: str, packets: int) -> None:
    n = reach.number_of(name, packets)
    assert reach.frames_of(name, n) == pytest.approx(packets, abs=5)


def test_of_what_comes_many_in_a_packet_there_are_as_many_as_packets() -> None:
    assert reach.number_of("dumps", 1_000_000) == 1_000_000


def test_one_row_per_attack(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(reach, "measured", lambda _, n: Measure(0.0, n / 10, n * 1_000_000))
    header, line, row = reach.table(["clients"], 3_200)
    assert header.count("|") == line.count("|") == row.count("|")
    assert row == "| clients | 1600 | 100 | 400 | 1600 | 10.0 | 40.0 | 160.0 | 1.0 |"


def test_small_captures_are_measured() -> None:
    """In a process of its own: what it starts has at least its peak of memory, and that of the tests may be large."""
    command = [sys.executable, "-m", "benchmarks.reach", "clients", "--packets", "320"]
    *_, row = subprocess.run(command, capture_output=True, text=True, check=True).stdout.splitlines()
    name, n, *numbers, _ = row.strip("| ").split(" | ")
    assert (name, n) == ("clients", "160")
    memory, seconds = numbers[:3], numbers[3:]
    assert all(10 < int(one) < 200 for one in memory)
    assert all(0 < float(one) < 10 for one in seconds)


@pytest.mark.parametrize("name", ["clients", "interfaces"])
def test_frames_are_written_to_a_file_as_they_come(name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("sys.argv", ["attacks", name, "20", str(tmp_path / "capture")])
    main()
    kept = Writer()
    ATTACKS[name](kept, 20)
    assert (tmp_path / "capture").read_bytes() == pcapng(kept.frames)
    assert kept.count == streamed(name, 20).count


def streamed(name: str, n: int) -> FileWriter:
    writer = FileWriter(BytesIO())
    ATTACKS[name](writer, n)
    return writer
