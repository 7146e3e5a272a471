"""Some connections were captured in one direction only.

Sees
    RPC of which only the frames of one side were captured.

Why it matters
    Calls without a reply may have been answered, and replies belong to calls that are unknown. They are `undecided`.

Not flagged when
    The other side was silent: TCP segments to it were retransmitted, or calls over UDP had no reply. Of what begins
    just before the capture ends, the other side may be late. The other direction stands in another flow of the same
    addresses and ports: several processors wrote the frames of a short connection out of order.

How to confirm
    tcpdump without -Q, and with a filter that names hosts and not `src` or `dst`.

How to fix
    Capture on one of the two hosts, or on a port that mirrors both directions.

References
    tcpdump(8), option -Q; pcap-filter(7).

Parameters
    wait_s: a flow has to be known for so long before its silent direction is called missing
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import numpy as np

from nfsrpc.columns import Mask
from nfsrpc.facts.basic import Span, of_known_hosts
from nfsrpc.findings.advice import wire_of
from nfsrpc.findings.command import remark
from nfsrpc.findings.finding import Answer, Evidence, Finding, Rule
from nfsrpc.sessions.grouping import group, members
from nfsrpc.sessions.stretches import Stretches
from nfsrpc.tables import Flows
from nfsrpc.wording import SECOND, several

RULE = Rule("CAP001", "one-direction-only", "warning", judges="RPC", passes="both directions of all RPC were captured")


TORN = SECOND // 10  # frames are written out of order by milliseconds


def check(flows: Flows, span: Span | None, *, wait_s: float = 5.0) -> Iterator[Answer]:
    one_way = flows["rpc"] & ((flows["c_frames"] == 0) | (flows["s_frames"] == 0))
    if span is not None:
        one_way &= span.last - flows["first"] >= wait_s * SECOND
    rows = of_known_hosts(flows.where(one_way & not_silence(flows)), ("client", "server"))
    if len(rows):
        rows = rows.where(~is_torn(rows, flows))
    pair, _ = group(rows["vantage"], rows["client"].codes, rows["server"].codes)
    for part in members(pair):
        yield finding(rows.take(part))


def not_silence(flows: Flows) -> Mask:
    """Flows whose other side must have sent something that the capture lacks: replies without calls, or more data."""
    tcp = flows["transport"] == "tcp"
    replies_only = (flows["c_frames"] == 0) & (flows["s_replies"] > 0)
    unacknowledged = tcp & (flows["c_bytes"] > 0) & (flows["c_retransmitted"] == 0)
    mask: Mask = replies_only | unacknowledged
    return mask


def is_torn(rows: Flows, flows: Flows) -> Mask:
    """Flows in one direction of which the other one is in another flow of the same ends, at the same time."""
    both = {
        way: Stretches(ends_of(part), part["first"], part["last"])
        for way in ("c_frames", "s_frames")
        for part in (flows.where(flows[way] > 0),)
    }
    torn = (
        both["s_frames" if row.c_frames else "c_frames"].meet(ends, row.first - TORN, row.last + TORN)
        for row, ends in zip(rows.rows(), zip(*(column.tolist() for column in ends_of(rows)), strict=True), strict=True)
    )
    mask: Mask = np.fromiter(torn, dtype=np.bool_, count=len(rows))
    return mask


def ends_of(rows: Flows) -> tuple[Any, ...]:
    return tuple(rows[name] for name in ("vantage", "client", "client_port", "server", "server_port"))


def finding(rows: Flows) -> Finding:
    first = rows.row(int(np.argmin(rows["frame"])))
    sender = first.client if first.c_frames else first.server
    calls = int(rows["c_calls"].sum())
    replies = int(rows["s_replies"].sum())
    what = several(calls, "call") if first.c_frames else several(replies, "reply", "replies")
    return RULE.finding(
        host=None,
        title=f"only what {sender} sent was captured: {what} between {first.client} and {first.server} undecided",
        explanation=(
            f"Of {several(rows.count, 'connection')} between {first.client} and {first.server} the capture holds the "
            f"frames of {sender} only. It does not show whether these calls were answered, and how."
        ),
        clients=(first.client,),
        count=rows.count,
        first=int(rows["first"].min()),
        last=int(rows["last"].max()),
        evidence=(Evidence(first.capture, first.frame, f"sent by {sender}; nothing of the other side was captured"),),
        remedy=(remark("Capture there without -Q, and without src or dst in the filter."),),
        needs=wire_of(first.server, [first.client]),
    )
