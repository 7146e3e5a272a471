"""A lock became free, and the one who waits for it does not get it.

Sees
    LOCK answered BLOCKED; its holder has released the lock; and 30 s or more after that neither a grant of the server
    nor a successful new LOCK.

Why it hurts
    The application hangs on a lock that nobody has.

Not flagged when
    Somebody else holds the range meanwhile (LCK011). The client gave up.

How to confirm
    On the server: cat /proc/locks: nobody holds the inode, or somebody that no client knows of.

How to fix
    By the finding that explains it: the grant does not reach the client (CBK001), is refused (CBK002) or not sent
    (CBK003).

References
    RFC 1813 appendix II; Linux fs/lockd/svclock.c, fs/lockd/clntlock.c.

Parameters
    free_s: the lock was free for so long, and nobody got it
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence

import numpy as np

from nfsrpc.columns import Table
from nfsrpc.facts.waiters import Waiter, proof
from nfsrpc.findings.advice import bare
from nfsrpc.findings.command import command
from nfsrpc.findings.finding import Answer, Finding, Rule
from nfsrpc.sessions.conflicts import NEVER
from nfsrpc.sessions.overlaps import others_held
from nfsrpc.wording import SECOND, seconds

RULE = Rule(
    "LCK003",
    "blocked-lock-never-granted",
    "error",
    explains=("LCK011",),
    timed="always",
)

BLOCKED = 3


def check(
    locks: Table, nlm: Table, waiters: tuple[Waiter, ...], gaps: frozenset[frozenset[str]], *, free_s: float = 30.0
) -> Iterator[Answer]:
    waiting = [waiter for waiter in waiters if waiter.row.state == "waiting" and waiter.row.blocked is not None]
    free = [waiter for waiter in waiting if free_for(waiter) >= free_s]
    left = [waiter for waiter, other in zip(free, taken(locks, free), strict=True) if not other]
    stuck = [waiter for waiter in left if frozenset((waiter.row.client, waiter.row.server)) not in gaps]
    blocked = times_blocked(nlm) if stuck else {}
    for waiter in stuck:
        yield finding(waiter, told_again(blocked, waiter))
    if stuck:
        return
    blind = [waiter for waiter in waiting if waiter.holder is None]
    if left:
        yield RULE.cannot_tell("the capture lost packets, among which the grant may have been")
    elif blind:
        yield RULE.cannot_tell("who holds the lock that others wait for is not in the capture")
    elif locks.valid("blocked").any():
        yield RULE.clear("no lock was free while somebody waited for it")
    elif len(locks):
        yield RULE.clear("no lock had to wait")
    else:
        yield RULE.cannot_tell("no lock requests in the capture")


def free_for(waiter: Waiter) -> float:
    """How long ago the one in its way had released."""
    released = waiter.holder.released if waiter.holder is not None else None
    return 0.0 if released is None else (waiter.end - released) / SECOND


def taken(locks: Table, waiting: Sequence[Waiter]) -> list[bool]:
    """For each whether another held the range after the one in its way."""
    if not waiting:
        return []
    holds = np.flatnonzero(locks.valid("granted") & (locks["state"] != "replaced"))
    released = np.where(locks.valid("released"), locks["released"], NEVER)
    numbers = np.array([waiter.number for waiter in waiting], dtype=np.int64)
    after = [waiter.holder.released if waiter.holder is not None else 0 for waiter in waiting]
    return others_held(locks, holds, released[holds], numbers, np.array(after, dtype=np.int64))


def times_blocked(nlm: Table) -> Mapping[int, int]:
    """When calls were sent that were answered BLOCKED, by exchange."""
    rows = nlm.where(nlm["status"] == BLOCKED)
    return dict(zip(rows["exchange"].tolist(), rows["time"].tolist(), strict=True))


def told_again(blocked: Mapping[int, int], waiter: Waiter) -> bool:
    """Whether the server says after the release that it is still taken: by somebody whom the capture does not show."""
    last = blocked.get(waiter.row.last_exchange)
    return waiter.holder is not None and last is not None and last > waiter.holder.released


def finding(waiter: Waiter, again: bool) -> Finding:
    row, idle = waiter.row, free_for(waiter)
    unseen = " It asked again, and was told to wait again: one whom no capture shows may hold it." if again else ""
    return RULE.finding(
        certainty="likely" if again else "certain",
        host=row.server,
        title=f"{row.client} waits for a lock on {row.file} that has been free for {seconds(idle)}",
        explanation=(
            f"{row.owner} asked for it and was told to wait; its holder released it {seconds(idle)} before the end of "
            f"the capture, and {row.server} has granted it to nobody since.{unseen}"
        ),
        clients=(row.client,),
        files=(row.file,),
        first=waiter.start,
        last=waiter.end,
        evidence=tuple(proof(waiter)),
        remedy=(
            command(
                "cat /proc/locks; lslocks", on="the server {server}", note="does anybody hold it?", server=row.server
            ),
            command("rpcinfo -t {client} 100021", on="the server", note="can it call back?", client=bare(row.client)),
        ),
        wait_s=row.wait_s,
    )
