"""A capture that comes through a pipe as it is taken: `ssh node tcpdump -U -w - | nfsrpc live -`."""

from __future__ import annotations

import fcntl
import sys
from collections.abc import Iterator
from contextlib import suppress

from nfsrpc.sources.in_memory import Capture, open_capture
from nfsrpc.sources.live_queue import NextFile
from nfsrpc.sources.source import STANDARD_INPUT

# The most that an unprivileged process can set (/proc/sys/fs/pipe-max-size): room for the writer between two reads.
PIPE_BYTES = 1 << 20
F_SETPIPE_SZ = 1031  # fcntl(2); Python names it on Linux only


class Stream:
    """A live source: a capture stream. Not prompt: the writer may hold packets in a buffer (tcpdump without -U)."""

    prompt = False
    drops: int | None = None

    def __init__(self, capture: Capture = STANDARD_INPUT) -> None:
        self.capture = capture
        self.name = "standard input" if capture == STANDARD_INPUT else str(capture)
        if capture == STANDARD_INPUT:
            widen(sys.stdin.fileno() if sys.stdin else -1)

    def prepare(self) -> None:
        """Does nothing: the stream is open already."""

    def pieces(self) -> Iterator[bytes | NextFile]:
        with open_capture(self.capture) as source:
            yield from source

    def stop(self) -> None:
        """Does nothing: the writer ends the stream."""


def widen(pipe: int) -> None:
    """Makes the buffer of a pipe as large as it can be; anything else is left as it is."""
    with suppress(OSError, ValueError):
        fcntl.fcntl(pipe, F_SETPIPE_SZ, PIPE_BYTES)
