"""One client locks a file that another writes without any lock.

Sees
    WRITE calls that succeed, to a file on which a host holds a lock at that moment, by another host that never asks for
    a lock on that file.

Why it hurts
    Locks are advisory: a server lets anybody write. Who holds the lock relies on nobody doing so, and its data may be
    damaged. It is certain where the lock is exclusive and of the whole file. Else it is likely: the writer may hold a
    lock on another part, of before the capture.

Not flagged when
    The writer asks for a lock on that file, too, at whatever time, or is the host that holds it, or shares files with
    that server by SHARE. Writes of before the lock was granted, or after its UNLOCK.

How to confirm
    On the writer: the mount's options (nolock and local_lock keep locks on that host, where no other sees them), and
    which process has the file open.

How to fix
    Mount without nolock and local_lock on the writer; or have its application lock what it writes.

References
    nfs(5) (lock, local_lock); fcntl(2); flock(2).
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any, NamedTuple, TypeAlias

import numpy as np

from nfsrpc.rules.advice import bare, wire_of
from nfsrpc.rules.facts import NFS, Roles
from nfsrpc.rules.finding import Answer, CannotTell, Clear, Evidence, Finding, Rule
from nfsrpc.rules.wording import named, several
from nfsrpc.sessions.grouping import group
from nfsrpc.tables import Mask, Table

RULE = Rule("LCK013", "lock-ignored", "info")

SHARE = 20
Place: TypeAlias = tuple[str, str]  # server, file handle


class Ignored(NamedTuple):
    """A write that was made while another host held a lock."""

    lock: Any  # a row of locks
    write: Any  # a row of writes
    frame: int  # of the write

    @property
    def certain(self) -> bool:
        """Beside an exclusive lock on the whole file there is none."""
        return bool(self.lock.exclusive) and (self.lock.l_offset, self.lock.l_len) == (0, 0)


def check(
    locks: Table, writes: Table, captures: Table, nlm: Table, exchanges: Table, counted: Table, roles: Roles
) -> Iterator[Answer]:
    held = locks.where(locks.valid("granted") & (locks["granted_by"] != "late-reply"))
    if not len(held):
        yield RULE.cannot_tell("no lock was granted in the capture")
        return
    vantages = dict(zip(captures["capture"].tolist(), captures["vantage"].tolist(), strict=True))
    silent = True
    for place, rows in strangers(locks, writes, nlm).items():
        sessions = held.where((held["server"] == place[0]) & (held["fh"] == place[1]))
        if found := [one for row in rows if (one := ignored(row, sessions, vantages))]:
            yield finding(found)
            silent = False
    if silent:
        made = int(are_writes(exchanges).sum() + counted["exchanges"][are_writes(counted)].sum())
        yield without(held, writes, made, roles)


def strangers(locks: Table, writes: Table, nlm: Table) -> Mapping[Place, list[Any]]:
    """The writes to locked files of hosts that never ask for a lock on them, by file."""
    asked = set(zip(*(locks[name].tolist() for name in ("client", "server", "fh")), strict=True))
    sharing = nlm.where(nlm["proc"] == SHARE)
    sharers = set(zip(sharing["client"].tolist(), sharing["server"].tolist(), strict=True))
    writes = writes.where(writes["fh"].isin(locks["fh"].present()))
    hosts_and_files, first = group(*(writes[name].codes for name in ("client", "server", "fh")))
    found: dict[Place, list[Any]] = {}
    firsts = writes.take(first)
    who = zip(*(firsts[name].tolist() for name in ("client", "server", "fh")), strict=True)
    for number, (client, server, fh) in enumerate(who):
        if (client, server, fh) not in asked and (client, server) not in sharers:
            found.setdefault((server, fh), []).extend(writes.where(hosts_and_files == number).rows())
    return found


def ignored(write: Any, sessions: Table, vantages: Mapping[int, int]) -> Ignored | None:
    """Whether the first or the last of these writes was made while a lock was held, by the clock of one vantage."""
    until = np.where(sessions.valid("unlock"), sessions["unlock"], np.iinfo(np.int64).max)
    for time, frame in ((write.first, write.first_frame), (write.last, write.last_frame)):
        for lock in sessions.where((sessions["granted"] <= time) & (time < until)).rows():
            if vantages.get(lock.granted_capture) == write.vantage:
                return Ignored(lock, write, frame)
    return None


def finding(found: list[Ignored]) -> Finding:
    best = next((one for one in found if one.certain), found[0])
    lock, write = best.lock, best.write
    seen = [one for one in found if one.write.vantage == write.vantage]
    writers = sorted({one.write.client for one in seen})
    holders = sorted({one.lock.client for one in seen})
    released = [Evidence(lock.unlock_capture, lock.unlock_frame, "UNLOCK")] if lock.unlock_frame is not None else []
    count = sum(one.write.exchanges for one in seen)
    return RULE.finding(
        certainty="certain" if best.certain else "likely",
        host=writers[0] if len(writers) == 1 else None,
        title=f"{named(writers)} {'writes' if len(writers) == 1 else 'write'} to {write.file} without a lock "
        f"while {named(holders)} {'holds' if len(holders) == 1 else 'hold'} one",
        explanation=(
            f"{lock.owner} ({lock.client}) was granted {'an exclusive' if lock.exclusive else 'a shared'} lock on "
            f"{write.file} in frame {lock.granted_frame}. Before it was released, {write.client} wrote to the file "
            f"(frame {best.frame}); {several(count, 'WRITE call')} about then. The capture shows no lock request of "
            f"{named(writers)} for this file. Locks are advisory: the server lets anybody write."
        ),
        clients=tuple(holders),
        files=(write.file,),
        count=count,
        first=min(one.write.first for one in seen),
        last=max(one.write.last for one in seen),
        evidence=(
            Evidence(lock.granted_capture, lock.granted_frame, f"granted to {lock.owner} ({lock.client})"),
            Evidence(write.capture, best.frame, f"WRITE of {write.client}"),
            *released,
        ),
        remedy=(
            f"findmnt -t nfs -o TARGET,OPTIONS   # on {named(map(bare, writers))}: nolock, local_lock keep locks there",
            "# Mount without nolock and local_lock, or let the application that writes lock the file.",
        ),
        verify=(f"lslocks; fuser -v FILE   # on {named(map(bare, writers))}: which process writes",),
    )


def are_writes(table: Table) -> Mask:
    mask: Mask = (table["prog"] == NFS) & (table["procedure"] == "WRITE") & (table["status"] == 0)
    return mask


def without(held: Table, writes: Table, made: int, roles: Roles) -> Clear | CannotTell:
    servers = held["server"].present()
    clients = {client for client, server in roles.file_pairs if server in servers}
    if made and not len(writes):
        return RULE.cannot_tell(f"the file handles of {several(made, 'WRITE call')} are not in the capture")
    if len(clients) < 2:
        whose = f"only {named(clients)} uses files" if clients else "nobody uses files"
        return RULE.cannot_tell(f"{whose} of {named(servers)} in the capture", wire_of(min(servers)))
    files, _ = group(held["server"].codes, held["fh"].codes)
    locked = several(int(files.max()) + 1, "locked file")
    return RULE.clear(f"{locked}, {several(made, 'WRITE call')}: no host wrote to a file that another had locked")
