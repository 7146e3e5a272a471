"""Mutation testing: changes the code in one place at a time, and lists the changes that no test notices.

The mutants are made with mutmut's operators on the syntax tree; texts are left alone, because a word in a report
decides nothing. Each runs in a copy of the repository, first with the tests of its own file, then with its folder's.
Without files, those that differ from SINCE are taken; a sample is drawn by its seed.

    make mutants                     the files changed since the last commit but one
    make mutants SAMPLE=300 SEED=1   300 of all in rules, facts and sessions
"""

from __future__ import annotations

import argparse
import ast
import os
import random
import re
import shutil
import subprocess
import sys
import tempfile
from collections import Counter
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from functools import cache
from pathlib import Path
from queue import SimpleQueue
from typing import Literal, NamedTuple

import libcst as cst
from libcst.metadata import MetadataWrapper, PositionProvider
from mutmut.mutation.file_mutation import deep_replace
from mutmut.mutation.mutators import mutation_operators, operator_string

ROOT = Path(__file__).resolve().parents[1]
FOLDERS = ("nfsrpc/rules", "nfsrpc/facts", "nfsrpc/sessions")
OPERATORS = [(kind, operator) for kind, operator in mutation_operators if operator is not operator_string]
# Calls whose arguments no test can notice: strict=True of zip is an assertion, the others are for the type checker.
FOR_CHECKERS = ("zip", "TypeVar", "cast")
# Not copied: what is large and no test reads.
LEFT_OUT = shutil.ignore_patterns(
    ".git", ".venv*", "target", "bench-captures", "__pycache__", ".*_cache", ".hypothesis", "corpus"
)
# A mutant that makes an endless loop is noticed by this: no group of tests takes so long.
TIMEOUT_S = 900
# A third of the tests' time, and asks only how the advice of a rule is written.
SLOW = "--ignore=tests/rules/test_commands.py"

Outcome = Literal["noticed", "survives", "hangs"]


class Mutant(NamedTuple):
    file: str
    line: int
    before: str
    after: str
    code: str  # the whole file, changed

    def __str__(self) -> str:
        return f"{self.file}:{self.line}: {self.before} -> {self.after}"


class Finder(cst.CSTVisitor):
    """Collects the nodes that can be changed, each with what it can be changed to."""

    METADATA_DEPENDENCIES = (PositionProvider,)

    def __init__(self) -> None:
        super().__init__()
        self.found: list[tuple[cst.CSTNode, cst.CSTNode, int]] = []

    def on_visit(self, node: cst.CSTNode) -> bool:
        if isinstance(node, cst.Annotation | cst.Decorator | cst.Import | cst.ImportFrom):
            return False
        if isinstance(node, cst.Call) and isinstance(node.func, cst.Name) and node.func.value in FOR_CHECKERS:
            return node.func.value == "zip"
        for kind, operator in OPERATORS:
            if isinstance(node, kind):
                line = self.get_metadata(PositionProvider, node).start.line
                self.found += [(node, changed, line) for changed in operator(node)]
        return True


def mutants(file: str) -> Iterator[tuple[str, int]]:
    """The mutants of a file by number: of a sample only those that were drawn are written out."""
    return ((file, number) for number in range(len(nodes(file)[1])))


@cache
def nodes(file: str) -> tuple[cst.Module, list[tuple[cst.CSTNode, cst.CSTNode, int]]]:
    wrapper = MetadataWrapper(cst.parse_module((ROOT / file).read_text(encoding="utf-8")))
    finder = Finder()
    wrapper.visit(finder)
    return wrapper.module, finder.found


def mutant(file: str, number: int) -> Mutant | None:
    """Nothing where the change gives no Python."""
    module, found = nodes(file)
    node, changed, line = found[number]
    code = deep_replace(module, node, changed)
    assert isinstance(code, cst.Module)
    try:
        ast.parse(code.code)
    except SyntaxError:
        return None
    return Mutant(file, line, one_line(module, node), one_line(module, changed), code.code)


def one_line(module: cst.Module, node: cst.CSTNode) -> str:
    text = " ".join(module.code_for_node(node).split())
    return text if len(text) <= 70 else text[:67] + "..."


def tests_of(file: str) -> list[list[str]]:
    """Groups of test files, in the order in which they are run until one notices."""
    path = Path(file)
    below = path.relative_to("nfsrpc")
    own = ROOT / "tests" / below.parent / f"test_{below.name}"
    folder = Path("tests") / below.parts[0]
    groups = [[file]] if ">>>" in (ROOT / file).read_text(encoding="utf-8") else []
    groups += [[str(own.relative_to(ROOT))]] if own.exists() else []
    if below.parts[0] == "rules":
        family = folder / below.parts[1]
        return [*groups, [str(family)]] if (ROOT / family).is_dir() else [*groups, [str(folder)]]
    if below.parts[0] == "facts":
        return [*groups, users(path), ["tests/rules", SLOW]]
    return [*groups, ["tests/sessions"], ["tests/rules", SLOW]]


def users(path: Path) -> list[str]:
    """The test files of the rules that read a fact of this file, or import from it."""
    tree = ast.parse((ROOT / path).read_text(encoding="utf-8"))
    names = [node.name for node in tree.body if isinstance(node, ast.FunctionDef) and node.decorator_list]
    wanted = re.compile(rf"\b({'|'.join([*names, f'facts.{path.stem}'])})\b")
    rules = [rule for rule in (ROOT / "nfsrpc/rules").rglob("*.py") if wanted.search(rule.read_text(encoding="utf-8"))]
    tests = (ROOT / "tests/rules" / rule.parent.name / f"test_{rule.name}" for rule in rules)
    return sorted(str(test.relative_to(ROOT)) for test in tests if test.exists()) or ["tests/rules"]


def outcome(copy: Path, one: Mutant) -> Outcome:
    path = copy / one.file
    before = path.read_text(encoding="utf-8")
    path.write_text(one.code, encoding="utf-8")
    try:
        return "survives" if all(passes(copy, group) for group in tests_of(one.file)) else "noticed"
    except subprocess.TimeoutExpired:
        return "hangs"
    finally:
        path.write_text(before, encoding="utf-8")


def passes(copy: Path, tests: Sequence[str]) -> bool:
    command = [".venv/bin/python", "-m", "pytest", "-x", "-p", "no:cacheprovider", "-m", "not acceptance", *tests]
    environment = os.environ | {"PYTHONPATH": str(copy), "PYTHONDONTWRITEBYTECODE": "1"}
    run = subprocess.run(command, cwd=copy, env=environment, capture_output=True, timeout=TIMEOUT_S, check=False)
    return run.returncode == 0


def copies(number: int, folder: Path) -> SimpleQueue[Path]:
    made: SimpleQueue[Path] = SimpleQueue()
    for index in range(number):
        copy = folder / str(index) / "nfsrpc"
        shutil.copytree(ROOT, copy, ignore=LEFT_OUT)
        (copy / ".venv").symlink_to(ROOT / ".venv")
        if (ROOT.parent / "shared").is_dir():
            (copy.parent / "shared").symlink_to(ROOT.parent / "shared")
        made.put(copy)
    return made


def every_file() -> list[str]:
    return sorted(str(path.relative_to(ROOT)) for folder in FOLDERS for path in (ROOT / folder).rglob("*.py"))


def changed(since: str) -> list[str]:
    command = ["git", "diff", "--name-only", "--diff-filter=d", since, "--", "nfsrpc/*.py"]
    return subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=True).stdout.split()


def main() -> None:
    parser = argparse.ArgumentParser(prog="make mutants", description=__doc__.partition("\n")[0])
    parser.add_argument("files", nargs="*")
    parser.add_argument("--since", default="HEAD~1")
    parser.add_argument("--sample", type=int, default=0)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--jobs", type=int, default=os.cpu_count() or 1)
    asked = parser.parse_args()
    files = asked.files or (every_file() if asked.sample else changed(asked.since))
    numbers = [each for file in files for each in mutants(file)]
    random.Random(asked.seed).shuffle(numbers)
    made = (mutant(*each) for each in numbers)
    chosen = [each for each, _ in zip((one for one in made if one), range(asked.sample or len(numbers)), strict=False)]
    with tempfile.TemporaryDirectory() as folder, ThreadPoolExecutor(asked.jobs) as pool:
        free = copies(asked.jobs, Path(folder))

        def judged(one: Mutant) -> bool:
            copy = free.get()
            try:
                what = outcome(copy, one)
            finally:
                free.put(copy)
            print(f"{what:8} {one}", flush=True)
            return what == "survives"

        survivors = [one for one, survived in zip(chosen, pool.map(judged, chosen), strict=True) if survived]
    tried, left = (Counter(Path(one.file).parts[1] for one in some) for some in (chosen, survivors))
    for name, count in sorted(tried.items()):
        print(f"{name}: {left[name]} of {count} survive ({left[name] / count:.0%})")
    sys.exit(bool(survivors))


if __name__ == "__main__":
    main()
