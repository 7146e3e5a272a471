"""What `nfsrpc` costs before it does anything: `--help` within 0.2 s, and nothing imported that is not needed."""

import resource
import subprocess
import sys
from importlib.metadata import version
from pathlib import Path

import pytest

from tests.cli.command import ENVIRONMENT, run, shell

HELP_S = 0.2
ATTEMPTS = 5  # the machine may be busy with other things
HEAVY = {
    "numpy",
    "pandas",
    "scapy",
    "dpkt",
    "rich.console",
    "pyarrow",
    "jsonschema",
    "nfsrpc.protocols",
    "nfsrpc._core",
}


def imported(*args: str | Path) -> set[str]:
    result = subprocess.run(
        [sys.executable, "-X", "importtime", "-m", "nfsrpc", *map(str, args)],
        capture_output=True,
        env=ENVIRONMENT,
        timeout=60,
        check=False,
    )
    return {line.rpartition("|")[2].strip() for line in result.stderr.decode().splitlines() if "|" in line}


@pytest.mark.parametrize("args", [("--help",), ("--version",), ("analyze", "--help"), ("table", "--help")])
def test_help_imports_nothing_heavy(args: tuple[str, ...]) -> None:
    assert imported(*args) & HEAVY == set()


def test_analyze_imports_no_pandas_and_no_rich(samples: Path) -> None:
    found = imported("analyze", samples / "server-without-statd" / "nfssrv-any.pcap")
    assert {"numpy", "nfsrpc._core"} <= found
    assert found & {"pandas", "scapy", "dpkt", "rich.console", "pydantic", "importlib.metadata", "numpy.ma"} == set()


def test_help_is_instant() -> None:
    def cpu_of_children() -> float:
        usage = resource.getrusage(resource.RUSAGE_CHILDREN)
        return usage.ru_utime + usage.ru_stime

    times = []
    for _ in range(ATTEMPTS):
        before = cpu_of_children()
        shell("--help")
        times.append(cpu_of_children() - before)
    assert min(times) < HELP_S


def test_version() -> None:
    assert run("--version").stdout == f"nfsrpc {version('nfsrpc')}\n"


def test_help_lists_the_commands() -> None:
    text = run("--help").stdout
    assert [line.split()[0] for line in text.partition("Commands:\n")[2].splitlines()] == [
        "analyze",
        "live",
        "record",
        "incidents",
        "table",
        "show",
        "carve",
        "sql",
        "explain",
    ]
    assert run("-h").stdout == text
