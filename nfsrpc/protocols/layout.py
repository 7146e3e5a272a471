"""Programs, and the compiler that makes flat layouts of their declarations.

A layout is a list of operations (core/src/xdr.rs declares them) which the core runs over a body, appending to typed
columns. Strategy: first name every column, then emit only what is needed to reach the wanted ones; fields between that
nobody wants are skipped, what comes after the last is not looked at. With it comes how long a body can be at most, by
which the core knows a record that has swallowed others.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Collection, Iterable, Iterator, Mapping
from dataclasses import dataclass
from functools import cache, cached_property
from typing import NamedTuple

from nfsrpc.protocols.xdr import (
    DONE,
    END,
    ITEM,
    UNBOUNDED,
    Code,
    Enum,
    Leaf,
    Op,
    Path,
    Status,
    Struct,
    Type,
    Union,
    void,
)

CALL, REPLY = 0, 1

# Program, version, procedure, direction, table, operations, keep, most bytes of the body.
Layout = tuple[int, int, int, int, int, list[Op], int, int]
TableSpec = tuple[str, list[tuple[str, str]]]  # name, (column, kind)…


@dataclass(eq=False, repr=False)
class Procedure:
    """A procedure; None stands for arguments or results that are not declared (NFSv4's), which nobody decodes."""

    number: int
    name: str
    args: Type | None = void
    res: Type | None = void


@dataclass(eq=False, repr=False)
class Program:
    """One version of one program. `name` is what tables and reports show, `title` and `spec` are for the docs."""

    name: str
    number: int
    version: int
    title: str
    spec: str
    procedures: tuple[Procedure, ...]

    @cached_property
    def protocol(self) -> str:
        """What its tables are called after: "nlm4"."""
        return f"{self.name}{self.version}"

    def procedure(self, name: str) -> Procedure:
        for procedure in self.procedures:
            if procedure.name == name:
                return procedure
        raise KeyError(f"{self.protocol} has no procedure {name}")


class LayoutTables:
    """The tables that layouts fill: by name their columns, in order of first use."""

    def __init__(self) -> None:
        self.columns: dict[str, dict[str, tuple[int, str]]] = {}

    def column(self, table: str, name: str, kind: str) -> int:
        columns = self.columns.setdefault(table, {})
        index, known = columns.setdefault(name, (len(columns), kind))
        if known != kind:
            raise ValueError(f"{table}: {name} is {known} in one procedure and {kind} in another")
        return index

    def number(self, table: str) -> int:
        return list(self.columns).index(table) if table in self.columns else -1

    def specs(self) -> list[TableSpec]:
        return [
            (table, [(name, kind) for name, (_, kind) in columns.items()]) for table, columns in self.columns.items()
        ]


class NamedLeaf(NamedTuple):
    """A leaf with the name of its column, and the list whose table that is in: "" for none."""

    leaf: Leaf
    list_name: str
    name: str

    def asked_as(self, prefix: str) -> str:
        """Its name where it is asked for: `res_status`, `entries.name`."""
        return f"{self.list_name}.{self.name}" if self.list_name else prefix + self.name


@cache
def named_leaves(kind: Type) -> tuple[NamedLeaf, ...]:
    """The columns of a type, which is that of several procedures and versions."""
    leaves = list(kind.leaves((), ()))
    names = column_names(leaves)
    lists = ((leaf, next((step for step in reversed(leaf.scope) if step != ITEM), "")) for leaf in leaves)
    return tuple(NamedLeaf(leaf, list_name, names[leaf.path]) for leaf, list_name in lists)


def column_names(leaves: Collection[Leaf]) -> dict[Path, str]:
    """The leaf's own name, or its path within its table where two leaves of one name are there."""

    def steps(leaf: Leaf) -> Path:
        inside = tuple(step for step in leaf.path[len(leaf.scope) :] if step != ITEM)
        return inside or leaf.scope[-1:]

    # Arms of a union that have a field in common share its column.
    distinct = {leaf.path: (leaf, steps(leaf)) for leaf in leaves}
    count = Counter((leaf.scope, way[-1]) for leaf, way in distinct.values())
    return {
        path: (way[-1] if count[leaf.scope, way[-1]] == 1 else "_".join(way)) + leaf.suffix
        for path, (leaf, way) in distinct.items()
    }


NOTHING: set[str] = set()


class Wanted:
    """Columns asked for, of a procedure or all: `{"nlm4.LOCK": ["fh"], "nfs3": ["res_status", "entries.name"]}`."""

    def __init__(self, wanted: Mapping[str, Collection[str]] | None) -> None:
        self.everything = wanted is None
        self.asked = {key: set(names) for key, names in (wanted or {}).items()}
        self.unmatched = {(key, name) for key, names in self.asked.items() for name in names}

    def of(self, program: Program, procedure: Procedure) -> set[str]:
        """What is asked for by name, of that procedure."""
        every, one = (self.asked.get(key, NOTHING) for key in wanted_keys(program, procedure))
        return every | one if every and one else every or one

    def found(self, program: Program, procedure: Procedure, names: Collection[str]) -> None:
        self.unmatched.difference_update((key, name) for key in wanted_keys(program, procedure) for name in names)


def wanted_keys(program: Program, procedure: Procedure) -> tuple[str, str]:
    return program.protocol, f"{program.protocol}.{procedure.name}"


def compile(  # noqa: A001 - it is what it does, and always called as protocols.compile
    programs: Iterable[Program], wanted: Mapping[str, Collection[str]] | None = None
) -> tuple[list[Layout], list[TableSpec]]:
    """Layouts for the core and the tables that they fill; with `wanted`, reading stops after the last column wanted."""
    tables, asked = LayoutTables(), Wanted(wanted)
    layouts = [
        layout
        for program in programs
        for procedure in program.procedures
        for direction, kind in ((CALL, procedure.args), (REPLY, procedure.res))
        if kind is not None
        for layout in compile_one(program, procedure, direction, kind, tables, asked)
    ]
    if asked.unmatched:
        raise ValueError(f"no such column: {', '.join(f'{key} {name}' for key, name in sorted(asked.unmatched))}")
    return layouts, tables.specs()


def compile_one(
    program: Program, procedure: Procedure, direction: int, kind: Type, tables: LayoutTables, wanted: Wanted
) -> Iterator[Layout]:
    table = f"{program.protocol}.{('args', 'res')[direction]}"
    prefix = ("", "res_")[direction]
    asked = wanted.of(program, procedure)
    leaves = named_leaves(kind) if asked or wanted.everything else ()
    columns: dict[Path, int] = {}
    children: dict[Path, int] = {}
    found: set[str] = set()
    row = -1
    for named in leaves:
        leaf, list_name, name = named
        full = named.asked_as(prefix)
        if full in asked or wanted.everything:
            found.add(full)
            target = f"{program.protocol}.{list_name}" if list_name else table
            columns[leaf.path] = tables.column(target, name if list_name else full, leaf.kind)
            if list_name:
                children[leaf.scope] = tables.number(target)
            elif not leaf.scope:
                row = tables.number(target)
    if found:
        wanted.found(program, procedure, found)
    body = body_of(kind, direction, tuple(columns.items()), tuple(children.items()), wanted.everything)
    if body is not None:
        yield program.number, program.version, procedure.number, direction, row, *body


@cache
def body_of(
    kind: Type,
    direction: int,
    columns: tuple[tuple[Path, int], ...],
    children: tuple[tuple[Path, int], ...],
    everything: bool,
) -> tuple[list[Op], int, int] | None:
    """The end of a layout: what depends on the type and its columns alone; None where nothing is to be done with it."""
    ends = [*(path for path, _ in columns), *(status_paths(kind, ()) if direction == REPLY else ())]
    needed = {path[:length] for path in ends for length in range(len(path) + 1)}
    most = min(kind.most(), UNBOUNDED)
    if not needed and not everything and most == UNBOUNDED:
        return None
    code = Code(direction == REPLY, dict(columns), needed, dict(children))
    kind.emit(code, (), everything)
    code.op((DONE if everything else END, 0, 0, 0))
    return code.ops, code.keep(), most


def status_paths(kind: Type, path: Path) -> Iterator[Path]:
    """Where the procedure's status is: needed by the table of calls, whatever columns are wanted."""
    if isinstance(kind, Struct):
        for name, inner in kind.fields.items():
            yield from status_paths(inner, (*path, name))
    elif isinstance(kind, Union):
        yield from status_paths(kind.discriminant, (*path, kind.name))
    elif isinstance(kind, Status):
        yield path


def status_enum(kind: Type | None) -> Enum | None:
    """The enum of the procedure's status, if it has one."""
    if isinstance(kind, Status):
        return kind.enum
    inner: Iterable[Type] = ()
    if isinstance(kind, Struct):
        inner = kind.fields.values()
    elif isinstance(kind, Union):
        inner = (kind.discriminant,)
    return next((found for found in map(status_enum, inner) if found), None)
