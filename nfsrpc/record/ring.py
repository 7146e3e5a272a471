"""The ring on disk: pcapng segments of one directory, within a size and an age, the oldest deleted first.

    ring-20261122T053139Z-000001.pcapng

The name has the time of the first frame, and a number that counts on. Blocks are written whole and at once, so that the
ring can be read at any time; a segment is flushed to the disk (fsync) when it is full. One that ends within a block,
since the power failed or the process was killed, reads as truncated. The file system keeps a reserve: below it, or when
a write fails, the ring stops, which is reported once, and begins a new segment when there is room again.
"""

from __future__ import annotations

import fcntl
import os
import re
from collections import deque
from collections.abc import Callable, Sequence
from contextlib import suppress
from datetime import UTC, datetime
from typing import NamedTuple, Protocol

from nfsrpc.protocols.numbers import Port, Prog
from nfsrpc.record.segment import Interface, interface_block, section, statistics
from nfsrpc.sources import SourceError
from nfsrpc.wording import SECOND

WHOLE = 1 << 20  # bytes of a frame: the longest that the core reads
# Headers, and small messages of NFS as a whole: the frame of a LOOKUP reply with two sets of attributes has 302.
NFS_HEADER_BYTES = 384
CONTROL = (Prog.PORTMAP, Prog.MOUNT, Prog.NLM, Prog.NSM)
NFS = (Prog.NFS, Prog.NFSACL)
SEGMENTS = 16  # of the size that the ring may have
MAX_SEGMENT = 64 << 20
HOURS = 24  # parts of the age: a segment is closed after this part of it
# What the ring leaves free of its file system: a twentieth, so that the node and the incidents have room.
RESERVE_SHARE, MAX_RESERVE = 20, 1 << 30
NAME = re.compile(r"ring-(\d{8}T\d{6})Z-(\d{6,12})\.pcapng")
MODE = 0o600
STATISTICS_BYTES = 64  # that may follow at the end of a segment


def terms(nfs: bool) -> tuple[list[tuple[int, int]], int, list[int]]:
    """The bytes to keep of each frame by program, of other programs, and the ports to keep, as the core takes them."""
    limit = NFS_HEADER_BYTES if nfs else 0
    programs = [*((int(program), WHOLE) for program in CONTROL), *((int(program), limit) for program in NFS)]
    # statd resolves names; which of a host's questions are statd's cannot be seen.
    return programs, NFS_HEADER_BYTES, [Port.DNS]


class Batch(NamedTuple):
    """Packet blocks that are to be written."""

    data: bytes
    frames: int
    first: int
    last: int


class Decoder(Protocol):
    """The part of the core's decoder that a ring is fed from."""

    def take_kept(self, all: bool) -> tuple[bytes, int, int, int]: ...  # noqa: A002
    def kept_interfaces(self, first: int) -> list[tuple[int, str, int]]: ...


class SegmentFile(NamedTuple):
    """One file of the ring."""

    first: int  # ns, to the second
    last: int  # of its last frame, or where that is not known of its last change
    number: int
    path: str
    size: int


def segment_name(first: int, number: int) -> str:
    return f"ring-{datetime.fromtimestamp(max(first, 0) // SECOND, UTC):%Y%m%dT%H%M%S}Z-{number:06d}.pcapng"


def segments(directory: str) -> list[SegmentFile]:
    """The files of a ring, the oldest first. Raises OSError."""
    found = []
    for entry in os.scandir(directory):
        match = NAME.fullmatch(entry.name)
        if match and entry.is_file(follow_symlinks=False):
            with suppress(ValueError, FileNotFoundError):
                moment = datetime.strptime(match[1], "%Y%m%dT%H%M%S").replace(tzinfo=UTC)
                first = round(moment.timestamp()) * SECOND
                status = entry.stat()
                found.append(SegmentFile(first, status.st_mtime_ns, int(match[2]), entry.path, status.st_size))
    return sorted(found, key=lambda segment: segment.number)


def room(directory: str, part: float = 1.0) -> int:
    """The bytes that may still be written before this part of the reserve is touched. Raises OSError."""
    system = os.statvfs(directory)
    reserve = min(system.f_blocks * system.f_frsize // RESERVE_SHARE, MAX_RESERVE)
    return system.f_bavail * system.f_frsize - round(reserve * part)


class DiskRing:
    """The ring of one directory, written by one process."""

    def __init__(self, directory: str, size: int, age: int, say: Callable[[str], None] = lambda _: None) -> None:
        """`age` in ns. Raises SourceError where the directory cannot be used."""
        self.directory, self.size, self.age = directory, size, age
        self.segment_size = min(max(size // SEGMENTS, 1), MAX_SEGMENT)
        self.is_stopped = False  # for lack of room
        self._say = say
        self._lock = locked(directory)
        self._closed = deque(segments(directory))
        self._number = max((segment.number for segment in self._closed), default=0)
        self._file: int | None = None
        self._path = ""
        self._first = self._last = 0
        self._length = 0
        self._interfaces: list[Interface] = []
        self._drops = self._drops_before = 0

    @property
    def total(self) -> int:
        """Bytes of all segments."""
        return self._length + sum(segment.size for segment in self._closed)

    def take(self, decoder: Decoder, all: bool = False, drops: int | None = None) -> None:  # noqa: A002
        """Writes what the decoder has ready; `drops` are the packets lost in capturing so far."""
        self._drops = drops if drops is not None else self._drops
        batch = Batch(*decoder.take_kept(all))
        new = [Interface(*row) for row in decoder.kept_interfaces(len(self._interfaces))] if batch.frames else []
        self._interfaces += new
        if batch.frames:
            self.write(batch, new)

    def write(self, batch: Batch, new: Sequence[Interface] = ()) -> None:
        """Writes packet blocks, with the interfaces that are new in them."""
        try:
            if self._file is not None and self._is_full(batch):
                self.close()
            head = b"".join(map(interface_block, new))
            if self._file is None:
                head = section() + b"".join(map(interface_block, self._interfaces))
            self._delete(batch.last, len(head) + len(batch.data) + STATISTICS_BYTES)
            if room(self.directory) < len(head) + len(batch.data):
                return self._stop("the file system has no room beyond its reserve")
            if self._file is None:
                self._open(batch.first)
            self._append(head + batch.data)
            self._last = batch.last
        except OSError as error:
            self._stop(error.strerror or "cannot be written")
        else:
            if self.is_stopped:
                self._say(f"{self.directory}: there is room again; the ring goes on")
            self.is_stopped = False

    def expire(self, now: int) -> None:
        """Deletes what is too old, also where nothing more comes."""
        if self._file is not None and self._last < now - self.age:
            self.close()
        with suppress(OSError):
            self._delete(now, 0)

    def close(self) -> None:
        """Closes the segment, if one is open."""
        if self._file is None:
            return
        with suppress(OSError):
            if self._drops > self._drops_before and room(self.directory) > 0:
                self._append(statistics(self._last, self._drops - self._drops_before))
        self._drops_before = self._drops
        with suppress(OSError):
            os.fsync(self._file)
        os.close(self._file)
        if self._length:
            self._closed.append(SegmentFile(self._first, self._last, self._number, self._path, self._length))
        else:  # nothing could be written to it
            with suppress(OSError):
                os.unlink(self._path)
        self._file, self._length = None, 0

    def release(self) -> None:
        """Closes the ring: another process may write it."""
        self.close()
        os.close(self._lock)

    def _is_full(self, batch: Batch) -> bool:
        return self._length + len(batch.data) > self.segment_size or batch.last - self._first > self.age // HOURS

    def _open(self, first: int) -> None:
        path = os.path.join(self.directory, segment_name(first, self._number + 1))
        self._file = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW, MODE)
        self._number += 1
        self._path, self._first, self._length = path, first, 0

    def _append(self, data: bytes) -> None:
        """Writes data as a whole, or not at all. Raises OSError."""
        assert self._file is not None
        rest = memoryview(data)
        try:
            while rest:
                rest = rest[os.write(self._file, rest) :]
        except OSError:
            os.ftruncate(self._file, self._length)
            os.lseek(self._file, self._length, os.SEEK_SET)
            raise
        self._length += len(data)

    def _delete(self, now: int, more: int) -> None:
        """Deletes the oldest segments: those that are too old, and as many as the next bytes need."""
        while self._closed and (self._closed[0].last < now - self.age or self.total + more > self.size):
            with suppress(FileNotFoundError):
                os.unlink(self._closed[0].path)
            self._closed.popleft()

    def _stop(self, why: str) -> None:
        """Closes the segment, and says why, once."""
        self.close()
        if not self.is_stopped:
            self._say(f"{self.directory}: the ring has stopped: {why}")
        self.is_stopped = True


def locked(directory: str) -> int:
    """A descriptor that locks the directory for one recorder. Raises SourceError."""
    try:
        lock = os.open(os.path.join(directory, ".lock"), os.O_RDWR | os.O_CREAT | os.O_NOFOLLOW | os.O_CLOEXEC, MODE)
        fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        raise SourceError(directory, "another recorder writes there", "name another --directory") from None
    except OSError as error:
        remedy = "it has to belong to the user of the recorder, which is not root: chown it, or --no-drop"
        raise SourceError(directory, f"cannot be written: {error.strerror}", remedy) from error
    return lock
