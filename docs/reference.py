"""Writes docs/tables.md, docs/rules/ and the programs of docs/architecture.md from their declarations: `make docs`.

docs/rules/README.md is the catalogue; each rule has a page of its identifier. tests/cli/test_docs.py fails when a page
is stale.
"""

import re
from collections.abc import Iterator
from pathlib import Path

from nfsrpc.columns import TableSpec, dtype
from nfsrpc.diagnosis import catalogue
from nfsrpc.diagnosis.catalogue import Check, candidates
from nfsrpc.protocols import PROTOCOLS
from nfsrpc.protocols.layout import Program
from nfsrpc.rules import FAMILIES
from nfsrpc.sessions.holders import HOLDERS
from nfsrpc.tables import ODDITIES, ODDITY_KINDS, TABLES

GENERATED = "<!-- Written by docs/reference.py (make docs); change the declarations instead. -->"
HERE = Path(__file__).parent
PROGRAMS = re.compile(r"(<!-- programs: .*? -->\n).*?(<!-- end -->)", re.DOTALL)
RULE = re.compile(r"\b[A-Z]{3}\d{3}\b")


def pages() -> dict[Path, str]:
    """Every generated page with its text."""
    rules = catalogue.rules()
    found = {HERE / "tables.md": tables(), HERE / "rules" / "README.md": rule_catalogue(rules)}
    found |= {HERE / "rules" / f"{name}.md": rule_page(check) for name, check in rules.items()}
    written = {path: "\n".join(lines) + "\n" for path, lines in found.items()}
    architecture = HERE / "architecture.md"
    text = architecture.read_text(encoding="utf-8")
    return written | {architecture: PROGRAMS.sub(rf"\1{''.join(programs())}\2", text)}


def programs() -> Iterator[str]:
    """A table of the files of nfsrpc/protocols/ by program number."""
    by_number: dict[int, list[Program]] = {}
    for program in PROTOCOLS:
        by_number.setdefault(program.number, []).append(program)
    yield "\n| module | program |\n|---|---|\n"
    for number, versions in sorted(by_number.items()):
        first, *others = (f"{program.protocol}.py" for program in versions)
        files = ", ".join(f"`{name}`" for name in (f"protocols/{first}", *others))
        titles = dict.fromkeys(program.title for program in versions)
        yield f"| {files} | {number}: {cell(', '.join(titles))} |\n"


def rule_catalogue(rules: dict[str, Check]) -> Iterator[str]:
    yield from ("# Rules", "", GENERATED, "")
    yield "A rule answers findings, *clear* (on what evidence) or *cannot tell* (what would have to be captured)."
    for family, title in FAMILIES.items():
        yield from ("", f"## {title}", "", "| rule | severity | problem |", "|---|---|---|")
        for check in (check for name, check in rules.items() if name.startswith(family)):
            rule = check.rule
            yield f"| {linked(rule.id)} {rule.name} | {rule.severity} | {cell(check.summary)} |"


def rule_page(check: Check) -> Iterator[str]:
    rule = check.rule
    yield from (f"# {rule.id} {rule.name}", "", GENERATED, "", f"*{rule.severity.capitalize()}.* {check.summary}")
    for title, text in check.sections.items():
        yield from ("", f"## {title}", "", linked(text, rule.id))
    if check.thresholds:
        yield from ("", "## Thresholds", "", "| name | default | meaning |", "|---|---|---|")
        for name, value in check.thresholds.items():
            yield f"| `{name}` | {value:g} | {linked(cell(check.meanings[name]), rule.id)} |"
        name, value = next(iter(check.thresholds.items()))
        yield from (
            "",
            f"Changed by `--set {rule.id}.{name}={value:g}`, or in `nfsrpc.toml` under `[rules.{rule.id}]`.",
        )
    yield from related("Explains", candidates().get(rule.id, ()))
    yield from related("Explained by", sorted(cause for cause, effects in candidates().items() if rule.id in effects))
    yield from ("", "[All rules](README.md)")


def related(title: str, rules: Iterator[str] | list[str] | tuple[str, ...]) -> Iterator[str]:
    links = [f"{linked(rule)} {catalogue.rules()[rule].rule.name}" for rule in rules]
    if links:
        yield from ("", f"## {title}", "", "When they concern the same hosts at the same time:", "")
        yield from (f"* {link}" for link in links)


def linked(text: str, but: str = "") -> str:
    """A text with identifiers of rules as links to their pages."""
    known = catalogue.rules().keys() - {but}
    return RULE.sub(lambda name: f"[{name[0]}]({name[0]}.md)" if name[0] in known else name[0], text)


def tables() -> Iterator[str]:
    yield from ("# Tables", "", GENERATED, "", "| table | a row is |", "|---|---|")
    known = [*TABLES.values(), HOLDERS]
    yield from (f"| [{table.name}](#{table.name}) | {cell(table.meaning)} |" for table in known)
    for table in known:
        yield from table_section(table)


def table_section(table: TableSpec) -> Iterator[str]:
    yield from ("", f"## {table.name}", "", table.meaning, "")
    yield from ("| column | dtype | unit | meaning |", "|---|---|---|---|")
    for column in table.columns:
        yield f"| `{column.name}` | {dtype(column.kind)} | {cell(column.unit)} | {cell(column.meaning)} |"
    if table is ODDITIES:
        yield from ("", "| kind | meaning |", "|---|---|")
        yield from (f"| `{kind}` | {cell(meaning)} |" for kind, meaning in ODDITY_KINDS.items())


def cell(text: str) -> str:
    return text.replace("|", "\\|").replace("\n", " ")


def main() -> None:
    written = pages()
    (HERE / "rules").mkdir(exist_ok=True)
    for old in (HERE / "rules").glob("*.md"):
        if old not in written:
            old.unlink()
    for path, text in written.items():
        path.write_text(text, encoding="utf-8")


if __name__ == "__main__":
    main()
