"""One heap for all threads: glibc gives each its own, and what the reading thread frees there is of no use to others.

A thread reads the columns of a capture and the main thread evaluates them: that was a third of the memory of `analyze`.
"""

from __future__ import annotations

import ctypes
from contextlib import suppress

M_ARENA_MAX = -8  # malloc.h of glibc


def share() -> None:
    """Lets all threads allocate from one heap; to be called before they start. Without glibc it does nothing."""
    with suppress(AttributeError, OSError):
        ctypes.CDLL(None).mallopt(M_ARENA_MAX, 1)
