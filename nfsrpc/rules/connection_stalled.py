"""A connection is dead, and nobody has told its client.

Sees
    A TCP connection that worked, on which a host sends the same data again and again and gets no ACK, while the other
    host answers elsewhere; the call comes back on a new connection.

Why it hurts
    TCP gives up after minutes (seen: 182 s); until then whatever was asked on it waits.

Not flagged when
    The other host is silent altogether: it is down, or boots. Single segments are sent again and acknowledged.

How to confirm
    conntrack -L on the firewalls between; idle timeouts of NAT, load balancers and cloud networks.

How to fix
    A longer idle timeout there than the longest pause of the mount, or keepalives shorter than it
    (net.ipv4.tcp_keepalive_time).

References
    RFC 9293; RFC 5382 (NAT timeouts); Linux net/sunrpc/xprtsock.c.

Parameters
    again: so many segments sent again
    silent_s: and nothing heard for so long
    boot_s: a notice of reboot within this explains it
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any, NamedTuple

import numpy as np

from nfsrpc.rules.facts import SECOND, booting
from nfsrpc.rules.finding import Answer, Evidence, Finding, Rule
from nfsrpc.rules.wording import seconds
from nfsrpc.tables import NAT, Table

RULE = Rule("NET003", "connection-stalled", "warning")


class Stalled(NamedTuple):
    flow: Any
    sender: str
    receiver: str
    again: int
    since: int  # the first call that the receiver never acknowledged; else the receiver's last frame on it
    until: int  # the sender's last


def check(
    connections: Table,
    exchanges: Table,
    boots: Mapping[str, tuple[int, ...]],
    *,
    again: int = 3,
    silent_s: float = 5.0,
    boot_s: float = 180.0,
) -> Iterator[Answer]:
    tcp = connections.where((connections["transport"] == "tcp") & connections["rpc"] & ~connections["loopback"])
    stalled = [
        one
        for way, other in (("c", "s"), ("s", "c"))
        for one in of_direction(tcp, exchanges, way, other, again, silent_s)
        if answers_elsewhere(connections, one) and not booting(boots, one.receiver, one.since, one.until, boot_s)
    ]
    for one in stalled:
        yield finding(one)
    if not stalled and len(tcp):
        yield RULE.clear("no connection stood still with data that nobody acknowledged")
    elif not stalled:
        yield RULE.cannot_tell("no RPC over TCP between hosts in the capture")


def of_direction(tcp: Table, exchanges: Table, way: str, other: str, again: int, silent_s: float) -> Iterator[Stalled]:
    """Connections on which one side went on sending, and the other had fallen silent."""
    last, heard = tcp[f"{way}_last"], tcp[f"{other}_last"]
    known = (last != NAT) & (heard != NAT)
    silent = known & (np.where(known, last - heard, 0) >= silent_s * SECOND)
    rows = tcp.where(silent & (tcp[f"{way}_retransmitted"] >= again))
    for row in rows.rows():
        ends = (row.client, row.server) if way == "c" else (row.server, row.client)
        sent, since = getattr(row, f"{way}_retransmitted"), getattr(row, f"{other}_last")
        calls = exchanges["time"][(exchanges["flow"] == row.flow) & (exchanges["time"] > since)] if way == "c" else []
        yield Stalled(row, *ends, sent, min(map(int, calls), default=since), getattr(row, f"{way}_last"))


def answers_elsewhere(connections: Table, one: Stalled) -> bool:
    """Whether the silent host sent anything on other connections meanwhile."""
    others = connections["flow"] != one.flow.flow
    begun = connections["first"] <= one.until
    sent = (connections["client"] == one.receiver) & (connections["c_last"] > one.since + SECOND)
    answered = (connections["server"] == one.receiver) & (connections["s_last"] > one.since + SECOND)
    return bool((others & begun & (sent | answered)).any())


def finding(one: Stalled) -> Finding:
    flow = one.flow
    wait = (one.until - one.since) / SECOND
    return RULE.finding(
        host=one.receiver,
        title=f"a connection of {flow.client} to {flow.server} port {flow.server_port} is dead: data without ACK",
        explanation=(
            f"{one.sender} sent {one.again} segments again; on this connection nothing came from {one.receiver} for "
            f"{seconds(wait)}, which answers on others. Something between them has forgotten the connection."
        ),
        clients=(flow.client,),
        count=one.again,
        first=one.since,
        last=one.until,
        evidence=(Evidence(flow.capture, flow.frame, f"begin of the connection, port {flow.client_port}"),),
        remedy=(
            "sysctl net.ipv4.tcp_keepalive_time net.netfilter.nf_conntrack_tcp_timeout_established",
            "# Raise the idle timeout of NAT, firewalls and load balancers between them.",
        ),
    )
