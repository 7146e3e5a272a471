"""A connection is dead, and nobody has told its client.

Sees
    A TCP connection that worked, on which a host sends the same data again and again and gets no ACK, while the other
    host answers elsewhere; the call comes back on a new connection. Or nothing at all comes from a server meanwhile, or
    any more, while its clients send their calls again: then it is likely down or cut off, and no matter of its lockd.

Why it hurts
    TCP gives up after minutes (seen: 182 s); until then whatever was asked on it waits.

Not flagged when
    The other host boots, or is a silent client. Single segments are sent again and acknowledged. Over UDP, where nobody
    acknowledges, only one service is silent.

How to confirm
    conntrack -L on the firewalls between; idle timeouts of NAT, load balancers and cloud networks. Of a silent host:
    ping, its console.

How to fix
    A longer idle timeout there than the longest pause of the mount, or keepalives shorter than it
    (net.ipv4.tcp_keepalive_time). A silent host: boot it, or mend the network to it.

References
    RFC 9293; RFC 5382 (NAT timeouts); Linux net/sunrpc/xprtsock.c.

Parameters
    again: so many segments sent again
    silent_s: and nothing heard for so long
    boot_s: a notice of reboot within this explains it
"""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping
from itertools import compress
from typing import Any, NamedTuple

import numpy as np

from nfsrpc.columns import NAT, Array, Table, isin
from nfsrpc.facts.basic import Roles, Span, booting
from nfsrpc.facts.stalls import ended, longest, waited
from nfsrpc.facts.waiters import LastSeen
from nfsrpc.findings.advice import bare, wire_of
from nfsrpc.findings.command import command, remark
from nfsrpc.findings.finding import Answer, Evidence, Finding, Rule
from nfsrpc.rules import STALLED
from nfsrpc.sessions.exchanges import CALL_ACKED
from nfsrpc.sessions.grouping import Parts
from nfsrpc.sessions.stretches import Stretches
from nfsrpc.wording import SECOND, named, seconds, several, utc

RULE = Rule(
    "NET003",
    "connection-stalled",
    "warning",
    explains=(*STALLED, "RPC005"),
    timed="always",
    log=("lockd-silent", "nfs-silent"),
)


class Stalled(NamedTuple):
    flow: Any
    sender: str
    receiver: str
    again: int
    call: Any | None  # the first that the receiver never acknowledged
    since: int  # when that was sent; else the receiver's last frame on it
    until: int  # the sender's last


def check(
    connections: Table,
    exchanges: Table,
    last_seen: Mapping[str, LastSeen],
    roles: Roles,
    boots: Mapping[str, tuple[int, ...]],
    sending: Stretches,
    span: Span | None,
    *,
    again: int = 3,
    silent_s: float = 5.0,
    boot_s: float = 180.0,
) -> Iterator[Answer]:
    tcp = connections.where((connections["transport"] == "tcp") & connections["rpc"] & ~connections["loopback"])
    dead = [
        one
        for way, other in (("c", "s"), ("s", "c"))
        for one in of_direction(tcp, exchanges, way, other, again, silent_s)
        if not booting(boots, one.receiver, one.since, one.until, boot_s)
    ]
    alive = [answers_elsewhere(sending, one) for one in dead]
    for one in compress(dead, alive):
        yield finding(one)
    answered = Accepted(connections) if not all(alive) else None
    returned = [
        (one, back)
        for one, living in zip(dead, alive, strict=True)
        if answered and not living and (back := answered.after(one)) is not None
    ]
    for one, back in returned:
        yield was_silent(one, back)
    resent = tcp["flow"][tcp["c_retransmitted"] >= again]
    silent = [
        rows
        for rows in of_silent_hosts(exchanges, resent, last_seen, roles.servers)
        if not booting(boots, rows.row(0).server, int(rows["time"].min()), ended(rows, span) or NAT, boot_s)
    ]
    for rows in silent:
        yield fallen_silent(rows, last_seen, span)
    if any(alive) or returned or silent:
        return
    if len(tcp):
        yield RULE.clear("no connection stood still with data that nobody acknowledged")
    else:
        yield RULE.cannot_tell("no RPC over TCP between hosts in the capture")


def of_direction(tcp: Table, exchanges: Table, way: str, other: str, again: int, silent_s: float) -> Iterator[Stalled]:
    """Connections on which one side went on sending, and the other had fallen silent."""
    last, heard = tcp[f"{way}_last"], tcp[f"{other}_last"]
    heard = np.where(heard == NAT, tcp["first"] - 1, heard)  # never: the connection died before the capture began
    known = (last != NAT) & (tcp["first"] != NAT)
    silent = known & (np.where(known, last - heard, 0) >= silent_s * SECOND)
    chosen = np.flatnonzero(silent & (tcp[f"{way}_retransmitted"] >= again))
    called = Parts(exchanges.where(isin(exchanges["flow"], tcp["flow"][chosen]) & (way == "c")), "flow")
    for row, since in zip(tcp.take(chosen).rows(), heard[chosen].tolist(), strict=True):
        ends = (row.client, row.server) if way == "c" else (row.server, row.client)
        sent = getattr(row, f"{way}_retransmitted")
        mine = called[row.flow]
        unheard = mine.where(mine["time"] > since)
        call = min(unheard.rows(), key=lambda call: call.time, default=None)
        yield Stalled(row, *ends, sent, call, call.time if call else since, getattr(row, f"{way}_last"))


def answers_elsewhere(sending: Stretches, one: Stalled) -> bool:
    """Whether the silent host sent anything on other connections meanwhile; on this one it had not for longer."""
    return sending.meet(one.receiver, one.since + SECOND + 1, one.until)


class Accepted:
    """Connections on which a server answered, by its port and its client."""

    def __init__(self, connections: Table) -> None:
        rows = connections.where((connections["s_replies"] > 0) & connections.valid("synack_time"))
        self.parts = Parts(rows.take(np.argsort(rows["synack_time"], kind="stable")), "client", "server", "server_port")

    def after(self, one: Stalled) -> Any:
        """The connection on which a server that had fallen silent answered again, if it did."""
        rows = self.parts[one.sender, one.receiver, one.flow.server_port]
        at = int(np.searchsorted(rows["synack_time"], one.until, "right"))
        return rows.row(at) if at < len(rows) else None


def of_silent_hosts(
    exchanges: Table, resent: Array, last_seen: Mapping[str, LastSeen], servers: Collection[str]
) -> Iterator[Table]:
    """Calls to a server that were sent again in vain, while nothing of that host came any more; by server."""
    open_ = exchanges.where((exchanges["state"] == "unanswered") & ~exchanges["loopback"])
    over_tcp = isin(open_["flow"], resent) & (open_["flags"] & CALL_ACKED == 0)
    unheard = set(open_["exchange"][over_tcp].tolist())
    for server, rows in Parts(open_.where(over_tcp | (open_["retransmits"] > 0)), "server").items():
        if server in servers and server in last_seen:
            rows = rows.where(rows["time"] >= last_seen[server].time - SECOND)
            if not unheard.isdisjoint(rows["exchange"].tolist()) or len(set(rows["prog"].tolist())) > 1:
                yield rows


def fallen_silent(rows: Table, last_seen: Mapping[str, LastSeen], span: Span | None) -> Finding:
    server = rows.row(0).server
    clients = tuple(sorted({client for client in rows["client"].tolist() if client}))
    services = named({program for program in rows["program"].tolist() if program})
    return RULE.finding(
        certainty="likely",
        host=server,
        title=f"{server} has fallen silent: the whole host, not one service of it",
        explanation=(
            f"Nothing came from {server} after {utc(last_seen[server].time)}, no ACK either, while {named(clients)} "
            f"sent {several(len(rows), 'call')} ({services}) again and again. It is down, or the network to it is cut."
        ),
        clients=clients,
        count=len(rows),
        first=int(rows["time"].min()),
        last=ended(rows, span),
        evidence=tuple(waited(rows, 4)),
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


def was_silent(one: Stalled, back: Any) -> Finding:
    wait = (back.synack_time - one.since) / SECOND
    return RULE.finding(
        certainty="likely",
        host=one.receiver,
        title=f"{one.receiver} was silent for {seconds(wait)}: the whole host, not one service of it",
        explanation=(
            f"{one.sender} sent {one.again} segments again, and nothing came from {one.receiver}, no ACK either, "
            f"until it accepted a new connection at {utc(back.synack_time)}. It was down, or the network to it was "
            "cut."
        ),
        clients=(one.sender,),
        count=one.again,
        first=one.since,
        last=back.synack_time,
        evidence=(
            Evidence(one.flow.capture, one.flow.frame, f"begin of the connection, port {one.flow.client_port}"),
            Evidence(back.capture, back.frame, "the next one to that port"),
        ),
        remedy=(
            command(
                "last -x reboot; journalctl -k",
                on="{host}",
                note="was it down? else the network to it",
                host=bare(one.receiver),
            ),
        ),
        wait_s=wait,
    )


def finding(one: Stalled) -> Finding:
    flow, call = one.flow, one.call
    wait = (one.until - one.since) / SECOND
    return RULE.finding(
        host=one.receiver,
        title=f"a connection of {flow.client} to {flow.server} port {flow.server_port} is dead: data without ACK",
        explanation=(
            f"{one.sender} sent {one.again} segments again; on this connection nothing came from {one.receiver} for "
            f"{seconds(wait)}, which answers on others. Something between them has forgotten the connection, or drops "
            "what belongs to it."
        ),
        clients=(flow.client,),
        count=one.again,
        first=one.since,
        last=one.until,
        evidence=(
            Evidence(flow.capture, flow.frame, f"begin of the connection, port {flow.client_port}"),
            *([Evidence(call.capture, call.call_frame, f"{call.procedure}, never acknowledged")] if call else []),
        ),
        remedy=(
            command(
                "sysctl net.ipv4.tcp_keepalive_time net.netfilter.nf_conntrack_tcp_timeout_established",
                on="{client}, {server} and what is between them",
                client=bare(flow.client),
                server=bare(flow.server),
            ),
            remark("Raise the idle timeout of NAT, firewalls and load balancers between them."),
            command(
                "nc -vz {server} {port}",
                on="{client}",
                note="are new ones dropped as well?",
                server=bare(flow.server),
                port=flow.server_port,
                client=flow.client,
            ),
        ),
    )
