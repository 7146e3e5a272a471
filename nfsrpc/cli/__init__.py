"""The command line: one file a command, of the command's name; application.py puts them together.

What several need is in output.py, progress.py and settings.py. How the process ends, whatever happens, is in ending.py.
"""

from __future__ import annotations

import os
import sys

try:
    from nfsrpc.cli.ending import INTERRUPTED, ended, open_closed_streams
except KeyboardInterrupt:
    os._exit(130)

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import NoReturn

DEBUG = "--debug"


def main() -> NoReturn:
    """`nfsrpc`, as a shell starts it."""
    # numpy begins with a thread a core for linear algebra, of which there is none here: 25 ms.
    os.environ.setdefault("OPENBLAS_NUM_THREADS", "1")
    arguments, debug = without_debug(sys.argv[1:])
    code = INTERRUPTED
    try:
        open_closed_streams()
        code = ended(lambda: run(arguments), debug)
    except KeyboardInterrupt:
        pass
    finally:
        quiet()
    leave(code, arguments)


def run(arguments: list[str]) -> int:
    """Imported late: what interrupts the import of typer is dealt with already."""
    from nfsrpc.cli import application

    return application.run(arguments)


def without_debug(arguments: list[str]) -> tuple[list[str], bool]:
    """The option may stand before and behind the command."""
    end = arguments.index("--") if "--" in arguments else len(arguments)
    kept = [argument for argument in arguments[:end] if argument != DEBUG]
    return kept + arguments[end:], len(kept) < end


def leave(code: int, arguments: list[str]) -> NoReturn:
    """Ends the process, whose streams are flushed."""
    threads = sys.modules.get("threading")
    if threads and threads.active_count() > 1:
        # A thread that decodes or waits for bytes: the interpreter would kill it at its next step, which Rust takes for
        # a panic and aborts the process.
        os._exit(code)
    # The interpreter looks for garbage once more before it ends: 15 ms. Libraries of other commands rely on it.
    if arguments[:1] == ["analyze"]:
        import gc

        gc.freeze()
    sys.exit(code)


def quiet() -> None:
    """From here on an interruption ends the process at once and without a word."""
    import signal

    signal.signal(signal.SIGINT, signal.SIG_DFL)
