"""Rows that agree in some columns, numbered: the groups of a million rows in a few milliseconds.

The columns are packed into one whole number per row. Few different ones (addresses, programs, flows) are looked up in a
table of what occurs. Others are sorted, each with the number of its row in its lowest bits: numpy sorts whole numbers
with vector instructions, which is several times as quick as a stable sort of rows, and their order comes with them.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any, TypeVar

import numpy as np

from nfsrpc.columns import NAT, Array, Coded, Mask, Table

# Keys below so many, or so many times the rows, are looked up in a table of this size; others are sorted.
SMALL, SPARSE = 1 << 12, 4
BITS = 63  # of a whole number that numpy sorts, without its sign


def keys_from(values: Array) -> tuple[Array, int]:
    """Whole numbers as keys from 0, in the same order but for negative ones, which come last; and a bound of them."""
    if values.dtype.kind != "u":  # also a mask, which as an index would choose instead of count
        values = values.view(np.dtype(f"u{values.dtype.itemsize}"))
    low, high = (int(bound) for bound in (values.min(), values.max()))
    if low == high:  # as many columns are
        return np.zeros(1, dtype=np.int64), 1
    keys = (values - values.dtype.type(low)) if low else values
    return keys.astype(np.int64), high - low + 1


def number(values: Array) -> tuple[Array, int]:
    """Values as numbers from 0, equal ones equal, and how many there are."""
    groups, first = group(values)
    return groups, len(first)


def room(rows: int) -> int:
    """The bound of keys that can be sorted with the numbers of so many rows."""
    return 1 << (BITS - rows.bit_length())


def with_rows(keys: Array) -> Array:
    """Keys below `room`, sorted, each with the number of its row in its lowest bits."""
    packed = keys << len(keys).bit_length()
    packed |= np.arange(len(keys))
    packed.sort()
    return packed


def in_order(values: Array) -> Array:
    """The rows sorted by whole numbers, equal ones as they stand.

    >>> in_order(np.array([2, 1, 2, -1])).tolist()
    [3, 1, 0, 2]
    """
    count = len(values)
    low, high = (int(values.min()), int(values.max())) if count else (0, 0)
    if low == NAT < high:  # which is far below all other times
        low = int(values[values != NAT].min()) - 1
        values = np.maximum(values, low)
    if not count or high - low >= room(count):
        return np.argsort(values, kind="stable")
    packed = with_rows(values.astype(np.int64) - values.min().astype(np.int64))
    packed &= (1 << count.bit_length()) - 1
    return packed


def group(*columns: Array) -> tuple[Array, Array]:
    """The number of each row's group, in the order of their values, and for each group the first row of it."""
    rows = len(columns[0])
    if not rows:
        return np.zeros(0, dtype=np.int64), np.zeros(0, dtype=np.int64)
    most = room(rows)
    keys, bound = np.zeros(1, dtype=np.int64), 1
    for column in columns:
        more, its = keys_from(column)
        if bound * its > most and its > rows:
            more, its = distinct_keys(more, its)
        if bound * its > most:
            keys, bound = distinct_keys(keys, bound)
        if its > 1:
            keys, bound = (keys * its + more if bound > 1 else more), bound * its
    return numbered(keys, bound) if bound > 1 else (np.zeros(rows, dtype=np.int64), np.zeros(1, dtype=np.int64))


def distinct_keys(keys: Array, bound: int) -> tuple[Array, int]:
    groups, first = numbered(keys, bound)
    return groups, len(first)


def numbered(keys: Array, bound: int) -> tuple[Array, Array]:
    """The number of each key among those that occur, and of each of these the first row."""
    rows = len(keys)
    if bound <= max(SMALL, SPARSE * rows):
        return looked_up(keys, bound)
    if bound <= room(rows):
        packed, bits = with_rows(keys), rows.bit_length()
        order = packed & ((1 << bits) - 1)
        packed >>= bits
    else:
        order = np.argsort(keys.view(np.uint64), kind="stable")
        packed = keys[order]
    starts = np.empty(rows, dtype=np.bool_)
    starts[0] = True
    np.not_equal(packed[1:], packed[:-1], out=starts[1:])
    groups = np.empty(rows, dtype=np.int64)
    groups[order] = np.cumsum(starts) - 1
    return groups, order[np.flatnonzero(starts)]


def looked_up(keys: Array, bound: int) -> tuple[Array, Array]:
    occurs = np.zeros(bound, dtype=np.bool_)
    occurs[keys] = True
    occurring = np.flatnonzero(occurs)
    table = np.empty(bound, dtype=np.int64)
    table[occurring] = np.arange(len(occurring))
    groups = table[keys]
    first = np.empty(len(occurring), dtype=np.int64)
    first[groups[::-1]] = np.arange(len(keys))[::-1]  # of equal indices the last assignment stays
    return groups, first


def members(groups: Array) -> list[Array]:
    """The rows of each group, in their order, by its number.

    >>> [rows.tolist() for rows in members(np.array([1, 0, 1]))]
    [[1], [0, 2]]
    """
    if not len(groups):
        return []
    return np.split(in_order(groups), np.cumsum(np.bincount(groups))[:-1])


def long_runs(goes_on: Mask, least: int) -> list[tuple[int, int]]:
    """Runs of at least so many rows: of each the first row and the one after its last.

    `goes_on` is, for each row but the first, whether it belongs to the run of the row before.


    >>> long_runs(np.array([True, True, False, True]), 3)
    [(0, 3)]
    """
    bounds = np.concatenate([[0], np.flatnonzero(~goes_on) + 1, [len(goes_on) + 1]])
    long = np.flatnonzero(np.diff(bounds) >= least)
    return list(zip(bounds[long].tolist(), bounds[long + 1].tolist(), strict=True))


def codes_of(column: Array | Coded) -> Array:
    return column.codes + 1 if isinstance(column, Coded) else column


def known(columns: Sequence[Array | Coded]) -> Array:
    """The rows that have text in all columns of text: rows without a name are not equal to each other."""
    masks = [column.codes >= 0 for column in columns if isinstance(column, Coded)]
    return np.flatnonzero(np.logical_and.reduce(masks)) if masks else np.arange(len(columns[0]))


def keys_of(columns: Sequence[Array | Coded], rows: Array) -> list[Any]:
    """The values of these rows in a column, or in several as tuples."""
    lists = [column[rows].tolist() for column in columns]
    return lists[0] if len(lists) == 1 else list(zip(*lists, strict=True))


Rows = TypeVar("Rows", bound=Table)


class Parts(Mapping[Any, Rows]):
    """The rows of a table that agree in a column (or in several: then keys are tuples), sorted by that.

    Rows without text there are in no part, and what does not occur has a part without rows. Each is taken at first use.
    """

    def __init__(self, table: Rows, *names: str) -> None:
        columns = [table[name] for name in names]
        rows = known(columns)
        groups, first = group(*(codes_of(column)[rows] for column in columns))
        self.table, self._rows = table, rows[in_order(groups)]
        self._taken: dict[Any, Rows] = {}
        ends = np.cumsum(np.bincount(groups, minlength=len(first))).tolist()
        keys = keys_of(columns, rows[first])
        self._places = dict(sorted(zip(keys, zip([0, *ends], ends, strict=False), strict=True)))

    def __getitem__(self, key: Any) -> Rows:
        if key not in self._taken:
            first, end = self._places.get(key, (0, 0))
            self._taken[key] = self.table.take(self._rows[first:end])
        return self._taken[key]

    def __contains__(self, key: object) -> bool:
        return key in self._places

    def __iter__(self) -> Iterator[Any]:
        return iter(self._places)

    def __len__(self) -> int:
        return len(self._places)
