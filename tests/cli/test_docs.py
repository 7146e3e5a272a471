"""The pages: what they show is what commands print, what they teach works, and what they point to is there."""

import importlib.util
import re
from pathlib import Path
from types import ModuleType

import pytest

from nfsrpc.diagnosis.catalogue import SECTIONS, rules
from tests.captures_dir import SETS
from tests.rules.expected import cases

ROOT = Path(__file__).resolve().parents[2]
LINKS = re.compile(r"\]\(([^)#:]+)\)")


def script(name: str) -> ModuleType:
    """A script of docs/, which is no package."""
    spec = importlib.util.spec_from_file_location(name, ROOT / "docs" / f"{name}.py")
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


outputs, reference, stubs, verdicts = map(script, ("outputs", "reference", "stubs", "verdicts"))
GENERATED = "a stale page is renewed by `make docs`"


def test_generated_pages_say_what_is_declared() -> None:
    pages = reference.pages()
    assert {path: path.read_text(encoding="utf-8") for path in pages} == pages, GENERATED
    assert set((ROOT / "docs" / "rules").iterdir()) == {path for path in pages if path.parent.name == "rules"}


def test_every_rule_is_in_the_catalogue_and_has_a_page_with_its_sections() -> None:
    catalogue = (ROOT / "docs" / "rules" / "README.md").read_text(encoding="utf-8")
    for name, check in rules().items():
        page = (ROOT / "docs" / "rules" / f"{name}.md").read_text(encoding="utf-8")
        assert f"| [{name}]({name}.md) {check.rule.name} | {check.rule.severity} |" in catalogue
        assert [title for title in SECTIONS if f"\n## {title}\n" in page] == list(SECTIONS)
        assert all(f"\n| `{threshold}` | " in page for threshold in check.thresholds)


def test_the_page_of_verdicts_says_what_is_concluded() -> None:
    assert verdicts.standing("samples") == verdicts.section("samples"), GENERATED


@pytest.mark.parametrize("kind", ["samples", "kernel"])
def test_the_page_of_verdicts_has_all_captures_and_no_difference(kind: str) -> None:
    """That each gets its verdict is tested in tests/rules/test_captures.py."""
    rows = [line.split(" | ") for line in verdicts.standing(kind).splitlines()[4:]]
    assert len(rows) > 20
    assert [row[0].removeprefix("| ") for row in rows if row[-1] != " |"] == []
    if SETS[kind].found.is_dir():
        assert [row[0].removeprefix("| ") for row in rows] == [case.name for case in cases(kind)], GENERATED


def test_types_of_tables_are_those_of_the_declarations() -> None:
    assert stubs.FILE.read_text(encoding="utf-8") == stubs.stub()


@pytest.mark.parametrize("page", outputs.pages(), ids=lambda page: page.name)
def test_outputs_are_those_of_the_commands(page: Path) -> None:
    """A stale page is renewed by `make docs`."""
    text = page.read_text(encoding="utf-8")
    assert outputs.renewed(text) == text


def test_the_readme_shows_the_demo() -> None:
    text = (ROOT / "README.md").read_text(encoding="utf-8")
    demo = re.search(r"^DEMO := (\S+)$", (ROOT / "Makefile").read_text(encoding="utf-8"), re.MULTILINE)
    assert demo is not None
    assert f"<!-- output: nfsrpc analyze {demo[1]} -->\n```text\n FAULT   REG001 " in text


@pytest.mark.parametrize("page", outputs.pages(), ids=lambda page: page.name)
def test_links_lead_somewhere(page: Path) -> None:
    links = LINKS.findall(page.read_text(encoding="utf-8"))
    assert [link for link in links if not (page.parent / link).exists()] == []


def test_files_that_the_architecture_names_are_there() -> None:
    text = (ROOT / "docs" / "architecture.md").read_text(encoding="utf-8")
    known = {
        path.name for folder in ("nfsrpc", "core/src", "docs", "benchmarks") for path in (ROOT / folder).rglob("*")
    }
    named = re.findall(r"`(?:[a-z]+/)*([a-z_0-9.]+\.(?:py|rs|json))`", text)
    assert len(named) > 30
    assert [name for name in named if name not in known] == []
