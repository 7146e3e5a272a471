"""The command line: one file per command, of the command's name; application.py puts them together.

What several need is in output.py, progress.py and settings.py. How the process ends, whatever happens, is in ending.py.
"""

from __future__ import annotations

import gc
import os
import sys

try:
    from nfsrpc.cli.ending import INTERRUPTED, exit_code_of, open_closed_streams
except KeyboardInterrupt:
    os._exit(130)

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Sequence
    from typing import NoReturn

DEBUG = "--debug"
# Options of nfsrpc itself, which may stand behind a command as well, and how many values follow them.
ANYWHERE = {DEBUG: 0, "--quiet": 0, "-q": 0, "--color": 1}


# Bytes of address space: with less, numpy's OpenBLAS ends the process itself, with the exit code of a fault.
LEAST_MEMORY = 110 << 20


def main() -> NoReturn:
    """Runs `nfsrpc` as a shell starts it, and ends the process with its exit code."""
    # numpy starts one thread per core for linear algebra, of which there is none here: 25 ms.
    os.environ.setdefault("OPENBLAS_NUM_THREADS", "1")
    # What is imported stays to the end, and so does what analyze makes: looking for garbage in it takes 10 ms.
    gc.disable()
    options, arguments = divided(sys.argv[1:])
    code = INTERRUPTED
    try:
        open_closed_streams()
        code = exit_code_of(lambda: run(arguments, options), DEBUG in options)
    except KeyboardInterrupt:
        pass
    finally:
        quiet()
    leave(code)


def run(arguments: list[str], options: Sequence[str] = ()) -> int:
    """The exit code of a command line. typer is imported here, so that an interruption of its import is handled."""
    import resource

    limit, _ = resource.getrlimit(resource.RLIMIT_AS)
    if limit != resource.RLIM_INFINITY and limit < LEAST_MEMORY:
        from nfsrpc.cli.ending import BAD, say

        say(f"out of memory: {limit >> 20} MB are allowed, at least {LEAST_MEMORY >> 20} are needed (ulimit -v)")
        return BAD
    from nfsrpc.cli import application

    if arguments[:1] != ["analyze"]:
        gc.freeze()
        gc.enable()
    return application.run(arguments, options)


def divided(arguments: list[str]) -> tuple[list[str], list[str]]:
    """The options that may stand anywhere, and all others: typer takes the first ones before a command only."""
    end = arguments.index("--") if "--" in arguments else len(arguments)
    options: list[str] = []
    others: list[str] = []
    place = 0
    while place < end:
        name = arguments[place].partition("=")[0]
        length = 1 + (ANYWHERE.get(name, 0) if name == arguments[place] else 0)
        (options if name in ANYWHERE else others).extend(arguments[place : min(place + length, end)])
        place += length
    return options, others + arguments[end:]


def leave(code: int) -> NoReturn:
    """Ends the process; its streams are flushed already."""
    threads = sys.modules.get("threading")
    if threads and threads.active_count() > 1:
        # A thread that decodes or waits for bytes: the interpreter would kill it at its next step, which is a panic for
        # Rust, and aborts the process.
        os._exit(code)
    # The interpreter collects garbage once more before it ends: 15 ms. Libraries of other commands rely on it.
    if not gc.isenabled():
        gc.freeze()
    sys.exit(code)


def quiet() -> None:
    """Makes interruptions end the process at once from here on, without a message."""
    import signal

    signal.signal(signal.SIGINT, signal.SIG_DFL)
