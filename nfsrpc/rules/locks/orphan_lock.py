"""The server holds a lock that its owner does not have any more.

Sees
    A lock that is granted after its owner was refused, gave up or unlocked: by another copy of the same request, or by
    a late grant that the client accepts; or a CANCEL that was refused (DENIED) and not followed by UNLOCK. No UNLOCK
    comes after.
    Or LOCKs that are DENIED, or BLOCKED for ever, although the only holder that the capture shows has unlocked, or
    no client was granted the range since the server rebooted: a lock that a takeover, or a cluster file system, left
    behind. Or they stand behind a lock of a host that has announced its reboot since (SM_NOTIFY, answered).

Why it matters
    No application has the lock, so it is never unlocked: all others wait until the lock is dropped on the server.

Not flagged when
    Copies of one request are answered alike. The client refuses the late grant. It unlocks after all. The holder may
    be one that the capture does not show: it was taken elsewhere than at the server, began later, lacks packets, shows
    one client only, NFSv4 or encrypted connections. Then the waits are LCK011 or LCK016.

How to confirm
    On the server: cat /proc/locks names the inode; on the client no process has the file open.

How to fix
    Break the lock on the server. Then find what left it: statd that hangs and so a late answer (MON003), a takeover, a
    name by which statd does not recognise the client that rebooted (MON005).

References
    RFC 1813 appendix II; Linux fs/lockd/svclock.c.

Parameters
    unlock_s: no UNLOCK for so long: the owner does not have the lock any more
    refused_s: a range that is free is refused for so long
    notice_s: a lock is still refused so long after the notice of the reboot of its holder's host
"""

from __future__ import annotations

from collections.abc import Iterator

from nfsrpc.columns import Mask, number_of
from nfsrpc.facts.basic import Span, lacks, listed
from nfsrpc.facts.refusals import Refusal, Refusals
from nfsrpc.findings.advice import BREAK_LOCK, LOCK_IS_GONE
from nfsrpc.findings.finding import Answer, Evidence, Finding, Rule
from nfsrpc.protocols.numbers import Nlm4Stats
from nfsrpc.tables import Locks
from nfsrpc.wording import SECOND, capitalized, clock_time, duration, named, several

RULE = Rule(
    "LCK008",
    "orphan-lock",
    "warning",
    explains=("LCK010", "LCK011", "LCK016"),
    timed="always",
    log=("out-of-sync",),
    compares_holders=True,
    says_never=True,
    judges="lock requests with their range",
    passes="no lock was kept for an owner that no longer has it",
)


def check(
    locks: Locks,
    refusals: Refusals,
    span: Span | None,
    gaps: frozenset[frozenset[str]],
    *,
    unlock_s: float = 10.0,
    refused_s: float = 60.0,
    notice_s: float = 10.0,
) -> Iterator[Answer]:
    left = list(locks.where(left_behind(locks)).rows())
    seen = [row for row in left if not lacks(gaps, row)]
    orphans = [row for row in seen if span is not None and span.last - since(row) >= unlock_s * SECOND]
    for row in orphans:
        yield finding(row)
    least = {"holder rebooted": notice_s}
    kept = [refusal for refusal in refusals.found if refusal.lasted_s >= least.get(refusal.freed, refused_s)]
    files = listed(((refusal.row.server, refusal.row.fh), refusal) for refusal in kept)
    for _, of_file in sorted(files.items()):
        yield without_holder(of_file)
    if refusals.more:
        yield RULE.cannot_tell("too many lock requests are refused to look at all of them", lacks="room")
    if left and not orphans:
        yield RULE.cannot_tell(f"the capture ends, or has gaps, after {several(len(left), 'late grant')}")


def left_behind(locks: Locks) -> Mask:
    late = locks.valid("late_granted") & (locks["state"] == "held")
    after = ~locks.valid("unlock") | (locks["unlock"] < locks["late_granted"])
    refused = locks.valid("cancelled") & (locks["cancel_status"] == Nlm4Stats.DENIED) & ~locks.valid("unlock")
    mask: Mask = (late & after) | refused
    return mask


def since(row: Locks.Row) -> int:
    return row.late_granted or row.cancelled or 0


def finding(row: Locks.Row) -> Finding:
    how = "granted after its owner had been answered otherwise" if row.late_granted is not None else "not cancelled"
    return RULE.finding(
        host=row.server,
        title=f"{row.server} keeps a lock of {row.owner} ({row.client}) on {row.file} that no application has",
        explanation=(
            f"It was {how}, and no UNLOCK came after. The application had given up by then, so nothing releases the "
            f"lock before {row.client} reboots."
        ),
        clients=(row.client,),
        files=(row.file,),
        first=since(row),
        last=since(row),
        evidence=tuple(evidence(row)),
        remedy=BREAK_LOCK,
        verify=(LOCK_IS_GONE,),
    )


WITHOUT_HOLDER = "{server} refuses {asking} a lock on {file} without a visible holder"
TITLES = {
    "released": WITHOUT_HOLDER,
    "server rebooted": WITHOUT_HOLDER,
    "holder rebooted": "{server} keeps the lock of {holder} on {file}, whose host has rebooted",
}
KEPT = (
    "The server, or the file system below it, keeps a lock without an owner; or a process of the server itself, or "
    "another node of its cluster, holds it."
)
WHY = {
    "released": KEPT,
    "server rebooted": KEPT,
    "holder rebooted": "Its statd did not monitor that host, or does not recognise it by the notice.",
}
HOW = {
    "released": "{holder} held it alone, and released it at {since}",
    "server rebooted": "{server} rebooted at {since}, and has not granted it since",
    "holder rebooted": "{holder} held it; its host announced a reboot at {since}, and {server} answered",
}


def without_holder(refused: list[Refusal]) -> Finding:
    """The finding on one file whose range is refused without a holder."""
    longest = max(refused, key=lambda refusal: refusal.lasted_s)
    row, holder = longest.row, longest.holder
    clients = tuple(sorted({refusal.row.client for refusal in refused} | of_rebooted_holder(longest)))
    owner = f"{holder.owner} ({holder.client})" if holder else ""
    asking = named(sorted({refusal.row.client for refusal in refused}))
    how = HOW[longest.freed].format(holder=owner, server=row.server, since=clock_time(longest.since))
    return RULE.finding(
        certainty="likely",
        host=row.server,
        title=TITLES[longest.freed].format(server=row.server, asking=asking, holder=owner, file=row.file),
        explanation=(
            f"{capitalized(how)}. No other client was granted the range, and still {row.server} refused it to "
            f"{asking} for {duration(longest.lasted_s)}. {WHY[longest.freed]}"
        ),
        clients=clients,
        files=(row.file,),
        count=number_of([refusal.row for refusal in refused]),
        first=max(longest.first, longest.since),
        last=longest.last,
        evidence=tuple(evidence_of(longest)),
        remedy=BREAK_LOCK,
        verify=(LOCK_IS_GONE,),
        wait_s=longest.lasted_s,
    )


def of_rebooted_holder(refusal: Refusal) -> set[str]:
    """The rebooted host whose lock the server keeps."""
    return {refusal.holder.client} if refusal.holder is not None and refusal.freed == "holder rebooted" else set()


def evidence_of(refusal: Refusal) -> Iterator[Evidence]:
    row, holder = refusal.row, refusal.holder
    if holder is not None and holder.granted_frame is not None:
        yield Evidence(holder.granted_capture, holder.granted_frame, f"granted to {holder.owner} ({holder.client})")
    if holder is not None and holder.released_frame is not None:
        yield Evidence(holder.released_capture, holder.released_frame, "released")
    yield Evidence.of(row.requested_capture, row.requested_frame, f"LOCK of {row.owner} ({row.client})")
    if row.blocked_frame is not None:
        yield Evidence(row.blocked_capture, row.blocked_frame, "BLOCKED")
    if row.denied_frame is not None:
        yield Evidence(row.denied_capture, row.denied_frame, "DENIED")


def evidence(row: Locks.Row) -> Iterator[Evidence]:
    if row.requested_frame is not None:
        yield Evidence.of(row.requested_capture, row.requested_frame, f"LOCK of {row.owner}")
    if row.denied_frame is not None:
        yield Evidence(row.denied_capture, row.denied_frame, "denied")
    if row.cancelled_frame is not None:
        yield Evidence(row.cancelled_capture, row.cancelled_frame, "given up (CANCEL)")
    if row.late_granted_frame is not None:
        yield Evidence(row.late_granted_capture, row.late_granted_frame, "granted all the same")
