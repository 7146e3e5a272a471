"""Every rule is declared, documented and told its three kinds of story; the runner gives each what it names."""

from __future__ import annotations

from collections.abc import Iterator
from importlib import import_module
from pathlib import Path
from typing import Any

import pytest

from nfsrpc.columns import Table
from nfsrpc.diagnosis.catalogue import SECTIONS, UNDOCUMENTED, Check, candidates, chosen, find, rules
from nfsrpc.diagnosis.run import OF_OTHERS, ask
from nfsrpc.diagnosis.settings import setting
from nfsrpc.facts.basic import FACTS
from nfsrpc.facts.inputs import Inputs
from nfsrpc.facts.subjects import SUBJECTS
from nfsrpc.findings.finding import SEVERITIES, Answer, Broken, CannotTell, Clear, Rule
from nfsrpc.tables import TABLES
from tests.rules.stage import thresholds_with_stories, told

# The stories of a rule stand in tests/rules/<family>/test_<rule>.py; importing them fills `told`.
HERE = Path(__file__).parent
STORIES = [
    import_module(".".join(("tests", "rules", *path.relative_to(HERE).with_suffix("").parts)))
    for path in sorted(HERE.glob("*/test_*.py"))
]
# The cause is either proven or its vantage is named: there is nothing else that could be missing.
NOTHING_TO_MISS = {"CAP005"}

CHECKS = [pytest.param(check, id=check.rule.id) for check in rules().values()]


@pytest.mark.parametrize("check", CHECKS)
def test_a_rule_is_named_by_its_file(check: Check) -> None:
    module = check.check.__module__.rpartition(".")[2]
    assert check.rule.name == module.replace("_", "-")
    assert check.rule.severity in SEVERITIES


@pytest.mark.parametrize("check", CHECKS)
def test_a_rule_documents_itself_in_the_fixed_sections(check: Check) -> None:
    assert tuple(check.sections) == SECTIONS
    assert all(check.sections.values())
    assert check.summary.endswith((".", ":"))


@pytest.mark.parametrize("check", CHECKS)
def test_a_rule_asks_for_what_there_is(check: Check) -> None:
    known = {*TABLES, *FACTS, *OF_OTHERS}
    assert set(check.parameters) <= known


@pytest.mark.parametrize("check", CHECKS)
def test_a_rule_is_told_three_kinds_of_story(check: Check) -> None:
    kinds = {"fires", "quiet", "cannot tell"} - ({"cannot tell"} if check.rule.id in NOTHING_TO_MISS else set())
    assert told[check.rule.id] == kinds


@pytest.mark.parametrize("check", CHECKS)
def test_a_rule_answers_something_of_an_empty_trace(check: Check) -> None:
    tables = {name: Table.of(spec, ()) for name, spec in TABLES.items()}
    answers = ask(Inputs(tables), [check])
    assert answers
    assert not any(isinstance(answer, Broken) for answer in answers), answers


def test_causes_and_effects_are_rules() -> None:
    named = {*candidates(), *(effect for effects in candidates().values() for effect in effects)}
    assert named <= set(rules())


def test_rules_are_chosen_by_beginnings() -> None:
    assert [check.rule.id for check in chosen(["LCK001", "statd-not"])] == ["LCK001", "REG001", "REG002"]
    assert {check.rule.id for check in chosen(ignore=["LCK", ""])} == {rule for rule in rules() if rule[:3] != "LCK"}
    assert find("reg001").rule.name == find("statd-not-registered").rule.name
    with pytest.raises(KeyError):
        find("REG999")


def made(check: Any, **thresholds: Any) -> Check:
    return Check(Rule("TST001", "made", "error"), check, "", tuple(check.__annotations__)[:1], thresholds)


def test_a_rule_without_an_answer_passes_or_cannot_tell_by_its_subject(monkeypatch: pytest.MonkeyPatch) -> None:
    def silent(calls: Any) -> Iterator[Answer]:
        return iter(())

    rule = Rule("TST001", "made", "error", judges="lock requests", passes="all went well")
    check = made(silent)._replace(rule=rule)
    inputs = Inputs({name: Table.of(spec, ()) for name, spec in TABLES.items()})
    assert ask(inputs, [check]) == [CannotTell("TST001", "no lock requests in the capture")]
    monkeypatch.setitem(SUBJECTS, "lock requests", lambda _: True)
    assert ask(inputs, [check]) == [Clear("TST001", "all went well")]


@pytest.mark.parametrize("check", CHECKS)
def test_a_rule_judges_what_is_known(check: Check) -> None:
    assert not check.rule.judges or (check.rule.judges in SUBJECTS and check.rule.passes)


def test_a_broken_rule_stops_no_other() -> None:
    def broken(calls: Any) -> Iterator[Answer]:
        yield Clear("TST001", "so far")
        raise ZeroDivisionError("too much")

    def sound(locks: Any) -> Iterator[Answer]:
        yield Clear("TST002", f"{len(locks)} locks")

    tables = {name: Table.of(TABLES[name], ()) for name in ("calls", "locks", "oddities")}
    answers = ask(Inputs(tables), [made(broken), made(sound)])
    failed = next(answer for answer in answers if isinstance(answer, Broken))
    assert 'raise ZeroDivisionError("too much")' in failed.traceback
    assert answers == [
        Clear("TST001", "so far"),
        Broken("TST001", "ZeroDivisionError: too much", failed.traceback),
        Clear("TST002", "0 locks"),
    ]


def test_settings_change_thresholds() -> None:
    def late(calls: Any, *, late_s: float = 5.0) -> Iterator[Answer]:
        yield Clear("TST001", f"{late_s}")

    inputs = Inputs({name: Table.of(TABLES[name], ()) for name in ("calls", "oddities")})
    assert ask(inputs, [made(late)], {"TST001": {"late_s": 7.5}}) == [Clear("TST001", "7.5")]


def test_settings_are_read_and_refused_by_name() -> None:
    assert setting("LCK002.late_s=7.5") == ("LCK002", "late_s", 7.5)
    assert setting("reg003.asks=5") == ("REG003", "asks", 5)
    for text, complaint in {
        "LCK002": "not of the form",
        "LCK999.x=1": "no rule LCK999",
        "LCK002.x=1": "no threshold x; it has: late_s",
        "REG003.asks=many": "many is not a whole number",
    }.items():
        with pytest.raises(ValueError, match=complaint):
            setting(text)


def test_every_module_of_stories_is_known() -> None:
    assert all(module.__doc__ for module in STORIES)


@pytest.mark.parametrize("check", CHECKS)
def test_every_threshold_is_documented(check: Check) -> None:
    assert check.meanings.keys() == check.thresholds.keys()
    assert UNDOCUMENTED not in check.meanings.values()


@pytest.mark.parametrize("check", CHECKS)
def test_every_threshold_has_a_story_just_inside_and_one_just_outside(check: Check) -> None:
    assert thresholds_with_stories[check.rule.id] == set(check.thresholds)


@pytest.mark.parametrize("check", CHECKS)
def test_every_rule_has_a_test_file_of_its_name(check: Check) -> None:
    family, name = check.check.__module__.split(".")[2:]
    assert (HERE / family / f"test_{name}.py").is_file()


def test_a_threshold_that_is_not_documented_says_so() -> None:
    check = rules()["LCK002"]._replace(doc="A lock is late.")
    assert check.meanings == dict.fromkeys(check.thresholds, UNDOCUMENTED)
