"""Rows of a decoder as Arrow tables, and back: columns as they are, fields that a message lacks as nulls."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, TypeAlias

import numpy as np

from nfsrpc._core import Decoder
from nfsrpc.extras import extra
from nfsrpc.reading import Batch

ArrowTable: TypeAlias = Any  # pyarrow.Table

COLUMNS = ("exchanges", "copies", "flows", "captures", "tallies", "latencies", "accesses")
LISTS = ("capture_formats", "interfaces", "locals")  # short ones: a row per file or interface
DECODED = "decoded."


def to_arrow(batch: Batch) -> tuple[dict[str, ArrowTable], dict[str, list[Any]]]:
    """The tables of a batch, and its short lists."""
    pa = pyarrow()
    tables = {name: table(batch[name]) for name in COLUMNS}
    tables |= {DECODED + name: table(columns) for name, columns in batch["decoded"].items()}
    tables["oddities"] = table(batch["oddities"])
    texts, domains = zip(*batch["addresses"], strict=True) if batch["addresses"] else ((), ())
    tables["addresses"] = pa.table({"address": pa.array(texts, pa.string()), "domain": pa.array(domains, pa.uint32())})
    tables["strings"] = pa.table({"string": pa.array(batch["strings"], pa.large_binary())})
    return tables, {name: list(map(plain, batch[name])) for name in LISTS}


def from_arrow(tables: Mapping[str, ArrowTable], lists: Mapping[str, list[Any]]) -> Batch:
    """The batch that these tables were made of."""
    nothing: Batch = Decoder([], []).drain()
    batch = nothing | {name: columns(tables[name]) for name in COLUMNS}
    named = {name.removeprefix(DECODED): each for name, each in tables.items() if name.startswith(DECODED)}
    batch["decoded"] = {name: columns(each) for name, each in named.items()}
    batch["oddities"] = columns(tables["oddities"])
    batch["addresses"] = list(
        zip(tables["addresses"]["address"].to_pylist(), tables["addresses"]["domain"].to_pylist(), strict=True)
    )
    batch["strings"] = tables["strings"]["string"].to_pylist()
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
    # Parquet drops no column without rows, but a table of Arrow without columns has no length.
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
