"""Names, wildcards, directories and archives to files.

The files of a directory are a ring (of `tcpdump -W`); each subdirectory, and each archive, is a node's. A directory may
hold other files; a capture is recognised by its first bytes, compressed or not. A file that has the name of a capture
and is none, and one that cannot be read, may be a missing part of the ring: it is an error among the files, and stops
none of the others. Only regular files are opened: a named pipe would block.
"""

import glob
import os
import re
import stat
from collections.abc import Iterable, Iterator
from typing import TypeAlias

from nfsrpc.sources import pcap
from nfsrpc.sources.archive import INCIDENTS, Member, is_archive_at, members_of
from nfsrpc.sources.error import SourceError, missing
from nfsrpc.sources.rings import COMPRESSED, SUFFIX, ring_name
from nfsrpc.sources.source import STANDARD_INPUT, open_source, unopened

CAPTURE_MAGIC = (*pcap.FORMATS, *pcap.MODIFIED, b"\x0a\x0d\x0d\x0a", b"snoop\0\0\0")  # pcapng; snoop (RFC 1761)
MAX_CAPTURE_MAGIC = max(map(len, CAPTURE_MAGIC))

# With the number of a ring, perhaps compressed.
CAPTURE_NAME = re.compile(rf"{SUFFIX}\d*(?:{COMPRESSED})?$", re.IGNORECASE)
KINDS = {
    stat.S_IFIFO: "a named pipe",
    stat.S_IFSOCK: "a socket",
    stat.S_IFCHR: "a device",
    stat.S_IFBLK: "a device",
}

Found: TypeAlias = str | Member | SourceError


def find_captures(paths: Iterable[str | os.PathLike[str]]) -> list[Found]:
    """The captures that `paths` name, in their order, those of a directory, wildcard or archive by name; and errors.

    >>> find_captures(["b.pcap", "-"])
    ['b.pcap', '-']
    """
    return [found for path in paths for found in _expand(os.fspath(path))]


def _expand(path: str) -> Iterator[Found]:
    if os.path.isdir(path):
        yield from _captures_in(path)
    elif path != STANDARD_INPUT and glob.has_magic(path) and not os.path.lexists(path):
        matches = sorted(glob.glob(path))
        if not matches:
            yield missing(path, "no file matches")
        for match in matches:
            yield from _captures_in(match) if os.path.isdir(match) else _file(match, _irregular(match))
    else:
        yield from _file(path)


def _file(path: str, error: SourceError | None = None) -> Iterator[Found]:
    """A file, or the captures in it if it is an archive; its error, if it has one."""
    if error is None and path != STANDARD_INPUT and is_archive_at(path):
        yield from members_of(path, is_capture, has_name_of_capture)
    else:
        yield error or path


def _captures_in(directory: str) -> Iterator[Found]:
    """The captures of a directory, which are a ring, and then of each subdirectory, which is a node's."""
    try:
        entries = sorted(os.scandir(directory), key=lambda entry: entry.path)
    except OSError as error:
        yield SourceError(directory, f"cannot be listed: {error.strerror}")
        return
    found = [*_ring_in(directory), *(each for entry in entries if is_node(entry) for each in _ring_in(entry.path))]
    yield from found or [SourceError(directory, "holds no capture")]


def is_node(entry: os.DirEntry[str]) -> bool:
    """Whether a subdirectory is a node's. A link may lead anywhere."""
    return entry.is_dir(follow_symlinks=False) and not entry.name.startswith(".") and entry.name != INCIDENTS


def _ring_in(directory: str) -> Iterator[Found]:
    try:
        paths = sorted(entry.path for entry in os.scandir(directory))
    except OSError as error:
        yield SourceError(directory, f"cannot be listed: {error.strerror}")
        return
    files = [(path, why_not(path)) for path in paths if not os.path.isdir(path)]
    rings = {ring_name(path).numbered for path, reason in files if reason is None}
    for path, reason in files:
        if reason is None:
            yield path
        elif is_archive_at(path):
            yield from members_of(path, is_capture, has_name_of_capture)
        elif _is_unknown(reason) or has_name_of_capture(path) or ring_name(path).numbered in rings:
            yield reason


def is_capture(head: bytes) -> bool:
    return head.startswith(CAPTURE_MAGIC)


def has_name_of_capture(path: str) -> bool:
    return CAPTURE_NAME.search(path) is not None


def why_not(path: str) -> SourceError | None:
    """The reason why a file is no capture, or why that cannot be seen; None for a capture."""
    if error := _irregular(path):
        return error
    head = b""
    try:
        with open_source(path, chunk_size=4096) as source:
            for chunk in source:
                head += chunk
                if len(head) >= MAX_CAPTURE_MAGIC:
                    break
    except SourceError as error:
        return error.with_traceback(None)
    return None if is_capture(head) else SourceError(path, "is not a capture")


def _irregular(path: str) -> SourceError | None:
    """The error of a path that leads to no regular file; None for a regular file."""
    try:
        mode = os.stat(path).st_mode
    except OSError as error:
        found = unopened(path, error)
        found.__cause__ = error.with_traceback(None)
        return found
    return None if stat.S_ISREG(mode) else SourceError(path, f"is {KINDS.get(stat.S_IFMT(mode), 'no file')}")


def _is_unknown(error: SourceError) -> bool:
    """Whether the system refused to open the file, so that it may be a capture."""
    return isinstance(error.__cause__, OSError) and not isinstance(error.__cause__, FileNotFoundError)
