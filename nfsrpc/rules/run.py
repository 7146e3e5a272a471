"""Runs the rules: gives each the tables and facts that it names, and keeps a broken one from stopping the others.

A rule that names `findings` is asked last, and gets what the others found.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from typing import Any, TypeAlias

from nfsrpc.rules.catalogue import Check, rules
from nfsrpc.rules.facts import FACTS
from nfsrpc.rules.finding import Answer, Broken, Finding
from nfsrpc.tables import Table

Settings: TypeAlias = Mapping[str, Mapping[str, Any]]  # rule -> threshold -> value


class Givens(dict[str, Any]):
    """Tables and facts by name; a fact is worked out when first asked for."""

    def __init__(self, tables: Mapping[str, Table]) -> None:
        self.tables = tables

    def __missing__(self, name: str) -> Any:
        if name in FACTS:
            function = FACTS[name]
            parameters = function.__code__.co_varnames[: function.__code__.co_argcount]
            self[name] = function(*(self[parameter] for parameter in parameters))
        else:
            self[name] = self.tables[name]
        return self[name]


def ask(givens: Givens, checks: Iterable[Check], settings: Settings | None = None) -> list[Answer]:
    """What the rules answer."""
    answers: list[Answer] = []
    for check in sorted(checks, key=lambda check: "findings" in check.parameters):
        if "findings" in check.parameters:
            givens["findings"] = tuple(answer for answer in answers if isinstance(answer, Finding))
        answers += ask_one(check, givens, (settings or {}).get(check.rule.id, {}))
    return answers


def ask_one(check: Check, givens: Mapping[str, Any], thresholds: Mapping[str, Any]) -> Iterator[Answer]:
    try:
        yield from check.check(*(givens[name] for name in check.parameters), **thresholds)
    except Exception as error:  # noqa: BLE001 - whatever a rule does wrong is its own
        yield Broken(check.rule.id, f"{type(error).__name__}: {error}")


def setting(text: str) -> tuple[str, str, Any]:
    """`REG001.asks=5` as rule, threshold and value, of the kind that the default has. Raises ValueError."""
    target, equals, value = text.partition("=")
    rule, dot, name = target.strip().partition(".")
    if not (equals and dot):
        raise ValueError(f"{text}: not of the form RULE.threshold=value")
    check = rules().get(rule.upper())
    if check is None:
        raise ValueError(f"{text}: no rule {rule}")
    if name not in check.thresholds:
        known = ", ".join(check.thresholds) or "none"
        raise ValueError(f"{text}: {rule} has no threshold {name}; it has: {known}")
    kind = type(check.thresholds[name])
    try:
        return check.rule.id, name, kind(value)
    except ValueError:
        raise ValueError(f"{text}: {value.strip()} is no {kind.__name__}") from None
