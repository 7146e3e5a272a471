"""Decoded messages as tables: arguments and results side by side, or the items of a list, each with its call."""

from __future__ import annotations

import numpy as np

from nfsrpc.columns import Array, Column, Masked, Source, Table, TableSpec, distinct
from nfsrpc.decode import Decoded, rows_of
from nfsrpc.protocols import Program, compile  # noqa: A004
from nfsrpc.tables import CALLS, Calls

CALL_COLUMNS = (
    "capture",
    "call_frame",
    "reply_frame",
    "time",
    "client",
    "server",
    "procedure",
    "rpc_status",
    "exchange",
)


OF_CALLS = tuple(column for column in CALLS.columns if column.name in CALL_COLUMNS)
PLACES = (
    Column("index", "u32", "", "place of the item in its list, from 0"),
    Column("outer", "u32?", "", "place of the item that its list is in, where there is one"),
)
NO_ITEM = 0xFFFFFFFF  # of the core


def declared(program: Program) -> list[TableSpec]:
    """The tables of a program's messages: of their arguments, of their results, of each list in them."""
    rows = {f"{program.protocol}.args": "call: its arguments", f"{program.protocol}.res": "reply: its results"}
    return [
        TableSpec(
            name,
            f"One row per {rows.get(name, 'item of a list in a message')}. Columns of the call come first.",
            (*OF_CALLS, *PLACES, *(of_message(field, kind) for field, kind in fields)),
        )
        for name, fields in compile([program])[1]
    ]


def messages(decoded: Decoded, name: str, calls: Calls) -> Table:
    """The table of a protocol's messages ("nlm4"), or of the items of a list in them ("nfs3.entries")."""
    if "." in name:
        return items(decoded, name, calls)
    parts = [table for table in (f"{name}.args", f"{name}.res") if decoded.has(table)]
    numbers = [decoded.messages[table]["exchange"].values for table in parts]
    exchanges = distinct(np.concatenate(numbers)) if numbers else np.zeros(0, dtype=np.uint32)
    rows = rows_in(calls, exchanges)
    order = np.argsort(rows, kind="stable")
    order = order[rows[order] >= 0]  # counted exchanges are not among the calls
    fields = {
        field: (kind, decoded.column(table, field, exchanges[order]))
        for table in parts
        for field, kind in decoded.kinds[table].items()
    }
    return joined(decoded, name, calls.take(rows[order]), fields)


def items(decoded: Decoded, name: str, calls: Calls) -> Table:
    if name not in decoded.kinds:
        raise KeyError(f"no messages {name}; there are {', '.join(sorted(decoded.kinds))}")
    columns = decoded.children(name)
    rows = rows_in(calls, columns["exchange"].values if columns else np.zeros(0, dtype=np.uint32))
    listed = rows >= 0
    kinds = {**{place.name: "u32" for place in PLACES}, **decoded.kinds[name]}
    fields = {
        field: (kind, Masked(*(part[listed] for part in columns[field]))) for field, kind in kinds.items() if columns
    }
    if fields and not (fields["outer"][1].values != NO_ITEM).any():
        del fields["outer"]
    return joined(decoded, name, calls.take(rows[listed]), fields)


def rows_in(calls: Calls, exchanges: Array) -> Array:
    """The rows of calls that are these exchanges, -1 for one that is not among them."""
    return rows_of(calls["exchange"], exchanges)


def joined(decoded: Decoded, name: str, calls: Calls, fields: dict[str, tuple[str, Masked]]) -> Table:
    specs = list(OF_CALLS)
    columns: dict[str, Source] = {column.name: calls.data(column.name) for column in specs}
    for field, (kind, values) in fields.items():
        columns[field] = decoded.text(values, readable) if kind == "bytes" else values
        specs.append(of_message(field, kind))
    return Table(TableSpec(name, "", tuple(specs)), len(calls), columns)


def of_message(field: str, kind: str) -> Column:
    return Column(field, "text" if kind == "bytes" else f"{kind}?", "", "")


def readable(text: bytes) -> str:
    """Bytes as text: names as they are, handles in hex."""
    try:
        plain = text.decode("ascii")
    except UnicodeDecodeError:
        return text.hex()
    return plain if plain.isprintable() else text.hex()
