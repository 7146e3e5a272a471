"""Archives with captures of several nodes (tar, perhaps compressed; zip), read as they are.

Nothing is unpacked under a name that an archive holds. A member is read where it stands in the file; what is compressed
as a whole (tar.gz) is unpacked once into a file without a name, of bounded size, because members are read more than
once and in the order of their first frames. The rule of folders holds: a folder of the archive is a node's, with a ring
of files; a file beside them is a node's of its own.

tarfile and zipfile read headers into memory, as long as the archive says: `Part` refuses to give so much at once.
"""

from __future__ import annotations

import errno
import io
import os
import struct
import weakref
from collections.abc import Callable, Iterable, Iterator
from contextlib import closing, contextmanager, suppress
from functools import partial
from typing import IO, TYPE_CHECKING, Any, TypeAlias, cast

from nfsrpc.sources.compression import LONGEST_MAGIC, Damaged, decompress, recognise
from nfsrpc.sources.error import SourceError
from nfsrpc.sources.source import Readable

if TYPE_CHECKING:
    from tarfile import TarInfo
    from zipfile import ZipFile, ZipInfo

TAR_MAGIC, TAR_MAGIC_AT = b"ustar", 257  # POSIX.1-1988 and GNU
ZIP_MAGIC = b"PK\x03\x04"
HEAD_BYTES = 512  # of a file or member, to recognise what it is
# A path is no longer than 4 KiB, all extended attributes of a file 64 KiB. tarfile may have some hundreds in memory.
MAX_TAR_HEADER = 128 << 10
MAX_READ = 4 << 20  # the directory of a zip file with as many members as are read, and a chunk of a member
MAX_MEMBERS = 1 << 16  # the core numbers no more files
MAX_DEPTH = 2  # of archives within archives
# What an archive may come to, unpacked; and what it leaves free where it is unpacked.
MAX_UNPACKED = 32 << 30
RESERVE = 1 << 30
CHUNK = 1 << 20
# Of zip: stored, deflate, bzip2. LZMA would take as much memory as the archive asks for.
ZIP_METHODS = (0, 8, 12)
ENCRYPTED = 1  # flag of a member of a zip file
# What tarfile and zipfile raise beside their own exceptions, depending on which byte is damaged. RuntimeError has
# RecursionError and NotImplementedError among its kinds.
DAMAGED = (ValueError, LookupError, ArithmeticError, RuntimeError, struct.error)
TOO_LARGE = f"would take more than {MAX_UNPACKED >> 30} GiB unpacked"

# The folder in a recorder's directory with its reports and their proof, which was in the ring before.
INCIDENTS = "incidents"

Begin: TypeAlias = Callable[[], Readable]
Listed: TypeAlias = Iterator[tuple[str, Begin, int]]  # path in the archive, how to open it, its size there


class Unreadable(Exception):
    """An archive, or what is left of it, cannot be read; `str()` is the reason."""


class Member:
    """A capture in an archive. `begin` opens it at its start, as often as needed; with `once` a single time."""

    def __init__(self, name: str, begin: Begin, size: int, once: bool = False) -> None:
        self.name, self.begin, self.size, self.once = name, begin, size, once

    def __str__(self) -> str:
        return self.name

    def __reduce__(self) -> tuple[Any, ...]:
        """Pickled it is a name: the archive is open in this process alone."""
        return Member, (self.name, io.BytesIO, self.size, True)


class Storage:
    """An open file, closed when nothing refers to it any more."""

    def __init__(self, descriptor: int) -> None:
        self.descriptor = descriptor
        weakref.finalize(self, os.close, descriptor)


class Part:
    """A part of a file, as a file of its own. Several may be read by turns, also by several threads.

    No more than `most` bytes are read at once.
    """

    def __init__(self, storage: Storage, start: int, size: int, most: int = MAX_READ) -> None:
        self.storage, self.start, self.size, self.most = storage, start, size, most
        self.position = 0

    def read(self, size: int = -1, /) -> bytes:
        wanted = self.size - self.position if size < 0 else min(size, self.size - self.position)
        if wanted > self.most:
            raise OSError(errno.EFBIG, "a header is longer than any")
        data = os.pread(self.storage.descriptor, max(wanted, 0), self.start + self.position)
        self.position += len(data)
        return data

    def seek(self, offset: int, whence: int = os.SEEK_SET) -> int:
        base = {os.SEEK_SET: 0, os.SEEK_CUR: self.position, os.SEEK_END: self.size}[whence]
        self.position = max(base + offset, 0)
        return self.position

    def tell(self) -> int:
        return self.position

    def seekable(self) -> bool:
        return True

    def close(self) -> None:
        pass


def is_archive(head: bytes) -> bool:
    """Whether a file that begins so, decompressed, is an archive."""
    return head.startswith(ZIP_MAGIC) or head[TAR_MAGIC_AT:].startswith(TAR_MAGIC)


def is_archive_at(path: str) -> bool:
    """Whether a regular file is an archive, perhaps compressed; False for what cannot be read."""
    with suppress(OSError):
        if os.path.isfile(path):
            with open(path, "rb", buffering=0) as file:
                return is_archive(head_of(file))
    return False


def head_of(file: Readable) -> bytes:
    """The first bytes of a file, decompressed."""
    data = file.read(HEAD_BYTES)
    compression = recognise(data)
    if compression is None:
        return data
    head = b""
    with suppress(Damaged, ImportError):
        for piece in decompress(compression, chunks_of(file, data), HEAD_BYTES):
            head += piece
            if len(head) >= HEAD_BYTES:
                break
    return head


def chunks_of(file: Readable, first: bytes = b"") -> Iterator[bytes]:
    chunk = first or file.read(CHUNK)
    while chunk:
        yield chunk
        chunk = file.read(CHUNK)


def members_of(
    path: str, is_capture: Callable[[bytes], bool], has_name: Callable[[str], bool]
) -> Iterator[Member | SourceError]:
    """The captures in the archive at `path`, by name, and errors.

    `is_capture` decides by the first bytes, decompressed. What is no capture but has the name of one (`has_name`) may
    be a missing part, and is an error; other files are left out.
    """
    try:
        descriptor = os.open(path, os.O_RDONLY | os.O_CLOEXEC)
    except OSError as error:
        yield SourceError(path, f"cannot be opened: {error.strerror}")
        return
    storage = Storage(descriptor)
    part = Part(storage, 0, os.fstat(descriptor).st_size)
    found = Contents(is_capture, has_name)
    found.add(path, part, 1)
    found.members.sort(key=lambda member: member.name)
    yield from [member for member in found.members if f"/{INCIDENTS}/" not in member.name] or found.members
    yield from found.errors
    if not (found.members or found.errors):
        yield SourceError(path, "holds no capture")


class Contents:
    """The captures in an archive and in archives within it, and what is wrong with others."""

    def __init__(self, is_capture: Callable[[bytes], bool], has_name: Callable[[str], bool]) -> None:
        self.is_capture, self.has_name = is_capture, has_name
        self.members: list[Member] = []
        self.errors: list[SourceError] = []
        self.damaged: set[str] = set()  # compressed archives, of which some members may be left
        self.unpacked = 0

    def add(self, name: str, part: Part, depth: int) -> None:
        """Adds the captures in an archive."""
        try:
            if recognise(part.read(LONGEST_MAGIC)):
                part.seek(0)
                part = self.decompressed(name, part)
            part.seek(0)
            list_ = zip_members if part.read(len(ZIP_MAGIC)) == ZIP_MAGIC else tar_members
            part.seek(0)
            for path, begin, size in list_(part):
                if is_shown(path):
                    self.add_member(name, path, begin, size, depth)
        except Unreadable as error:
            if name not in self.damaged:
                self.errors.append(SourceError(name, str(error)))
        except OSError as error:
            self.errors.append(SourceError(name, f"cannot be read: {error.strerror}"))

    def add_member(self, archive: str, path: str, begin: Begin, size: int, depth: int) -> None:
        name = f"{archive}/{path}"
        if len(self.members) + len(self.errors) >= MAX_MEMBERS:
            raise Unreadable(f"holds more than {MAX_MEMBERS} captures")
        try:
            with closing(begin()) as file:
                head = head_of(file)
            if self.is_capture(head):
                self.members.append(Member(name, begin, size))
            elif is_archive(head) and depth < MAX_DEPTH:
                with closing(begin()) as file:
                    self.add(name, self.unnamed(chunks_of(file)), depth + 1)
            elif self.has_name(name):
                self.errors.append(SourceError(name, "is not a capture" if size else "is empty"))
        except OSError as error:
            self.errors.append(SourceError(name, f"cannot be read: {error.strerror}"))

    def decompressed(self, name: str, part: Part) -> Part:
        """The archive in a compressed file. What is left of one that is cut or damaged is read."""
        compression = recognise(part.read(LONGEST_MAGIC))
        part.seek(0)
        assert compression is not None

        def pieces() -> Iterator[bytes]:
            try:
                yield from decompress(compression, chunks_of(part), CHUNK)
            except Damaged as damage:
                self.damaged.add(name)
                self.errors.append(SourceError(name, str(damage)))
            except ImportError as error:
                raise Unreadable(f"cannot be decompressed: {error}") from error

        return self.unnamed(pieces())

    def unnamed(self, pieces: Iterable[bytes]) -> Part:
        """The bytes in a file without a name, which ends with its last reader."""
        import tempfile

        with tempfile.TemporaryFile() as file:
            storage = Storage(os.dup(file.fileno()))
            size = 0
            for piece in pieces:
                free = os.fstatvfs(storage.descriptor)
                if free.f_bavail * free.f_frsize < RESERVE:
                    raise Unreadable(f"has no room to be unpacked in {tempfile.gettempdir()} (TMPDIR names another)")
                self.unpacked += len(piece)
                if self.unpacked > MAX_UNPACKED:
                    raise Unreadable(TOO_LARGE)
                file.write(piece)
                size += len(piece)
        return Part(storage, 0, size)


def is_shown(path: str) -> bool:
    """Whether a member may be a capture of somebody's: not what macOS puts beside files (._trace.pcap)."""
    return not any(part.startswith(".") or part == "__MACOSX" for part in path.split("/"))


def tidy(path: str) -> str:
    """A path in an archive, to be shown: it is never used as one."""
    return "/".join(part for part in path.split("/") if part not in ("", ".", ".."))


def tar_members(part: Part) -> Listed:
    """The files in a tar file. Raises Unreadable at what is damaged."""
    import tarfile

    part.most, at = MAX_TAR_HEADER, -1
    try:
        with tarfile.open(
            fileobj=cast("IO[bytes]", part), mode="r:", encoding="utf-8", errors="surrogateescape"
        ) as tar:
            while (info := tar.next()) is not None:
                if tar.offset <= at:
                    raise Unreadable("is damaged: a member ends before it begins")
                at = tar.offset
                tar.members.clear()  # type: ignore[attr-defined]
                tar.pax_headers.clear()  # type: ignore[attr-defined]
                if info.isreg():
                    yield tidy(info.name), tar_opener(part, info), info.size
    except (tarfile.TarError, *DAMAGED) as error:
        raise Unreadable(f"is damaged: {error}") from error
    part.seek(tar.offset)
    end = part.read(tarfile.BLOCKSIZE)
    if not end or end.strip(b"\0"):
        raise Unreadable("is damaged, or cut off: members may be missing")


def tar_opener(part: Part, info: TarInfo) -> Begin:
    if info.sparse is not None:
        return refused("it is sparse")
    return partial(
        Part, part.storage, part.start + info.offset_data, min(info.size, max(part.size - info.offset_data, 0))
    )


def zip_members(part: Part) -> Listed:
    """The files in a zip file. Raises Unreadable at what is damaged."""
    import zipfile

    try:
        archive = zipfile.ZipFile(cast("IO[bytes]", part))
    except (zipfile.BadZipFile, *DAMAGED) as error:
        raise Unreadable(f"is damaged: {error}") from error
    for info in archive.infolist():
        if info.filename.endswith("/"):
            continue
        if info.flag_bits & ENCRYPTED:
            begin = refused("it is encrypted")
        elif info.compress_type not in ZIP_METHODS:
            begin = refused("its compression is none of deflate and bzip2")
        else:
            begin = partial(Inflated, archive, info)
        yield tidy(info.filename), begin, info.file_size


def refused(reason: str) -> Begin:
    """The opener of a member that cannot be read."""

    def begin() -> Readable:
        raise OSError(errno.ENOTSUP, reason)

    return begin


class Inflated:
    """A member of a zip file; what is wrong with it is an OSError."""

    def __init__(self, archive: ZipFile, info: ZipInfo) -> None:
        with as_os_error():
            self._file = archive.open(info)

    def read(self, size: int, /) -> bytes:
        with as_os_error():
            return self._file.read(size)

    def close(self) -> None:
        self._file.close()


@contextmanager
def as_os_error() -> Iterator[None]:
    import zipfile
    import zlib

    try:
        yield
    except (zipfile.BadZipFile, zlib.error, EOFError, *DAMAGED) as error:
        raise OSError(errno.EIO, f"damaged: {error}") from error
