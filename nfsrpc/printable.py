"""Text of others made printable: what a capture, a file name or a child's error output holds is anybody's.

Control characters, escape sequences, bidirectional overrides and bytes that are no text are shown as escapes. Whatever
is printed passes here: reports, errors, warnings.
"""

from __future__ import annotations

SHORT = {"\t": "\\t", "\n": "\\n", "\r": "\\r"}


def clean(text: str) -> str:
    r"""One line without control characters.

    >>> clean("cl1\x1b[2J\n")
    'cl1\\x1b[2J\\n'
    """
    if text.isprintable():
        return text
    return "".join(char if char.isprintable() else escaped(char) for char in text)


def escaped(char: str) -> str:
    r"""As Python writes it. No codec does it: their first use is an import, which a process without rights cannot do.

    >>> [escaped(char) for char in "\n\x1b\u202e\U000e0001\udce9"]
    ['\\n', '\\x1b', '\\u202e', '\\U000e0001', '\\udce9']
    """
    if char in SHORT:
        return SHORT[char]
    number = ord(char)
    return f"\\x{number:02x}" if number < 0x100 else f"\\u{number:04x}" if number < 0x10000 else f"\\U{number:08x}"
