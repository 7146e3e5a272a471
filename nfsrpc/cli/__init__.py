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
    from typing import NoReturn

DEBUG = "--debug"


def main() -> NoReturn:
    """Runs `nfsrpc` as a shell starts it, and ends the process with its exit code."""
    # numpy starts one thread per core for linear algebra, of which there is none here: 25 ms.
    os.environ.setdefault("OPENBLAS_NUM_THREADS", "1")
    # What is imported stays to the end, and so does what analyze makes: looking for garbage in it takes 10 ms.
    gc.disable()
    arguments, debug = without_debug(sys.argv[1:])
    code = INTERRUPTED
    try:
        open_closed_streams()
        code = exit_code_of(lambda: run(arguments), debug)
    except KeyboardInterrupt:
        pass
    finally:
        quiet()
    leave(code)


def run(arguments: list[str]) -> int:
    """The exit code of a command line. typer is imported here, so that an interruption of its import is handled."""
    from nfsrpc.cli import application

    if arguments[:1] != ["analyze"]:
        gc.freeze()
        gc.enable()
    return application.run(arguments)


def without_debug(arguments: list[str]) -> tuple[list[str], bool]:
    """The arguments without `--debug`, and whether it was there: before or behind the command."""
    end = arguments.index("--") if "--" in arguments else len(arguments)
    others = [argument for argument in arguments[:end] if argument != DEBUG]
    return others + arguments[end:], len(others) < end


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
