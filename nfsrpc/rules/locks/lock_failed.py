"""Locks fail for a reason that the server names.

Sees
    LOCK, TEST or CANCEL answered with DEADLCK (5), ROFS (6), STALE_FH (7), FBIG (8) or FAILED (9); or a LOCK of a
    client that is willing to wait, answered DENIED (1) at once instead of BLOCKED.

Why it matters
    The application gets an error that it may not expect: EDEADLK, EROFS, ESTALE, EOVERFLOW or ENOLCK; EAGAIN where it
    asked to wait (F_SETLKW, flock without LOCK_NB).

Not flagged when
    BLOCKED, and DENIED to a client that does not wait (F_SETLK, LOCK_NB), are no failures; DENIED_NOLOCKS is LCK004,
    DENIED_GRACE_PERIOD LCK005, a reclaim that is refused, for whatever reason, LCK015.

How to confirm
    The application's own error; for STALE_FH: stat the file on the client.

How to fix
    DEADLCK: the order in which applications lock. ROFS: the export or file system is read-only. STALE_FH: the file was
    removed on the server or the export withdrawn; reopen or mount again. FBIG: the range is beyond what the server can
    lock. FAILED: the server's own log. DENIED to a client that waits: the server, or the file system that it exports
    (a re-export of NFS, a cluster file system), has no locks that wait; the application has to retry by itself.

References
    RFC 1813 appendix II (nlm4_stats); Linux fs/lockd/svclock.c (nlmsvc_lock, nlmsvc_file_cannot_wait).
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import NamedTuple

from nfsrpc.columns import NAT, Mask, isin
from nfsrpc.facts.stalls import LockFiles, claimed_again
from nfsrpc.findings.command import Command, command, remark
from nfsrpc.findings.finding import Answer, Evidence, Finding, Rule
from nfsrpc.protocols.numbers import Nlm4Stats, NlmProc
from nfsrpc.sessions.grouping import Parts
from nfsrpc.tables import Calls, Locks
from nfsrpc.wording import named, several

RULE = Rule(
    "LCK006",
    "lock-failed",
    "warning",
    explains=("NFS001", "LCK016"),
    judges="results of LOCK",
    passes="no lock request failed",
)


class Meaning(NamedTuple):
    name: str
    text: str
    remedy: Command
    on_server: bool  # whether the server is the host to fix


EXPORTS = command("exportfs -v; mount | grep ro,", on="the server")
FILES = command("exportfs -v; ls -li FILE", on="the server")
LOGS = command("dmesg; journalctl -u nfs-server", on="the server")
ONE_ORDER = remark("Have applications lock in one order.")
LESS = remark("Have the application lock less.")
WITHOUT_WAIT = remark("Have the application retry by itself; or export a file system whose locks can wait.")
MEANINGS: dict[int, Meaning] = {
    Nlm4Stats.DENIED: Meaning("DENIED", "the client asked to wait for the lock", WITHOUT_WAIT, True),
    Nlm4Stats.DEADLCK: Meaning("DEADLCK", "granting it would be a deadlock", ONE_ORDER, False),
    Nlm4Stats.ROFS: Meaning("ROFS", "the file system is read-only", EXPORTS, True),
    Nlm4Stats.STALE_FH: Meaning("STALE_FH", "the file, or its export, is gone", FILES, True),
    Nlm4Stats.FBIG: Meaning("FBIG", "the range is beyond what the server can lock", LESS, False),
    Nlm4Stats.FAILED: Meaning("FAILED", "the server failed for a reason of its own", LOGS, True),
}
FAILURES = tuple(status for status in MEANINGS if status != Nlm4Stats.DENIED)
ASKING = (NlmProc.TEST, NlmProc.LOCK, NlmProc.CANCEL, NlmProc.NM_LOCK)


def check(requests: Calls, locks: Locks, lock_files: LockFiles) -> Iterator[Answer]:
    without_wait = not_waited_for(locks)
    failed = isin(requests["proc"], ASKING) & isin(requests["status"], FAILURES)
    failed &= ~isin(requests["exchange"], claimed_again(locks))
    failed |= isin(requests["exchange"], locks["last_exchange"][without_wait])
    for (server, status), rows in Parts(requests.where(failed), "server", "status").items():
        yield finding(server, status, rows, lock_files)
    messages = isin(locks["status"], FAILURES) & ~locks["reclaim"] & (locks["reclaims"] == 0) | without_wait
    messages &= locks["procedure"] == "LOCK_MSG"
    refused = locks.where(messages)
    for row, status in zip(refused.rows(), refused["status"].tolist(), strict=True):
        yield of_message(row, status)


def not_waited_for(locks: Locks) -> Mask:
    """LOCKs of clients that are willing to wait, DENIED without a BLOCKED before."""
    denied = (locks["state"] == "denied") & (locks["status"] == Nlm4Stats.DENIED) & ~locks.valid("blocked")
    mask: Mask = denied & locks["block"] & locks.valid("block") & ~locks["reclaim"] & (locks["reclaims"] == 0)
    return mask


def finding(server: str, status: int, rows: Calls, lock_files: LockFiles) -> Finding:
    meaning = MEANINGS[status]
    clients = tuple(sorted({client for client in rows["client"].tolist() if client}))
    times = rows["time"][rows["time"] != NAT]
    first = rows.row(0)
    return RULE.finding(
        host=server if meaning.on_server else None,
        title=f"{several(rows.count, 'lock request')} to {server} answered {meaning.name}: {meaning.text}",
        explanation=f"{server} answered {named(clients)} with {meaning.name} ({status}): {meaning.text}.",
        clients=clients,
        files=lock_files.of(rows),
        count=rows.count,
        first=int(times.min()) if len(times) else None,
        last=int(times.max()) if len(times) else None,
        evidence=(
            Evidence(first.capture, first.call_frame, f"{first.procedure} of {first.client}"),
            Evidence.of(first.reply_capture, first.reply_frame, f"{meaning.name} ({status})"),
        ),
        remedy=(meaning.remedy,),
    )


def of_message(row: Locks.Row, status: int) -> Finding:
    """The evidence of a session that was requested by LOCK_MSG."""
    meaning = MEANINGS[status]
    return RULE.finding(
        host=row.server if meaning.on_server else None,
        title=f"a lock request to {row.server} answered {meaning.name}: {meaning.text}",
        explanation=f"{row.server} answered {row.client} with {meaning.name} ({status}): {meaning.text}.",
        clients=(row.client,),
        files=(row.file,),
        first=row.time,
        last=row.time,
        evidence=(Evidence(row.capture, row.frame, f"LOCK_MSG of {row.client}"),),
        remedy=(meaning.remedy,),
    )
