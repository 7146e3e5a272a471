"""`nfsrpc explain`: a rule and its thresholds, the columns of a table, the messages of a protocol.

The texts are those of the declarations: docstrings of rules, tables.py, the files of protocols.
"""

from __future__ import annotations

import shutil
import sys
from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING, Annotated

import typer

from nfsrpc.cli import completion
from nfsrpc.cli.output import unknown, write

if TYPE_CHECKING:
    from nfsrpc.columns import TableSpec
    from nfsrpc.diagnosis.catalogue import Check
    from nfsrpc.protocols import Program
    from nfsrpc.report.terminal import Paint

INDENT = "  "


def explain(
    name: Annotated[
        str | None,
        typer.Argument(
            metavar="[RULE|TABLE|PROTOCOL]",
            autocompletion=completion.explained,
            help="REG001, statd-not-registered, calls, nlm4, nfs3.entries.",
        ),
    ] = None,
) -> None:
    """Explain a rule, a table or a protocol; without a name, list them."""
    from nfsrpc.report.terminal import PROSE, painted, plain, uses_colour

    paint = painted if uses_colour(sys.stdout) else plain
    width = min(shutil.get_terminal_size().columns, PROSE)
    lines = overview(paint, width) if name is None else about(name, paint, width)
    write((f"{line.rstrip()}\n" for line in lines), None)


def overview(paint: Paint, width: int) -> Iterator[str]:
    from nfsrpc.diagnosis.catalogue import rules
    from nfsrpc.protocols import PROTOCOLS
    from nfsrpc.tables import TABLES

    yield paint("heading", "Rules")
    for check in rules().values():
        yield f"{check.rule.id}  {paint(check.rule.severity, check.rule.severity.ljust(7))}  {check.rule.name}"
    yield ""
    yield paint("heading", "Tables (nfsrpc table NAME TRACE)")
    yield from glossary([((table.name,), table.meaning) for table in TABLES.values()], width)
    yield ""
    yield paint("heading", "Protocols, whose messages are tables too")
    yield from glossary([((program.protocol,), f"{program.title}, {program.spec}") for program in PROTOCOLS], width)


def about(name: str, paint: Paint, width: int) -> Iterator[str]:
    from nfsrpc.protocols import PROTOCOLS
    from nfsrpc.tables import NAMES, TABLES

    if name in TABLES:
        return about_table(TABLES[name], paint, width)
    for program in PROTOCOLS:
        if program.protocol == name:
            return about_protocol(program, paint, width)

    from nfsrpc.diagnosis.catalogue import find, rules
    from nfsrpc.sessions.messages import declared

    lists = {table.name: table for program in PROTOCOLS for table in declared(program)}
    if name in lists:
        return about_table(lists[name], paint, width)
    try:
        return about_rule(find(name), paint, width)
    except KeyError:
        known = [name for check in rules().values() for name in (check.rule.id, check.rule.name)]
        unknown("rule, table or protocol", name, [*known, *NAMES, *lists])


def about_rule(check: Check, paint: Paint, width: int) -> Iterator[str]:
    rule = check.rule
    yield f"{paint('heading', f'{rule.id} {rule.name}')}  {paint(rule.severity, rule.severity)}"
    yield from prose(check.summary, width, "")
    for title, text in check.sections.items():
        yield ""
        yield paint("heading", title)
        yield from prose(text, width, INDENT)
    if check.thresholds:
        yield ""
        yield paint("heading", f"Thresholds (nfsrpc analyze --set {rule.id}.NAME=VALUE)")
        rows = [((f"{INDENT}{name}", f"{value:g}"), check.meanings[name]) for name, value in check.thresholds.items()]
        yield from glossary(rows, width)


def prose(text: str, width: int, indent: str) -> Iterator[str]:
    """The lines of a text with its paragraphs wrapped; list items and indented lines stay lines of their own."""
    from nfsrpc.report.terminal import reflowed, wrap

    for line in reflowed(text):
        inner = line[: len(line) - len(line.lstrip())]
        hanging = inner + ("  " if line.lstrip().startswith(("- ", "* ")) else "")
        head, *rest = [line] if inner and hanging == inner else wrap(line, width - len(indent + hanging))
        yield indent + head
        yield from (indent + hanging + more for more in rest)


def about_table(table: TableSpec, paint: Paint, width: int) -> Iterator[str]:
    from nfsrpc.report.terminal import wrap
    from nfsrpc.tables import ODDITIES, ODDITY_KINDS

    yield paint("heading", table.name)
    yield from wrap(table.meaning, width)
    yield ""
    yield from glossary([((column.name, column.kind, column.unit), column.meaning) for column in table.columns], width)
    if table is ODDITIES:
        yield ""
        yield from glossary([((kind,), meaning) for kind, meaning in ODDITY_KINDS.items()], width)
    yield ""
    yield "A ? after a kind: it may be null, as text, times and f64 always may."


def glossary(entries: Sequence[tuple[tuple[str, ...], str]], width: int) -> Iterator[str]:
    """Names in columns, with their meanings in a last column that is wrapped."""
    from nfsrpc.report.terminal import columns, wrap

    heads = columns([names for names, _ in entries])
    margin = max(map(len, heads)) + len(INDENT)
    for head, (_, meaning) in zip(heads, entries, strict=True):
        first, *rest = wrap(meaning, width - margin)
        yield head.ljust(margin) + first
        yield from (" " * margin + line for line in rest)


def about_protocol(program: Program, paint: Paint, width: int) -> Iterator[str]:
    from nfsrpc.report.terminal import columns, wrap
    from nfsrpc.sessions.messages import OF_CALLS, PLACES, declared

    yield paint("heading", f"{program.protocol}: {program.title}, program {program.number} version {program.version}")
    yield program.spec
    yield ""
    yield from columns([(str(procedure.number), procedure.name) for procedure in program.procedures], (True, False))
    for table in declared(program):
        yield ""
        yield paint("heading", table.name)
        yield from wrap(", ".join(table.names[len(OF_CALLS + PLACES) :]) or "nothing", width)
    yield ""
    calls = ", ".join(column.name for column in OF_CALLS)
    yield from wrap(
        f"Before them stand columns of the call: {calls}. nfsrpc explain {program.protocol}.args has all of them.",
        width,
    )
