"""`nfsrpc open`: Wireshark's command line, and what is said where there is none; and the demo."""

import os
import sys
import time
from pathlib import Path

import pytest

from nfsrpc.cli.demo import SAMPLE
from tests.cli.command import run, shell

STAND_IN = """#!{python}
import json, os, sys
with open(os.environ["CALLED"] + ".part", "w") as file:
    json.dump(sys.argv[1:], file)
os.rename(os.environ["CALLED"] + ".part", os.environ["CALLED"])
"""


@pytest.fixture
def statd(samples: Path) -> Path:
    return samples.resolve() / "server-without-statd" / "nfssrv-any.pcap"


@pytest.mark.parametrize("finding", [(), ("REG001",), ("statd-not-registered",), ("LCK002",)])
def test_wireshark_is_started_at_the_first_frame_of_the_proof(
    statd: Path, tmp_path: Path, finding: tuple[str, ...]
) -> None:
    program = tmp_path / "wireshark"
    program.write_text(STAND_IN.format(python=sys.executable))
    program.chmod(0o755)
    odd = tmp_path / "a file; rm -rf $HOME"
    odd.write_bytes(statd.read_bytes())
    called = tmp_path / "called"
    result = shell("open", odd, *finding, PATH=f"{tmp_path}:{os.environ['PATH']}", CALLED=str(called))
    assert (result.returncode, result.stdout) == (0, b"")
    assert b"frame.number in {102," in result.stderr
    for _ in range(200):
        if called.exists():
            break
        time.sleep(0.05)
    assert called.read_text() == f'["-r", "{odd}", "-g", "102"]'


def test_without_wireshark_the_command_is_said(statd: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PATH", "/nonexistent")
    result = run("open", statd)
    assert (result.exit_code, result.stdout) == (2, "")
    assert result.stderr.splitlines() == [
        f"nfsrpc: display filter of {statd}: frame.number in {{102,107,109,333,336}}",
        f"nfsrpc: wireshark is not installed here; where it is: wireshark -r {statd} -g 102",
    ]


@pytest.mark.parametrize(
    ("arguments", "reason"),
    [
        (("REG01",), "no rule REG01; did you mean REG001? (nfsrpc explain lists them)"),
        (("NET001",), "NET001 is not found in"),
    ],
)
def test_a_finding_that_there_is_not(statd: Path, arguments: tuple[str, ...], reason: str) -> None:
    result = run("open", statd, *arguments)
    assert (result.exit_code, result.stdout) == (2, "")
    assert reason in result.stderr


def test_the_demo_is_the_report_on_the_packaged_sample(statd: Path) -> None:
    assert SAMPLE.read_bytes() == statd.read_bytes()
    demo, report = shell("demo"), shell("analyze", SAMPLE)
    assert (demo.returncode, report.returncode) == (0, 1)
    assert demo.stdout == report.stdout
    assert demo.stderr.decode() == f"nfsrpc: the report of nfsrpc analyze {SAMPLE}\n"
