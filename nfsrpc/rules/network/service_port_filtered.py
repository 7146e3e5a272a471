"""SYNs to the port of a registered RPC service are not answered: something drops them.

Sees
    A host connects to a port that the other's portmapper named (or that served RPC before) and gets no answer, SYN
    after SYN (1, 2, 4, 8 … s), while the same host answers on other ports.

Why it hurts
    The service cannot be reached, though it runs and is registered. For lockd: no LOCK leaves, the application hangs,
    the kernel says "not responding" after a minute, and NFS goes on.

Not flagged when
    One SYN was lost and the next was answered. The capture lacks the other direction. The host was away altogether and
    came back: it rebooted. A port that answers RST is NET002.

How to confirm
    From the client: nc -vz HOST PORT; on the host: tcpdump for the port shows SYNs that arrive and no answer.

How to fix
    Open the port on the host's firewall, and on those between. Give the service a fixed port (nfs.conf: lockd port= and
    udp-port=, statd port=, mountd port=) so that a firewall can know it.

References
    RFC 9293; nfs.conf(5); Linux fs/lockd/svc.c (nlm_tcpport).

Parameters
    tries: so many SYNs in vain
    during_s: over so long
    cured_s: a connection that is accepted so soon makes up for them
    boot_s: a notice of reboot within this of the tries explains them
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping

from nfsrpc.columns import Table
from nfsrpc.facts.attempts import Attempt, reached, service_of
from nfsrpc.facts.basic import NLM, NSM, PORTMAP, booting
from nfsrpc.facts.vantages import Vantages
from nfsrpc.findings.advice import bare, wire_of
from nfsrpc.findings.command import command, remark
from nfsrpc.findings.finding import Answer, Evidence, Finding, Rule
from nfsrpc.rules import STALLED
from nfsrpc.sessions.stretches import Stretches
from nfsrpc.wording import SECOND, seconds, several

RULE = Rule(
    "NET001",
    "service-port-filtered",
    "error",
    explains=(*STALLED, "RPC005", "MON004", "REG005", "NET003"),
    log=("lockd-silent", "port-unreachable", "callback-silent", "nfs-silent"),
)

FIXED = {
    NLM: remark("Fix lockd's ports in /etc/nfs.conf: [lockd] port=32803 udp-port=32769, and open them."),
    NSM: remark("Fix statd's port in /etc/nfs.conf: [statd] port=662, and open it."),
}


# Who drops the SYNs, by whether a capture taken on the host shows them.
WHERE = {
    True: "a firewall on it (they arrived there)",
    False: "a firewall on the way (they left the client and never reached the host)",
    None: "a firewall on it, or on the way,",
}


def check(
    attempts: tuple[Attempt, ...],
    connections: Table,
    sending: Stretches,
    tried: Mapping[tuple[str, str, int], frozenset[int]],
    vantages: Vantages,
    heard: frozenset[tuple[str, str]],
    boots: Mapping[str, tuple[int, ...]],
    *,
    tries: int = 3,
    during_s: float = 3.0,
    cured_s: float = 10.0,
    boot_s: float = 180.0,
) -> Iterator[Answer]:
    accused = blind = False
    for attempt in attempts:
        if attempt.outcome != "unanswered" or attempt.prog in (None, PORTMAP) or attempt.transport != "tcp":
            continue
        if (attempt.server, attempt.client) not in heard:
            blind = True
        elif persists(attempt, tries, during_s, cured_s) and not rebooted(attempt, sending, boots, boot_s):
            accused = True
            yield finding(attempt, alive(attempt, sending), reached(attempt, tried, vantages))
    accepted = int((connections["synack"] > 0).sum())
    if blind and not accused:
        yield RULE.cannot_tell("the answers to some SYNs would not have been captured")
    elif not accused and accepted:
        yield RULE.clear(f"{several(accepted, 'connection was', 'connections were')} accepted, none ignored for long")
    elif not accused:
        yield RULE.cannot_tell("no connection was opened in the capture")


def persists(attempt: Attempt, tries: int, during_s: float, cured_s: float) -> bool:
    if attempt.tries < tries or attempt.seconds < during_s:
        return False
    return attempt.succeeded is None or attempt.succeeded - attempt.first > cured_s * SECOND


def rebooted(attempt: Attempt, sending: Stretches, boots: Mapping[str, tuple[int, ...]], boot_s: float) -> bool:
    """Whether the host was away meanwhile, and came back."""
    if booting(boots, attempt.server, attempt.first, attempt.last, boot_s):
        return True
    return attempt.succeeded is not None and not alive(attempt, sending)


def alive(attempt: Attempt, sending: Stretches) -> bool:
    """Whether the host sent anything to anybody while its port was tried."""
    return sending.meet(attempt.server, attempt.first, attempt.last + SECOND)


def finding(attempt: Attempt, living: bool, arrived: bool | None) -> Finding:
    """`arrived`: whether the SYNs came as far as the host, where a capture of it can tell."""
    host, port, service = attempt.server, attempt.port, service_of(attempt)
    until = ", until it was accepted" if attempt.succeeded else ""
    return RULE.finding(
        certainty="certain" if living and arrived is not None else "likely",
        host=host,
        title=(
            f"the {service} of {host} cannot be reached: SYNs to port {port} are dropped"
            if living
            else f"the {service} of {host} cannot be reached: the host sends nothing any more"
        ),
        explanation=(
            f"{attempt.client} sent {several(attempt.tries, 'SYN')} to port {port} of {host} in "
            f"{seconds(attempt.seconds)} and got no answer{until}. "
            + (
                f"The host answers on other ports, so {WHERE[arrived]} drops what is sent to this one."
                if living
                else "Nothing else came from that host meanwhile: it is down, or cut off."
            )
        ),
        clients=(attempt.client,),
        count=attempt.tries,
        first=attempt.first,
        last=attempt.last,
        evidence=(
            Evidence(*attempt.frames[0], f"SYN to port {port}, never answered"),
            *(Evidence(*frame, "SYN again, of another connection") for frame in attempt.frames[1:]),
        ),
        remedy=(
            command("iptables -S | grep {port}; nft list ruleset | grep {port}", port=port),
            remark(
                "Open TCP port {port} from {client} to {host}, on the host and on firewalls between.",
                port=port,
                client=attempt.client,
                host=host,
            ),
            *((FIXED[attempt.prog],) if attempt.prog in FIXED else ()),
        ),
        needs=wire_of(host, [attempt.client]) if living and arrived is None else None,
        verify=(command("nc -vz {host} {port}", on="{client}", host=bare(host), port=port, client=attempt.client),),
        wait_s=attempt.seconds,
    )
