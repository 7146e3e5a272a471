"""The last quarter of an hour of a capture without end, as columns that tables and rules are made of.

The core gives rows that are final, each once (`add`), and those that may still change, as they stand (`decoded`). Rows
are kept until they are older than the window. The core's numbers only grow, over days; those of a window are small:
strings and addresses get new numbers as rows arrive (`forget` drops those that no row uses any more), exchanges, flows
and files when the columns are put together.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Iterable, Mapping, Sequence
from typing import Any, NamedTuple, TypeAlias

import numpy as np

from nfsrpc.columns import NAT, Array, Mask, Masked, isin
from nfsrpc.decode import NO_STRING, Columns, Decoded, joined, nothing_left, renumbered, renumbered_message
from nfsrpc.protocols.numbers import Port, Prog
from nfsrpc.reading import END_OF_TIME
from nfsrpc.sessions import writes
from nfsrpc.sessions.exchanges import COUNTED
from nfsrpc.sessions.polls import repeated
from nfsrpc.sessions.settled_locks import sifted
from nfsrpc.sessions.tallies import INTERVAL, added, summed, sums_of
from nfsrpc.sessions.thinning import owners_with
from nfsrpc.sources import Capture

MessageColumns: TypeAlias = dict[str, dict[str, Masked]]
Kinds: TypeAlias = Mapping[str, Mapping[str, str]]
Numbered: TypeAlias = tuple[
    tuple[str, str], Array, Mask | None
]  # table and column, numbers, which of them are not null

# Exchanges that are listed instead of counted: at 150 bytes each, with their messages, a hundred MB. A storm of them
# shortens the window.
MAX_ROWS = 1 << 18
# Of fewer, those of healthy lock sessions that are over stay listed as well.
MANY = 1 << 13
# Of those, the part of exchanges of NFS, which must not take the room of locks: where frames are cut, exchanges are
# listed of which only the reply is left.
NFS_SHARE = 2
NFS_PROGRAMS = (Prog.NFS, Prog.NFSACL)
# Of those, exchanges that show names of files. Of very many, the latest are enough.
MAX_NAMES = 1 << 16
# Of each of these there is room for half as many: a flow takes 300 bytes. Of copies the latest are enough.
OTHERS_SHARE = 2
OTHERS = ("flows", "tallies", "accesses")
TABLES = ("exchanges", "copies", "flows", "tallies", "latencies", "accesses")
# Columns of latencies of which equal rows are added up; the core has no time for them.
LATENCY_KEY = ("interval", "prog", "vers", "proc", "latency")
# Columns with the number of a file; `capture` is that of the row itself.
FILE_COLUMNS = ("capture", "reply_capture", "first_capture", "rst_capture")
COUNTERS = ("frames", "bytes", "cut_frames", "misordered", "duplicates", "not_ip", "unread", "rdma", "rdma_rpc")
IDENTITY = np.arange(1 << 16, dtype=np.uint16)


class CaptureFile(NamedTuple):
    """One file of the capture: the core's counts since the beginning of the file."""

    counts: dict[str, int]
    format: str
    interfaces: list[dict[str, Any]]


class Window:
    """The rows of the last `length` ns, by the packets' time."""

    def __init__(self, kinds: Kinds, length: int, max_rows: int = MAX_ROWS) -> None:
        self.kinds = kinds
        self.length = length
        self.max_rows = max_rows
        self.since = NAT  # older rows have been dropped
        self.shortened = False  # for lack of room
        self.rows: dict[str, Columns] = {}
        self.left: dict[str, Columns] = nothing_left()  # of lock sessions that were counted
        self.messages: MessageColumns = {}
        self.oddities: Columns = {}
        self.sources: dict[int, Capture] = {}
        self.files: dict[int, CaptureFile] = {}
        self.locals: set[tuple[int, int, str, bool]] = set()  # addresses that the capturing host sent from
        self.addresses: list[tuple[str, int]] = []
        self.strings: list[bytes] = []
        self._known: dict[bytes | tuple[str, int], int] = {}
        self._marks: deque[tuple[int, int, dict[str, int]]] = deque()  # time, file, counts then
        self._numbers: dict[str, Array] = {
            "address": np.zeros(0, dtype=np.uint32),  # by the core's number
            "string": np.zeros(0, dtype=np.uint32),
        }

    # Rows that are final

    def add(self, batch: Mapping[str, Any], now: int) -> None:
        """Rows that became final, `now` or a little earlier."""
        self._learn("address", batch["addresses"], self.addresses)
        self._learn("string", batch["strings"], self.strings)
        for table in TABLES:
            own = self._own(batch[table])
            if table == "latencies":
                own["interval"] = np.full(len(own["latency"]), now // INTERVAL * INTERVAL)
            append(self.rows.setdefault(table, {}), own)
        for table, columns in batch["decoded"].items():
            kinds = self.kinds[table]
            known = self.messages.setdefault(table, {})
            for name, column in columns.items():
                new, before = self._own_message(column, kinds.get(name)), known.get(name)
                known[name] = new if before is None or not len(before.values) else concatenated(before, new)
        odd = {name: np.asarray(values) for name, values in batch["oddities"].items()}
        odd["kind"] = odd["kind"].astype(np.object_)
        append(self.oddities, odd)
        self.locals.update(batch["locals"])
        self._note_files(batch)

    def _learn(self, kind: str, new: Iterable[Any], known: list[Any]) -> None:
        """Numbers new strings or addresses: equal ones get equal numbers, whatever numbers the core has for them."""
        numbers = []
        for value in new:
            number = self._known.setdefault(value, len(known))
            if number == len(known):
                known.append(value)
            numbers.append(number)
        if numbers:
            self._numbers[kind] = np.concatenate([self._numbers[kind], np.array(numbers, dtype=np.uint32)])

    def _own(self, columns: Columns) -> Columns:
        maps: dict[str, Array | int] = {"exchange": 0, "flow": 0, **self._numbers}
        return {name: renumbered(name, values, maps, IDENTITY) for name, values in columns.items()}

    def _own_message(self, column: Any, kind: str | None) -> Masked:
        return renumbered_message(column, "string" if kind == "bytes" else None, self._numbers)

    def _note_files(self, batch: Mapping[str, Any]) -> None:
        captures = {name: values.tolist() for name, values in batch["captures"].items()}
        for row, number in enumerate(captures["capture"]):
            counts = {name: values[row] for name, values in captures.items()}
            interfaces = [known for known in batch["interfaces"] if known["capture"] == number]
            self.files[number] = CaptureFile(counts, batch["capture_formats"][row], interfaces)

    # The columns as they stand

    def decoded(self, snapshot: Mapping[str, Any], now: int) -> Decoded:
        """Everything from `since` to `now`, in tables; the `snapshot` has what may still change."""
        self._note_files(snapshot)
        self._let_go(now, snapshot)
        self._marks.append((now, self._current, self.files[self._current].counts))
        exchanges, flows = self._with("exchanges", snapshot), self._with("flows", snapshot)
        flows = rows_where(flows, flows["last"] >= self.since)  # the core keeps flows that may go on
        if self.since != NAT:
            exchanges = rows_where(exchanges, self._lately(exchanges))
        numbers = Numbers(exchanges["exchange"])
        copies = self._of(numbers, self.rows["copies"])
        messages = {table: self._messages_of(numbers, columns) for table, columns in self.messages.items()}
        parts = {"exchanges": {**exchanges, "exchange": numbers.dense}, "copies": copies, "flows": flows}
        number_flows(parts)
        tallies, accesses = dict(self.rows["tallies"]), dict(self.rows["accesses"])
        oddities = dict(self.oddities)
        files = self._files([*parts.values(), tallies, accesses, oddities], now)
        return Decoded(
            sources=[self.sources[number] for number in files],
            damages={},
            exchanges=parts["exchanges"],
            copies=parts["copies"],
            flows=parts["flows"],
            tallies=tallies,
            accesses=accesses,
            unlocked_again=self._of(numbers, self.left["unlocked_again"]),
            latencies={name: values for name, values in self.rows["latencies"].items() if name != "interval"},
            captures=self._captures(files, now),
            formats=[self.files[number].format for number in files],
            interfaces=[
                row | {"capture": at} for at, number in enumerate(files) for row in self.files[number].interfaces
            ],
            oddities=oddities,
            addresses=self.addresses,
            strings=self.strings,
            messages=messages,
            kinds=self.kinds,
            vantages=[list(range(len(files)))],
            firsts=[(0, 0)],
            locals={(files.index(file), own, text, others) for file, own, text, others in self.locals if file in files},
        )

    def _with(self, table: str, snapshot: Mapping[str, Any]) -> Columns:
        own = self._own(snapshot[table])
        return {name: joined([values, own[name]]) for name, values in self.rows[table].items()}

    def _lately(self, exchanges: Columns) -> Mask:
        """Which exchanges had something happen since `since`: a call, a resend or a reply."""
        lately: Mask = np.maximum(exchanges["time"], exchanges["reply_time"]) >= self.since
        copies = self.rows["copies"]
        again = copies["exchange"][copies["time"] >= self.since]
        return lately | np.isin(exchanges["exchange"], again) if len(again) else lately

    def _of(self, numbers: Numbers, columns: Columns) -> Columns:
        """The rows of exchanges in the window, with their numbers there."""
        at, known = numbers.of(columns["exchange"])
        rows = rows_where(columns, known)
        return {**rows, "exchange": at[known]}

    def _messages_of(self, numbers: Numbers, columns: Mapping[str, Masked]) -> dict[str, Masked]:
        at, known = numbers.of(columns["exchange"].values)
        rows = message_rows_where(columns, known)
        return {**rows, "exchange": Masked(at[known], rows["exchange"].valid)}

    def _files(self, tables: Sequence[Columns], now: int) -> list[int]:
        """The files of rows, and the current one; the numbers of files in the columns become places in this list."""
        columns = [(table, name) for table in tables for name in FILE_COLUMNS if name in table]
        used = np.zeros(1 << 16, dtype=np.bool_)
        for table, name in columns:
            used[table[name]] = True
        for number, file in self.files.items():
            used[number] |= file.counts["last"] >= (now if self.since == NAT else self.since)
        used[self._current] = True
        files = [number for number in np.flatnonzero(used).tolist() if number in self.files]
        places = np.zeros(1 << 16, dtype=np.uint16)
        places[files] = np.arange(len(files))
        for table, name in columns:
            table[name] = places[table[name]]
        left_behind = self.files.keys() - files  # a file without a row so far keeps its name
        self.sources = {number: source for number, source in self.sources.items() if number not in left_behind}
        self.files = {number: self.files[number] for number in files}
        return files

    def _captures(self, files: Sequence[int], now: int) -> Columns:
        """The counts of the files within the window: all of a file, less those before the window."""
        before = {file: counts for time, file, counts in self._marks if NAT < time <= self.since}
        rows = []
        for at, number in enumerate(files):
            counts = self.files[number].counts
            less = before.get(number, dict.fromkeys(COUNTERS, 0))
            row = {**counts, "capture": at, **{name: counts[name] - less[name] for name in COUNTERS}}
            if row["first"] != NAT:
                row["first"] = max(row["first"], self.since)
            rows.append(row)
        if rows:
            latest = max(rows, key=lambda row: row["last"])
            latest["last"] = max(latest["last"], now)
        return {name: np.array([row[name] for row in rows], dtype=kind) for name, kind in CAPTURE_KINDS.items()}

    @property
    def _current(self) -> int:
        return max(self.files, key=lambda number: self.files[number].counts["last"])

    # Rows older than the window

    def _let_go(self, now: int, snapshot: Mapping[str, Any]) -> None:
        if now == NAT:
            return
        self.since = max(self.since, now - self.length)
        self._count_healthy(snapshot)
        self._keep("exchanges", latest(of_nfs(self.rows["exchanges"]), self.max_rows // NFS_SHARE))
        exchanges = self.rows["exchanges"]
        self._make_room(np.maximum(exchanges["time"], exchanges["reply_time"]), self.max_rows)
        self.rows["tallies"] = summed(self.rows["tallies"])
        self.rows["accesses"] = writes.summed(self.rows["accesses"])
        self.rows["latencies"] = added(self.rows["latencies"], *LATENCY_KEY)
        for table in OTHERS:
            self._make_room(self.rows[table]["last"], self.max_rows // OTHERS_SHARE)
        self._keep("exchanges", self._lately(exchanges) & latest(exchanges["flags"] & COUNTED != 0, MAX_NAMES))
        for table in OTHERS:
            self._keep(table, self.rows[table]["last"] >= self.since)
        self._keep("latencies", self.rows["latencies"]["interval"] > self.since - INTERVAL)
        self.oddities = rows_where(self.oddities, self.oddities["time"] >= self.since)
        self._let_go_of_parts(snapshot["exchanges"]["exchange"])
        while len(self._marks) > 1 and self._marks[1][0] <= self.since:
            self._marks.popleft()

    def _make_room(self, times: Array, most: int) -> None:
        """The window begins where so many of these rows are left."""
        if len(times) > most:
            self.shortened = True
            self.since = max(self.since, int(np.partition(times, -most)[-most]))

    def _count_healthy(self, snapshot: Mapping[str, Any]) -> None:
        """Sums lock sessions that are over and healthy, and questions asked again and again, where there are many."""
        exchanges = self.rows["exchanges"]
        if len(exchanges["exchange"]) < MANY:
            return
        known = {"exchanges": exchanges, "accesses": self.rows["accesses"], "decoded": self.messages}
        texts = {"strings": self.strings, "addresses": self.addresses}
        in_reach = self._own(snapshot["exchanges"])
        found, _, names = sifted([known | texts | self.left], in_reach, END_OF_TIME)
        self.left |= {"unlocked_again": {"exchange": found.unlocked_again()}}
        leaving = isin(exchanges["exchange"], found.exchanges())
        leaving[repeated(known | texts | {"flows": self.rows["flows"]}, in_reach, END_OF_TIME)] = True
        if not leaving.any():
            return
        tallies, latencies = sums_of((exchanges, np.flatnonzero(leaving)))
        append(self.rows["tallies"], tallies)
        append(self.rows["latencies"], latencies)
        self.left |= owners_with(self.left, found.owners(names))
        self._keep("exchanges", ~leaving)

    def _keep(self, table: str, mask: Mask) -> None:
        self.rows[table] = rows_where(self.rows[table], mask)

    def _let_go_of_parts(self, in_reach: Array) -> None:
        """Drops copies and messages of exchanges that are neither in the window nor open in the core (`in_reach`)."""
        numbers = Numbers(np.union1d(self.rows["exchanges"]["exchange"], in_reach))
        self._keep("copies", numbers.of(self.rows["copies"]["exchange"])[1])
        copies = np.ones(len(self.rows["copies"]["exchange"]), dtype=np.bool_)
        self._keep("copies", latest(copies, self.max_rows // OTHERS_SHARE))
        self.messages = {
            table: message_rows_where(columns, numbers.of(columns["exchange"].values)[1])
            for table, columns in self.messages.items()
        }

    def forget(self, snapshot: Mapping[str, Any]) -> None:
        """Renumbers before the core drops its strings, to list them anew, and all addresses but the snapshot's."""
        self.strings, columns = compacted(self.strings, list(self._string_columns()))
        self._numbers["string"] = np.zeros(0, dtype=np.uint32)
        for (table, name), values in columns.items():
            if table in self.rows:
                self.rows[table][name] = values
            else:
                self.messages[table][name] = Masked(values, self.messages[table][name].valid)
        numbers = self._numbers["address"]
        in_use = np.zeros(len(numbers), dtype=np.bool_)
        for table in ("exchanges", "flows"):
            for name in ENDS:
                in_use[snapshot[table][name]] = True
        in_reach = np.flatnonzero(in_use)
        ends = [((table, name), self.rows[table][name], None) for table in PARTIES for name in ENDS]
        self.addresses, columns = compacted(self.addresses, [*ends, (("", ""), numbers[in_reach], None)])
        numbers = np.zeros_like(numbers)
        numbers[in_reach] = columns.pop(("", ""))
        self._numbers["address"] = numbers
        for (table, name), values in columns.items():
            self.rows[table][name] = values
        self._known = {string: number for number, string in enumerate(self.strings)}
        self._known |= {address: number for number, address in enumerate(self.addresses)}

    def _string_columns(self) -> Iterable[Numbered]:
        for table in ("exchanges", "tallies"):
            machine = self.rows[table]["machine"]
            yield (table, "machine"), machine, machine != NO_STRING
        handle = self.rows["accesses"]["handle"]
        yield ("accesses", "handle"), handle, None
        for table, columns in self.messages.items():
            for name, column in columns.items():
                if self.kinds[table].get(name) == "bytes":
                    yield (table, name), column.values, column.valid & (column.values != NO_STRING)


PARTIES, ENDS = ("exchanges", "flows", "tallies", "accesses"), ("client", "server")
CAPTURE_KINDS: dict[str, Any] = {
    "capture": np.uint16,
    "frames": np.uint32,
    "bytes": np.uint64,
    "first": np.int64,
    "last": np.int64,
    "cut_frames": np.uint32,
    "misordered": np.uint32,
    "duplicates": np.uint32,
    "not_ip": np.uint32,
    "unread": np.uint32,
    "unread_type": np.uint32,
    "rdma": np.uint32,
    "rdma_rpc": np.uint32,
    "truncated": np.uint8,
}


class Numbers:
    """The core's numbers of some exchanges, and their small ones in a window."""

    def __init__(self, numbers: Array) -> None:
        order = np.argsort(numbers, kind="stable")
        self.sorted = numbers[order]
        self.dense = np.empty(len(numbers), dtype=np.uint32)
        self.dense[order] = np.arange(len(numbers), dtype=np.uint32)

    def of(self, numbers: Array) -> tuple[Array, Mask]:
        """The small numbers of exchanges, and which of them there are."""
        if not len(self.sorted):
            return np.zeros(len(numbers), dtype=np.uint32), np.zeros(len(numbers), dtype=np.bool_)
        at = np.minimum(np.searchsorted(self.sorted, numbers), len(self.sorted) - 1)
        return at.astype(np.uint32), self.sorted[at] == numbers


def number_flows(tables: Mapping[str, Columns]) -> None:
    """Gives small numbers to flows, also to those that have no row any more."""
    named = [columns["flow"] for columns in tables.values()]
    _, numbers = np.unique(np.concatenate(named), return_inverse=True)
    at = 0
    for columns in tables.values():
        count = len(columns["flow"])
        columns["flow"] = numbers[at : at + count].astype(np.uint32)
        at += count


def append(columns: Columns, more: Columns) -> None:
    for name, values in more.items():
        columns[name] = joined([columns[name], values]) if name in columns and len(columns[name]) else values


def concatenated(first: Masked, second: Masked) -> Masked:
    if not len(second.values):
        return first
    return Masked(joined([first.values, second.values]), joined([first.valid, second.valid]))


def rows_where(columns: Columns, mask: Mask) -> Columns:
    return dict(columns) if mask.all() else {name: values[mask] for name, values in columns.items()}


def message_rows_where(columns: Mapping[str, Masked], mask: Mask) -> dict[str, Masked]:
    if mask.all():
        return dict(columns)
    return {name: Masked(column.values[mask], column.valid[mask]) for name, column in columns.items()}


def of_nfs(exchanges: Columns) -> Mask:
    mask: Mask = np.isin(exchanges["prog"], NFS_PROGRAMS) | (exchanges["server_port"] == Port.NFS)
    return mask


def latest(mask: Mask, count: int) -> Mask:
    """All rows but those of the mask, of which only the last `count`."""
    rows = np.flatnonzero(mask)
    result = np.ones(len(mask), dtype=np.bool_)
    result[rows[: max(len(rows) - count, 0)]] = False
    return result


def compacted(values: list[Any], columns: list[Numbered]) -> tuple[list[Any], dict[tuple[str, str], Array]]:
    """The values that columns of numbers refer to, and the columns with their new numbers."""
    used = np.zeros(len(values), dtype=np.bool_)
    for _, numbers, valid in columns:
        used[numbers if valid is None else numbers[valid]] = True
    places = np.zeros(len(values), dtype=np.uint32)
    rows = np.flatnonzero(used)
    places[rows] = np.arange(len(rows))
    changed = {}
    for name, numbers, valid in columns:
        changed[name] = places[numbers] if valid is None else numbers.copy()
        if valid is not None:
            changed[name][valid] = places[numbers[valid]]
    return [values[row] for row in rows.tolist()], changed
