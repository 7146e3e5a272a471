"""Gives up the rights of root, for good, in the process that parses: a capture is written by strangers.

The process becomes the user who invoked sudo, else `nobody`, keeps no capability, none in the bounding and the ambient
set (capabilities(7)), and can gain none by executing anything (PR_SET_NO_NEW_PRIVS, prctl(2)). Python has no binding to
prctl and capset, so libc is called. Both apply to one thread, so they are called before another one starts; threads
inherit. Where the system refuses a step, as in a container, the others are done all the same: what is in force is read
from the kernel (`in_force`), never assumed.
"""

from __future__ import annotations

import contextlib
import ctypes
import os
import pwd
from collections.abc import Callable, Mapping
from itertools import count
from pathlib import Path
from typing import NamedTuple

# <linux/prctl.h>, <linux/capability.h>
PR_SET_KEEPCAPS, PR_CAPBSET_DROP, PR_SET_NO_NEW_PRIVS, PR_CAP_AMBIENT = 8, 24, 38, 47
PR_CAP_AMBIENT_CLEAR_ALL = 4
CAPABILITY_VERSION_3 = 0x20080522
CAP_DAC_READ_SEARCH = 2
NOBODY, NOBODY_ID = "nobody", 65534
ROOT = 0
NO_ID = (1 << 32) - 1  # (uid_t) -1
CAPABILITY_SETS = ("CapInh", "CapPrm", "CapEff", "CapAmb")  # of /proc/PID/status; the bounding set grants nothing


class User(NamedTuple):
    name: str
    uid: int
    gid: int
    groups: tuple[int, ...]


class Rights(NamedTuple):
    """The rights of a process. `str()` completes "parsed"."""

    user: str
    uid: int
    gid: int
    capabilities: int  # one bit each, those of all sets and threads
    no_new_privs: bool

    def __str__(self) -> str:
        return f"as {self.user}, {capabilities_text(self.capabilities)}"


def capabilities_text(capabilities: int) -> str:
    if not capabilities:
        return "without capabilities"
    if capabilities == 1 << CAP_DAC_READ_SEARCH:
        return "with CAP_DAC_READ_SEARCH only"
    return f"with {capabilities.bit_count()} capabilities"


def unprivileged_user(environment: Mapping[str, str] = os.environ) -> User:
    """The user who invoked sudo, else nobody."""
    with contextlib.suppress(KeyError, ValueError):
        uid, gid = int(environment["SUDO_UID"]), int(environment["SUDO_GID"])
        if ROOT < uid < NO_ID and ROOT <= gid < NO_ID:
            name = user_name(uid)
            return User(name, uid, gid, tuple(os.getgrouplist(name, gid)))
    with contextlib.suppress(KeyError):
        known = pwd.getpwnam(NOBODY)
        if known.pw_uid != ROOT:
            return User(NOBODY, known.pw_uid, known.pw_gid, (known.pw_gid,))
    return User(NOBODY, NOBODY_ID, NOBODY_ID, (NOBODY_ID,))


def user_name(uid: int) -> str:
    try:
        return pwd.getpwuid(uid).pw_name
    except KeyError:
        return str(uid)


def drop(user: User, has_to_read_more: Callable[[], bool] = lambda: False) -> None:
    """Becomes the user, if this process is root's, and gives up all capabilities.

    Only CAP_DAC_READ_SEARCH is kept where `has_to_read_more` is true, which is called as that user.
    """
    prctl(PR_SET_NO_NEW_PRIVS, 1)
    for number in count():  # up to one that does not exist, or to none at all where CAP_SETPCAP is missing
        if prctl(PR_CAPBSET_DROP, number):
            break
    prctl(PR_CAP_AMBIENT, PR_CAP_AMBIENT_CLEAR_ALL)
    if os.geteuid() == ROOT:
        prctl(PR_SET_KEEPCAPS, 1)
        become(user)
        prctl(PR_SET_KEEPCAPS, 0)
    reading = 1 << CAP_DAC_READ_SEARCH
    if capset(reading, 0) and has_to_read_more():
        capset(reading, reading)
    else:
        capset(0, 0)


def become(user: User) -> None:
    # A container may have no such right, or no such user.
    with contextlib.suppress(OSError):
        os.setgroups(user.groups)
    with contextlib.suppress(OSError):
        os.setresgid(user.gid, user.gid, user.gid)
    with contextlib.suppress(OSError):
        os.setresuid(user.uid, user.uid, user.uid)


def in_force() -> Rights:
    """The rights of all threads of this process together."""
    threads = [status(path) for path in Path("/proc/self/task").glob("*/status")]
    capabilities = 0
    for thread in threads:
        for name in CAPABILITY_SETS:
            capabilities |= int(thread[name], 16)
    uid = min(int(number) for thread in threads for number in thread["Uid"].split())  # root's is the least
    gid = min(int(number) for thread in threads for number in thread["Gid"].split())
    no_new_privs = all(thread["NoNewPrivs"] == "1" for thread in threads)
    return Rights(user_name(uid), uid, gid, capabilities, no_new_privs)


def status(path: Path) -> dict[str, str]:
    pairs = (line.partition(":") for line in path.read_text().splitlines())
    return {name: value.strip() for name, _, value in pairs}


def prctl(option: int, *arguments: int) -> int:
    """Calls prctl(2); 0, or -1 where the kernel refuses."""
    padded = [*arguments, 0, 0, 0, 0][:4]
    return int(ctypes.CDLL(None).prctl(option, *map(ctypes.c_ulong, padded)))


def capset(permitted: int, effective: int) -> bool:
    """Sets this thread's capabilities, none of them inheritable; True if the kernel allows it."""
    header = (ctypes.c_uint32 * 2)(CAPABILITY_VERSION_3, 0)
    low = 0xFFFFFFFF
    words = (effective & low, permitted & low, 0, effective >> 32, permitted >> 32, 0)
    return int(ctypes.CDLL(None).capset(header, (ctypes.c_uint32 * 6)(*words))) == 0
