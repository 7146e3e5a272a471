"""One RPC message as a tree of fields: names as the RFC has them, enums with their names, and what a value means.

The declarations that the core runs are walked through here over the bytes of a single message (RFC 5531 §9, RFC 4506).
A message that is cut, or that contradicts its declaration, is shown as far as it goes, with what is wrong at the end.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from typing import Any, NamedTuple

from nfsrpc.printable import clean
from nfsrpc.protocols import PROTOCOLS, rpc
from nfsrpc.protocols.xdr import (
    Array,
    Boolean,
    Data,
    Enum,
    FixedArray,
    FixedOpaque,
    Linked,
    Number,
    Opaque,
    Optional,
    Reader,
    Status,
    String,
    Struct,
    Type,
    Union,
    Void,
    XdrError,
    boolean,
    opaque,
    uint32,
)
from nfsrpc.report.meanings import NameOfFile, meaning
from nfsrpc.report.terminal import Paint

INDENT = "  "
UNDECLARED_SHOWN = 32  # bytes
# Steps of the header's declaration that say nothing to a reader.
HOISTED = ("body", "cbody", "rbody", "areply", "rreply", "reply_data")
CREDENTIALS: dict[str, Type] = {"AUTH_SYS": rpc.authsys_parms, "RPCSEC_GSS": rpc.rpc_gss_cred}


@dataclass
class Field:
    name: str
    value: str = ""
    meaning: str = ""
    inside: list[Field] = field(default_factory=list)


class Body(NamedTuple):
    """The type of a message's body, and how RPCSEC_GSS wraps it; a reply does not carry that itself."""

    args: Type | None = None  # None: not declared
    res: Type | None = None
    service: str | int = "NONE"


def declared(prog: int | None, vers: int | None, proc: int | None) -> Body:
    """The declared arguments and results of a procedure."""
    for program in PROTOCOLS:
        for procedure in program.procedures:
            if (program.number, program.version, procedure.number) == (prog, vers, proc):
                return Body(procedure.args, procedure.res)
    return Body()


class Tree(NamedTuple):
    fields: list[Field]
    body: Body  # of a call: what its reply is


def tree(message: bytes, length: int, name_of_file: NameOfFile, answers: Body | None = None) -> Tree:
    """The fields of a message of `length` bytes, of which `message` was captured; a reply `answers` a call."""
    grower = Grower(message, length, name_of_file, answers or Body())
    try:
        grower.message()
    except XdrError as error:
        grower.here.append(Field("!", grower.trouble(error)))
    return Tree(grower.fields, grower.answers)


class Grower:
    """Reads on through a message and appends fields; `here` is where the next one goes."""

    def __init__(self, data: bytes, length: int, name_of_file: NameOfFile, answers: Body) -> None:
        self.reader = Reader(data)
        self.length = length
        self.name_of_file = name_of_file
        self.answers = answers
        self.values: dict[str, Any] = {}
        self.fields: list[Field] = []
        self.here = self.fields

    def trouble(self, error: XdrError) -> str:
        cut = len(self.reader.data) < self.length and error.problem.startswith("needs")
        return "the capture has no more of it" if cut else f"malformed: {error.problem}"

    def message(self) -> None:
        self.into(self.fields, rpc.rpc_msg)
        if self.values["mtype"] == "CALL":
            self.answers = self.called()
            self.contents("args", self.answers.args)
        elif self.values.get("stat") == "SUCCESS":
            self.contents("res", self.answers.res)
        if left := len(self.reader.data) - self.reader.at:
            self.fields.append(Field("!", f"{left} bytes left over"))

    def called(self) -> Body:
        service = self.values["service"] if self.values.get("gss_proc") == "DATA" else "NONE"
        return declared(*(self.values[name] for name in ("prog", "vers", "proc")))._replace(service=service)

    def contents(self, name: str, kind: Type | None) -> None:
        """Appends arguments or results, within what RPCSEC_GSS wraps them in."""
        part = Field(name)
        if self.answers.service == "PRIVACY":
            self.fields.append(part)
            self.into(part.inside, rpc.rpc_gss_priv_data)
            return
        integrity = self.answers.service == "INTEGRITY"
        if integrity:
            self.grow(self.fields, "databody_length", uint32)
            self.grow(self.fields, "seq_num", uint32)
        self.fields.append(part)
        if kind is None:
            self.undeclared(part)
        elif isinstance(kind, Void):
            part.value = "void"
        else:
            self.into(part.inside, kind)
        if integrity:
            self.grow(self.fields, "checksum", opaque())

    def undeclared(self, part: Field) -> None:
        rest = self.reader.take(len(self.reader.data) - self.reader.at)
        more = "..." if len(rest) > UNDECLARED_SHOWN else ""
        part.value = rest[:UNDECLARED_SHOWN].hex() + more or "void"
        part.meaning = f"{len(rest)} bytes, not decoded" if rest else ""

    # By type: `grow` adds a field, `into` the fields of a struct or of a union's arm.

    def grow(self, here: list[Field], name: str, kind: Type) -> None:
        self.here = here
        if kind is rpc.opaque_auth:
            self.authenticator(here, name)
        elif isinstance(kind, Struct | Union):
            hoisted = name in HOISTED or (isinstance(kind, Union) and kind.name == name)
            if not hoisted:
                here.append(Field(name))
            self.into(here if hoisted else here[-1].inside, kind)
        elif isinstance(kind, Optional):
            if boolean.unpack(self.reader):
                self.grow(here, name, kind.item)
            else:
                here.append(Field(name, "absent"))
        elif isinstance(kind, Array | FixedArray | Linked):
            self.items(here, Field(name), kind)
        else:
            value, text = READERS[type(kind)](self.reader, kind, name)
            self.values[name] = value
            here.append(Field(name, text, meaning(name, value, self.values, self.name_of_file)))

    def into(self, here: list[Field], kind: Type) -> None:
        self.here = here
        if isinstance(kind, Struct):
            for name, inner in kind.fields.items():
                self.grow(here, name, inner)
        elif isinstance(kind, Union):
            self.grow(here, kind.name, kind.discriminant)
            self.into(here, kind.arm(kind.discriminant.number_of(self.values[kind.name])))

    def items(self, here: list[Field], list_: Field, kind: Array | FixedArray | Linked) -> None:
        here.append(list_)
        for number in self.announced(kind):
            self.grow(list_.inside, f"[{number}]", kind.item)
        list_.value = "none" if not list_.inside else ""
        self.here = here

    def announced(self, kind: Array | FixedArray | Linked) -> Iterator[int]:
        if isinstance(kind, Linked):
            number = 0
            while boolean.unpack(self.reader):
                yield number
                number += 1
        else:
            yield from range(kind.count if isinstance(kind, FixedArray) else self.reader.length(kind.limit))

    def authenticator(self, here: list[Field], name: str) -> None:
        """Credential or verifier: its opaque body is what its flavor says (RFC 5531 §8.2, RFC 2203 §5)."""
        part = Field(name)
        here.append(part)
        self.grow(part.inside, "flavor", rpc.auth_flavor)
        body = opaque(rpc.MAX_AUTH_BYTES).unpack(self.reader)
        kind = CREDENTIALS.get(self.values["flavor"])
        if kind is None or name == "verf":
            if body:
                part.inside.append(Field("body", body.hex()))
            return
        inner = Grower(body, len(body), self.name_of_file, self.answers)
        try:
            inner.into(inner.fields, kind)
        except XdrError as error:
            inner.here.append(Field("!", inner.trouble(error)))
        part.inside += inner.fields
        self.values |= inner.values


def number(reader: Reader, kind: Any, name: str) -> tuple[int, str]:
    value = reader.number(kind.layout)
    return value, format(value, NUMBER_FORMATS.get(name, "d"))


def truth(reader: Reader, kind: Any, name: str) -> tuple[bool, str]:
    value = kind.unpack(reader)
    return value, str(value).lower()


def enum(reader: Reader, kind: Any, name: str) -> tuple[str | int, str]:
    known = kind.enum if isinstance(kind, Status) else kind
    value = reader.number(">i")
    return (known.names[value], f"{known.names[value]} ({value})") if value in known.names else (value, f"{value} (?)")


def string(reader: Reader, kind: Any, name: str) -> tuple[str, str]:
    value = kind.unpack(reader)
    return value, f'"{clean(value)}"'


def raw(reader: Reader, kind: Any, name: str) -> tuple[bytes, str]:
    value = kind.unpack(reader)
    return value, value.hex() or "empty"


def bulk(reader: Reader, kind: Any, name: str) -> tuple[int, str]:
    """The length of a file's bytes, which are counted, not shown; the capture need not have them."""
    length = reader.length(kind.limit)
    reader.at = min(reader.at + length + -length % 4, len(reader.data))
    return length, f"{length} bytes"


NUMBER_FORMATS = {"xid": "#010x", "mode": "04o", "fsid": "#x"}
READERS: dict[type[Type], Callable[[Reader, Any, str], tuple[Any, str]]] = {
    Number: number,
    Boolean: truth,
    Enum: enum,
    Status: enum,
    Opaque: raw,
    FixedOpaque: raw,
    String: string,
    Data: bulk,
}


def lines(fields: Sequence[Field], paint: Paint, indent: str = "") -> Iterator[str]:
    """One line per field, with values in a column of their own within a level."""
    width = max((len(each.name) for each in fields if each.value), default=0)
    for each in fields:
        head = f"{indent}{each.name.ljust(width)}{INDENT}{clean(each.value)}" if each.value else f"{indent}{each.name}"
        yield head + (INDENT + paint("faint", clean(each.meaning)) if each.meaning else "")
        yield from lines(each.inside, paint, indent + INDENT)
