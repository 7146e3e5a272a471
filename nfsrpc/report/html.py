"""The report as a page: the blocks of document.py as HTML, complete in one file, which needs no network.

Light or dark as the reader's system is, dark ink on white when printed; what is wide scrolls by itself on a narrow
screen. Pictures are SVG, the messages of each frame and the pages of rules unfold. The one script adds buttons that
copy, and unfolds what a link leads to; the page's own policy (CSP) lets no other run, whatever a capture holds.
"""

from __future__ import annotations

import re
from base64 import b64encode
from collections.abc import Callable, Iterator
from hashlib import sha256
from typing import Any

from nfsrpc import markup
from nfsrpc.diagnosis.catalogue import Check
from nfsrpc.report import document
from nfsrpc.report.attachments import Attachments, Picture
from nfsrpc.report.contents import Report
from nfsrpc.report.terminal import reflowed

SHORT = 20  # cells of so many characters stay on one line: names of files and hosts, not times with their dates
STYLE = """
:root { color-scheme: light dark; --ink: #1c1e21; --paper: #ffffff; --faint: #5f6670; --link: #0b57a4 }
@media (prefers-color-scheme: dark) { :root { --ink: #e4e6e9; --paper: #16181b; --faint: #9aa1ab; --link: #7db7f5 } }
@media print { :root { color-scheme: light; --ink: #000000; --paper: #ffffff; --faint: #444444; --link: #000000 } }
body { font: 16px/1.5 system-ui, sans-serif; color: var(--ink); background: var(--paper);
  max-width: 62em; margin: 0 auto; padding: 1.5em 1em 3em; overflow-wrap: anywhere }
h1 { font-size: 1.3em; line-height: 1.35; margin: 0.5em 0 }
h2 { font-size: 1.05em; margin: 1.8em 0 0.4em }
h3 { font-size: 1em; margin: 1.2em 0 0.3em }
a { color: var(--link) }
th { color: var(--faint); font-weight: normal }
td { font-variant-numeric: tabular-nums; min-width: 4ch }
.short { white-space: nowrap }
.wide { overflow-x: auto; overflow-wrap: normal }
pre { font: 0.9em/1.5 ui-monospace, monospace; overflow-wrap: normal; overflow-x: auto }
details { border-left: 3px solid color-mix(in srgb, var(--faint) 40%, transparent); padding-left: 0.8em;
  margin: 0.4em 0 }
summary { cursor: pointer }
figure { margin: 0.6em 0 }
figure svg { min-width: 40em; max-width: 100%; height: auto }
figure .dark { display: none }
@media (prefers-color-scheme: dark) { figure .light { display: none } figure .dark { display: block } }
@media (max-width: 34em) { .proof thead { display: none } .proof tr { display: block; margin-bottom: 0.5em }
  .proof td { display: inline } .proof td:last-child { display: block } }
.copy { float: right; font: 0.8em system-ui, sans-serif; margin: 0.3em; padding: 0.1em 0.6em; cursor: pointer }
footer { color: var(--faint); margin-top: 2.5em }
@media print { pre { white-space: pre-wrap } .wide { overflow: visible } .copy { display: none }
  figure .light { display: block } figure .dark { display: none } figure svg { min-width: 0 }
  h2, h3 { break-after: avoid } tr, pre, figure { break-inside: avoid }
  * { print-color-adjust: exact; -webkit-print-color-adjust: exact } }
"""
SCRIPT = """
"use strict";
function select(element) {
  const range = document.createRange();
  range.selectNodeContents(element);
  getSelection().removeAllRanges();
  getSelection().addRange(range);
}
async function copy(element, button) {
  try { await navigator.clipboard.writeText(element.textContent); }
  catch { select(element); if (!document.execCommand("copy")) return; }
  button.textContent = "Copied";
  setTimeout(() => { button.textContent = "Copy"; }, 2000);
}
for (const element of document.querySelectorAll(".commands pre, .filter code")) {
  const button = document.createElement("button");
  button.type = "button";
  button.className = "copy";
  button.textContent = "Copy";
  button.addEventListener("click", () => copy(element, button));
  element.before(button);
}
function unfold() {
  const target = location.hash && document.getElementById(location.hash.slice(1));
  if (target) { target.open = true; target.scrollIntoView(); }
}
addEventListener("hashchange", unfold);
unfold();
"""
DIGEST = b64encode(sha256(SCRIPT.encode()).digest()).decode()
POLICY = f"default-src 'none'; style-src 'unsafe-inline'; script-src 'sha256-{DIGEST}'"
# Identifiers in a picture of Vega, which are of a page only once.
SVG_NAME = re.compile(r"""(\bid="|url\(#|href="#)([\w-]+)""")


def render(report: Report, attached: Attachments = Attachments()) -> str:  # noqa: B008  it is a constant
    title, *others, version = document.blocks(report)
    assert isinstance(title, document.Title)
    name = markup.text(f"{document.STATES[title.state]}{f': {title.rule}' if title.rule else ''}")
    page = PageParts(attached)
    parts = [*map(page.block, (title, *others)), *page.rules()]
    body = "\n".join(filter(None, parts))
    return f"""<!DOCTYPE html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta http-equiv="Content-Security-Policy" content="{POLICY}">
<meta name="viewport" content="width=device-width, initial-scale=1">
<title>{name}</title>
<style>{STYLE}</style>
</head>
<body>
{body}
<footer>{page.block(version)}</footer>
<script>{SCRIPT}</script>
</body>
</html>
"""


class PageParts:
    """The pieces of a page, and what is attached to it."""

    def __init__(self, attached: Attachments) -> None:
        self.attached = attached

    def block(self, block: document.Block) -> str:
        if isinstance(block, document.Grid) and block.frames:
            return self.proof(block)
        if isinstance(block, document.Pictures):
            return "".join(map(picture, enumerate(self.attached.pictures)))
        return RENDERERS[type(block)](block)

    def proof(self, block: document.Grid) -> str:
        """The frames of a proof: each a link to its messages, which unfold below."""
        column = block.head.index(document.FRAME)
        rows = []
        for row, place in zip(block.rows, block.frames, strict=True):
            cells = [cell(name, text) for name, text in zip(block.head, row, strict=True)]
            if place in self.attached.frames:
                cells[column] = f'<a href="#{anchor(place)}">{cells[column]}</a>'
            rows.append(cells)
        listed = [
            f'<details id="{anchor(place)}"><summary>{markup.text(row[column])}</summary>'
            f"<pre>{'<br>'.join(map(markup.text, self.attached.frames[place].splitlines()))}</pre></details>"
            for row, place in zip(block.rows, block.frames, strict=True)
            if place in self.attached.frames
        ]
        grid = f'<div class="wide proof">{markup.table(block.head, rows, pieces=True)}</div>'
        return grid + ("<p>Messages of these frames, field by field:</p>" + "".join(listed) if listed else "")

    def rules(self) -> Iterator[str]:
        if self.attached.rules:
            yield "<h2>About the rules</h2>"
        yield from map(rule, self.attached.rules)


def anchor(place: tuple[int, int]) -> str:
    return "frame-{}-{}".format(*place)


def picture(numbered: tuple[int, Picture]) -> str:
    number, drawn = numbered
    heading = f"<h2>{markup.text(drawn.title)}</h2>"
    if drawn.text:
        return f'{heading}<div class="wide"><pre>{lines(drawn.text)}</pre></div>'
    svgs = (
        f'<div class="{scheme}">{with_own_names(svg, f"{scheme}-{number}-")}</div>'
        for scheme, svg in (("light", drawn.light), ("dark", drawn.dark))
    )
    return f'{heading}<figure class="wide">{"".join(svgs)}</figure>'


def with_own_names(svg: str, prefix: str) -> str:
    """A picture whose identifiers are those of no other picture on the page."""
    return SVG_NAME.sub(lambda found: f"{found[1]}{prefix}{found[2]}", svg)


def lines(text: str) -> str:
    return "\n".join(map(markup.text, text.splitlines()))


def rule(check: Check) -> str:
    """The page of a rule, as `nfsrpc explain` prints it."""
    name = markup.text(f"{check.rule.id} {check.rule.name}: {check.summary}")
    sections = "".join(f"<h3>{markup.text(title)}</h3>{prose(text)}" for title, text in check.sections.items())
    return f"<details><summary>{name}</summary>{sections}</details>"


def prose(text: str) -> str:
    """A paragraph per paragraph and per item of a list."""
    return "".join(markup.paragraph(line.strip()) for line in reflowed(text))


def heading(block: document.Heading) -> str:
    kind, name = f"h{1 + block.level}", f' id="fault-{block.fault}"' if block.fault else ""
    return f"<{kind}{name}>{markup.text(block.text)}</{kind}>"


def listing(block: document.Listing) -> str:
    items = (markup.text(item) + markup.listing(below) for item, below in block.items)
    return f"<ul>{''.join(f'<li>{item}</li>' for item in items)}</ul>" if block.items else ""


def grid(block: document.Grid) -> str:
    """Severities as badges, causes as links to their faults."""
    rows = [[cell(name, text) for name, text in zip(block.head, row, strict=True)] for row in block.rows]
    for row, fault in zip(rows, block.faults, strict=False):
        column = block.head.index(document.CAUSE)
        row[column] = f'<a href="#fault-{fault}">{row[column]}</a>' if fault else row[column]
    return f'<div class="wide">{markup.table(block.head, rows, pieces=True)}</div>'


def cell(name: str, text: str) -> str:
    if name == "severity":
        return markup.badge(text)
    return f'<span class="short">{markup.text(text)}</span>' if len(text) <= SHORT else markup.text(text)


def display_filter(entry: tuple[str, str]) -> str:
    file, expression = map(markup.text, entry)
    return f'<p class="filter">Wireshark display filter, {file}: <code>{expression}</code></p>'


RENDERERS: dict[type, Callable[[Any], str]] = {
    document.Title: lambda block: markup.heading(markup.badge(block.state), markup.bold(block.rule)),
    document.Lead: lambda block: f"<h1>{markup.text(block.text)}</h1>",
    document.Heading: heading,
    document.Paragraph: lambda block: markup.paragraph(block.text),
    document.Listing: listing,
    document.Grid: grid,
    document.Commands: lambda block: f'<div class="commands">{markup.code(block.lines)}</div>',
    document.Pictures: lambda block: "",
    document.Filters: lambda block: "".join(map(display_filter, block.filters)),
}
