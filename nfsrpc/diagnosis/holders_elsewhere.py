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
FRAME_BITS = 32  # of a frame's number; above them is that of its capture
Numbers: TypeAlias = dict[tuple[str | None, ...], int]  # of texts, the same at all clocks


class Refused(NamedTuple):
    """A lock request that was answered BLOCKED or DENIED."""

    session: int  # its number among those of all clocks
    row: Locks.Row
    asked: int
    answered: int


class LocksOfClocks(NamedTuple):
    """The lock sessions of all clocks, numbered throughout."""

    inputs: Sequence[Inputs]  # of each clock
    starts: Sequence[int]  # the number of the first session of each clock

    @classmethod
    def of(cls, clocks: Sequence[OfClock]) -> LocksOfClocks:
        inputs = [Inputs(clock) for clock in clocks]
        return cls(inputs, list(accumulate((len(each.locks) for each in inputs), initial=0)))

    def row(self, number: int) -> tuple[Inputs, Locks.Row]:
        """A session, with the inputs of its clock."""
        clock = bisect_right(self.starts, number) - 1
        return self.inputs[clock], self.inputs[clock].locks.row(number - self.starts[clock])

    def refused(self, frames: Collection[int]) -> Iterator[Refused]:
        """The requests in these frames that were refused."""
        asking = np.concatenate([frames_of(each.locks) for each in self.inputs])
        for number in np.flatnonzero(isin(asking, frames)).tolist():
            _, row = self.row(number)
            asked, answered = row.requested, row.blocked or row.denied
            if asked is not None and answered is not None:
                yield Refused(number, row, asked, answered)

    def holds(self) -> Holds:
        files, clients = Numbers(), Numbers()
        return concatenated([holds_of(each.locks, files, clients) for each in self.inputs])


def frames_of(locks: Locks) -> Array:
    """The capture and the frame of each session's request, as one number."""
    return locks["requested_capture"].astype(np.int64) << FRAME_BITS | locks["requested_frame"]


def with_holders_elsewhere(found: Diagnosis, clocks: Sequence[OfClock]) -> Diagnosis:
    """The diagnosis with a sentence on each holder that only captures by another clock show."""
    unseen = {each.id: proofs(each) for each in found.findings if each.needs and head(each.rule).names_holder}
    if not unseen:
        return found
    said = sentences(
        LocksOfClocks.of(clocks), frozenset().union(*unseen.values()), short_names(clocks[0].decoded.files)
    )
    return replace(
        found,
        findings=tuple(
            with_sentence(each, {text for frame in unseen.get(each.id, ()) for text in said[frame]})
            for each in found.findings
        ),
    )


def proofs(finding: Finding) -> frozenset[int]:
    return frozenset(proof.capture << FRAME_BITS | proof.frame for proof in finding.evidence)


def with_sentence(finding: Finding, texts: Collection[str]) -> Finding:
    """The finding with what is said of all its requests; as it is where that is nothing, or several things."""
    text = next(iter(texts)) if len(texts) == 1 else ""
    return replace(finding, explanation=f"{finding.explanation} {text}") if text else finding


def sentences(sessions: LocksOfClocks, frames: Collection[int], files: Sequence[str]) -> Mapping[int, set[str]]:
    """By frame what is said of its requests that were refused: an empty text where that is nothing."""
    refused = list(sessions.refused(frames))
    said: defaultdict[int, set[str]] = defaultdict(set)
    for request, holder in zip(refused, holders(sessions.holds(), refused), strict=True):
        text = "" if holder == NO_ROW else sentence(request, *sessions.row(holder), files)
        said[request.row.requested_capture << FRAME_BITS | (request.row.requested_frame or 0)].add(text)
    return said


def sentence(request: Refused, inputs: Inputs, holder: Locks.Row, files: Sequence[str]) -> str:
    """The sentence on a holder; empty where its captures may lack the UNLOCK, or end before it."""
    captures = inputs.captures
    vantage = captures["vantage"][captures["capture"] == holder.granted_capture]
    last = captures["last"][isin(captures["vantage"], vantage)].max()
    if lacks(inputs.gaps, holder) or last < request.answered + MOMENT:
        return ""
    return (
        f"If the clocks of {files[request.row.requested_capture]} and {files[holder.granted_capture]} agree and "
        f"{holder.server} is the same host in both, {holder.client} held the range at {clock_time(request.asked)}; "
        "no message compares these clocks."
    )


def holders(holds: Holds, refused: Sequence[Refused]) -> list[int]:
    """For each request the session that held its range while it was answered; NO_ROW where two clients did, or none."""
    numbers = np.array([request.session for request in refused], dtype=np.int64)
    asked = np.array([request.asked for request in refused], dtype=np.int64)
    answered = np.array([request.answered for request in refused], dtype=np.int64)
    wishes = Holds(*(column[numbers] for column in holds))._replace(since=np.full(len(numbers), NEVER))
    rows = np.arange(len(numbers)) + len(holds.file)
    first = in_the_way(concatenated([holds, wishes]), rows, asked - MOMENT, answered + MOMENT)
    # As if the holder asked: what is in its way is of another client.
    wishes = wishes._replace(owner=holds.owner[first])
    another = in_the_way(concatenated([holds, wishes]), rows, asked, answered) != NO_ROW
    throughout = (holds.since[first] <= asked - MOMENT) & (holds.until[first] >= answered + MOMENT)
    found: list[int] = np.where(throughout & ~another, first, NO_ROW).tolist()
    return found


def holds_of(locks: Locks, files: Numbers, clients: Numbers) -> Holds:
    """The lock sessions of one clock, of which two of one client are not in conflict."""
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
