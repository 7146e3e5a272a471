"""Lock requests are answered, but late.

Sees
    LOCK, UNLOCK, TEST or CANCEL answered after 5 s or more; how often it was retransmitted; an error from 60 s on.

Why it matters
    The application waits as long. From 60 s on the client's kernel logs "lockd: server … not responding, still
    trying", and when the reply comes "lockd: server … OK".

Not flagged when
    A client reclaims its locks and is answered within a minute: the server has rebooted. So may be a request whose
    end is cut off, within a minute of the server's notice of its reboot. The server rebooted while the request waited.

How to confirm
    On the client: dmesg | grep lockd; time flock FILE true.

How to fix
    By its cause. A lock manager that answers late waits for its statd (not registered, slow, frozen) or for its name
    service, or another client's request does: lockd serves one at a time. One that holds back its reply until the
    holder unlocks, instead of answering BLOCKED, is at fault itself: update the server.

References
    RFC 1813 appendix II; Linux fs/lockd/clntproc.c, fs/lockd/mon.c.

Parameters
    late_s: a reply is late from here on
    error_s: an error instead of a warning from here on
    reclaim_s: a reclaim may take so long
"""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np

from nfsrpc.facts.lock_answers import LockAnswers
from nfsrpc.facts.missing_statd import Unregistered
from nfsrpc.facts.stalls import LockFiles, longest_waits
from nfsrpc.facts.vantages import Vantages, how_far
from nfsrpc.findings.advice import bare, lock_services, loopback_of, try_lock
from nfsrpc.findings.command import Command, command, remark
from nfsrpc.findings.finding import Answer, Finding, Rule
from nfsrpc.sessions.grouping import Parts
from nfsrpc.tables import Calls, Locks
from nfsrpc.wording import clock_time, duration, named, several

RULE = Rule(
    "LCK002",
    "lock-request-answered-late",
    "warning",
    explains=("LCK007",),
    timed="always",
    log=("lockd-silent",),
    asks_causes="always",
    judges="answered lock requests",
    passes="every lock request was answered in time",
)

ANSWER_BLOCKED = (
    remark("Update the NFS server: it has to answer BLOCKED at once while another holds the range."),
    remark("Until then: the application that holds the lock should release it sooner."),
)


def check(
    lock_answers: LockAnswers,
    unregistered: tuple[Unregistered, ...],
    loopbacks: frozenset[str],
    vantages: Vantages,
    lock_files: LockFiles,
    *,
    late_s: float = 5.0,
    error_s: float = 60.0,
    reclaim_s: float = 60.0,
) -> Iterator[Answer]:
    slow = lock_answers.late(late_s, reclaim_s)
    found = {missing.host: missing.found for missing in reversed(unregistered) if missing.found is not None}
    for server, rows in Parts(slow, "server").items():
        longest = rows.row(int(np.argmax(rows["latency_s"])))
        held = held_back(longest, lock_answers.held_back_for(rows))
        came = [how_far(longest, vantages), held, statd_start(found.get(server))]
        seen = bool(held) or server in loopbacks
        remedy = ANSWER_BLOCKED if held else look_at_statd(server)
        yield finding(server, rows, lock_files.of(rows), seen, error_s, " ".join(filter(None, came)), remedy)
    if lock_answers.slowest_s is None:
        if not lock_answers.is_timed:
            yield RULE.cannot_tell("the capture has no time stamps")
    elif not len(slow):
        number = several(lock_answers.number, "lock request")
        yield RULE.clear(f"{number} answered, the slowest in {duration(lock_answers.slowest_s)}")


def held_back(row: Calls.Row, holder: Locks.Row | None) -> str:
    """A sentence on a LOCK that was granted at the moment when its holder released the range."""
    if holder is None:
        return ""
    return (
        f"The reply to the LOCK of {row.client} came when {holder.owner} ({holder.client}) released the range: "
        f"{row.server} held it back instead of answering BLOCKED."
    )


def look_at_statd(server: str) -> tuple[Command, ...]:
    """The commands that show whether what lockd waits for is its statd."""
    return (
        command(
            "rpcinfo -p {server} | grep -e nlockmgr -e status; systemctl status rpc-statd",
            on="{server}",
            server=bare(server),
        ),
    )


def finding(
    server: str,
    rows: Calls,
    files: tuple[str, ...],
    seen: bool,
    error_s: float,
    came: str,
    remedy: tuple[Command, ...],
) -> Finding:
    """The finding on one server; `seen`: the cause is or would be captured; `came`: a sentence on the longest wait."""
    clients = tuple(sorted({client for client in rows["client"].tolist() if client}))
    longest = float(rows["latency_s"].max())
    procedures = named({procedure for procedure in rows["procedure"].tolist() if procedure})
    resent = rows.counted(int(rows["retransmits"].sum()))
    again = f"; retransmitted {several(resent, 'time')} in all" if resent else ""
    return RULE.finding(
        severity="error" if longest >= error_s else "warning",
        host=server,
        title=f"{several(rows.count, 'lock request')} to {server} answered late, up to {duration(longest)}",
        explanation=(
            f"{procedures} of {named(clients)} to {server} waited up to {duration(longest)} for a reply{again}."
            f"{came and ' '}{came}"
        ),
        clients=clients,
        files=files,
        count=rows.count,
        first=int(rows["time"].min()),
        last=int(rows["reply_time"].max()),
        evidence=tuple(longest_waits(rows, 3)),
        remedy=remedy,
        verify=(lock_services(server), try_lock(server)),
        needs=None if seen else loopback_of(server, clients),
        wait_s=longest,
    )


def statd_start(time: int | None) -> str:
    return f"Its statd was registered at {clock_time(time)}, and not before." if time is not None else ""
