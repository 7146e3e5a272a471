"""Nested values as rows of columns: what the core's tables must hold for a message, made without any layout."""

from __future__ import annotations

from typing import Any

from nfsrpc.protocols import CALL, xdr
from nfsrpc.protocols.layout import column_names
from nfsrpc.protocols.xdr import Path
from tests.protocols.bodies import Body
from tests.protocols.reference_vm import Row, Value

Rows = dict[str, list[Row]]


def flattened(body: Body, value: Any) -> Rows:
    names = column_names(list(body.kind.leaves((), ())))
    main: Row = {}
    rows: Rows = {}

    def walk(kind: xdr.Type, value: Any, path: Path, row: Row, prefix: str) -> None:
        match kind:
            case xdr.Void():
                pass
            case xdr.Struct():
                for name, field in kind.fields.items():
                    walk(field, value[name], (*path, name), row, prefix)
            case xdr.Union():
                walk(kind.discriminant, value[kind.name], (*path, kind.name), row, prefix)
                walk(kind.arm(kind.discriminant.number_of(value[kind.name])), value, path, row, prefix)
            case xdr.Optional():
                if value is not None:
                    walk(kind.item, value, path, row, prefix)
            case xdr.Sequence():
                for item in value:
                    child: Row = {}
                    rows.setdefault(f"{body.protocol}.{path[-1]}", []).append(child)
                    walk(kind.item, item, (*path, xdr.ITEM), child, "")
            case _:
                row[prefix + names[path]] = column_value(kind, value)

    walk(body.kind, value, (), main, "" if body.direction == CALL else "res_")
    return {f"{body.protocol}.{('args', 'res')[body.direction]}": [main], **rows} if main else rows


def column_value(kind: xdr.Type, value: Any) -> Value:
    match kind:
        case xdr.Enum() | xdr.Status():
            return kind.number_of(value)
        case xdr.Data():
            return len(value)
        case xdr.String():
            return bytes(value.encode("utf-8", "surrogateescape"))
    assert isinstance(value, int | bytes)
    return value


def without_nulls(rows: Rows) -> Rows:
    """Rows of the machine without the columns that other procedures fill."""
    return {
        table: [{name: value for name, value in row.items() if value is not None} for row in found]
        for table, found in rows.items()
    }


def status_of(kind: xdr.Type, value: Any) -> int | None:
    """The value of the field that is declared to be the procedure's status."""
    match kind:
        case xdr.Status():
            return kind.number_of(value)
        case xdr.Struct():
            found = [status_of(field, value[name]) for name, field in kind.fields.items()]
            return next((status for status in found if status is not None), None)
        case xdr.Union():
            return status_of(kind.discriminant, value[kind.name])
    return None
