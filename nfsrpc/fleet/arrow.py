"""Rows of a decoder as Arrow tables, and back: columns as they are, fields that a message lacks as nulls.

They travel as one stream of Arrow, compressed as a whole, for the schemas of many tables would take room too; numbers
as differences from row to row, for times, frames and exchanges rise, which halves what is left of them.
Tables without rows stay behind, and so do those that only a decoder which is still reading asks for.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any, TypeAlias

import numpy as np

from nfsrpc._core import Decoder
from nfsrpc.columns import Array
from nfsrpc.extras import extra
from nfsrpc.reading import Batch

ArrowTable: TypeAlias = Any  # pyarrow.RecordBatch: a table of one piece

LISTS = ("capture_formats", "interfaces", "locals")  # short ones: a row per file or interface
SELECTED = ("messages", "frames", "packets")  # of frames that were asked for: a fleet asks for none
READING = ("counted_owners", "earlier_owners")  # of sessions that left, for what the decoder reads next
DECODED = "decoded."
NAME = b"table"
CODEC = "zstd"
NUMBERS = ("int32", "int64", "uint32", "uint64")


def to_arrow(batch: Batch) -> tuple[dict[str, ArrowTable], dict[str, list[Any]]]:
    """The tables of a batch that have rows, and its short lists."""
    pa = pyarrow()
    left_out = (*SELECTED, *READING, "decoded")
    named = {name: columns for name, columns in batch.items() if isinstance(columns, dict) and name not in left_out}
    named |= {DECODED + name: columns for name, columns in batch["decoded"].items()}
    tables = {name: table(columns) for name, columns in named.items()}
    texts, domains = zip(*batch["addresses"], strict=True) if batch["addresses"] else ((), ())
    addresses = {"address": pa.array(texts, pa.string()), "domain": pa.array(domains, pa.uint32())}
    tables["addresses"] = pa.record_batch(addresses)
    tables["strings"] = pa.record_batch({"string": pa.array(batch["strings"], pa.large_binary())})
    lists = {name: list(map(plain, batch[name])) for name in LISTS}
    return {name: each for name, each in tables.items() if len(each)}, lists


def from_arrow(tables: Mapping[str, ArrowTable], lists: Mapping[str, list[Any]]) -> Batch:
    """The batch that these tables were made of, without the tables of fields that no message has."""
    batch: Batch = Decoder().drain()
    for name, each in tables.items():
        if name == "addresses":
            batch[name] = list(zip(*(column.to_pylist() for column in each.columns), strict=True))
        elif name == "strings":
            batch[name] = each["string"].to_pylist()
        elif name.startswith(DECODED):
            batch["decoded"][name.removeprefix(DECODED)] = columns(each)
        else:
            batch[name] = columns(each)
    return batch | {
        "capture_formats": list(lists["capture_formats"]),
        "interfaces": [dict(row) for row in lists["interfaces"]],
        "locals": [tuple(row) for row in lists["locals"]],
    }


def packed(tables: Mapping[str, ArrowTable]) -> bytes:
    """The tables as one compressed stream."""
    pa = pyarrow()
    sink = pa.BufferOutputStream()
    with pa.CompressedOutputStream(sink, CODEC) as stream:
        for name, each in tables.items():
            each = each.replace_schema_metadata({NAME: name})
            with pa.ipc.new_stream(stream, each.schema) as writer:
                writer.write_batch(with_numbers(each, differences))
    return bytes(sink.getvalue())


def unpacked(stream: bytes) -> dict[str, ArrowTable]:
    """The tables of a stream that `packed` has made."""
    pa = pyarrow()
    with pa.CompressedInputStream(pa.BufferReader(stream), CODEC) as compressed:
        source = pa.BufferReader(compressed.read())
    tables = {}
    while source.tell() < source.size():
        (each,) = pa.ipc.open_stream(source)
        tables[each.schema.metadata[NAME].decode()] = with_numbers(each.replace_schema_metadata(None), sums)
    return tables


def with_numbers(table: ArrowTable, change: Callable[[Array], Array]) -> ArrowTable:
    """The table with its columns of large numbers changed; those that have nulls stay."""
    pa = pyarrow()
    arrays = [
        pa.array(change(array.to_numpy())) if str(array.type) in NUMBERS and not array.null_count else array
        for array in table.columns
    ]
    return pa.RecordBatch.from_arrays(arrays, schema=table.schema)


def differences(values: Array) -> Array:
    """Each value less the one before it, modulo the size of the type.

    >>> sums(differences(np.array([7, 3, 2**32 - 1], dtype=np.uint32))).tolist()
    [7, 3, 4294967295]
    """
    return np.diff(values, prepend=values.dtype.type(0))


def sums(values: Array) -> Array:
    return np.cumsum(values, dtype=values.dtype)


def table(columns: Mapping[str, Any]) -> ArrowTable:
    pa = pyarrow()
    arrays = {}
    for name, column in columns.items():
        values, valid = column if isinstance(column, tuple) else (column, None)
        arrays[name] = pa.array(values, mask=None if valid is None else ~valid)
    return pa.record_batch(arrays)


def columns(table: ArrowTable) -> dict[str, Any]:
    return {name: column(array) for name, array in zip(table.schema.names, table.columns, strict=True)}


def column(array: Any) -> Any:
    """A column of numpy; with its mask where the core gives one; a list for text.

    It is a copy: what a small column lies in is the whole stream, which would stay in memory with it.
    """
    kind = str(array.type)
    if kind == "string":
        return array.to_pylist()
    if not array.null_count:
        return np.array(array.to_numpy(zero_copy_only=False))
    valid = np.array(array.is_valid().to_numpy(zero_copy_only=False), dtype=np.bool_)
    return np.array(array.fill_null(False if kind == "bool" else 0).to_numpy(zero_copy_only=False)), valid


def plain(row: Any) -> Any:
    """A row as JSON has it."""
    return list(row) if isinstance(row, tuple) else row


def pyarrow() -> Any:
    return extra("fleet", "pyarrow", "a fleet")
