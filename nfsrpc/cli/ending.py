"""The end of the process: its exit code, and one line where something went wrong.

    0    no fault was found: healthy, or unknown
    1    a fault was found
    2    bad input or usage, or the system failed: a full disk, no memory
    3    cannot tell, where --exit-code asks for it
    70   a bug of nfsrpc, in a rule, say (EX_SOFTWARE of sysexits.h)
    130  interrupted (128 + SIGINT)

Scripts rely on these, so no failure ends with 0 or 1. This is among the first files that are imported, and imports
nothing that takes time: until then an interruption is not handled.
"""

from __future__ import annotations

import os
import sys

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable
    from typing import TextIO

FAULT, BAD, UNKNOWN, BUG, INTERRUPTED = 1, 2, 3, 70, 130
EXIT_CODES = (
    "Exit codes: 0 no fault was found (healthy, or cannot tell), 1 a fault was found, 2 bad input or usage, 3 cannot "
    "tell (with --exit-code), 70 a rule failed, which is a bug of nfsrpc, 130 interrupted."
)

MAX_CHARACTERS = 500  # of a message: it may quote a capture
REPORT_IT = "this is a bug of nfsrpc: report this line with what --debug prints"


class Notes:
    """Whether notes are wanted on standard error, and progress: what is no error and no warning."""

    wanted = True


class BrokenRules(Exception):
    """Rules failed; raised after the findings of the others have been written. `details` are the tracebacks."""

    def __init__(self, reason: str, details: str) -> None:
        super().__init__(reason)
        self.details = details


def exit_code_of(run: Callable[[], int], debug: bool = False) -> int:
    """Runs a command, and returns its exit code whatever it raises."""
    try:
        code = run()
        if failure := flush(sys.stdout):
            say(failure)
            return BAD
        return code
    except KeyboardInterrupt:
        return INTERRUPTED
    except BaseException as error:  # noqa: BLE001 - a panic of the core is no Exception
        return report_error(error, debug)
    finally:
        for stream in (sys.stdout, sys.stderr):
            flush(stream)


def report_error(error: BaseException, debug: bool) -> int:
    """Prints in one line what went wrong, and returns the exit code."""
    code, line = BUG, REPORT_IT
    try:
        code, line = code_and_line(error)
        if debug:
            print(details(error), file=sys.stderr)
    except BaseException:  # noqa: BLE001 - an error that cannot be described is a bug all the same
        pass
    if line:
        say(line)
    return code


def code_and_line(error: BaseException) -> tuple[int, str]:
    if isinstance(error, BrokenPipeError):
        return BAD, ""  # there is no reader any more
    if isinstance(error, OSError):
        return BAD, one_line(f"{error.filename or 'input or output'}: {error.strerror or error}")
    if isinstance(error, MemoryError):
        return BAD, "out of memory; give it fewer captures at once"
    if isinstance(error, BrokenRules):
        return BUG, f"{one_line(str(error))}; {REPORT_IT}"
    return BUG, f"{one_line(f'{type(error).__name__}: {error}')} ({place(error)}); {REPORT_IT}"


def place(error: BaseException) -> str:
    """The innermost line of nfsrpc that the error came through."""
    package, found, step = os.path.dirname(os.path.dirname(__file__)), "?", error.__traceback__
    while step:
        file = step.tb_frame.f_code.co_filename
        if file.startswith(package):
            found = f"nfsrpc{file.removeprefix(package)}:{step.tb_lineno}"
        step = step.tb_next
    return found


def details(error: BaseException) -> str:
    from traceback import format_exception

    from nfsrpc.printable import clean

    text = error.details if isinstance(error, BrokenRules) else "".join(format_exception(error))
    return "\n".join(map(clean, text.splitlines()))


def one_line(text: str) -> str:
    """A text in one line of bounded length: it may hold anything out of a capture."""
    line = " ".join(text.split())
    return line if len(line) <= MAX_CHARACTERS else f"{line[:MAX_CHARACTERS]}…"


def say(text: object) -> None:
    """Prints one line on standard error, if that can be written, without the control characters of names of files."""
    try:
        from nfsrpc.printable import clean

        print(f"nfsrpc: {clean(str(text))}", file=sys.stderr, flush=True)
    except Exception:  # noqa: BLE001 - closed, full, no memory: the exit code remains
        return


def note(text: object) -> None:
    """Prints one line on standard error unless `--quiet` is given."""
    if Notes.wanted:
        say(text)


def flush(stream: TextIO) -> str:
    """Writes the buffer; drops what cannot be written and returns the reason, or nothing if the reader has gone."""
    try:
        stream.flush()
    except BrokenPipeError:
        drop(stream)
    except OSError as error:
        drop(stream)
        return f"standard output: cannot be written: {error.strerror}"
    return ""


def drop(stream: TextIO) -> None:
    """Discards the buffer of a stream, since Python would print an error when it flushes at exit."""
    try:
        nowhere = os.open(os.devnull, os.O_WRONLY)
        os.dup2(nowhere, stream.fileno())
        os.close(nowhere)
        stream.flush()
    except (OSError, ValueError):
        pass


def open_closed_streams() -> None:
    """Opens standard streams that were closed at the start (`>&-`), of which the next opened file would take the place.

    Reading from such an input and writing to such an output fail as before; messages are discarded.
    """
    for number, name, flags in ((0, "stdin", os.O_WRONLY), (1, "stdout", os.O_RDONLY), (2, "stderr", os.O_WRONLY)):
        if getattr(sys, name) is not None:
            continue
        opened = os.open(os.devnull, flags)
        if opened != number:
            os.dup2(opened, number)
            os.close(opened)
        if number:
            stream = open(number, "w", encoding="utf-8", errors="backslashreplace", closefd=False)  # noqa: SIM115
            setattr(sys, name, stream)
