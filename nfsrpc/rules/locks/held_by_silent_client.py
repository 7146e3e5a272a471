"""A lock is held by a client host that is silent: dead, or cut off.

Sees
    Requests blocked or denied for a minute or more by a lock whose holder's host sends nothing any more, not even the
    keepalives of its connections.

Why it matters
    A server drops the lock of a client that died only when that client boots and announces it (SM_NOTIFY). A client
    that never comes back holds the lock for ever; all others wait.

Not flagged when
    The holder's host still sends, from whichever address (hosts of one name that send at the same time are one), or
    closed its last connection itself (LCK011). The capture lost packets between the
    holder and the server, or no capture that shows both goes on for as long.

How to confirm
    ping the holder; on the server: cat /proc/locks.

How to fix
    Boot the client: its sm-notify sends a reboot notice (SM_NOTIFY), and the server drops its locks. If the client does
    not boot again: drop its lock on the server.

References
    X/Open C702 chapter 11; Linux fs/lockd/host.c.

Parameters
    wait_s: other clients have waited for so long
    silence_s: the holder's host has sent nothing for so long
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping

import numpy as np

from nfsrpc.columns import NAT, NULLS, distinct, number_of
from nfsrpc.facts.basic import lacks
from nfsrpc.facts.coverage import Coverage
from nfsrpc.facts.waiters import LastSeen, rows_of, silent_s
from nfsrpc.findings.advice import BREAK_LOCK, LOCK_IS_GONE, bare
from nfsrpc.findings.command import command, remark
from nfsrpc.findings.finding import Answer, Evidence, Finding, Rule
from nfsrpc.sessions.grouping import Parts
from nfsrpc.tables import Locks
from nfsrpc.wording import SECOND, clock_time, duration, named, several

RULE = Rule(
    "LCK010",
    "held-by-silent-client",
    "warning",
    explains=("LCK011", "LCK016", "CBK001", "NET001", "NET003"),
    timed="always",
    compares_holders=True,
    says_never=True,
    judges="lock requests with their range",
    passes="the hosts of the holders that others waited for were alive, or the waits were short",
)


def check(
    locks: Locks,
    last_seen_by_name: Mapping[str, LastSeen],
    coverage: Coverage,
    gaps: frozenset[frozenset[str]],
    *,
    wait_s: float = 60.0,
    silence_s: float = 75.0,
) -> Iterator[Answer]:
    stood_behind = np.flatnonzero(locks["held_by"] != NULLS["u32?"])
    holders = rows_of(locks, distinct(locks["held_by"][stood_behind]))
    behind = Parts(locks.take(stood_behind), "held_by")
    seen_until, unsure, lost = coverage.ends(locks), False, False
    for number, holder in holders.items():
        if holder.state not in ("held", "releasing"):
            continue
        victims = [row for row in behind[number].rows() if row.requested is not None]
        since = [row.requested for row in victims if row.requested is not None]
        waits = zip(since, victims, strict=True)
        ends = [start + round((row.wait_s or 0) * SECOND) for start, row in waits if not row.granted]
        if not ends or max(ends) - min(since) < wait_s * SECOND:
            continue
        if lacks(gaps, holder):
            lost = True
            continue
        until = min(max(ends), int(seen_until[number]))
        if until - min(since) >= wait_s * SECOND and silent_s(last_seen_by_name, holder.client, until) >= silence_s:
            yield finding(holder, victims, until, last_seen_by_name[holder.client].time)
        else:
            unsure |= until < max(ends)
    if unsure:
        yield RULE.cannot_tell("no capture that shows the holder with its server goes on while others wait")
    if lost:
        yield RULE.cannot_tell("the capture lost packets, among which the UNLOCK of a holder may have been")
    if not len(stood_behind) and locks.valid("blocked").any():
        yield RULE.cannot_tell("the holders of the locks that others wait for are not in the capture")


def finding(holder: Locks.Row, victims: list[Locks.Row], until: int, last: int) -> Finding:
    clients, number = tuple(sorted({row.client for row in victims})), number_of(victims)
    whose = named(clients)
    first = min(row.requested or NAT for row in victims)
    since = duration((until - last) / SECOND)
    refused = [row for row in victims if row.blocked_frame is not None or row.denied_frame is not None][-1:]
    return RULE.finding(
        host=holder.client,
        title=f"{holder.client} holds a lock on {holder.file} and is silent",
        explanation=(
            f"{several(number, f'request of {whose} was', f'requests of {whose} were')} blocked or denied by the "
            f"lock of {holder.owner}. Its host {holder.client} sent its last frame at {clock_time(last)}, {since} "
            f"before the end of the wait. The server {holder.server} keeps the lock until that host boots and "
            "announces it (SM_NOTIFY)."
        ),
        clients=clients,
        files=(holder.file,),
        count=number,
        first=first if first != NAT else None,
        last=until,
        evidence=(
            *(
                (
                    Evidence(
                        holder.granted_capture, holder.granted_frame, f"granted to {holder.owner} ({holder.client})"
                    ),
                )
                if holder.granted_frame is not None
                else ()
            ),
            *(
                Evidence.of(row.requested_capture, row.requested_frame, f"LOCK of {row.owner} ({row.client})")
                for row in refused
            ),
            *(
                Evidence(row.blocked_capture, row.blocked_frame, "BLOCKED")
                for row in refused
                if row.blocked_frame is not None
            ),
        ),
        remedy=(
            command(
                "ping -c 3 {client}",
                on="{server}",
                note="does it still answer?",
                client=bare(holder.client),
                server=bare(holder.server),
            ),
            remark("Boot it: its sm-notify sends a reboot notice, and the lock is dropped. If it does not boot again:"),
            *BREAK_LOCK,
        ),
        verify=(LOCK_IS_GONE,),
        wait_s=longest_wait(victims),
    )


def longest_wait(victims: list[Locks.Row]) -> float:
    """The longest wait of a client in seconds; one that polls waits from its first request to the last reply."""
    stretches: dict[str, tuple[int, int]] = {}
    for row in victims:
        requested = row.requested or 0
        first, last = stretches.get(row.client, (requested, requested))
        end = requested + round((row.wait_s or 0.0) * SECOND)
        stretches[row.client] = min(first, requested), max(last, end)
    return max((last - first) / SECOND for first, last in stretches.values())
