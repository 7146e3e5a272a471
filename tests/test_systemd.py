"""The service of systemd: sound, and with few rights."""

from __future__ import annotations

import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

UNIT = Path(__file__).resolve().parents[1] / "contrib" / "systemd" / "nfsrpc-record.service"
MOST_EXPOSED = 2.0


def analyze(*args: str | Path) -> subprocess.CompletedProcess[str]:
    if shutil.which("systemd-analyze") is None:
        pytest.skip("systemd-analyze is not installed")
    return subprocess.run(["systemd-analyze", *args], capture_output=True, text=True, check=False)


def test_it_is_exposed_little() -> None:
    told = analyze("security", "--offline=true", "--no-pager", UNIT).stdout
    found = re.search(r"Overall exposure level for nfsrpc-record\.service: ([\d.]+)", told)
    assert found
    assert float(found[1]) < MOST_EXPOSED


def test_it_is_verified(tmp_path: Path) -> None:
    """With a command that exists: nfsrpc is installed elsewhere than in a test."""
    unit = tmp_path / UNIT.name
    unit.write_text(UNIT.read_text().replace("/usr/bin/nfsrpc", str(Path(sys.executable).with_name("nfsrpc"))))
    told = analyze("verify", "--man=no", unit)
    assert (told.returncode, told.stdout, told.stderr) == (0, "", "")


@pytest.mark.parametrize(
    "line",
    [
        "Type=notify",
        "ExecStart=/usr/bin/nfsrpc record --directory ${STATE_DIRECTORY} $NFSRPC_OPTIONS",
        "DynamicUser=yes",
        "AmbientCapabilities=CAP_NET_RAW",
        "CapabilityBoundingSet=CAP_NET_RAW",
        "ProtectSystem=strict",
        "StateDirectory=nfsrpc",
        "MemoryMax=512M",
        "WatchdogSec=60",
        "SystemCallFilter=capset",
    ],
)
def test_what_it_says(line: str) -> None:
    assert line in UNIT.read_text().splitlines()
