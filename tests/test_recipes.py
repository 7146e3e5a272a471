"""The recipes of CONTRIBUTING.md, followed word for word in a copy of the repository, and all checks after them."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[1]
FILES = re.compile(r"<!-- file: (\S+) -->\n```python\n(.*?)```", re.DOTALL)
RULE = re.compile(r"^    make rule (NAME=\S+) (FAMILY=\S+)$", re.MULTILINE)
# What the additions concern. The rest of the suite does not look at rules or protocols.
TESTS = (
    "tests/rules",
    "tests/protocols",
    "tests/cli/test_docs.py",
    "tests/cli/test_explain.py",
    "tests/test_layers.py",
)
LEFT_OUT = shutil.ignore_patterns(
    ".git", ".venv*", "target", "bench-captures", "__pycache__", ".*_cache", ".hypothesis", "corpus"
)


@pytest.fixture(scope="module")
def copy(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The repository, with the environment and the core that are built already."""
    copy = tmp_path_factory.mktemp("recipes") / "nfsrpc"
    shutil.copytree(ROOT, copy, ignore=LEFT_OUT)
    (copy / ".venv").symlink_to(ROOT / ".venv")
    shared = ROOT.parent / "shared"
    if shared.is_dir():
        (copy.parent / "shared").symlink_to(shared)
    os.utime(copy / "requirements-dev.txt", (0, 0))  # else make would make the environment anew
    (copy / "nfsrpc" / "_core.abi3.so").touch()
    return copy


def run(copy: Path, *command: str) -> str:
    inherited = {name: value for name, value in os.environ.items() if not name.startswith("MAKE")}
    environment = inherited | {
        "PYTHONPATH": str(copy),
        "CARGO_TARGET_DIR": str(ROOT / "core" / "target"),
        "NO_COLOR": "1",
    }
    result = subprocess.run(
        command, cwd=copy, env=environment, capture_output=True, text=True, timeout=900, check=False
    )
    assert result.returncode == 0, (result.stdout + result.stderr)[-5000:]
    return result.stdout


@pytest.mark.acceptance
def test_the_recipes_work(copy: Path) -> None:
    page = (copy / "CONTRIBUTING.md").read_text(encoding="utf-8")
    files = dict(FILES.findall(page))
    assert len(files) == 4
    (name, family) = RULE.findall(page)[0]
    skeleton = run(copy, "make", "rule", name, family)
    assert [f"Wrote {path}" for path in files if "lock_held_long" in path] == skeleton.splitlines()
    for path, text in files.items():
        (copy / path).write_text(text, encoding="utf-8")
    run(copy, "make", "docs")
    assert "check: no complaints" in run(copy, "make", "check")
    assert "LCK901  info     lock-held-long" in run(copy, ".venv/bin/python", "-m", "nfsrpc", "explain")
    assert "res_counter" in run(copy, ".venv/bin/python", "-m", "nfsrpc", "explain", "spray1")
    passed = run(copy, ".venv/bin/pytest", "-n", "2", "-p", "no:cacheprovider", "-m", "not acceptance", *TESTS)
    assert re.search(r"\d+ passed", passed)
    assert str(copy) in run(copy, ".venv/bin/python", "-c", "import nfsrpc; print(nfsrpc.__file__)")
