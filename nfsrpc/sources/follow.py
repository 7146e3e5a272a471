"""A ring of files that another tcpdump writes (-C, -G, -W), read as it grows.

The files are known by their first frames: tcpdump takes names of a ring again, and a file of another first frame is
another file. Begun is with the files of the last while, in the order of their first frames; the last of them is read
on as it grows, until a later one is there. A file that is overwritten before it has been read to its end is lost to
that extent: the ring is too small then.
"""

from __future__ import annotations

import os
import struct
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import suppress
from io import FileIO
from typing import NamedTuple

from nfsrpc.sources.error import ROOT_ONLY, SourceError
from nfsrpc.sources.find import CAPTURE_MAGIC
from nfsrpc.sources.live_queue import NextFile

CHUNK_SIZE = 1 << 18
# How often there is a look for more: tcpdump writes a file in pieces of 4 KiB, or, with -U, packet by packet.
POLL_S = 0.2
HEAD_BYTES = 4096  # enough for the header of a file and that of its first frame
PCAP_HEADER = 24
# magic -> byte order, and units in a second
PCAP = {
    bytes.fromhex("d4c3b2a1"): ("<", 10**6),
    bytes.fromhex("a1b2c3d4"): (">", 10**6),
    bytes.fromhex("4d3cb2a1"): ("<", 10**9),
    bytes.fromhex("a1b23c4d"): (">", 10**9),
}


class File(NamedTuple):
    """One file of the ring. Sorts by time."""

    first: float  # s since the epoch: its first frame; where that cannot be told when it was changed
    name: str
    head: bytes


class Follow:
    """Not prompt: what tcpdump has in its buffer is not in the file."""

    prompt = False
    drops: int | None = None

    def __init__(
        self, directory: str, since_s: float, poll_s: float = POLL_S, say: Callable[[str], None] = lambda _: None
    ) -> None:
        """Begins with the files that changed within `since_s`, and with the latest in any case."""
        self.name = directory
        self._since_s = since_s
        self._poll_s = poll_s
        self._say, self._told = say, False
        self._stopped = threading.Event()

    def prepare(self) -> None:
        """Raises SourceError where there is no directory."""
        list(self._listed())

    def is_hidden(self) -> bool:
        """Whether this process may not read the directory, or a file in it."""
        try:
            for entry in os.scandir(self.name):
                if entry.is_file():
                    open(entry.path, "rb").close()
        except PermissionError:
            return True
        except OSError:  # not a matter of rights: it is said when it is read
            return False
        return False

    def stop(self) -> None:
        self._stopped.set()

    def pieces(self) -> Iterator[bytes | NextFile]:
        for file in self._files():
            yield NextFile(self._path(file))
            yield from self._grow(file)

    def _files(self) -> Iterator[File]:
        """The files of the ring, each once, as they come."""
        recent = self._recent()
        last: File | None = None
        while True:
            found = sorted(file for file in self._listed() if last is None or file > last)
            for file in found:
                if last is None and recent and file.name not in recent:
                    continue
                last = file
                yield file
            if self._stopped.wait(self._poll_s):
                return

    def _recent(self) -> set[str]:
        """Names of the files to begin with. Raises SourceError where there is no directory."""
        files = sorted(self._listed())
        end = time.time() - self._since_s
        return {file.name for file in files if os.path.getmtime(self._path(file)) >= end} | {
            file.name for file in files[-1:]
        }

    def _path(self, file: File) -> str:
        return os.path.join(self.name, file.name)

    def _listed(self) -> Iterator[File]:
        try:
            entries = [entry for entry in os.scandir(self.name) if entry.is_file()]
        except OSError as error:
            raise SourceError(self.name, f"cannot be followed: {error.strerror}") from error
        for entry in entries:
            with suppress(FileNotFoundError):
                file = self._file(entry)
                if file:
                    yield file

    def _file(self, entry: os.DirEntry[str]) -> File | None:
        """None for what is no capture, or has no frame yet."""
        try:
            with open(entry.path, "rb") as opened:
                head = opened.read(HEAD_BYTES)
        except PermissionError as error:
            raise SourceError(entry.path, "permission denied", f"{ROOT_ONLY}, and with --no-drop") from error
        if not head.startswith(CAPTURE_MAGIC) or len(head) <= PCAP_HEADER + 16:
            return None
        return File(first_time(head) or entry.stat().st_mtime, entry.name, head[: PCAP_HEADER + 16])

    def _grow(self, file: File) -> Iterator[bytes]:
        """The bytes of a file, until it is over: another is there that begins later."""
        with open(self._path(file), "rb", buffering=0) as opened:
            while True:
                over = self._stopped.is_set() or self._is_over(file)
                while piece := opened.read(CHUNK_SIZE):
                    if self._is_overwritten(file, opened):
                        return
                    yield piece
                if over or self._is_overwritten(file, opened):
                    return
                self._stopped.wait(self._poll_s)

    def _is_overwritten(self, file: File, opened: FileIO) -> bool:
        """Whether its name has been taken again, with its end unread. That is said once."""
        if os.pread(opened.fileno(), len(file.head), 0) == file.head:
            return False
        if not self._told:
            self._told = True
            self._say(f"{self.name}: {file.name} was overwritten before it was read to its end; a larger ring helps")
        return True

    def _is_over(self, file: File) -> bool:
        return any(other > file for other in self._listed())


def first_time(head: bytes) -> float | None:
    """The time of the first frame of a pcap file, in s since the epoch."""
    order, units = PCAP.get(head[:4], ("", 0))
    if not units or len(head) < PCAP_HEADER + 8:
        return None
    seconds, fraction = struct.unpack_from(f"{order}II", head, PCAP_HEADER)
    return float(seconds + fraction / units)
