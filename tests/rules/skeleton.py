"""Writes the skeleton of a rule and its test: `make rule NAME=lock-held-long FAMILY=locks`.

The rule gets the next free number of its family; its sections and stories say what belongs there, and its tests fail
until they are written.
"""

from __future__ import annotations

import argparse
import re
from collections import Counter
from pathlib import Path

from nfsrpc.diagnosis.catalogue import rules

ROOT = Path(__file__).resolve().parents[2]
NAME = re.compile(r"[a-z][a-z0-9]*(-[a-z0-9]+)+")

RULE = '''"""(One sentence: what is wrong.)

Sees
    (What the capture shows, by program, procedure and time.)

Why it matters
    (What the affected clients notice.)

Not flagged when
    (Innocent traffic that looks alike; each sentence has a story in the test.)

How to confirm
    (Commands, and on which host.)

How to fix
    (What to change, on which host, and what that breaks.)

References
    (RFC and section, or source file.)

Parameters
    wait_s: (what is flagged from this value on)
"""

from __future__ import annotations

from collections.abc import Iterator

from nfsrpc.findings.finding import Answer, Rule
from nfsrpc.tables import Locks

RULE = Rule(
    "{id}",
    "{name}",
    "warning",
    judges="lock requests",
    passes="(what was looked at and is in order)",
)


def check(locks: Locks, *, wait_s: float = 10.0) -> Iterator[Answer]:
    for lock in locks.where(locks["wait_s"] >= wait_s).rows():
        raise NotImplementedError(lock)
    yield from ()
'''

TEST = '''"""{id}: (what is wrong, in a few words)."""

from __future__ import annotations

from tests.rules.stage import SERVER, Stage, cannot_tell, fires, quiet, threshold


@fires("{id}", host=SERVER)
def test_it_is_found(stage: Stage) -> bytes:
    raise NotImplementedError("the traffic in which the rule finds something")


@quiet("{id}")
def test_innocent_traffic(stage: Stage) -> bytes:
    raise NotImplementedError("one story for each sentence of Not flagged when")


@cannot_tell("{id}")
def test_without_locks(stage: Stage) -> bytes:
    stage.nfs()
    return stage.wire()


@threshold("{id}", "wait_s", fires=10.5, quiet=9.5)
def test_it_lasts_so_long(stage: Stage, wait_s: float) -> bytes:
    raise NotImplementedError("the same traffic with this value")
'''


def folders() -> dict[str, str]:
    """The families: the folder with the letters that most of its rules begin with."""
    found: dict[str, Counter[str]] = {}
    for check in rules().values():
        found.setdefault(check.check.__module__.split(".")[2], Counter())[check.rule.id[:3]] += 1
    return {folder: letters.most_common(1)[0][0] for folder, letters in found.items()}


def written(root: Path, name: str, family: str) -> list[Path]:
    """The two files of a new rule. Raises ValueError where the name is taken or none, or there is no such family."""
    letters = folders().get(family)
    if letters is None:
        raise ValueError(f"no family {family}; there are {', '.join(sorted(folders()))}")
    if not NAME.fullmatch(name):
        raise ValueError(f"{name!r} is no name of a rule; one is lock-held-long")
    if any(check.rule.name == name for check in rules().values()):
        raise ValueError(f"there is a rule {name}")
    number = max(int(rule[3:]) for rule in rules() if rule.startswith(letters)) + 1
    file = name.replace("-", "_")
    made = {
        root / "nfsrpc" / "rules" / family / f"{file}.py": RULE,
        root / "tests" / "rules" / family / f"test_{file}.py": TEST,
    }
    for path, text in made.items():
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text.format(id=f"{letters}{number:03}", name=name), encoding="utf-8")
    return list(made)


if __name__ == "__main__":
    parser = argparse.ArgumentParser(prog="make rule", description=__doc__)
    parser.add_argument("name", help="lower case with hyphens, as lock-held-long")
    parser.add_argument("family", help="the folder below nfsrpc/rules")
    asked = parser.parse_args()
    try:
        for path in written(ROOT, asked.name, asked.family):
            print(f"Wrote {path.relative_to(ROOT)}")
    except ValueError as error:
        parser.exit(2, f"make rule: {error}\n")
