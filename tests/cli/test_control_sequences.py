"""Names of files are anybody's: what is printed of them is no control sequence, whatever goes well or wrong."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest
from typer.testing import Result

from nfsrpc.sources import SourceError
from tests.cli.command import run

EVIL = "x\x1b]0;owned\x07\u202e\r"
SHOWN = r"x\x1b]0;owned\x07\u202e\r"


@pytest.fixture
def evil(samples: Path, tmp_path: Path) -> Path:
    (tmp_path / EVIL).mkdir()
    path = tmp_path / EVIL / f"{EVIL}.pcap"
    shutil.copy(samples / "server-without-statd" / "nfssrv-any.pcap", path)
    return path


def printable(result: Result) -> bool:
    return all(char.isprintable() for line in (result.stdout + result.stderr).split("\n") for char in line)


def test_an_error_is_one_line_that_can_be_printed() -> None:
    error = SourceError(f"/tmp/{EVIL}", f"no {EVIL}", f"try {EVIL}")
    assert str(error) == f"/tmp/{SHOWN}: no {SHOWN} (try {SHOWN})"
    assert error.path == f"/tmp/{EVIL}"


@pytest.mark.parametrize(
    "command",
    [
        ("analyze", "{missing}"),
        ("analyze", "{capture}", "--dmesg", "{missing}"),
        ("analyze", "{capture}", "-o", "{missing}/x"),
        ("analyze", "{capture}", "--set", "{missing}"),
        ("table", "calls", "{missing}"),
        ("table", "{missing}", "{capture}"),
        ("table", "calls", "{capture}", "--where", "{missing}"),
        ("table", "calls", "{capture}", "--columns", "{missing}"),
        ("show", "{missing}", "1"),
        ("show", "{capture}", "{missing}"),
        ("carve", "{missing}", "-o", "x"),
        ("carve", "{capture}", "-o", "{missing}/x"),
        ("carve", "{capture}", "-o", "{capture}"),
        ("live", "--follow", "{missing}"),
        ("live", "{missing}"),
        ("explain", "{missing}"),
    ],
)
def test_what_goes_wrong(command: tuple[str, ...], evil: Path, tmp_path: Path) -> None:
    names = {"missing": str(tmp_path / f"none{EVIL}"), "capture": str(evil)}
    result = run(*(word.format(**names) for word in command))
    assert result.exit_code == 2
    assert printable(result)
    assert SHOWN in result.stderr
    assert result.stderr.startswith("nfsrpc: ")
    assert result.stderr.count("\n") == 1


@pytest.mark.parametrize(
    "command",
    [
        *(("analyze", "--format", name) for name in ("text", "json", "markdown", "html")),
        *(("table", "captures", "--format", name) for name in ("table", "csv", "json", "jsonl")),
    ],
)
def test_what_goes_well(command: tuple[str, ...], evil: Path) -> None:
    result = run(*command, evil)
    assert result.exit_code in (0, 1)
    assert printable(result)


def test_frames_and_what_is_carved(evil: Path, tmp_path: Path) -> None:
    shown = run("show", evil, "102")
    assert shown.exit_code == 0
    assert printable(shown)
    assert SHOWN in shown.stdout
    carved = run("carve", evil, "-o", evil.with_name(f"{EVIL}.pcapng"))
    assert carved.exit_code == 0
    assert printable(carved)
    comment = f"frame 102 of {SHOWN}.pcap".encode()
    assert comment in evil.with_name(f"{EVIL}.pcapng").read_bytes()
