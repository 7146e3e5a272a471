"""A server cannot reach its waiting client to tell it that the lock is granted.

Sees
    A client waits for a lock (BLOCKED). The server's GRANTED or GRANTED_MSG to it stays unanswered, or before that its
    question for the client's lockd (100021) or its SYN to the client's port. The waiter gets the lock only when it asks
    again by itself.

Why it hurts
    The lock is free, and nobody uses it: Linux clients ask again every 30 s, so each handover may cost that long. The
    server says "lockd: server CLIENT not responding, timed out".

Not flagged when
    The callback arrives in the end, at once after a lost packet. The client that waits has died (LCK010). Nothing shows
    that the client still waited, and the capture lost packets, or the server had results to bring (LOCK_MSG and the
    like are answered by calls, too): then it cannot be told.

How to confirm
    From the server: rpcinfo -t CLIENT 100021; nc -vz CLIENT PORT.

How to fix
    On the client: open the port of its lockd (and 111) for the server, and fix it (nfs.conf: [lockd] port=, udp-port=).
    With NAT between them the server's calls have no way in: no NAT for NFSv3 locks.

References
    RFC 1813 appendix II (NLM_GRANTED); X/Open C702 chapter 10; Linux fs/lockd/svclock.c.

Parameters
    at_once_s: a grant that arrives so soon after a failed step made up for it
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping

from nfsrpc.columns import Table, isin
from nfsrpc.facts.basic import CANCEL_MSG, GRANTS, LOCK_MSG, NLM, TEST_MSG, UNLOCK_MSG, Roles, listed, pairs_of
from nfsrpc.facts.callbacks import Failure
from nfsrpc.facts.waiters import LastSeen, Waiter
from nfsrpc.findings.advice import answers, wire_of
from nfsrpc.findings.command import remark
from nfsrpc.findings.finding import Answer, Evidence, Finding, Rule
from nfsrpc.sessions.stretches import Stretches
from nfsrpc.wording import NAMED, SECOND, seconds, several

RULE = Rule(
    "CBK001",
    "grant-callback-unreachable",
    "error",
    explains=("NET001", "NET002", "NET003", "REG003", "REG005", "LCK003", "LCK010", "LCK011", "CBK003", "RPC005"),
    log=("callback-silent",),
)


def check(
    failed_callbacks: tuple[Failure, ...],
    waiters: tuple[Waiter, ...],
    nlm: Table,
    roles: Roles,
    last_seen: Mapping[str, LastSeen],
    gaps: frozenset[frozenset[str]],
    *,
    at_once_s: float = 5.0,
) -> Iterator[Answer]:
    accused = doubtful = False
    delivered = nlm.where(isin(nlm["proc"], GRANTS) & (nlm["state"] == "answered"))
    failed = listed(((failure.server, failure.client), failure) for failure in failed_callbacks)
    waiting = listed(((waiter.row.server, waiter.row.client), waiter) for waiter in waiters)
    tried = Stretches.of(((known.server, known.client), known.first, known.last) for known in failed_callbacks)
    results, grants = results_brought(nlm), Stretches((delivered["client"], delivered["server"]), delivered["time"])
    for (server, client), failures in sorted(failed.items()):
        hurt = [waiter for waiter in waiting.get((server, client), ()) if suffers(waiter, tried)]
        if frozenset((server, client)) in gaps or (server, client) in results:
            doubtful |= bool(hurt)
            hurt = [waiter for waiter in hurt if still_waits(waiter, failures[0].first)]
        # A grant that got through at once all the same: one packet was lost.
        first = failures[0].first
        if not hurt or grants.meet((server, client), first, first + at_once_s * SECOND):
            continue
        accused = True
        yield finding(server, client, failures, hurt, last_seen)
    if accused:
        return
    if doubtful:
        yield RULE.cannot_tell("whether those whom the server tried to call still waited is not in the capture")
    elif len(delivered):
        yield RULE.clear(f"{several(len(delivered), 'grant')} reached the waiting clients")
    elif any(waiter.row.blocked is not None for waiter in waiters):
        servers = sorted({waiter.row.server for waiter in waiters})
        yield RULE.cannot_tell(
            "locks waited, and no call of the server to the waiting client is seen", wire_of(servers[0])
        )
    elif roles.lock_pairs:
        yield RULE.clear("no lock waited for long")
    else:
        yield RULE.cannot_tell("no lock requests in the capture")


def suffers(waiter: Waiter, tried: Stretches) -> bool:
    """Whether it waited when the server tried to call back, and was not told by that."""
    if waiter.row.blocked is None or waiter.row.granted_by == "callback":
        return False
    return tried.meet((waiter.row.server, waiter.row.client), waiter.start, waiter.end + SECOND)


def results_brought(nlm: Table) -> set[tuple[str, str]]:
    """The servers and clients that asked them in the asynchronous form, which a server answers by calls to it."""
    asked = nlm.where(isin(nlm["proc"], (TEST_MSG, LOCK_MSG, CANCEL_MSG, UNLOCK_MSG)))
    return {(server, client) for client, server in pairs_of(asked)}


def still_waits(waiter: Waiter, time: int) -> bool:
    """Whether the capture shows after this time that it waits: it asks again, gives up, or has the lock."""
    row = waiter.row
    ends = (known for known in (row.granted, row.cancelled, row.denied) if known is not None)
    return any(end > time for end in ends) or (row.polls > 0 and waiter.end > time)


def finding(
    server: str, client: str, failures: list[Failure], hurt: list[Waiter], last_seen: Mapping[str, LastSeen]
) -> Finding:
    first, last = failures[0].first, max(failure.last for failure in failures)
    living = client in last_seen and last_seen[client].time > first
    sure = any(failure.sure for failure in failures)
    lost = [free_for(waiter) for waiter in hurt]
    idle = max((known for known in lost if known is not None), default=None)
    polled = next((waiter.row for waiter in hurt if waiter.row.granted_by == "poll"), None)
    port = next((failure.port for failure in failures if failure.port), None)
    cost = f" The lock was free for {seconds(idle)} before it noticed." if idle is not None else ""
    return RULE.finding(
        certainty="certain" if living and sure else "likely",
        host=client,
        title=f"{client} cannot be called back by {server}: granted locks do not reach it",
        explanation=(
            f"{client} waited for {several(len(hurt), 'lock')}, and {server} tried in vain to tell it of the grant: "
            f"{what_failed(failures)}. The waiter gets the lock only when it "
            f"asks again by itself, on Linux every 30 s.{cost}"
        ),
        clients=(client,),
        files=tuple(sorted({waiter.row.file for waiter in hurt})),
        count=len(hurt),
        first=first,
        last=last,
        evidence=(
            Evidence(hurt[0].row.blocked_capture, hurt[0].row.blocked_frame, f"{client} is told to wait (BLOCKED)"),
            *(proof for failure in failures[:2] for proof in failure.evidence[:2]),
            *(
                (Evidence(polled.granted_capture, polled.granted_frame, "granted, because it asked again"),)
                if polled is not None
                else ()
            ),
        ),
        remedy=(
            remark(
                "Open lockd's port{port} and port 111 on {client} for {server}.",
                port=f" {port}" if port else "",
                client=client,
                server=server,
            ),
            remark("Fix the ports in its /etc/nfs.conf: [lockd] port=32803 udp-port=32769; then mount again."),
            remark("With NAT between them the server has no way in: mount without NAT."),
        ),
        verify=(answers(client, NLM, on=f"the server {server}"),),
        wait_s=max(waiter.row.wait_s or 0.0 for waiter in hurt),
    )


def what_failed(failures: list[Failure]) -> str:
    """Each way once, the first of many."""
    ways = list(dict.fromkeys(failure.what for failure in failures))
    more = [f"and {len(ways) - NAMED} more"] if len(ways) > NAMED else []
    return "; ".join([*ways[:NAMED], *more])


def free_for(waiter: Waiter) -> float | None:
    """How long the lock was free before the waiter had it."""
    released: int | None = waiter.holder.released if waiter.holder is not None else None
    if released is None or released > waiter.end:
        return None
    return (waiter.end - released) / SECOND
