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
from typing import Any, NamedTuple

import numpy as np

from nfsrpc.rules.advice import bare, wire_of
from nfsrpc.rules.command import command, remark
from nfsrpc.rules.facts import SECOND, Roles, Span, booting
from nfsrpc.rules.finding import Answer, Evidence, Finding, Rule
from nfsrpc.rules.holding import LastSeen
from nfsrpc.rules.stalls import ended, longest, waited
from nfsrpc.rules.wording import clock, named, seconds, several
from nfsrpc.sessions.exchanges import CALL_ACKED
from nfsrpc.tables import NAT, Array, Table, isin

RULE = Rule("NET003", "connection-stalled", "warning")


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
    stalled = [one for one in dead if answers_elsewhere(connections, one)]
    for one in stalled:
        yield finding(one)
    returned = [(one, back) for one in dead if one not in stalled and (back := back_again(connections, one))]
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
    if stalled or returned or silent:
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
    for row, since in zip(tcp.take(chosen).rows(), heard[chosen].tolist(), strict=True):
        ends = (row.client, row.server) if way == "c" else (row.server, row.client)
        sent = getattr(row, f"{way}_retransmitted")
        unheard = exchanges.where((exchanges["flow"] == row.flow) & (exchanges["time"] > since) & (way == "c"))
        call = min(unheard.rows(), key=lambda call: call.time, default=None)
        yield Stalled(row, *ends, sent, call, call.time if call else since, getattr(row, f"{way}_last"))


def answers_elsewhere(connections: Table, one: Stalled) -> bool:
    """Whether the silent host sent anything on other connections meanwhile."""
    others = connections["flow"] != one.flow.flow
    begun = connections["first"] <= one.until
    sent = (connections["client"] == one.receiver) & (connections["c_last"] > one.since + SECOND)
    answered = (connections["server"] == one.receiver) & (connections["s_last"] > one.since + SECOND)
    return bool((others & begun & (sent | answered)).any())


def back_again(connections: Table, one: Stalled) -> Any:
    """The connection on which a server that had fallen silent answered again, if it did."""
    same = (connections["client"] == one.sender) & (connections["server"] == one.receiver)
    same &= (connections["server_port"] == one.flow.server_port) & (connections["s_replies"] > 0)
    later = connections.where(same & (connections["synack_time"] > one.until))
    return min(later.rows(), key=lambda row: row.synack_time, default=None)


def of_silent_hosts(
    exchanges: Table, resent: Array, last_seen: Mapping[str, LastSeen], servers: Collection[str]
) -> Iterator[Table]:
    """Calls to a server that were sent again in vain, while nothing of that host came any more; by server."""
    open_ = exchanges.where((exchanges["state"] == "unanswered") & ~exchanges["loopback"])
    over_tcp = isin(open_["flow"], resent) & (open_["flags"] & CALL_ACKED == 0)
    for server in sorted({name for name in open_["server"].tolist() if name in servers and name in last_seen}):
        here = (open_["server"] == server) & (open_["time"] >= last_seen[server].time - SECOND)
        rows = open_.where(here & (over_tcp | (open_["retransmits"] > 0)))
        if (here & over_tcp).any() or len(set(rows["prog"].tolist())) > 1:
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
            f"Nothing came from {server} after {clock(last_seen[server].time)}, no ACK either, while {named(clients)} "
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
            f"until it accepted a new connection at {clock(back.synack_time)}. It was down, or the network to it was "
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
