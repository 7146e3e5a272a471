"""Findings across a step of the capturing host's clock: how long things took, and in which order, is not known."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from nfsrpc.diagnosis.catalogue import head
from nfsrpc.facts.basic import Span, fact
from nfsrpc.findings.finding import Answer, CannotTell, Finding, holds
from nfsrpc.sessions.clock_steps import BACK, FORWARD
from nfsrpc.tables import Oddities

CLOCK_SET = "the capturing host's clock was set meanwhile"


@fact
def clock_steps(oddities: Oddities) -> tuple[Span, ...]:
    """The spans of time in which durations are not known."""
    back, forward = (list(oddities.where(oddities["kind"] == kind).rows()) for kind in (BACK, FORWARD))
    return tuple(
        [Span(row.time, row.time + row.detail) for row in back]
        + [Span(row.time - row.detail, row.time) for row in forward]
    )


def confused_by_steps(answers: Iterable[Answer], steps: tuple[Span, ...]) -> list[Finding]:
    """The findings that rest on times within a step of the clock."""
    return [answer for answer in answers if isinstance(answer, Finding) and is_confused(answer, steps)]


def without(answers: Iterable[Answer], confused: Sequence[Finding]) -> list[Answer]:
    """The answers, with one CannotTell per rule in place of its confused findings."""
    dropped = set(map(id, confused))
    rest = [answer for answer in answers if id(answer) not in dropped]
    why = f"{CLOCK_SET}: how long things took, and in which order, is not known"
    return [*rest, *(CannotTell(rule, why) for rule in sorted({found.rule for found in confused}))]


def is_confused(found: Finding, steps: tuple[Span, ...]) -> bool:
    if not holds(head(found.rule).timed, found.certainty):
        return False
    return any(
        (found.first is None or found.first <= step.last) and (found.last is None or found.last >= step.first)
        for step in steps
    )
