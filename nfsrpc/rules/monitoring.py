"""What rules of statd have in common: it is asked over its host's loopback, which few captures hold."""

from __future__ import annotations

from collections.abc import Iterator

from nfsrpc.rules.advice import loopback_of
from nfsrpc.rules.facts import Roles
from nfsrpc.rules.finding import Answer, Rule


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
