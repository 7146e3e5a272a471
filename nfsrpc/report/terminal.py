"""Layout for terminals: styles that read on dark and light backgrounds, wrapping, aligned columns.

rich would cost 45 ms to import, a sixth of what `analyze` may take for a million packets; a verdict needs eight styles
and no more. Colours are those of the 256 whose contrast is 4 to 1 or more on black and on white; badges bring their own
background. What a capture or a file name holds is never sent to a terminal as control characters.
"""

from __future__ import annotations

import os
import re
import unicodedata
from collections.abc import Callable, Iterable, Iterator, Sequence
from itertools import accumulate
from typing import TextIO, TypeAlias

from nfsrpc.printable import clean

Paint: TypeAlias = Callable[[str, str], str]  # style and text to what is printed

STYLES = {
    "fault": "1;38;5;231;48;5;160",
    "healthy": "1;38;5;231;48;5;28",
    "cannot-tell": "1;38;5;16;48;5;178",
    "error": "1;38;5;196",
    "warning": "1;38;5;130",
    "info": "1;38;5;31",
    "heading": "1",
    "command": "1",
    "faint": "38;5;243",
}
# A number and its unit stay on one line.
UNIT = re.compile(r"(?<=\d) (?=(?:s|ms|µs|min|h|B|kB|MB|GB)\b)")
ACCENTS = ("Mn", "Me")  # categories of characters that a terminal draws over the one before
JAMO = range(0x1160, 0x1200)  # vowels and finals of Korean, drawn into the consonant before
# Longer lines of prose are hard to read, however wide the terminal.
PROSE = 100


def painted(style: str, text: str) -> str:
    return f"\x1b[{STYLES[style]}m{text}\x1b[0m" if text else text


def plain(_style: str, text: str) -> str:
    return text


def uses_colour(stream: TextIO, environment: os._Environ[str] | dict[str, str] = os.environ) -> bool:
    """Whether output is coloured: to a terminal, unless the environment has NO_COLOR or FORCE_COLOR (no-color.org)."""
    if environment.get("NO_COLOR"):
        return False
    if environment.get("FORCE_COLOR"):
        return True
    return stream.isatty() and environment.get("TERM") != "dumb"


def width_of(text: str) -> int:
    """The columns of a terminal that a text takes: East Asian characters take two, accents of their own none.

    >>> width_of("export"), width_of("共有"), width_of("e\u0301"), width_of("\u1100\u1161\u11a8")
    (6, 4, 1, 2)
    """
    return len(text) if text.isascii() else sum(map(columns_of, text))


def columns_of(char: str) -> int:
    if unicodedata.category(char) in ACCENTS or ord(char) in JAMO:
        return 0
    return 2 if unicodedata.east_asian_width(char) in "FW" else 1


def padded(text: str, width: int, to_right: bool = False) -> str:
    """The text with spaces behind it, or before it, up to a width."""
    characters = width if text.isascii() else width + len(text) - width_of(text)
    return text.rjust(characters) if to_right else text.ljust(characters)


def cut(text: str, most: int, keeps_end: bool = False) -> str:
    """The text, or its beginning or end and an ellipsis, in at most so many columns.

    >>> cut("共有/ファイル", 8), cut("共有/ファイル", 8, keeps_end=True), cut("file", 4)
    ('共有/フ…', '…ァイル', 'file')
    """
    if width_of(text) <= most:
        return text
    ends = accumulate(map(columns_of, reversed(text) if keeps_end else text))
    fits = sum(end < most for end in ends)
    return f"…{text[len(text) - fits :]}" if keeps_end else f"{text[:fits]}…"


def wrap(text: str, width: int, first: int | None = None) -> list[str]:
    """Lines of at most `width` columns, the first one of at most `first`, except words that are longer.

    Commands and handles are copied, never broken.

    >>> wrap("one two three 4 s", 14)
    ['one two three', '4 s']
    """
    lines = [""]
    for word in UNIT.sub("\n", clean(" ".join(text.split()))).split(" "):
        room = width if first is None or len(lines) > 1 else first
        if lines[-1] and width_of(lines[-1]) + 1 + width_of(word) > room:
            lines.append(word)
        else:
            lines[-1] = f"{lines[-1]} {word}" if lines[-1] else word
    return [line.replace("\n", " ") for line in lines]


def reflowed(text: str) -> Iterator[str]:
    """One line per paragraph or list item of a text.

    >>> list(reflowed("One\\ntwo.\\n\\n- an\\n  item\\n- another\\n\\n    $ code"))
    ['One two.', '', '- an item', '- another', '', '    $ code']
    """
    paragraph = ""
    for line in text.splitlines():
        begins = not line.strip() or line.startswith((" " * 4, "- ", "* "))
        if paragraph and begins:
            yield paragraph
            paragraph = ""
        if not line.strip() or line.startswith(" " * 4):
            yield line.rstrip()
        else:
            paragraph = f"{paragraph} {line.strip()}" if paragraph else line.rstrip()
    if paragraph:
        yield paragraph


def columns(rows: Iterable[Sequence[str]], right: Sequence[bool] | None = None) -> list[str]:
    """Cells in columns two spaces apart; `right` has which are aligned to the right.

    >>> columns([("nlm", "5"), ("portmap", "44")], (False, True))
    ['nlm       5', 'portmap  44']
    """
    cells = [[clean(cell) for cell in row] for row in rows]
    right = right or [False] * len(cells[0])
    widths = [max(map(width_of, column)) for column in zip(*cells, strict=True)]
    return [
        "  ".join(
            padded(cell, width, to_right) for cell, width, to_right in zip(row, widths, right, strict=True)
        ).rstrip()
        for row in cells
    ]
