"""What rules of statd have in common: it is asked over its host's loopback, which few captures hold."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np

from nfsrpc.columns import Mask
from nfsrpc.facts.basic import Roles, Span, fact
from nfsrpc.findings.advice import loopback_of
from nfsrpc.findings.command import command
from nfsrpc.findings.finding import Answer, Evidence, Rule
from nfsrpc.protocols.numbers import Port
from nfsrpc.sessions.grouping import Parts
from nfsrpc.sessions.stretches import Stretches
from nfsrpc.tables import Flows, Monitors
from nfsrpc.wording import SECOND

RESOLVER = command("cat /etc/resolv.conf", note="does this resolver answer? else add the clients to /etc/hosts")


class Questions:
    """Questions for DNS without answer, by host."""

    def __init__(self, connections: Flows) -> None:
        rows = connections.where((connections["server_port"] == Port.DNS) & (connections["s_frames"] == 0))
        self.parts = Parts(rows, "client")
        self.times = Stretches((rows["client"],), rows["first"])

    def asked(self, host: str, first: int, last: int) -> bool:
        """Whether the host asked meanwhile."""
        return self.times.meet(host, first - SECOND, last + SECOND)

    def evidence(self, host: str, first: int, last: int) -> list[Evidence]:
        """The first ones of that time."""
        rows = self.parts[host]
        meanwhile = np.flatnonzero((rows["first"] >= first - SECOND) & (rows["first"] <= last + SECOND))
        shown = rows.take(meanwhile[:2]).rows()
        return [Evidence(row.capture, row.frame, f"{row.client} asks DNS, no answer") for row in shown]


@fact
def unresolved(connections: Flows) -> Questions:
    return Questions(connections)


def still_resolving(asked: Monitors, unresolved: Questions, span: Span | None, gave_up_s: float) -> Mask:
    """SM_MON that have no answer yet when the capture ends, and DNS gives that statd none."""
    mask: Mask = (asked["state"] == "unanswered") & asked.valid("time")
    if span is not None:
        mask &= span.last - asked["time"] < gave_up_s * SECOND
    numbers = np.flatnonzero(mask)
    for number, row in zip(numbers.tolist(), asked.take(numbers).rows(), strict=True):
        mask[number] = span is not None and unresolved.asked(row.host, row.time, span.last)
    return mask


def nothing_seen(rule: Rule, roles: Roles, loopbacks: frozenset[str]) -> Iterator[Answer]:
    """Why a rule of SM_MON has nothing to go by."""
    unseen = sorted(roles.lock_servers - loopbacks)
    if unseen:
        server = unseen[0]
        yield rule.cannot_tell(
            f"the loopback of {server} was not captured", loopback_of(server, roles.clients_of(server))
        )
    else:
        yield rule.cannot_tell("no lockd asked its statd to watch anybody in the capture")
