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

from collections.abc import Iterator, Mapping

import numpy as np

from nfsrpc.columns import Mask, isin
from nfsrpc.facts.basic import Span, has_booted
from nfsrpc.facts.missing_statd import Unregistered
from nfsrpc.facts.stalls import LockFiles, claimed_again, late, longest_waits
from nfsrpc.facts.vantages import Vantages, how_far
from nfsrpc.facts.waiters import same_range
from nfsrpc.findings.advice import bare, lock_services, loopback_of, try_lock
from nfsrpc.findings.command import Command, command, remark
from nfsrpc.findings.finding import Answer, Finding, Rule
from nfsrpc.protocols.numbers import NlmProc
from nfsrpc.sessions.exchanges import CALL_CUT
from nfsrpc.sessions.grouping import Parts
from nfsrpc.tables import Calls, Locks
from nfsrpc.wording import SECOND, clock_time, duration, named, several

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

HELD_BACK_S = 1.0  # a reply so soon after the release of the range waited for it

ANSWER_BLOCKED = (
    remark("Update the NFS server: it has to answer BLOCKED at once while another holds the range."),
    remark("Until then: the application that holds the lock should release it sooner."),
)


def check(
    requests: Calls,
    locks: Locks,
    boots: Mapping[str, tuple[int, ...]],
    unregistered: tuple[Unregistered, ...],
    loopbacks: frozenset[str],
    span: Span | None,
    vantages: Vantages,
    lock_files: LockFiles,
    *,
    late_s: float = 5.0,
    error_s: float = 60.0,
    reclaim_s: float = 60.0,
) -> Iterator[Answer]:
    slow = requests.where(late(requests, late_s))
    slow = slow.where(~reclaims(slow, locks, boots, reclaim_s) & ~over_a_reboot(slow, boots))
    found = {missing.host: missing.found for missing in reversed(unregistered) if missing.found is not None}
    sessions = Parts(locks, "server") if len(slow) else {}
    for server, rows in Parts(slow, "server").items():
        longest = rows.row(int(np.argmax(rows["latency_s"])))
        held = held_back(sessions[server], longest)
        came = [how_far(longest, vantages), held, statd_start(found.get(server))]
        seen = bool(held) or server in loopbacks
        remedy = ANSWER_BLOCKED if held else look_at_statd(server)
        yield finding(server, rows, lock_files.of(rows), seen, error_s, " ".join(filter(None, came)), remedy)
    answered = requests["latency_s"][requests.valid("latency_s")]
    if len(answered) and not len(slow):
        slowest = duration(answered.max())
        yield RULE.clear(f"{several(len(answered), 'lock request')} answered, the slowest in {slowest}")
    elif span is None and len(requests):
        yield RULE.cannot_tell("the capture has no time stamps")


def reclaims(slow: Calls, locks: Locks, boots: Mapping[str, tuple[int, ...]], reclaim_s: float) -> Mask:
    """Requests by which a client reclaims its locks: the server has rebooted, and its lockd is just starting.

    A request whose end is cut off may be such a one, if the server sent a notice of its reboot just before.
    """
    claimed = isin(slow["exchange"], claimed_again(locks))
    cut = (slow["flags"] & CALL_CUT != 0) & isin(slow["proc"], (NlmProc.LOCK, NlmProc.NM_LOCK))
    soon = [
        has_booted(boots, server, time - round(reclaim_s * SECOND), time)
        for server, time in zip(slow["server"].tolist(), slow["time"].tolist(), strict=True)
    ]
    mask: Mask = (claimed | (cut & np.array(soon, dtype=np.bool_))) & ~late(slow, reclaim_s)
    return mask


def over_a_reboot(slow: Calls, boots: Mapping[str, tuple[int, ...]]) -> Mask:
    """Requests during which the server sent a notice of its reboot: they waited for it to come back."""
    times = zip(slow["server"].tolist(), slow["time"].tolist(), slow["reply_time"].tolist(), strict=True)
    during = [has_booted(boots, server, time, reply) for server, time, reply in times]
    return np.array(during, dtype=np.bool_)


def held_back(locks: Locks, row: Calls.Row) -> str:
    """A sentence on a LOCK that was granted at the moment when another session released the range."""
    numbers = np.flatnonzero((locks["exchange"] == row.exchange) & (locks["granted_by"] == "reply"))
    if not len(numbers):
        return ""
    number, moment = int(numbers[0]), round(HELD_BACK_S * SECOND)
    held = same_range(locks, number) & locks.valid("released") & (locks["exclusive"] | locks["exclusive"][number])
    held &= locks["granted"] < row.reply_time
    held &= np.abs(locks["released"] - row.reply_time) <= moment
    held[number] = False
    for holder in locks.where(held).rows():
        return (
            f"The reply to the LOCK of {row.client} came when {holder.owner} ({holder.client}) released the range: "
            f"{row.server} held it back instead of answering BLOCKED."
        )
    return ""


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
    resent = int(rows["retransmits"].sum())
    again = f"; retransmitted {several(resent, 'time')} in all" if resent else ""
    return RULE.finding(
        severity="error" if longest >= error_s else "warning",
        host=server,
        title=f"{several(len(rows), 'lock request')} to {server} answered late, up to {duration(longest)}",
        explanation=(
            f"{procedures} of {named(clients)} to {server} waited up to {duration(longest)} for a reply{again}."
            f"{came and ' '}{came}"
        ),
        clients=clients,
        files=files,
        count=len(rows),
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
