"""Rows of a decoder as Arrow tables, and back: columns as they are, fields that a message lacks as nulls."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, TypeAlias

import numpy as np

from nfsrpc._core import Decoder
from nfsrpc.extras import extra
from nfsrpc.reading import Batch

ArrowTable: TypeAlias = Any  # pyarrow.Table

LISTS = ("capture_formats", "interfaces", "locals")  # short ones: a row per file or interface
SELECTED = ("messages", "frames", "packets")  # of frames that were asked for: a fleet asks for none
DECODED = "decoded."


def to_arrow(batch: Batch) -> tuple[dict[str, ArrowTable], dict[str, list[Any]]]:
    """The tables of a batch, and its short lists."""
    pa = pyarrow()
    fixed = {name: columns for name, columns in batch.items() if isinstance(columns, dict) and name not in SELECTED}
    decoded = fixed.pop("decoded")
    tables = {name: table(columns) for name, columns in fixed.items()}
    tables |= {DECODED + name: table(columns) for name, columns in decoded.items()}
    texts, domains = zip(*batch["addresses"], strict=True) if batch["addresses"] else ((), ())
    tables["addresses"] = pa.table({"address": pa.array(texts, pa.string()), "domain": pa.array(domains, pa.uint32())})
    tables["strings"] = pa.table({"string": pa.array(batch["strings"], pa.large_binary())})
    return tables, {name: list(map(plain, batch[name])) for name in LISTS}


def from_arrow(tables: Mapping[str, ArrowTable], lists: Mapping[str, list[Any]]) -> Batch:
    """The batch that these tables were made of."""
    fixed = {name: each for name, each in tables.items() if "." not in name}
    addresses, strings = fixed.pop("addresses"), fixed.pop("strings")
    batch: Batch = Decoder([], []).drain() | {name: columns(each) for name, each in fixed.items()}
    named = {name.removeprefix(DECODED): each for name, each in tables.items() if name.startswith(DECODED)}
    batch["decoded"] = {name: columns(each) for name, each in named.items()}
    batch["addresses"] = list(zip(addresses["address"].to_pylist(), addresses["domain"].to_pylist(), strict=True))
    batch["strings"] = strings["string"].to_pylist()
    return batch | {
        "capture_formats": list(lists["capture_formats"]),
        "interfaces": [dict(row) for row in lists["interfaces"]],
        "locals": [tuple(row) for row in lists["locals"]],
    }


def table(columns: Mapping[str, Any]) -> ArrowTable:
    pa = pyarrow()
    arrays = {}
    for name, column in columns.items():
        values, valid = column if isinstance(column, tuple) else (column, None)
        arrays[name] = pa.array(values, mask=None if valid is None else ~valid)
    return pa.table(arrays)


def columns(table: ArrowTable) -> dict[str, Any]:
    return {name: column(table[name].combine_chunks()) for name in table.column_names}


def column(array: Any) -> Any:
    """A column of numpy; with its mask where the core gives one; a list for text."""
    pa = pyarrow()
    if pa.types.is_string(array.type):
        return array.to_pylist()
    if not array.null_count:
        return array.to_numpy(zero_copy_only=False)
    valid = array.is_valid().to_numpy(zero_copy_only=False)
    return array.fill_null(False if pa.types.is_boolean(array.type) else 0).to_numpy(
        zero_copy_only=False
    ), valid.astype(np.bool_)


def plain(row: Any) -> Any:
    """A row as JSON has it."""
    return list(row) if isinstance(row, tuple) else row


def pyarrow() -> Any:
    return extra("fleet", "pyarrow", "a fleet")
