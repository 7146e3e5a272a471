"""A server cannot reach its waiting client, so a lock that became free is not granted by a callback.

Sees
    A client waits for a lock (BLOCKED). The server's GRANTED or GRANTED_MSG to it stays unanswered, or before that its
    question for the client's lockd (100021) or its SYN to the client's port. The waiter gets the lock only when it
    retries. The host to fix is the client, unless the server calls a port that no portmapper named, an address from
    which nobody locks, or from an address of another network than the client mounted: then it is the server.

Why it matters
    The lock is free and unused: Linux clients retry every 30 s, so each handover may take that long. The server's
    kernel logs "lockd: server CLIENT not responding, timed out".

Not flagged when
    The callback arrives in the end, at once after a lost packet. A later callback reaches the same port: it was not
    closed, the network or the host was away (NET003). The client that waits has died (LCK010). Nothing shows
    that the client still waited, and the capture lost packets, or the server had results to send (LOCK_MSG and the
    like are answered by calls, too): cannot tell. Where a capture whose clock cannot be compared shows the same two
    hosts (CAP007), it is likely: a later callback may be there.

How to confirm
    From the server: rpcinfo -t CLIENT 100021; nc -vz CLIENT PORT.

How to fix
    On the client: open the port of its lockd (and 111) for the server, and fix it (nfs.conf: [lockd] port=, udp-port=).
    With NAT between them the server's calls have no way in: no NAT for NFSv3 locks. Where the server is at fault: it
    has to ask the client's portmapper for the port, and to call from the address that the client mounted.

References
    RFC 1813 appendix II (NLM_GRANTED); X/Open C702 chapter 10; Linux fs/lockd/svclock.c.

Parameters
    at_once_s: a grant that arrives so soon after a failed step made up for it
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping

from nfsrpc.columns import isin, number_of
from nfsrpc.facts.basic import listed, pairs_of
from nfsrpc.facts.callbacks import CallbackFailure, delivered
from nfsrpc.facts.waiters import LastSeen, Waiter
from nfsrpc.findings.advice import answers, bare, wire_of
from nfsrpc.findings.command import Command, command, remark
from nfsrpc.findings.finding import Answer, Certainty, Evidence, Finding, Rule
from nfsrpc.protocols.numbers import NlmProc, Prog
from nfsrpc.sessions.stretches import Stretches
from nfsrpc.tables import Calls
from nfsrpc.wording import NAMED, SECOND, duration, several

RULE = Rule(
    "CBK001",
    "grant-callback-unreachable",
    "error",
    explains=("NET001", "NET002", "NET003", "REG003", "REG005", "LCK003", "LCK010", "LCK011", "CBK003", "RPC005"),
    log=("callback-silent",),
    says_never=True,
    judges="whole lock requests",
    passes="every waiting client that was called answered",
)


def check(
    failed_callbacks: tuple[CallbackFailure, ...],
    waiters: tuple[Waiter, ...],
    nlm: Calls,
    last_seen: Mapping[str, LastSeen],
    gaps: frozenset[frozenset[str]],
    with_portmappers: frozenset[str],
    *,
    at_once_s: float = 5.0,
) -> Iterator[Answer]:
    accused = doubtful = False
    reached = delivered(nlm)
    failed = listed(((failure.server, failure.client), failure) for failure in failed_callbacks)
    waiting = listed(((waiter.row.server, waiter.row.client), waiter) for waiter in waiters)
    calls = Stretches.of(((one.server, one.client), one.first, one.last) for one in failed_callbacks)
    results, grants = results_sent(nlm), Stretches((reached["client"], reached["server"]), reached["time"])
    for (server, client), failures in sorted(failed.items()):
        affected = [waiter for waiter in waiting.get((server, client), ()) if is_affected(waiter, calls)]
        if frozenset((server, client)) in gaps or (server, client) in results:
            doubtful |= bool(affected)
            affected = [waiter for waiter in affected if still_waits(waiter, failures[0].first)]
        # A grant that got through at once all the same: one packet was lost.
        first = failures[0].first
        if not affected or grants.meet((server, client), first, first + at_once_s * SECOND):
            continue
        accused = True
        unfiltered = bool(with_portmappers & {server, client})
        yield finding(failures, affected, certainty(failures, affected, last_seen, unfiltered))
    if accused:
        return
    if doubtful:
        yield RULE.cannot_tell("whether the clients that the server tried to call still waited is not in the capture")
    elif len(reached):
        yield RULE.clear(f"{several(len(reached), 'grant')} reached the waiting clients")
    elif not failed_callbacks and any(waiter.row.blocked is not None for waiter in waiters):
        servers = sorted({waiter.row.server for waiter in waiters})
        yield RULE.cannot_tell(
            "locks waited, and no call of the server to the waiting client is seen", wire_of(servers[0])
        )


def is_affected(waiter: Waiter, calls: Stretches) -> bool:
    """Whether a waiter waited when the server tried to call back, and was not granted by that call."""
    if waiter.row.blocked is None or waiter.row.granted_by == "callback":
        return False
    return calls.meet((waiter.row.server, waiter.row.client), waiter.start, waiter.end + SECOND)


def results_sent(nlm: Calls) -> set[tuple[str, str]]:
    """Pairs of a server and a client with asynchronous requests, which the server answers by calls to the client."""
    messages = nlm.where(
        isin(nlm["proc"], (NlmProc.TEST_MSG, NlmProc.LOCK_MSG, NlmProc.CANCEL_MSG, NlmProc.UNLOCK_MSG))
    )
    return {(server, client) for client, server in pairs_of(messages)}


def still_waits(waiter: Waiter, time: int) -> bool:
    """Whether the capture shows a waiter after this time: it retries, gives up, or has the lock."""
    row = waiter.row
    ends = (end for end in (row.granted, row.cancelled, row.denied) if end is not None)
    return any(end > time for end in ends) or (row.polls > 0 and waiter.end > time)


def certainty(
    failures: list[CallbackFailure], affected: list[Waiter], last_seen: Mapping[str, LastSeen], unfiltered: bool
) -> Certainty:
    """How certain it is; `unfiltered`: portmapper calls were captured, so that a missing one was not sent."""
    client = affected[0].row.client
    living = client in last_seen and last_seen[client].time > failures[0].first
    if any(failure.called for failure in failures):
        return "certain" if living else "likely"
    never = all(failure.lookup == "never" for failure in failures)
    sure = unfiltered if never else any(failure.sure for failure in failures)
    return "certain" if living and sure else "likely"


def finding(failures: list[CallbackFailure], affected: list[Waiter], certainty: Certainty) -> Finding:
    server, client = failures[0].server, failures[0].client
    own = all(failure.is_servers_own for failure in failures)
    number = number_of([waiter.row for waiter in affected])
    free = [free_for(waiter) for waiter in affected]
    idle = max((time for time in free if time is not None), default=None)
    cost = f" The lock was free for {duration(idle)} before." if idle is not None else ""
    return RULE.finding(
        certainty=certainty,
        host=server if own else client,
        title=(
            f"{server} cannot call {client} back: {servers_reason(failures)}"
            if own
            else f"{client} cannot be called back by {server}: granted locks do not reach it"
        ),
        explanation=(
            f"{client} waited for {several(number, 'lock')}, and the callback of {server} failed: "
            f"{what_failed(failures)}. The waiter gets the lock only when it retries, on Linux every 30 s.{cost}"
            + ("" if own else lookup_not_seen(failures))
        ),
        clients=(client,),
        files=tuple(sorted({waiter.row.file for waiter in affected})),
        count=number,
        first=failures[0].first,
        last=max(failure.last for failure in failures),
        evidence=tuple(proof(failures, affected)),
        remedy=server_remedy(failures) if own else client_remedy(failures),
        verify=(answers(client, Prog.NLM, on=f"the server {server}"),),
        wait_s=max(waiter.row.wait_s or 0.0 for waiter in affected),
    )


def lookup_not_seen(failures: list[CallbackFailure]) -> str:
    """A sentence on a port of which it is unknown whether the server asked for it; empty where it is known."""
    if any(failure.sure for failure in failures):
        return ""
    unseen = next((failure for failure in failures if failure.lookup != "seen"), None)
    if unseen is None:
        return ""
    return (
        f" The capture does not show that {unseen.server} looked up port {unseen.port}: if no portmapper named it, "
        f"{unseen.server} calls a wrong port."
    )


def servers_reason(failures: list[CallbackFailure]) -> str:
    """A clause on why the failure is the server's own."""
    for failure in failures:
        if failure.called:
            return f"it calls {failure.called}, which did not ask for the lock"
        if failure.caller:
            return f"it calls from {failure.caller}, which the client has not mounted"
    return f"it calls port {failures[0].port}, which no portmapper named"


def proof(failures: list[CallbackFailure], affected: list[Waiter]) -> Iterator[Evidence]:
    row = affected[0].row
    yield Evidence.of(row.blocked_capture, row.blocked_frame, f"{row.client} has to wait (BLOCKED)")
    for failure in failures[:2]:
        yield from failure.evidence[:2]
    for waiter in affected:
        if waiter.row.granted_by == "poll":
            yield Evidence.of(waiter.row.granted_capture, waiter.row.granted_frame, "granted when the client retried")
            return


def client_remedy(failures: list[CallbackFailure]) -> tuple[Command, ...]:
    server, client = failures[0].server, failures[0].client
    port = next((failure.port for failure in failures if failure.port), None)
    return (
        remark(
            "open lockd's port{port} and port 111, TCP and UDP, for {server}.",
            on="{client}",
            port=f" {port}" if port else "",
            client=client,
            server=server,
        ),
        remark(
            "pin lockd's ports in /etc/nfs.conf: [lockd] port=32803 udp-port=32769; they are used after a reboot.",
            on="{client}",
            client=client,
        ),
        remark("With NAT between them the server's calls have no way in: mount without NAT."),
    )


def server_remedy(failures: list[CallbackFailure]) -> tuple[Command, ...]:
    server, client = failures[0].server, failures[0].client
    caller = next((failure.caller for failure in failures if failure.caller), None)
    if caller:
        return (
            command("ip route get {client}", on="{server}", client=bare(client), server=server),
            remark(
                "mount the address {caller} on {client}, or route so that calls leave from {server}.",
                caller=caller,
                client=client,
                server=server,
            ),
        )
    return (
        command(
            "rpcinfo -p {client} | grep nlockmgr",
            on="{server}",
            note="the ports that the server has to reach",
            client=bare(client),
            server=server,
        ),
        remark(
            "update or configure the NFS server: it has to ask the client's portmapper for program 100021, and to"
            " call the address from which the lock was asked for.",
            on="{server}",
            server=server,
        ),
    )


def what_failed(failures: list[CallbackFailure]) -> str:
    """The ways of failure, each once, by its first example."""
    ways = list(dict.fromkeys(failure.what for failure in failures))
    more = [f"and {len(ways) - NAMED} more"] if len(ways) > NAMED else []
    return "; ".join([*ways[:NAMED], *more])


def free_for(waiter: Waiter) -> float | None:
    """Seconds for which the lock was free before the waiter had it."""
    released: int | None = waiter.holder.released if waiter.holder is not None else None
    if released is None or released > waiter.end:
        return None
    return (waiter.end - released) / SECOND
