"""Runs the rules: gives each the tables and facts that it names, and keeps a broken one from stopping the others.

A rule that names `findings` is asked last, and gets what the others found.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from typing import TYPE_CHECKING, Any

from nfsrpc.rules.catalogue import Check
from nfsrpc.rules.damaged import doubted
from nfsrpc.rules.facts import FACTS
from nfsrpc.rules.finding import Answer, Broken, Finding
from nfsrpc.rules.stepped import confused_by_steps, without
from nfsrpc.sessions.one_clock import comparable
from nfsrpc.tables import Table

if TYPE_CHECKING:
    from nfsrpc.rules.settings import Settings


class Givens(dict[str, Any]):
    """Tables, with times that can be compared, and facts by name; a fact is worked out when first asked for."""

    def __init__(self, tables: Mapping[str, Table]) -> None:
        self.tables = comparable(tables)

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
            confused = confused_by_steps(answers, givens["clock_steps"])
            left = doubted(without(answers, confused), givens["damaged_frames"])
            givens["findings"] = tuple(found for found in left if isinstance(found, Finding))
        answers += ask_one(check, givens, (settings or {}).get(check.rule.id, {}))
    return answers


def ask_one(check: Check, givens: Mapping[str, Any], thresholds: Mapping[str, Any]) -> Iterator[Answer]:
    try:
        yield from check.check(*(givens[name] for name in check.parameters), **thresholds)
    except Exception as error:  # noqa: BLE001 - whatever a rule does wrong is its own
        yield Broken(check.rule.id, f"{type(error).__name__}: {error}")
