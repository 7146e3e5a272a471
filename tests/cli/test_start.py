"""What `nfsrpc` costs before it does anything: `--help` within 0.2 s, and nothing imported that is not needed."""

import compileall
import resource
import shutil
import subprocess
import sys
from importlib.metadata import version
from pathlib import Path

import pytest

import nfsrpc
from benchmarks.instructions import of_command
from benchmarks.traffic import CAPTURES
from nfsrpc.cli.application import COMMANDS, function_of
from tests.cli.command import ENVIRONMENT, run, shell

HELP_S = 0.2
VERDICT_S = 0.4
ATTEMPTS = 5  # the machine may be busy with other things
# Of the instructions that importing numpy and typer takes; most of the rest is importing, too.
START = 2.2
UNUSED = {
    "altair",
    "argparse",
    "duckdb",
    "dpkt",
    "html.entities",
    "importlib.metadata",
    "jsonschema",
    "numpy.ma",
    "pandas",
    "pyarrow",
    "pydantic",
    "rich.console",
    "scapy",
    "nfsrpc.carving",
    "nfsrpc.export",
    "nfsrpc.plot",
    "nfsrpc.report.html",
    "nfsrpc.report.json",
    "nfsrpc.watch",
}
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


def test_analyze_imports_nothing_that_it_does_not_use(samples: Path) -> None:
    found = imported("analyze", samples / "server-without-statd" / "nfssrv-any.pcap")
    assert {"numpy", "nfsrpc._core"} <= found
    assert found & UNUSED == set()


@pytest.mark.acceptance
@pytest.mark.skipif(not shutil.which("valgrind"), reason="valgrind is not installed")
def test_a_verdict_takes_twice_the_instructions_of_importing_numpy_and_typer(samples: Path) -> None:
    capture = samples / "server-without-statd" / "nfssrv-any.pcap"
    compileall.compile_dir(Path(nfsrpc.__file__).parent, quiet=2)  # where Python is told not to write bytecode
    imports = of_command("-c", "import gc; gc.disable(); import numpy, typer")
    assert of_command("-m", "nfsrpc", "analyze", capture.absolute()) < START * imports


def least_cpu_s(*args: str | Path) -> float:
    """The processor time of a command: the least of several attempts."""

    def cpu_of_children() -> float:
        usage = resource.getrusage(resource.RUSAGE_CHILDREN)
        return usage.ru_utime + usage.ru_stime

    times = []
    for _ in range(ATTEMPTS):
        before = cpu_of_children()
        shell(*args)
        times.append(cpu_of_children() - before)
    return min(times)


def test_help_is_instant() -> None:
    assert least_cpu_s("--help") < HELP_S


@pytest.mark.acceptance
def test_a_verdict_on_a_few_megabytes_takes_less_than_half_a_second(tmp_path: Path) -> None:
    path = tmp_path / "trace.pcap"
    CAPTURES["small"](path, 15_000)
    assert path.stat().st_size > 5_000_000
    assert least_cpu_s("analyze", path) < VERDICT_S


def test_version() -> None:
    assert run("-V").stdout == run("--version").stdout == f"nfsrpc {version('nfsrpc')}\n"


def test_help_lists_the_commands() -> None:
    text = run("--help").stdout
    rows = text.partition("Commands:\n")[2].splitlines()
    assert [row.split()[0] for row in rows if not row.startswith("   ")] == [
        "analyze",
        "live",
        "record",
        "incidents",
        "table",
        "show",
        "carve",
        "open",
        "probe",
        "sql",
        "explain",
        "demo",
    ]
    assert run("-h").stdout == text


def test_help_cuts_no_description() -> None:
    text = " ".join(run("--help").stdout.partition("Commands:\n")[2].split())
    for name in COMMANDS:
        assert f"{name} {(function_of(name).__doc__ or '').splitlines()[0]}" in text
