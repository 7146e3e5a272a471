"""Lock requests wait behind a lock that another client holds.

Sees
    LOCK answered BLOCKED, and how long it waited behind which holder, on which file; a warning from a minute on.

Why it matters
    This is what locks are for, unless the holder keeps one for too long. Applications wait in a queue.

Not flagged when
    The holder's host is silent (LCK010). A wait of less than 5 s is not reported. Clients that do not wait and retry by
    themselves are LCK016.

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

from collections.abc import Iterator, Mapping
from itertools import groupby

from nfsrpc.facts.waiters import LastSeen, Waiter, proof, silent_s
from nfsrpc.findings.advice import who_holds, wire_of
from nfsrpc.findings.finding import Answer, Finding, Rule
from nfsrpc.wording import named, seconds, several

RULE = Rule(
    "LCK011",
    "lock-contention",
    "info",
    timed="always",
    judges="lock requests with their range",
    passes="no lock had to wait for long",
)

NOBODY = "a holder that this capture does not show"


def check(
    waiters: tuple[Waiter, ...],
    last_seen: Mapping[str, LastSeen],
    *,
    wait_s: float = 5.0,
    long_s: float = 60.0,
    silence_s: float = 75.0,
) -> Iterator[Answer]:
    waiting = [
        waiter
        for waiter in waiters
        if waiter.row.blocked is not None
        and (waiter.row.wait_s or 0) >= wait_s
        and not (waiter.holder and is_gone(waiter, last_seen, silence_s))
    ]
    for (server, file), group in groupby(sorted(waiting, key=place), key=place):
        yield finding(server, file, list(group), long_s)


def place(waiter: Waiter) -> tuple[str, str]:
    return waiter.row.server, waiter.row.file


def is_gone(waiter: Waiter, last_seen: Mapping[str, LastSeen], silence_s: float) -> bool:
    """Whether the holder's host is silent and the lock was never released."""
    holder = waiter.holder
    return (
        holder is not None
        and holder.released is None
        and waiter.row.granted is None
        and silent_s(last_seen, holder.client, waiter.end) >= silence_s
    )


def finding(server: str, file: str, waiting: list[Waiter], long_s: float) -> Finding:
    longest = max(waiting, key=lambda waiter: waiter.row.wait_s)
    wait = longest.row.wait_s
    holders = sorted({f"{waiter.holder.owner} ({waiter.holder.client})" for waiter in waiting if waiter.holder})
    clients = tuple(sorted({waiter.row.client for waiter in waiting}))
    holding = {waiter.holder.client for waiter in waiting if waiter.holder}
    by_whom = named(holders) if holders else NOBODY
    return RULE.finding(
        severity="warning" if wait >= long_s else "info",
        host=next(iter(holding)) if len(holding) == 1 else None,
        title=f"{several(len(waiting), 'lock')} on {file} waited up to {seconds(wait)} behind {by_whom}",
        explanation=(
            f"{server} answered {named(clients)} with BLOCKED: the range is held by {by_whom}. The longest wait was "
            f"{seconds(wait)}{'' if longest.row.granted else ', and had not ended when the capture did'}."
        ),
        clients=clients,
        files=(file,),
        count=len(waiting),
        first=min(waiter.start for waiter in waiting),
        last=max(waiter.end for waiter in waiting),
        evidence=tuple(proof(longest)),
        remedy=(who_holds(server, holding),),
        needs=None if holders else wire_of(server),
        wait_s=wait,
    )
