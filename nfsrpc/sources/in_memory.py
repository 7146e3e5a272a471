"""Captures that the caller holds, instead of the name of a file: bytes, chunks of bytes, an open file.

Bytes, a list of chunks and a file that seeks can be read several times, a pipe or a generator once. None is closed
here: the caller opened it.
"""

from __future__ import annotations

import io
import os
from collections.abc import Callable, Iterable, Iterator
from itertools import chain, islice
from threading import Lock
from typing import Any, TypeAlias

from nfsrpc.sources.archive import Member
from nfsrpc.sources.error import SourceError
from nfsrpc.sources.find import find_captures
from nfsrpc.sources.name import shown_name
from nfsrpc.sources.source import STANDARD_INPUT, Readable, Source, open_source

Path: TypeAlias = str | os.PathLike[str]
BYTES = (bytes, bytearray, memoryview)


class InMemory:
    """A capture that the caller holds. `begin` gives its bytes from the start, with `once` a single time."""

    def __init__(self, name: str, begin: Callable[[], Readable], once: bool) -> None:
        self.name = name
        self.begin = begin
        self.once = once
        self.size: int | None = None

    def __str__(self) -> str:
        return self.name

    def __reduce__(self) -> tuple[Any, ...]:
        """Pickled it is a name: what the caller holds stays here, and cannot be read again elsewhere."""
        return InMemory, (self.name, io.BytesIO, True)


Capture: TypeAlias = str | InMemory | Member


def captures(things: Iterable[Any]) -> list[Capture]:
    """The captures that paths, open files, bytes, and iterables of these name. Raises SourceError, TypeError.

    A file that cannot be read raises; `usable` leaves it out.

    >>> import io
    >>> [str(capture) for capture in captures(["a.pcap", io.BytesIO(b"..."), ["b.pcap", "c.pcap"], [b"..", b"."]])]
    ['a.pcap', 'BytesIO', 'b.pcap', 'c.pcap', 'bytes']
    """
    found, errors = usable(things)
    for error in errors:
        raise error
    return found


def usable(things: Iterable[Any]) -> tuple[list[Capture], list[SourceError]]:
    """The captures that can be read, and one error per capture that cannot. Raises TypeError."""
    found = [each for thing in things for each in _captures(thing)]
    errors = [each for each in found if isinstance(each, SourceError)]
    return [each for each in found if not isinstance(each, SourceError)], errors


def _captures(thing: Any) -> Iterator[Capture | SourceError]:
    if isinstance(thing, (str, os.PathLike)):
        yield from find_captures([thing])
    elif isinstance(thing, InMemory | Member):
        yield thing
    elif isinstance(thing, BYTES):
        yield _of_chunks([bytes(thing)])
    elif hasattr(thing, "read"):
        yield _of_file(thing)
    elif isinstance(thing, Iterable):
        yield from _of_iterable(thing)
    else:
        raise TypeError(f"not a capture: {thing!r}; a path, an open file, bytes, or several of them")


def _of_file(file: Any) -> InMemory:
    if isinstance(file, io.TextIOBase):
        raise TypeError(f"{_name(file)} is open as text: open it with mode 'rb'")
    seeks = getattr(file, "seekable", lambda: False)()
    start, seeking = (file.tell() if seeks else 0), Lock()

    def begin() -> Readable:
        return _SeekingFile(file, start, seeking) if seeks else _File(file)

    return InMemory(_name(file), begin, not seeks)


def _name(file: Any) -> str:
    name = getattr(file, "name", None)
    return name if isinstance(name, str) and name else type(file).__name__


def _of_iterable(things: Iterable[Any]) -> Iterator[Capture | SourceError]:
    """The captures in an iterable: one, of chunks, if its first item is bytes; else one per item."""
    iterator = iter(things)
    first = list(islice(iterator, 1))
    whole: Iterable[Any] = chain(first, iterator)
    if not (first and isinstance(first[0], BYTES)):
        for thing in whole:
            yield from _captures(thing)
    elif iterator is things:
        yield InMemory(type(things).__name__, lambda: _Chunks(whole), True)
    else:
        yield _of_chunks(things)


def _of_chunks(chunks: Iterable[bytes]) -> InMemory:
    return InMemory("bytes", lambda: _Chunks(chunks), False)


class _File:
    """An open file that the caller closes."""

    def __init__(self, file: Any) -> None:
        self._file = file

    def read(self, size: int, /) -> bytes:
        chunk: bytes = self._file.read(size) or b""  # None: an unbuffered file that has nothing now
        return chunk

    def close(self) -> None:
        pass


class _SeekingFile(_File):
    """An open file that is read from a place of its own.

    What decompresses it ahead in a thread may still read when it is begun again.
    """

    def __init__(self, file: Any, start: int, seeking: Lock) -> None:
        super().__init__(file)
        self._position, self._seeking = start, seeking

    def read(self, size: int, /) -> bytes:
        with self._seeking:
            self._file.seek(self._position)
            chunk = super().read(size)
            self._position += len(chunk)
            return chunk


class _Chunks:
    """An iterable of chunks as a file; a read returns the next chunk, whatever its size."""

    def __init__(self, chunks: Iterable[bytes]) -> None:
        self._chunks = filter(None, chunks)

    def read(self, _size: int, /) -> bytes:
        return bytes(next(self._chunks, b""))

    def close(self) -> None:
        pass


def name_of(capture: Capture) -> str:
    """The name of a capture, for reports and tables."""
    return shown_name(str(capture))


def open_capture(capture: Capture, **chunk_size: int) -> Source:
    """The bytes of a capture from the start. Raises SourceError."""
    if isinstance(capture, str):
        return open_source(capture, **chunk_size)
    return Source(capture.name, capture.begin(), capture.size, **chunk_size)


def is_read_once(capture: Capture) -> bool:
    """Whether a capture cannot be read a second time: standard input, a named pipe, `<(...)` of a shell."""
    if isinstance(capture, str):
        return capture == STANDARD_INPUT or (os.path.exists(capture) and not os.path.isfile(capture))
    return capture.once


def read_again(capture: Capture) -> Capture:
    """The capture, if it can be read another time. Raises ValueError if not."""
    if is_read_once(capture):
        name = "standard input" if capture == STANDARD_INPUT else str(capture)
        raise ValueError(f"{name} cannot be read again: save the capture to a file first")
    return capture
