"""Everything between two hosts is slow, not only locks.

Sees
    Handshakes, ACKs and replies of all programs between two hosts are late by about the same.

Why it hurts
    Locks wait because the network does. The lock manager is not to blame.

Not flagged when
    Only NLM is late (RPC004), or only some calls.

How to confirm
    ping between the two hosts.

How to fix
    The network between them: a link that is overloaded, a queue that is too long (tc -s qdisc), a detour.

References
    RFC 9293; tc(8).

Parameters
    slow_s: everything is late by at least so much
    bad_s: a warning from here on
    calls: so many answers have to agree
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import NamedTuple

import numpy as np

from nfsrpc.rules.facts import MOUNT, NFS, NLM, PORTMAP, Roles
from nfsrpc.rules.finding import Answer, Evidence, Finding, Rule
from nfsrpc.rules.wording import seconds, several
from nfsrpc.tables import Array, Table, isin

RULE = Rule("NET007", "path-slow", "warning")

PROGRAMS = (NFS, MOUNT, NLM, PORTMAP)


class Delay(NamedTuple):
    """How late answers between two hosts are at the least, by kind."""

    typical: float
    kinds: int  # programs, and handshakes
    calls: int


def check(
    exchanges: Table,
    counted: Table,
    connections: Table,
    roles: Roles,
    *,
    slow_s: float = 1.0,
    bad_s: float = 5.0,
    calls: int = 3,
) -> Iterator[Answer]:
    with np.errstate(invalid="ignore"):
        slow = exchanges.where((exchanges["latency_s"] >= slow_s) & isin(exchanges["prog"], PROGRAMS))
    found = False
    for client, server in sorted(roles.pairs) if len(slow) else ():
        delay = delay_between(exchanges, counted, connections, client, server)
        if delay is not None and delay.typical >= slow_s and delay.kinds > 1 and delay.calls >= calls:
            found = True
            yield finding(client, server, delay, slow, bad_s)
    if found:
        return
    if len(counted) or exchanges.valid("latency_s").any():
        yield RULE.clear("answers of different programs were not late alike")
    else:
        yield RULE.cannot_tell("no answered calls in the capture")


def delay_between(exchanges: Table, counted: Table, connections: Table, client: str, server: str) -> Delay | None:
    """The least of the quick answers of each kind, if all kinds are late alike."""
    sums = counted.where((counted["client"] == client) & (counted["server"] == server))
    here = (exchanges["client"] == client) & (exchanges["server"] == server) & exchanges.valid("latency_s")
    mine = exchanges.where(here)
    quickest = [
        low(mine["latency_s"][mine["prog"] == prog], int(sums["exchanges"][sums["prog"] == prog].sum()))
        for prog in PROGRAMS
        if (mine["prog"] == prog).any() or (sums["prog"] == prog).any()
    ]
    opened = connections.where(
        (connections["client"] == client)
        & (connections["server"] == server)
        & connections.valid("syn_time")
        & connections.valid("synack_time")
        & (connections["syn"] == 1)
    )
    if len(opened):
        quickest.append(low((opened["synack_time"] - opened["syn_time"]) / 1e9))
    if not quickest:
        return None
    return Delay(min(quickest), len(quickest), len(mine) + int(sums["exchanges"].sum()))


def low(latencies: Array, quick: int = 0) -> float:
    """What a tenth of these fall short of, and of further ones that are only known to be quick."""
    place = 0.1 * (len(latencies) + quick - 1) - quick
    return float(np.interp(place, np.arange(len(latencies)), np.sort(latencies))) if place >= 0 else 0.0


def finding(client: str, server: str, delay: Delay, slow: Table, bad_s: float) -> Finding:
    rows = slow.where((slow["client"] == client) & (slow["server"] == server))
    heads = list(rows.take(np.unique(rows["prog"], return_index=True)[1]).rows())
    return RULE.finding(
        severity="warning" if delay.typical >= bad_s else "info",
        host=None,
        title=f"everything between {client} and {server} takes {seconds(delay.typical)} or more",
        explanation=(
            f"All {several(delay.calls, 'answer')} and handshakes between them are late by at least "
            f"{seconds(delay.typical)}, whatever the program: the network between them is slow, not the lock manager."
        ),
        clients=(client,),
        count=delay.calls,
        first=int(rows["time"].min()),
        last=int(rows["reply_time"].max()),
        evidence=tuple(
            Evidence(
                row.reply_capture, row.reply_frame, f"{row.program} {row.procedure} after {seconds(row.latency_s)}"
            )
            for row in heads
            if row.reply_frame is not None
        ),
        remedy=(f"ping -c 5 {server}   # from {client}", "tc -s qdisc; ip -s link   # on both"),
        wait_s=float(rows["latency_s"].max()) if len(rows) else None,
    )
