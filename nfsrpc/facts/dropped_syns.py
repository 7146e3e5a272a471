"""SYNs to the port of an RPC service that got no answer, and what the captures show of where they were dropped."""

from __future__ import annotations

from collections.abc import Mapping
from typing import NamedTuple

from nfsrpc.facts.attempts import Attempt, reached
from nfsrpc.facts.basic import fact
from nfsrpc.facts.presence import Presence
from nfsrpc.facts.vantages import Vantages
from nfsrpc.protocols.numbers import Prog
from nfsrpc.wording import SECOND


class DroppedSyns(NamedTuple):
    """The SYNs of one client to the port of a service."""

    attempt: Attempt
    is_decided: bool  # the capture would have shown an answer
    arrived: bool | None  # whether they reached the host; None where no capture was taken there
    is_alive: bool  # the host sent something to any other meanwhile


@fact
def dropped_syns(
    attempts: tuple[Attempt, ...],
    sending_pairs: frozenset[tuple[str, str]],
    presence: Presence,
    syn_vantages: Mapping[tuple[str, str, int], frozenset[int]],
    vantages: Vantages,
) -> tuple[DroppedSyns, ...]:
    """The unanswered SYNs to ports of services that clients use, but for port mappers."""
    return tuple(
        DroppedSyns(
            attempt=attempt,
            is_decided=(attempt.server, attempt.client) in sending_pairs,
            arrived=reached(attempt, syn_vantages, vantages),
            is_alive=presence.sent(attempt.server, attempt.first, attempt.last + SECOND),
        )
        for attempt in attempts
        if attempt.of_client and attempt.prog != Prog.PORTMAP
        if attempt.outcome == "unanswered" and attempt.transport == "tcp"
    )
