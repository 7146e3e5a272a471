"""Where a command's answer goes, and how it ends.

Exit codes: 0 no fault, 1 a fault was found, 2 bad input or usage. A reader that goes away (`| head`) changes none.
"""

from __future__ import annotations

import os
import sys
from collections.abc import Iterable
from typing import Annotated, NoReturn

import typer

from nfsrpc.printable import clean

BAD = 2

Traces = Annotated[
    list[str],
    typer.Argument(metavar="TRACE...", help="Captures: files, directories, wildcards; - is standard input."),
]
Output = Annotated[str | None, typer.Option("--output", "-o", metavar="FILE", help="Write to a file.")]


def fail(reason: object) -> NoReturn:
    """One line on standard error, and exit code 2."""
    say(reason)
    raise typer.Exit(BAD)


def say(text: object) -> None:
    """One line on standard error, whatever names stand in it."""
    print(f"nfsrpc: {clean(str(text))}", file=sys.stderr, flush=True)


def unknown(kind: str, name: str, known: Iterable[str]) -> NoReturn:
    """The name of nothing that there is; perhaps one of these was meant."""
    from difflib import get_close_matches

    near = get_close_matches(name, list(known), 1)
    fail(f"no {kind} {name}" + (f"; perhaps {near[0]}?" if near else "") + " (nfsrpc explain lists them)")


def write(text: Iterable[str], path: str | None) -> None:
    """Pieces of text to a file, or to standard output."""
    write_bytes((piece.encode(*encoding(path)) for piece in text), path)


def write_bytes(pieces: Iterable[bytes], path: str | None) -> None:
    try:
        if path is None:
            print_bytes(pieces)
        else:
            with open(path, "wb") as file:
                file.writelines(pieces)
    except OSError as error:
        fail(f"{path or 'standard output'}: cannot be written: {error.strerror}")


def encoding(path: str | None) -> tuple[str, str]:
    """A terminal may know fewer characters, and a file name may hold bytes that are none."""
    return ("utf-8" if path else sys.stdout.encoding), "backslashreplace"


def print_bytes(pieces: Iterable[bytes]) -> None:
    try:
        sys.stdout.buffer.writelines(pieces)
        sys.stdout.flush()
    except BrokenPipeError:
        # Python would complain when it flushes at exit.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
