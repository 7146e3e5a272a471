"""Runs the rules: gives each the tables and facts that it names, and keeps a broken one from stopping the others.

A rule that answers nothing passes or cannot tell by the subject that its head names (facts/subjects.py).
A rule that names `faults` or `unexplained` is run last, and gets what the others found. A caller that cannot wait
passes `limited`, which runs what it is given and raises CutShort when that takes too long: such a rule, and those for
which no time is left, cannot tell. So does a rule of more findings than there is room for: the gravest of them stand.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from itertools import islice
from traceback import format_exception
from typing import TYPE_CHECKING, Any, Protocol, TypeVar

from nfsrpc.diagnosis.catalogue import Check
from nfsrpc.diagnosis.causes import is_fault, unexplained
from nfsrpc.diagnosis.clock_jumps import confused_by_steps, is_confused, without
from nfsrpc.diagnosis.doubts import doubted
from nfsrpc.diagnosis.faults import gravity
from nfsrpc.facts.inputs import Inputs
from nfsrpc.facts.subjects import SUBJECTS, is_left_out
from nfsrpc.findings.finding import Answer, Broken, CannotTell, Clear, Finding, Rule

if TYPE_CHECKING:
    from nfsrpc.diagnosis.settings import Settings


T = TypeVar("T")
OF_OTHERS = frozenset({"faults", "unexplained"})  # what the other rules found, as inputs of a rule
CUT_SHORT = "the look was cut short: it took too long"
# Of one rule, ten kilobytes each with what reports make of them: as many as pairs of hosts have exchanges listed.
MAX_FINDINGS = 1 << 12
TOO_MANY = f"there are more than {MAX_FINDINGS:,} findings of this rule, and the least grave of them are left out"


class CutShort(BaseException):
    """Raised within work that takes too long; no Exception, since that would count as a bug of the rule."""


class Limited(Protocol):
    """Returns the result of `work`, or raises CutShort; work `at_the_end` gets some time in any case."""

    def __call__(self, work: Callable[[], T], at_the_end: bool = False) -> T: ...


def unlimited(work: Callable[[], T], at_the_end: bool = False) -> T:
    return work()


def ask(
    inputs: Inputs, checks: Iterable[Check], settings: Settings | None = None, limited: Limited = unlimited
) -> list[Answer]:
    """The answers of these rules."""
    answers: list[Answer] = []
    for check in sorted(checks, key=is_last):
        try:
            answers += limited(lambda: ask_in_turn(check, answers, inputs, settings or {}))  # noqa: B023
        except CutShort:
            answers.append(check.rule.cannot_tell(CUT_SHORT, lacks="time"))
    return answers


def is_last(check: Check) -> bool:
    """Whether a rule reads what the others found."""
    return not OF_OTHERS.isdisjoint(check.parameters)


def ask_in_turn(check: Check, answers: list[Answer], inputs: Inputs, settings: Settings) -> list[Answer]:
    if is_last(check):
        left = standing(answers, confused_by_steps(answers, inputs.clock_steps), inputs)
        inputs.faults = tuple(found for found in left if isinstance(found, Finding) and is_fault(found))
        inputs.unexplained = unexplained(inputs.faults)
    return ask_one(check, inputs, settings.get(check.rule.id, {}))


def standing(answers: Iterable[Answer], confused: Sequence[Finding], inputs: Inputs) -> list[Answer]:
    """The answers as they stand: without what is confused, and each finding as certain as it can be."""
    left = without(answers, confused)
    found = iter(doubted([answer for answer in left if isinstance(answer, Finding)], inputs))
    return [next(found) if isinstance(answer, Finding) else answer for answer in left]


def ask_one(check: Check, inputs: Inputs, thresholds: Mapping[str, Any]) -> list[Answer]:
    """The answers of one rule, of its findings the gravest: as many as there is room for."""
    answers = answers_of(check, inputs, thresholds)
    kept: list[Answer] = []
    number = 0
    while more := list(islice(answers, MAX_FINDINGS)):
        number += len(more)
        kept = gravest([*kept, *more], inputs)
    return [*kept, check.rule.cannot_tell(TOO_MANY, lacks="room")] if len(kept) < number else kept


def gravest(answers: list[Answer], inputs: Inputs) -> list[Answer]:
    """The answers in their order, without the least grave findings, for which there is no room.

    Findings that will not stand, or not for certain, are less grave than those that do.
    """
    findings = [answer for answer in answers if isinstance(answer, Finding)]
    if len(findings) <= MAX_FINDINGS:
        return answers
    ranks = [
        (is_confused(found, inputs.clock_steps), gravity(doubtful))
        for found, doubtful in zip(findings, doubted(findings, inputs), strict=True)
    ]
    gone = {id(findings[at]) for at in sorted(range(len(findings)), key=ranks.__getitem__)[MAX_FINDINGS:]}
    return [answer for answer in answers if id(answer) not in gone]


def answers_of(check: Check, inputs: Inputs, thresholds: Mapping[str, Any]) -> Iterator[Answer]:
    answered = False
    try:
        for answer in check.check(*(inputs[name] for name in check.parameters), **thresholds):
            answered = True
            yield passing(answer, check.rule, inputs) if isinstance(answer, Clear) else answer
        if not answered and check.rule.judges:
            yield without_answer(check.rule, inputs)
    except Exception as error:  # noqa: BLE001 - whatever a rule does wrong is its own
        yield Broken(check.rule.id, f"{type(error).__name__}: {error}", "".join(format_exception(error)))


def without_answer(rule: Rule, inputs: Inputs) -> Answer:
    """The answer for a rule that found nothing: it passes only where the capture holds what it judges."""
    if SUBJECTS[rule.judges](inputs):
        return passing(rule.clear(rule.passes), rule, inputs)
    return rule.cannot_tell(f"no {rule.judges} in the capture")


def passing(clear: Clear, rule: Rule, inputs: Inputs) -> Clear | CannotTell:
    """The answer for a rule that found nothing in what is listed: it passes only where that is all."""
    if is_left_out(rule.judges, inputs):
        return rule.cannot_tell(f"there is no room to list all{rule.judges and f' {rule.judges}'} of the capture")
    return clear
