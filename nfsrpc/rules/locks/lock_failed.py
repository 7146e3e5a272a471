"""Locks fail for a reason that the server names.

Sees
    LOCK, TEST or CANCEL answered with DEADLCK (5), ROFS (6), STALE_FH (7), FBIG (8) or FAILED (9).

Why it hurts
    The application gets an error that it may not expect: EDEADLK, EROFS, ESTALE, EOVERFLOW or ENOLCK.

Not flagged when
    DENIED and BLOCKED are no failures; DENIED_NOLOCKS is LCK004, DENIED_GRACE_PERIOD LCK005.

How to confirm
    The application's own error; for STALE_FH: stat the file on the client.

How to fix
    DEADLCK: the order in which applications lock. ROFS: the export or file system is read-only. STALE_FH: the file was
    removed on the server or the export withdrawn; reopen or mount again. FBIG: the range is beyond what the server can
    lock. FAILED: the server's own log.

References
    RFC 1813 appendix II (nlm4_stats).
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, NamedTuple

from nfsrpc.columns import NAT, Table, isin
from nfsrpc.facts.basic import CANCEL, LOCK, NM_LOCK, TEST
from nfsrpc.facts.stalls import LockFiles
from nfsrpc.findings.command import Command, command, remark
from nfsrpc.findings.finding import Answer, Evidence, Finding, Rule
from nfsrpc.sessions.grouping import Parts
from nfsrpc.wording import named, several

RULE = Rule(
    "LCK006",
    "lock-failed",
    "warning",
    explains=("NFS001",),
)


class Meaning(NamedTuple):
    name: str
    says: str
    remedy: Command
    on_server: bool  # whether the server is the host to fix


EXPORTS = command("exportfs -v; mount | grep ro,", on="the server")
FILES = command("exportfs -v; ls -li FILE", on="the server")
LOGS = command("dmesg; journalctl -u nfs-server")
ONE_ORDER = remark("Have applications lock in one order.")
LESS = remark("Have the application lock less.")
MEANINGS = {
    5: Meaning("DEADLCK", "granting it would be a deadlock", ONE_ORDER, False),
    6: Meaning("ROFS", "the file system is read-only", EXPORTS, True),
    7: Meaning("STALE_FH", "the file, or its export, is gone", FILES, True),
    8: Meaning("FBIG", "the range is beyond what the server can lock", LESS, False),
    9: Meaning("FAILED", "the server failed for a reason of its own", LOGS, True),
}
ASKING = (TEST, LOCK, CANCEL, NM_LOCK)


def check(requests: Table, locks: Table, lock_files: LockFiles) -> Iterator[Answer]:
    asked = requests.where(isin(requests["proc"], ASKING))
    failed = asked.where(isin(asked["status"], tuple(MEANINGS)))
    for (server, status), rows in Parts(failed, "server", "status").items():
        yield finding(server, status, rows, lock_files)
    told = locks.where((locks["procedure"] == "LOCK_MSG") & isin(locks["status"], tuple(MEANINGS)))
    for row in told.rows():
        yield of_message(row)
    if not len(failed) and not len(told):
        if asked.valid("status").any():
            yield RULE.clear("no lock request failed")
        else:
            yield RULE.cannot_tell("no results of lock requests in the capture")


def finding(server: str, status: int, rows: Table, lock_files: LockFiles) -> Finding:
    meaning = MEANINGS[status]
    clients = tuple(sorted({client for client in rows["client"].tolist() if client}))
    times = rows["time"][rows["time"] != NAT]
    first = rows.row(0)
    return RULE.finding(
        host=server if meaning.on_server else None,
        title=f"{several(len(rows), 'lock request')} to {server} answered {meaning.name}: {meaning.says}",
        explanation=f"{server} told {named(clients)}: {meaning.name} ({status}), {meaning.says}.",
        clients=clients,
        files=lock_files.of(rows),
        count=len(rows),
        first=int(times.min()) if len(times) else None,
        last=int(times.max()) if len(times) else None,
        evidence=(
            Evidence(first.capture, first.call_frame, f"{first.procedure} of {first.client}"),
            Evidence(first.reply_capture, first.reply_frame, f"{meaning.name} ({status})"),
        ),
        remedy=(meaning.remedy,),
    )


def of_message(row: Any) -> Finding:
    """Of a session that was asked for by LOCK_MSG."""
    meaning = MEANINGS[row.status]
    return RULE.finding(
        host=row.server if meaning.on_server else None,
        title=f"a lock request to {row.server} answered {meaning.name}: {meaning.says}",
        explanation=f"{row.server} told {row.client}: {meaning.name} ({row.status}), {meaning.says}.",
        clients=(row.client,),
        files=(row.file,),
        first=row.time,
        last=row.time,
        evidence=(Evidence(row.capture, row.frame, f"LOCK_MSG of {row.client}"),),
        remedy=(meaning.remedy,),
    )
