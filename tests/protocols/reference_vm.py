"""What a compiled layout means: an interpreter of its operations, slow and simple, that the core's is checked against.

The operations are described in nfsrpc/protocols/xdr.py; what they read comes out as rows of Python values by table.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import NamedTuple

from nfsrpc.protocols import Layout, TableSpec, xdr
from nfsrpc.protocols.xdr import Op

Value = int | bool | bytes | None
Row = dict[str, Value]


class LayoutError(Exception):
    """The body is not what the layout says."""


@dataclass
class Outcome:
    rows: dict[str, list[Row]] = field(default_factory=dict)
    status: int | None = None
    stopped: str = ""
    bad_enums: list[int] = field(default_factory=list)


class Target(NamedTuple):
    """The row that columns go to, with the columns of its table."""

    row: Row
    columns: list[tuple[str, str]]


@dataclass
class Loop:
    op: Op
    begin: int
    outer: Target | None
    left: int


class Machine:
    def __init__(self, layout: Layout, tables: list[TableSpec], body: bytes) -> None:
        self.ops, self.tables, self.body = layout[5], tables, body
        self.outcome = Outcome()
        self.at = self.last = self.pc = 0
        self.loops: list[Loop] = []
        self.target = self.open(layout[4])

    def run(self) -> Outcome:
        try:
            while self.pc < len(self.ops) and self.ops[self.pc][0] not in (xdr.END, xdr.DONE):
                self.pc += 1
                self.step(self.ops[self.pc - 1])
            if self.pc < len(self.ops) and self.ops[self.pc][0] == xdr.DONE and self.at < len(self.body):
                raise LayoutError("trailing")
        except LayoutError as stop:
            self.outcome.stopped = str(stop)
        return self.outcome

    def step(self, op: Op) -> None:
        code, a, b, c = op[:4]
        match code:
            case xdr.INT32:
                self.store(a, self.word())
            case xdr.INT64:
                self.store(a, self.word() << 32 | self.word())
            case xdr.BOOL:
                self.store(a, self.flag())
            case xdr.ENUM:
                value = self.word()
                if op[4] and value not in op[4]:
                    self.outcome.bad_enums.append(value)
                self.store(a, value)
            case xdr.OPAQUE:
                self.store(a, self.take(self.length(b)))
            case xdr.FIXED:
                self.store(a, self.take(b))
            case xdr.DATA:
                length = self.length(b)
                self.store(a, length)
                self.take(length)
            case xdr.UNION:
                value = self.word()
                self.store(a, value)
                targets = {known & 0xFFFFFFFF: target for known, target in op[4]}
                if b and value not in targets:
                    self.outcome.bad_enums.append(value)
                self.pc = targets.get(value, c)
                if self.pc < 0:
                    raise LayoutError("union")
            case xdr.JUMP:
                self.pc = a
            case xdr.OPTIONAL:
                self.pc = self.pc if self.flag() else a
            case xdr.ARRAY:
                self.loop(op, self.length(b))
            case xdr.FIXED_ARRAY:
                self.loop(op, b)
            case xdr.LIST:
                self.loop(op, 0)
            case xdr.ITEM_END:
                self.next_item()
            case xdr.STATUS:
                self.outcome.status = as_kind("i32", self.last)
            case _:
                raise AssertionError(f"unknown operation {op}")

    def loop(self, op: Op, count: int) -> None:
        self.loops.append(Loop(op, self.pc, self.target, count))
        self.next_item()

    def next_item(self) -> None:
        loop = self.loops[-1]
        if self.flag() if loop.op[0] == xdr.LIST else loop.left > 0:
            loop.left -= 1
            self.pc, self.target = loop.begin, self.open(loop.op[1])
        else:
            self.pc, self.target = loop.op[3], loop.outer
            self.loops.pop()

    def open(self, table: int) -> Target | None:
        if table < 0:
            return None
        name, columns = self.tables[table]
        row: Row = {column: None for column, _ in columns}
        self.outcome.rows.setdefault(name, []).append(row)
        return Target(row, columns)

    def store(self, column: int, value: int | bytes) -> None:
        if column < 0:
            return
        assert self.target is not None, "a column outside of any row"
        name, kind = self.target.columns[column]
        self.target.row[name] = value if isinstance(value, bytes) else as_kind(kind, value)

    def take(self, size: int) -> bytes:
        padded = size + -size % 4
        if self.at + padded > len(self.body):
            raise LayoutError("short")
        taken = self.body[self.at : self.at + size]
        self.at += padded
        return taken

    def word(self) -> int:
        self.last = int.from_bytes(self.take(4))
        return self.last

    def flag(self) -> bool:
        if self.word() > 1:
            raise LayoutError("bool")
        return bool(self.last)

    def length(self, limit: int) -> int:
        if self.word() > limit:
            raise LayoutError("length")
        return self.last


def as_kind(kind: str, value: int) -> int | bool:
    """The unsigned value of the wire as the column's kind reads it."""
    if kind == "bool":
        return bool(value)
    bits = int(kind[1:])
    return value - (1 << bits) if kind[0] == "i" and value >> (bits - 1) else value


def run(layout: Layout, tables: list[TableSpec], body: bytes) -> Outcome:
    return Machine(layout, tables, body).run()
