"""statd takes long to agree to watch a host.

Sees
    SM_MON answered after a second or more, and lock requests late by as much; questions for DNS (port 53) that stay
    without answer in the same time.

Why it hurts
    A server's lockd serves nobody while its statd thinks. statd looks the name up first: with a name service that does
    not answer it takes 5 s a try.

Not flagged when
    SM_MON was answered within a second.

How to confirm
    On that host: time getent hosts ADDRESS-OF-THE-CLIENT.

How to fix
    Repair the resolver (/etc/resolv.conf), or put the peers into /etc/hosts.

References
    resolv.conf(5), timeout and attempts; rpc.statd(8).

Parameters
    slow_s: statd is slow from here on
    gave_up_s: from here on lockd has given up: MON003
"""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np

from nfsrpc.rules.facts import SECOND, Roles, Span
from nfsrpc.rules.finding import Answer, Evidence, Finding, Rule
from nfsrpc.rules.monitoring import nothing_seen
from nfsrpc.rules.stalls import Hurt, hurt, waited
from nfsrpc.rules.wording import named, seconds, several
from nfsrpc.tables import Table

RULE = Rule("MON002", "monitor-slow", "warning")

DNS = 53


def check(
    monitors: Table,
    stalls: Table,
    connections: Table,
    roles: Roles,
    loopbacks: frozenset[str],
    span: Span | None,
    *,
    slow_s: float = 1.0,
    gave_up_s: float = 55.0,
) -> Iterator[Answer]:
    asked = monitors.where((monitors["procedure"] == "MON") & monitors.valid("latency_s"))
    slow = asked.where((asked["latency_s"] >= slow_s) & (asked["latency_s"] < gave_up_s))
    for host in sorted({host for host in slow["host"].tolist() if host}):
        rows = slow.where(slow["host"] == host)
        first, last = int(rows["time"].min()), int(rows["reply_time"].max())
        yield finding(host, rows, hurt(stalls, span, host, first, last), names_unanswered(connections, first, last))
    if len(slow):
        return
    if len(asked):
        yield RULE.clear(f"statd agreed to watch within {seconds(float(asked['latency_s'].max()))}")
    else:
        yield from nothing_seen(RULE, roles, loopbacks)


def names_unanswered(connections: Table, first: int, last: int) -> list[Evidence]:
    """Questions for DNS without answer meanwhile."""
    asked = (connections["server_port"] == DNS) & (connections["s_frames"] == 0)
    asked &= (connections["first"] >= first - SECOND) & (connections["first"] <= last + SECOND)
    rows = connections.where(asked)
    return [Evidence(row.capture, row.frame, f"{row.client} asks DNS, no answer") for row in rows.rows()][:2]


def finding(host: str, rows: Table, victims: Hurt, dns: list[Evidence]) -> Finding:
    longest = float(rows["latency_s"].max())
    worst = rows.row(int(np.argmax(rows["latency_s"])))
    names = named({name for name in rows["mon_name"].tolist() if name})
    because = "Its questions for DNS stayed without answer meanwhile." if dns else "Most often it waits for DNS."
    return RULE.finding(
        host=host,
        title=f"the rpc.statd of {host} takes up to {seconds(longest)} to agree to watch {names}",
        explanation=(
            f"{several(len(rows), 'SM_MON')} of its lockd answered after up to {seconds(longest)}; meanwhile lockd "
            f"serves nobody. {because}"
        ),
        clients=victims.clients,
        count=len(rows),
        first=int(rows["time"].min()),
        last=int(rows["reply_time"].max()),
        evidence=(
            Evidence(worst.capture, worst.frame, f"SM_MON {worst.mon_name}"),
            *dns,
            Evidence(worst.reply_capture, worst.reply_frame, f"agreed, after {seconds(longest)}"),
            *waited(victims.rows, 1),
        ),
        remedy=(
            *(f"time getent hosts {name}" for name in sorted({name for name in rows["mon_name"].tolist() if name})[:3]),
            "cat /etc/resolv.conf   # does this resolver answer? else add the clients to /etc/hosts",
        ),
        verify=(f"time getent hosts {worst.mon_name}   # on {host}: within milliseconds",),
        wait_s=victims.wait_s,
    )
