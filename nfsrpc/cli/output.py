"""Where a command's answer goes: a file, whole or not at all, or standard output.

A reader that goes away (`| head`) changes no exit code; ending.py has them.
"""

from __future__ import annotations

import os
import stat
import sys
from collections.abc import Iterable, Iterator
from contextlib import contextmanager, suppress
from typing import TYPE_CHECKING, Annotated, NoReturn

import typer

from nfsrpc.cli.ending import BAD, BrokenRules, drop, say

if TYPE_CHECKING:
    from nfsrpc.findings.finding import Diagnosis
    from nfsrpc.trace import Trace

Traces = Annotated[
    list[str],
    typer.Argument(metavar="TRACE...", help="Captures: files, directories, wildcards; - is standard input."),
]
Output = Annotated[str | None, typer.Option("--output", "-o", metavar="FILE", help="Write to a file.")]


def fail(reason: object) -> NoReturn:
    """One line on standard error, and exit code 2."""
    say(reason)
    raise typer.Exit(BAD)


def mention_skipped(trace: Trace) -> None:
    """A line for each file that could not be read, beside those that could."""
    for error in trace.skipped:
        say(f"{error}; skipped")


def check_rules(diagnosis: Diagnosis | None) -> None:
    """Raises BrokenRules where some failed: to be called when the answer has been written."""
    if diagnosis and diagnosis.broken:
        reason = "; ".join(f"rule {rule.rule} failed: {rule.error}" for rule in diagnosis.broken)
        raise BrokenRules(reason, "".join(rule.traceback for rule in diagnosis.broken))


def check_rules_of(trace: Trace) -> None:
    """The same, if a diagnosis was asked for."""
    check_rules(vars(trace).get("diagnosis"))


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
            with replacing(path) as part, open(part, "wb") as file:
                file.writelines(pieces)
    except OSError as error:
        fail(f"{path or 'standard output'}: cannot be written: {error.strerror}")


@contextmanager
def replacing(path: str) -> Iterator[str]:
    """Where to write what is to be the file `path`: it takes that name when it is whole.

    What is no regular file (/dev/stdout, a pipe), or stands where no other file can be made, is written as it is.
    """
    target = os.path.realpath(path)
    before = os.stat(target) if os.path.exists(target) else None
    part = f"{target}.{os.getpid()}.part"
    if before and not (stat.S_ISREG(before.st_mode) and os.access(os.path.dirname(target), os.W_OK)):
        yield path
        return
    os.close(os.open(part, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o666))
    try:
        if before:
            with suppress(PermissionError):
                os.chown(part, before.st_uid, before.st_gid)
            os.chmod(part, stat.S_IMODE(before.st_mode))
        yield part
        os.replace(part, target)
    finally:
        with suppress(FileNotFoundError):
            os.unlink(part)


def encoding(path: str | None) -> tuple[str, str]:
    """A terminal may know fewer characters, and a file name may hold bytes that are none."""
    return ("utf-8" if path else sys.stdout.encoding), "backslashreplace"


def print_bytes(pieces: Iterable[bytes]) -> None:
    try:
        sys.stdout.buffer.writelines(pieces)
        sys.stdout.flush()
    except BrokenPipeError:
        drop(sys.stdout)
    except OSError:
        drop(sys.stdout)
        raise
