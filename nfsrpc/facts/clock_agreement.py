"""Whether two clocks agree that no message compares: locks of one capture fit those of the other within a second.

A client that is refused a lock is refused it while another holds it. Where one capture shows refusals whose holder it
does not show, and the other a lock in conflict that was held just then, both clocks agree, or it is chance. How likely
chance is follows from the captures themselves: the share of all offsets of up to an hour at which as many refusals fall
into a hold of the other, as many locks pass on by a callback within a second of an UNLOCK, and never two hold one
range. A lock that is held for long shows nothing so, nor do many captures, of which some fit by chance.

Offsets are taken as equally likely. They are not where jobs start at the same second of each host's own clock: then a
third host, of which there is no capture, may be the holder.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Iterator, Mapping, Sequence
from itertools import chain
from typing import NamedTuple

import numpy as np

from nfsrpc.columns import NAT, NULLS, Array, Mask, isin
from nfsrpc.facts.waiters import held_until
from nfsrpc.protocols.numbers import Nlm4Stats
from nfsrpc.sessions.aligned import FAR_APART_S
from nfsrpc.sessions.ranges import last_bytes
from nfsrpc.tables import Captures, Locks
from nfsrpc.wording import SECOND

OFFSETS_S = 3600.0  # clocks that are wrong are so by up to an hour, by each offset as likely as by any other
BY_CHANCE = 0.01  # of all offsets: where as much fits at more of them, two clocks may agree by chance
MOMENT = round(FAR_APART_S * SECOND)
OFFSETS = round(OFFSETS_S * SECOND)
LEAST = MOMENT / OFFSETS  # no share is less: within a moment either way
MOST_PAIRS = int(BY_CHANCE / LEAST)  # of clocks: of more, some fit to the second by chance
MOST_COMPARED = 1 << 16  # locks of two clocks, each with each


class Spans(NamedTuple):
    """Lock sessions, and when they were refused, or held their range."""

    file: Array  # a number for server and file handle, the same at all clocks
    client: Array  # likewise
    start: Array  # first and last byte
    end: Array
    exclusive: Array
    since: Array  # refused: the request; held: the grant
    until: Array  # refused: the reply; held: the UNLOCK, or the end of the captures
    event: Array  # refused: the callback that granted it in the end; held: the UNLOCK; or NAT

    def on(self, files: Array) -> Spans:
        """Those of some files."""
        rows = isin(self.file, files)
        return Spans(*(column[rows] for column in self))

    def __len__(self) -> int:
        return len(self.file)


class Shown(NamedTuple):
    """What the captures of one clock show of locks, as far as all clocks are asked for it."""

    refused: Spans  # by holders that they do not show
    files: Array  # on which they show holds


class Agreement(NamedTuple):
    """Two clocks that agree within a second, in all likelihood."""

    first: int  # clocks, by number
    second: int
    share: float  # of the offsets of up to an hour, at which as much fits


class Fits(NamedTuple):
    """For each event the offsets of the second clock at which it fits: from, to, and how much it weighs."""

    low: Array
    high: Array
    weight: Array


def shown(locks: Locks) -> Shown:
    """What the captures of one clock show."""
    in_conflict = isin(locks["status"], (Nlm4Stats.DENIED, Nlm4Stats.DEADLCK)) & locks.valid("denied")
    refused = locks.valid("requested") & (locks["held_by"] == NULLS["u32?"]) & (locks.valid("blocked") | in_conflict)
    answered = np.where(locks.valid("blocked"), locks["blocked"], locks["denied"])
    callback = np.where(locks["granted_by"] == "callback", locks["callback"], NAT)
    files = np.unique(files_of(locks.where(locks.valid("granted"))))
    return Shown(spans(locks, refused, locks["requested"], answered, callback), files)


def held(locks: Locks, captures: Captures) -> Spans:
    """What the captures of one clock show as held."""
    until = np.minimum(held_until(locks), captures["last"].max(initial=NAT))
    return spans(locks, locks.valid("granted"), locks["granted"], until, locks["unlock"])


def spans(locks: Locks, chosen: Mask, since: Array, until: Array, event: Array) -> Spans:
    """The chosen sessions, with these times of all."""
    rows = np.flatnonzero(chosen)
    some = locks.take(rows)
    start, exclusive = some["l_offset"], some["exclusive"] | ~some.valid("exclusive")
    ends = last_bytes(start, some["l_len"])
    times = since[rows], until[rows], event[rows]
    return Spans(files_of(some), numbers(some, "client"), start, ends, exclusive, *times)


def files_of(locks: Locks) -> Array:
    """A number for server and file handle of each row."""
    return numbers(locks, "server") * 31 + numbers(locks, "fh")


def numbers(locks: Locks, name: str) -> Array:
    """A number for each text of a column: the same for the same text in any table."""
    column = locks.column(name)
    codes, which = np.unique(column.codes, return_inverse=True)
    known = [hash(column.labels[code]) if code >= 0 else 0 for code in codes.tolist()]
    return np.array(known, dtype=np.int64)[which]


def agreements(clocks: Sequence[Shown], held_at: Callable[[int], Spans]) -> list[Agreement]:
    """The pairs of clocks that agree in all likelihood; `held_at`: what the captures of a clock show as held."""
    pairs = candidates(clocks)
    if not pairs:
        return []
    concerned = sorted({*chain(*pairs)})
    files = np.unique(np.concatenate([clocks[number].refused.file for number in concerned]))
    holds = {number: held_at(number).on(files) for number in concerned}
    found = []
    for one, other in pairs:
        chance = share(fits(clocks[one].refused, holds[one], clocks[other].refused, holds[other]))
        if chance * len(pairs) <= BY_CHANCE:
            found.append(Agreement(one, other, chance))
    return [each for each in found if not any(contradict(each, other, holds) for other in found)]


def contradict(one: Agreement, other: Agreement, holds: Mapping[int, Spans]) -> bool:
    """Whether two clocks that each agree with a third show that two hold one range."""
    apart = [holds[number] for number in sorted({*one[:2]} ^ {*other[:2]})]
    if len(apart) != 2 or len(apart[0]) * len(apart[1]) > MOST_COMPARED:
        return bool(apart)
    found = both_hold(*apart)
    return bool(((found.low <= 0) & (found.high >= 0)).any())


def candidates(clocks: Sequence[Shown]) -> list[tuple[int, int]]:
    """The pairs of clocks of which something may show that they agree; none where they are too many."""
    refusing, holding = defaultdict[int, set[int]](set), defaultdict[int, set[int]](set)
    for number, clock in enumerate(clocks):
        for file in np.unique(clock.refused.file).tolist():
            refusing[file].add(number)
    for number, clock in enumerate(clocks):
        for file in clock.files.tolist():
            if file in refusing:
                holding[file].add(number)
    found: set[tuple[int, int]] = set()
    for one, other in ((one, other) for file, ones in refusing.items() for one in ones for other in holding[file]):
        if one != other:
            found.add((min(one, other), max(one, other)))
        if len(found) > MOST_PAIRS:
            return []
    return sorted(found)


def fits(refused: Spans, holds: Spans, their_refused: Spans, their_holds: Spans) -> list[Fits]:
    """The offsets at which refusals fall into holds, and callbacks follow an UNLOCK; those at which two hold a range.

    The last outweigh all others. Nothing fits where some refusal of a lock on such a file does not, for a third holds
    it at times, or where there are too many to be compared.
    """
    refused, their_refused = refused.on(their_holds.file), their_refused.on(holds.file)
    compared = len(holds) * (len(their_holds) + len(their_refused)) + len(their_holds) * len(refused)
    if compared > MOST_COMPARED or not (all_fall_into(their_refused, holds) and all_fall_into(refused, their_holds)):
        return []
    found = list(refused_by(their_refused, holds))
    found += [Fits(-each.high, -each.low, each.weight) for each in refused_by(refused, their_holds)]
    weight = 1 + sum(len(each.low) for each in found)
    against = both_hold(holds, their_holds)
    return [*found, against._replace(weight=against.weight * weight)]


def both_hold(first: Spans, second: Spans) -> Fits:
    """The offsets at which two hold one range for more than a moment."""
    rows, others = conflicts(second, first)
    low, high = first.since[others] - second.until[rows], first.until[others] - second.since[rows]
    return weighing(low + MOMENT, high - MOMENT, -1)


def refused_by(refused: Spans, held: Spans) -> Iterator[Fits]:
    """The offsets of the clock of what is refused at which these refusals fit the holds."""
    rows, others = conflicts(refused, held)
    yield weighing(held.since[others] - refused.since[rows], held.until[others] - refused.until[rows], 1)
    passed = (refused.event[rows] != NAT) & (held.event[others] != NAT)
    after = held.event[others][passed] - refused.event[rows][passed]
    yield weighing(after - MOMENT, after + MOMENT, 1)


def all_fall_into(refused: Spans, held: Spans) -> bool:
    """Whether each of these refusals falls into a hold, without any offset."""
    rows, others = conflicts(refused, held)
    within = (held.since[others] <= refused.since[rows]) & (refused.until[rows] <= held.until[others])
    return len(np.unique(rows[within])) == len(refused)


def conflicts(some: Spans, others: Spans) -> tuple[Array, Array]:
    """The rows of sessions that are in each other's way."""
    meets = some.file[:, None] == others.file
    meets &= some.client[:, None] != others.client
    meets &= some.exclusive[:, None] | others.exclusive
    meets &= (some.start[:, None] <= others.end) & (others.start <= some.end[:, None])
    rows, found = np.nonzero(meets)
    return rows, found


def weighing(low: Array, high: Array, weight: int) -> Fits:
    """Events of one weight, without those that fit at no offset."""
    there = low <= high
    return Fits(low[there], high[there], np.full(int(there.sum()), weight, dtype=np.int64))


def share(events: Sequence[Fits]) -> float:
    """The share of all offsets at which as much fits as at none; 1 where nothing does.

    >>> second = np.array([SECOND])
    >>> share([Fits(-9 * second, 9 * second, np.array([1]))]), share([Fits(second, 9 * second, np.array([1]))])
    (0.0025, 1.0)
    """
    if not events:
        return 1.0
    low, high, weight = (np.concatenate(column) for column in zip(*events, strict=True))
    fitting = int(weight[(low <= 0) & (high >= 0)].sum())
    if fitting < 1:
        return 1.0
    at = np.clip(np.concatenate([low, high, [OFFSETS]]), -OFFSETS, OFFSETS)
    change = np.concatenate([weight, -weight, [0]])
    order = np.argsort(at, kind="stable")
    lasting = np.diff(at[order])
    as_much = np.cumsum(change[order])[:-1] >= fitting
    return max(float(lasting[as_much].sum()) / (2 * OFFSETS), LEAST)
