"""NFS calls are answered with errors.

Sees
    Results other than OK, by status; a warning for STALE, SERVERFAULT and IO, and for JUKEBOX many times.

Why it matters
    STALE: a file or an export is gone while a client uses it. IO and SERVERFAULT: the server's disks or software.
    JUKEBOX: the server cannot serve the file yet, and the client has to retry.

Not flagged when
    NOENT of LOOKUP and EXIST are everyday answers.

How to confirm
    nfsstat -s on the server; dmesg on both.

How to fix
    STALE: unmount and mount again, and do not remove or re-export under clients. IO, SERVERFAULT: the server's log.

References
    RFC 1813 section 2.6 (nfsstat3).

Parameters
    jukebox: so many JUKEBOX answers are a storm
"""

from __future__ import annotations

from collections.abc import Iterator

from nfsrpc.columns import NAT, NULLS, Table
from nfsrpc.facts.basic import NFS
from nfsrpc.findings.command import command, remark
from nfsrpc.findings.finding import Answer, Evidence, Finding, Rule
from nfsrpc.protocols import status_name
from nfsrpc.sessions.grouping import Parts
from nfsrpc.wording import named, several

RULE = Rule("NFS001", "nfs-errors", "info", judges="NFS", passes="no NFS call failed but look-ups of missing names")

LOOKUP, NOENT, IO, EXIST, STALE, SERVERFAULT, JUKEBOX = 3, 2, 5, 17, 70, 10006, 10008
GRAVE = (STALE, IO, SERVERFAULT)
REMEDIES = {
    STALE: command(
        "umount /mnt; mount /mnt", on="the clients", note="first stop what uses the mount; it drops their locks there"
    ),
    JUKEBOX: remark("Look in the server's log for what the file waits for: a tape, a delegation, a migration."),
}
LOGS = command("dmesg; journalctl -k", on="the server")


def check(exchanges: Table, counted: Table, *, jukebox: int = 10) -> Iterator[Answer]:
    status = exchanges["status"]
    failed = (exchanges["prog"] == NFS) & (status != 0) & (status != NULLS["i32?"]) & (status != EXIST)
    failed &= ~((status == NOENT) & (exchanges["proc"] == LOOKUP))
    rows = exchanges.where(failed)
    unlisted = Parts(counted, "status", "server") if len(rows) else {}
    for (number, server), mine in Parts(rows, "status", "server").items():
        count = len(mine)
        if (number, server) in unlisted:
            count += int(unlisted[number, server]["exchanges"].sum())
        yield finding(server, mine, count, number in GRAVE or (number == JUKEBOX and count >= jukebox))


def finding(server: str, rows: Table, count: int, grave: bool) -> Finding:
    """`rows`: those that are listed, of all that were counted."""
    first = rows.row(0)
    error = status_name(NFS, first.vers, first.proc, first.status)
    times = rows["time"][rows["time"] != NAT]
    clients = tuple(sorted(rows["client"].present()))
    procedures = named(rows["procedure"].present())
    return RULE.finding(
        severity="warning" if grave else "info",
        host=server,
        title=f"{server} answers {error} to {several(count, 'NFS call')}",
        explanation=f"{procedures} of {named(clients)} answered {error} ({first.status}).",
        clients=clients,
        count=count,
        first=int(times.min()) if len(times) else None,
        last=int(times.max()) if len(times) else None,
        evidence=(
            Evidence(first.capture, first.call_frame, f"{first.procedure} of {first.client}"),
            Evidence(first.reply_capture, first.reply_frame, error),
        ),
        remedy=(REMEDIES.get(first.status, LOGS),) if grave else (),
    )
