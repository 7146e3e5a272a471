"""What is imported is declared in pyproject.toml, and what is declared there is locked, by version and hash."""

from __future__ import annotations

import ast
import re
import sys
import tomllib
from collections.abc import Iterator
from importlib.metadata import PackageNotFoundError, metadata, packages_distributions, version
from pathlib import Path

import pytest
from packaging.markers import Environment, default_environment
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

ROOT = Path(__file__).parents[1]
PYPROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))
NEEDED = [Requirement(line) for line in PYPROJECT["project"]["dependencies"]]
EXTRAS = {
    name: [Requirement(line) for line in lines] for name, lines in PYPROJECT["project"]["optional-dependencies"].items()
}
GROUPS = {name: [Requirement(line) for line in lines] for name, lines in PYPROJECT["dependency-groups"].items()}
DEVELOPMENT = [*NEEDED, *(requirement for extra in EXTRAS.values() for requirement in extra), *GROUPS["dev"]]
IMAGE = [*NEEDED, *EXTRAS["metrics"]]
LOCKED = {
    "requirements-dev.txt": DEVELOPMENT,
    "requirements-run.txt": [*NEEDED, *GROUPS["build"]],
    "requirements-image.txt": IMAGE,
    "requirements-wheel.txt": GROUPS["wheel"],
    "requirements-site.txt": GROUPS["site"],
    "requirements-tools.txt": GROUPS["tools"],
}

LEAST = {
    "requirements-dev.txt": 40,
    "requirements-run.txt": 14,
    "requirements-image.txt": 12,
    "requirements-wheel.txt": 2,
    "requirements-site.txt": 20,
    "requirements-tools.txt": 20,
}

FOLDERS = {
    "nfsrpc": NEEDED,
    "tests": DEVELOPMENT,
    "docs": [*DEVELOPMENT, *GROUPS["site"]],
    "notebooks": DEVELOPMENT,
    "benchmarks": DEVELOPMENT,
    ".ci": GROUPS["tools"],
}
DISTRIBUTIONS = packages_distributions()

# One package of a lock file: name==version ; marker, then its hashes, one per line.
PACKAGE = re.compile(r"^(\S+==\S+(?: ; .+?)?) \\\n((?:    --hash=sha256:[0-9a-f]{64}(?: \\)?\n)+)", re.MULTILINE)


def imported(folder: Path) -> Iterator[tuple[str, str]]:
    """Each file with the first part of a module that it imports from outside the project and the standard library."""
    ours = {*FOLDERS, *sys.stdlib_module_names, "compression"}  # the last one is of the standard library from 3.14 on
    for file in sorted(folder.rglob("*.py")):
        tree = ast.parse(file.read_text(encoding="utf-8"))
        for_types = {part for node in ast.walk(tree) if is_for_types(node) for part in ast.walk(node)}
        for node in set(ast.walk(tree)) - for_types:
            names = []
            if isinstance(node, ast.Import):
                names = [alias.name for alias in node.names]
            elif isinstance(node, ast.ImportFrom) and not node.level:
                names = [str(node.module)]
            for name in names:
                if (first := name.split(".")[0]) not in ours:
                    yield str(file.relative_to(ROOT)), first


def is_for_types(node: ast.AST) -> bool:
    """Whether this is imported by type checkers alone, which have what an extra needs."""
    return isinstance(node, ast.If) and isinstance(node.test, ast.Name) and node.test.id == "TYPE_CHECKING"


def is_in(module: str, requirements: list[Requirement]) -> bool:
    """Whether a distribution of the requirements has this module; one that is not installed goes by its name."""
    names = {canonicalize_name(requirement.name) for requirement in requirements}
    having = {canonicalize_name(name) for name in DISTRIBUTIONS.get(module, [])}
    return bool(having & names) or module in {requirement.name.split(".")[0] for requirement in requirements}


def packages(lock: str) -> list[Requirement]:
    text = (ROOT / lock).read_text(encoding="utf-8")
    return [Requirement(found[1]) for found in PACKAGE.finditer(text)]


def environment(python: str) -> Environment:
    here = default_environment()
    here["python_version"], here["python_full_version"] = python, f"{python}.0"
    return here


def holds(requirement: Requirement, where: Environment) -> bool:
    return requirement.marker is None or requirement.marker.evaluate({**where, "extra": ""})


@pytest.mark.parametrize("folder", FOLDERS)
def test_what_is_imported_is_declared(folder: str) -> None:
    found = set(imported(ROOT / folder))
    assert {(file, module) for file, module in found if not is_in(module, FOLDERS[folder])} == set()


def test_what_an_extra_imports_is_in_that_extra() -> None:
    """`extra("sql", "duckdb", …)` imports duckdb, and says to install nfsrpc[sql] where it fails."""
    calls = [
        (ast.literal_eval(node.args[0]), ast.literal_eval(node.args[1]))
        for file in (ROOT / "nfsrpc").rglob("*.py")
        for node in ast.walk(ast.parse(file.read_text(encoding="utf-8")))
        if isinstance(node, ast.Call) and isinstance(node.func, ast.Name) and node.func.id == "extra"
    ]
    assert len(calls) > 3
    assert [(name, module) for name, module in calls if not is_in(module.partition(".")[0], EXTRAS[name])] == []


@pytest.mark.parametrize("python", ["3.11", "3.12", "3.13", "3.14"])
@pytest.mark.parametrize("lock", LOCKED)
def test_what_is_declared_is_locked_once_within_its_bounds(lock: str, python: str) -> None:
    """`make lock` puts this right."""
    where = environment(python)
    rows = [row for row in packages(lock) if holds(row, where)]
    versions = {canonicalize_name(row.name): str(row.specifier).removeprefix("==") for row in rows}
    assert len(versions) == len(rows) >= LEAST[lock]
    locked = {
        str(requirement): versions.get(canonicalize_name(requirement.name))
        for requirement in LOCKED[lock]
        if holds(requirement, where)
    }
    assert len(locked) >= 2
    assert {
        text: found for text, found in locked.items() if not (found and Requirement(text).specifier.contains(found))
    } == {}


@pytest.mark.parametrize("lock", LOCKED)
def test_a_lock_file_has_packages_with_hashes_and_comments_only(lock: str) -> None:
    """Options would decide for everybody where packages come from; addresses would name where they came from."""
    text = (ROOT / lock).read_text(encoding="utf-8")
    assert [line for line in PACKAGE.sub("", text).splitlines() if not line.lstrip().startswith("#")] == []
    assert "://" not in text


def test_the_image_has_the_versions_that_are_tested() -> None:
    """The markers of one package may differ: its versions for each Python are compared."""
    tested, image = (
        {(canonicalize_name(row.name), str(row.specifier)) for row in packages(f"requirements-{name}.txt")}
        for name in ("dev", "image")
    )
    assert image - tested == set()


@pytest.mark.skipif(Path(sys.prefix) != ROOT / ".venv", reason="not the environment that make makes")
def test_what_is_installed_is_what_is_locked() -> None:
    where = default_environment()
    rows = [row for row in packages("requirements-dev.txt") if holds(row, where)]
    assert [str(row) for row in rows if not row.specifier.contains(version(row.name))] == []


# What distributions say of their licences in words, where they do not name them as SPDX does.
IN_WORDS = {"MIT License": "MIT", "BSD License": "BSD-3-Clause", "BSD": "BSD-3-Clause"}


def licence(name: str) -> str:
    facts = metadata(name)
    classifiers = [line.split(" :: ")[-1] for line in facts.get_all("Classifier", []) if line.startswith("License")]
    texts = [facts.get("License-Expression"), *classifiers, facts.get("License")]
    text = next(text for text in texts if text)
    return IN_WORDS.get(text, text)


def test_the_readme_has_the_licence_of_each_dependency() -> None:
    """Of several licences joined by AND, the first is that of the package's own code."""
    text = (ROOT / "README.md").read_text(encoding="utf-8").partition("\n## Licences\n")[2].partition("\n## ")[0]
    rows = dict(re.findall(r"^\| `([^`]+)` \| ([^|]+) \|", text, re.MULTILINE))
    named = [requirement.name for requirement in (*NEEDED, *(each for extra in EXTRAS.values() for each in extra))]
    assert set(rows) == set(named)
    here = {name for name in rows if (ROOT / ".venv").is_dir() and is_installed(name)}
    assert {"scapy", "numpy", "rich"} <= here
    assert {name: rows[name] for name in here} == {name: licence(name).split(" AND ")[0] for name in here}


def is_installed(name: str) -> bool:
    try:
        version(name)
    except PackageNotFoundError:
        return False
    return True
