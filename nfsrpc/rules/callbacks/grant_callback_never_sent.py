"""A server never calls its waiting clients back.

Sees
    A client waits (BLOCKED), the holder unlocks, and the server sends no GRANTED or GRANTED_MSG for 10 s or more, nor
    looks the client up; the waiter gets the lock by asking again.

Why it hurts
    Each handover of a lock costs up to 30 s, the time after which a Linux client asks again by itself.

Not flagged when
    The server tries and fails (CBK001). The capture would not show calls of the server to the waiter: then it cannot be
    told.

How to confirm
    On the server, a capture of all that it sends to the waiting client while the holder unlocks.

How to fix
    A defect of the server's kernel (seen with Linux 6.12.95 and 6.12.107): update it.

References
    RFC 1813 appendix II; Linux fs/lockd/svclock.c (nlmsvc_grant_blocked).

Parameters
    never_s: the lock was free for so long, and nobody was called
"""

from __future__ import annotations

from collections.abc import Iterator

from nfsrpc.columns import Table
from nfsrpc.facts.attempts import Attempt
from nfsrpc.facts.basic import NLM, Roles, listed
from nfsrpc.facts.callbacks import Failure
from nfsrpc.facts.waiters import Waiter, proof
from nfsrpc.findings.advice import wire_of
from nfsrpc.findings.command import command
from nfsrpc.findings.finding import Answer, Finding, Rule
from nfsrpc.wording import SECOND, named, seconds, several

RULE = Rule(
    "CBK003",
    "grant-callback-never-sent",
    "warning",
    explains=("LCK003", "LCK011"),
    timed="always",
    judges="lock requests",
    passes="no lock was released for a client that had waited for long",
)


def check(
    waiters: tuple[Waiter, ...],
    failed_callbacks: tuple[Failure, ...],
    attempts: tuple[Attempt, ...],
    registrations: Table,
    roles: Roles,
    gaps: frozenset[frozenset[str]],
    with_portmappers: frozenset[str],
    *,
    never_s: float = 10.0,
) -> Iterator[Answer]:
    tried = {(failure.server, failure.client) for failure in failed_callbacks} | looked_up(registrations, roles)
    tried |= {(attempt.client, attempt.server) for attempt in attempts}
    polled = [waiter for waiter in waiters if waiter.row.blocked is not None and waiter.row.granted_by == "poll"]
    called = {wanted(waiter) for waiter in waiters if is_called(waiter, tried)}
    left = [waiter for waiter in polled if idle(waiter) >= never_s and wanted(waiter) not in called]
    ignored = [waiter for waiter in left if not is_unseen(waiter, gaps)]
    for server, mine in sorted(listed((waiter.row.server, waiter) for waiter in ignored).items()):
        yield finding(server, mine, server in with_portmappers)
    if ignored:
        return
    blind = [waiter for waiter in polled if is_unseen(waiter, gaps) and wanted(waiter) not in called]
    if blind:
        server = blind[0].row.server
        why = f"when the lock that {blind[0].row.client} waited for was released, and who was told, is not captured"
        yield RULE.cannot_tell(why, wire_of(server))
    elif any(waiter.row.callback is not None for waiter in waiters):
        yield RULE.clear("those who waited were called back")


def is_unseen(waiter: Waiter, gaps: frozenset[frozenset[str]]) -> bool:
    """Whether the release, or what the server sent to the waiter, may be missing from the capture."""
    return waiter.holder is None or frozenset((waiter.row.client, waiter.row.server)) in gaps


def looked_up(registrations: Table, roles: Roles) -> set[tuple[str, str]]:
    """Servers that asked their clients for their lockd."""
    asked = registrations.where(registrations["prog"] == NLM)
    pairs = set(zip(asked["asker"].tolist(), asked["host"].tolist(), strict=True))
    found = ((roles.calling(asker, client), client) for asker, client in pairs)
    return {(server, client) for server, client in found if server is not None}


def is_called(waiter: Waiter, tried: set[tuple[str, str]]) -> bool:
    return waiter.row.callback is not None or (waiter.row.server, waiter.row.client) in tried


def wanted(waiter: Waiter) -> tuple[str, str, str]:
    """Who waits for what, without the address: captures of both sides of a NAT show one waiter at two."""
    return waiter.row.server, waiter.row.owner, waiter.row.file


def idle(waiter: Waiter) -> float:
    """How long the lock was free before the waiter had it."""
    released = waiter.holder.released if waiter.holder is not None else None
    return 0.0 if released is None else (waiter.end - released) / SECOND


def finding(server: str, ignored: list[Waiter], unfiltered: bool) -> Finding:
    """`unfiltered`: the capture would show how the server looks its client up; one of lockd's port alone does not."""
    worst = max(ignored, key=idle)
    clients = tuple(sorted({waiter.row.client for waiter in ignored}))
    return RULE.finding(
        certainty="certain" if unfiltered else "likely",
        host=server,
        title=f"{server} does not call waiting clients back: locks stay unused for up to {seconds(idle(worst))}",
        explanation=(
            f"{several(len(ignored), 'lock')} for which {named(clients)} waited became free, and {server} told nobody: "
            "no grant and no look-up of the client's lockd. The waiter got the lock when it asked again by itself."
        ),
        clients=clients,
        files=tuple(sorted({waiter.row.file for waiter in ignored})),
        count=len(ignored),
        first=min(waiter.start for waiter in ignored),
        last=max(waiter.end for waiter in ignored),
        evidence=tuple(proof(worst)),
        remedy=(
            command(
                "uname -r",
                on="the server",
                note="Linux 6.12.95 and 6.12.107 are known for it; update the kernel",
            ),
        ),
        wait_s=max(waiter.row.wait_s or 0.0 for waiter in ignored),
    )
