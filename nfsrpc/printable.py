"""Text of others made printable: what a capture, a file name or a child's error output holds is anybody's.

Control characters, escape sequences, bidirectional overrides and bytes that are no text are shown as escapes. Whatever
is printed passes here: reports, errors, warnings.
"""

from __future__ import annotations


def clean(text: str) -> str:
    r"""One line without control characters.

    >>> clean("cl1\x1b[2J\n")
    'cl1\\x1b[2J\\n'
    """
    if text.isprintable():
        return text
    return "".join(
        char if char.isprintable() else char.encode("unicode_escape", "surrogatepass").decode("ascii") for char in text
    )
