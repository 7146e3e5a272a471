"""Who held a lock for which another client waited, where captures of two clocks show it and no message compares them.

Rules that name a holder are asked of both captures together where their clocks agree in all likelihood
(facts/clock_agreement.py). What they find is likely, and counts only if they find the same with one clock a second
ahead or behind. It takes the place of what they found of that wait without a holder.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Hashable, Iterator, Mapping, Sequence
from dataclasses import replace
from typing import TYPE_CHECKING, NamedTuple

from nfsrpc.diagnosis.catalogue import Check
from nfsrpc.diagnosis.run import ask
from nfsrpc.facts.clock_agreement import MOMENT, Agreement, Shown, Spans, agreements, held
from nfsrpc.facts.inputs import Inputs
from nfsrpc.findings.finding import Answer, Diagnosis, Finding, Need
from nfsrpc.sessions.aligned import OfClock, as_if_agreeing

if TYPE_CHECKING:
    from nfsrpc.diagnosis.settings import Settings as Thresholds


class Revision(NamedTuple):
    """What is found with the captures of another clock, in place of what those of one clock show."""

    finding: Finding
    is_here: bool  # it is a finding of this clock, else of the other one


def revisions(
    clocks: Sequence[OfClock],
    found: Sequence[Diagnosis],
    all_shown: Sequence[Shown],
    checks: Sequence[Check],
    settings: Thresholds | None,
) -> Mapping[int, list[Revision]]:
    """By number of the clock what takes the place of what was found by itself."""
    naming = [check for check in checks if check.rule.names_holder]
    revised: defaultdict[int, list[Revision]] = defaultdict(list)
    for agreement in agreements(all_shown, lambda number: held_at(clocks[number])):
        pair = agreement.first, agreement.second
        for finding in found_together(clocks[pair[0]], clocks[pair[1]], naming, settings):
            before = [(number, old) for number in pair for old in found[number].findings if replaces(finding, old)]
            here = before[0][0] if before else pair[0]
            needs = next((old.needs for _, old in before if old.needs), None)
            for number in pair:
                revised[number].append(Revision(likely(finding, agreement, needs), number == here))
    return revised


def held_at(clock: OfClock) -> Spans:
    inputs = Inputs(clock)
    return held(inputs.locks, inputs.captures)


def with_holders(answers: Sequence[Answer], revised: Sequence[Revision]) -> list[Answer]:
    """The answers of one clock with those that take the place of some."""
    left = [answer for answer in answers if not any(replaces(finding, answer) for finding, _ in revised)]
    return [*left, *(finding for finding, is_here in revised if is_here)]


def replaces(finding: Finding, answer: Answer) -> bool:
    """Whether a finding says of the same waits what one clock alone says."""
    return (
        isinstance(answer, Finding)
        and answer.rule == finding.rule
        and set(answer.clients) <= set(finding.clients)
        and (set(answer.files) <= set(finding.files) or not frames(answer).isdisjoint(frames(finding)))
    )


def frames(finding: Finding) -> set[tuple[int, int]]:
    return {(proof.capture, proof.frame) for proof in finding.evidence}


def likely(finding: Finding, agreement: Agreement, needs: Need | None) -> Finding:
    """The finding as one that rests on clocks that are not compared by a message; `needs` would make it certain."""
    why = (
        "No message shows that the clocks of both captures agree. That they do is likely: their locks fit each "
        f"other so well at only {100 * agreement.share:.1g} % of all offsets of up to an hour."
    )
    return replace(finding, certainty="likely", explanation=f"{finding.explanation} {why}", needs=needs)


def found_together(
    one: OfClock, other: OfClock, checks: Sequence[Check], settings: Thresholds | None
) -> Iterator[Finding]:
    """What only the captures of both clocks show, whether or not one is a moment ahead."""
    trials = [findings_of(one, other, ahead, checks, settings) for ahead in (0, MOMENT, -MOMENT)]
    always = set.intersection(*({about(finding) for finding in trial} for trial in trials))
    for finding in trials[0]:
        shown = {proof.capture for proof in finding.evidence}
        if about(finding) in always and all(not shown.isdisjoint(clock.files) for clock in (one, other)):
            yield finding


def about(finding: Finding) -> tuple[Hashable, ...]:
    return finding.rule, finding.table_host, finding.severity, finding.clients, frozenset(finding.files)


def findings_of(
    one: OfClock, other: OfClock, ahead: int, checks: Sequence[Check], settings: Thresholds | None
) -> list[Finding]:
    """What these rules find if the second clock is so many ns ahead of the first."""
    answers = ask(Inputs(as_if_agreeing(one, other, ahead)), checks, settings)
    return [answer for answer in answers if isinstance(answer, Finding)]
