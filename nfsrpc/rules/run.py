"""Runs the rules: gives each the tables and facts that it names, and keeps a broken one from stopping the others.

A rule that names `findings` is asked last, and gets what the others found. Whoever cannot wait passes `limited`, which
runs what it is given and raises CutShort when that takes too long: such a rule, and those for which no time is left,
cannot tell.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping
from traceback import format_exception
from typing import TYPE_CHECKING, Any, Protocol, TypeVar

from nfsrpc.rules.catalogue import Check
from nfsrpc.rules.damaged import doubted
from nfsrpc.rules.facts import FACTS, HOSTS, of_known_hosts
from nfsrpc.rules.finding import Answer, Broken, CannotTell, Finding
from nfsrpc.rules.stepped import confused_by_steps, without
from nfsrpc.sessions.one_clock import comparable
from nfsrpc.tables import Table

if TYPE_CHECKING:
    from nfsrpc.rules.settings import Settings


T = TypeVar("T")
CUT_SHORT = "the look was cut short: it took too long"


class CutShort(BaseException):
    """Raised in the midst of what takes too long; no Exception, which would be taken for a bug of the rule."""


class Limited(Protocol):
    """Returns what `work` does. For what comes `at_the_end` there is some time in any case."""

    def __call__(self, work: Callable[[], T], at_the_end: bool = False) -> T: ...


def unlimited(work: Callable[[], T], at_the_end: bool = False) -> T:
    return work()


class Givens(dict[str, Any]):
    """Tables, with times that can be compared and hosts that are known, and facts by name, worked out when asked."""

    def __init__(self, tables: Mapping[str, Table]) -> None:
        self.tables = comparable(tables)

    def __missing__(self, name: str) -> Any:
        if name in FACTS:
            function = FACTS[name]
            parameters = function.__code__.co_varnames[: function.__code__.co_argcount]
            self[name] = function(*(self[parameter] for parameter in parameters))
        else:
            table = self.tables[name]
            self[name] = of_known_hosts(table, HOSTS[name]) if name in HOSTS else table
        return self[name]


def ask(
    givens: Givens, checks: Iterable[Check], settings: Settings | None = None, limited: Limited = unlimited
) -> list[Answer]:
    """What the rules answer."""
    answers: list[Answer] = []
    for check in sorted(checks, key=lambda check: "findings" in check.parameters):
        try:
            answers += limited(lambda: ask_in_turn(check, answers, givens, settings or {}))  # noqa: B023
        except CutShort:
            answers.append(check.rule.cannot_tell(CUT_SHORT))
    return answers


def ask_in_turn(check: Check, answers: list[Answer], givens: Givens, settings: Settings) -> list[Answer]:
    if "findings" in check.parameters:
        confused = confused_by_steps(answers, givens["clock_steps"])
        left = doubted(without(answers, confused), givens["damaged_frames"])
        givens["findings"] = tuple(found for found in left if isinstance(found, Finding))
    return list(ask_one(check, givens, settings.get(check.rule.id, {})))


def cut_short(answers: Iterable[Answer]) -> set[str]:
    """The rules that were not run to their end."""
    return {answer.rule for answer in answers if isinstance(answer, CannotTell) and answer.why == CUT_SHORT}


def ask_one(check: Check, givens: Mapping[str, Any], thresholds: Mapping[str, Any]) -> Iterator[Answer]:
    try:
        yield from check.check(*(givens[name] for name in check.parameters), **thresholds)
    except Exception as error:  # noqa: BLE001 - whatever a rule does wrong is its own
        yield Broken(check.rule.id, f"{type(error).__name__}: {error}", "".join(format_exception(error)))
