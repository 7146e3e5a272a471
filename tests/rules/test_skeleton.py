"""The skeleton of a rule is a rule with all its parts, and its tests fail until they are written."""

from __future__ import annotations

import importlib.util
from pathlib import Path

import pytest

from nfsrpc.diagnosis.catalogue import SECTIONS, UNDOCUMENTED, declared, rules
from tests.rules.skeleton import folders, written


def test_a_skeleton_has_all_parts_of_a_rule(tmp_path: Path) -> None:
    rule, test = written(tmp_path, "lock-held-forever", "locks")
    assert rule == tmp_path / "nfsrpc/rules/locks/lock_held_forever.py"
    assert test == tmp_path / "tests/rules/locks/test_lock_held_forever.py"
    spec = importlib.util.spec_from_file_location("lock_held_forever", rule)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    check = declared(module)
    assert check.rule.name == "lock-held-forever"
    assert check.rule.id not in rules()
    assert tuple(check.sections) == SECTIONS
    assert UNDOCUMENTED not in check.meanings.values()
    assert test.read_text().count(check.rule.id) == 5


@pytest.mark.parametrize(
    ("name", "family", "complaint"),
    [
        ("lock-held-forever", "lock", "no family lock; there are callbacks, capture, locks"),
        ("LockHeld", "locks", "'LockHeld' is no name of a rule"),
        ("orphan-lock", "locks", "there is a rule orphan-lock"),
    ],
)
def test_what_cannot_be_written(tmp_path: Path, name: str, family: str, complaint: str) -> None:
    with pytest.raises(ValueError, match=complaint):
        written(tmp_path, name, family)
    assert list(tmp_path.iterdir()) == []


def test_every_folder_of_rules_has_its_letters() -> None:
    assert folders()["registrations"] == "REG"
    assert set(folders()) == {check.check.__module__.split(".")[2] for check in rules().values()}
