"""The audit fails for what it finds, and for nothing else: what cannot be reached is skipped with the reason."""

from __future__ import annotations

import importlib.util
import json
import subprocess
import sys
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest


@pytest.fixture(scope="module")
def audit() -> ModuleType:
    file = Path(__file__).parents[1] / ".ci" / "audit.py"
    spec = importlib.util.spec_from_file_location("audit", file)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    sys.modules["audit"] = module  # dataclasses look their module up
    spec.loader.exec_module(module)
    del sys.modules["audit"]
    return module


def ended(code: int, stdout: str = "", stderr: str = "") -> subprocess.CompletedProcess[str]:
    return subprocess.CompletedProcess([], code, stdout, stderr)


GOOD: dict[str, Any] = {"name": "numpy", "version": "2.4.6", "vulns": []}
UNKNOWN: dict[str, Any] = {"name": "rich", "skip_reason": "not found"}
BAD: dict[str, Any] = {
    "name": "lz4",
    "version": "4.3",
    "vulns": [{"id": "CVE-2026-1", "fix_versions": ["4.4"]}, {"id": "CVE-2026-2", "fix_versions": []}],
}


@pytest.mark.parametrize(
    ("packages", "state", "text", "details"),
    [
        ([GOOD], "ok", "1 checked", ""),
        ([GOOD, UNKNOWN], "ok", "1 checked; not in the database: rich", ""),
        ([UNKNOWN, UNKNOWN], "skipped", "the database that was reached has none of 2 packages", ""),
        (
            [GOOD, BAD, UNKNOWN],
            "found",
            "1 vulnerable",
            "lz4 4.3: CVE-2026-1, fixed in 4.4\nlz4 4.3: CVE-2026-2, fixed in -",
        ),
    ],
)
def test_python_packages(audit: ModuleType, packages: list[Any], state: str, text: str, details: str) -> None:
    outcome = audit.python_advisories(ended(state == "found", json.dumps({"dependencies": packages})))
    assert outcome == audit.Outcome(state, f"advisories about Python packages: {text}", details)


BLOCKED = "Tip: your network may be blocking this service."


@pytest.mark.parametrize(
    ("stderr", "state", "text"),
    [
        ("Traceback\nrequests.ConnectionError: no name\n", "skipped", "requests.ConnectionError: no name"),
        (f"no feed\n{BLOCKED}\n", "skipped", BLOCKED),
        ("ERROR: requirement numpy is missing a hash\n", "found", "pip-audit failed"),
    ],
)
def test_a_database_that_does_not_answer_is_no_finding(audit: ModuleType, stderr: str, state: str, text: str) -> None:
    outcome = audit.python_advisories(ended(1, "", stderr))
    assert (outcome.state, outcome.text) == (state, f"advisories about Python packages: {text}")


@pytest.mark.parametrize(
    ("process", "state", "text"),
    [
        (ended(0), "ok", "tools of the audit: installed by hash"),
        (
            ended(2, "", "ERROR: No network\nmake: *** Error 1\n"),
            "skipped",
            "everything: the tools cannot be installed: ERROR: No network",
        ),
        (
            ended(2, "", "ERROR: THESE PACKAGES DO NOT MATCH THE HASHES FROM THE REQUIREMENTS FILE.\n"),
            "found",
            "tools of the audit: a file is not the one that was locked",
        ),
    ],
)
def test_tools_that_are_not_the_locked_ones(audit: ModuleType, process: Any, state: str, text: str) -> None:
    outcome = audit.installed(process)
    assert (outcome.state, outcome.text) == (state, text)


@pytest.mark.parametrize(
    ("fetch", "check", "state", "text"),
    [
        ("true", "true", "ok", "x: core/Cargo.toml, core/fuzz/Cargo.toml"),
        ("true", "echo bad >&2; exit 4", "found", "x: core/Cargo.toml"),
        ("echo a >&2; echo no host >&2; exit 1", "exit 4", "skipped", "x: no host"),
        ("exit 3", "exit 4", "skipped", "x: exit code 3"),
    ],
)
def test_crates(audit: ModuleType, fetch: str, check: str, state: str, text: str) -> None:
    outcome = audit.crates("x", lambda _: [["true"], ["sh", "-c", fetch]], lambda _: ["sh", "-c", check])
    assert (outcome.state, outcome.text) == (state, text)
    assert outcome.details == ("bad\n" if state == "found" else "")


@pytest.mark.parametrize(("states", "code"), [(["ok", "skipped"], 0), (["ok", "found", "skipped"], 1)])
def test_only_a_finding_fails(
    audit: ModuleType, states: list[str], code: int, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(audit, "outcomes", lambda: [audit.Outcome(state, "x") for state in states])
    assert audit.main() == code
    lines = [line for line in capsys.readouterr().out.splitlines() if line]
    assert lines == [f"audit: {state}: x" for state in states]
