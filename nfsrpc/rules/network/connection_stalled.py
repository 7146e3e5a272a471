"""Data on a connection is retransmitted repeatedly, and no ACK comes.

Sees
    TCP segments of one connection that a host retransmits several times (0.2, 0.4, 0.8 … s apart) while nothing comes
    back on it. Where the other host answers on other connections meanwhile, the connection is dead or rejected. Where
    it sends nothing at all to that host, the path is interrupted or the host is down, whatever the service; it goes on
    when the same connection, or a new one, is answered. Or SYNs that are repeatedly answered by a bare ACK: the
    host still has an older connection with the same ports.

Why it matters
    TCP gives up after minutes (seen: 182 s); until then every call on that connection waits.

Not flagged when
    The other host boots, or is a silent client. A SYN is answered by an ACK, and the next accepted. Single segments are
    retransmitted and acknowledged. All answers between the two hosts are late by as much (NET007). Over UDP, which has
    no ACK, only one service is silent.

How to confirm
    conntrack -L on the firewalls between; idle timeouts of NAT, load balancers and cloud networks. For a silent host:
    ping, its console.

How to fix
    A longer idle timeout there than the longest pause of the mount. A silent host: boot it, or repair the network to
    it.

References
    RFC 9293; RFC 5382 (NAT timeouts); Linux net/sunrpc/xprtsock.c.

Parameters
    again: so many retransmissions (or SYNs) in one stretch without an answer
    silent_s: and a stretch of this length
    boot_s: a notice of reboot within this explains it
"""

from __future__ import annotations

from collections.abc import Iterator
from itertools import compress

from nfsrpc.columns import NAT, number_of
from nfsrpc.facts.attempts import Attempt, service_of
from nfsrpc.facts.basic import Span
from nfsrpc.facts.presence import Presence
from nfsrpc.facts.stalls import last_end, longest, longest_waits
from nfsrpc.facts.unacknowledged import Back, Stalled, Unacknowledged
from nfsrpc.findings.advice import bare, connects, wire_of
from nfsrpc.findings.command import command, remark
from nfsrpc.findings.finding import Answer, Evidence, Finding, Rule
from nfsrpc.rules import STALLED
from nfsrpc.tables import Calls, Flows
from nfsrpc.wording import SECOND, clock_time, duration, named, several

RULE = Rule(
    "NET003",
    "connection-stalled",
    "warning",
    explains=(*STALLED, "RPC005"),
    timed="always",
    log=("lockd-silent", "nfs-silent"),
    judges="RPC over TCP between hosts",
    passes="no connection stood still with data that was not acknowledged",
)


def check(
    unacknowledged: Unacknowledged,
    half_open: tuple[Attempt, ...],
    presence: Presence,
    span: Span | None,
    *,
    again: int = 3,
    silent_s: float = 5.0,
    boot_s: float = 180.0,
) -> Iterator[Answer]:
    stalls = [
        one
        for one in unacknowledged.stalls(again, silent_s)
        if not presence.has_booted(one.receiver, one.since, one.until, boot_s) and not unacknowledged.is_slow(one)
    ]
    dead = [unacknowledged.is_dead(one) for one in stalls]
    yield from map(finding, compress(stalls, dead))
    yield from map(was_silent, unacknowledged.silences(one for one, gone in zip(stalls, dead, strict=True) if not gone))
    for calls in unacknowledged.silent_hosts(again):
        since, until = int(calls["time"].min()), last_end(calls, span) or NAT
        if not presence.has_booted(calls.row(0).server, since, until, boot_s):
            yield fallen_silent(calls, presence, span)
    for attempt in half_open:
        if attempt.of_client and attempt.tries >= again and attempt.seconds >= silent_s:
            yield half_open_finding(attempt)


def fallen_silent(rows: Calls, presence: Presence, span: Span | None) -> Finding:
    server = rows.row(0).server
    clients = tuple(sorted({client for client in rows["client"].tolist() if client}))
    services = named({program for program in rows["program"].tolist() if program})
    return RULE.finding(
        certainty="likely",
        host=server,
        title=f"{server} has fallen silent: the whole host, not one service of it",
        explanation=(
            f"Nothing came from {server} after {clock_time(presence.last_seen[server].time)}, no ACK either, while "
            f"{named(clients)} sent and retransmitted {several(rows.count, 'call')} ({services}). It is "
            "down, or the network to it is cut."
        ),
        clients=clients,
        count=rows.count,
        first=int(rows["time"].min()),
        last=last_end(rows, span),
        evidence=tuple(longest_waits(rows, 4)),
        remedy=(
            command(
                "ping -c 3 {server}",
                on="{clients}",
                note="then its console, and the network",
                server=bare(server),
                clients=named(map(bare, clients)),
            ),
        ),
        verify=(
            command(
                "rpcinfo -t {server} 100003 3",
                on="{clients}",
                server=bare(server),
                clients=named(map(bare, clients)),
            ),
        ),
        needs=wire_of(server, clients),
        wait_s=longest(rows, span),
    )


def was_silent(silences: list[Back]) -> Finding:
    """One silence of a host towards another, by the connections that show it."""
    stalls = [one.stall for one in silences]
    sender, receiver = stalls[0].sender, stalls[0].receiver
    since, until = min(one.since for one in stalls), max(one.time for one in silences)
    again = number_of([one.flow for one in stalls], sum(one.again for one in stalls))
    wait = (until - since) / SECOND
    return RULE.finding(
        certainty="likely",
        host=receiver,
        title=f"nothing came from {receiver} to {sender} for {duration(wait)}: path interrupted, or host down",
        explanation=(
            f"{sender} retransmitted {several(again, 'TCP segment')} from {clock_time(since)}, and nothing came from "
            f"{receiver}, no ACK either, until {clock_time(until)}. TCP answers for every service of a host, so no "
            "single service caused it: the network between the two was interrupted, or the host stood still."
        ),
        clients=tuple(sorted({one.flow.client for one in stalls})),
        count=again,
        first=since,
        last=until,
        evidence=tuple(proof for one in silences[:MAX_CONNECTIONS] for proof in proofs(one)),
        remedy=(
            command(
                "last -x reboot; journalctl -k",
                on="{host}",
                note="was it down, or was its network interface? if neither: the switches and routers to it",
                host=bare(receiver),
            ),
        ),
        verify=(command("ping -c 5 {host}", on="{peer}", note="no loss", host=bare(receiver), peer=bare(sender)),),
        wait_s=max(one.until - one.since for one in stalls) / SECOND,
    )


MAX_CONNECTIONS = 3  # connections of one silence that are shown as evidence


def proofs(one: Back) -> Iterator[Evidence]:
    flow, call = one.stall.flow, one.stall.call
    if call is not None and call.call_frame is not None:
        yield Evidence(call.capture, call.call_frame, f"{call.procedure}, not acknowledged")
    else:
        yield Evidence(flow.capture, flow.frame, f"begin of the connection, port {flow.client_port}")
    yield one.evidence


def finding(one: Stalled) -> Finding:
    flow, call = one.flow, one.call
    rejected = is_rejected(one)
    wait = (one.until - one.since) / SECOND
    return RULE.finding(
        host=one.receiver,
        title=(
            f"a connection of {flow.client} to {flow.server} port {flow.server_port} is "
            f"{'rejected by ICMP' if rejected else 'dead: data without ACK'}"
        ),
        explanation=(
            f"{one.sender} retransmitted {several(one.again, 'segment')} within {duration(wait)}. "
            + (rejection(flow) if rejected else f"On this connection nothing came from {one.receiver} in that time, ")
            + (f"which answers on others. {LOST}" if not rejected else f"{one.receiver} answers on other connections.")
        ),
        clients=(flow.client,),
        count=one.again,
        first=one.since,
        last=one.until,
        evidence=(
            Evidence(flow.capture, flow.frame, f"begin of the connection, port {flow.client_port}"),
            *([Evidence(call.capture, call.call_frame, f"{call.procedure}, never acknowledged")] if call else []),
            *([Evidence.of(flow.capture, flow.icmp_frame, "ICMP unreachable")] if rejected else []),
        ),
        remedy=(
            command(
                "sysctl net.netfilter.nf_conntrack_tcp_timeout_established",
                on="{client}, {server} and what is between them",
                note="the idle timeout of a Linux firewall",
                client=bare(flow.client),
                server=bare(flow.server),
            ),
            remark("Raise the idle timeout of NAT, firewalls and load balancers between them above the pauses of NFS."),
        ),
        verify=(connects(flow.server, flow.server_port, bare(flow.client)),),
    )


LOST = "Something between them has lost the state of the connection, or drops what belongs to it."


def is_rejected(one: Stalled) -> bool:
    """Whether ICMP messages about the connection came while it stood still."""
    time = one.flow.icmp_time
    return time is not None and one.since <= time <= one.until + SECOND


def rejection(flow: Flows.Row) -> str:
    return (
        f"{several(flow.icmp, 'ICMP message')} (unreachable, code {flow.icmp_code}) came back about it: a firewall or "
        "router rejects what belongs to this connection. "
    )


def half_open_finding(attempt: Attempt) -> Finding:
    """SYNs that the host answers with the ACK of an older connection (RFC 9293 section 3.5.1; RFC 5961 section 4)."""
    host, port, source = attempt.server, attempt.port, attempt.sources[0]
    return RULE.finding(
        host=host,
        title=f"{host} answers SYNs of {attempt.client} to port {port} with a bare ACK: an older connection is open",
        explanation=(
            f"{attempt.client} sent {several(attempt.tries, 'SYN')} from source port {source} to the "
            f"{service_of(attempt)} of {host} in {duration(attempt.seconds)}, and each was answered by an ACK without "
            f"SYN. {host} still has an older connection with these ports, which the RST of the client should have "
            "closed: a firewall drops that RST, or changes sequence numbers."
        ),
        clients=(attempt.client,),
        count=attempt.tries,
        first=attempt.first,
        last=attempt.last,
        evidence=tuple(Evidence(*frame, "SYN, answered by an ACK without SYN") for frame in attempt.frames),
        remedy=(
            command(
                "ss -K dst {client} dport = {source} sport = {port}",
                on="{host}",
                note="closes that one older connection",
                host=bare(host),
                client=bare(attempt.client),
                source=source,
                port=port,
            ),
            remark("Firewalls between them have to let RST through, and must not change sequence numbers."),
        ),
        verify=(connects(host, port, bare(attempt.client)),),
        wait_s=attempt.seconds,
    )
