"""The report as a page: the blocks of document.py as HTML, complete in one file, with no script and no network.

Light or dark as the reader's system is, dark ink on white when printed; what is wide scrolls by itself on a narrow
screen.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from nfsrpc import markup
from nfsrpc.report import document
from nfsrpc.report.contents import Report

SHORT = 20  # cells of so many characters stay on one line: names of files and hosts, not times with their dates
STYLE = """
:root { color-scheme: light dark; --ink: #1c1e21; --paper: #ffffff; --faint: #5f6670 }
@media (prefers-color-scheme: dark) { :root { --ink: #e4e6e9; --paper: #16181b; --faint: #9aa1ab } }
@media print { :root { color-scheme: light; --ink: #000000; --paper: #ffffff; --faint: #444444 } }
body { font: 16px/1.5 system-ui, sans-serif; color: var(--ink); background: var(--paper);
  max-width: 62em; margin: 0 auto; padding: 1.5em 1em 3em; overflow-wrap: anywhere }
h1 { font-size: 1.3em; line-height: 1.35; margin: 0.5em 0 }
h2 { font-size: 1.05em; margin: 1.8em 0 0.4em }
h3 { font-size: 1em; margin: 1.2em 0 0.3em }
th { color: var(--faint); font-weight: normal }
td { font-variant-numeric: tabular-nums; min-width: 4ch }
.short { white-space: nowrap }
.wide { overflow-x: auto; overflow-wrap: normal }
pre { font: 0.9em/1.5 ui-monospace, monospace; overflow-wrap: normal }
footer { color: var(--faint); margin-top: 2.5em }
@media print { pre { white-space: pre-wrap } .wide { overflow: visible }
  h2, h3 { break-after: avoid } tr, pre { break-inside: avoid }
  * { print-color-adjust: exact; -webkit-print-color-adjust: exact } }
"""


def render(report: Report) -> str:
    title, *others, version = document.blocks(report)
    assert isinstance(title, document.Title)
    name = markup.text(f"{document.STATES[title.state]}{f': {title.rule}' if title.rule else ''}")
    body = "\n".join(filter(None, (RENDERERS[type(block)](block) for block in (title, *others))))
    return f"""<!DOCTYPE html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<title>{name}</title>
<style>{STYLE}</style>
</head>
<body>
{body}
<footer>{RENDERERS[type(version)](version)}</footer>
</body>
</html>
"""


def listing(block: document.Listing) -> str:
    items = (markup.text(item) + markup.listing(below) for item, below in block.items)
    return f"<ul>{''.join(f'<li>{item}</li>' for item in items)}</ul>" if block.items else ""


def grid(block: document.Grid) -> str:
    """Severities as badges."""
    rows = [[cell(name, text) for name, text in zip(block.head, row, strict=True)] for row in block.rows]
    return f'<div class="wide">{markup.table(block.head, rows, pieces=True)}</div>'


def cell(name: str, text: str) -> str:
    if name == "severity":
        return markup.badge(text)
    return f'<span class="short">{markup.text(text)}</span>' if len(text) <= SHORT else markup.text(text)


def display_filter(entry: tuple[str, str]) -> str:
    file, expression = map(markup.text, entry)
    return f"<p>Wireshark display filter, {file}: <code>{expression}</code></p>"


RENDERERS: dict[type, Callable[[Any], str]] = {
    document.Title: lambda block: markup.heading(markup.badge(block.state), markup.bold(block.rule)),
    document.Lead: lambda block: f"<h1>{markup.text(block.text)}</h1>",
    document.Heading: lambda block: f"<h{1 + block.level}>{markup.text(block.text)}</h{1 + block.level}>",
    document.Paragraph: lambda block: markup.paragraph(block.text),
    document.Listing: listing,
    document.Grid: grid,
    document.Commands: lambda block: markup.code(block.lines),
    document.Filters: lambda block: "".join(map(display_filter, block.filters)),
}
