"""Names of files in replies (RFC 1813 §3.3, RFC 1094 §2.2, MOUNT): columns of messages to events in order of time.

Handles and names are numbers of strings all along. Most names of a large trace are seen again and again, and only those
on the way to a handle that is asked about matter: both are found by comparing columns.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, fields

import numpy as np

from nfsrpc.columns import NAT, Array, Mask, Masked, distinct, isin
from nfsrpc.decode import NO_STRING, MessageFields
from nfsrpc.protocols import program
from nfsrpc.sessions.grouping import in_order
from nfsrpc.sessions.messages import rows_in
from nfsrpc.sessions.name_sources import ENTRIES, LESSONS, MOVES, NAMES, Lesson
from nfsrpc.tables import Calls

NOT_NAMES = (b"", b".", b"..")
PROTOCOLS = sorted({procedure.partition(".")[0] for procedure in LESSONS})
FAILED = -1


@dataclass(eq=False, repr=False)
class Events:
    """One row per name in a reply. NO_STRING stands for the strings that an event lacks."""

    kind: Array
    call: Array  # row of calls
    time: Array
    server: Array  # code of the host
    handle: Array
    directory: Array
    name: Array
    to_directory: Array
    to_name: Array

    def __len__(self) -> int:
        return len(self.kind)

    def columns(self) -> list[Array]:
        return [getattr(self, column.name) for column in fields(self)]

    def take(self, rows: Array) -> Events:
        return Events(*(values[rows] for values in self.columns()))

    def first(self, count: int) -> Events:
        return Events(*(values[:count] for values in self.columns()))


def events(decoded: MessageFields, calls: Calls) -> Events:
    """All events of names in the trace, in the order of time; at the same time, of the calls."""
    parts = [part for protocol in PROTOCOLS for part in of_protocol(decoded, calls, protocol)]
    if not parts:
        return Events(*(np.zeros(0, dtype=np.int64) for _ in fields(Events)))
    every = Events(*map(np.concatenate, zip(*(part.columns() for part in parts), strict=True)))
    by_call = in_order(calls["exchange"][every.call])  # rows come as back ends had them ready
    return every.take(by_call[in_order(every.time[by_call])])


def of_protocol(decoded: MessageFields, calls: Calls, protocol: str) -> Iterator[Events]:
    """The events of one protocol's successful calls, as far as they were decoded."""
    if not decoded.has(f"{protocol}.args"):
        return
    exchanges = decoded.messages[f"{protocol}.args"]["exchange"].values
    rows = rows_in(calls, exchanges)
    proc = np.where((calls["status"][rows] == 0) & ~calls.valid("duplicate_of")[rows], calls["proc"][rows], FAILED)
    for procedure, lesson in LESSONS.items():
        if procedure.startswith(f"{protocol}."):
            at = np.flatnonzero(proc == program(protocol).procedure(procedure.partition(".")[2]).number)
            if len(at):
                yield events_of_calls(LessonFields(decoded, protocol, exchanges[at]), lesson, rows[at], calls)


def events_of_calls(fields: LessonFields, lesson: Lesson, rows: Array, calls: Calls) -> Events:
    """The events of calls of one procedure (`rows` of calls)."""
    if lesson.name.startswith(ENTRIES):
        fields.list_entries()
    columns = dict(zip(Lesson._fields[1:], lesson[1:], strict=True))
    found = {name: fields[column] for name, column in columns.items()}
    known = ~is_one_of(fields.decoded, found["name"], NOT_NAMES)
    for name, column in columns.items():
        if column:
            known &= found[name] != NO_STRING
    call = rows[fields.exchange[known]]
    replied = calls["reply_time"][call]
    return Events(
        kind=np.full(len(call), lesson.kind),
        call=call,
        time=np.where(replied == NAT, calls["time"][call], replied),
        server=calls["server"].codes[call].astype(np.int64),
        **{name: values[known] for name, values in found.items()},
    )


class LessonFields:
    """Columns of the messages of some exchanges, or of the entries of the directories that they list."""

    def __init__(self, decoded: MessageFields, protocol: str, exchanges: Array) -> None:
        self.decoded, self.protocol, self.exchanges = decoded, protocol, exchanges
        self.exchange = np.arange(len(exchanges))  # which of them each row is of
        self.entries: dict[str, Masked] = {}

    def list_entries(self) -> None:
        entries = self.decoded.children(f"{self.protocol}.entries")
        if not entries:
            self.exchange = self.exchange[:0]
            return
        numbers = entries["exchange"].values
        place = np.full(int(max(numbers.max(), self.exchanges.max())) + 1, -1)
        place[self.exchanges] = self.exchange
        listed = np.flatnonzero(place[numbers] >= 0)
        self.exchange = place[numbers][listed]
        self.entries = {name: Masked(column.values[listed], column.valid[listed]) for name, column in entries.items()}

    def __getitem__(self, name: str) -> Array:
        if name.startswith(ENTRIES) and self.entries:
            values, valid = self.entries[name.removeprefix(ENTRIES)]
        elif not name or name.startswith(ENTRIES):
            return np.full(len(self.exchange), NO_STRING, dtype=np.int64)
        else:
            table = f"{self.protocol}.{'res' if name.startswith('res_') else 'args'}"
            values, valid = (part[self.exchange] for part in self.decoded.column(table, name, self.exchanges))
        return np.where(valid, values, NO_STRING).astype(np.int64)


def is_one_of(decoded: MessageFields, strings: Array, texts: tuple[bytes, ...]) -> Mask:
    occurs = np.zeros(len(decoded.strings), dtype=np.bool_)
    occurs[strings[strings != NO_STRING]] = True
    those = [number for number in np.flatnonzero(occurs).tolist() if decoded.strings[number] in texts]
    return isin(strings, those) if those else np.zeros(len(strings), dtype=np.bool_)


def news(events: Events) -> Events:
    """The events without those that repeat the one before of their handle with no rename or removal since."""
    order = in_order(events.handle)
    changes = np.cumsum(events.kind >= MOVES)
    repeated = (events.kind[order] == NAMES)[1:]
    for values in (events.kind, events.handle, events.server, events.directory, events.name, changes):
        repeated &= values[order][1:] == values[order][:-1]
    return events.take(np.sort(order[np.r_[True, ~repeated]])) if len(order) else events


def concerning(events: Events, handles: Array, strings: int) -> Events:
    """The events on which the paths of some handles depend: of these, of their directories, and so on upwards."""
    needed = np.zeros(strings + 1, dtype=np.bool_)  # the last for NO_STRING: of no string at all
    handle, directory, to_directory = (
        np.minimum(column, strings) for column in (events.handle, events.directory, events.to_directory)
    )
    upwards = Upwards(np.concatenate([handle, directory]), np.concatenate([directory, to_directory]), strings)
    fresh = distinct(np.minimum(handles, strings))
    while len(fresh := fresh[~needed[fresh] & (fresh < strings)]):
        needed[fresh] = True
        fresh = upwards.of(fresh)
    return events.take(np.flatnonzero(needed[handle] | ((handle == strings) & needed[directory])))


class Upwards:
    """The directories above handles, looked up for several at once, at a cost of their number."""

    def __init__(self, below: Array, above: Array, strings: int) -> None:
        order = np.argsort(below, kind="stable")
        self.above, self.starts = above[order], np.searchsorted(below[order], np.arange(strings + 2))

    def of(self, strings: Array) -> Array:
        first, last = self.starts[strings], self.starts[strings + 1]
        count = last - first
        at = np.repeat(last - np.cumsum(count), count) + np.arange(int(count.sum()))
        return distinct(self.above[at])
