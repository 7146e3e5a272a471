"""A client claims a lock again after a reboot of the server, and is refused: the lock is lost.

Sees
    LOCK with reclaim, answered anything but GRANTED: DENIED, DENIED_NOLOCKS, or DENIED_GRACE_PERIOD, by which Linux
    answers a reclaim that comes after the grace period.

Why it matters
    The application goes on as if it held the lock; nothing informs it. Another host may be granted the same range, and
    both write. Only the client's kernel log has it: "lockd: failed to reclaim lock for pid ...".

Not flagged when
    A later copy or try was answered GRANTED. The capture ends just after a DENIED_GRACE_PERIOD: cannot tell.

How to confirm
    On the client: dmesg | grep "failed to reclaim". On the server: cat /proc/locks does not have the lock.

How to fix
    Restart the application that had the lock. Then find out why it was refused: another client was granted the range
    first, the notice of the reboot came after the grace period, or statd of the server fails (DENIED_NOLOCKS).

References
    X/Open C702 chapter 11; RFC 1813 appendix II; Linux fs/lockd/clntproc.c (nlmclnt_reclaim), fs/lockd/svclock.c.

Parameters
    again_s: a client that tries again after DENIED_GRACE_PERIOD does so within this time
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import numpy as np

from nfsrpc.columns import Mask, distinct, number_of
from nfsrpc.facts.basic import Span, listed
from nfsrpc.facts.waiters import rows_of
from nfsrpc.findings.advice import bare
from nfsrpc.findings.command import command, remark
from nfsrpc.findings.finding import Answer, Evidence, Finding, Rule
from nfsrpc.protocols.numbers import Nlm4Stats
from nfsrpc.sessions.stretches import Stretches
from nfsrpc.tables import Locks
from nfsrpc.wording import SECOND, named, several

RULE = Rule(
    "LCK015",
    "reclaim-refused",
    "error",
    log=("reclaim-failed",),
    judges="results of LOCK",
    passes="no reclaim was refused",
)

SAME = ("server", "client", "fh", "oh", "svid", "l_offset")  # of an owner that tries again
STATUSES: dict[int, str] = {
    Nlm4Stats.DENIED: "DENIED",
    Nlm4Stats.DENIED_NOLOCKS: "DENIED_NOLOCKS",
    Nlm4Stats.BLOCKED: "BLOCKED",
    Nlm4Stats.DENIED_GRACE_PERIOD: "DENIED_GRACE_PERIOD",
    Nlm4Stats.DEADLCK: "DEADLCK",
    Nlm4Stats.ROFS: "ROFS",
    Nlm4Stats.STALE_FH: "STALE_FH",
    Nlm4Stats.FBIG: "FBIG",
    Nlm4Stats.FAILED: "FAILED",
}


def check(locks: Locks, span: Span | None, *, again_s: float = 10.0) -> Iterator[Answer]:
    refused = locks.where(refused_reclaims(locks))
    granted = Stretches([locks.column(name) for name in SAME], locks["granted"]) if len(refused) else None
    left = [
        row
        for row in refused.rows()
        if granted is not None and granted.following(owner_of(row), refusal_time(row)) is None
    ]
    found = listed(
        (row.server, row) for row in left if row.status != Nlm4Stats.DENIED_GRACE_PERIOD or has_time(row, span, again_s)
    )
    for server, rows in sorted(found.items()):
        yield finding(server, rows, locks)
    early = locks.counted(len(left) - sum(map(len, found.values())))
    if early:
        yield RULE.cannot_tell(f"the capture ends just after {several(early, 'reclaim')} met a grace period")


def refused_reclaims(locks: Locks) -> Mask:
    """Sessions whose last LOCK was a reclaim that was refused."""
    claimed = locks["reclaim"] | (locks["reclaims"] > 0)
    mask: Mask = claimed & locks.valid("status") & (locks["status"] != Nlm4Stats.GRANTED)
    return mask


def owner_of(row: Locks.Row) -> tuple[Any, ...]:
    return tuple(getattr(row, name) for name in SAME)


def refusal_time(row: Locks.Row) -> int:
    """When the reclaim was refused."""
    return row.denied or row.blocked or row.requested or 0


def has_time(row: Locks.Row, span: Span | None, again_s: float) -> bool:
    return span is not None and row.denied is not None and span.last - row.denied >= again_s * SECOND


def finding(server: str, rows: list[Locks.Row], locks: Locks) -> Finding:
    clients = tuple(sorted({row.client for row in rows}))
    files = tuple(dict.fromkeys(row.file for row in rows))
    statuses = named(sorted({STATUSES.get(row.status or 0, f"status {row.status}") for row in rows}))
    first = rows[0]
    held_by = [row.held_by for row in rows if row.held_by is not None]
    holders = rows_of(locks, distinct(np.array(held_by, dtype=np.int64))) if held_by else {}
    owners = sorted({f"{holder.owner} ({holder.client})" for holder in holders.values()})
    return RULE.finding(
        host=server,
        title=f"{several(number_of(rows), 'reclaim')} of {named(clients)} refused by {server}: {statuses}",
        explanation=(
            f"After a reboot of {server} its clients claim their locks again. {several(number_of(rows), 'claim')} of "
            f"{named(clients)} on {named(files)} {'was' if len(rows) == 1 else 'were'} answered {statuses}: the lock "
            f'is lost, and the application is not informed; the kernel log of the client has "lockd: failed to reclaim '
            f'lock".{meanwhile(owners)}{too_late(rows)}'
        ),
        clients=clients,
        files=files,
        count=number_of(rows),
        first=min(row.requested or 0 for row in rows),
        last=max(map(refusal_time, rows)),
        evidence=(*evidence(first), *grants_evidence(holders)),
        remedy=(
            command("dmesg | grep -i reclaim", on="{client}", note="which process", client=bare(first.client)),
            remark("Restart the application that had the lock, and check the file for damage."),
            command(
                "journalctl -u nfs-server -u rpc-statd -u rpc-statd-notify",
                on="the server {server}",
                note="when it rebooted and sent its notices",
                server=bare(server),
            ),
        ),
        verify=(
            command(
                "cat /proc/locks",
                on="the server {server}",
                note="a Linux kernel server: has the lock",
                server=bare(server),
            ),
        ),
    )


def meanwhile(owners: list[str]) -> str:
    return f" The range was granted to {named(owners)} before." if owners else ""


def too_late(rows: list[Locks.Row]) -> str:
    if not any(row.status == Nlm4Stats.DENIED_GRACE_PERIOD for row in rows):
        return ""
    return " A reclaim answered DENIED_GRACE_PERIOD came after the end of the grace period."


def evidence(row: Locks.Row) -> Iterator[Evidence]:
    if row.granted_frame is not None:
        yield Evidence(row.granted_capture, row.granted_frame, f"granted to {row.owner} ({row.client})")
    if row.denied_frame is not None:
        what = STATUSES.get(row.status or 0, f"status {row.status}")
        yield Evidence(row.denied_capture, row.denied_frame, f"reclaim of {row.client} answered {what}")
    elif row.blocked_frame is not None:
        yield Evidence(row.blocked_capture, row.blocked_frame, f"reclaim of {row.client} answered BLOCKED")


def grants_evidence(holders: dict[int, Locks.Row]) -> Iterator[Evidence]:
    for holder in list(holders.values())[:1]:
        if holder.granted_frame is not None:
            note = f"granted to {holder.owner} ({holder.client})"
            yield Evidence(holder.granted_capture, holder.granted_frame, note)
