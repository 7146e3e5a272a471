"""Rows that agree in some columns, numbered: the groups of a million rows in a few milliseconds.

Sorting a million rows takes longer than decoding them. Most keys here are small numbers (addresses, programs, flows),
for which a table of what occurs does instead; only values beyond its size are sorted.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, TypeVar

import numpy as np

from nfsrpc.columns import Array, Coded, Mask, Table

SMALL = 1 << 20  # values below this are looked up in a table of this size: 8 MB for a moment

# Row by row made distinct, keys below this, divided by the rows, stay numbers of 64 bits.
DISTINCT = 1 << 62


def number(values: Array) -> tuple[Array, int]:
    """Values as numbers from 0, equal ones equal, and how many there are."""
    if not len(values):
        return np.zeros(0, dtype=np.int64), 0
    if values.dtype == np.bool_:
        values = values.view(np.uint8)  # as an index, a mask would choose instead of count
    signed = values.dtype.kind == "i"
    top = int(values.max())
    if int(values.min()) == top:
        return np.zeros(len(values), dtype=np.int64), 1
    if top < SMALL and not (signed and int(values.min()) < 0):
        return _looked_up(values, top)
    large = values >= SMALL
    if signed:
        large |= values < 0
    numbers = np.empty(len(values), dtype=np.int64)
    few, inverse = np.unique(values[large], return_inverse=True)
    rest = values[~large]
    numbers[~large], count = _looked_up(rest, int(rest.max())) if len(rest) else (0, 0)
    numbers[large] = inverse + count
    return numbers, count + len(few)


def _looked_up(values: Array, top: int) -> tuple[Array, int]:
    occurs = np.zeros(top + 1, dtype=np.bool_)
    occurs[values] = True
    distinct = np.flatnonzero(occurs)
    table = np.empty(top + 1, dtype=np.int64)
    table[distinct] = np.arange(len(distinct))
    return table[values], len(distinct)


def in_order(keys: Array) -> Array:
    """The rows sorted by small numbers, equal ones as they stand: several times as quick as a stable sort.

    >>> in_order(np.array([2, 1, 2, 0])).tolist()
    [3, 1, 0, 2]
    """
    count = len(keys)
    if not count or int(keys.min()) < 0 or int(keys.max()) >= DISTINCT // count:
        return np.argsort(keys, kind="stable")
    return np.argsort(keys.astype(np.int64) * count + np.arange(count))


def group(*columns: Array) -> tuple[Array, Array]:
    """The number of each row's group, and for each group the first row of it."""
    groups, count = number(columns[0])
    dense = True  # all numbers below the count are in use
    for column in columns[1:]:
        numbers, distinct = number(column)
        if distinct > 1 and count > 1:
            dense = False
            groups = groups * distinct + numbers
            count *= distinct
        elif distinct > 1:
            groups, count = numbers, distinct
        if count >= SMALL and not dense:
            (groups, count), dense = number(groups), True
    if not dense:
        groups, count = number(groups)
    first = np.empty(count, dtype=np.int64)
    rows = np.arange(len(groups))
    first[groups[::-1]] = rows[::-1]  # of equal indices the last assignment stays
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


class Parts(dict[Any, Rows]):
    """The rows of a table that agree in a column (or in several: then keys are tuples), sorted by that.

    Rows without text there are in no part, and what does not occur has a part without rows.
    """

    def __init__(self, table: Rows, *names: str) -> None:
        columns = [table[name] for name in names]
        rows = known(columns)
        groups, first = group(*(codes_of(column)[rows] for column in columns))
        found = zip(keys_of(columns, rows[first]), members(groups), strict=True)
        super().__init__((key, table.take(rows[part])) for key, part in sorted(found, key=lambda pair: pair[0]))
        self.table = table

    def __missing__(self, key: Any) -> Rows:
        return self.table.take(np.zeros(0, dtype=np.int64))
