"""The documentation site: built without a warning, it needs no network, and reads well when narrow and when dark."""

from __future__ import annotations

import os
import re
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.browser import FOUND, Browser

ROOT = Path(__file__).parents[1]
PAGES = (
    "index",
    "tutorial",
    "capture",
    "report",
    "rules/index",
    "rules/REG001",
    "tables",
    "python",
    "samples",
    "changes",
)

pytestmark = pytest.mark.acceptance


@pytest.fixture(scope="module")
def site() -> Path:
    done = subprocess.run(
        ["make", "--no-print-directory", "site"], cwd=ROOT, env=os.environ, capture_output=True, text=True, check=False
    )
    if done.returncode and "made" in done.stderr and "mkdocs" not in done.stderr:
        pytest.skip(f"the tools of the site cannot be installed: {done.stderr.splitlines()[-1]}")
    assert (done.returncode, done.stdout) == (0, "site/index.html\n"), done.stderr
    return ROOT / "site"


@pytest.fixture(scope="module")
def browser(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Browser]:
    if FOUND is None:
        pytest.skip("no chromium (apt install chromium)")
    with Browser(tmp_path_factory.mktemp("profile")) as opened:
        yield opened


def test_every_page_is_there(site: Path) -> None:
    assert [page for page in PAGES if not (site / f"{page}.html").is_file()] == []
    rules = {path.stem for path in (ROOT / "docs" / "rules").glob("[A-Z]*[0-9].md")}
    assert {path.stem for path in (site / "rules").glob("[A-Z]*[0-9].html")} == rules


def test_nothing_is_fetched(site: Path) -> None:
    """Links may lead elsewhere; what a page loads is beside it."""
    loaded = re.compile(r'<(?:script|img|iframe|link rel="stylesheet")[^>]*(?:src|href)="(?:https?:)?//')
    assert [page for page in site.rglob("*.html") if loaded.search(page.read_text(encoding="utf-8"))] == []
    sheets = "".join(sheet.read_text(encoding="utf-8") for sheet in site.rglob("*.css"))
    assert re.findall(r"url\(\"?https?://|@import", sheets) == []


def test_python_is_documented_with_its_examples(site: Path) -> None:
    text = (site / "python.html").read_text(encoding="utf-8")
    assert 'id="nfsrpc.trace.Trace.holders"' in text
    assert "nfsrpc.trace.Trace.arrow" in text


@pytest.mark.parametrize("scheme", ["light", "dark"])
@pytest.mark.parametrize("width", [420, 1200])
@pytest.mark.parametrize("page", PAGES)
def test_a_page_is_as_wide_as_its_window(site: Path, browser: Browser, page: str, width: int, scheme: str) -> None:
    browser.open(f"file://{site}/{page}.html", width, scheme)
    assert browser.run("document.documentElement.scrollWidth") <= width
    assert browser.run("document.body.dataset.mdColorScheme") == {"light": "default", "dark": "slate"}[scheme]
    assert browser.errors == []


def test_it_is_searched_without_a_server(site: Path, browser: Browser) -> None:
    browser.open(f"file://{site}/index.html")
    found = """
        (async () => {
            const field = document.querySelector('input[data-md-component=search-query]');
            document.querySelector('#__search').click();
            field.value = 'statd-not-registered';
            field.dispatchEvent(new KeyboardEvent('keyup', { bubbles: true }));
            field.dispatchEvent(new Event('input', { bubbles: true }));
            for (let tries = 0; tries < 100; tries++) {
                await new Promise(resolve => setTimeout(resolve, 100));
                const links = [...document.querySelectorAll('.md-search-result__link')].map(link => link.href);
                if (links.length) return links;
            }
            return [];
        })()
    """
    links = browser.run(found)
    assert any("/rules/REG001.html" in link for link in links), links
    assert browser.errors == []
