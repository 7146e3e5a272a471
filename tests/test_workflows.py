"""Workflows run what runs here: every command of theirs is a target of make or a script of the repository."""

from __future__ import annotations

import re
import shutil
import subprocess
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
WORKFLOWS = sorted((ROOT / ".github" / "workflows").glob("*.yml"))
MAKEFILE = (ROOT / "Makefile").read_text(encoding="utf-8")
TARGETS = {name for line in re.findall(r"^\.PHONY: (.*)$", MAKEFILE, re.MULTILINE) for name in line.split()}


def test_there_are_those_that_the_documentation_names() -> None:
    assert [path.name for path in WORKFLOWS] == ["ci.yml", "fuzz.yml", "release.yml"]


@pytest.mark.parametrize("path", WORKFLOWS, ids=lambda path: path.name)
def test_what_make_is_asked_for_is_a_target(path: Path) -> None:
    text = path.read_text(encoding="utf-8")
    asked = re.findall(r"\bmake (?:--silent )?(\w+)", text)
    assert set(asked) <= TARGETS
    assert asked or ".ci/run" in text


@pytest.mark.parametrize("path", WORKFLOWS, ids=lambda path: path.name)
def test_every_job_has_few_rights_and_an_end(path: Path) -> None:
    text = path.read_text(encoding="utf-8")
    assert "\npermissions:\n  contents: read\n" in text
    assert text.count("persist-credentials: false") == text.count("actions/checkout@")


def test_every_python_that_the_package_supports_is_tried() -> None:
    text = (ROOT / ".github" / "workflows" / "ci.yml").read_text(encoding="utf-8")
    assert 'python: ["3.11", "3.12", "3.13", "3.14"]' in text
    assert (ROOT / ".ci" / "run").is_file()
    assert "run: .ci/run\n" in text


def test_a_release_has_the_wheels_that_make_builds_with_a_profile() -> None:
    text = (ROOT / ".github" / "workflows" / "release.yml").read_text(encoding="utf-8")
    assert "components: llvm-tools\n" in text
    assert "run: make wheel\n" in text


def notes(version: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        ["make", "--silent", "notes", f"VERSION={version}"], cwd=ROOT, capture_output=True, text=True, check=False
    )


def test_notes_are_the_section_of_the_version() -> None:
    text = (ROOT / "CHANGELOG.md").read_text(encoding="utf-8").partition("\n## Unreleased\n")[2]
    assert notes("Unreleased").stdout == text.partition("\n## ")[0].rstrip("\n") + "\n"
    missing = notes("99.0")
    assert (missing.returncode != 0, missing.stdout) == (True, "")
    assert "make: CHANGELOG.md has no section 99.0\n" in missing.stderr


@pytest.mark.skipif(not shutil.which("actionlint"), reason="actionlint is not installed")
def test_actionlint_has_no_complaints() -> None:
    done = subprocess.run(["actionlint", "-no-color"], cwd=ROOT, capture_output=True, text=True, check=False)
    assert (done.returncode, done.stdout) == (0, "")
