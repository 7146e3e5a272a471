"""What rules of statd have in common: it is asked over its host's loopback, which few captures hold."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np

from nfsrpc.rules.advice import loopback_of
from nfsrpc.rules.command import command
from nfsrpc.rules.facts import SECOND, Roles, Span
from nfsrpc.rules.finding import Answer, Evidence, Rule
from nfsrpc.tables import Mask, Table

DNS = 53
RESOLVER = command("cat /etc/resolv.conf", note="does this resolver answer? else add the clients to /etc/hosts")


def names_unanswered(connections: Table, host: str, first: int, last: int) -> list[Evidence]:
    """Questions of this host for DNS without answer meanwhile."""
    asked = (connections["server_port"] == DNS) & (connections["client"] == host) & (connections["s_frames"] == 0)
    asked &= (connections["first"] >= first - SECOND) & (connections["first"] <= last + SECOND)
    rows = connections.where(asked)
    return [Evidence(row.capture, row.frame, f"{row.client} asks DNS, no answer") for row in rows.rows()][:2]


def still_resolving(asked: Table, connections: Table, span: Span | None, gave_up_s: float) -> Mask:
    """SM_MON that have no answer yet when the capture ends, and DNS gives that statd none."""
    mask: Mask = (asked["state"] == "unanswered") & asked.valid("time")
    if span is not None:
        mask &= span.last - asked["time"] < gave_up_s * SECOND
    for number in np.flatnonzero(mask).tolist():
        row = asked.row(number)
        mask[number] = span is not None and bool(names_unanswered(connections, row.host, row.time, span.last))
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
