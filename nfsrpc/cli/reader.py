"""Detects that the reader of standard output has gone, also when nothing is written: `nfsrpc live | head -1`."""

from __future__ import annotations

import os
import select
import sys
from collections.abc import Callable
from threading import Thread


def when_reader_leaves(act: Callable[[], None]) -> None:
    """Calls a function, in a thread, when the other end of a pipe or a socket closes, or a terminal hangs up."""
    if sys.stdout is None:
        return
    # A descriptor of its own: what is written later may replace that of standard output.
    descriptor = os.dup(sys.stdout.fileno())
    Thread(target=wait, args=(descriptor, act), name="nfsrpc-reader", daemon=True).start()


def wait(descriptor: int, act: Callable[[], None]) -> None:
    waiting = select.poll()
    waiting.register(descriptor, 0)  # POLLERR and POLLHUP are always reported
    waiting.poll()
    act()


def discard_output() -> None:
    """Discards everything written to standard output from here on, so that Python reports no error at exit."""
    if sys.stdout is None:
        return
    nowhere = os.open(os.devnull, os.O_WRONLY)
    os.dup2(nowhere, sys.stdout.fileno())
    os.close(nowhere)
