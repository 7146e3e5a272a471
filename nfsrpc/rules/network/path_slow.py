"""Everything between two hosts is slow, not only locks.

Sees
    Handshakes and replies of all programs between two hosts are late by about the same, one after the other, from the
    first that is late to the last.

Why it matters
    Locks wait because the network is slow. The lock manager is not the cause.

Not flagged when
    Only NLM is late (RPC004), or only some calls. Calls that waited at the same time: then something stood still once,
    as when the path is interrupted (NET003).

How to confirm
    ping between the two hosts.

How to fix
    The network between them: a link that is overloaded, a queue that is too long (tc -s qdisc), a detour.

References
    RFC 9293; tc(8).

Parameters
    slow_s: everything is late by at least so much
    bad_s: a warning from here on
    calls: so many answers in a row have to agree
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import NamedTuple

import numpy as np

from nfsrpc.columns import Array, Mask, Table, isin
from nfsrpc.facts.basic import Roles
from nfsrpc.findings.advice import bare
from nfsrpc.findings.command import command
from nfsrpc.findings.finding import Answer, Evidence, Finding, Rule
from nfsrpc.protocols.numbers import Prog
from nfsrpc.rules import STALLED
from nfsrpc.sessions.grouping import Parts
from nfsrpc.tables import Calls, Flows, Tallies
from nfsrpc.wording import duration, several

RULE = Rule(
    "NET007",
    "path-slow",
    "warning",
    explains=(*STALLED, "RPC005", "MON002"),
    timed="always",
    log=("nfs-silent",),
    judges="answered calls",
    passes="answers of different programs were not late by about the same",
)

ENDS = ("client", "server")
PROGRAMS = (Prog.NFS, Prog.MOUNT, Prog.NLM, Prog.PORTMAP)


class Delay(NamedTuple):
    """The least delay of answers between two hosts, by kind."""

    typical: float
    kinds: int  # programs, and handshakes
    calls: int
    in_a_row: int  # slow calls of which none waited while another did
    rows: Calls


def check(
    exchanges: Calls,
    counted: Tallies,
    connections: Flows,
    roles: Roles,
    *,
    slow_s: float = 1.0,
    bad_s: float = 5.0,
    calls: int = 3,
) -> Iterator[Answer]:
    with np.errstate(invalid="ignore"):
        slow = exchanges.where((exchanges["latency_s"] >= slow_s) & isin(exchanges["prog"], PROGRAMS))
    pairs = {pair: rows for pair, rows in Parts(slow, *ENDS).items() if pair in roles.pairs}
    if not pairs:
        return
    answers = exchanges.where(exchanges.valid("latency_s"))
    answered = Parts(answers.where(between(answers, slow)), *ENDS)
    sums = Parts(counted.where(between(counted, slow)), *ENDS)
    handshakes = Parts(with_handshake(connections.where(between(connections, slow))), *ENDS)
    for (client, server), rows in pairs.items():
        both = client, server
        delay = delay_between(rows, answered[both], sums[both], handshakes[both])
        if delay is not None and delay.typical >= slow_s and delay.kinds > 1 and delay.in_a_row >= calls:
            yield finding(client, server, delay, bad_s)


def between(table: Table, rows: Table) -> Mask:
    """The rows of a table whose ends are among those of others."""
    mask: Mask = table["client"].isin(rows["client"].present()) & table["server"].isin(rows["server"].present())
    return mask


def with_handshake(connections: Flows) -> Flows:
    """Connections whose handshake was captured, without retransmission."""
    handshake = connections.valid("syn_time") & connections.valid("synack_time") & (connections["syn"] == 1)
    return connections.where(handshake)


def delay_between(slow: Calls, answered: Calls, sums: Tallies, handshakes: Flows) -> Delay | None:
    """The least of the quick answers of each kind, from the first slow call of two hosts to the last slow answer."""
    first, last = int(slow["time"].min()), int(slow["reply_time"].max())
    sums = sums.where((sums["last"] >= first) & (sums["first"] <= last))
    mine = answered.where((answered["time"] >= first) & (answered["reply_time"] <= last))
    quickest = [
        low(mine["latency_s"][mine["prog"] == prog], int(sums["exchanges"][sums["prog"] == prog].sum()))
        for prog in PROGRAMS
        if (mine["prog"] == prog).any() or (sums["prog"] == prog).any()
    ]
    meanwhile = handshakes.where((handshakes["syn_time"] >= first) & (handshakes["synack_time"] <= last))
    if len(meanwhile):
        quickest.append(low((meanwhile["synack_time"] - meanwhile["syn_time"]) / 1e9))
    if not quickest:
        return None
    total = mine.count + int(sums["exchanges"].sum())
    return Delay(min(quickest), len(quickest), total, in_a_row(slow), slow)


def in_a_row(rows: Calls) -> int:
    """The number of these calls that were sent after another of them had been answered."""
    count, free = 0, -1
    for time, reply in sorted(zip(rows["time"].tolist(), rows["reply_time"].tolist(), strict=True)):
        if time >= free:
            count, free = count + 1, reply
        free = min(free, reply)
    return count


def low(latencies: Array, quick: int = 0) -> float:
    """The tenth percentile of these latencies, with `quick` further ones that are only known to be short."""
    place = 0.1 * (len(latencies) + quick - 1) - quick
    return float(np.interp(place, np.arange(len(latencies)), np.sort(latencies))) if place >= 0 else 0.0


def finding(client: str, server: str, delay: Delay, bad_s: float) -> Finding:
    rows = delay.rows
    heads = list(rows.take(np.unique(rows["prog"], return_index=True)[1]).rows())
    return RULE.finding(
        severity="warning" if delay.typical >= bad_s else "info",
        host=None,
        title=f"everything between {client} and {server} takes {duration(delay.typical)} or more",
        explanation=(
            f"{several(delay.calls, 'answer')} and the handshakes between them are all late by at least "
            f"{duration(delay.typical)}, whatever the program: the network between them is slow, not the lock manager."
        ),
        clients=(client,),
        count=delay.calls,
        first=int(rows["time"].min()),
        last=int(rows["reply_time"].max()),
        evidence=tuple(
            Evidence(
                row.reply_capture, row.reply_frame, f"{row.program} {row.procedure} after {duration(row.latency_s)}"
            )
            for row in heads
            if row.reply_frame is not None and row.latency_s is not None
        ),
        remedy=(
            command("ping -c 5 {server}", on="{client}", server=bare(server), client=bare(client)),
            command("tc -s qdisc; ip -s link", on="both hosts", note="long queues, drops"),
        ),
        verify=(
            command(
                "ping -c 5 {server}",
                on="{client}",
                note="round trips of milliseconds",
                server=bare(server),
                client=bare(client),
            ),
        ),
        wait_s=float(rows["latency_s"].max()),
    )
