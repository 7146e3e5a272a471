"""A ring of files that another tcpdump writes (-C, -G, -W), read as it grows.

A file is identified by its first frame: tcpdump uses the names of a ring again, and a file with another first frame is
another file. Reading starts with the files of the last few minutes, in the order of their first frames; the last one is
read as it grows, until a later one exists. What is overwritten before it has been read is lost: the ring is too small.
"""

from __future__ import annotations

import os
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import suppress
from io import FileIO
from typing import NamedTuple

from nfsrpc.sources.error import ROOT_ONLY, SourceError
from nfsrpc.sources.find import CAPTURE_MAGIC
from nfsrpc.sources.live_queue import NextFile
from nfsrpc.sources.pcap import FILE_HEADER, RECORD_HEADER, first_time

READ_BYTES = 1 << 18
# Between two looks into the directory: tcpdump writes a file in pieces of 4 KiB, or, with -U, packet by packet.
DIRECTORY_POLL_S = 0.2
HEAD_BYTES = 4096  # enough for the header of a file and that of its first frame
IDENTITY_BYTES = FILE_HEADER + RECORD_HEADER  # by which a file is identified


class RingFile(NamedTuple):
    """One file of the ring. Sorts by time."""

    first: float  # s since the epoch: its first frame, or where that is not readable its last change
    name: str
    head: bytes


class Follow:
    """A live source: a directory with a ring of files. Not prompt: what tcpdump buffers is not in the file yet."""

    prompt = False
    drops: int | None = None

    def __init__(
        self,
        directory: str,
        since_s: float,
        poll_s: float = DIRECTORY_POLL_S,
        say: Callable[[str], None] = lambda _: None,
    ) -> None:
        """Starts with the files that changed within `since_s`, at least with the latest."""
        self.name = directory
        self._since_s = since_s
        self._poll_s = poll_s
        self._say, self._has_reported_loss = say, False
        self._stopped = threading.Event()

    def prepare(self) -> None:
        """Lists the directory once. Raises SourceError where there is none."""
        list(self._listed())

    def is_hidden(self) -> bool:
        """Whether this process may not read the directory, or a file in it."""
        try:
            for entry in os.scandir(self.name):
                if entry.is_file():
                    open(entry.path, "rb").close()
        except PermissionError:
            return True
        except OSError:  # not a matter of rights: reading reports it
            return False
        return False

    def stop(self) -> None:
        self._stopped.set()

    def pieces(self) -> Iterator[bytes | NextFile]:
        for file in self._files():
            yield NextFile(self._path(file))
            yield from self._grow(file)

    def _files(self) -> Iterator[RingFile]:
        """The files of the ring, each once, as they appear."""
        recent = self._recent()
        last: RingFile | None = None
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
        """Names of the files to start with. Raises SourceError where there is no directory."""
        files = sorted(self._listed())
        end = time.time() - self._since_s
        return {file.name for file in files if os.path.getmtime(self._path(file)) >= end} | {
            file.name for file in files[-1:]
        }

    def _path(self, file: RingFile) -> str:
        return os.path.join(self.name, file.name)

    def _listed(self) -> Iterator[RingFile]:
        try:
            entries = [entry for entry in os.scandir(self.name) if entry.is_file()]
        except OSError as error:
            raise SourceError(self.name, f"cannot be followed: {error.strerror}") from error
        for entry in entries:
            with suppress(FileNotFoundError):
                file = self._file(entry)
                if file:
                    yield file

    def _file(self, entry: os.DirEntry[str]) -> RingFile | None:
        """A directory entry as a file of the ring; None for what is no capture, or has no frame yet."""
        try:
            with open(entry.path, "rb") as opened:
                head = opened.read(HEAD_BYTES)
        except PermissionError as error:
            raise SourceError(entry.path, "permission denied", f"{ROOT_ONLY}, and with --no-drop") from error
        if not head.startswith(CAPTURE_MAGIC) or len(head) <= IDENTITY_BYTES:
            return None
        return RingFile(first_time(head) or entry.stat().st_mtime, entry.name, head[:IDENTITY_BYTES])

    def _grow(self, file: RingFile) -> Iterator[bytes]:
        """The bytes of a file as it grows, until another one exists that begins later."""
        with open(self._path(file), "rb", buffering=0) as opened:
            while True:
                over = self._stopped.is_set() or self._is_over(file)
                while piece := opened.read(READ_BYTES):
                    if self._is_overwritten(file, opened):
                        return
                    yield piece
                if over or self._is_overwritten(file, opened):
                    return
                self._stopped.wait(self._poll_s)

    def _is_overwritten(self, file: RingFile, opened: FileIO) -> bool:
        """Whether the file's name has been used again before its end was read. That is reported once."""
        if os.pread(opened.fileno(), len(file.head), 0) == file.head:
            return False
        if not self._has_reported_loss:
            self._has_reported_loss = True
            self._say(f"{self.name}: {file.name} was overwritten before it was read to its end; a larger ring helps")
        return True

    def _is_over(self, file: RingFile) -> bool:
        return any(other > file for other in self._listed())
