"""SYNs to the port of a registered RPC service are not answered: something drops them.

Sees
    A host connects to a port that the other's portmapper named (or that is called in the capture) and gets no answer,
    SYN after SYN (1, 2, 4, 8 … s), while the same host answers on other ports. Where connections from other source
    ports to that same port are accepted meanwhile, the port is open, and the SYNs of one source port are dropped.

Why it matters
    The service cannot be reached, though it runs and is registered. For lockd: no LOCK leaves, the application hangs,
    the kernel says "not responding" after a minute, and NFS keeps working.

Not flagged when
    One SYN was lost and the next was answered. The capture lacks the other direction. The host was away altogether and
    came back: it rebooted. The client makes no RPC call to that host, and no portmapper named the port: that is a scan.
    A port that answers RST is NET002, one that answers a bare ACK NET003.

How to confirm
    From the client: timeout 5 bash -c '</dev/tcp/HOST/PORT'; on the host: tcpdump for the port shows SYNs that arrive
    and no answer. A load balancer in between accepts in the host's place.

How to fix
    Open the port on the host's firewall, and on those between. Give the service a fixed port (nfs.conf: lockd port= and
    udp-port=, statd port=, mountd port=) for the firewall's rules. Where one source port is dropped: remove the stale
    connection from the firewall's table.

References
    RFC 9293; nfs.conf(5); Linux fs/lockd/svc.c (nlm_tcpport); conntrack(8).

Parameters
    tries: so many SYNs without answer
    during_s: over so long
    cured_s: a connection that is accepted so soon makes up for them
    boot_s: a notice of reboot within this of the tries explains them
"""

from __future__ import annotations

from collections.abc import Iterator

from nfsrpc.facts.attempts import Attempt, Failure, service_of, together
from nfsrpc.facts.dropped_syns import DroppedSyns
from nfsrpc.facts.presence import Presence
from nfsrpc.findings.advice import bare, connects, wire_of
from nfsrpc.findings.command import Command, command, remark
from nfsrpc.findings.finding import Answer, Evidence, Finding, Rule
from nfsrpc.protocols.numbers import Prog
from nfsrpc.rules import STALLED
from nfsrpc.wording import SECOND, clock_time, duration, named, several

RULE = Rule(
    "NET001",
    "service-port-filtered",
    "error",
    explains=(*STALLED, "RPC005", "MON004", "REG005", "NET003"),
    log=("lockd-silent", "port-unreachable", "callback-silent", "nfs-silent"),
    judges="accepted connections",
    passes="connections were accepted, and no port of a service left SYNs without answer for long",
)

FIXED: dict[int, Command] = {
    Prog.NLM: remark("Pin lockd's ports in /etc/nfs.conf: [lockd] port=32803 udp-port=32769, and open them."),
    Prog.NSM: remark("Pin statd's port in /etc/nfs.conf: [statd] port=662, and open it."),
}


# Who drops the SYNs, by whether a capture taken on the host shows them.
WHERE = {
    True: "a firewall on it (they arrived there)",
    False: "a firewall on the way (they left the client and never reached the host)",
    None: "a firewall on it, or on the way,",
}
# What drops the SYNs of one source port, likewise.
KEEPER = {
    True: "The host, or a firewall on it,",
    False: "A firewall or NAT on the way",
    None: "A firewall or NAT on the way, or the host,",
}


def check(
    dropped_syns: tuple[DroppedSyns, ...],
    presence: Presence,
    *,
    tries: int = 3,
    during_s: float = 3.0,
    cured_s: float = 10.0,
    boot_s: float = 180.0,
) -> Iterator[Answer]:
    found = {
        each.attempt: each
        for each in dropped_syns
        if each.is_decided
        and persists(each.attempt, tries, during_s, cured_s)
        and not is_rebooting(each, presence, boot_s)
    }
    whole = [attempt for attempt in found if attempt.accepted_try is None]
    for failure in together(whole, lambda attempt: (found[attempt].arrived, found[attempt].is_alive)):
        yield finding(failure, found[failure.head])
    yield from (
        of_source_port(attempt, found[attempt].arrived) for attempt in found if attempt.accepted_try is not None
    )
    if not found and not all(each.is_decided for each in dropped_syns):
        yield RULE.cannot_tell("the answers to some SYNs would not have been captured")


def persists(attempt: Attempt, tries: int, during_s: float, cured_s: float) -> bool:
    if attempt.tries < tries or attempt.seconds < during_s:
        return False
    if attempt.accepted_try is not None or attempt.succeeded is None:
        return True
    return attempt.succeeded - attempt.first > cured_s * SECOND


def is_rebooting(dropped: DroppedSyns, presence: Presence, boot_s: float) -> bool:
    """Whether the host was away meanwhile, and came back."""
    attempt = dropped.attempt
    if presence.has_booted(attempt.server, attempt.first, attempt.last, boot_s):
        return True
    return attempt.succeeded is not None and not dropped.is_alive


def finding(failure: Failure, dropped: DroppedSyns) -> Finding:
    """The finding on one port, with what is true of the SYNs of all its clients."""
    head, clients = failure.head, failure.clients
    host, port, service = head.server, head.port, service_of(head)
    living, arrived = dropped.is_alive, dropped.arrived
    until = ", until it was accepted" if failure.succeeded else ""
    return RULE.finding(
        certainty="certain" if living and arrived is not None else "likely",
        host=host,
        title=f"the {service} of {host} cannot be reached: "
        + (f"SYNs to port {port} are dropped" if living else "the host sends nothing any more"),
        explanation=(
            f"{named(clients)} sent {several(failure.tries, 'SYN')} to port {port} of {host} {failure.within} and got "
            f"no answer{until}. "
            + (
                f"The host answers on other ports, so {WHERE[arrived]} drops what is sent to this one."
                if living
                else "Nothing else came from that host meanwhile: it is down, or cut off."
            )
        ),
        clients=clients,
        count=failure.tries,
        first=failure.first,
        last=failure.last,
        evidence=tuple(evidence(failure)),
        remedy=(
            command(
                "iptables -S | grep {port}; nft list ruleset | grep {port}", on="{host}", port=port, host=bare(host)
            ),
            remark(
                "Open TCP port {port} from {client} to {host}, on the host and on firewalls between.",
                port=port,
                client=named(clients),
                host=host,
            ),
            *((FIXED[head.prog],) if head.prog in FIXED else ()),
        ),
        needs=wire_of(host, clients) if living and arrived is None else None,
        verify=(connects(host, port, named(clients)),),
        wait_s=failure.seconds,
    )


def evidence(failure: Failure) -> Iterator[Evidence]:
    """The first SYN, and the last one; of several clients the first SYN of the first and of the last to try."""
    head, last = failure.head, failure.attempts[-1]
    yield Evidence(*head.frames[0], f"SYN to port {head.port}, never answered")
    if last is not head:
        yield Evidence(*last.frames[0], f"SYN of {last.client}, never answered")
    else:
        yield from (Evidence(*frame, "SYN of another connection, never answered") for frame in head.frames[1:])


def of_source_port(attempt: Attempt, arrived: bool | None) -> Finding:
    """The finding on a port that accepts connections from other source ports meanwhile.

    `arrived`: whether the SYNs reached the host, where a capture taken there shows it.
    """
    other, host, port = attempt.accepted_try, attempt.server, attempt.port
    assert other is not None
    sources = f"source port{'s' if len(attempt.sources) > 1 else ''} {named(map(str, attempt.sources))}"
    client, source = bare(attempt.client), attempt.sources[0]
    return RULE.finding(
        certainty="likely",
        host=host,
        title=f"SYNs of {attempt.client} from {sources} to port {port} of {host} are dropped, others accepted",
        explanation=(
            f"{attempt.client} sent {several(attempt.tries, 'SYN')} from {sources} to port {port} of {host} in "
            f"{duration(attempt.seconds)} without an answer, while a connection from source port {other.source} was "
            f"accepted at {clock_time(other.time)}: the port is open. {KEEPER[arrived]} keeps the state of an older "
            "connection with these ports, or the service's listen queue was full."
        ),
        clients=(attempt.client,),
        count=attempt.tries,
        first=attempt.first,
        last=attempt.last,
        evidence=(
            Evidence(*attempt.frames[0], f"SYN from source port {attempt.sources[0]}, never answered"),
            Evidence(other.capture, other.frame, f"SYN-ACK to source port {other.source}, meanwhile"),
        ),
        remedy=(
            command(
                "conntrack -D -p tcp -s {client} -d {host} --sport {source} --dport {port}",
                on="{host} and the Linux firewalls between",
                note="removes the stale entry of this one connection",
                host=bare(host),
                client=client,
                source=source,
                port=port,
            ),
            command(
                "nstat -az TcpExtListenOverflows TcpExtListenDrops",
                on="{host}",
                note="rising numbers: the listen queue is full",
                host=bare(host),
            ),
        ),
        verify=(
            command(
                "nc -vz -p {source} {host} {port}",
                on="{client}",
                note="as root, while no connection uses that source port",
                host=bare(host),
                client=client,
                source=source,
                port=port,
            ),
        ),
        needs=wire_of(host, [attempt.client]) if arrived is None else None,
        wait_s=attempt.seconds,
    )
