"""The server holds a lock that its owner no longer wants.

Sees
    A lock that is granted after its owner was told no, gave up or unlocked: by another copy of the same request, or by
    a late grant that the client accepts; or a CANCEL that was refused (DENIED) and not followed by UNLOCK. No UNLOCK
    comes after.

Why it hurts
    The application has failed long ago, and nobody will ever unlock: all others wait until the client reboots.

Not flagged when
    Copies of one request are answered alike. The client refuses the late grant. It unlocks after all.

How to confirm
    On the server: cat /proc/locks names the inode; on the client no process has the file open.

How to fix
    Break the lock on the server. Then cure what made the server answer so late (statd that hangs: MON003).

References
    RFC 1813 appendix II; Linux fs/lockd/svclock.c.

Parameters
    unlock_s: no UNLOCK for so long: the owner has forgotten the lock
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from nfsrpc.columns import Mask, Table
from nfsrpc.facts.basic import Span
from nfsrpc.findings.advice import BREAK_LOCK
from nfsrpc.findings.command import command
from nfsrpc.findings.finding import Answer, Evidence, Finding, Rule
from nfsrpc.wording import SECOND, several

RULE = Rule(
    "LCK008",
    "orphan-lock",
    "warning",
    explains=("LCK010", "LCK011"),
    timed="always",
    log=("out-of-sync",),
)

DENIED = 1


def check(
    locks: Table, span: Span | None, gaps: frozenset[frozenset[str]], *, unlock_s: float = 10.0
) -> Iterator[Answer]:
    left = list(locks.where(left_behind(locks)).rows())
    seen = [row for row in left if frozenset((row.client, row.server)) not in gaps]
    orphans = [row for row in seen if span is not None and span.last - since(row) >= unlock_s * SECOND]
    for row in orphans:
        yield finding(row)
    if orphans:
        return
    if left:
        yield RULE.cannot_tell(f"the capture ends, or has gaps, after {several(len(left), 'late grant')}")
    elif len(locks):
        yield RULE.clear("no lock was granted to somebody who no longer wanted it")
    else:
        yield RULE.cannot_tell("no lock requests in the capture")


def left_behind(locks: Table) -> Mask:
    late = locks.valid("late_granted") & (locks["state"] == "held")
    after = ~locks.valid("unlock") | (locks["unlock"] < locks["late_granted"])
    accepted = (locks["granted_by"] == "late-reply") | (locks["callback_state"] == "answered")
    refused = locks.valid("cancelled") & (locks["cancel_status"] == DENIED) & ~locks.valid("unlock")
    mask: Mask = (late & after & accepted) | refused
    return mask


def since(row: Any) -> int:
    return int(row.late_granted if row.late_granted is not None else row.cancelled)


def finding(row: Any) -> Finding:
    how = "granted after its owner had been answered otherwise" if row.late_granted is not None else "not cancelled"
    return RULE.finding(
        host=row.server,
        title=f"{row.server} holds a lock of {row.owner} ({row.client}) on {row.file} that nobody wants",
        explanation=(
            f"It was {how}, and no UNLOCK came after. The application has given up, so nobody will release it before "
            f"{row.client} reboots."
        ),
        clients=(row.client,),
        files=(row.file,),
        first=since(row),
        last=since(row),
        evidence=tuple(evidence(row)),
        remedy=BREAK_LOCK,
        verify=(command("cat /proc/locks", on="the server", note="the lock is gone"),),
    )


def evidence(row: Any) -> Iterator[Evidence]:
    if row.requested_frame is not None:
        yield Evidence(row.requested_capture, row.requested_frame, f"LOCK of {row.owner}")
    if row.denied_frame is not None:
        yield Evidence(row.denied_capture, row.denied_frame, "denied")
    if row.cancelled_frame is not None:
        yield Evidence(row.cancelled_capture, row.cancelled_frame, "given up (CANCEL)")
    if row.late_granted_frame is not None:
        yield Evidence(row.late_granted_capture, row.late_granted_frame, "granted all the same")
