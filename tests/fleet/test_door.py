"""A fleet without the packages of its extra is one line that says what to install; `nfsrpc.read` takes names only."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

import nfsrpc
from nfsrpc.fleet.door import named

INSTALL = r"a fleet needs {}: .*pip install 'nfsrpc\[fleet\]'"


@pytest.mark.parametrize("package", ["distributed", "pyarrow"])
def test_read_says_what_to_install(package: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, package, None)
    with pytest.raises(nfsrpc.MissingExtraError, match=INSTALL.format(package)):
        nfsrpc.read("captures/contended", client=object())


def test_the_command_line_says_what_to_install() -> None:
    program = "import sys; sys.modules['distributed'] = None; from nfsrpc.cli import main; main()"
    command = [sys.executable, "-c", program, "analyze", "--dask", "captures/contended"]
    result = subprocess.run(command, capture_output=True, text=True, timeout=60, check=False)
    assert result.returncode == 2
    assert result.stderr.startswith("nfsrpc: a fleet needs distributed: ")
    assert result.stderr.count("\n") == 1


@pytest.mark.parametrize(
    ("given", "line"),
    [
        (["--dmesg", "dmesg.txt", "captures/contended"], "--dmesg: a fleet is judged without kernel logs"),
        (["--jobs", "2", "captures/contended"], "--jobs: each worker of a fleet decodes with one processor"),
        (["captures/contended", "-"], "-: workers cannot read standard input"),
    ],
)
def test_what_a_fleet_cannot_use_is_not_silently_left_out(given: list[str], line: str) -> None:
    command = [sys.executable, "-m", "nfsrpc", "analyze", "--dask", *given]
    result = subprocess.run(command, capture_output=True, text=True, timeout=60, check=False)
    assert result.returncode == 2
    assert result.stderr.startswith(f"nfsrpc: {line}")
    assert result.stderr.count("\n") == 1


def test_a_cache_is_not_silently_left_out() -> None:
    command = [sys.executable, "-m", "nfsrpc", "analyze", "--cache", "cache", "captures/contended"]
    result = subprocess.run(command, capture_output=True, text=True, timeout=60, check=False)
    assert result.returncode == 2
    assert result.stderr == "nfsrpc: --cache: only a fleet has one: add --dask, or --scheduler ADDRESS\n"
    assert not result.stdout


def test_captures_of_a_cluster_are_names() -> None:
    assert list(named(["a", Path("b"), ["s3://c", [Path("d")]]])) == ["a", "b", "s3://c", "d"]
    for held in (b"\xd4", bytearray(), memoryview(b"")):
        with pytest.raises(TypeError, match="workers read paths and URLs"):
            list(named([held]))
    with pytest.raises(TypeError, match="and no int"):
        list(named([1]))
    with pytest.raises(ValueError, match="workers cannot read standard input"):
        list(named(["-"]))
