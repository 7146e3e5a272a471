"""The report for a ticket: the blocks of document.py as Markdown."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Iterator, Sequence
from typing import Any

from nfsrpc.findings.command import Command
from nfsrpc.printable import clean
from nfsrpc.report import document
from nfsrpc.report.contents import Report

# What Markdown and HTML take for markup, in names that a capture brings.
MARKUP = re.compile(r"([\\`*_\[\]<>|#~&])")


def render(report: Report) -> str:
    parts = ("\n".join(RENDERERS[type(block)](block)) for block in document.blocks(report))
    return "\n\n".join(filter(None, parts)) + "\n"


def title(block: document.Title) -> Iterator[str]:
    yield f"## {document.STATES[block.state]}{f': {escaped(block.rule)}' if block.rule else ''}"


def listing(block: document.Listing) -> Iterator[str]:
    for item, below in block.items:
        yield f"- {escaped(item)}"
        yield from (f"  - {escaped(line)}" for line in below)


def table(head: Sequence[str], rows: Iterable[Sequence[str]]) -> Iterator[str]:
    yield f"| {' | '.join(head)} |"
    yield "|" + "---|" * len(head)
    for row in rows:
        yield f"| {' | '.join(map(escaped, row))} |"


def fenced(commands: Sequence[Command]) -> list[str]:
    """A block to be copied, fenced by more backticks than any command holds."""
    lines = [clean(str(command)) for command in commands]
    longest = max((len(run) for line in lines for run in re.findall("`+", line)), default=0)
    fence = "`" * max(3, longest + 1)
    return [f"{fence}sh", *lines, fence]


def escaped(text: str) -> str:
    return MARKUP.sub(r"\\\1", clean(text))


RENDERERS: dict[type, Callable[[Any], Iterable[str]]] = {
    document.Title: title,
    document.Lead: lambda block: [f"**{escaped(block.text)}**"],
    document.Heading: lambda block: [f"{'#' * (2 + block.level)} {escaped(block.text)}"],
    document.Paragraph: lambda block: [escaped(block.text)],
    document.Listing: listing,
    document.Grid: lambda block: table(block.head, block.rows),
    document.Commands: lambda block: fenced(block.lines),
    document.Pictures: lambda block: (),
    document.Filters: lambda block: [f"Wireshark display filter, {escaped(f)}: `{text}`" for f, text in block.filters],
}
