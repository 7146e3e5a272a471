"""The wheel works where nothing but Python is: no compiler, no checkout, no other package."""

from __future__ import annotations

import json
import os
import platform
import shutil
import subprocess
import sys
import zipfile
from pathlib import Path

import pytest

from benchmarks import instructions

ROOT = Path(__file__).parents[1]
SYSTEM = "/usr/bin:/bin"
UNREACHABLE = ("Could not find a version", "No matching distribution", "Connection", "Temporary failure", "timed out")

pytestmark = pytest.mark.acceptance


def program(*command: str | Path, path: str = SYSTEM, cwd: Path = ROOT) -> subprocess.CompletedProcess[str]:
    environment = {name: value for name, value in os.environ.items() if not name.startswith(("VIRTUAL_ENV", "PYTHON"))}
    return subprocess.run(
        [*map(str, command)], cwd=cwd, env=environment | {"PATH": path}, capture_output=True, text=True, check=False
    )


def done(what: subprocess.CompletedProcess[str]) -> str:
    if what.returncode and any(sign in what.stderr for sign in UNREACHABLE):
        pytest.skip(f"no index of packages can be reached: {what.stderr.splitlines()[-1]}")
    assert what.returncode == 0, what.stdout + what.stderr
    return what.stdout


@pytest.fixture(scope="module")
def dist(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """What `make wheel` builds, for this machine alone."""
    folder = tmp_path_factory.mktemp("dist")
    target = f"{platform.machine()}-unknown-linux-gnu"
    done(program("make", "wheel", f"DIST={folder}", f"TARGETS={target}", path=os.environ["PATH"]))
    return folder


@pytest.fixture(scope="module")
def wheel(dist: Path) -> Path:
    (found,) = dist.glob("*.whl")
    return found


@pytest.fixture(scope="module")
def empty(wheel: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The bin of an environment in which nothing but the wheel is installed, with what it needs."""
    folder = tmp_path_factory.mktemp("empty")
    done(program(sys.executable, "-m", "venv", folder))
    assert shutil.which("cargo", path=SYSTEM) is None, "cargo is where everybody finds it"
    done(program(folder / "bin" / "pip", "install", "--only-binary", ":all:", wheel, cwd=folder))
    return folder / "bin"


def test_it_is_for_every_python_and_every_linux_of_some_years(wheel: Path) -> None:
    assert wheel.name.endswith(f"-cp311-abi3-manylinux_2_28_{platform.machine()}.whl")


def test_it_holds_the_package_and_what_a_system_has_beside_it(wheel: Path) -> None:
    names = zipfile.ZipFile(wheel).namelist()
    assert "nfsrpc/samples/server-without-statd.pcap" in names
    assert not [name for name in names if name.startswith(("tests", "captures", "core"))]
    data = {name.partition(".data/data/share/")[2] for name in names}
    assert {"bash-completion/completions/nfsrpc", "zsh/site-functions/_nfsrpc"} < data
    if shutil.which("help2man"):
        assert {"man/man1/nfsrpc.1", "man/man1/nfsrpc-analyze.1", "man/man1/nfsrpc-live.1"} < data


def test_the_demo_runs_without_a_compiler(empty: Path) -> None:
    demo = program(empty / "nfsrpc", "demo", path=f"{empty}:{SYSTEM}", cwd=empty)
    assert demo.stdout.startswith(" FAULT   REG001 statd-not-registered, certain\n")
    assert (demo.returncode, "site-packages/nfsrpc/samples/" in demo.stderr) == (0, True)


@pytest.mark.parametrize("first", [SYSTEM, "{bin}:" + SYSTEM])
def test_what_is_said_about_a_missing_extra_works(empty: Path, first: str) -> None:
    path = first.format(bin=empty)
    sample = empty.parent / "lib"
    (capture,) = sample.rglob("server-without-statd.pcap")
    asked = program(empty / "nfsrpc", "sql", capture, "SELECT 1", path=path, cwd=empty)
    assert asked.returncode == 2
    command = asked.stderr.strip().partition("a query needs duckdb: ")[2]
    assert command.endswith("pip install 'nfsrpc[sql]'")
    told = done(program("sh", "-c", f"{command} --dry-run", path=path, cwd=empty))
    assert "Would install duckdb-" in told


def test_it_reads_what_the_checkout_reads(empty: Path) -> None:
    """The compiler has a profile for the one and not for the other."""
    captures = sorted((ROOT / "captures").glob("*/*.pcap*"))
    assert len(captures) > 20
    asked = ("table", "calls", *captures, "--format", "csv")
    here = done(program(sys.executable, "-P", "-m", "nfsrpc", *asked))
    assert here.count("\n") > 1000
    assert done(program(empty / "nfsrpc", *asked, cwd=empty)) == here


@pytest.mark.skipif(not shutil.which("valgrind"), reason="valgrind is not installed")
def test_the_core_is_compiled_with_the_profile(wheel: Path, tmp_path: Path) -> None:
    """It takes a tenth fewer instructions; of a profile with other names of functions it would be a hundredth."""
    sysroot = done(program("rustc", "--print", "sysroot", path=os.environ["PATH"])).strip()
    if not list(Path(sysroot).glob("lib/rustlib/*/bin/llvm-profdata")):
        pytest.skip("llvm-profdata is not installed: rustup component add llvm-tools")
    zipfile.ZipFile(wheel).extractall(tmp_path)
    shutil.copytree(ROOT / "benchmarks", tmp_path / "benchmarks")
    count = "from benchmarks import instructions as i; i.PACKETS = {'small': 20_000}; print(i.json.dumps(i.of_core()))"
    found = json.loads(done(program(sys.executable, "-c", count, path=os.environ["PATH"], cwd=tmp_path)))
    assert found["small"] < 0.95 * instructions.known()["small"]


def test_the_source_distribution_has_what_a_build_needs(dist: Path) -> None:
    (archive,) = dist.glob("*.tar.gz")
    names = done(program("tar", "tzf", archive)).splitlines()
    below = {name.partition("/")[2] for name in names}
    assert {"pyproject.toml", "core/Cargo.toml", "core/Cargo.lock", "core/src/lib.rs", "nfsrpc/cli/__init__.py"} < below


def test_installed_below_a_prefix_and_removed_again(tmp_path: Path) -> None:
    done(program("make", "install", f"PREFIX={tmp_path}", path=os.environ["PATH"]))
    assert program(tmp_path / "bin" / "nfsrpc", "demo", cwd=tmp_path).stdout.startswith(" FAULT   REG001 ")
    if shutil.which("help2man"):
        assert (tmp_path / "share" / "man" / "man1" / "nfsrpc-table.1").is_file()
    done(program("make", "uninstall", f"PREFIX={tmp_path}", path=os.environ["PATH"]))
    assert [file for file in tmp_path.rglob("*") if not file.is_dir()] == []
