"""One client locks a file that another writes without any lock.

Sees
    WRITE calls that succeed, to a file on which a host holds a lock at that moment, by another host that never asks for
    a lock on that file. A warning where they fall into a range that is locked exclusively. WRITE calls of one client to
    one file are counted by ten seconds, with the lowest and the highest byte: it is certain that they fall into the
    range where it contains all of these, or where there is one call; likely where the two meet.

Why it matters
    Locks are advisory: a server accepts every WRITE. The holder of the lock relies on no other host writing, and its
    data may be damaged. It is information only, and likely, where the lock is shared or of another part of the file, or
    the capture does not have the offsets: the writer may hold a lock on what it writes since before the capture.

Not flagged when
    The writer asks for a lock on that file, too, at whatever time, or is the host that holds it, or shares files with
    that server by SHARE. The write came before the lock was granted, or after its UNLOCK, or failed. The capture lost
    packets between the writer and the server: cannot tell.

How to confirm
    On the writer: the mount's options (with nolock or local_lock locks remain on that host), and which process has the
    file open.

How to fix
    Mount without nolock and local_lock on the writer; or have its application lock what it writes.

References
    nfs(5) (lock, local_lock); fcntl(2); flock(2).
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import NamedTuple

import numpy as np

from nfsrpc.columns import NAT, Array, Coded, Mask, Table, isin
from nfsrpc.facts.basic import Roles
from nfsrpc.facts.waiters import held_until
from nfsrpc.findings.advice import bare, wire_of
from nfsrpc.findings.command import command, remark
from nfsrpc.findings.finding import Answer, CannotTell, Evidence, Finding, Rule
from nfsrpc.protocols.numbers import NlmProc, Prog
from nfsrpc.sessions.grouping import group, members
from nfsrpc.sessions.held_ranges import Ranges, held_then
from nfsrpc.sessions.ranges import TO_THE_END, last_bytes
from nfsrpc.tables import Calls, Captures, Locks, Tallies, Writes
from nfsrpc.wording import named, several

RULE = Rule(
    "LCK013",
    "lock-ignored",
    "info",
    compares_holders=True,
    judges="locks granted in time",
    passes="no host wrote to a file that another had locked",
)

FILES = 20  # so many are named
ELSEWHERE, PERHAPS, CERTAINLY = range(3)
WHERE = ("", ", perhaps into its range", ", into its range")


class UnlockedWrites(NamedTuple):
    """Writes, and beside each the lock that another host held then, and whether they fall into its range."""

    writes: Writes
    locks: Locks
    into: Array  # ELSEWHERE, PERHAPS or CERTAINLY

    def where(self, mask: Mask) -> UnlockedWrites:
        return self.take(np.flatnonzero(mask))

    def take(self, rows: Array) -> UnlockedWrites:
        return UnlockedWrites(self.writes.take(rows), self.locks.take(rows), self.into[rows])


def check(
    locks: Locks,
    writes: Writes,
    captures: Captures,
    nlm: Calls,
    exchanges: Calls,
    counted: Tallies,
    roles: Roles,
    gaps: frozenset[frozenset[str]],
) -> Iterator[Answer]:
    held = locks.where(locks.valid("granted") & (locks["granted_by"] != "late-reply"))
    if not len(held):
        return
    if locks.is_partial:
        yield RULE.cannot_tell("not all lock requests are listed: a host that writes may have locked the file")
        return
    found = writes_while_locked(writes_without_lock(locks, writes, nlm), held, captures)
    pairs, first = group(found.writes["server"].codes, found.writes["client"].codes)
    unsure = [frozenset(pair) in gaps for pair in ends(found.writes.take(first))]
    for rows, unseen in zip(members(pairs), unsure, strict=True):
        if not unseen:
            yield finding(found.take(rows))
    if any(unsure):
        yield RULE.cannot_tell("the capture lost packets: a lock request of the host that writes may be among them")
    elif not unsure and writes.is_partial:
        yield RULE.cannot_tell("of the WRITE calls there are more than there is room for")
    elif not unsure:
        made = int(are_writes(exchanges).sum() + counted["exchanges"][are_writes(counted)].sum())
        yield from missing(held, writes, made, roles)


def ends(table: Table) -> Iterator[tuple[str, str]]:
    return zip(table["client"].tolist(), table["server"].tolist(), strict=True)


def writes_without_lock(locks: Locks, writes: Writes, nlm: Calls) -> Writes:
    """Writes to locked files by hosts that never ask for a lock on them."""
    lockers, written = numbered(locks, writes, "server", "fh", "client")
    strange = writes.where((translated(writes["fh"], locks["fh"]) >= 0) & ~isin(written, lockers))
    sharing = nlm.where(nlm["proc"] == NlmProc.SHARE)
    if not len(sharing) or not len(strange):
        return strange
    sharers = set(ends(sharing))
    return strange.where(np.array([pair not in sharers for pair in ends(strange)], dtype=np.bool_))


def numbered(locks: Locks, writes: Writes, *names: str) -> tuple[Array, Array]:
    """Numbers that are equal where rows of the two tables agree in these columns."""
    columns = [
        np.concatenate([locks.column(name).codes, translated(writes.column(name), locks.column(name))])
        for name in names
    ]
    numbers, _ = group(*columns)
    return numbers[: len(locks)], numbers[len(locks) :]


def translated(of: Coded, to: Coded) -> Array:
    """A column's codes as another column has them, -1 for what does not occur there."""
    codes = {label: code for code, label in enumerate(to.labels)}
    return np.array([*(codes.get(label, -1) for label in of.labels), -1], dtype=np.int64)[of.codes]


def writes_while_locked(writes: Writes, held: Locks, captures: Captures) -> UnlockedWrites:
    """Writes during a lock of another host: the first or the last write of a row, whose times are recorded."""
    locked, written = numbered(held, writes, "server", "fh")
    concerned = isin(locked, written)
    held, locked = held.where(concerned), locked[concerned]
    first, last = (latest(locked, held["granted"], written, writes[name]) for name in ("first", "last"))
    until = np.append(held_until(held), NAT)
    rows = np.where(writes["first"] < until[first], first, np.where(writes["last"] < until[last], last, -1))
    into = np.full(len(writes), ELSEWHERE)
    for name in ("first", "last"):
        met, how = locks_met(held, locked, writes, written, writes[name])
        rows, into = np.where(how > into, met, rows), np.maximum(how, into)
    found = UnlockedWrites(writes.where(rows >= 0), held.take(rows[rows >= 0]), into[rows >= 0])
    vantages = np.zeros(int(captures["capture"].max(initial=0)) + 1, dtype=np.int64)
    vantages[captures["capture"]] = captures["vantage"]
    return found.where(vantages[found.locks["granted_capture"]] == found.writes["vantage"])


def locks_met(held: Locks, locked: Array, writes: Writes, written: Array, at: Array) -> tuple[Array, Array]:
    """The exclusive lock that each row of writes met at that moment, and whether the write was in its range."""
    exclusive = np.flatnonzero(held["exclusive"])
    locks = held.take(exclusive)
    start, end = locks["l_offset"], last_bytes(locks["l_offset"], locks["l_len"])
    low, high = writes["first_byte"], writes["last_byte"]
    ranges = Ranges(locked[exclusive], start, end)
    met = held_then(ranges, locks["granted"], held_until(locks), Ranges(written, low, high), at)
    start, end = (np.append(column, np.uint64(0)) for column in (start, end))
    rows = np.append(exclusive, -1)
    inside = (start[met] <= low) & (high <= end[met])
    bounded = high != TO_THE_END
    how = np.where(inside | (bounded & (writes["exchanges"] == 1)), CERTAINLY, np.where(bounded, PERHAPS, ELSEWHERE))
    return rows[met], np.where(met >= 0, how, ELSEWHERE)


def latest(locked: Array, granted: Array, written: Array, times: Array) -> Array:
    """The row of the last lock granted before each write on its file, -1 where none was."""
    count = len(locked)
    files, moments = np.concatenate([locked, written]), np.concatenate([granted, times])
    order = np.lexsort((np.arange(len(files)) >= count, moments, files))
    before = np.maximum.accumulate(np.where(order < count, np.arange(len(order)), -1))
    rows = np.where(before >= 0, order[before], -1)
    result = np.empty(len(files), dtype=np.int64)
    result[order] = np.where((rows >= 0) & (files[rows] == files[order]), rows, -1)
    return result[count:]


def finding(found: UnlockedWrites) -> Finding:
    vantage = found.where(found.writes["vantage"] == found.writes["vantage"].min())
    best = int(vantage.into.argmax())
    into = int(vantage.into[best])
    write, lock = vantage.writes.row(best), vantage.locks.row(best)
    writes, holders = vantage.writes, sorted(vantage.locks["client"].present())
    files = sorted(writes["file"].present())
    count = writes.counted(int(writes["exchanges"].sum()))
    frame = write.first_frame if write.first >= (lock.granted or 0) else write.last_frame
    what = files[0] if len(files) == 1 else f"{write.file} and {several(writes.counted(len(files) - 1), 'other file')}"
    return RULE.finding(
        severity="info" if into == ELSEWHERE else "warning",
        certainty="certain" if into == CERTAINLY else "likely",
        host=write.client,
        title=f"{write.client} writes to {what} without a lock while {named(holders)} "
        f"{'holds' if len(holders) == 1 else 'hold'} one",
        explanation=(
            f"{lock.owner} ({lock.client}) was granted {'an exclusive' if lock.exclusive else 'a shared'} lock on "
            f"{write.file} in frame {lock.granted_frame}, and {write.client} wrote to that file before it was released "
            f"(frame {frame}){WHERE[into]}; {several(count, 'WRITE call')} about such moments. The capture shows no "
            f"lock request of {write.client} for {'this file' if len(files) == 1 else 'these files'}. Locks are "
            "advisory: the server accepts the WRITE of a client that has none."
        ),
        clients=tuple(holders),
        files=tuple(files[:FILES]),
        count=count,
        first=int(writes["first"].min()),
        last=int(writes["last"].max()),
        evidence=(*proof(lock), Evidence(write.capture, frame, f"WRITE of {write.client}")),
        remedy=(
            command(
                "findmnt -t nfs -o TARGET,OPTIONS",
                on="{client}",
                note="nolock and local_lock: no lock reaches the server",
                client=bare(write.client),
            ),
            remark("Mount without nolock and local_lock, or let the application that writes lock the file."),
        ),
        verify=(
            command("lslocks; fuser -v FILE", on="{client}", note="which process writes", client=bare(write.client)),
        ),
    )


def proof(lock: Locks.Row) -> Iterator[Evidence]:
    yield Evidence.of(lock.granted_capture, lock.granted_frame, f"granted to {lock.owner} ({lock.client})")
    if lock.unlock_frame is not None:
        yield Evidence.of(lock.unlock_capture, lock.unlock_frame, "UNLOCK")


def are_writes(table: Calls | Tallies) -> Mask:
    mask: Mask = (table["prog"] == Prog.NFS) & (table["procedure"] == "WRITE") & (table["status"] == 0)
    return mask


def missing(held: Locks, writes: Writes, made: int, roles: Roles) -> Iterator[CannotTell]:
    """The answer where the capture would not show writes to locked files: cannot tell, and why."""
    servers = held["server"].present()
    clients = {client for client, server in roles.file_pairs if server in servers}
    if made and not len(writes):
        yield RULE.cannot_tell(f"the file handles of {several(made, 'WRITE call')} are not in the capture")
    elif len(clients) < 2:
        whose = f"only {named(clients)} uses files" if clients else "no client uses files"
        yield RULE.cannot_tell(f"{whose} of {named(servers)} in the capture", wire_of(min(servers)))
