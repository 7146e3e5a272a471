"""The page: complete in one file, well formed, with all that the Markdown report says, and no markup but its own."""

from html.parser import HTMLParser

import pytest

from nfsrpc.findings.command import Command
from nfsrpc.findings.finding import Diagnosis, Finding
from nfsrpc.printable import clean
from nfsrpc.report import document, html, markdown
from tests.report.samples import CERTAIN, FLEET, HEALTHY, SAMPLES, STATD

VOID = {"meta"}


class Page(HTMLParser):
    """Texts in order, tags as they are nested."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.texts: list[str] = []
        self.tags: set[str] = set()
        self.attributes: set[str] = set()
        self.links: list[str] = []
        self.anchors: set[str] = set()
        self.open: list[str] = []
        self.feed(text)
        self.close()

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.add(tag)
        self.attributes |= {name for name, _ in attrs}
        self.links += [value or "" for name, value in attrs if name == "href"]
        self.anchors |= {value or "" for name, value in attrs if name == "id"}
        if tag not in VOID:
            self.open.append(tag)

    def handle_endtag(self, tag: str) -> None:
        assert self.open.pop() == tag

    def handle_data(self, data: str) -> None:
        if data.strip() and self.open[-1] not in ("style", "title", "script"):
            self.texts.append(data.strip())


@pytest.mark.parametrize("name", SAMPLES)
def test_a_page_is_complete_in_itself(name: str) -> None:
    text = html.render(SAMPLES[name])
    page = Page(text)
    assert page.open == []
    assert page.tags.isdisjoint({"link", "img", "iframe", "object"})
    assert page.attributes.isdisjoint({"src", "onclick"})
    assert {link.removeprefix("#") for link in page.links} <= page.anchors
    assert (text.count("<script"), f"<script>{html.SCRIPT}</script>" in text) == (1, True)
    assert "url(" not in text
    assert "@import" not in text


@pytest.mark.parametrize("name", SAMPLES)
def test_it_says_what_markdown_says(name: str) -> None:
    report = SAMPLES[name]
    shown = "\n".join(Page(html.render(report)).texts)
    for block in document.blocks(report):
        match block:
            case document.Lead(text) | document.Heading(text) | document.Paragraph(text):
                assert clean(text) in shown
            case document.Listing(items):
                assert all(clean(text) in shown for item, below in items for text in (item, *below))
            case document.Grid(_, rows):
                assert all(clean(text) in shown for _, *row in rows for text in row)
            case document.Commands(lines):
                assert "\n".join(map(str, lines)) in shown
    assert set(html.RENDERERS) == set(markdown.RENDERERS)


def test_the_verdict_first() -> None:
    assert Page(html.render(CERTAIN)).texts[:3] == [
        "FAULT",
        "REG001 statd-not-registered (certain)",
        CERTAIN.diagnosis.verdict.summary,
    ]
    assert Page(html.render(HEALTHY)).texts[0] == "HEALTHY"
    assert "<title>Fault: REG001 statd-not-registered (certain)</title>" in html.render(CERTAIN)


def test_names_of_a_capture_are_no_markup() -> None:
    evil = "</li><script>alert(1)</script>&\x1b[2J"
    finding = Finding(
        **{**vars(STATD), "clients": (evil,), "explanation": evil, "remedy": (Command(evil, evil),), "name": evil}
    )
    text = html.render(CERTAIN._replace(diagnosis=Diagnosis(CERTAIN.diagnosis.verdict, (finding,))))
    page = Page(text)
    assert text.count("<script") == 1
    assert "\x1b" not in text
    assert clean(evil) in page.texts


def test_each_host_to_fix_of_a_fleet_leads_to_its_fault() -> None:
    """Faults are in the order of the table, whatever that of the verdict; of a single fault nothing needs a link."""
    text = html.render(FLEET)
    assert Page(text).links == ["#fault-1", "#fault-2", "#fault-3"]
    for number, rule in enumerate(("REG001", "NET001", "RPC002"), 1):
        assert f'<h2 id="fault-{number}">Fault {number} of 3: {rule} ' in text
    assert FLEET.fleet
    other = FLEET._replace(fleet=FLEET.fleet._replace(hosts_to_fix=FLEET.fleet.hosts_to_fix[::-1]))
    assert Page(html.render(other)).links == ["#fault-1", "#fault-2", "#fault-3"]
    assert '<h2 id="fault-1">Fault 1 of 3: RPC002 ' in html.render(other)
    one = CERTAIN._replace(fleet=FLEET.fleet._replace(hosts_to_fix=FLEET.fleet.hosts_to_fix[:1]))
    assert not Page(html.render(one)).links
    assert "REG001 statd-not-registered" in Page(html.render(one)).texts


def test_a_fleet_has_its_nodes_and_what_they_cannot_tell() -> None:
    texts = Page(html.render(FLEET)).texts
    for node in (r"<b>x</b>\n\x1b[2J", "web|1", "web-3"):
        assert node in texts
    assert "Cannot tell" in texts
    assert "2 nodes: the wire of 10.1.84.32 was not captured (NET001): nfssrv and web|1" in texts
    assert "Capture the wire of 10.1.84.32: it would settle 1 open question (NET001)." in texts
