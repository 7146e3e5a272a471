"""The network loses or reorders packets.

Sees
    More than one TCP segment in a hundred between two hosts was retransmitted or came out of order. In which direction
    segments are lost, captures of both ends show: what is lost on the way comes to the receiver only once.

Why it matters
    Each loss costs a round trip, or 0.2 s and more when nothing follows it. RPC goes on; locks are granted later.

Not flagged when
    Fewer than ten segments are concerned; over loopback.

How to confirm
    nstat -az TcpRetransSegs on both hosts; ip -s link.

How to fix
    Look for errors of the links between these hosts: duplex, cables, drops of switches and of virtual interfaces.

References
    RFC 9293; RFC 6298.

Parameters
    share: of a pair's TCP segments, retransmitted or out of order
    segments: and at least so many
"""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np

from nfsrpc.columns import Array
from nfsrpc.facts.vantages import Vantages, lost_where
from nfsrpc.findings.command import command
from nfsrpc.findings.finding import Answer, Evidence, Finding, Rule
from nfsrpc.sessions.grouping import group, members
from nfsrpc.tables import Flows

RULE = Rule(
    "NET006",
    "packet-loss",
    "info",
    judges="RPC over TCP between hosts",
    passes="few TCP segments were retransmitted or out of order",
)


def check(
    connections: Flows,
    vantages: Vantages,
    *,
    share: float = 0.01,
    segments: int = 10,
) -> Iterator[Answer]:
    mine = connections.where((connections["transport"] == "tcp") & ~connections["loopback"] & connections["rpc"])
    pair, first = group(mine["client"].codes, mine["server"].codes)
    again, early = (total(mine, name, pair, len(first)) for name in ("retransmitted", "out_of_order"))
    frames = total(mine, "frames", pair, len(first))
    worse = (again + early >= segments) & (again + early > share * frames)
    parts = members(pair)
    for number in np.flatnonzero(worse).tolist():
        rows = mine.take(parts[number])
        where = lost_where(rows, vantages)
        yield finding(rows, int(again[number]), int(early[number]), int(frames[number]), where)


def total(flows: Flows, name: str, pair: Array, pairs: int) -> Array:
    both = flows.column(f"c_{name}").astype(np.float64) + flows.column(f"s_{name}")
    return np.bincount(pair, weights=both, minlength=pairs)


def finding(flows: Flows, again: int, early: int, frames: int, where: str) -> Finding:
    """The finding on one path; `where`: in which direction segments are lost, as far as that is known."""
    trouble = flows["c_retransmitted"] + flows["s_retransmitted"] + flows["c_out_of_order"] + flows["s_out_of_order"]
    worst = flows.row(int(np.argmax(trouble)))
    percent = 100 * (again + early) / max(frames, 1)
    return RULE.finding(
        host=None,
        title=f"packets are lost between {worst.client} and {worst.server}: {percent:.0f} % of their TCP segments",
        explanation=(
            f"Of {frames} TCP frames between them {again} were retransmitted and {early} came out of order. RPC goes "
            f"on; each loss delays a call or a reply.{where and ' '}{where}"
        ),
        clients=(worst.client,),
        count=flows.counted(again + early),
        first=int(flows["first"].min()),
        last=int(flows["last"].max()),
        evidence=(Evidence(worst.capture, worst.frame, f"the connection to port {worst.server_port} that lost most"),),
        remedy=(
            command(
                "nstat -az TcpRetransSegs; ip -s link", on="both hosts", note="which interface counts errors or drops"
            ),
        ),
    )
