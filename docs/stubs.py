"""Writes nfsrpc/tables.pyi from the declarations in nfsrpc/tables.py: `make docs`.

For type checkers each table has a class of its own: `table["state"]` is known by its name, and `row.state` has the type
of its kind, with None where the column may be null. tests/cli/test_docs.py fails when the file is stale.
"""

import subprocess
import sys
from collections.abc import Iterable, Iterator
from pathlib import Path

import nfsrpc.tables
from nfsrpc.columns import Column, TableSpec
from nfsrpc.tables import KNOWN, NAMES, PROCEDURES, PROTOCOL_NAMES, TABLES

FILE = Path(nfsrpc.tables.__file__).with_suffix(".pyi")
HEAD = """\
# Written by docs/stubs.py (make docs); change the declarations in tables.py instead.
from abc import ABCMeta
from collections.abc import Iterator, Mapping
from typing import Literal, TypeAlias, overload

from nfsrpc.columns import Array, Coded, Mask, Table, TableSpec
from nfsrpc.columns import Row as AnyRow
"""


def stub() -> str:
    """The text of the file."""
    lines = [HEAD, *constants(), *by_name(), *(line for spec in TABLES.values() for line in table_class(spec))]
    ruff = Path(sys.executable).with_name("ruff")
    command = [str(ruff), "format", "--stdin-filename", str(FILE), "-"]
    return subprocess.run(command, input="\n".join(lines), capture_output=True, text=True, check=True).stdout


def constants() -> Iterator[str]:
    for name, value in vars(nfsrpc.tables).items():
        if isinstance(value, TableSpec):
            yield f"{name}: TableSpec"
        elif value in (PROCEDURES, NAMES, PROTOCOL_NAMES):  # a new protocol makes them more, and changes no file
            yield f"{name}: tuple[str, ...]"
        elif isinstance(value, tuple) and name.isupper() and all(isinstance(label, str) for label in value):
            yield from (f"_{name}: TypeAlias = {literal(value)}", f"{name}: tuple[_{name}, ...]")
    yield from ("ODDITY_KINDS: dict[str, str]", "TABLES: dict[str, TableSpec]")
    yield "def is_table(name: str) -> bool: ..."


def by_name() -> Iterator[str]:
    yield "class Tables(Mapping[str, Table], metaclass=ABCMeta):"
    for name in TABLES:
        yield from ("    @overload", f"    def __getitem__(self, name: {literal([name])}) -> {class_name(name)}: ...")
    yield from ("    @overload", "    def __getitem__(self, name: str) -> Table: ...")
    yield from ("    def table(self, name: str) -> Table: ...",)


def table_class(spec: TableSpec) -> Iterator[str]:
    """Names of columns are narrower here than in `Table`, which takes any."""
    own, column = class_name(spec.name), f"_{class_name(spec.name)}Column"
    yield f"{column}: TypeAlias = {literal(spec.names)}"
    yield from (f"class {own}(Table):", "    class Row(AnyRow):")
    yield from (f"        {column.name}: {value_type(spec, column)}" for column in spec.columns)
    for number, (kind, names) in enumerate(columns_by_type(spec).items()):
        yield f"    @overload{'' if number else IGNORED}"
        yield f"    def __getitem__(self, name: {literal(names)}) -> {kind}: ..."
    yield from (f"    def {name}(self, name: {column}) -> {kind}: ...{IGNORED}" for name, kind in BY_COLUMN.items())
    yield from ("    def rows(self) -> Iterator[Row]: ...", "    def row(self, number: int) -> Row: ...")


IGNORED = "  # type: ignore[override]"
BY_COLUMN = {"valid": "Mask", "text": "Array"}


def columns_by_type(spec: TableSpec) -> dict[str, list[str]]:
    found: dict[str, list[str]] = {}
    for column in spec.columns:
        kind = {"text": "Coded", "bool": "Mask"}.get(column.kind.rstrip("?"), "Array")
        found.setdefault(kind, []).append(column.name)
    return found


def value_type(spec: TableSpec, column: Column) -> str:
    """The type of a value in a row."""
    kind = column.kind.rstrip("?")
    plain = {"text": "str", "texts": "tuple[str, ...]", "bool": "bool", "f64": "float"}.get(kind, "int")
    plain = label_type(column.labels) if column.labels and column.labels is not PROCEDURES else plain
    return f"{plain} | None" if is_nullable(spec, column) else plain


def is_nullable(spec: TableSpec, column: Column) -> bool:
    known = not KNOWN.isdisjoint((column.name, f"{spec.name}.{column.name}"))
    return not known and (column.kind.endswith("?") or column.kind in ("time", "f64", "text"))


def label_type(labels: tuple[str, ...]) -> str:
    """The alias of the constant that declares them, where there is one."""
    return next((f"_{name}" for name, value in vars(nfsrpc.tables).items() if value == labels), literal(labels))


def literal(labels: Iterable[str]) -> str:
    return f"Literal[{', '.join(repr(label) for label in labels)}]"


def class_name(table: str) -> str:
    return table.capitalize()


if __name__ == "__main__":
    FILE.write_text(stub(), encoding="utf-8")
