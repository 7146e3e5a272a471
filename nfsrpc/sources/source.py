"""One capture as a stream of bytes: a file, a named pipe or standard input, plain or compressed.

`open_source` opens it and reads its first bytes, so that a missing, unreadable or empty file is found before any work
starts. Iterating gives chunks as they arrive (a chunk of a live pipe is what it holds now). A compressed stream is
decompressed in a thread meanwhile; of one that is cut or broken all that can be decompressed is given, then `damage`
says what is wrong.
"""

import io
import os
import stat
import sys
from collections.abc import Generator, Iterator
from types import TracebackType
from typing import Protocol, Self

from nfsrpc.sources.compression import LONGEST_MAGIC, Damaged, decompress, recognise
from nfsrpc.sources.error import ROOT_ONLY, SourceError, missing
from nfsrpc.sources.readahead import read_ahead

STANDARD_INPUT = "-"
# Measured: decoding alone takes the same time from 128 KiB to 2 MiB, as what was read is still in a processor's cache.
# But each chunk waits for the GIL, which the thread that thins rows has for most of the time: with 2 MiB, not 512 KiB,
# `analyze` takes 2 to 8 % less time, and 4 MB more memory.
CHUNK_SIZE = 1 << 21


class Readable(Protocol):
    """The part of an open file that is used. Unbuffered: a read gives what a pipe holds now and waits for no more."""

    def read(self, size: int, /) -> bytes: ...
    def close(self) -> None: ...


class Source:
    """The bytes of one capture, to be iterated once.

    `size` and `position` count the bytes of the file itself, compressed or not, for a progress bar; `size` is None for
    a pipe. `damage`, after the iteration, is None, or one line about what was wrong with the compressed stream.
    """

    def __init__(self, name: str, file: Readable, size: int | None, chunk_size: int = CHUNK_SIZE) -> None:
        self.name = name
        self.size = size
        self.position = 0
        self.damage: str | None = None
        self._file = file
        self._iterated = False
        self._chunk_size = chunk_size
        self._head = self._read_head()
        self._compression = recognise(self._head)

    @property
    def compression(self) -> str | None:
        """The name of the compression (`gzip`, `zstd`, `xz`, `bzip2`, `lz4`), or None."""
        return self._compression.name if self._compression else None

    def __iter__(self) -> Iterator[bytes]:
        self._iterated = True
        return read_ahead(self._chunks()) if self._compression else self._chunks()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        self.close()

    def close(self) -> None:
        """Closes the file if it was never iterated; an iteration closes it at its end, perhaps in another thread."""
        if not self._iterated:
            self._file.close()

    def _read_head(self) -> bytes:
        head = b""
        while len(head) < LONGEST_MAGIC and (chunk := self._read()):
            head += chunk
        if not head:
            raise SourceError(self.name, "is empty", "tcpdump -U writes packets as they come")
        return head

    def _read(self) -> bytes:
        try:
            chunk = self._file.read(self._chunk_size)
        except OSError as error:
            raise SourceError(self.name, f"cannot be read: {error.strerror}") from error
        self.position += len(chunk)
        return chunk

    def _raw(self) -> Iterator[bytes]:
        head, self._head = self._head, b""
        yield head
        while chunk := self._read():
            yield chunk

    def _chunks(self) -> Generator[bytes, None, None]:
        try:
            if self._compression is None:
                yield from self._raw()
            else:
                yield from self._decompressed()
        finally:
            self._file.close()

    def _decompressed(self) -> Iterator[bytes]:
        assert self._compression is not None
        anything = False
        try:
            for piece in decompress(self._compression, self._raw(), self._chunk_size):
                anything = True
                yield piece
        except Damaged as damage:
            self.damage = str(damage)
        except ImportError as error:
            reason = f"cannot be decompressed: {error}"
            raise SourceError(self.name, reason, f"{self.compression} -dc {self.name} | nfsrpc … -") from error
        if not anything:
            raise SourceError(self.name, self.damage or f"holds nothing, compressed with {self.compression}")


def open_source(path: str | os.PathLike[str], chunk_size: int = CHUNK_SIZE) -> Source:
    """The capture at `path`, where `-` is standard input. Raises `SourceError`."""
    name = os.fspath(path)
    if name == STANDARD_INPUT:
        return _standard_input(chunk_size)
    try:
        file = io.FileIO(name)
    except OSError as error:
        raise unopened(name, error) from error
    try:
        return Source(name, file, _size(file), chunk_size)
    except SourceError:
        file.close()
        raise


def _standard_input(chunk_size: int) -> Source:
    if sys.stdin is None:
        raise SourceError("standard input", "is closed")
    if sys.stdin.isatty():
        raise SourceError("standard input", "is a terminal", "pipe a capture into it: tcpdump -U -w - … | nfsrpc …")
    try:
        # Not sys.stdin.buffer: its lock, held by a thread that waits for input, would keep the interpreter from ending.
        file: Readable = io.FileIO(sys.stdin.fileno(), closefd=False)
    except io.UnsupportedOperation:
        file = sys.stdin.buffer  # no file of the system: a test put it there
    return Source("standard input", file, None, chunk_size)


def _size(file: io.FileIO) -> int | None:
    status = os.fstat(file.fileno())
    return status.st_size if stat.S_ISREG(status.st_mode) else None


def unopened(name: str, error: OSError) -> SourceError:
    """The error for a file that the system does not open."""
    if isinstance(error, FileNotFoundError):
        return missing(name)
    if isinstance(error, PermissionError):
        return SourceError(name, "permission denied", ROOT_ONLY)
    if isinstance(error, IsADirectoryError):
        return SourceError(name, "is a directory")
    return SourceError(name, f"cannot be opened: {error.strerror}")
