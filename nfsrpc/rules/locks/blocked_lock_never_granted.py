"""A lock became free, and the client that waits for it does not get it.

Sees
    LOCK answered BLOCKED; its holder has released the lock; and 30 s or more after that neither a grant of the server
    nor a successful new LOCK.

Why it matters
    The application hangs on a lock that no client has.

Not flagged when
    Another owner holds the range meanwhile (LCK011). The client gave up, or unlocked since. The capture lost packets
    between the two, shows a grant that reached the client (perhaps from another address of the server) and not how it
    answered that server, does not show the holder, or is that of the client alone for so long: cannot tell.

How to confirm
    On the server: cat /proc/locks: no entry for the inode, or a lock is left there that no client has.

How to fix
    By the finding that explains it: the grant does not reach the client (CBK001), is refused (CBK002) or not sent
    (CBK003).

References
    RFC 1813 appendix II; Linux fs/lockd/svclock.c, fs/lockd/clntlock.c.

Parameters
    free_s: the lock was free for so long, and was not granted
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping

from nfsrpc.facts.basic import lacks
from nfsrpc.facts.callbacks import delivered
from nfsrpc.facts.waiters import Waiter, held_by_others, proof
from nfsrpc.findings.advice import bare
from nfsrpc.findings.command import command
from nfsrpc.findings.finding import Answer, Finding, Rule
from nfsrpc.protocols.numbers import Nlm4Stats
from nfsrpc.tables import Calls, Locks
from nfsrpc.wording import duration

RULE = Rule(
    "LCK003",
    "blocked-lock-never-granted",
    "error",
    explains=("LCK011",),
    timed="always",
    compares_holders=True,
    says_never=True,
    judges="lock requests with their range",
    passes="no lock was free while a client waited for it",
)


def check(
    locks: Locks, nlm: Calls, waiters: tuple[Waiter, ...], gaps: frozenset[frozenset[str]], *, free_s: float = 30.0
) -> Iterator[Answer]:
    waiting = [waiter for waiter in waiters if waiter.row.state == "waiting" and waiter.row.blocked is not None]
    free = [waiter for waiter in waiting if waiter.free_s >= free_s]
    blocked = times_blocked(nlm) if free else {}
    free = [waiter for waiter in free if not is_later(waiter.row.unlock, waiter, blocked)]
    left = [waiter for waiter, other in zip(free, held_by_others(locks, free), strict=True) if not other]
    sure = [waiter for waiter in left if not lacks(gaps, waiter.row)]
    reached = set(delivered(nlm)["exchange"].tolist()) if sure else set()
    stuck = [waiter for waiter in sure if not is_later(grant_without_answer(waiter.row, reached), waiter, blocked)]
    for waiter in stuck:
        yield finding(waiter, blocked_again(blocked, waiter))
    if sure and not stuck:
        server = sure[0].row.server
        yield RULE.cannot_tell(
            f"a grant reached the client that waits, and no GRANTED_RES of it to {server} is captured"
        )
    elif left and not stuck:
        yield RULE.cannot_tell("the capture lost packets, among which the grant may have been")
    elif any(waiter.holder is None for waiter in waiting) and not stuck:
        yield RULE.cannot_tell("who holds the lock that others wait for is not in the capture")
    elif any(waiter.is_unseen for waiter in waiting) and not stuck:
        yield RULE.cannot_tell("no capture that shows the holder with its server goes on until the end of the wait")


def times_blocked(nlm: Calls) -> Mapping[int, int]:
    """The times of calls that were answered BLOCKED, by exchange."""
    rows = nlm.where(nlm["status"] == Nlm4Stats.BLOCKED)
    return dict(zip(rows["exchange"].tolist(), rows["time"].tolist(), strict=True))


def last_blocked(blocked: Mapping[int, int], waiter: Waiter) -> int | None:
    """When the waiter's last LOCK was sent, if it was answered BLOCKED."""
    exchange = waiter.row.last_exchange
    return None if exchange is None else blocked.get(exchange)


def is_later(time: int | None, waiter: Waiter, blocked: Mapping[int, int]) -> bool:
    """Whether something happened after the waiter's last LOCK: a client that waits goes on to retry."""
    last = last_blocked(blocked, waiter)
    return time is not None and last is not None and time > last


def grant_without_answer(row: Locks.Row, reached: set[int]) -> int | None:
    """When the waiter was called back by a grant that reached it, and to which no result is captured."""
    return row.callback if row.callback_exchange in reached and row.callback_status is None else None


def blocked_again(blocked: Mapping[int, int], waiter: Waiter) -> bool:
    """Whether the server answers BLOCKED after the release: another holder, not in the capture, may have the lock."""
    last = last_blocked(blocked, waiter)
    released = None if waiter.holder is None else waiter.holder.released
    return last is not None and released is not None and last > released


def finding(waiter: Waiter, again: bool) -> Finding:
    row, idle = waiter.row, waiter.free_s
    unseen = " A later LOCK was answered BLOCKED again: a holder that no capture shows may have it." if again else ""
    return RULE.finding(
        certainty="likely" if again else "certain",
        host=row.server,
        title=f"{row.client} waits for a lock on {row.file} that has been free for {duration(idle)}",
        explanation=(
            f"The LOCK of {row.owner} was answered BLOCKED; the holder released the range {duration(idle)} before the "
            f"end of the capture, and {row.server} has not granted it since.{unseen}"
        ),
        clients=(row.client,),
        files=(row.file,),
        first=waiter.start,
        last=waiter.end,
        evidence=tuple(proof(waiter)),
        remedy=(
            command(
                "cat /proc/locks; lslocks",
                on="the server {server}",
                note="a Linux kernel server: is it held?",
                server=bare(row.server),
            ),
            command("rpcinfo -t {client} 100021", on="the server", note="can it call back?", client=bare(row.client)),
        ),
        wait_s=row.wait_s,
    )
