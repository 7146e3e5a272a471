"""A server never calls its waiting clients back.

Sees
    A client waits (BLOCKED), the last holder unlocks, and the server sends no GRANTED or GRANTED_MSG for 10 s or more,
    nor asks for the client's lockd; the waiter gets the lock when it retries.

Why it matters
    Each handover of a lock takes up to 30 s, the time after which a Linux client retries.

Not flagged when
    The server tries and fails (CBK001). Others had the lock in between. The capture would not show calls of the server
    to the waiter, or a retry was answered BLOCKED after the release, so that a holder is not captured: then it cannot
    be told.

How to confirm
    On the server, a capture of all that it sends to the waiting client while the holder unlocks.

How to fix
    A defect of the server's kernel (seen with Linux 6.12.95 and 6.12.107): update it.

References
    RFC 1813 appendix II; Linux fs/lockd/svclock.c (nlmsvc_grant_blocked).

Parameters
    never_s: the lock was free for so long, and no callback was sent
"""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Iterator

from nfsrpc.columns import number_of
from nfsrpc.facts.basic import Roles, listed, pairs_of
from nfsrpc.facts.callbacks import CallbackFailure
from nfsrpc.facts.waiters import Waiter, proof
from nfsrpc.findings.advice import wire_of
from nfsrpc.findings.command import command
from nfsrpc.findings.finding import Answer, Finding, Rule
from nfsrpc.protocols.numbers import Prog
from nfsrpc.tables import Flows, Locks, Registrations
from nfsrpc.wording import SECOND, duration, named, several

RULE = Rule(
    "CBK003",
    "grant-callback-never-sent",
    "warning",
    explains=("LCK003", "LCK011"),
    timed="always",
    judges="whole lock requests",
    passes="no lock was released for a client that had waited for long",
)

RETRY_S = 35.0  # a Linux client that waits asks again after 30.7 s: a lock that is free for longer is granted then


def check(
    waiters: tuple[Waiter, ...],
    locks: Locks,
    failed_callbacks: tuple[CallbackFailure, ...],
    connections: Flows,
    registrations: Registrations,
    roles: Roles,
    gaps: frozenset[frozenset[str]],
    with_portmappers: frozenset[str],
    *,
    never_s: float = 10.0,
) -> Iterator[Answer]:
    contacted = {(failure.server, failure.client) for failure in failed_callbacks} | lockd_lookups(registrations, roles)
    contacted |= pairs_of(connections.where((connections["syn"] > 0) & (connections["synack"] == 0)))
    polled = [waiter for waiter in waiters if waiter.row.blocked is not None and waiter.row.granted_by == "poll"]
    called = {lock_of(waiter) for waiter in waiters if is_called(waiter, contacted)}
    free = free_for(polled, locks)
    left = [waiter for waiter in polled if free[waiter.number] >= never_s and lock_of(waiter) not in called]
    ignored = [waiter for waiter in left if not is_unseen(waiter, free, gaps)]
    for server, mine in sorted(listed((waiter.row.server, waiter) for waiter in ignored).items()):
        yield finding(server, mine, free, server in with_portmappers)
    if ignored:
        return
    blind = [waiter for waiter in polled if is_unseen(waiter, free, gaps) and lock_of(waiter) not in called]
    if blind:
        server = blind[0].row.server
        why = f"when the lock that {blind[0].row.client} waited for was released, and which client was called back"
        yield RULE.cannot_tell(f"{why}, is not captured", wire_of(server))
    elif any(waiter.row.callback is not None for waiter in waiters):
        yield RULE.clear("the clients that waited were called back")


def free_for(polled: list[Waiter], locks: Locks) -> dict[int, float]:
    """Seconds for which each waiter's lock was free before it was granted, by number; 0 without a release.

    The lock may have had other holders after the one for which it was first refused.
    """
    if not polled:
        return {}
    files = {(waiter.row.server, waiter.row.fh) for waiter in polled}
    ended = locks.where(locks.valid("released"))
    ends = zip(ended["server"].tolist(), ended["fh"].tolist(), ended["released"].tolist(), strict=True)
    releases = listed(((server, fh), time) for server, fh, time in ends if (server, fh) in files)
    for times in releases.values():
        times.sort()
    found = {}
    for waiter in polled:
        times = releases.get((waiter.row.server, waiter.row.fh), [])
        at = bisect_right(times, waiter.row.granted)
        found[waiter.number] = (
            (waiter.row.granted - times[at - 1]) / SECOND if at and waiter.holder is not None else 0.0
        )
    return found


def is_unseen(waiter: Waiter, free: dict[int, float], gaps: frozenset[frozenset[str]]) -> bool:
    """Whether the last holder, or what the server sent to the waiter, may be missing from the capture."""
    if waiter.holder is None or frozenset((waiter.row.client, waiter.row.server)) in gaps:
        return True
    return bool(waiter.row.polls > 1 and free[waiter.number] > RETRY_S)


def lockd_lookups(registrations: Registrations, roles: Roles) -> set[tuple[str, str]]:
    """Pairs of a server that looked up a client's lockd, and that client."""
    lookups = registrations.where(registrations["prog"] == Prog.NLM)
    pairs = {(row.asker, row.host) for row in lookups.rows()}
    found = ((roles.calling(asker, client), client) for asker, client in pairs)
    return {(server, client) for server, client in found if server is not None}


def is_called(waiter: Waiter, contacted: set[tuple[str, str]]) -> bool:
    return waiter.row.callback is not None or (waiter.row.server, waiter.row.client) in contacted


def lock_of(waiter: Waiter) -> tuple[str, str, str]:
    """Server, owner and file of a wait, without the address: captures of both sides of a NAT show one waiter at two."""
    return waiter.row.server, waiter.row.owner, waiter.row.file


def finding(server: str, ignored: list[Waiter], free: dict[int, float], unfiltered: bool) -> Finding:
    """The finding on one server; `unfiltered`: the capture would show how it looks up its clients' lockd."""
    number = number_of([waiter.row for waiter in ignored])
    worst = max(ignored, key=lambda waiter: free[waiter.number])
    clients = tuple(sorted({waiter.row.client for waiter in ignored}))
    return RULE.finding(
        certainty="certain" if unfiltered else "likely",
        host=server,
        title=(
            f"{server} does not call waiting clients back: locks stay unused for up to {duration(free[worst.number])}"
        ),
        explanation=(
            f"{several(number, 'lock')} for which {named(clients)} waited became free, and {server} sent no "
            "GRANTED to the waiter and did not ask for its lockd. The lock was granted when the client retried."
        ),
        clients=clients,
        files=tuple(sorted({waiter.row.file for waiter in ignored})),
        count=number,
        first=min(waiter.start for waiter in ignored),
        last=max(waiter.end for waiter in ignored),
        evidence=tuple(proof(worst)),
        remedy=(
            command(
                "uname -r",
                on="{server}",
                note="Linux 6.12.95 and 6.12.107 never call back; update the kernel",
                server=server,
            ),
        ),
        wait_s=max(waiter.row.wait_s or 0.0 for waiter in ignored),
    )
