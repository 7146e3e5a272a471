"""A server never calls its waiting clients back.

Sees
    A client waits (BLOCKED), the last holder unlocks, and the server sends no GRANTED or GRANTED_MSG for 10 s or more,
    nor asks for the client's lockd; the waiter gets the lock when it retries.

Why it matters
    Each handover of a lock takes up to 30 s, the time after which a Linux client retries.

Not flagged when
    The server tries and fails (CBK001). Others had the lock in between. The capture would not show calls of the server
    to the waiter, or a retry was answered BLOCKED after the release, so that a holder is not captured: then it cannot
    be told. Nor where addresses are translated: the same lock is granted to another address, or a host that is neither
    client nor server in the capture looks up the lockd of another such host meanwhile.

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

from collections.abc import Iterator

from nfsrpc.columns import number_of
from nfsrpc.facts.basic import listed
from nfsrpc.facts.retried_grants import RetriedGrant
from nfsrpc.facts.waiters import Waiter, proof
from nfsrpc.findings.advice import wire_of
from nfsrpc.findings.command import command
from nfsrpc.findings.finding import Answer, Finding, Rule
from nfsrpc.wording import duration, named, several

RULE = Rule(
    "CBK003",
    "grant-callback-never-sent",
    "warning",
    explains=("LCK003", "LCK011"),
    timed="always",
    judges="whole lock requests",
    passes="no lock was released for a client that had waited for long",
)


def check(
    waiters: tuple[Waiter, ...],
    retried_grants: tuple[RetriedGrant, ...],
    with_portmappers: frozenset[str],
    *,
    never_s: float = 10.0,
) -> Iterator[Answer]:
    ignored = [grant for grant in retried_grants if grant.free_s >= never_s and not grant.is_unseen]
    for server, mine in sorted(listed((grant.waiter.row.server, grant) for grant in ignored).items()):
        yield finding(server, mine, server in with_portmappers)
    unseen = [grant.waiter.row for grant in retried_grants if grant.is_unseen]
    if ignored:
        return
    if unseen:
        why = f"when the lock that {unseen[0].client} waited for was released, and which client was called back"
        yield RULE.cannot_tell(f"{why}, is not captured", wire_of(unseen[0].server))
    elif any(waiter.row.callback is not None for waiter in waiters):
        yield RULE.clear("the clients that waited were called back")


def finding(server: str, ignored: list[RetriedGrant], unfiltered: bool) -> Finding:
    """The finding on one server; `unfiltered`: the capture would show how it looks up its clients' lockd."""
    worst = max(ignored, key=lambda grant: grant.free_s)
    waiters = [grant.waiter for grant in ignored]
    number = number_of([waiter.row for waiter in waiters])
    clients = tuple(sorted({waiter.row.client for waiter in waiters}))
    return RULE.finding(
        certainty="certain" if unfiltered else "likely",
        host=server,
        title=f"{server} does not call waiting clients back: locks stay unused for up to {duration(worst.free_s)}",
        explanation=(
            f"{several(number, 'lock')} for which {named(clients)} waited became free, and {server} sent no "
            "GRANTED to the waiter and did not ask for its lockd. The lock was granted when the client retried."
        ),
        clients=clients,
        files=tuple(sorted({waiter.row.file for waiter in waiters})),
        count=number,
        first=min(waiter.start for waiter in waiters),
        last=max(waiter.end for waiter in waiters),
        evidence=tuple(proof(worst.waiter)),
        remedy=(
            command(
                "uname -r",
                on="{server}",
                note="Linux 6.12.95 and 6.12.107 never call back; update the kernel",
                server=server,
            ),
        ),
        wait_s=max(waiter.row.wait_s or 0.0 for waiter in waiters),
    )
