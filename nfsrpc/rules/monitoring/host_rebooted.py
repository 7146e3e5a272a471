"""A host announces that it has rebooted.

Sees
    SM_NOTIFY with its new state (odd: it is up), or statd's downcall to lockd about it. A warning when connections that
    the host had before go on as if nothing had happened, while it holds locks: then it has not rebooted, and its locks
    were dropped all the same.

Why it matters
    Its peers drop the locks that it had, or reclaim those that they had there: as it should be, if it is true.

Not flagged when
    Never; it is information unless it is false.

How to confirm
    uptime -s on that host; journalctl -u rpc-statd-notify.

How to fix
    A false notice: sm-notify -f was run while locks were held. What holds locks there has to be restarted.

References
    X/Open C702 chapter 11; sm-notify(8).

Parameters
    before_s: a connection this much older than the notice
    after_s: and used this long after it is one that a reboot would have ended
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from functools import cached_property
from typing import Any

import numpy as np

from nfsrpc.columns import number_of
from nfsrpc.findings.command import remark
from nfsrpc.findings.finding import Answer, Evidence, Finding, Rule
from nfsrpc.sessions.grouping import Parts
from nfsrpc.tables import Flows, Locks, Monitors
from nfsrpc.wording import NAME_CUT, SECOND, clock_time, named

RULE = Rule(
    "MON006",
    "host-rebooted",
    "info",
    log=("grace-period", "reclaim-failed"),
    judges="TCP or UDP",
    passes="no host sent a notice of a reboot",
)


def check(
    monitors: Monitors,
    flows: Flows,
    locks: Locks,
    boots: Mapping[str, tuple[int, ...]],
    *,
    before_s: float = 5.0,
    after_s: float = 2.0,
) -> Iterator[Answer]:
    notices = Parts(monitors.where(monitors["procedure"] == "NOTIFY"), "asker")
    lived, granted = LiveConnections(flows), Parts(locks.where(locks.valid("granted")) if boots else locks, "client")
    for host, times in sorted(boots.items()):
        outlived = lived.across(host, times[0], before_s, after_s) if holds(granted[host], times[0]) else []
        yield finding(host, times, notices[host], outlived)
    downcalls = monitors.where(monitors["procedure"] == "DOWNCALL")
    rows = [row for row in downcalls.rows() if (row.peer or row.mon_name) not in boots]
    if rows:
        yield from_downcalls(rows)


def holds(granted: Locks, time: int) -> bool:
    """Whether a client holds a lock at that time that it was granted before."""
    held = granted.where(granted["time"] < time)
    return bool((held["unlock"] > time).any() or (held["state"] == "held").any())


class LiveConnections:
    """TCP connections, grouped by each host that sent on them."""

    def __init__(self, flows: Flows) -> None:
        self.tcp = flows.where((flows["transport"] == "tcp") & (flows["syn"] <= 1))

    @cached_property
    def parts(self) -> dict[str, Parts[Flows]]:
        ways = (("client", "c"), ("server", "s"))
        return {side: Parts(self.tcp.where(self.tcp.column(f"{way}_rst") == 0), side) for side, way in ways}

    def across(self, host: str, time: int, before_s: float, after_s: float) -> list[Evidence]:
        """The evidence of a connection on which the host kept sending across its reboot; empty without one."""
        found: list[Any] = []
        for side, rows in ((side, part[host]) for side, part in self.parts.items()):
            going = (rows["first"] < time - before_s * SECOND) & (
                rows.column(f"{side[0]}_last") > time + after_s * SECOND
            )
            found += rows.take(np.flatnonzero(going)[:1]).rows()
        first = sorted(found, key=lambda row: (row.capture, row.frame))[:1]
        return [Evidence(row.capture, row.frame, "a connection that outlives the reboot") for row in first]


def finding(host: str, times: tuple[int, ...], notices: Monitors, outlived: list[Evidence]) -> Finding:
    first = notices.row(0)
    peers = tuple(sorted({peer for peer in notices["host"].tolist() if peer}))
    false = bool(outlived)
    outcome = (
        "But its connections went on, and it held locks: its peers have dropped them, and it goes on without."
        if false
        else "Its peers drop its locks, or reclaim theirs."
    )
    return RULE.finding(
        severity="warning" if false else "info",
        certainty="likely" if false else "certain",
        host=host,
        title=f"{host} announced a reboot and did not reboot" if false else f"{host} announced a reboot",
        explanation=(
            f"{host} notified {named(peers)} at {clock_time(times[0])} "
            f"(SM_NOTIFY {', '.join(filter(None, known(first)))}). {outcome}"
        ),
        clients=peers,
        count=notices.count,
        first=times[0],
        last=times[-1],
        evidence=(Evidence(first.capture, first.frame, f"SM_NOTIFY to {first.host}"), *outlived),
        remedy=(
            (
                remark("restart what holds NFS locks there: they are lost.", on="{host}", host=host),
                remark("do not run sm-notify -f while locks are held.", on="{host}", host=host),
            )
            if false
            else ()
        ),
    )


def from_downcalls(rows: list[Monitors.Row]) -> Finding:
    row = rows[0]
    name, state = known(row)
    return RULE.finding(
        host=row.peer,
        title=f"statd of {row.host} reported a reboot of {name} to lockd",
        explanation=f"statd of {row.host} made a downcall to its lockd about {name}{state and f' ({state})'}.",
        count=number_of(rows),
        first=row.time,
        last=rows[-1].time,
        evidence=(Evidence(row.capture, row.frame, "downcall of statd to lockd"),),
    )


def known(row: Monitors.Row) -> tuple[str, str]:
    """The host that a notice or a downcall names, and a clause on its state, as far as they were captured."""
    return row.mon_name or NAME_CUT, "" if row.nsm_state is None else f"state {row.nsm_state}"
