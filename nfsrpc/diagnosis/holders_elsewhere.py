"""Who held a lock for which a client waited, if two clocks agree that no message compares.

Captures by another clock may show the holder that those with the wait do not show. Where they show one client that held
the range while the request was answered, each by its own clock, the finding gets a sentence that says so. Nothing else
of it changes, since nothing shows whether the clocks agree: locks of jobs that start at the same second of each host's
own clock fit each other whatever the offset is, while a third host holds the range.
"""

from __future__ import annotations

from bisect import bisect_right
from collections import defaultdict
from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import replace
from itertools import accumulate
from typing import NamedTuple, TypeAlias

import numpy as np

from nfsrpc.columns import Array, isin
from nfsrpc.diagnosis.catalogue import head
from nfsrpc.facts.basic import lacks
from nfsrpc.facts.inputs import Inputs
from nfsrpc.facts.waiters import held_until
from nfsrpc.findings.finding import Diagnosis, Finding
from nfsrpc.sessions.aligned import FAR_APART_S, OfClock
from nfsrpc.sessions.conflicts import NEVER, NO_ROW, Holds, in_the_way
from nfsrpc.sessions.grouping import group
from nfsrpc.sessions.ranges import last_bytes
from nfsrpc.sources.name import short_names
from nfsrpc.tables import Locks
from nfsrpc.wording import SECOND, clock_time

MOMENT = round(FAR_APART_S * SECOND)  # clocks that agree may be so far apart
Frame: TypeAlias = tuple[int, int]  # a capture, and a number in it
Numbers: TypeAlias = dict[tuple[str | None, ...], int]  # of texts, the same at all clocks


class Refused(NamedTuple):
    """A lock request that was answered BLOCKED or DENIED."""

    frame: Frame
    server: str
    number: int  # of its session among those of all clocks
    asked: int
    answered: int


def with_holders_elsewhere(found: Diagnosis, clocks: Sequence[OfClock]) -> Diagnosis:
    """The diagnosis with a sentence on each holder that only captures by another clock show."""
    unseen = {each.id: proofs(each) for each in found.findings if each.needs and head(each.rule).names_holder}
    if not unseen:
        return found
    said = sentences(clocks, frozenset().union(*unseen.values()))
    return replace(
        found,
        findings=tuple(
            with_sentence(each, {text for frame in unseen.get(each.id, ()) for text in said[frame]})
            for each in found.findings
        ),
    )


def proofs(finding: Finding) -> frozenset[Frame]:
    return frozenset((proof.capture, proof.frame) for proof in finding.evidence)


def with_sentence(finding: Finding, texts: Collection[str]) -> Finding:
    """The finding with what is said of all its requests; as it is where that is nothing, or several things."""
    text = next(iter(texts)) if len(texts) == 1 else ""
    return replace(finding, explanation=f"{finding.explanation} {text}") if text else finding


def sentences(clocks: Sequence[OfClock], frames: Collection[Frame]) -> Mapping[Frame, set[str]]:
    """What is said of the refused requests in these frames: empty texts where no holder is shown, or several are."""
    inputs, files = [Inputs(clock) for clock in clocks], short_names(clocks[0].decoded.files)
    starts = list(accumulate((len(each.locks) for each in inputs), initial=0))
    refused = [each for of, start in zip(inputs, starts, strict=False) for each in refusals(of.locks, start, frames)]
    said: defaultdict[Frame, set[str]] = defaultdict(set)
    for request, number in zip(refused, in_their_way(inputs, refused), strict=True):
        text = ""
        if number != NO_ROW:
            clock = bisect_right(starts, number) - 1
            holder = inputs[clock].locks.row(number - starts[clock])
            text = sentence(request, holder, files) if is_sure(holder, inputs[clock], request) else ""
        said[request.frame].add(text)
    return said


def sentence(request: Refused, holder: Locks.Row, files: Sequence[str]) -> str:
    return (
        f"If the clocks of {files[request.frame[0]]} and {files[holder.granted_capture]} agree and "
        f"{request.server} is the same host in both, {holder.client} held the range at {clock_time(request.asked)}; "
        "no message compares these clocks."
    )


def refusals(locks: Locks, start: int, frames: Collection[Frame]) -> Iterator[Refused]:
    """The requests in these frames that were refused; `start` is the number of the first session of this clock."""
    numbers = np.flatnonzero(isin(locks["requested_frame"], {frame for _, frame in frames}))
    for number, row in zip(numbers.tolist(), locks.take(numbers).rows(), strict=True):
        frame = row.requested_capture, row.requested_frame or 0
        asked, answered = row.requested, row.blocked or row.denied
        if frame in frames and asked is not None and answered is not None:
            yield Refused(frame, row.server, start + number, asked, answered)


def in_their_way(inputs: Sequence[Inputs], refused: Sequence[Refused]) -> list[int]:
    """For each of these the number of the session that held the range, if no other client held it: else NO_ROW."""
    files, clients = Numbers(), Numbers()
    holds = concatenated([holds_of(each.locks, files, clients) for each in inputs])
    numbers, asked, answered = (
        np.array([getattr(request, name) for request in refused], dtype=np.int64)
        for name in ("number", "asked", "answered")
    )
    wishes = Holds(*(column[numbers] for column in holds))._replace(since=np.full(len(numbers), NEVER))
    rows = np.arange(len(numbers)) + len(holds.file)
    first = in_the_way(concatenated([holds, wishes]), rows, asked - MOMENT, answered + MOMENT)
    theirs = wishes._replace(owner=holds.owner[first])  # in whose way their own holds are not
    others = in_the_way(concatenated([holds, theirs]), rows, asked, answered)
    through = (holds.since[first] <= asked - MOMENT) & (holds.until[first] >= answered + MOMENT)
    found: list[int] = np.where(through & (others == NO_ROW), first, NO_ROW).tolist()
    return found


def holds_of(locks: Locks, files: Numbers, clients: Numbers) -> Holds:
    """The lock sessions of one clock, with a client as the owner: its own requests do not exclude each other here."""
    start = locks["l_offset"]
    return Holds(
        file=numbered(locks, files, "server", "fh"),
        owner=numbered(locks, clients, "client"),
        start=start,
        end=last_bytes(start, locks["l_len"]),
        exclusive=locks["exclusive"] | ~locks.valid("exclusive"),
        since=np.where(locks.valid("granted"), locks["granted"], NEVER),
        until=held_until(locks),
    )


def numbered(locks: Locks, numbers: Numbers, *names: str) -> Array:
    """For each row the number of its texts in these columns, the same for the same texts in any table."""
    columns = [locks.column(name) for name in names]
    groups, first = group(*(column.codes + 1 for column in columns))
    texts = zip(*(column[first].tolist() for column in columns), strict=True)
    found: Array = np.array([numbers.setdefault(each, len(numbers)) for each in texts], dtype=np.int64)[groups]
    return found


def concatenated(parts: Sequence[Holds]) -> Holds:
    return Holds(*map(np.concatenate, zip(*parts, strict=True)))


def is_sure(holder: Locks.Row, inputs: Inputs, request: Refused) -> bool:
    """Whether the captures that show the holder go on for long enough, and do not lack its UNLOCK."""
    captures = inputs.captures
    vantage = captures["vantage"][captures["capture"] == holder.granted_capture]
    last = captures["last"][isin(captures["vantage"], vantage)].max()
    return not lacks(inputs.gaps, holder) and bool(last >= request.answered + MOMENT)
