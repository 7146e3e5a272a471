"""Lines through a pager, where standard output is a terminal and has less room than they need."""

from __future__ import annotations

import os
import shlex
import shutil
import subprocess
import sys
from collections.abc import Iterable

from nfsrpc.cli.output import write

# As git does it: no pager for what fits, colours as they are, nothing cleared at the end.
LESS = "FRX"


def page(lines: Iterable[str]) -> None:
    """Writes lines to standard output, or shows them with $PAGER (less)."""
    command = pager() if sys.stdout.isatty() else []
    if not command:
        return write(lines, None)
    text = "".join(lines)
    if text.count("\n") < shutil.get_terminal_size().lines:
        return write([text], None)
    sys.stdout.flush()
    environment = {"LESS": LESS, **os.environ}
    try:
        subprocess.run(command, input=text.encode(sys.stdout.encoding, "backslashreplace"), env=environment)
    except OSError:  # there is none
        write([text], None)


def pager() -> list[str]:
    """The command that the user has chosen as pager; empty for none."""
    try:
        return shlex.split(os.environ.get("PAGER", "less"))
    except ValueError:
        return []
