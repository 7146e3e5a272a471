"""The rows of some vantages out of the columns of all, with the numbers that they have in all; rows by another clock.

Files, addresses and strings stay those of all captures. The rows of all parts together are taken in one pass, so that
many parts cost no more than a few.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace
from typing import Any

import numpy as np

from nfsrpc.columns import NAT, Array, Masked
from nfsrpc.decode import FIXED, Columns, Decoded
from nfsrpc.sessions.tallies import INTERVAL


class Rows:
    """The rows of a table by vantage."""

    def __init__(self, vantage: Array, vantages: int) -> None:
        """`vantage` is that of each row."""
        self.order = np.argsort(vantage, kind="stable")
        self.starts = np.searchsorted(vantage[self.order], np.arange(vantages + 1))

    def of(self, vantages: Sequence[int]) -> Array:
        """The rows of some vantages, in their order."""
        return np.sort(np.concatenate([self.order[self.starts[each] : self.starts[each + 1]] for each in vantages]))


def of_vantages(decoded: Decoded, parts: Sequence[Sequence[int]]) -> list[Decoded]:
    """The rows of each of these sets of vantages."""
    firsts = np.array([exchange for exchange, _ in decoded.firsts], dtype=np.int64)
    fixed = {name: getattr(decoded, name) for name in FIXED if name != "captures"}
    known = {name: rows_by_vantage(decoded, columns, firsts) for name, columns in fixed.items()}
    fields = {name: rows_by_vantage(decoded, plain(columns), firsts) for name, columns in decoded.messages.items()}
    odd = rows_by_vantage(decoded, {"capture": np.array(decoded.oddities["capture"], dtype=np.int64)}, firsts)

    def of_part(part: Sequence[int]) -> Decoded:
        columns: dict[str, Any] = {name: taken(fixed[name], rows.of(part)) for name, rows in known.items()}
        columns["messages"] = {name: masked(decoded.messages[name], rows.of(part)) for name, rows in fields.items()}
        mine = odd.of(part).tolist()
        columns["oddities"] = {name: [values[row] for row in mine] for name, values in decoded.oddities.items()}
        return replace(decoded, **columns, _index={}, _latest={})

    return [of_part(part) for part in parts]


def moved(decoded: Decoded, by_clock: Callable[[Array, Array], Array]) -> Decoded:
    """The same rows with other times: `by_clock` has them by times and vantages. All that is signed is a time."""
    firsts = np.array([exchange for exchange, _ in decoded.firsts], dtype=np.int64)

    def column(name: str, values: Array, vantage: Array) -> Array:
        if values.dtype != np.int64:
            return values
        times = np.where(values == NAT, NAT, by_clock(values, vantage))
        return (times + INTERVAL // 2) // INTERVAL * INTERVAL if name == "interval" else times

    def table(columns: Columns) -> Columns:
        if not any(values.dtype == np.int64 for values in columns.values()):
            return columns
        vantage = vantage_of_rows(decoded, columns, firsts)
        return {name: column(name, values, vantage) for name, values in columns.items()}

    odd = decoded.oddities
    times = np.array([NAT if time is None else time for time in odd["time"]], dtype=np.int64)
    when = column("time", times, decoded.vantage[np.array(odd["capture"], dtype=np.int64)])
    oddities = odd | {"time": [None if time == NAT else time for time in when.tolist()]}
    columns: dict[str, Any] = {name: table(getattr(decoded, name)) for name in FIXED}
    return replace(decoded, oddities=oddities, **columns)


def rows_by_vantage(decoded: Decoded, columns: Columns, firsts: Array) -> Rows:
    """The rows of a table by vantage; `firsts` are the numbers of the vantages' first exchanges."""
    return Rows(vantage_of_rows(decoded, columns, firsts), len(firsts))


def vantage_of_rows(decoded: Decoded, columns: Columns, firsts: Array) -> Array:
    """The vantage of each row of a table; `firsts` are the numbers of the vantages' first exchanges."""
    for name in ("capture", "first_capture"):
        if name in columns:
            files: Array = decoded.vantage[columns[name]]
            return files
    found: Array | None = columns.get("vantage")
    return np.searchsorted(firsts, columns["exchange"], side="right") - 1 if found is None else found


def taken(columns: Columns, rows: Array) -> Columns:
    return {name: values[rows] for name, values in columns.items()}


def masked(columns: dict[str, Masked], rows: Array) -> dict[str, Masked]:
    return {name: Masked(column.values[rows], column.valid[rows]) for name, column in columns.items()}


def plain(columns: dict[str, Masked]) -> Columns:
    """The numbers of exchanges of messages."""
    return {"exchange": columns["exchange"].values}
