"""Writes docs/rules.md and docs/tables.md from what the rules and tables declare of themselves: `make docs`."""

from collections.abc import Iterator
from pathlib import Path

from nfsrpc.rules import catalogue
from nfsrpc.rules.catalogue import Check
from nfsrpc.tables import TABLES, TableSpec

GENERATED = "<!-- Written by docs/reference.py (make docs); change the declarations instead. -->"
HERE = Path(__file__).parent


def rules() -> Iterator[str]:
    yield from ("# Rules", "", GENERATED, "", "| rule | severity | problem |", "|---|---|---|")
    for check in catalogue.rules().values():
        rule = check.rule
        yield f"| [{rule.id}](#{rule.id.lower()}-{rule.name}) | {rule.severity} | {cell(check.summary)} |"
    for check in catalogue.rules().values():
        yield from rule_section(check)


def rule_section(check: Check) -> Iterator[str]:
    yield from ("", f"## {check.rule.id} {check.rule.name}", "", f"*{check.rule.severity}.* {check.summary}")
    for title, text in check.sections.items():
        yield from ("", f"### {title}", "", text)
    if check.thresholds:
        yield from ("", "### Thresholds", "")
        yield from (f"* `{name}` = {value}" for name, value in check.thresholds.items())


def tables() -> Iterator[str]:
    yield from ("# Tables", "", GENERATED, "", "| table | a row is |", "|---|---|")
    yield from (f"| [{table.name}](#{table.name}) | {cell(table.meaning)} |" for table in TABLES.values())
    for table in TABLES.values():
        yield from table_section(table)


def table_section(table: TableSpec) -> Iterator[str]:
    yield from ("", f"## {table.name}", "", table.meaning, "")
    yield from ("| column | kind | unit | meaning |", "|---|---|---|---|")
    for column in table.columns:
        yield f"| `{column.name}` | {column.kind} | {cell(column.unit)} | {cell(column.meaning)} |"


def cell(text: str) -> str:
    return text.replace("|", "\\|").replace("\n", " ")


def main() -> None:
    for name, lines in (("rules", rules()), ("tables", tables())):
        (HERE / f"{name}.md").write_text("\n".join(lines) + "\n")


if __name__ == "__main__":
    main()
