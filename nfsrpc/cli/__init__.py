"""The command line: one file a command, of the command's name; application.py puts them together.

What several need is in output.py, progress.py and settings.py. How the process ends, whatever happens, is in ending.py.
"""

from __future__ import annotations

import gc
import os
import sys
from typing import NoReturn

from nfsrpc.cli.ending import INTERRUPTED, ended, open_closed_streams

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
        # The interpreter looks for garbage once more before it ends: 15 ms. Libraries of other commands rely on it.
        if arguments[:1] == ["analyze"]:
            gc.freeze()
    sys.exit(code)


def run(arguments: list[str]) -> int:
    """Imported late: what interrupts the import of typer is dealt with already."""
    from nfsrpc.cli import application

    return application.run(arguments)


def without_debug(arguments: list[str]) -> tuple[list[str], bool]:
    """The option may stand before and behind the command."""
    end = arguments.index("--") if "--" in arguments else len(arguments)
    kept = [argument for argument in arguments[:end] if argument != DEBUG]
    return kept + arguments[end:], len(kept) < end


def quiet() -> None:
    """From here on an interruption ends the process at once and without a word."""
    import signal

    signal.signal(signal.SIGINT, signal.SIG_DFL)
