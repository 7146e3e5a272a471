"""The page in a real browser: no errors, no sideways scrolling of the page, buttons that copy, frames that unfold."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

import nfsrpc
from tests.browser import FOUND, Browser

pytestmark = [
    pytest.mark.acceptance,
    pytest.mark.skipif(FOUND is None, reason="no chromium (apt install chromium)"),
]
FILES = ("server-without-statd/nfssrv-any.pcap", "contended/nfssrv-any.pcap", "one-sided/snap96-srv-any.pcap")


@pytest.fixture(scope="module")
def browser(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Browser]:
    with Browser(tmp_path_factory.mktemp("profile")) as opened:
        yield opened


@pytest.fixture(scope="module")
def pages(samples: Path, tmp_path_factory: pytest.TempPathFactory) -> list[str]:
    folder = tmp_path_factory.mktemp("pages")
    for number, file in enumerate(FILES):
        (folder / f"{number}.html").write_text(nfsrpc.read(samples / file).report(), encoding="utf-8")
    return [f"file://{folder}/{number}.html" for number in range(len(FILES))]


@pytest.mark.parametrize("scheme", ["light", "dark"])
@pytest.mark.parametrize("width", [420, 1200])
@pytest.mark.parametrize("number", range(len(FILES)))
def test_no_errors_and_no_sideways_scrolling(
    browser: Browser, pages: list[str], number: int, width: int, scheme: str
) -> None:
    browser.open(pages[number], width, scheme)
    assert browser.run("innerWidth") == width
    assert browser.run("document.documentElement.scrollWidth") <= width
    browser.run("document.querySelectorAll('details').forEach(each => { each.open = true })")
    assert browser.run("document.documentElement.scrollWidth") <= width
    seen = browser.run("[...document.querySelectorAll('svg')].map(each => each.getBoundingClientRect().height > 0)")
    ours = browser.run(f"[...document.querySelectorAll('svg')].map(each => !!each.closest('.{scheme}'))")
    assert seen == ours
    assert browser.errors == []


def test_colours_are_those_of_the_scheme(browser: Browser, pages: list[str]) -> None:
    colour = "getComputedStyle(document.body).backgroundColor"
    browser.open(pages[0], scheme="light")
    assert browser.run(colour) == "rgb(255, 255, 255)"
    browser.open(pages[0], scheme="dark")
    assert browser.run(colour) == "rgb(22, 24, 27)"


def test_every_button_copies_what_stands_beside_it(browser: Browser, pages: list[str]) -> None:
    browser.open(pages[0])
    texts = browser.run("[...document.querySelectorAll('.commands pre, .filter code')].map(each => each.textContent)")
    assert "frame.number in {102,107,109,333,336}" in texts
    assert any(text.startswith("systemctl unmask rpc-statd; ") for text in texts)
    copied = """
        (async () => {
            const taken = [];
            navigator.clipboard.writeText = async text => { taken.push(text) };
            for (const button of document.querySelectorAll('button.copy')) button.click();
            await new Promise(resolve => setTimeout(resolve, 50));
            const said = [...document.querySelectorAll('button.copy')].map(button => button.textContent);
            return [taken, said];
        })()
    """
    assert browser.run(copied) == [texts, ["Copied"] * len(texts)]


def test_without_a_clipboard_the_selection_is_copied(browser: Browser, pages: list[str]) -> None:
    browser.open(pages[0])
    copied = """
        (async () => {
            navigator.clipboard.writeText = async () => { throw new Error('refused') };
            let taken = '';
            document.execCommand = what => { taken = what + ': ' + getSelection(); return true };
            document.querySelector('.filter button').click();
            await new Promise(resolve => setTimeout(resolve, 50));
            return taken;
        })()
    """
    assert browser.run(copied) == "copy: frame.number in {102,107,109,333,336}"


def test_a_frame_of_the_proof_unfolds_its_messages(browser: Browser, pages: list[str]) -> None:
    browser.open(pages[0])
    assert browser.run("document.querySelectorAll('details[open]').length") == 0
    browser.run("document.querySelector('.proof a').click()")
    browser.run("new Promise(resolve => setTimeout(resolve, 50))")
    assert browser.run("document.querySelector('details[open]').id") == "frame-0-102"
    text = browser.run("document.querySelector('details[open] pre').textContent")
    assert text.startswith("Frame 102 of ")
    assert "caller_name  cl1" in text.replace('"', "")


def test_it_prints(browser: Browser, pages: list[str]) -> None:
    browser.open(pages[0], scheme="dark")
    browser.send("Emulation.setEmulatedMedia", media="print")
    assert browser.run("getComputedStyle(document.body).backgroundColor") == "rgb(255, 255, 255)"
    assert browser.run("getComputedStyle(document.querySelector('button.copy')).display") == "none"
    browser.send("Emulation.setEmulatedMedia", media="")
    assert browser.send("Page.printToPDF")["data"].startswith("JVBER")  # %PDF
