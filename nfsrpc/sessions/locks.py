"""The table of lock sessions: what one lock owner did to one range of one file, from its first request to the release.

An owner is (server, client, file, oh, svid). Most sessions of a large trace are a LOCK that is granted at once and its
UNLOCK, or a LOCK after which nothing comes: these are found by comparing columns, and only the other steps are walked
through (lock_states.py), with all of owners whose ranges overlap. The holder that a session waits for follows from the
times that others held the same range, since Linux does not name it (TEST's oh is empty).
"""

from __future__ import annotations

from collections.abc import Callable
from functools import cached_property
from typing import Any, NamedTuple

import numpy as np

from nfsrpc.columns import DTYPES, NAT, NULLS, Array, Coded, Mask, Masked, Source, as_type, constant, isin, taken
from nfsrpc.decode import Decoded
from nfsrpc.protocols.numbers import AcceptStat, Nlm4Stats
from nfsrpc.sessions import lock_states, nlm
from nfsrpc.sessions.calls import seconds
from nfsrpc.sessions.conflicts import NEVER, Holds, in_the_way
from nfsrpc.sessions.exchanges import ANSWERED, UNDECIDED
from nfsrpc.sessions.grouping import group, in_order
from nfsrpc.sessions.lock_states import NONE, Walk, range_ends
from nfsrpc.sessions.messages import readable
from nfsrpc.sessions.nlm import GRANT, REQUEST, UNLOCK, Steps
from nfsrpc.sessions.paths import HandlePaths
from nfsrpc.sessions.ranges import TO_THE_END
from nfsrpc.sessions.status_names import NLM4_LOCK, names_of_statuses
from nfsrpc.tables import CALL_STATES, GRANTED_BY, LOCK_STATES, LOCKS, Calls, Copies, Locks

IN_CONFLICT = (Nlm4Stats.DENIED, Nlm4Stats.DEADLCK)  # because of another's lock
RANGE = ("start", "end")
NUMBER = np.int32  # of steps, and counts
KINDS: dict[str, Any] = dict.fromkeys(RANGE, np.uint64) | dict.fromkeys(("state", "by"), np.int8)
STEPS = ("first", "request", "last", "granted")
COUNTS = ("polls", "resends", "replies", "grace", "reclaims", "callbacks")
EXCHANGES = {
    "exchange": "request",
    "last_exchange": "last",
    "unlock_exchange": "unlock",
    "cancel_exchange": "cancel",
    "callback_exchange": "callback",
}


def locks(decoded: Decoded, calls: Calls, copies: Copies, paths: HandlePaths) -> Locks:
    steps = nlm.steps(decoded, calls)
    if not len(steps):
        return Locks.of(LOCKS, ())
    owners, ranges = identities(steps)
    owners = owners.astype(NUMBER)
    late = late_replies(steps, calls, copies)
    pairs, single = simple(steps, ranges)
    apart = ~overlapping(steps, owners, ranges)
    pairs, single = pairs[apart[pairs[:, 0]]], single[apart[single]]
    single = single[~isin(single, list(late))]
    left = np.ones(len(steps), dtype=np.bool_)
    left[pairs], left[single] = False, False
    others = np.flatnonzero(left)
    others = others[in_order(owners[others])]
    walked = Walk(steps, calls, others, late).sessions(owners[others])
    parts = of_pairs(steps, calls, pairs), of_single(steps, calls, single), of_walk(walked)
    order, sessions = in_order(np.concatenate([part["first"] for part in parts])), dict[str, Array]()
    for name in (*lock_states.FIELDS, *RANGE):
        kind = KINDS.get(name, NUMBER)
        values = constant(np.concatenate([part.pop(name).astype(kind, copy=False) for part in parts])[order])
        # Most sessions have one LOCK, which is the first, the last, and the one that was granted.
        is_first = name in STEPS and np.array_equal(values, sessions.setdefault("first", values))
        sessions[name] = sessions["first"] if is_first else values
    return LockSessions(decoded, calls, copies, paths, steps, owners, sessions).table()


def identities(steps: Steps) -> tuple[Array, Array]:
    """The owner of each step, and its owner with the range, as numbers.

    A server may call back from another of its addresses: then the grant belongs to the owner that else is the same.
    """
    fields = steps.fields
    person, _ = group(steps.client, fields["fh"], fields["svid"], fields["oh"])
    owners, first = group(person, steps.server)
    asking = steps.kind != GRANT
    asks = np.zeros(len(first), dtype=np.bool_)
    asks[owners[asking]] = True
    strangers = np.flatnonzero(~asks[owners])
    if len(strangers):
        known = np.full(int(person.max()) + 1, NONE)
        known[person[asking]] = owners[asking]
        elsewhere = known[person[strangers]]
        owners[strangers] = np.where(elsewhere == NONE, owners[strangers], elsewhere)
    ranges, _ = group(owners, fields["l_offset"], range_ends(steps))
    return owners, ranges


def simple(steps: Steps, ranges: Array) -> tuple[Array, Array]:
    """The steps of sessions that are one LOCK, granted at once, and its UNLOCK: two columns.

    And those of sessions that are one LOCK, after which nothing comes, however it was answered.
    """
    order = in_order(ranges)
    ranges, kind = ranges[order], steps.kind[order]
    granted = (steps.state[order] == ANSWERED) & (steps.status[order] == Nlm4Stats.GRANTED)
    unlock = granted & (kind == UNLOCK)
    goes_on = np.r_[ranges[1:] == ranges[:-1], False]
    alone = np.r_[True, ~goes_on[:-1] | unlock[:-1]]  # nothing is under way before the step
    over = ~goes_on | np.r_[kind[1:] == REQUEST, True]  # nothing but another attempt comes after the step
    lock = granted & (kind == REQUEST) & (steps.fields["reclaim"][order] == 0)
    starts = np.flatnonzero(lock[:-1] & goes_on[:-1] & unlock[1:] & alone[:-1] & over[1:])
    single = order[(kind == REQUEST) & alone & ~goes_on]
    return np.stack([order[starts], order[starts + 1]], axis=1), single


def overlapping(steps: Steps, owners: Array, ranges: Array) -> Mask:
    """The steps of owners with ranges that overlap and are not the same."""
    one = np.zeros(int(ranges.max()) + 1, dtype=np.int64)
    one[ranges] = np.arange(len(ranges))  # a step of each range
    one = one[(np.bincount(owners[one]) > 1)[owners[one]]]
    found = np.zeros(int(owners.max()) + 1, dtype=np.bool_)
    start, owner = steps.fields["l_offset"][one], owners[one]
    order = np.lexsort((start, owner))
    start, end, owner = start[order], range_ends(steps)[one[order]], owner[order]
    found[owner[1:][(owner[1:] == owner[:-1]) & (start[1:] <= end[:-1])]] = True
    return found[owners]


def of_pairs(steps: Steps, calls: Calls, pairs: Array) -> dict[str, Array]:
    """The sessions that these pairs are, as the fields of lock_states.Session."""
    lock, unlock = pairs[:, 0], pairs[:, 1]
    states = {"state": np.full(len(pairs), lock_states.RELEASED), "by": np.full(len(pairs), lock_states.REPLY)}
    return of_requests(steps, calls, lock) | states | {"granted": lock, "unlock": unlock}


def of_single(steps: Steps, calls: Calls, lock: Array) -> dict[str, Array]:
    """The sessions that these requests are, as the fields of lock_states.Session."""
    answered, status = steps.state[lock] == ANSWERED, steps.status[lock]
    granted, blocked = answered & (status == Nlm4Stats.GRANTED), answered & (status == Nlm4Stats.BLOCKED)
    denied, untold = answered & ~granted & ~blocked, steps.state[lock] == UNDECIDED
    columns = of_requests(steps, calls, lock)
    columns["state"] = np.select(
        [granted, blocked, denied, untold],
        [lock_states.HELD, lock_states.WAITING, lock_states.REFUSED, lock_states.UNTOLD],
        lock_states.SILENT,
    )
    columns["by"] = np.where(granted, lock_states.REPLY, NONE)
    columns["grace"] = (denied & (status == Nlm4Stats.DENIED_GRACE_PERIOD)).astype(np.int64)
    columns["replies"][~answered] = 0
    for name, mask in (("granted", granted), ("blocked", blocked), ("denied", denied)):
        columns[name] = np.where(mask, lock, NONE)
    return columns


def of_requests(steps: Steps, calls: Calls, lock: Array) -> dict[str, Array]:
    """What sessions have that begin with these requests and have no other."""
    at = steps.call[lock]
    columns = dict.fromkeys(lock_states.FIELDS, np.full(len(lock), NONE, dtype=NUMBER))
    columns |= dict.fromkeys(("polls", "grace", "reclaims", "callbacks"), np.zeros(len(lock), dtype=NUMBER))
    columns |= dict.fromkeys(("first", "request", "last"), lock.astype(NUMBER))
    return columns | {
        "start": steps.fields["l_offset"][lock],
        "end": range_ends(steps)[lock],
        "resends": calls["retransmits"][at].astype(NUMBER),
        "replies": calls["duplicates"][at].astype(NUMBER) + 1,
    }


def of_walk(sessions: list[lock_states.Session]) -> dict[str, Array]:
    columns = {
        name: np.array([getattr(session, name) for session in sessions], dtype=NUMBER) for name in lock_states.FIELDS
    }
    spans = np.array([session.span for session in sessions], dtype=np.uint64).reshape(-1, 2)
    return columns | dict(zip(RANGE, spans.T, strict=True))


def late_replies(steps: Steps, calls: Calls, copies: Copies) -> dict[int, int]:
    """Steps whose LOCK was first answered otherwise and then granted by a further reply, which is a row of copies."""
    numbers = np.flatnonzero(
        (steps.kind == REQUEST) & (calls["duplicates"][steps.call] > 0) & (steps.status != Nlm4Stats.GRANTED)
    )
    granting = np.flatnonzero(copies["reply"] & (copies["status"] == Nlm4Stats.GRANTED)) if len(numbers) else numbers
    first: dict[int, int] = {}
    for row, exchange in zip(granting.tolist(), copies["exchange"][granting].tolist(), strict=True):
        first.setdefault(exchange, row)
    exchanges = calls["exchange"][steps.call[numbers]].tolist()
    return {step: first[number] for step, number in zip(numbers.tolist(), exchanges, strict=True) if number in first}


NO_EVENT: tuple[Any, ...] = np.int64(NAT), np.uint16(NULLS["u16?"]), np.uint32(NULLS["u32?"])


class Event(NamedTuple):
    """The times and frames at which sessions reached some state; null where they did not."""

    time: Array
    capture: Array
    frame: Array

    def where(self, mask: Mask, other: Event) -> Event:
        """This event where the mask is set, else the other."""
        if not mask.any():
            return other
        return Event(*(np.where(mask, mine, its) for mine, its in zip(self, other, strict=True)))


def no_event(length: int) -> Event:
    return Event(*(np.broadcast_to(null, length) for null in NO_EVENT))


class LockSessions:
    """Columns of the table, looked up in the steps that made the sessions."""

    def __init__(
        self,
        decoded: Decoded,
        calls: Calls,
        copies: Copies,
        paths: HandlePaths,
        steps: Steps,
        owners: Array,
        sessions: dict[str, Array],
    ) -> None:
        self.decoded, self.calls, self.copies, self.paths, self.steps = decoded, calls, copies, paths, steps
        self.owners, self.at = owners, sessions
        self.length = len(sessions["first"])
        asked = [self.at[name] for name in ("request", "origin", "first")]
        self.known = constant(np.select([step != NONE for step in asked], asked))
        # caller_name is the client's but in a grant, where it is the server's: there it is taken from any other step.
        named = [self.at[name] for name in ("request", "unlock", "cancel")]
        named.append(np.where(self.at["origin"] == NONE, NONE, self.at["first"]))
        self.named = constant(np.select([step != NONE for step in named], named, NUMBER(NONE)))

    def pick(self, name: str, values: Array, null: int) -> Array:
        """A column of steps, for the step of this kind."""
        at = self.at[name]
        return constant(np.where(at == NONE, values.dtype.type(null), values[at]))

    def of_call(self, name: str, column: str, null: int) -> Array:
        """A column of calls, for the call that the step of this kind is."""
        return self.pick(name, self.calls.column(column)[self.steps.call], null)

    def time_of(self, name: str) -> Array:
        return self.of_call(name, "time", NAT)

    def called(self, name: str) -> Event:
        return Event(
            self.time_of(name),
            self.of_call(name, "capture", NULLS["u16?"]),
            self.of_call(name, "call_frame", NULLS["u32?"]),
        )

    def answered(self, name: str) -> Event:
        steps = self.steps
        return Event(
            self.pick(name, steps.answer_time, NAT),
            self.pick(name, steps.answer_capture, NULLS["u16?"]),
            self.pick(name, steps.answer_frame, NULLS["u32?"]),
        )

    def late_reply(self) -> Event:
        at, copies = self.at["late_reply"], self.copies
        if not len(copies):
            return no_event(self.length)
        columns = (copies["time"], copies["capture"], copies["frame"])
        return Event(*(np.where(at == NONE, null, values[at]) for values, null in zip(columns, NO_EVENT, strict=True)))

    @cached_property
    def granted(self) -> Event:
        by = self.at["by"]
        event = self.called("granted").where(by == lock_states.CALLBACK, self.answered("granted"))
        return self.late_reply().where(by == lock_states.LATE_REPLY, event)

    @cached_property
    def released(self) -> Event:
        return self.answered("unlock").where(self.at["state"] == lock_states.RELEASED, no_event(self.length))

    def late_granted(self) -> Event:
        return self.late_reply().where(self.at["late_reply"] != NONE, self.called("late_callback"))

    @cached_property
    def ends(self) -> Array:
        """The end of the capture that shows the last LOCK of each session, or its first step where it shows no LOCK.

        A LOCK that waits behind another is retried with a new xid, perhaps in the next capture of its host.
        """
        last = np.where(self.at["last"] == NONE, self.at["first"], self.at["last"])
        ends: Array = self.decoded.vantage_ends[self.calls["vantage"][self.steps.call[last]]]
        return ends

    def wait(self) -> Array:
        denied = np.where(self.at["state"] == lock_states.REFUSED, self.answered("denied").time, NAT)
        over = [self.granted.time, denied, self.time_of("cancel")]
        end = self.ends
        for time in reversed(over):
            end = np.where(time != NAT, time, end)
        return seconds(self.time_of("request"), end)

    def hold(self) -> Array:
        released, replaced = self.released.time, self.time_of("replaced")
        end = np.where(released != NAT, released, np.where(replaced != NAT, replaced, self.ends))
        return seconds(self.granted.time, end)

    def host(self, name: str) -> Coded:
        codes: Array = getattr(self.steps, name)
        return Coded(codes[self.at["first"]], self.calls.column(name).labels)

    def string(self, name: str, text: Callable[[bytes], str]) -> Coded:
        numbers = self.steps.fields[name][self.at["first"]]
        return self.decoded.text(Masked(numbers, np.ones(self.length, dtype=np.bool_)), text)

    def cookie(self) -> Coded:
        first = self.at["first"]
        return self.decoded.text(
            Masked(self.steps.fields["cookie"][first], self.steps.known["cookie"][first]), bytes.hex
        )

    @cached_property
    def caller_name(self) -> Coded:
        return self.decoded.text(Masked(self.steps.fields["caller_name"][self.named], self.named != NONE), readable)

    @cached_property
    def owner(self) -> Coded:
        svids = self.steps.fields["svid"][self.at["first"]].tolist()
        hosts = zip(self.caller_name.tolist(), self.host("client").tolist(), strict=True)
        return Coded.of(f"{svid}@{name or client}" for svid, (name, client) in zip(svids, hosts, strict=True))

    def flag(self, name: str) -> Masked:
        return Masked(self.steps.fields[name][self.known] != 0, self.steps.known[name][self.known])

    def first_port(self) -> Array:
        first = self.at["first"]
        ports = self.of_call("first", "client_port", 0)
        callee = self.of_call("first", "server_port", 0)
        return np.where(self.steps.kind[first] == GRANT, callee, ports)

    def lengths(self) -> Array:
        """The lengths of the ranges as in messages, where 0 is to the end of the file."""
        start, end, asked = self.at["start"], self.at["end"], self.steps.fields["l_len"][self.at["first"]]
        left = np.where(end == TO_THE_END, np.uint64(0), end - start + np.uint64(1))
        return np.where(self.at["origin"] == NONE, asked, left)

    def states_of(self, name: str) -> Coded:
        return Coded(self.pick(name, self.steps.state, NONE), CALL_STATES)

    def status(self) -> Array:
        granted = (self.at["granted"] != NONE) & (self.at["state"] != lock_states.REFUSED)
        last = self.pick("last", self.steps.status, NULLS["i32?"])
        status: Array = np.where(granted, np.int32(Nlm4Stats.GRANTED), last)
        return status

    def status_name(self) -> Coded:
        status = self.status()
        answered = np.where(
            status == Nlm4Stats.GRANTED, AcceptStat.SUCCESS, self.of_call("last", "rpc_status", NULLS["u8?"])
        )
        prog, vers, proc = (np.full(self.length, number) for number in NLM4_LOCK)
        return names_of_statuses(prog, vers, proc, answered, status)

    @cached_property
    def held_by(self) -> Array:
        """For each session that had to wait, or was denied, the one that was in its way; NONE where none is seen."""
        steps, at = self.steps, self.at
        denied = isin(self.pick("denied", steps.status, NULLS["i32?"]), IN_CONFLICT)
        waiters = np.flatnonzero((at["blocked"] != NONE) | denied)
        held_by = np.full(self.length, NONE)
        if len(waiters):
            answered = np.where(at["blocked"] != NONE, self.answered("blocked").time, self.answered("denied").time)
            requested = self.time_of("request")
            held_by[waiters] = in_the_way(self.holds(), waiters, requested[waiters], answered[waiters])
        return held_by

    def holds(self) -> Holds:
        steps, at = self.steps, self.at
        fields, exclusive = steps.fields, self.flag("exclusive")
        file, _ = group(steps.server[self.known], fields["fh"][self.known])
        # The server may have granted as soon as it was asked; what it was only seen to unlock, it had granted before.
        since = np.where(at["granted"] == NONE, NEVER, self.time_of("granted"))
        since[(steps.kind[at["first"]] == UNLOCK) & (at["origin"] == NONE)] = NAT
        released, replaced = self.released.time, self.time_of("replaced")
        until = np.where(released != NAT, released, np.where(replaced != NAT, replaced, NEVER))
        return Holds(
            file=file,
            owner=self.owners[self.known],
            start=self.at["start"],
            end=self.at["end"],
            exclusive=exclusive.values | ~exclusive.valid,
            since=since,
            until=until,
        )

    def holder(self) -> Coded:
        rows = np.flatnonzero(self.held_by != NONE)
        holders = self.held_by[rows]
        distinct, codes = np.unique(holders, return_inverse=True)
        owners, clients = self.owner[distinct].tolist(), self.host("client")[distinct].tolist()
        numbers = np.full(self.length, NONE)
        numbers[rows] = codes
        return Coded.distinct(numbers, [f"{owner} ({client})" for owner, client in zip(owners, clients, strict=True)])

    def number(self, values: Array, kind: str) -> Array:
        """Numbers with NONE for null, as a column of this kind."""
        dtype = DTYPES[kind.rstrip("?")]
        return np.where(values == NONE, NULLS[kind], values).astype(dtype)

    def table(self) -> Locks:
        steps, first = self.steps, self.at["first"]
        asked = self.calls.take(steps.call[first])
        columns: dict[str, Source] = {
            "capture": lambda: asked["capture"],
            "frame": lambda: asked["call_frame"],
            "time": lambda: asked["time"],
            "server": lambda: self.host("server"),
            "client": lambda: self.host("client"),
            "client_port": lambda: self.first_port().astype(np.uint16),
            "version": lambda: asked["vers"],
            "procedure": lambda: asked["procedure"],
            "caller_name": lambda: self.caller_name,
            "svid": lambda: taken(steps.fields["svid"], first),
            "owner": lambda: self.owner,
            "oh": lambda: self.string("oh", readable),
            "cookie": lambda: self.cookie(),
            "fh": lambda: self.string("fh", bytes.hex),
            "file": lambda: self.paths.files(steps.server[first], steps.fields["fh"][first], asked["time"]),
            "l_offset": Masked(self.at["start"], np.broadcast_to(np.True_, self.length)),
            "l_len": lambda: Masked(self.lengths(), np.broadcast_to(np.True_, self.length)),
            "exclusive": lambda: self.flag("exclusive"),
            "block": lambda: self.flag("block"),
            "reclaim": lambda: self.flag("reclaim").values,
            "state": Coded(self.at["state"], LOCK_STATES),
            "status": self.status,
            "rpc_status": lambda: self.of_call("last", "rpc_status", NULLS["u8?"]),
            "status_name": self.status_name,
            "answer": lambda: self.states_of("last"),
            "granted_by": Coded(self.at["by"], GRANTED_BY),
            "latency_s": lambda: seconds(self.time_of("request"), self.answered("request").time),
            "wait_s": self.wait,
            "hold_s": self.hold,
            "cancel_status": lambda: self.pick("cancel", steps.status, NULLS["i32?"]),
            "unlock_status": lambda: self.pick("unlock", steps.status, NULLS["i32?"]),
            "unlock_state": lambda: self.states_of("unlock"),
            "unlock_latency_s": lambda: seconds(self.time_of("unlock"), self.answered("unlock").time),
            "callback_status": lambda: self.pick("callback", steps.status, NULLS["i32?"]),
            "callback_state": lambda: self.states_of("callback"),
            "held_by": lambda: self.number(self.held_by, "u32?"),
            "holder": self.holder,
        }
        columns |= {name: as_type(self.at[name], np.uint32) for name in COUNTS}
        columns |= {name: self.exchange(step) for name, step in EXCHANGES.items()}
        for name, event in self.events().items():
            columns |= event_columns(name, event)
        return Locks(LOCKS, self.length, columns)

    def exchange(self, step: str) -> Callable[[], Array]:
        return lambda: self.of_call(step, "exchange", NULLS["u32?"])

    def events(self) -> dict[str, Callable[[], Event]]:
        return {
            "requested": lambda: self.called("request"),
            "blocked": lambda: self.answered("blocked"),
            "granted": lambda: self.granted,
            "denied": lambda: self.answered("denied"),
            "cancelled": lambda: self.called("cancel"),
            "unlock": lambda: self.called("unlock"),
            "released": lambda: self.released,
            "callback": lambda: self.called("callback"),
            "late_granted": self.late_granted,
        }


def event_columns(name: str, event: Callable[[], Event]) -> dict[str, Source]:
    return {
        name: lambda: event().time,
        f"{name}_capture": lambda: event().capture.astype(np.uint16),
        f"{name}_frame": lambda: event().frame.astype(np.uint32),
    }
