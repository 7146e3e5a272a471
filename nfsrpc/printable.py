"""Foreign text made printable: an attacker may have written what a capture, a file name or a child's output holds.

Control characters, escape sequences, bidirectional overrides and bytes that are no text become escapes. All output
passes here: reports, errors, warnings.
"""

from __future__ import annotations

SHORT = {"\t": "\\t", "\n": "\\n", "\r": "\\r"}


def clean(text: str) -> str:
    r"""The text in one line, with control characters escaped.

    >>> clean("cl1\x1b[2J\n")
    'cl1\\x1b[2J\\n'
    """
    if text.isprintable():
        return text
    return "".join(char if char.isprintable() else escaped(char) for char in text)


def escaped(char: str) -> str:
    r"""A character as Python escapes it. No codec: its first use is an import, for which there may be no rights.

    >>> [escaped(char) for char in "\n\x1b\u202e\U000e0001\udce9"]
    ['\\n', '\\x1b', '\\u202e', '\\U000e0001', '\\udce9']
    """
    if char in SHORT:
        return SHORT[char]
    number = ord(char)
    return f"\\x{number:02x}" if number < 0x100 else f"\\u{number:04x}" if number < 0x10000 else f"\\U{number:08x}"
