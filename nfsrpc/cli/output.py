"""The output of a command: to a file, whole or not at all, or to standard output.

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

from nfsrpc.cli.ending import BAD, FAULT, UNKNOWN, BrokenRules, drop, say

if TYPE_CHECKING:
    from nfsrpc.findings.finding import Diagnosis
    from nfsrpc.report.contents import Report
    from nfsrpc.trace import Trace

# What a name of a capture may promise instead of pcapng: other formats, and compression.
OTHER_FORMATS = (".pcap", ".cap", ".snoop", ".gz", ".zst", ".xz", ".bz2", ".lz4")


def not_a_capture(context: typer.Context, path: str | None) -> str | None:
    """The name of a file to write. Ends the command where a capture or an archive has it, and would be replaced."""
    if path is not None and os.path.isfile(path) and not context.resilient_parsing:
        from nfsrpc.sources.archive import is_archive_at
        from nfsrpc.sources.find import why_not

        if why_not(path) is None or is_archive_at(path):
            fail(f"{path} holds captures, and would be lost: name another file")
    return path


def unless_standard_output(context: typer.Context, path: str | None) -> str | None:
    """The name of a file to write, which is no capture; None for standard output: `-`."""
    return None if path == "-" else not_a_capture(context, path)


def pcapng_name(context: typer.Context, path: str | None) -> str | None:
    """The name of a capture to write. Ends the command where it says that the capture is of another format."""
    if path is None or context.resilient_parsing:
        return path
    if path == "-":
        fail("-o: a capture is written to a file, not to standard output")
    if path.lower().endswith(OTHER_FORMATS):
        fail(f"{path}: what is written is pcapng, whose comments no other format has; name it so")
    return path


def input_once(context: typer.Context, traces: list[str]) -> list[str]:
    """The names of captures. Ends the command where they name standard input twice: the second one would be empty."""
    if traces.count("-") > 1 and not context.resilient_parsing:
        fail("- is standard input, which can be read only once: name it once")
    return traces


Traces = Annotated[
    list[str],
    typer.Argument(
        metavar="TRACE...", callback=input_once, help="Captures: files, directories, wildcards; - is standard input."
    ),
]
ExitCode = Annotated[bool, typer.Option("--exit-code", help="Exit with 3 where the capture cannot tell.")]
Output = Annotated[
    str | None,
    typer.Option(
        "--output", "-o", metavar="FILE", callback=unless_standard_output, help="Write to a file; - is standard output."
    ),
]


def fail(reason: object) -> NoReturn:
    """Ends the command with one line on standard error and exit code 2."""
    say(reason)
    raise typer.Exit(BAD)


def mention_skipped(found: Trace | Report) -> None:
    """Prints one line per file that could not be read, where others could."""
    for error in found.skipped:
        say(f"{error}; skipped")


def end_with(diagnosis: Diagnosis | None, exit_code: bool) -> None:
    """Ends a command with the exit code of its verdict; cannot tell is 3 where `--exit-code` asks for it."""
    state = diagnosis.verdict.state if diagnosis else "cannot-tell"
    if state == "fault":
        raise typer.Exit(FAULT)
    if state == "cannot-tell" and exit_code:
        raise typer.Exit(UNKNOWN)


def check_rules(diagnosis: Diagnosis | None) -> None:
    """Raises BrokenRules if rules failed; to be called after the output has been written."""
    if diagnosis and diagnosis.broken:
        reason = "; ".join(f"rule {rule.rule} failed: {rule.error}" for rule in diagnosis.broken)
        raise BrokenRules(reason, "".join(rule.traceback for rule in diagnosis.broken))


def check_rules_of(trace: Trace) -> None:
    """Raises BrokenRules if the trace has been diagnosed and rules failed."""
    check_rules(vars(trace).get("diagnosis"))


def unknown(kind: str, name: str, known: Iterable[str]) -> NoReturn:
    """Ends the command because of an unknown name, with the known one that is nearest to it."""
    from nfsrpc.columns import suggestion

    fail(f"no {kind} {name}{suggestion(name, known)} (nfsrpc explain lists them)")


def write(text: Iterable[str], path: str | None) -> None:
    """Writes pieces of text to a file, or to standard output."""
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
    """The name of a file to write, which is renamed to `path` when it is complete.

    If `path` is no regular file (/dev/stdout, a pipe), or its directory takes no other file, it is written directly.
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
    """Encoding and error handler: a terminal may have fewer characters, and a name of a file bytes that are none."""
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
