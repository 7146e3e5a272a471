"""Rules as people choose them, and their thresholds as people set them: by the names of keyword parameters, with values
of the default's kind.

What fits nothing is refused with a ValueError that names what was perhaps meant: a slip of the pen must not pass for a
setting.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from math import isfinite
from typing import Any, TypeAlias

from nfsrpc.columns import suggestion
from nfsrpc.diagnosis.catalogue import Check, chosen, find, rules

Settings: TypeAlias = Mapping[str, Mapping[str, Any]]  # rule -> threshold -> value

KINDS: dict[type, str] = {float: "a number", int: "a whole number"}


def beginnings(texts: Iterable[str]) -> list[str]:
    """Prefixes of identifiers or names of rules, each of which fits at least one rule; else ValueError."""
    found = [text.strip() for text in texts if text.strip()]
    for text in found:
        if not chosen([text]):
            raise ValueError(f"no rule begins with {text} (nfsrpc explain lists them)")
    return found


def setting(text: str) -> tuple[str, str, Any]:
    """`REG001.asks=5` as rule, threshold and value."""
    target, equals, value = text.partition("=")
    rule, dot, name = target.strip().partition(".")
    if not (equals and dot):
        raise ValueError(f"{text}: not of the form RULE.threshold=value")
    try:
        return checked(rule, name, value.strip())
    except ValueError as error:
        raise ValueError(f"{text}: {error}") from None


def checked(rule: str, name: str, value: object) -> tuple[str, str, Any]:
    """Rule, threshold and value, of text or of a number, if there is such a threshold and it may have that value."""
    check = rule_named(rule)
    if name not in check.thresholds:
        known = f"it has: {', '.join(check.thresholds)}" if check.thresholds else "it has none"
        raise ValueError(f"{rule} has no threshold {name}; {known}{suggestion(name, check.thresholds)}")
    return check.rule.id, name, of_kind(type(check.thresholds[name]), value)


def of_kind(kind: type, value: object) -> Any:
    try:
        if isinstance(value, bool) or not isinstance(value, str | int | float):
            raise ValueError
        number = float(value)
        if not isfinite(number) or number < 0 or (kind is int and number != int(number)):
            raise ValueError
    except ValueError:
        raise ValueError(f"{value} is not {KINDS[kind]} of 0 or more") from None
    return kind(number)


def rule_named(name: str) -> Check:
    try:
        return find(name)
    except KeyError:
        known = [known for check in rules().values() for known in (check.rule.id, check.rule.name)]
        raise ValueError(f"no rule {name}{suggestion(name, known)}") from None


def merged(settings: Iterable[tuple[str, str, Any]]) -> dict[str, dict[str, Any]]:
    """The thresholds by rule; of one that is set twice the last value counts."""
    found: dict[str, dict[str, Any]] = {}
    for rule, name, value in settings:
        found.setdefault(rule, {})[name] = value
    return found
