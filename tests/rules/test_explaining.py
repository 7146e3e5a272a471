"""Which finding explains which: asked of all at once as of each pair."""

from __future__ import annotations

import random
from dataclasses import replace

import pytest

from nfsrpc.diagnosis import causes as explaining
from nfsrpc.diagnosis.catalogue import candidates
from nfsrpc.diagnosis.causes import (
    Causes,
    direct_effects,
    explained,
    explains,
    reached,
    root_causes,
    unexplained,
)
from nfsrpc.findings.finding import Finding
from nfsrpc.wording import SECOND

HOSTS = ("a", "b", "c", "d", None)


def some(seed: int, count: int = 60) -> list[Finding]:
    chance = random.Random(seed)

    def finding() -> Finding:
        first = chance.choice([None, *(second * SECOND for second in range(0, 600, 7))])
        return Finding(
            rule=chance.choice([*candidates(), "CAP001"]),
            name="",
            severity=chance.choice(["error", "warning", "info"]),
            certainty="certain",
            host=chance.choice(HOSTS),
            title="",
            explanation="",
            clients=tuple(chance.sample(HOSTS[:-1], chance.randrange(3))),
            first=first,
            last=None if first is None else first + chance.randrange(60) * SECOND,
        )

    return [finding() for _ in range(count)]


@pytest.mark.parametrize("seed", range(10))
def test_causes_are_those_of_each_pair(seed: int) -> None:
    findings = some(seed)
    causes = Causes(findings)
    for effect in findings:
        others = [cause for cause in findings if cause is not effect and explains(cause, effect)]
        assert causes.explain(effect) == bool(others)
        alone = any(not explains(effect, cause) for cause in others)
        assert causes.explain_alone(effect) == alone


@pytest.mark.parametrize("seed", range(10))
def test_direct_effects_are_those_of_each_pair(seed: int) -> None:
    findings = some(seed)
    expected = [
        {at for at, effect in enumerate(findings) if effect is not cause and explains(cause, effect)}
        for cause in findings
    ]
    assert direct_effects(findings) == expected
    assert any(expected)


@pytest.mark.parametrize("seed", range(10))
def test_each_fault_is_a_cause_or_explained_by_one(seed: int) -> None:
    """And no cause is explained by another, but in a circle."""
    faults = [found for found in some(seed) if explaining.is_fault(found)]
    direct = direct_effects(faults)
    effects = [reached(direct, number) for number in range(len(faults))]
    places = {id(found): number for number, found in enumerate(faults)}
    roots = [places[id(found)] for found in root_causes(faults)]
    assert roots == sorted(roots)
    assert {*roots, *(effect for root in roots for effect in effects[root])} == set(range(len(faults)))
    for root in roots:
        assert not any(root in effects[other] for other in roots)
        assert all(number in effects[root] for number in range(len(faults)) if root in effects[number])


@pytest.mark.parametrize("seed", range(10))
def test_causes_of_many_are_those_of_few(seed: int, monkeypatch: pytest.MonkeyPatch) -> None:
    """But for circles of three and more, which are not looked for."""
    faults = [found for found in some(seed) if explaining.is_fault(found)]
    few = list(map(id, root_causes(faults)))
    monkeypatch.setattr(explaining, "MANY", 2)
    many = list(map(id, root_causes(faults)))
    explained_alone = {id(found) for found in faults} - set(map(id, unexplained(faults)))
    assert set(few) - explained_alone <= set(many)


def at(rule: str, host: str, clients: tuple[str, ...] = ()) -> Finding:
    return Finding(rule, "", "warning", "certain", host, "", "", clients)


def test_what_many_findings_explain_is_told_at_first_hand(monkeypatch: pytest.MonkeyPatch) -> None:
    findings = [at("REG004", "s"), at("REG001", "s", ("c",)), at("LCK008", "s")]
    assert explained(findings)[0].explains == ("LCK008@s", "REG001@s")
    monkeypatch.setattr(explaining, "MANY", 3)
    assert explained(findings)[0].explains == ("LCK008@s", "REG001@s")
    monkeypatch.setattr(explaining, "MANY", 2)
    assert explained(findings)[0].explains == ("REG001@s",)


def test_of_many_findings_so_many_pairs_are_compared_and_no_more(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(explaining, "MANY", 3)
    findings = [at("REG004", "s"), *(replace(at("REG001", "s"), number=number) for number in range(1, 12))]
    assert len(explained(findings)[0].explains) == 9


def test_nothing_explains_itself() -> None:
    findings = [at("CBK001", "s"), at("LCK010", "s")]
    assert [found.explains for found in explained(findings)] == [("LCK010@s",), ("CBK001@s",)]


@pytest.mark.parametrize("time", [explaining.TIMES[0], explaining.TIMES[0] + SECOND, 0, explaining.TIMES[1]])
def test_times_at_the_ends_of_what_a_capture_can_have_are_times(time: int) -> None:
    cause, effect = (replace(at(rule, "s"), first=time, last=time) for rule in ("REG004", "REG001"))
    assert Causes([cause, effect]).explain(effect)
