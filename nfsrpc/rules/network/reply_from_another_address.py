"""Replies come from an address or a port that was not asked, and the client drops them.

Sees
    A call over UDP without reply, and a reply with its xid to the same port from another address. Lock requests in the
    asynchronous form (LOCK_MSG) whose results (LOCK_RES) come from a host that was not asked, or that are retransmitted
    with the same cookie although a result from the server was captured each time. A grant (GRANTED, GRANTED_MSG) that
    comes from another address than the one that was asked for the lock, and that the client refuses.

Why it matters
    Most clients drop such a message: the call stays unanswered, the lock request is repeated for ever. A server with
    several addresses answers from the one by which it routes.

Not flagged when
    The reply comes from the address that was asked; over TCP it always does. An application that locks the same range
    again uses a new cookie. A grant that the client accepts.

How to confirm
    ip route get CLIENT on the server, and the source address that it prints.

How to fix
    Bind the service to its address (nfs.conf: host=), or mount over TCP.

References
    RFC 1122 section 4.1.3.5; X/Open C702 chapter 10 (NLM); Linux fs/lockd/clntlock.c (nlmclnt_grant).

Parameters
    repeated: so many lock requests with a result that the client did not accept
    soon_s: a result that comes so soon after a lock request may belong to it
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

import numpy as np

from nfsrpc.columns import isin, number_of
from nfsrpc.facts.basic import Stray, listed
from nfsrpc.findings.advice import bare
from nfsrpc.findings.command import Command, command, remark
from nfsrpc.findings.finding import Answer, Evidence, Finding, Rule
from nfsrpc.protocols.numbers import GRANTS, MESSAGES, NlmProc
from nfsrpc.rules import STALLED
from nfsrpc.sessions.grouping import Parts
from nfsrpc.tables import Calls, Locks
from nfsrpc.wording import SECOND, named, several

RULE = Rule(
    "NET005",
    "reply-from-another-address",
    "warning",
    explains=(*STALLED, "RPC005", "REG005", "CBK001", "CBK002"),
    judges="RPC over UDP or asynchronous lock requests",
    passes="replies, results and grants came from where they were asked",
)

MSG = MESSAGES  # each of which is answered by the call of the _RES
RES = 5  # procedures further on


def check(
    strays: tuple[Stray, ...], nlm: Calls, locks: Locks, *, repeated: int = 3, soon_s: float = 2.0
) -> Iterator[Answer]:
    for _, mine in sorted(listed((stray.call.server, stray) for stray in strays).items()):
        reply = mine[0].reply
        proof = Evidence.of(reply.reply_capture, reply.reply_frame, f"its answer, from {reply.server}")
        yield of_calls([each.call for each in mine], "UDP call", reply.server, mine[-1].call.time, proof)
    for pairs in of_other_hosts(nlm, soon_s).values():
        if len(pairs) >= repeated:
            result, last = pairs[0][1], pairs[-1][1].time
            proof = Evidence(result.capture, result.call_frame, f"{result.procedure} from {result.client}")
            yield of_calls([request for request, _ in pairs], "lock request", result.client, last, proof)
    for request, results in not_accepted(locks, nlm, repeated):
        yield of_repetitions(request, results)
    for grants in refused_grants(nlm, locks).values():
        yield of_grants(grants)


def of_other_hosts(nlm: Calls, soon_s: float) -> Mapping[tuple[str, str], list[tuple[Calls.Row, Calls.Row]]]:
    """Results from hosts that their receiver did not ask, each with the request before it, by host asked and sender."""
    messages = nlm.where(isin(nlm["proc"], MSG) & nlm.valid("time"))
    messages = messages.take(np.argsort(messages["time"], kind="stable"))
    pairs = set(zip(messages["client"].tolist(), messages["server"].tolist(), strict=True))
    results = nlm.where(isin(nlm["proc"], [proc + RES for proc in MSG]))
    ends = zip(results["server"].tolist(), results["client"].tolist(), strict=True)
    strange = np.fromiter((pair not in pairs for pair in ends), dtype=np.bool_, count=len(results))
    requests = Parts(messages, "client", "proc") if strange.any() else {}
    return listed(
        ((request.server, result.client), (request, result))
        for result in results.where(strange).rows()
        if (request := before(requests, result, soon_s)) is not None
    )


def before(requests: Mapping[tuple[str, int], Calls], result: Any, soon_s: float) -> Calls.Row | None:
    """The last request of the receiver that a result may answer."""
    mine = requests.get((result.server, result.proc - RES))
    if mine is None or result.time is None:
        return None
    at = int(np.searchsorted(mine["time"], result.time, "right")) - 1
    row = mine.row(at) if at >= 0 else None
    return row if row is not None and result.time - row.time <= soon_s * SECOND else None


def not_accepted(locks: Locks, nlm: Calls, repeated: int) -> Iterator[tuple[Locks.Row, Calls]]:
    """Requests that were repeated with one cookie although a result came each time, with these results."""
    again = (locks["procedure"] == "LOCK_MSG") & (locks["state"] == "unanswered") & (locks["polls"] >= repeated - 1)
    rows = locks.where(again)
    results = Parts(
        nlm.where(nlm["proc"] == NlmProc.LOCK_RES) if len(rows) else nlm.take(np.zeros(0, np.int64)), "client", "server"
    )
    for request in rows.rows():
        mine = results[request.server, request.client]
        mine = mine.where(mine["time"] >= request.time)
        if len(mine) >= repeated:
            yield request, mine


def refused_grants(nlm: Calls, locks: Locks) -> Mapping[tuple[str, str], list[tuple[Locks.Row, Calls.Row]]]:
    """Grants that the client refused because it had sent its LOCK to another address, by the two addresses."""
    called = locks.where(locks.valid("callback_exchange") & (locks["callback_status"] > 0))
    grants = nlm.where(isin(nlm["proc"], GRANTS) & isin(nlm["exchange"], called["callback_exchange"]))
    senders: dict[int | None, Calls.Row] = {row.exchange: row for row in grants.rows()}
    pairs = ((lock, senders.get(lock.callback_exchange)) for lock in called.rows())
    return listed(
        ((lock.server, grant.client), (lock, grant))
        for lock, grant in pairs
        if grant is not None and grant.client != lock.server
    )


def of_calls(calls: list[Calls.Row], what: str, sender: str, last: int, proof: Evidence) -> Finding:
    """Calls that were answered by another address; `last` is the time of the last answer, `proof` shows the first."""
    first = calls[0]
    return finding(
        first.server,
        sender,
        tuple(sorted({call.client for call in calls})),
        count=number_of(calls),
        times=(first.time, last),
        what=f"{several(number_of(calls), what)} to {first.server} ({first.program} {first.procedure}) answered",
        evidence=(Evidence(first.capture, first.call_frame, f"{first.procedure} to {first.server}"), proof),
    )


def of_grants(grants: list[tuple[Locks.Row, Calls.Row]]) -> Finding:
    lock, grant = grants[0]
    return finding(
        lock.server,
        grant.client,
        tuple(sorted({request.client for request, _ in grants})),
        count=number_of([lock for lock, _ in grants]),
        times=(grant.time, grants[-1][1].time),
        what=f"{several(number_of([lock for lock, _ in grants]), 'lock')} that {lock.server} was asked for granted",
        evidence=(
            Evidence.of(lock.requested_capture, lock.requested_frame, f"LOCK to {lock.server}"),
            Evidence(grant.capture, grant.call_frame, f"{grant.procedure} from {grant.client}, refused"),
        ),
    )


def of_repetitions(request: Locks.Row, results: Calls) -> Finding:
    """A request with one cookie that the server answers from a port, or to one, that the client does not accept."""
    count = request.polls + 1
    first, last = results.row(0), results.row(len(results) - 1)
    return RULE.finding(
        certainty="likely",
        host=request.server,
        title=f"{request.client} does not accept the lock results of {request.server}",
        explanation=(
            f"{request.client} sent {request.procedure} {count} times with one cookie ({request.cookie}), although the "
            f"result of {request.server} was captured each time. The client drops results that come from another port "
            "than the one that it asked, or to another port than its lockd's."
        ),
        clients=(request.client,),
        files=(request.file,),
        count=count,
        first=request.time,
        last=last.time,
        evidence=(
            Evidence.of(request.requested_capture, request.requested_frame, f"{request.procedure} to {request.server}"),
            Evidence(first.capture, first.call_frame, "its result"),
            Evidence(last.capture, last.call_frame, "the result of the last repetition"),
        ),
        remedy=(OVER_TCP,),
        verify=(route(request.server, request.client),),
        wait_s=request.wait_s,
    )


def finding(
    server: str,
    sender: str,
    clients: tuple[str, ...],
    count: int,
    times: tuple[int, int],
    what: str,
    evidence: tuple[Evidence, ...],
) -> Finding:
    return RULE.finding(
        host=server,
        title=f"{server} answers {named(clients)} from another address, {sender}",
        explanation=(
            f"{what} from {sender}. A client accepts what comes from the address that it asked, and drops the rest."
        ),
        clients=clients,
        count=count,
        first=times[0],
        last=times[1],
        evidence=evidence,
        remedy=(
            route(server, clients[0]),
            remark(
                "Bind the service to the address that clients mount (nfs.conf: host=).", on="{host}", host=bare(server)
            ),
            OVER_TCP,
        ),
    )


OVER_TCP = remark("Mount with proto=tcp: replies then use the connection of the call.", on="the clients")


def route(server: str, client: str) -> Command:
    return command(
        "ip route get {client}",
        on="{server}",
        note="src is the address from which it sends to that client",
        client=bare(client),
        server=bare(server),
    )
