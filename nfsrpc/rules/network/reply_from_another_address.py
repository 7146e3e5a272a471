"""A UDP reply comes from an address that was not asked.

Sees
    A call over UDP without reply, and a reply with its xid to the same port from another address.

Why it hurts
    Most clients throw such a reply away, and the call stays unanswered: a server with several addresses answers from
    the one by which it routes.

Not flagged when
    The reply comes from the address that was asked. Over TCP it cannot happen.

How to confirm
    ip route get CLIENT on the server, and the source address that it names.

How to fix
    Have the service bind to its address (nfs.conf: host=), or mount over TCP.

References
    RFC 1122 section 4.1.3.5.
"""

from __future__ import annotations

from collections.abc import Iterator

from nfsrpc.columns import Table
from nfsrpc.facts.basic import Stray, listed, over_udp
from nfsrpc.findings.advice import bare
from nfsrpc.findings.command import command, remark
from nfsrpc.findings.finding import Answer, Evidence, Finding, Rule
from nfsrpc.rules import STALLED
from nfsrpc.wording import several

RULE = Rule(
    "NET005",
    "reply-from-another-address",
    "warning",
    explains=(*STALLED, "RPC005", "REG005"),
)


def check(strays: tuple[Stray, ...], exchanges: Table, counted: Table) -> Iterator[Answer]:
    for _, mine in sorted(listed((stray.call.server, stray) for stray in strays).items()):
        yield finding(mine)
    total = int((exchanges["transport"] == "udp").sum()) + over_udp(counted)
    if not strays and total:
        yield RULE.clear(f"{several(total, 'call')} over UDP, each answered from where it was sent, if at all")
    elif not strays:
        yield RULE.cannot_tell("no RPC over UDP in the capture")


def finding(pairs: list[Stray]) -> Finding:
    call, reply = pairs[0]
    return RULE.finding(
        host=call.server,
        title=f"{call.server} answers {call.client} from another address, {reply.server}",
        explanation=(
            f"{several(len(pairs), 'call')} over UDP to {call.server} ({call.program} {call.procedure}) answered from "
            f"{reply.server}. The client waits for an answer of {call.server} and throws this one away."
        ),
        clients=tuple(sorted({known.client for known, _ in pairs})),
        count=len(pairs),
        first=call.time,
        last=pairs[-1][0].time,
        evidence=(
            Evidence(call.capture, call.call_frame, f"{call.procedure} to {call.server}"),
            Evidence(reply.reply_capture, reply.reply_frame, f"its answer, from {reply.server}"),
        ),
        remedy=(
            command(
                "ip route get {client}",
                on="the server",
                note="src is what it answers from",
                client=bare(call.client),
            ),
            remark("Mount with proto=tcp."),
        ),
    )
