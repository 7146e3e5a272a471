"""What a shell offers to complete: names of tables, columns, rules and protocols, looked up when it asks."""

from __future__ import annotations

from collections.abc import Iterable, Iterator

import typer


def tables() -> dict[str, str]:
    """Tables and protocols with their meanings."""
    from nfsrpc.protocols import PROTOCOLS
    from nfsrpc.tables import TABLES

    return {name: table.meaning for name, table in TABLES.items()} | {
        program.protocol: program.title for program in PROTOCOLS
    }


def rules() -> dict[str, str]:
    from nfsrpc.diagnosis import catalogue

    return {check.rule.id: check.rule.name for check in catalogue.rules().values()}


def table_names(incomplete: str) -> Iterator[tuple[str, str]]:
    return beginning(incomplete, tables().items())


def rule_names(incomplete: str) -> Iterator[tuple[str, str]]:
    return beginning(incomplete, rules().items())


def explained(incomplete: str) -> Iterator[tuple[str, str]]:
    """Everything that `nfsrpc explain` knows."""
    by_name = {name: rule for rule, name in rules().items()}
    return beginning(incomplete, (rules() | by_name | tables()).items())


def rule_lists(incomplete: str) -> Iterator[tuple[str, str]]:
    return in_list(incomplete, rules())


def column_lists(context: typer.Context, incomplete: str) -> Iterator[tuple[str, str]]:
    from nfsrpc.tables import TABLES

    # Where an option lacks its value, typer leaves the arguments before it as they are.
    words = [context.params.get("name"), *context.args]
    tables = [TABLES[word] for word in words if word in TABLES]
    columns = {column.name: column.meaning for table in tables[:1] for column in table.columns}
    return in_list(incomplete, {"all": "every column"} | columns)


def thresholds(incomplete: str) -> Iterator[tuple[str, str]]:
    from nfsrpc.diagnosis import catalogue

    known = (
        (f"{check.rule.id}.{name}=", f"{check.meanings[name]} ({value:g})")
        for check in catalogue.rules().values()
        for name, value in check.thresholds.items()
    )
    return beginning(incomplete, known)


def in_list(incomplete: str, known: dict[str, str]) -> Iterator[tuple[str, str]]:
    """Completions of the last name in a list with commas."""
    before, comma, last = incomplete.rpartition(",")
    return ((f"{before}{comma}{name}", meaning) for name, meaning in beginning(last, known.items()))


def beginning(start: str, known: Iterable[tuple[str, str]]) -> Iterator[tuple[str, str]]:
    return ((name, meaning) for name, meaning in known if name.startswith(start))
