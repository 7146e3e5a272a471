"""statd and its resolver: statd is asked over its host's loopback, which few captures hold, and asks DNS for names."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from nfsrpc.columns import Mask
from nfsrpc.facts.basic import Roles, Span, fact
from nfsrpc.findings.advice import bare, loopback_of
from nfsrpc.findings.command import Command, command
from nfsrpc.findings.finding import Evidence, Need
from nfsrpc.protocols.numbers import Port
from nfsrpc.sessions.grouping import Parts
from nfsrpc.sessions.stretches import Stretches
from nfsrpc.tables import Flows, Monitors
from nfsrpc.wording import SECOND


class DnsQueries:
    """DNS queries without answer, by host."""

    def __init__(self, connections: Flows) -> None:
        rows = connections.where((connections["server_port"] == Port.DNS) & (connections["s_frames"] == 0))
        self.parts = Parts(rows, "client")
        self.times = Stretches((rows["client"],), rows["first"])

    def has_queries(self, host: str, first: int, last: int) -> bool:
        """Whether a host sent DNS queries without answer in a stretch of time."""
        return self.times.meet(host, first - SECOND, last + SECOND)

    def evidence(self, host: str, first: int, last: int) -> list[Evidence]:
        """The first DNS queries without answer in a stretch of time."""
        rows = self.parts[host]
        meanwhile = np.flatnonzero((rows["first"] >= first - SECOND) & (rows["first"] <= last + SECOND))
        first_rows = rows.take(meanwhile[:2]).rows()
        return [Evidence(row.capture, row.frame, f"{row.client} asks DNS, no answer") for row in first_rows]


@fact
def unresolved(connections: Flows) -> DnsQueries:
    """The DNS queries without answer."""
    return DnsQueries(connections)


def still_resolving(monitors: Monitors, unresolved: DnsQueries, span: Span | None, gave_up_s: float) -> Mask:
    """SM_MON that have no answer yet when the capture ends, and DNS gives that statd none."""
    mask: Mask = (monitors["state"] == "unanswered") & monitors.valid("time")
    if span is not None:
        mask &= span.last - monitors["time"] < gave_up_s * SECOND
    numbers = np.flatnonzero(mask)
    for number, row in zip(numbers.tolist(), monitors.take(numbers).rows(), strict=True):
        mask[number] = span is not None and unresolved.has_queries(row.host, row.time, span.last)
    return mask


def resolver(host: str) -> Command:
    """The command that shows the resolver of a host's statd."""
    return command(
        "cat /etc/resolv.conf",
        on="{host}",
        note="does this resolver answer? else add the peers to /etc/hosts",
        host=bare(host),
    )


class Unseen(NamedTuple):
    """What of a statd is not in the capture, and the capture point that would show it."""

    why: str
    needs: Need | None


@fact
def unseen_statd(roles: Roles, loopbacks: frozenset[str]) -> Unseen:
    """The reason why the capture holds no SM_MON of lock servers."""
    servers = sorted(roles.lock_servers - loopbacks)
    if not servers:
        return Unseen("no SM_MON in the capture", None)
    need = loopback_of(servers[0], roles.clients_of(servers[0]))
    return Unseen(f"the loopback of {servers[0]} was not captured", need)
