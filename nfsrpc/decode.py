"""Batches to columns: the rows of all vantages' decoders (reading.py) as one set of columns.

Numbers of exchanges, flows, addresses and strings are made unique; `capture` is the number of the file in the call.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any, NamedTuple, TypeAlias

import numpy as np

from nfsrpc._core import Decoder
from nfsrpc.columns import NAT, ROW, Array, Coded, Mask, Masked, constant, isin, taken
from nfsrpc.printable import clean
from nfsrpc.protocols import PROTOCOLS, Program
from nfsrpc.reading import (
    SECONDARY,
    Counting,
    FileReader,
    Local,
    Progress,
    Vantage,
    VantageBatches,
    Wanted,
    read,
    refusing,
)
from nfsrpc.sources import Capture, SourceError, name_of, short_names

__all__ = ["SECONDARY", "Columns", "Decoded", "FileReader", "Progress", "decode", "merge", "refusing"]

Columns: TypeAlias = dict[str, Array]

EVERYWHERE = 0xFFFFFFFF  # the domain of addresses that are not loopback
NO_STRING = 0xFFFFFFFF

# Tables of the core with columns of fixed kinds.
FIXED = (
    "exchanges",
    "copies",
    "flows",
    "captures",
    "tallies",
    "latencies",
    "accesses",
    "unlocked_again",
    "left_out",
)
NUMBERS = {
    "exchange": "exchange",
    "flow": "flow",
    "client": "address",
    "server": "address",
    "machine": "string",
    "handle": "string",
}


# A table by number pays while it has not this many places more than numbers in use.
SPARSE = 1 << 20


@dataclass(kw_only=True, eq=False, repr=False)
class MessageFields:
    """Decoded fields of messages, by table ("nlm4.args"), and the strings that they are numbers of."""

    strings: list[bytes]
    messages: dict[str, dict[str, Masked]]
    _index: dict[str, tuple[Array, Array]] = field(default_factory=dict)
    _latest: dict[str, tuple[Array, Array, Mask]] = field(default_factory=dict)

    def has(self, table: str) -> bool:
        return table in self.messages and len(self.messages[table]["exchange"].values) > 0

    def column(self, table: str, name: str, exchanges: Array) -> Masked:
        """A decoded field (of the first copy of a message) for each of these exchanges; null where it has none."""
        if not self.has(table) or name not in self.messages[table]:
            return Masked(np.zeros(len(exchanges), dtype=np.uint32), np.zeros(len(exchanges), dtype=np.bool_))
        rows, found = self._found(table, exchanges)
        values, valid = (taken(part, rows) for part in self.messages[table][name])
        return Masked(values, valid if found.all() else valid & found)

    def _found(self, table: str, exchanges: Array) -> tuple[Array, Mask]:
        """The rows of a table that are of these exchanges, and whether there is one."""
        # Fields of the same exchanges are read one after another.
        if table not in self._latest or self._latest[table][0] is not exchanges:
            order, numbers = self._first_copies(table)
            at = np.minimum(np.searchsorted(numbers, exchanges), len(numbers) - 1).astype(ROW)
            self._latest[table] = exchanges, order[at], numbers[at] == exchanges
        return self._latest[table][1:]

    def _first_copies(self, table: str) -> tuple[Array, Array]:
        """Rows of a table that are of first copies, by exchange, and these exchanges."""
        if table not in self._index:
            columns = self.messages[table]
            numbers = columns["exchange"].values
            rows = np.flatnonzero(columns["copy"].values == 0)
            rows = rows[np.argsort(numbers[rows], kind="stable")].astype(ROW)
            self._index[table] = rows, numbers[rows]
        return self._index[table]

    def children(self, table: str) -> dict[str, Masked]:
        """The rows of a list's table that are of first copies."""
        if not self.has(table):
            return {}
        columns = self.messages[table]
        rows = columns["copy"].values == 0
        return {name: Masked(column.values[rows], column.valid[rows]) for name, column in columns.items()}

    def text(self, strings: Masked | Array, shown: Callable[[bytes], str] = lambda text: text_of(text)) -> Coded:
        """Numbers of strings as text; null, or NO_STRING, as null."""
        numbers, valid = strings if isinstance(strings, tuple) else (strings, strings != NO_STRING)
        occurs = np.zeros(len(self.strings) + 1, dtype=np.bool_)
        at = np.where(valid, numbers, len(self.strings))  # null stands behind the last string
        occurs[at] = True
        occurs[-1] = False
        distinct = np.flatnonzero(occurs)
        codes = np.full(len(occurs), -1, dtype=np.int32)
        codes[distinct] = np.arange(len(distinct))
        return Coded.distinct(codes[at], [shown(self.strings[number]) for number in distinct.tolist()])


class Translation(NamedTuple):
    """The numbers of the addresses of one conversation before (client's side) and behind an address translation."""

    client: int
    server: int
    outer_client: int
    outer_server: int
    one_server: bool  # the address stands for this server alone
    vantages: frozenset[int]  # those that show both sides


SIDE = "side"  # of tallies: of an address translation, where there is one


@dataclass(kw_only=True, eq=False, repr=False)
class Decoded(MessageFields):
    """The core's columns over all files."""

    sources: list[Capture]
    damages: dict[int, str]  # of files that could not be read to their end: what is wrong
    exchanges: Columns
    copies: Columns
    flows: Columns
    captures: Columns
    formats: list[str]
    interfaces: list[dict[str, Any]]
    oddities: dict[str, Any]
    addresses: list[tuple[str, int]]
    kinds: Mapping[str, Mapping[str, str]]  # of the columns of messages
    vantages: list[list[int]]  # the files of each vantage, in their order
    firsts: list[tuple[int, int]]  # of each vantage, the numbers that its first exchange and flow have
    tallies: Columns = field(default_factory=lambda: no_rows("tallies"))  # of exchanges that were counted
    latencies: Columns = field(default_factory=lambda: no_rows("latencies"))
    accesses: Columns = field(default_factory=lambda: no_rows("accesses"))  # what was done to handles
    unlocked_again: Columns = field(default_factory=lambda: nothing_left()["unlocked_again"])
    left_out: Columns = field(default_factory=lambda: nothing_left()["left_out"])  # for lack of room
    locals: set[Local] = field(default_factory=set)  # the addresses that the capturing host sent from
    skipped: tuple[SourceError, ...] = ()  # what is wrong with the files that could not be read at all
    # By flow: how many address translations away from the server it was captured; empty where there are none.
    sides: Array = field(default_factory=lambda: np.zeros(0, dtype=np.uint8))
    translations: tuple[Translation, ...] = ()

    @cached_property
    def files(self) -> list[str]:
        """The names of the files, to be shown; `sources` opens them."""
        return list(map(name_of, self.sources))

    @cached_property
    def short_names(self) -> list[str]:
        """The names of the files as far as they differ."""
        return short_names(self.files)

    @cached_property
    def vantage(self) -> Array:
        """The vantage of each file."""
        numbers = np.zeros(len(self.sources), dtype=np.uint16)
        for vantage, files in enumerate(self.vantages):
            numbers[files] = vantage
        return numbers

    @cached_property
    def place(self) -> Array:
        """The place of each file by the order of vantages, which the order in which files are given does not change."""
        places = np.zeros(len(self.sources), dtype=np.int64)
        places[[file for files in self.vantages for file in files]] = np.arange(len(self.sources))
        return places

    @cached_property
    def vantage_starts(self) -> Array:
        """The first time of each vantage."""
        firsts = self.captures["first"]
        known = np.where(firsts == NAT, np.iinfo(np.int64).max, firsts)
        return np.array([known[files].min() for files in self.vantages], dtype=np.int64)

    @cached_property
    def vantage_ends(self) -> Array:
        """The last time of each vantage."""
        return np.array([self.captures["last"][files].max() for files in self.vantages], dtype=np.int64)

    def points(self, flows: Array, vantage: Array) -> Array:
        """The capture points of rows of these flows and vantages: each side of a translation is one."""
        if not len(self.sides):
            return vantage
        points: Array = vantage.astype(np.int64) << 8 | self.sides[flows]
        return points

    @cached_property
    def aliases(self) -> dict[int, int]:
        """An address short of a translation -> the one that it becomes at the server, where it is always the same."""
        found: dict[int, set[int]] = {}
        for one in self.translations:
            found.setdefault(one.client, set()).add(one.outer_client)
            found.setdefault(one.server, set()).add(one.outer_server)
        return {inner: next(iter(outer)) for inner, outer in found.items() if outer != {inner} and len(outer) == 1}

    def again(self, flows: Array, vantage: Array) -> Mask:
        """Which rows of these flows and vantages the vantage shows a second time, behind an address translation."""
        both = set().union(*(translation.vantages for translation in self.translations))
        if not both:
            return np.zeros(len(flows), dtype=np.bool_)
        mask: Mask = (self.sides[flows] > 0) & isin(vantage, sorted(both))
        return mask

    def row_of_exchange(self, exchanges: Array) -> Array:
        """The rows of `exchanges` that have these numbers."""
        return rows_of(self.exchanges["exchange"], exchanges)


def no_rows(table: str) -> Columns:
    """A table of the core without rows."""
    columns: Columns = Decoder().drain()[table]
    return columns


# What is left of exchanges that left while a capture was read: hashes of the owners and ranges of their locks; UNLOCKs
# of owners that may be among them; what there was no room for.
OF_LEFT: dict[str, dict[str, str]] = {
    "counted_owners": {"owner": "u8"},
    "earlier_owners": {"owner": "u8"},
    "unlocked_again": {"exchange": "u4"},
    "left_out": {
        "capture": "u2",
        "client": "u4",
        "server": "u4",
        "prog": "u4",
        "vers": "u4",
        "proc": "u4",
        "rpc_status": "u1",
        "status": "i4",
        "exchanges": "u4",
    },
}


def nothing_left() -> dict[str, Columns]:
    """The tables of what is left of exchanges that left, without rows."""
    return {table: {name: np.zeros(0, dtype=kind) for name, kind in of.items()} for table, of in OF_LEFT.items()}


def rows_of(keys: Array, wanted: Array) -> Array:
    """The row in which each wanted number is a key, -1 where none is."""
    size = max(int(keys.max(initial=0)), int(wanted.max(initial=0))) + 1
    if size <= SPARSE + 2 * len(keys):
        table = np.full(size, -1, dtype=np.int64)
        table[keys] = np.arange(len(keys))
        return table[wanted]
    if not len(keys):
        return np.full(len(wanted), -1, dtype=np.int64)
    order = np.arange(len(keys)) if (keys[1:] >= keys[:-1]).all() else np.argsort(keys, kind="stable")
    at = np.minimum(np.searchsorted(keys[order], wanted), len(keys) - 1)
    found: Array = np.where(keys[order[at]] == wanted, order[at], -1)
    return found


def text_of(text: bytes) -> str:
    """A string of the wire as text, with what is not printable escaped."""
    return clean(text.decode("utf-8", "backslashreplace"))


def decode(
    sources: Iterable[Any],
    wanted: Wanted | None = None,
    programs: Sequence[Program] = PROTOCOLS,
    progress: Progress | None = None,
    counting: Counting | None = None,
    jobs: int | None = None,
) -> Decoded:
    """The columns of some captures (paths, open files, bytes), with the `wanted` fields of messages (None: all).

    Raises SourceError where none of them can be read.
    """
    return merge(read(sources, wanted, programs, progress, counting, jobs))


def merge(reading: VantageBatches) -> Decoded:
    """The batches of all vantages as one set of columns."""
    parts, firsts = ColumnPieces(), list[tuple[int, int]]()
    vantages = in_order(reading)
    for vantage in vantages:
        firsts.append((parts.exchanges, parts.flows))
        for batch in vantage.batches:
            latencies = batch["latencies"]
            latencies["vantage"] = np.full(len(latencies["latency"]), len(firsts) - 1, dtype=np.uint16)
        parts.add(vantage.batches, vantage.files, reading.kinds)
        vantage.batches.clear()
    captures, left = parts.columns("captures"), nothing_left()
    order = np.argsort(captures["capture"])
    files = [vantage.files for vantage in vantages]
    return Decoded(
        sources=reading.files,
        damages=dict(reading.damages),
        exchanges=as_captured(parts.columns("exchanges"), files),
        copies=parts.columns("copies"),
        flows=parts.columns("flows"),
        tallies=parts.columns("tallies"),
        latencies=parts.columns("latencies"),
        accesses=parts.columns("accesses"),
        unlocked_again=left["unlocked_again"] | parts.columns("unlocked_again"),
        left_out=left["left_out"] | parts.columns("left_out"),
        locals=parts.locals,
        captures={name: values[order] for name, values in captures.items()},
        formats=[parts.formats.get(number, "") for number in range(len(reading.files))],
        interfaces=parts.interfaces,
        oddities=parts.oddities,
        addresses=list(parts.addresses),
        strings=parts.strings,
        messages=parts.messages(),
        kinds=reading.kinds,
        skipped=reading.skipped,
        vantages=files,
        firsts=firsts,
    )


def as_captured(exchanges: Columns, vantages: Sequence[Sequence[int]]) -> Columns:
    """Exchanges in the order of their first frames, that the table of calls has: its columns are these."""
    files = [file for files in vantages for file in files]
    places = np.zeros(max(files) + 1, dtype=np.int64)
    places[files] = np.arange(len(files))
    call, reply = exchanges["call_frame"], exchanges["reply_frame"]
    key = np.where(call == 0, reply, call)
    if len(files) > 1:
        key = places[exchanges["capture"]] << 32 | key
    if not (key[1:] < key[:-1]).any():
        return exchanges
    order = np.argsort(key, kind="stable")
    for name in exchanges:  # one after the other, so that there is hardly more than one copy
        if exchanges[name].flags.writeable:
            exchanges[name][:] = exchanges[name][order]
        else:
            exchanges[name] = taken(exchanges[name], order)
    return exchanges


def in_order(reading: VantageBatches) -> list[Vantage]:
    """The vantages in an order that does not depend on the order of files in the call.

    The first one counts where several show the same: that which shows the most conversations, then the most frames.
    """

    def key(vantage: Vantage) -> tuple[int, int, str]:
        flows = [batch["flows"] for batch in vantage.batches]
        pairs = np.concatenate([flow["client"].astype(np.int64) << 32 | flow["server"] for flow in flows])
        frames = sum(int(batch["captures"]["frames"].sum()) for batch in vantage.batches)
        return -len(np.unique(pairs)), -frames, str(reading.files[vantage.files[0]])

    vantages = reading.vantages
    return sorted(vantages, key=key) if len(vantages) > 1 else vantages


class ColumnPieces:
    """Pieces of columns of several decoders, with their numbers made unique."""

    def __init__(self) -> None:
        self.addresses: dict[tuple[str, int], int] = {}
        self.strings: list[bytes] = []
        self.formats: dict[int, str] = {}
        self.interfaces: list[dict[str, Any]] = []
        self.locals: set[Local] = set()
        self.oddities: dict[str, Any] = {"kind": [], "capture": [], "frame": [], "time": [], "detail": []}
        self._numbers: dict[bytes, int] | None = None  # of strings; not needed for a single decoder
        self._pieces: dict[str, dict[str, list[Array]]] = {}
        self._messages: dict[str, dict[str, list[Masked]]] = {}
        self.exchanges = 0
        self.flows = 0

    def add(
        self, batches: Sequence[dict[str, Any]], numbers: Sequence[int], kinds: Mapping[str, Mapping[str, str]]
    ) -> None:
        """Adds the batches of one decoder, which read the files of these numbers."""
        maps = self._maps(batches)
        files = np.array(numbers, dtype=np.uint16)
        for batch in batches:
            for table in FIXED:
                pieces = self._pieces.setdefault(table, {})
                for name, values in batch.get(table, {}).items():
                    pieces.setdefault(name, []).append(renumbered(name, values, maps, files))
            for table, columns in batch["decoded"].items():
                if not len(columns["exchange"]) and table in self._messages:
                    continue
                found = self._messages.setdefault(table, {})
                for name, column in columns.items():
                    kind = "string" if kinds[table].get(name) == "bytes" else NUMBERS.get(name)
                    found.setdefault(name, []).append(renumbered_message(column, kind, maps))
            self._add_oddities(batch["oddities"], files)
            self.interfaces += [row | {"capture": numbers[row["capture"]]} for row in batch["interfaces"]]
            self.locals |= {(numbers[file], *rest) for file, *rest in batch["locals"]}
            ended = batch["captures"]["capture"].tolist()
            self.formats.update(zip(files[ended].tolist(), batch["capture_formats"], strict=True))
        self.exchanges += 1 + largest(batches, "exchanges", "exchange")
        self.flows += 1 + largest(batches, "flows", "flow")

    def _maps(self, batches: Sequence[Mapping[str, Any]]) -> dict[str, Array | int]:
        """The change from a decoder's numbers to unique ones, by kind: an offset, or a table."""
        found = (address for batch in batches for address in batch["addresses"])
        addresses = [self.addresses.setdefault(address, len(self.addresses)) for address in found]
        strings = [string for batch in batches for string in batch["strings"]]
        maps: dict[str, Array | int] = {"exchange": self.exchanges, "flow": self.flows}
        maps["address"] = lookup(addresses)
        maps["string"] = self._intern(strings)
        return maps

    def _intern(self, strings: list[bytes]) -> Array | int:
        if not self.strings:
            self.strings = strings
            return 0
        if self._numbers is None:
            self._numbers = {string: number for number, string in enumerate(self.strings)}
        known = self._numbers
        numbers = np.array([known.setdefault(string, len(known)) for string in strings], dtype=np.uint32)
        first = len(self.strings)
        self.strings += dict.fromkeys(string for string in strings if known[string] >= first)
        return numbers

    def _add_oddities(self, oddities: Mapping[str, Any], files: Array) -> None:
        for name, values in oddities.items():
            self.oddities[name] += (files[values] if name == "capture" else np.asarray(values)).tolist()

    # Pieces of a column are let go as soon as they are joined, so that there is hardly more than one copy of all.

    def columns(self, table: str) -> Columns:
        pieces = self._pieces.pop(table, {})
        return {name: constant(joined(pieces.pop(name))) for name in list(pieces)}

    def messages(self) -> dict[str, dict[str, Masked]]:
        tables, self._messages = self._messages, {}
        return {
            table: {name: masked_of(columns.pop(name)) for name in list(columns)} for table, columns in tables.items()
        }


def masked_of(pieces: list[Masked]) -> Masked:
    values, valid = (constant(joined([piece[part] for piece in pieces])) for part in range(2))
    return Masked(values, valid)


def renumbered(name: str, values: Array, maps: Mapping[str, Array | int], files: Array) -> Array:
    if name.endswith("capture"):
        return taken(files, values)
    return apply(maps[NUMBERS[name]], values) if name in NUMBERS else values


def renumbered_message(column: Any, kind: str | None, maps: Mapping[str, Array | int]) -> Masked:
    """A column of messages; a text that found no room in the core is null."""
    values, valid = column if isinstance(column, tuple) else (column, constant(np.ones(len(column), dtype=np.bool_)))
    if kind == "string" and len(values) and NO_STRING in values:
        valid = valid & (values != NO_STRING)
    return Masked(apply(maps[kind], values, valid) if kind else values, valid)


def lookup(numbers: Sequence[int]) -> Array | int:
    """The new number of each number as a table; the offset 0 if none changes."""
    return 0 if numbers == list(range(len(numbers))) else np.array(numbers, dtype=np.uint32)


def apply(change: Array | int, values: Array, valid: Mask | None = None) -> Array:
    """The values with an offset added, or looked up in a table; without an entry (NO_STRING) they stay."""
    if isinstance(change, int):
        return values + values.dtype.type(change) if change else values
    if valid is None and len(values) and values.max() < len(change):
        return change[values].astype(values.dtype, copy=False)
    known = values < len(change) if valid is None else valid & (values < len(change))
    changed = values.copy()
    changed[known] = change[values[known]]
    return changed


def joined(pieces: list[Array]) -> Array:
    filled = [piece for piece in pieces if len(piece)] or pieces[:1]
    if len(filled) > 1 and all(piece.strides == (0,) and piece[0] == filled[0][0] for piece in filled):
        return np.broadcast_to(filled[0][:1], sum(map(len, filled)))
    return filled[0] if len(filled) == 1 else np.concatenate(filled)


def largest(batches: Sequence[Mapping[str, Any]], table: str, name: str) -> int:
    return max((int(batch[table][name].max()) for batch in batches if len(batch[table][name])), default=-1)
