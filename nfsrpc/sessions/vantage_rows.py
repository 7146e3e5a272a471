"""The rows of some vantages out of the columns of all, with the numbers that they have in all.

Files, addresses and strings stay those of all captures. The rows of all parts together are taken in one pass, so that
many parts cost no more than a few.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import Any

import numpy as np

from nfsrpc.columns import Array, Masked
from nfsrpc.decode import FIXED, Decoded


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


def rows_by_vantage(decoded: Decoded, columns: dict[str, Array], firsts: Array) -> Rows:
    """The rows of a table by vantage; `firsts` are the numbers of the vantages' first exchanges."""
    for name in ("capture", "first_capture"):
        if name in columns:
            return Rows(decoded.vantage[columns[name]], len(firsts))
    vantage = columns.get("vantage")
    if vantage is None:
        vantage = np.searchsorted(firsts, columns["exchange"], side="right") - 1
    return Rows(vantage, len(firsts))


def taken(columns: dict[str, Array], rows: Array) -> dict[str, Array]:
    return {name: values[rows] for name, values in columns.items()}


def masked(columns: dict[str, Masked], rows: Array) -> dict[str, Masked]:
    return {name: Masked(column.values[rows], column.valid[rows]) for name, column in columns.items()}


def plain(columns: dict[str, Masked]) -> dict[str, Array]:
    """The numbers of exchanges of messages."""
    return {"exchange": columns["exchange"].values}
