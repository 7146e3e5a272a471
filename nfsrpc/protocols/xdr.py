"""XDR by declaration: the vocabulary of RFC 4506.

A protocol is declared as its RFC's .x file reads: `struct(cookie=netobj, block=boolean, alock=nlm4_lock)`. Each type
below knows five things: how to `pack` a Python value, how to `unpack` bytes, which columns (`leaves`) it has, how to
`emit` the flat operations that the core runs over message bodies, and how many bytes a value has at `most`. So one
declaration gives encoder, decoder and layout (layout.py).

Values: integers, bool, bytes (opaque), str (string; bytes that are no UTF-8 survive as surrogates), an enum's name, a
list, None for an absent optional, a dict for a struct. A union is a dict of its discriminant and the fields of the arm
taken. Fields left out when packing are zero.
Types are declared once and never changed; without equality and repr they are quick to import.
"""

from __future__ import annotations

import struct as binary
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from enum import IntEnum
from typing import Any, ClassVar, NamedTuple

from nfsrpc._core import OPERATIONS

UNBOUNDED = 2**31 - 1  # the RFC's <> means 2**32 - 1; no record that a 31-bit record mark announces holds as much

# Operations of a layout: (code, a, b, c), of an enum and a union with a list besides. core/src/xdr.rs declares their
# codes and says what each does with its operands.
END = OPERATIONS["END"]
INT32 = OPERATIONS["INT32"]
INT64 = OPERATIONS["INT64"]
BOOL = OPERATIONS["BOOL"]
ENUM = OPERATIONS["ENUM"]
OPAQUE = OPERATIONS["OPAQUE"]
FIXED = OPERATIONS["FIXED"]
DATA = OPERATIONS["DATA"]
UNION = OPERATIONS["UNION"]
JUMP = OPERATIONS["JUMP"]
OPTIONAL = OPERATIONS["OPTIONAL"]
ARRAY = OPERATIONS["ARRAY"]
LIST = OPERATIONS["LIST"]
ITEM_END = OPERATIONS["ITEM_END"]
FIXED_ARRAY = OPERATIONS["FIXED_ARRAY"]
STATUS = OPERATIONS["STATUS"]
DONE = OPERATIONS["DONE"]

Path = tuple[str, ...]
Op = tuple[Any, ...]

ITEM = "[]"  # the step of a path from a list to its items


class XdrError(ValueError):
    """Bytes that are not what the declaration says (or a value that it does not allow), and where."""

    def __init__(self, problem: str, offset: int = 0, path: Path = ()) -> None:
        self.problem, self.offset, self.path = problem, offset, path
        super().__init__(f"{'.'.join(path) or 'message'} at byte {offset}: {problem}")


class Reader:
    """A position in a message and the path of the field that is being read, for errors that say where."""

    def __init__(self, data: bytes) -> None:
        self.data, self.at, self.path = data, 0, list[str]()

    def fail(self, problem: str) -> XdrError:
        return XdrError(problem, self.at, tuple(self.path))

    def take(self, size: int) -> bytes:
        end = self.at + size
        if end > len(self.data):
            raise self.fail(f"needs {size} bytes, {len(self.data) - self.at} are left")
        taken, self.at = self.data[self.at : end], end
        return taken

    def number(self, layout: str = ">I") -> int:
        (value,) = binary.unpack(layout, self.take(binary.calcsize(layout)))
        return int(value)

    def length(self, limit: int) -> int:
        length = self.number()
        if length > limit:
            self.at -= 4
            raise self.fail(f"length {length} exceeds {limit}")
        return length

    def field(self, name: str, kind: Type) -> Any:
        self.path.append(name)
        value = kind.unpack(self)
        self.path.pop()
        return value


class Leaf(NamedTuple):
    """A column in the making: where it is, the list whose child table it belongs to (() for none), and its kind."""

    path: Path
    scope: Path
    kind: str
    suffix: str = ""


class Type:
    """An XDR type: all that is known of it is in these five methods."""

    default: ClassVar[Any] = None

    def pack(self, value: Any, out: bytearray) -> None:
        raise NotImplementedError

    def unpack(self, reader: Reader) -> Any:
        raise NotImplementedError

    def leaves(self, path: Path, scope: Path) -> Iterator[Leaf]:
        raise NotImplementedError

    def emit(self, code: Code, path: Path, more: bool) -> None:
        """Append the operations; `more`: something after this is wanted, so that it must be read past."""
        raise NotImplementedError

    def most(self) -> int:
        """The bytes of the longest value, UNBOUNDED (or more) if there is none."""
        raise NotImplementedError


@dataclass(eq=False, repr=False)
class Void(Type):
    def pack(self, value: Any, out: bytearray) -> None:
        if value:
            raise XdrError(f"void takes no value, not {value!r}")

    def unpack(self, reader: Reader) -> Any:
        return None

    def leaves(self, path: Path, scope: Path) -> Iterator[Leaf]:
        return iter(())

    def emit(self, code: Code, path: Path, more: bool) -> None:
        pass

    def most(self) -> int:
        return 0


@dataclass(eq=False, repr=False)
class Number(Type):
    """int, unsigned int, hyper, unsigned hyper: a format of the struct module, the operation, the column's kind."""

    layout: str
    op: int
    kind: str
    default = 0

    def pack(self, value: Any, out: bytearray) -> None:
        try:
            out += binary.pack(self.layout, value)
        except binary.error as error:
            raise XdrError(f"{value!r} is no {self.kind}") from error

    def unpack(self, reader: Reader) -> int:
        return reader.number(self.layout)

    def leaves(self, path: Path, scope: Path) -> Iterator[Leaf]:
        yield Leaf(path, scope, self.kind)

    def emit(self, code: Code, path: Path, more: bool) -> None:
        code.scalar((self.op, code.column(path), 0, 0), binary.calcsize(self.layout))

    def most(self) -> int:
        return binary.calcsize(self.layout)

    def number_of(self, value: Any) -> int:
        return int(value)


@dataclass(eq=False, repr=False)
class Boolean(Type):
    default = False

    def pack(self, value: Any, out: bytearray) -> None:
        out += binary.pack(">I", bool(value))

    def unpack(self, reader: Reader) -> bool:
        value = reader.number()
        if value > 1:
            reader.at -= 4
            raise reader.fail(f"{value} is no bool")
        return bool(value)

    def leaves(self, path: Path, scope: Path) -> Iterator[Leaf]:
        yield Leaf(path, scope, "bool")

    def emit(self, code: Code, path: Path, more: bool) -> None:
        code.scalar((BOOL, code.column(path), 0, 0), 4)

    def most(self) -> int:
        return 4

    def number_of(self, value: Any) -> int:
        return int(value)


@dataclass(eq=False, repr=False)
class Enum(Type):
    """Names and values. An open one (errno, authentication flavors) lists the values known, and others are allowed."""

    name: str
    values: dict[str, int]
    open: bool = False

    def __post_init__(self) -> None:
        self.names = {number: name for name, number in self.values.items()}

    @property
    def default(self) -> str:
        return next(iter(self.values))

    def number_of(self, value: Any) -> int:
        if isinstance(value, int):
            return value
        if value not in self.values:
            raise XdrError(f"{value!r} is no {self.name}")
        return self.values[value]

    def pack(self, value: Any, out: bytearray) -> None:
        int32.pack(self.number_of(value), out)

    def unpack(self, reader: Reader) -> str | int:
        number = reader.number(">i")
        if number not in self.names and not self.open:
            reader.at -= 4
            raise reader.fail(f"{number} is no {self.name}")
        return self.names.get(number, number)

    def leaves(self, path: Path, scope: Path) -> Iterator[Leaf]:
        yield Leaf(path, scope, "i32")

    def operation(self, column: int) -> Op:
        return ENUM, column, 0, 0, [] if self.open else list(self.names)

    def emit(self, code: Code, path: Path, more: bool) -> None:
        code.scalar(self.operation(code.column(path)), 4)

    def most(self) -> int:
        return 4


@dataclass(eq=False, repr=False)
class Status(Type):
    """The enum of how the procedure went: `status` of the table of calls."""

    enum: Enum

    @property
    def default(self) -> str:
        return self.enum.default

    def number_of(self, value: Any) -> int:
        return self.enum.number_of(value)

    def pack(self, value: Any, out: bytearray) -> None:
        self.enum.pack(value, out)

    def unpack(self, reader: Reader) -> str | int:
        return self.enum.unpack(reader)

    def leaves(self, path: Path, scope: Path) -> Iterator[Leaf]:
        yield Leaf(path, scope, "i32")

    def emit(self, code: Code, path: Path, more: bool) -> None:
        if code.is_reply:
            code.op(self.enum.operation(code.column(path)))
            code.op((STATUS, 0, 0, 0))
        else:
            self.enum.emit(code, path, more)

    def most(self) -> int:
        return 4


Discriminant = Number | Boolean | Enum | Status


@dataclass(eq=False, repr=False)
class Opaque(Type):
    """opaque<limit>."""

    limit: int
    default: ClassVar[Any] = b""

    def pack(self, value: Any, out: bytearray) -> None:
        content = value.encode("utf-8", "surrogateescape") if isinstance(value, str) else bytes(value)
        if len(content) > self.limit:
            raise XdrError(f"{len(content)} bytes exceed {self.limit}")
        out += binary.pack(">I", len(content)) + content + bytes(-len(content) % 4)

    def unpack(self, reader: Reader) -> Any:
        length = reader.length(self.limit)
        return reader.take(length + -length % 4)[:length]

    def leaves(self, path: Path, scope: Path) -> Iterator[Leaf]:
        yield Leaf(path, scope, "bytes")

    def emit(self, code: Code, path: Path, more: bool) -> None:
        code.op((OPAQUE, code.column(path), self.limit, 0))

    def most(self) -> int:
        return 4 + self.limit + -self.limit % 4


@dataclass(eq=False, repr=False)
class String(Opaque):
    default: ClassVar[Any] = ""

    def unpack(self, reader: Reader) -> str:
        content: bytes = Opaque.unpack(self, reader)
        return content.decode("utf-8", "surrogateescape")


@dataclass(eq=False, repr=False)
class Data(Opaque):
    """Bulk opaque: its column is its length (`data_length`), the core never stores the bytes."""

    def leaves(self, path: Path, scope: Path) -> Iterator[Leaf]:
        yield Leaf(path, scope, "u32", "_length")

    def emit(self, code: Code, path: Path, more: bool) -> None:
        code.op((DATA, code.column(path), self.limit, 0))


@dataclass(eq=False, repr=False)
class FixedOpaque(Type):
    """opaque[size]."""

    size: int

    @property
    def default(self) -> bytes:
        return bytes(self.size)

    def pack(self, value: Any, out: bytearray) -> None:
        if len(value) != self.size:
            raise XdrError(f"{len(value)} bytes are not {self.size}")
        out += bytes(value) + bytes(-self.size % 4)

    def unpack(self, reader: Reader) -> bytes:
        return reader.take(self.size + -self.size % 4)[: self.size]

    def leaves(self, path: Path, scope: Path) -> Iterator[Leaf]:
        yield Leaf(path, scope, "bytes")

    def emit(self, code: Code, path: Path, more: bool) -> None:
        code.scalar((FIXED, code.column(path), self.size, 0), self.size + -self.size % 4)

    def most(self) -> int:
        return self.size + -self.size % 4


@dataclass(eq=False, repr=False)
class Optional(Type):
    """item *name: None or the item. Also the RFCs' `switch (bool follows)`, which is the same on the wire."""

    item: Type

    def pack(self, value: Any, out: bytearray) -> None:
        boolean.pack(value is not None, out)
        if value is not None:
            self.item.pack(value, out)

    def unpack(self, reader: Reader) -> Any:
        return self.item.unpack(reader) if boolean.unpack(reader) else None

    def leaves(self, path: Path, scope: Path) -> Iterator[Leaf]:
        return self.item.leaves(path, scope)

    def emit(self, code: Code, path: Path, more: bool) -> None:
        at = code.op((OPTIONAL, 0, 0, 0))
        self.item.emit(code, path, more)
        code.patch(at, (OPTIONAL, code.label(), 0, 0))

    def most(self) -> int:
        return 4 + self.item.most()


@dataclass(eq=False, repr=False)
class Sequence(Type):
    """What arrays and lists share: a Python list of items, rows of a child table."""

    item: Type

    @property
    def default(self) -> list[Any]:
        return []

    def unpack_items(self, reader: Reader, count: int) -> list[Any]:
        return [reader.field(f"[{index}]", self.item) for index in range(count)]

    def leaves(self, path: Path, scope: Path) -> Iterator[Leaf]:
        return self.item.leaves((*path, ITEM), path)

    def emit_loop(self, code: Code, path: Path, op: int, count: int) -> None:
        at = code.op((op, 0, 0, 0))
        code.label()
        self.item.emit(code, (*path, ITEM), True)
        code.op((ITEM_END, 0, 0, 0))
        code.patch(at, (op, code.child(path), count, code.label()))


@dataclass(eq=False, repr=False)
class Array(Sequence):
    """item<limit>."""

    limit: int

    def pack(self, value: Any, out: bytearray) -> None:
        if len(value) > self.limit:
            raise XdrError(f"{len(value)} items exceed {self.limit}")
        uint32.pack(len(value), out)
        for item in value:
            self.item.pack(item, out)

    def unpack(self, reader: Reader) -> list[Any]:
        return self.unpack_items(reader, reader.length(self.limit))

    def emit(self, code: Code, path: Path, more: bool) -> None:
        self.emit_loop(code, path, ARRAY, self.limit)

    def most(self) -> int:
        return 4 + self.limit * self.item.most()


@dataclass(eq=False, repr=False)
class FixedArray(Sequence):
    """item[count]."""

    count: int

    @property
    def default(self) -> list[Any]:
        return [self.item.default] * self.count

    def pack(self, value: Any, out: bytearray) -> None:
        if len(value) != self.count:
            raise XdrError(f"{len(value)} items are not {self.count}")
        for item in value:
            self.item.pack(item, out)

    def unpack(self, reader: Reader) -> list[Any]:
        return self.unpack_items(reader, self.count)

    def emit(self, code: Code, path: Path, more: bool) -> None:
        self.emit_loop(code, path, FIXED_ARRAY, self.count)

    def most(self) -> int:
        return self.count * self.item.most()


@dataclass(eq=False, repr=False)
class Linked(Sequence):
    """The linked list of RFC 4506 §4.19: (TRUE, item)* FALSE."""

    def pack(self, value: Any, out: bytearray) -> None:
        for item in value:
            boolean.pack(True, out)
            self.item.pack(item, out)
        boolean.pack(False, out)

    def unpack(self, reader: Reader) -> list[Any]:
        items: list[Any] = []
        while boolean.unpack(reader):
            items.append(reader.field(f"[{len(items)}]", self.item))
        return items

    def emit(self, code: Code, path: Path, more: bool) -> None:
        self.emit_loop(code, path, LIST, 0)

    def most(self) -> int:
        return UNBOUNDED


@dataclass(eq=False, repr=False)
class Struct(Type):
    fields: dict[str, Type]

    @property
    def default(self) -> dict[str, Any]:
        return {}

    def pack(self, value: Any, out: bytearray) -> None:
        if unknown := value.keys() - self.fields.keys():
            raise XdrError(f"no field {', '.join(sorted(unknown))}; there are {', '.join(self.fields)}")
        for name, kind in self.fields.items():
            kind.pack(value.get(name, kind.default), out)

    def unpack(self, reader: Reader) -> dict[str, Any]:
        return {name: reader.field(name, kind) for name, kind in self.fields.items()}

    def leaves(self, path: Path, scope: Path) -> Iterator[Leaf]:
        for name, kind in self.fields.items():
            yield from kind.leaves((*path, name), scope)

    def emit(self, code: Code, path: Path, more: bool) -> None:
        needed = [(*path, name) in code.needed for name in self.fields]
        for index, (name, kind) in enumerate(self.fields.items()):
            rest = more or any(needed[index + 1 :])
            if rest or needed[index]:
                kind.emit(code, (*path, name), rest)

    def most(self) -> int:
        return sum(kind.most() for kind in self.fields.values())


@dataclass(eq=False, repr=False)
class Union(Type):
    """switch (discriminant): arms are structs (or void), by value; without a default no other value is allowed."""

    name: str
    discriminant: Discriminant
    arms: tuple[tuple[tuple[int, ...], Type], ...]
    otherwise: Type | None

    @property
    def default(self) -> dict[str, Any]:
        return {}

    def arm(self, number: int) -> Type:
        for numbers, kind in self.arms:
            if number in numbers:
                return kind
        if self.otherwise is None:
            raise XdrError(f"{self.name} {number} has no arm")
        return self.otherwise

    def pack(self, value: Any, out: bytearray) -> None:
        chosen = value.get(self.name, self.discriminant.default)
        self.discriminant.pack(chosen, out)
        rest = {name: content for name, content in value.items() if name != self.name}
        self.arm(self.discriminant.number_of(chosen)).pack(rest, out)

    def unpack(self, reader: Reader) -> dict[str, Any]:
        chosen = reader.field(self.name, self.discriminant)
        try:
            kind = self.arm(self.discriminant.number_of(chosen))
        except XdrError as error:
            reader.at -= 4
            raise reader.fail(error.problem) from None
        return {self.name: chosen, **(kind.unpack(reader) or {})}

    def leaves(self, path: Path, scope: Path) -> Iterator[Leaf]:
        yield from self.discriminant.leaves((*path, self.name), scope)
        for _, kind in self.arms:
            yield from kind.leaves(path, scope)
        if self.otherwise is not None:
            yield from self.otherwise.leaves(path, scope)

    def emit(self, code: Code, path: Path, more: bool) -> None:
        deciding = (*path, self.name)
        inside = {step for step in code.needed if len(step) == len(path) + 1 and step[:-1] == path}
        if not more and inside <= {deciding}:
            self.discriminant.emit(code, deciding, False)
            return
        at = code.op((UNION, 0, 0, 0, []))
        targets: list[tuple[int, int]] = []
        jumps: list[int] = []
        for numbers, kind in self.arms:
            targets += [(number, self.emit_arm(code, path, more, kind)) for number in numbers[:1]]
            targets += [(number, targets[-1][1]) for number in numbers[1:]]
            jumps.append(code.op((JUMP, 0, 0, 0)))
        default = -1 if self.otherwise is None else self.emit_arm(code, path, more, self.otherwise)
        end = code.label()
        for jump in jumps:
            code.patch(jump, (JUMP, end, 0, 0))
        declared = [] if default < 0 else self.declared()
        targets += [(number, default) for number in declared if number not in dict(targets)]
        code.patch(at, (UNION, code.column(deciding), int(bool(declared)), default, targets))

    def most(self) -> int:
        return 4 + max(kind.most() for kind in (*(arm for _, arm in self.arms), self.otherwise or void))

    def declared(self) -> list[int]:
        """The values that the discriminant may have, where others are wrong."""
        kind = self.discriminant.enum if isinstance(self.discriminant, Status) else self.discriminant
        return list(kind.names) if isinstance(kind, Enum) and not kind.open else []

    def emit_arm(self, code: Code, path: Path, more: bool, kind: Type) -> int:
        start = code.label()
        if isinstance(self.discriminant, Status) and code.is_reply:
            code.op((STATUS, 0, 0, 0))
        kind.emit(code, path, more)
        return start


int32 = Number(">i", INT32, "i32")
uint32 = Number(">I", INT32, "u32")
hyper = Number(">q", INT64, "i64")
uhyper = Number(">Q", INT64, "u64")
boolean = Boolean()
void = Void()


def enum(name: str, members: type[IntEnum] | None = None, /, **values: int) -> Enum:
    return Enum(name, {member.name: member.value for member in members or ()} | values)


def open_enum(name: str, members: type[IntEnum] | None = None, /, **values: int) -> Enum:
    return Enum(name, {member.name: member.value for member in members or ()} | values, open=True)


def status(kind: Enum) -> Status:
    return Status(kind)


def opaque(limit: int = UNBOUNDED) -> Opaque:
    return Opaque(limit)


def fixed_opaque(size: int) -> FixedOpaque:
    return FixedOpaque(size)


def string(limit: int = UNBOUNDED) -> String:
    return String(limit)


def data(limit: int = UNBOUNDED) -> Data:
    return Data(limit)


def array(item: Type, limit: int = UNBOUNDED) -> Array:
    return Array(item, limit)


def fixed_array(item: Type, count: int) -> FixedArray:
    return FixedArray(item, count)


def optional(item: Type) -> Optional:
    return Optional(item)


def linked(item: Type) -> Linked:
    return Linked(item)


def struct(**fields: Type) -> Struct:
    """A struct; the field that Python would take for a keyword is written `from_`."""
    return Struct({name.rstrip("_"): kind for name, kind in fields.items()})


def union(
    name: str,
    discriminant: Discriminant,
    cases: Mapping[str | int | tuple[str | int, ...], Type],
    default: Type | None = None,
) -> Union:
    """`union("stat", nlm4_stats, {"DENIED": struct(holder=nlm4_holder)}, default=void)`."""
    arms = tuple(
        (tuple(discriminant.number_of(value) for value in (case if isinstance(case, tuple) else (case,))), kind)
        for case, kind in cases.items()
    )
    return Union(name, discriminant, arms, default)


def encode(kind: Type, value: Any = None) -> bytes:
    out = bytearray()
    kind.pack(kind.default if value is None else value, out)
    return bytes(out)


def decode(kind: Type, message: bytes) -> Any:
    """The nested value of a whole message; bytes left over are an error too."""
    value, end = decode_prefix(kind, message)
    if end != len(message):
        raise XdrError(f"{len(message) - end} bytes left over", end)
    return value


def decode_prefix(kind: Type, message: bytes) -> tuple[Any, int]:
    """The nested value that the message begins with, and where it ends."""
    reader = Reader(message)
    return kind.unpack(reader), reader.at


KEEP = 1024  # bytes of a record that hold any header, credentials and verifier, and small arguments
MAX_KEEP = 2**20  # of a record with lists; no server sends a READDIRPLUS or an export list beyond it
HEADER = 4 + 24 + 2 * (8 + 400)  # record mark, xid to procedure, credentials and verifier (RFC 5531)


class Code:
    """One layout in the making: the operations so far, and which fields are wanted as which column."""

    def __init__(self, is_reply: bool, columns: dict[Path, int], needed: set[Path], children: dict[Path, int]) -> None:
        self.is_reply, self.columns, self.needed, self.children = is_reply, columns, needed, children
        self.ops: list[Op] = []
        self.latest_target = 0

    def column(self, path: Path) -> int:
        return self.columns.get(path, -1)

    def child(self, path: Path) -> int:
        return self.children.get(path, -1)

    def op(self, op: Op) -> int:
        self.ops.append(op)
        return len(self.ops) - 1

    def patch(self, at: int, op: Op) -> None:
        self.ops[at] = op

    def label(self) -> int:
        """The next operation as a target."""
        self.latest_target = len(self.ops)
        return self.latest_target

    def scalar(self, op: Op, size: int) -> None:
        """A field of fixed size; neighbours that nobody wants are skipped by one operation."""
        if op[1] >= 0:
            self.op(op)
        elif self.ops and self.ops[-1][:2] == (FIXED, -1) and self.latest_target < len(self.ops):
            self.ops[-1] = (FIXED, -1, self.ops[-1][2] + size, 0)
        else:
            self.op((FIXED, -1, size, 0))

    def keep(self) -> int:
        """How many bytes of a record are worth storing for this layout."""
        if any(op[0] in (ARRAY, LIST, FIXED_ARRAY) for op in self.ops):
            return MAX_KEEP
        size = sum(8 + op[2] + 3 if op[0] in (OPAQUE, FIXED) else 8 for op in self.ops)
        return max(KEEP, min(HEADER + size, MAX_KEEP))
