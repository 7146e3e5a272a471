"""The steps of lock owners, walked through in the order of time, become sessions.

A LOCK begins a session, or retries in one that still waits (Linux's 30 s poll, its retry after DENIED_GRACE_PERIOD);
GRANTED from the server grants what waits; CANCEL gives it up; UNLOCK ends every session within its range. As POSIX has
it, an owner's locks never overlap: what it unlocks, or locks otherwise, is cut out of what it held, and what is left on
either side is a session of its own. A session is the numbers of the steps that made it.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, fields
from itertools import takewhile

from nfsrpc.columns import NULLS, Array
from nfsrpc.protocols.numbers import Nlm4Stats
from nfsrpc.sessions.exchanges import ANSWERED, UNDECIDED
from nfsrpc.sessions.nlm import CANCEL, GRANT, REQUEST, UNLOCK, Steps
from nfsrpc.sessions.ordered import Ordered
from nfsrpc.sessions.ranges import last_bytes
from nfsrpc.tables import GRANTED_BY, LOCK_STATES, Calls

WAITING, HELD, RELEASING, RELEASED, REPLACED, REFUSED, CANCELLED, SILENT, UNTOLD = range(len(LOCK_STATES))

PENDING = (WAITING, SILENT, UNTOLD)
HOLDING = (HELD, RELEASING)
ENDED = (RELEASED, REFUSED, CANCELLED)

REPLY, POLL, CALLBACK, LATE_REPLY = range(len(GRANTED_BY))

# Linux retries 5 s after DENIED_GRACE_PERIOD, and at once after an RPC error; a LOCK later is another attempt.
RETRY_AFTER = 30_000_000_000
RETRIED = (Nlm4Stats.DENIED_GRACE_PERIOD, NULLS["i32?"])
NONE = -1

# An owner's UNLOCKs that release nothing look at so many sessions for each of its steps; one that does ends them.
LOOKS = 16

Range = tuple[int, int]  # first and last byte


@dataclass(slots=True, eq=False, repr=False)
class Session:
    """Its range, and the number of the step that counts, of each kind; NONE where there is none."""

    span: Range
    first: int
    state: int
    origin: int = NONE  # where it is what was left of another: what that one was asked for by
    request: int = NONE
    last: int = NONE  # LOCK
    blocked: int = NONE
    granted: int = NONE
    denied: int = NONE
    replaced: int = NONE
    cancel: int = NONE
    unlock: int = NONE
    callback: int = NONE
    late_callback: int = NONE  # granted by it what had ended before
    late_reply: int = NONE  # a row of copies, likewise
    by: int = NONE
    polls: int = 0
    resends: int = 0
    replies: int = 0
    grace: int = 0
    reclaims: int = 0
    callbacks: int = 0


FIELDS = tuple(field.name for field in fields(Session) if field.name != "span")


class Held:
    """The sessions by which one owner holds ranges, none of which overlaps another."""

    def __init__(self) -> None:
        self.starts = Ordered[int]()
        self.sessions: dict[int, Session] = {}  # by the first byte

    def add(self, session: Session) -> None:
        start = session.span[0]
        if start not in self.sessions:
            self.starts.add(start)
        self.sessions[start] = session

    def remove(self, session: Session) -> None:
        start = session.span[0]
        if self.sessions.get(start) is session:
            del self.sessions[start]
            self.starts.remove(start)

    def meeting(self, span: Range) -> Iterator[Session]:
        """The sessions that hold any byte of this range; none may be added or removed meanwhile."""
        before = self.starts.upto(span[0])
        starts = takewhile(lambda start: start <= span[1], self.starts.since(span[0] if before is None else before))
        return (session for session in map(self.sessions.__getitem__, starts) if session.span[1] >= span[0])


class Pending:
    """The sessions by which one owner waits for ranges, by range."""

    def __init__(self) -> None:
        self.spans = Ordered[Range]()
        self.sessions: dict[Range, Session] = {}

    def add(self, session: Session) -> None:
        if session.span not in self.sessions:
            self.spans.add(session.span)
        self.sessions[session.span] = session

    def remove(self, session: Session) -> None:
        if self.sessions.get(session.span) is session:
            del self.sessions[session.span]
            self.spans.remove(session.span)

    def beginning_in(self, span: Range) -> Iterator[Session]:
        spans = takewhile(lambda part: part[0] <= span[1], self.spans.since((span[0], 0)))
        return map(self.sessions.__getitem__, spans)


class Walk:
    """Walks the steps of these numbers, which come sorted by owner and time."""

    def __init__(self, steps: Steps, calls: Calls, numbers: Array, late_replies: Mapping[int, int]) -> None:
        at = steps.call[numbers]
        self.again = set(numbers[steps.again[numbers]].tolist())
        self.numbers: list[int] = numbers.tolist()
        self.late_replies = late_replies
        self.kind = self.by_step(steps.kind[numbers])
        self.state = self.by_step(steps.state[numbers])
        self.status = self.by_step(steps.status[numbers])
        self.time = self.by_step(calls["time"][at])
        self.answer_time = self.by_step(steps.answer_time[numbers])
        self.reclaim = self.by_step(steps.fields["reclaim"][numbers])
        self.resends = self.by_step(calls["retransmits"][at])
        self.copies = self.by_step(calls["duplicates"][at])
        self.start = self.by_step(steps.fields["l_offset"][numbers])
        self.end = self.by_step(range_ends(steps)[numbers])
        # Of the present owner: what waits, what holds, the latest of each range, and ranges that it has unlocked.
        self.pending = Pending()
        self.held = Held()
        self.looks = 0  # at sessions that an UNLOCK does not end, left to take
        self.latest: dict[Range, Session] = {}
        self.unlocked: set[Range] = set()
        self.found: list[Session] = []

    def by_step(self, values: Array) -> dict[int, int]:
        return dict(zip(self.numbers, values.tolist(), strict=True))

    def sessions(self, owners: Array) -> list[Session]:
        """`owners` is the owner of each step."""
        take: dict[int, Callable[[int, Range], None]] = {
            REQUEST: self.request,
            CANCEL: self.cancel,
            UNLOCK: self.unlock,
            GRANT: self.grant,
        }
        owner = None
        for step, its_owner in zip(self.numbers, owners.tolist(), strict=True):
            if its_owner != owner:
                self.pending, self.held, self.latest, self.unlocked = Pending(), Held(), {}, set()
                self.looks, owner = 0, its_owner
            self.looks += LOOKS
            take[self.kind[step]](step, (self.start[step], self.end[step]))
        return self.found

    def begin(self, step: int, span: Range, state: int) -> Session:
        session = Session(span, step, state)
        self.found.append(session)
        self.latest[span] = session
        return session

    def settle(self, session: Session, state: int) -> None:
        self.pending.remove(session)
        self.held.remove(session)
        session.state = state
        if state in HOLDING:
            self.held.add(session)
        elif state in PENDING:
            self.pending.add(session)

    def cut(self, session: Session, span: Range, step: int, state: int) -> None:
        """A holder loses this range by a step; what it held on either side of it, it goes on to hold."""
        start, end = session.span
        self.settle(session, state)
        for left in ((start, span[0] - 1), (span[1] + 1, end)):
            if start <= left[0] <= left[1] <= end:
                rest = self.begin(step, left, HELD)
                rest.granted, rest.by = session.granted, session.by
                known = (session.request, session.origin, session.first)
                rest.origin = next(number for number in known if number != NONE)
                self.settle(rest, HELD)

    def request(self, step: int, span: Range) -> None:
        session = self.latest.get(span)
        if session is None or not self.goes_on(session, step):
            session = self.begin(step, span, SILENT)
            session.request = step
        elif session.state in HOLDING or self.reclaim[step]:  # who claims it again had it, if that was captured or not
            session.reclaims += 1
        else:
            session.polls += 1
        session.last = step
        session.resends += self.resends[step]
        self.answer(session, step)

    def goes_on(self, session: Session, step: int) -> bool:
        """Whether a LOCK is one more of this session, and not a new attempt."""
        if session.state == REFUSED:
            late = self.time[step] - self.answer_time[session.last] > RETRY_AFTER
            return self.status[session.last] in RETRIED and not late
        return session.state in PENDING or (session.state in HOLDING and bool(self.reclaim[step]))

    def answer(self, session: Session, step: int) -> None:
        """Changes the session of a LOCK by the answer to it."""
        status = self.status[step]
        if self.state[step] != ANSWERED:
            if session.state not in HOLDING and session.blocked == NONE:
                self.settle(session, UNTOLD if self.state[step] == UNDECIDED else SILENT)
            return
        session.replies += 1 + self.copies[step]
        if status == Nlm4Stats.GRANTED:
            self.grants(session, step, REPLY if step == session.request else POLL)
        elif status == Nlm4Stats.BLOCKED:
            session.blocked = step if session.blocked == NONE else session.blocked
            self.settle(session, WAITING)
        else:
            session.grace += status == Nlm4Stats.DENIED_GRACE_PERIOD
            session.denied = step
            self.settle(session, REFUSED)
        if step in self.late_replies:
            session.late_reply = self.late_replies[step]
            self.grants(session, step, LATE_REPLY)

    def grants(self, session: Session, step: int, by: int) -> None:
        if session.granted == NONE:
            session.granted, session.by = step, by
        for other in list(self.held.meeting(session.span)):
            if other is not session:
                other.replaced = step
                self.cut(other, session.span, step, REPLACED)
        self.settle(session, HELD)

    def cancel(self, step: int, span: Range) -> None:
        session = self.latest.get(span) or self.begin(step, span, SILENT)
        if session.cancel == NONE:
            session.cancel = step
        if session.state in PENDING:
            self.settle(session, CANCELLED)

    def unlock(self, step: int, span: Range) -> None:
        state = self.released(step)
        waiting = [known for known in self.looked_at(self.pending.beginning_in(span)) if known.span[1] <= span[1]]
        meeting = self.held.meeting(span)
        holding = list(meeting if state == RELEASED else self.looked_at(meeting))
        known = span in self.latest or span in self.unlocked or step in self.again
        if not holding and not waiting and not known and self.looks > 0:
            holding = [self.begin(step, span, HELD)]  # since before the capture
        self.unlocked.add(span)
        for session in (*waiting, *holding):
            session.unlock = step
        for session in holding:
            if state == RELEASED:
                self.cut(session, span, step, state)
            else:
                self.settle(session, state)
        past = self.latest.get(span)
        if past is not None and past.unlock == NONE:  # Linux unlocks also what it has cancelled
            past.unlock = step

    def looked_at(self, sessions: Iterator[Session]) -> Iterator[Session]:
        """Some of the sessions that go on unchanged: no more than an owner has had steps, which bounds the cost."""
        for session in sessions:
            if self.looks <= 0:
                return
            self.looks -= 1
            yield session

    def released(self, step: int) -> int:
        if self.state[step] != ANSWERED:
            return RELEASING
        return RELEASED if self.status[step] == Nlm4Stats.GRANTED else HELD

    def grant(self, step: int, span: Range) -> None:
        session = self.latest.get(span) or self.begin(step, span, WAITING)
        if session.callback == NONE:
            session.callback = step
        session.callbacks += 1 + self.resends[step]
        accepted = (
            self.status[step] == Nlm4Stats.GRANTED if self.state[step] == ANSWERED else self.state[step] == UNDECIDED
        )
        if accepted:
            if session.state in ENDED:
                session.late_callback = step
            self.grants(session, step, CALLBACK)


def range_ends(steps: Steps) -> Array:
    return last_bytes(steps.fields["l_offset"], steps.fields["l_len"])
