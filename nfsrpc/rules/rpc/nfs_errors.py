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

from nfsrpc.columns import NAT, NULLS
from nfsrpc.findings.command import Command, command, remark
from nfsrpc.findings.finding import Answer, Evidence, Finding, Rule
from nfsrpc.protocols import status_name
from nfsrpc.protocols.numbers import Nfs3Proc, Nfsstat3, Prog
from nfsrpc.sessions.grouping import Parts
from nfsrpc.tables import Calls, Tallies
from nfsrpc.wording import named, several

RULE = Rule("NFS001", "nfs-errors", "info", judges="NFS", passes="no NFS call failed but look-ups of missing names")

GRAVE = (Nfsstat3.STALE, Nfsstat3.IO, Nfsstat3.SERVERFAULT)
REMEDIES: dict[int, Command] = {
    Nfsstat3.STALE: command(
        "umount /mnt; mount /mnt", on="the clients", note="first stop what uses the mount; it drops their locks there"
    ),
    Nfsstat3.JUKEBOX: remark(
        "Look in the server's log for what the file waits for: a tape, a delegation, a migration."
    ),
}
LOGS = command("dmesg; journalctl -k", on="the server")


def check(exchanges: Calls, counted: Tallies, *, jukebox: int = 10) -> Iterator[Answer]:
    status = exchanges["status"]
    failed = (exchanges["prog"] == Prog.NFS) & (status != 0) & (status != NULLS["i32?"]) & (status != Nfsstat3.EXIST)
    failed &= ~((status == Nfsstat3.NOENT) & (exchanges["proc"] == Nfs3Proc.LOOKUP))
    rows = exchanges.where(failed)
    unlisted = Parts(counted, "status", "server") if len(rows) else {}
    for (number, server), mine in Parts(rows, "status", "server").items():
        count = mine.count
        if (number, server) in unlisted:
            sums = unlisted[number, server]
            count += sums.counted(int(sums["exchanges"].sum()))
        yield finding(server, mine, count, number in GRAVE or (number == Nfsstat3.JUKEBOX and count >= jukebox))


def finding(server: str, rows: Calls, count: int, grave: bool) -> Finding:
    """The finding on one server; `rows`: the listed exchanges, of all that were counted."""
    first = rows.row(0)
    status = int(rows["status"][0])
    error = status_name(Prog.NFS, first.vers, first.proc, status)
    times = rows["time"][rows["time"] != NAT]
    clients = tuple(sorted(rows["client"].present()))
    procedures = named(rows["procedure"].present())
    return RULE.finding(
        severity="warning" if grave else "info",
        host=server,
        title=f"{server} answers {error} to {several(count, 'NFS call')}",
        explanation=f"{procedures} of {named(clients)} answered {error} ({status}).",
        clients=clients,
        count=count,
        first=int(times.min()) if len(times) else None,
        last=int(times.max()) if len(times) else None,
        evidence=(
            Evidence(first.capture, first.call_frame, f"{first.procedure} of {first.client}"),
            Evidence.of(first.reply_capture, first.reply_frame, error),
        ),
        remedy=(REMEDIES.get(status, LOGS),) if grave else (),
    )
