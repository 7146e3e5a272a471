"""The port of a registered RPC service refuses: no process listens, or a firewall rejects.

Sees
    On the wire: a host connects to a port that the other's portmapper named (or that is called in the capture) and is
    answered with RST, or with ICMP unreachable about the port.

Why it matters
    The kernel tries again in a tight loop, tens of times per second, for ever; the application hangs.

Not flagged when
    Over loopback (REG007). No portmapper named the port, and the client makes no RPC call to that host: that is a scan.
    The host boots, or the port accepts soon after: the service was restarted, perhaps at another port. Datagrams, where
    the service answers over TCP: many servers serve no UDP.

How to confirm
    rpcinfo -p HOST names the port; bash -c '</dev/tcp/HOST/PORT' is refused.

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

from nfsrpc.facts.attempts import Attempt, Failure, service_of, together
from nfsrpc.facts.basic import Span, booting
from nfsrpc.findings.advice import RESTART_SERVER, RESTART_STATD, answers, connects
from nfsrpc.findings.command import Command, remark
from nfsrpc.findings.finding import Answer, Evidence, Finding, Rule
from nfsrpc.protocols.numbers import Prog
from nfsrpc.rules import STALLED
from nfsrpc.wording import SECOND, named, several

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
    def is_refused(attempt: Attempt) -> bool:
        if attempt.outcome != "refused" or attempt.loopback or attempt.prog == Prog.PORTMAP or not attempt.of_client:
            return False
        if attempt.transport == "udp" and (attempt.otherwise or not goes_on(attempt, span, tcp_s)):
            return False
        cured = attempt.succeeded is not None and attempt.succeeded - attempt.first < cured_s * SECOND
        return not (
            attempt.tries < tries or cured or booting(boots, attempt.server, attempt.first, attempt.last, boot_s)
        )

    yield from map(finding, together(filter(is_refused, attempts)))


def goes_on(attempt: Attempt, span: Span | None, tcp_s: float) -> bool:
    """Whether the capture would show that the client turns to TCP."""
    return span is not None and span.last - attempt.first >= tcp_s * SECOND


def finding(failure: Failure) -> Finding:
    head, clients = failure.head, failure.clients
    host, port, service = head.server, head.port, service_of(head)
    until = ", until it was accepted again" if failure.succeeded else ""
    return RULE.finding(
        host=host,
        title=f"the {service} of {host} refuses connections to port {port}",
        explanation=(
            f"{named(clients)} tried port {port} of {host} {several(failure.tries, 'time')} {failure.within} and "
            f"{'was' if len(clients) == 1 else 'were'} refused{until}. "
            + ("The portmapper names that port, but" if head.registered else "Either")
            + " no process listens there, or a firewall rejects what is sent to it."
        ),
        clients=clients,
        count=failure.tries,
        first=failure.first,
        last=failure.last,
        evidence=tuple(evidence(failure)),
        remedy=(
            *(RESTART_STATD if head.prog == Prog.NSM else RESTART_SERVER),
            remark(
                "If the service listens (ss -lntup): let the firewall accept {transport} port {port} from {client}.",
                transport=" and ".join(failure.transports).upper().replace("AND", "and"),
                port=port,
                client=named(clients),
            ),
        ),
        verify=tuple(verify(failure, port)),
        wait_s=failure.seconds or None,
    )


def verify(failure: Failure, port: int) -> Iterator[Command]:
    host, prog, clients = failure.head.server, failure.head.prog, named(failure.clients)
    if "tcp" in failure.transports:
        yield connects(host, port, clients)
    if "udp" in failure.transports and prog is not None:
        yield answers(host, prog, on=clients, netid="udp")


def evidence(failure: Failure) -> Iterator[Evidence]:
    """The first try and its refusal, and the last try; of several clients the first of the last one."""
    head, last = failure.head, failure.attempts[-1]
    yield Evidence(*head.frames[0], f"to port {head.port}")
    if head.proof:
        yield Evidence(*head.proof, "refused")
    if last is not head:
        yield Evidence(*last.frames[0], f"{last.client} over {last.transport}")
    else:
        yield from (Evidence(*frame, "tried again") for frame in head.frames[1:])
