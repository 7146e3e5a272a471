"""Bounds of what a report shows: of many things the first ones, and how many more there are.

A capture can be made to have a finding for each of its packets, and each finding clients, files and frames by the
thousand. What people read stays short all the same, and costs no more than what it shows. What a screen or a page
leaves out is in the JSON, whose limits (report/json.py) are beyond any network.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from typing import NamedTuple, Protocol, TypeVar

Thing = TypeVar("Thing")


class OfRule(Protocol):
    """Anything that has the identifier of a rule."""

    @property
    def rule(self) -> str: ...


Found = TypeVar("Found", bound=OfRule)


class Bounds(NamedTuple):
    causes: int  # with proof and remedy
    findings: int  # of one rule, beside the causes: more of the same say nothing new
    others: int  # findings of all rules, likewise
    names: int  # clients of a finding, or files
    frames: int  # of evidence
    expected: int  # lines to expect in kernel logs
    lines: int  # of a kernel log that was given: the last ones
    commands: int  # lines of a remedy
    unknown: int  # reasons of rules that cannot tell
    captures: int
    programs: int
    characters: int  # of one sentence: those of the rules are shorter, but for names that are made to be long


# A screen at 3 am: one fault fits on it, and the rest is within some hundred lines.
SCREEN = Bounds(
    causes=4,
    findings=5,
    others=40,
    names=6,
    frames=9,
    expected=4,
    lines=20,
    commands=20,
    unknown=12,
    captures=12,
    programs=20,
    characters=1_500,
)
# A ticket, or a page in a browser: for an hour of reading, some thousand lines at most.
PAGE = Bounds(
    causes=30,
    findings=50,
    others=500,
    names=100,
    frames=100,
    expected=100,
    lines=1_000,
    commands=100,
    unknown=100,
    captures=100,
    programs=100,
    characters=5_000,
)


def first_of(things: Sequence[Thing], most: int) -> tuple[Sequence[Thing], int]:
    """The first of some things, and how many more there are.

    >>> first_of("abcde", 2), first_of("ab", 2)
    (('ab', 3), ('ab', 0))
    """
    return things[:most], max(len(things) - most, 0)


def ends_of(things: Sequence[Thing], most: int) -> tuple[Sequence[Thing], int, Sequence[Thing]]:
    """The first of some things, how many are left out behind them, and the last one where some are.

    With the line that says how many are left out these are `most` lines, and never less than three.

    >>> ends_of("abcde", 4), ends_of("abcd", 4), ends_of("abcd", 2)
    (('ab', 2, 'e'), ('abcd', 0, ''), ('a', 2, 'd'))
    """
    most = max(most, 3)
    if len(things) <= most:
        return things, 0, things[:0]
    return things[: most - 2], len(things) - most + 1, things[-1:]


def clipped(text: str, most: int) -> str:
    """A sentence, or the beginning of one that is longer than any rule writes.

    >>> clipped("one two three", 7), clipped("one", 7)
    ('one two … (6 more characters)', 'one')
    """
    return text if len(text) <= most else f"{text[:most]} … ({len(text) - most} more characters)"


def shortened(findings: Sequence[Found], bounds: Bounds) -> Iterator[tuple[Found, int]]:
    """The first findings of each rule, in their order; each rule's last one with how many more of it there are.

    Rules of which there is no room for a single finding are left out: `omitted` has them.
    """
    shown: list[Found] = []
    counts: Counter[str] = Counter()
    for finding in findings:
        if len(shown) < bounds.others and counts[finding.rule] < bounds.findings:
            counts[finding.rule] += 1
            shown.append(finding)
    left = Counter(finding.rule for finding in findings) - counts
    for finding in shown:
        counts[finding.rule] -= 1
        yield finding, 0 if counts[finding.rule] else left[finding.rule]


def omitted(findings: Iterable[OfRule], shown: Iterable[OfRule]) -> list[str]:
    """The rules with findings that are not shown, and how many, the most first.

    >>> from nfsrpc.findings.finding import Rule
    >>> one, other = (Rule(id, id, "info").finding(host=None, title="", explanation="") for id in ("NET001", "MNT001"))
    >>> omitted([one, other, other], [other])
    ['1 of NET001', '1 of MNT001']
    """
    left = Counter(finding.rule for finding in findings) - Counter(finding.rule for finding in shown)
    return [f"{number} of {rule}" for rule, number in left.most_common()]
