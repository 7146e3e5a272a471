"""Captures to columns: which files belong together, and what their decoders say, put into one set of columns.

Files that continue each other (a ring of tcpdump -C, -W, -G) go through one decoder, in order of their first frames, so
that connections and calls go on from file to file. Files that overlap in time are vantages of their own, each with its
decoder, because the same frame in two of them is two sightings and 127.0.0.1 is two parties. The rows of all are merged
here: numbers of exchanges, flows, addresses and strings are made unique, `capture` is the number of the file as given.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import PurePath
from typing import Any, TypeAlias

import numpy as np

from nfsrpc._core import Decoder, NotACapture
from nfsrpc.protocols import PROTOCOLS, Program, compile  # noqa: A004
from nfsrpc.sources import Capture, SourceError, captures, is_read_once, open_capture
from nfsrpc.tables import NAT, Array, Coded, Mask, Masked

Columns: TypeAlias = dict[str, Array]
Wanted: TypeAlias = Mapping[str, Collection[str]]
Progress: TypeAlias = Callable[[int, int | None], None]  # bytes done, bytes in all (None when a pipe has no size)

EVERYWHERE = 0xFFFFFFFF  # the domain of addresses that are not loopback
NO_STRING = 0xFFFFFFFF
# Between two files of a ring lies the silence between two frames; a file that begins later is another trace.
RING_GAP = 120_000_000_000
# Frames from several interfaces and CPUs are written out of order by this much, also at the seam of a ring.
RING_OVERLAP = 1_000_000_000
# Enough for the first frame of every format, jumbo frames and pcapng's headers included.
PEEK_BYTES = 1 << 17

# Programs whose messages tell names of files: welcome, but they may be millions, and must not take the room of locks.
SECONDARY = (100003, 100005)

FIXED = ("exchanges", "copies", "flows", "captures")  # tables of the core with columns of fixed kinds
UNUSABLE = {"empty": "is empty", "cut-header": "is cut within its header"}
NUMBERS = {"exchange": "exchange", "flow": "flow", "client": "address", "server": "address", "machine": "string"}


@dataclass
class Decoded:
    """Columns as the core makes them, over all files."""

    sources: list[Capture]
    damages: dict[int, str]  # of files whose compressed stream is broken: what is wrong
    exchanges: Columns
    copies: Columns
    flows: Columns
    captures: Columns
    formats: list[str]
    interfaces: list[dict[str, Any]]
    oddities: dict[str, Any]
    addresses: list[tuple[str, int]]
    strings: list[bytes]
    messages: dict[str, dict[str, Masked]]
    kinds: Mapping[str, Mapping[str, str]]  # of the columns of messages
    vantages: list[list[int]]  # the files of each vantage, in their order
    firsts: list[tuple[int, int]]  # of each vantage, the numbers that its first exchange and flow have
    _index: dict[str, tuple[Array, Array]] = field(default_factory=dict, repr=False)
    _latest: dict[str, tuple[Array, Array, Mask]] = field(default_factory=dict, repr=False)
    _rows: Array | None = field(default=None, repr=False)

    @property
    def files(self) -> list[str]:
        """The names of the files."""
        return list(map(str, self.sources))

    @property
    def vantage(self) -> Array:
        """The vantage of each file."""
        numbers = np.zeros(len(self.sources), dtype=np.uint16)
        for vantage, files in enumerate(self.vantages):
            numbers[files] = vantage
        return numbers

    @property
    def vantage_ends(self) -> Array:
        """The last time of each vantage."""
        return np.array([self.captures["last"][files].max() for files in self.vantages], dtype=np.int64)

    def row_of_exchange(self, exchanges: Array) -> Array:
        """The rows of `exchanges` that have these numbers."""
        if self._rows is None:
            numbers = self.exchanges["exchange"]
            self._rows = np.zeros(int(numbers.max(initial=0)) + 1, dtype=np.int64)
            self._rows[numbers] = np.arange(len(numbers))
        return self._rows[exchanges]

    def has(self, table: str) -> bool:
        return table in self.messages and len(self.messages[table]["exchange"].values) > 0

    def column(self, table: str, name: str, exchanges: Array) -> Masked:
        """A decoded field (of the first copy of a message) for each of these exchanges; null where it has none."""
        if not self.has(table) or name not in self.messages[table]:
            return Masked(np.zeros(len(exchanges), dtype=np.uint32), np.zeros(len(exchanges), dtype=np.bool_))
        rows, found = self._found(table, exchanges)
        values, valid = self.messages[table][name]
        return Masked(values[rows], valid[rows] & found)

    def _found(self, table: str, exchanges: Array) -> tuple[Array, Mask]:
        """The rows of a table that are of these exchanges, and whether there is one."""
        if (
            table not in self._latest or self._latest[table][0] is not exchanges
        ):  # fields are asked for one after another
            order, numbers = self._first_copies(table)
            at = np.minimum(np.searchsorted(numbers, exchanges), len(numbers) - 1)
            self._latest[table] = exchanges, order[at], numbers[at] == exchanges
        return self._latest[table][1:]

    def _first_copies(self, table: str) -> tuple[Array, Array]:
        """Rows of a table that are of first copies, by exchange, and these exchanges."""
        if table not in self._index:
            columns = self.messages[table]
            numbers = columns["exchange"].values
            rows = np.flatnonzero(columns["copy"].values == 0)
            rows = rows[np.argsort(numbers[rows], kind="stable")]
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


def text_of(text: bytes) -> str:
    """A name as it was sent, with what is not printable escaped."""
    shown = text.decode("utf-8", "backslashreplace")
    return shown if shown.isprintable() else shown.encode("unicode_escape").decode("ascii")


def decode(
    sources: Iterable[Any],
    wanted: Wanted | None = None,
    programs: Sequence[Program] = PROTOCOLS,
    progress: Progress | None = None,
) -> Decoded:
    """The columns of some captures (paths, open files, bytes), with the `wanted` fields of messages (None: all).

    Raises SourceError.
    """
    files = captures(sources)
    if not files:
        raise ValueError("no capture is given")
    layouts, specs = compile(programs, wanted)
    reader = Reader(files, progress)
    vantages: list[Vantage] = []
    for number, first in in_time_order(files):
        vantage = next((known for known in reversed(vantages) if known.continues(files, number, first)), None)
        if vantage is None:
            vantage = Vantage(Decoder(layouts, specs, number, secondary=() if wanted is None else SECONDARY))
            vantages.append(vantage)
        vantage.read(number, reader)
    kinds = {table: dict(columns) for table, columns in specs}
    vantages.sort(key=lambda known: min(known.files))
    return merge(files, vantages, reader.damages, kinds)


def in_time_order(files: Sequence[Capture]) -> list[tuple[int, int]]:
    """The numbers of the files with the time of their first frames, sorted by it; of a single file it is not asked."""
    if len(files) == 1:
        return [(0, NAT)]
    firsts = [(NAT if is_read_once(file) else first_time(file), number) for number, file in enumerate(files)]
    return [(number, first) for first, number in sorted(firsts)]


def first_time(file: Capture) -> int:
    probe = Decoder([], [])
    with open_capture(file, chunk_size=PEEK_BYTES) as source, refusing(str(file)):
        for chunk in source:
            probe.feed(chunk)
            if source.position >= PEEK_BYTES:
                break
        return int(probe.close()["captures"]["first"][0])


@contextmanager
def refusing(name: str) -> Iterator[None]:
    """Names the file that the core refuses."""
    try:
        yield
    except NotACapture as error:
        raise SourceError(name, str(error)) from error


class Reader:
    """The chunks of files, with the progress made over all of them."""

    def __init__(self, files: Sequence[Capture], progress: Progress | None) -> None:
        self.files = files
        self.progress = progress
        self.damages: dict[int, str] = {}
        self.done = 0
        self.total = total_size(files) if progress else None

    def chunks(self, number: int) -> Iterator[bytes]:
        with open_capture(self.files[number]) as source:
            before = self.done
            for chunk in source:
                yield chunk
                self.done = before + source.position
                if self.progress:
                    self.progress(self.done, self.total)
            if source.damage:
                self.damages[number] = source.damage


def total_size(files: Sequence[Capture]) -> int | None:
    sizes = []
    for file in files:
        if is_read_once(file):
            return None
        with open_capture(file) as source:
            sizes.append(source.size)
    return sum(size for size in sizes if size is not None) if None not in sizes else None


@dataclass
class Vantage:
    """A decoder, the files that it has read, and what it gave."""

    decoder: Decoder
    files: list[int] = field(default_factory=list)
    batches: list[dict[str, Any]] = field(default_factory=list)
    last: int = NAT

    def continues(self, files: Sequence[Capture], number: int, first: int) -> bool:
        """Whether a file that begins at `first` is the next one of this ring."""
        if NAT in (first, self.last):
            return False
        gap = first - self.last
        return -RING_OVERLAP <= gap <= RING_GAP and ring_name(str(files[number])) == ring_name(
            str(files[self.files[-1]])
        )

    def read(self, number: int, reader: Reader) -> None:
        """One more file, to its end."""
        self.files.append(number)
        name = str(reader.files[number])
        for chunk in reader.chunks(number):
            with refusing(name):
                self.decoder.feed(chunk)
        with refusing(name):
            ending = self.decoder.next_capture()
        if ending in UNUSABLE:
            raise SourceError(name, UNUSABLE[ending])
        self.batches.append(self.decoder.drain())
        self.last = max(self.last, int(self.batches[-1]["captures"]["last"][-1]))

    def close(self) -> list[dict[str, Any]]:
        """Its batches, the last with what only the end of the capture decides."""
        last = self.decoder.close()
        last["captures"] = {
            name: values[:0] for name, values in last["captures"].items()
        }  # of a next file: there is none
        return [*self.batches, last | {"capture_formats": [], "interfaces": []}]


def ring_name(file: str) -> str:
    """A file's name without what tcpdump counts up in it: trace.pcap12, trace-20260101-1200.pcap."""
    return re.sub(r"\d+", "", PurePath(file).name)


def merge(
    sources: list[Capture], vantages: list[Vantage], damages: Mapping[int, str], kinds: Mapping[str, Mapping[str, str]]
) -> Decoded:
    """What the decoders of all vantages gave, as one."""
    parts, firsts = Parts(), list[tuple[int, int]]()
    for vantage in vantages:
        firsts.append((parts.exchanges, parts.flows))
        parts.add(vantage.close(), vantage.files, kinds)
        vantage.batches.clear()
    captures = parts.columns("captures")
    order = np.argsort(captures["capture"])
    return Decoded(
        sources=sources,
        damages=dict(damages),
        exchanges=parts.columns("exchanges"),
        copies=parts.columns("copies"),
        flows=parts.columns("flows"),
        captures={name: values[order] for name, values in captures.items()},
        formats=[parts.formats.get(number, "") for number in range(len(sources))],
        interfaces=parts.interfaces,
        oddities=parts.oddities,
        addresses=list(parts.addresses),
        strings=parts.strings,
        messages=parts.messages(),
        kinds=kinds,
        vantages=[vantage.files for vantage in vantages],
        firsts=firsts,
    )


class Parts:
    """Columns of several decoders, in pieces, on their way to being one set."""

    def __init__(self) -> None:
        self.addresses: dict[tuple[str, int], int] = {}
        self.strings: list[bytes] = []
        self.formats: dict[int, str] = {}
        self.interfaces: list[dict[str, Any]] = []
        self.oddities: dict[str, Any] = {"kind": [], "capture": [], "frame": [], "time": [], "detail": []}
        self._numbers: dict[bytes, int] | None = None  # of strings; not needed for a single decoder
        self._pieces: dict[str, dict[str, list[Array]]] = {}
        self._messages: dict[str, dict[str, list[Masked]]] = {}
        self.exchanges = 0
        self.flows = 0

    def add(
        self, batches: Sequence[dict[str, Any]], numbers: Sequence[int], kinds: Mapping[str, Mapping[str, str]]
    ) -> None:
        """The batches of one decoder that read the files of these numbers."""
        maps = self._maps(batches)
        files = np.array(numbers, dtype=np.uint16)
        for batch in batches:
            for table in FIXED:
                pieces = self._pieces.setdefault(table, {})
                for name, values in batch[table].items():
                    pieces.setdefault(name, []).append(renumbered(name, values, maps, files))
            for table, columns in batch["decoded"].items():
                found = self._messages.setdefault(table, {})
                for name, column in columns.items():
                    kind = "string" if kinds[table].get(name) == "bytes" else NUMBERS.get(name)
                    found.setdefault(name, []).append(renumbered_message(column, kind, maps))
            self._add_oddities(batch["oddities"], files)
            self.interfaces += [row | {"capture": numbers[row["capture"]]} for row in batch["interfaces"]]
            ended = batch["captures"]["capture"].tolist()
            self.formats.update(zip(files[ended].tolist(), batch["capture_formats"], strict=True))
        self.exchanges += 1 + largest(batches, "exchanges", "exchange")
        self.flows += 1 + largest(batches, "flows", "flow")

    def _maps(self, batches: Sequence[Mapping[str, Any]]) -> dict[str, Array | int]:
        """How a decoder's numbers become everybody's: by adding, or by looking up."""
        found = (address for batch in batches for address in batch["addresses"])
        addresses = [self.addresses.setdefault(address, len(self.addresses)) for address in found]
        strings = [string for batch in batches for string in batch["strings"]]
        maps: dict[str, Array | int] = {"exchange": self.exchanges, "flow": self.flows}
        maps["address"] = np.array(addresses, dtype=np.uint32)
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
        self.strings = list(known)
        return numbers

    def _add_oddities(self, oddities: Mapping[str, Any], files: Array) -> None:
        for name, values in oddities.items():
            self.oddities[name] += (files[values] if name == "capture" else np.asarray(values)).tolist()

    def columns(self, table: str) -> Columns:
        return {name: joined(pieces) for name, pieces in self._pieces.pop(table, {}).items()}

    def messages(self) -> dict[str, dict[str, Masked]]:
        return {
            table: {
                name: Masked(joined([piece.values for piece in pieces]), joined([piece.valid for piece in pieces]))
                for name, pieces in columns.items()
            }
            for table, columns in self._messages.items()
        }


def renumbered(name: str, values: Array, maps: Mapping[str, Array | int], files: Array) -> Array:
    if name.endswith("capture"):
        return files[values]
    return apply(maps[NUMBERS[name]], values) if name in NUMBERS else values


def renumbered_message(column: Any, kind: str | None, maps: Mapping[str, Array | int]) -> Masked:
    values, valid = column if isinstance(column, tuple) else (column, np.ones(len(column), dtype=np.bool_))
    return Masked(apply(maps[kind], values, valid) if kind else values, valid)


def apply(change: Array | int, values: Array, valid: Mask | None = None) -> Array:
    """Added, or looked up; what has no entry there (NO_STRING) stays as it is."""
    if isinstance(change, int):
        return values + values.dtype.type(change) if change else values
    known = values < len(change) if valid is None else valid & (values < len(change))
    changed = values.copy()
    changed[known] = change[values[known]]
    return changed


def joined(pieces: list[Array]) -> Array:
    return pieces[0] if len(pieces) == 1 else np.concatenate(pieces)


def largest(batches: Sequence[Mapping[str, Any]], table: str, name: str) -> int:
    return max((int(batch[table][name].max()) for batch in batches if len(batch[table][name])), default=-1)
