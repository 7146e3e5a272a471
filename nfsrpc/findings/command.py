"""Commands that findings advise: built here and nowhere else, from a template and arguments that are checked.

People paste them into root shells, and names in a capture are whatever a stranger has sent. So a template is a literal
(to mypy a LiteralString is any text, so tests/rules/test_commands.py reads the syntax trees), and an argument is a
number, an address, a host name, a path of the user's own, or a capture filter made of addresses. Anything else is not
put into a command: a remark describes the command instead. Remarks are comments to the shell; in them every character
of an argument that means something to a shell is escaped, since an interactive zsh runs comments: it gives their words
to the command, so that none begins like an option either.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from functools import lru_cache
from ipaddress import ip_address
from pathlib import PurePath
from shlex import quote
from typing import LiteralString, NamedTuple, TypeAlias

# RFC 952 and RFC 1123, 2.1, with the underscore that people use. An IPv4 address is of this form too.
HOST_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,254}")
SCOPE = re.compile(r"%[A-Za-z0-9][A-Za-z0-9._-]*")  # of a link-local address: the interface
PLAIN = " .,:@/_%+-"  # in a remark, beside letters and digits
OPTION = re.compile(r"(?<![^ ])-")  # in a remark: the beginning of a word
IN_CAPTURE = " of "  # between a loopback address and its capture, in hosts' names in tables (sessions/hosts.py)
FIELD = re.compile(r"\{(\w+)\}")  # of a template
ADDRESSES = 1 << 12  # that are parsed once: each command about a host has its address


class Command(NamedTuple):
    """A line to be pasted into a shell: a command with what is remarked on it, or a remark alone. `str()` is the line.

    >>> str(command("ping -c 3 {host}", on="{client}", note="is it down?", host="10.0.0.9", client="10.0.0.1"))
    'ping -c 3 10.0.0.9   # on 10.0.0.1: is it down?'
    >>> str(command("getent hosts {name}", name="$(reboot)"))
    '# adapt and run by hand: getent hosts NAME (NAME is not a valid host name: \\\\x24\\\\x28reboot\\\\x29)'
    """

    line: str  # "" for a remark alone
    on: str = ""  # the host to run it on
    note: str = ""

    @property
    def comment(self) -> str:
        return ": ".join(filter(None, (self.on and f"on {self.on}", self.note)))

    def __str__(self) -> str:
        return "   # ".join(filter(None, (self.line, self.comment))) if self.line else f"# {self.comment}"


class Filter(NamedTuple):
    """An expression for tcpdump (pcap-filter(7))."""

    expression: str


Argument: TypeAlias = str | int | PurePath | Filter | None  # None: not in the capture


def command(
    line: LiteralString, /, *, on: LiteralString = "", note: LiteralString = "", **arguments: Argument
) -> Command:
    """A command, or a remark that describes it where an argument is not fit to stand in a shell's line."""
    words = {name: word(arguments[name]) for name in FIELD.findall(line)}
    unfit = [name for name, found in words.items() if found is None]
    filled = FIELD.sub(lambda field: words[field[1]] or field[1].upper(), line)
    where, remarked = remark_text(on, arguments), remark_text(note, arguments)
    if not unfit:
        return Command(filled, where, remarked)
    reasons = ", ".join(f"{name.upper()} is {unfitness(arguments[name])}" for name in unfit)
    return Command("", where, "; ".join(filter(None, (f"adapt and run by hand: {filled} ({reasons})", remarked))))


def remark(text: LiteralString, /, *, on: LiteralString = "", **arguments: Argument) -> Command:
    """A comment line among commands."""
    return Command("", remark_text(on, arguments), remark_text(text, arguments))


def either_host(addresses: Iterable[str], *others: LiteralString) -> Filter | None:
    """A filter for what any of these hosts sends or receives, or any of the others; None where one is no address."""
    known = list(addresses)
    if not all(map(is_address, known)):
        return None
    return Filter(" or ".join([*(f"host {address}" for address in known), *others]))


def word(argument: Argument) -> str | None:
    """An argument as the shell reads it; of a loopback with its capture the address; None for what is not fit."""
    if isinstance(argument, int):
        return str(argument) if argument >= 0 else None
    if isinstance(argument, Filter):
        return quote(argument.expression)
    if isinstance(argument, PurePath):
        path = str(argument)
        return quote(f"./{path}" if path.startswith("-") else path) if path.isprintable() else None
    if argument is None:
        return None
    address, separator, _ = argument.partition(IN_CAPTURE)
    if separator:
        return address if is_address(address) else None
    return argument if HOST_NAME.fullmatch(argument) or is_address(argument) else None


def unfitness(argument: Argument) -> str:
    """Why an argument is not fit to stand in a shell's line.

    >>> unfitness(None), unfitness(-1), unfitness("a b")
    ('not in the capture', 'not a valid number: \\\\x2d1', 'not a valid host name: a b')
    """
    if argument in (None, ""):
        return "not in the capture"
    what = "number" if isinstance(argument, int) else "file name" if isinstance(argument, PurePath) else "host name"
    return f"not a valid {what}: {harmless(str(argument))}"


@lru_cache(maxsize=ADDRESSES)
def is_address(text: str) -> bool:
    address, percent, scope = text.partition("%")
    if percent and not SCOPE.fullmatch(percent + scope):
        return False
    try:
        ip_address(address)
    except ValueError:
        return False
    return True


def remark_text(template: str, arguments: Mapping[str, Argument]) -> str:
    return FIELD.sub(lambda field: harmless(str(arguments[field[1]])), template)


def harmless(text: str) -> str:
    r"""Text in which nothing means anything to a shell, on one line.

    >>> harmless("web-1;touch\n")
    'web-1\\x3btouch\\x0a'
    >>> harmless("web-1 -z reboot")
    'web-1 \\x2dz reboot'
    """
    plain = "".join(char if char.isalnum() or char in PLAIN else escaped(ord(char)) for char in text)
    return OPTION.sub(escaped(ord("-")).replace("\\", r"\\"), plain)


def escaped(code: int) -> str:
    return f"\\x{code:02x}" if code < 0x100 else f"\\u{code:04x}" if code < 0x10000 else f"\\U{code:08x}"
