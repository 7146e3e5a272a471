"""Small pieces of HTML for the cells of a notebook, each complete in itself and legible on light and dark.

A notebook brings its own page: so text keeps the page's colours, backgrounds are translucent, and only badges have
colours of their own, white on one that is dark enough. Styles are in the elements, since a page may drop others; where
even those are dropped (GitHub), headings, tables and code blocks still read well.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from nfsrpc.printable import clean

SHADE = "rgba(127, 127, 127, 0.14)"
BADGES = {
    "fault": "#B3261E",
    "error": "#B3261E",
    "warning": "#8A5A00",
    "info": "#3B5B7A",
    "healthy": "#1E7B34",
    "cannot-tell": "#6B4E9B",
}


def cell(*parts: str) -> str:
    """The whole of what an object shows of itself."""
    return f'<div style="max-width: 62em; line-height: 1.45">{"".join(parts)}</div>'


def text(value: object) -> str:
    """What anybody has written, as text of a page: neither markup nor control characters."""
    from html import escape  # a list of all entities comes with it: 1 ms of each start

    return escape(clean(str(value)))


def badge(kind: str) -> str:
    style = f"background: {BADGES[kind]}; color: #FFFFFF; border-radius: 3px; padding: 1px 7px; font-weight: bold"
    return f'<span style="{style}">{text(kind.replace("-", " ").upper())}</span>'


def heading(*parts: str) -> str:
    return f'<p style="margin: 0.3em 0">{" ".join(parts)}</p>'


def bold(words: str) -> str:
    return f"<b>{text(words)}</b>"


def paragraph(words: str) -> str:
    return f'<p style="margin: 0.3em 0">{text(words)}</p>' if words else ""


def code(lines: Iterable[object]) -> str:
    listed = "\n".join(map(text, lines))
    style = f"background: {SHADE}; color: inherit; padding: 6px 9px; margin: 0.3em 0; overflow-x: auto"
    return f'<pre style="{style}">{listed}</pre>' if listed else ""


def table(head: Sequence[str], rows: Iterable[Sequence[object]], pieces: bool = False) -> str:
    """Rows of texts, or of HTML where they are `pieces` already; nothing when there are none."""
    lines = [line("td", (str(one) if pieces else text(one) for one in row)) for row in rows]
    if not lines:
        return ""
    top = f"<thead>{line('th', map(text, head))}</thead>" if any(head) else ""
    return f'<table style="border-collapse: collapse; margin: 0.3em 0">{top}<tbody>{"".join(lines)}</tbody></table>'


def line(kind: str, pieces: Iterable[str]) -> str:
    style = "text-align: left; vertical-align: top; padding: 2px 14px 2px 0"
    return "<tr>" + "".join(f'<{kind} style="{style}">{piece}</{kind}>' for piece in pieces) + "</tr>"


def listing(lines: Iterable[str]) -> str:
    items = "".join(f"<li>{text(line)}</li>" for line in lines)
    return f'<ul style="margin: 0.3em 0">{items}</ul>' if items else ""
