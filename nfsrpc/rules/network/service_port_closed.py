"""The port of a registered RPC service refuses: no process listens, or a firewall rejects.

Sees
    On the wire: a host connects to a port that the other's portmapper named (or that is called in the capture) and is
    answered with RST, or with ICMP unreachable about the port.

Why it matters
    The kernel tries again in a tight loop, tens of times a second, for ever; the application hangs.

Not flagged when
    Over loopback (REG007). No portmapper named the port, and the client makes no RPC call to that host: that is a scan.
    The host boots, or the port accepts soon after: the service was restarted, perhaps at another port. Datagrams, where
    the service answers over TCP: many servers serve no UDP.

How to confirm
    rpcinfo -p HOST names the port; nc -vz HOST PORT is refused.

How to fix
    Restart the service, which then registers its new port; or have the firewall accept the port.

References
    RFC 9293; RFC 792; RFC 4443; Linux net/sunrpc/xprtsock.c.

Parameters
    tries: so many tries that were refused
    cured_s: a connection that is accepted so soon makes up for them
    tcp_s: within this a client that is refused over UDP tries TCP
    boot_s: a notice of reboot within this of the tries explains them
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping

from nfsrpc.facts.attempts import Attempt, service_of
from nfsrpc.facts.basic import Span, booting
from nfsrpc.findings.advice import RESTART_SERVER, RESTART_STATD, bare
from nfsrpc.findings.command import command, remark
from nfsrpc.findings.finding import Answer, Evidence, Finding, Rule
from nfsrpc.protocols.numbers import Prog
from nfsrpc.rules import STALLED
from nfsrpc.wording import SECOND, duration, several

RULE = Rule(
    "NET002",
    "service-port-closed",
    "error",
    explains=(*STALLED, "RPC005", "MON004", "REG005"),
    log=("lockd-silent", "port-unreachable", "callback-silent", "nfs-silent"),
    judges="accepted connections",
    passes="connections were accepted, and no port of a service refused them for long",
)


def check(
    attempts: tuple[Attempt, ...],
    boots: Mapping[str, tuple[int, ...]],
    span: Span | None,
    *,
    tries: int = 2,
    cured_s: float = 30.0,
    tcp_s: float = 3.0,
    boot_s: float = 180.0,
) -> Iterator[Answer]:
    for attempt in attempts:
        if attempt.outcome != "refused" or attempt.loopback or attempt.prog == Prog.PORTMAP or not attempt.of_client:
            continue
        if attempt.transport == "udp" and (attempt.otherwise or not goes_on(attempt, span, tcp_s)):
            continue
        cured = attempt.succeeded is not None and attempt.succeeded - attempt.first < cured_s * SECOND
        if attempt.tries < tries or cured or booting(boots, attempt.server, attempt.first, attempt.last, boot_s):
            continue
        yield finding(attempt)


def goes_on(attempt: Attempt, span: Span | None, tcp_s: float) -> bool:
    """Whether the capture would show that the client turns to TCP."""
    return span is not None and span.last - attempt.first >= tcp_s * SECOND


def finding(attempt: Attempt) -> Finding:
    host, port, service = attempt.server, attempt.port, service_of(attempt)
    until = "" if attempt.succeeded is None else ", until it was accepted again"
    return RULE.finding(
        host=host,
        title=f"the {service} of {host} refuses connections to port {port}",
        explanation=(
            f"{attempt.client} tried port {port} of {host} {several(attempt.tries, 'time')} in "
            f"{duration(attempt.seconds)} and was refused{until}. "
            + ("The portmapper names that port, but" if attempt.registered else "Either")
            + " no process listens there, or a firewall rejects what is sent to it."
        ),
        clients=(attempt.client,),
        count=attempt.tries,
        first=attempt.first,
        last=attempt.last,
        evidence=(
            Evidence(*attempt.frames[0], f"to port {port}"),
            *((Evidence(*attempt.proof, "refused"),) if attempt.proof else ()),
            *(Evidence(*frame, "tried again") for frame in attempt.frames[1:]),
        ),
        remedy=(
            *(RESTART_STATD if attempt.prog == Prog.NSM else RESTART_SERVER),
            remark(
                "If the service listens (ss -ltnp): let the firewall accept TCP port {port} from {client}.",
                port=port,
                client=attempt.client,
            ),
        ),
        verify=(command("nc -vz {host} {port}", on="{client}", host=bare(host), port=port, client=attempt.client),),
        wait_s=attempt.seconds or None,
    )
