"""The facts of the node itself: its kernel's log, its locks, its NFS mounts, and what its rpcbind has registered.

Each is read where it can be: not every user may read the kernel's log, and rpcinfo may be missing. /dev/kmsg is opened
before rights are given up, and gives a record per line: priority, sequence number, microseconds since the boot, flags;
text (Documentation/ABI/testing/dev-kmsg).
"""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import time
from collections import deque
from collections.abc import Iterator
from typing import NamedTuple

from nfsrpc.printable import clean
from nfsrpc.sources.dmesg import ABOUT, CHATTER
from nfsrpc.wording import SECOND

KMSG = "/dev/kmsg"
LOCKS, MOUNTS = "/proc/locks", "/proc/self/mounts"
MAX_RECORD = 8192  # bytes, more than the kernel's PRINTKRB_RECORD_MAX
MAX_LINES = 1000  # about NFS, that are kept
MAX_FACT = 1 << 20  # bytes of a fact
RECORD = re.compile(r"(\d+),(\d+),(\d{1,18}),[^;]*;([^\n]*)")
# A server that lockd waits for (fs/lockd/clntproc.c, net/sunrpc/clnt.c): the sign that locks hang on this node.
TRIGGER = re.compile(r"lockd: server (\S+) not responding")
RPCINFO_S = 5.0  # an rpcbind that hangs is a fact, too


class UnreadableFact(NamedTuple):
    """A fact that cannot be read, and why."""

    why: str


class KernelLine(NamedTuple):
    time: int  # ns since the epoch
    boot_us: int
    text: str

    @property
    def server(self) -> str | None:
        """The server that lockd waits for, as its mount names it."""
        found = TRIGGER.search(self.text)
        return found and found[1]


class KernelLog:
    """The lines of /dev/kmsg about NFS, as they come."""

    def __init__(self, path: str = KMSG) -> None:
        self.lines: deque[KernelLine] = deque(maxlen=MAX_LINES)
        self.booted = time.time_ns() - time.clock_gettime_ns(time.CLOCK_MONOTONIC)
        self.missing = ""
        self._file = -1
        try:
            self._file = os.open(path, os.O_RDONLY | os.O_NONBLOCK | os.O_CLOEXEC)
        except OSError as error:
            self.missing = error.strerror or "cannot be read"

    def new(self) -> list[KernelLine]:
        """The lines about NFS since the last call; at first those of before."""
        found = [line for line in self._records() if ABOUT.search(line.text) and not CHATTER.search(line.text)]
        self.lines.extend(found)
        return found

    def text(self) -> str:
        """The lines as dmesg has them, with the time of the boot. Empty without a line."""
        if not self.lines:
            return ""
        lines = [f"[{line.boot_us / 1e6:12.6f}] {clean(line.text)}" for line in self.lines]
        return "\n".join([f"# clock: dmesg 0.0 = epoch {self.booted / SECOND:.6f}", *lines, ""])

    def close(self) -> None:
        if self._file >= 0:
            os.close(self._file)
        self._file = -1

    def _records(self) -> Iterator[KernelLine]:
        while self._file >= 0:
            try:
                record = os.read(self._file, MAX_RECORD)
            except BrokenPipeError:  # overwritten before it was read; the next one is there
                continue
            except OSError:
                return
            if not record:
                return
            found = RECORD.match(record.decode("utf-8", "replace"))
            if found:
                yield KernelLine(self.booted + int(found[3]) * 1000, int(found[3]), found[4])


def facts(locks: str = LOCKS, mounts: str = MOUNTS, command: str = "rpcinfo") -> dict[str, str | UnreadableFact]:
    """The facts by the names of their files."""
    return {
        "locks.txt": content(locks),
        "mounts.txt": nfs_mounts(content(mounts)),
        "rpcinfo.txt": registered(command),
    }


def content(path: str) -> str | UnreadableFact:
    try:
        with open(path, encoding="utf-8", errors="backslashreplace") as file:
            return file.read(MAX_FACT)
    except OSError as error:
        return UnreadableFact(error.strerror or "cannot be read")


def nfs_mounts(table: str | UnreadableFact) -> str | UnreadableFact:
    """The lines of NFS in a table of mounts."""
    if isinstance(table, UnreadableFact):
        return table
    lines = [line for line in table.splitlines() if re.match(r"nfsd?4?$", [*line.split(), "", "", ""][2])]
    return "".join(f"{clean(line)}\n" for line in lines)


def registered(command: str = "rpcinfo") -> str | UnreadableFact:
    """What the node's rpcbind has registered."""
    path = shutil.which(command) or shutil.which(command, path="/usr/sbin:/sbin")
    if path is None:
        return UnreadableFact(f"{command} is not installed")
    try:
        done = subprocess.run(
            [path, "-p"], stdin=subprocess.DEVNULL, capture_output=True, timeout=RPCINFO_S, check=False
        )
    except subprocess.TimeoutExpired:
        return UnreadableFact(f"no answer within {RPCINFO_S:.0f} s")
    except OSError as error:
        return UnreadableFact(error.strerror or "cannot be run")
    said = (done.stdout if done.returncode == 0 else done.stderr)[:MAX_FACT].decode("utf-8", "backslashreplace")
    lines = "".join(f"{clean(line)}\n" for line in said.splitlines())
    return (
        lines
        if done.returncode == 0
        else UnreadableFact(" ".join(lines.split()) or f"ended with code {done.returncode}")
    )


def names_in(mounts: str = MOUNTS) -> dict[str, str]:
    """Addresses of NFS servers by the names that this node's mounts have for them."""
    table = nfs_mounts(content(mounts))
    found: dict[str, str] = {}
    for line in [] if isinstance(table, UnreadableFact) else table.splitlines():
        address = re.search(r"[,=]addr=([0-9a-fA-F.:]+)", line)
        if address:
            found[line.partition(":")[0]] = address[1]
    return found
