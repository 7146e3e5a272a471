"""Lock requests wait behind a lock that another client holds.

Sees
    LOCK answered BLOCKED, and how long it waited behind which holder, on which file; a warning from a minute on.

Why it matters
    This is what locks are for, unless the holder keeps one for too long. Applications wait in a queue.

Not flagged when
    The holder's host is silent (LCK010). A wait of less than 5 s is not reported; what a wait lasts after the range is
    free does not count (LCK003, CBK001). Clients that do not wait and retry by themselves are LCK016. Where a client
    that was answered BLOCKED once neither retries nor is granted the lock, and a capture whose clock cannot be compared
    shows the same two hosts (CAP007), it is likely.

How to confirm
    On the holder's host: lslocks; fuser -v FILE.

How to fix
    In the application that holds the lock for so long. Where the capture does not show the holder: capture on the
    server, or look at its /proc/locks.

References
    RFC 1813 appendix II; fcntl(2); flock(2).

Parameters
    wait_s: shorter waits are not reported
    long_s: a warning when a request waited for so long
    silence_s: a holder whose host is silent for so long is LCK010
"""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping
from itertools import groupby
from typing import NamedTuple

from nfsrpc.columns import number_of
from nfsrpc.facts.basic import lacks
from nfsrpc.facts.waiters import LastSeen, Waiter, held_by_others, proof, silent_s
from nfsrpc.findings.advice import who_holds, wire_of
from nfsrpc.findings.finding import Answer, Finding, Rule
from nfsrpc.tables import Locks
from nfsrpc.wording import duration, named, several

RULE = Rule(
    "LCK011",
    "lock-contention",
    "info",
    timed="always",
    names_holder=True,
    judges="lock requests with their range",
    passes="no lock had to wait for long",
)

UNSEEN = "a holder that this capture does not show"
LATER, PERHAPS_LATER = " and later holders", " and perhaps later holders"


def check(
    waiters: tuple[Waiter, ...],
    locks: Locks,
    last_seen_by_name: Mapping[str, LastSeen],
    gaps: frozenset[frozenset[str]],
    *,
    wait_s: float = 5.0,
    long_s: float = 60.0,
    silence_s: float = 75.0,
) -> Iterator[Answer]:
    blocked = [waiter for waiter in waiters if waiter.row.blocked is not None]
    free = [waiter for waiter in blocked if waiter.free_s > 0 and waiter.row.granted is None]
    followed = {waiter.number for waiter, others in zip(free, held_by_others(locks, free), strict=True) if others}
    waits = [ContendedWait(waiter, others_of(waiter, followed)) for waiter in blocked]
    waiting = [
        wait
        for wait in waits
        if wait.seconds >= wait_s and not is_gone(wait.waiter, last_seen_by_name, gaps, silence_s)
    ]
    for (server, file), group in groupby(sorted(waiting, key=file_of), key=file_of):
        yield finding(server, file, list(group), long_s)


class ContendedWait(NamedTuple):
    """A waiter, and the words for who held the range after the first holder, if anybody did or may have."""

    waiter: Waiter
    others: str

    @property
    def seconds(self) -> float:
        """The seconds of the wait in which the range was held: the rest has other causes (LCK003, CBK001)."""
        wait: float = self.waiter.row.wait_s or 0.0
        return wait if self.others else wait - max(0.0, self.waiter.unheld_s)


def others_of(waiter: Waiter, followed: Collection[int]) -> str:
    """Who held the range after the first holder; of a wait that has ended, only what is seen counts."""
    if waiter.number in followed:
        return LATER
    return PERHAPS_LATER if waiter.is_unseen and waiter.row.granted is None else ""


def file_of(wait: ContendedWait) -> tuple[str, str]:
    return wait.waiter.row.server, wait.waiter.row.file


def is_gone(
    waiter: Waiter, last_seen: Mapping[str, LastSeen], gaps: frozenset[frozenset[str]], silence_s: float
) -> bool:
    """Whether the holder's host is silent and never released the lock (LCK010), as long as captures show the host."""
    holder = waiter.holder
    return (
        holder is not None
        and not lacks(gaps, holder)
        and holder.released is None
        and waiter.row.granted is None
        and silent_s(last_seen, holder.client, min(waiter.end, waiter.seen_until)) >= silence_s
    )


def finding(server: str, file: str, waits: list[ContendedWait], long_s: float) -> Finding:
    worst = max(waits, key=lambda wait: wait.seconds)
    waiting, longest, wait = [each.waiter for each in waits], worst.waiter, worst.seconds
    number = number_of([waiter.row for waiter in waiting])
    holders = sorted({f"{waiter.holder.owner} ({waiter.holder.client})" for waiter in waiting if waiter.holder})
    clients = tuple(sorted({waiter.row.client for waiter in waiting}))
    holding = {waiter.holder.client for waiter in waiting if waiter.holder}
    others = next((words for words in (LATER, PERHAPS_LATER) if any(each.others == words for each in waits)), "")
    by_whom = f"{named(holders) if holders else UNSEEN}{others}"
    until = (
        ""
        if longest.row.granted or (longest.free_s and not worst.others)
        else ", and had not ended when the capture did"
    )
    return RULE.finding(
        severity="warning" if wait >= long_s else "info",
        says_never=longest.row.state == "waiting" and not longest.row.polls,
        host=next(iter(holding)) if len(holding) == 1 and not others else None,
        title=f"{several(number, 'lock')} on {file} waited up to {duration(wait)} behind {by_whom}",
        explanation=(
            f"{server} answered {named(clients)} with BLOCKED: the range is held by {by_whom}. The longest wait was "
            f"{duration(wait)}{until}."
        ),
        clients=clients,
        files=(file,),
        count=number,
        first=min(waiter.start for waiter in waiting),
        last=max(waiter.end for waiter in waiting),
        evidence=tuple(proof(longest)),
        remedy=(who_holds(server, holding),),
        needs=None if holders else wire_of(server),
        wait_s=wait,
    )
