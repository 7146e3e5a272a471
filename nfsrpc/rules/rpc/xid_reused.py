"""A client uses one transaction identifier for two different calls.

Sees
    Two calls on one connection (or pair of ports) with the same xid and different procedures within a minute.

Why it matters
    A server keeps replies in its duplicate request cache, and may answer the second call with the reply to the first.

Not flagged when
    The same call was retransmitted. The two calls are further apart.

How to confirm
    The frames named.

How to fix
    A defect of the client, often a user-space one: update it.

References
    RFC 5531 section 8.

Parameters
    within_s: two calls with one xid so close are too close
"""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np

from nfsrpc.columns import distinct, isin
from nfsrpc.findings.finding import Answer, Evidence, Rule
from nfsrpc.tables import Calls, Tallies
from nfsrpc.wording import SECOND, several

RULE = Rule(
    "RPC003",
    "xid-reused",
    "info",
    timed="always",
)


def check(exchanges: Calls, counted: Tallies, *, within_s: float = 60.0) -> Iterator[Answer]:
    calls = len(exchanges) + int(counted["exchanges"].sum())
    if not calls:
        yield RULE.cannot_tell("no calls in the capture")
        return
    key = exchanges["flow"].astype(np.int64) << 32 | exchanges["xid"]
    ordered = np.sort(key)
    several_times = isin(key, distinct(ordered[1:][ordered[1:] == ordered[:-1]]))
    rows, key = exchanges.where(several_times), key[several_times]
    order = np.argsort(key, kind="stable")
    key, time = key[order], rows["time"][order]
    what = (rows["prog"].astype(np.int64) << 32 | rows["proc"])[order]
    again = (key[1:] == key[:-1]) & (what[1:] != what[:-1]) & (np.abs(time[1:] - time[:-1]) < within_s * SECOND)
    at = np.flatnonzero(again)
    if not len(at):
        yield RULE.clear(f"{several(calls, 'call')}, each with an xid of its own")
        return
    often = rows.counted(len(at))
    first, second = rows.row(int(order[at[0]])), rows.row(int(order[at[0] + 1]))
    yield RULE.finding(
        host=first.client,
        title=f"{first.client} used an xid for two different calls, {several(often, 'time')}",
        explanation=(
            f"xid {first.xid:#010x} stands for {first.procedure} and, within a minute, for {second.procedure}. A "
            "server's memory of answers may confuse them."
        ),
        clients=(first.client,),
        count=often,
        first=first.time,
        last=int(time[at[-1] + 1]),
        evidence=(
            Evidence(first.capture, first.call_frame, f"{first.procedure}, xid {first.xid:#010x}"),
            Evidence(second.capture, second.call_frame, f"{second.procedure}, the same xid"),
        ),
    )
