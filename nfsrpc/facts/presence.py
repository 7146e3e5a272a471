"""When hosts were up: the frames that they sent, and the reboots of which they sent notice."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property

import numpy as np

from nfsrpc.columns import Array, Table
from nfsrpc.facts.basic import booting, fact
from nfsrpc.facts.waiters import LastSeen
from nfsrpc.sessions.grouping import group
from nfsrpc.sessions.stretches import Stretches
from nfsrpc.tables import Calls, Flows, Tallies
from nfsrpc.wording import SECOND


@dataclass(eq=False, repr=False)
class Presence:
    """The frames that hosts sent, as far as tables hold them."""

    connections: Flows
    exchanges: Calls
    counted: Tallies
    counted_uses: Tallies
    last_seen: Mapping[str, LastSeen]
    sending: Stretches  # by host, from the first frame of each connection to its last on it
    boots: Mapping[str, tuple[int, ...]]

    def sent(self, host: str, first: int, last: int) -> bool:
        """Whether connections of a host on which it sent frames reach into a stretch of time."""
        return self.sending.meet(host, first, last)

    def has_booted(self, host: str, first: int, last: int, around_s: float) -> bool:
        """Whether a host sent reboot notices within `around_s` of a stretch of time."""
        return booting(self.boots, host, first, last, around_s)

    def next_message(self, host: str, peer: str, after: int) -> int | None:
        """The time of a host's next message to another after a time: a call, a reply or a SYN-ACK."""
        found = (times.following((host, peer), after) for times in self._messages)
        return min((time for time in found if time is not None), default=None)

    @cached_property
    def _messages(self) -> tuple[Stretches, ...]:
        def of(table: Table, sender: str, receiver: str, first: str, last: str | None = None) -> Stretches:
            return Stretches((table[sender], table[receiver]), table[first], table[last] if last else None)

        return (
            of(self.exchanges, "server", "client", "reply_time"),
            of(self.exchanges, "client", "server", "time"),
            of(self.counted_uses, "server", "client", "first", "last"),
            of(self.connections, "server", "client", "synack_time"),
            of(self.connections, "server", "client", "s_last"),
            of(self.connections, "client", "server", "c_last"),
        )

    def quickest_s(self, host: str, peer: str) -> float | None:
        """The shortest latency of a host's answers to a peer; None where it answered none."""
        return self._quickest.get((host, peer))

    @cached_property
    def _quickest(self) -> Mapping[tuple[str | None, str | None], float]:
        handshakes = self.connections.where(self.connections.valid("synack_time") & (self.connections["syn"] == 1))
        answers = self.exchanges.where(self.exchanges.valid("latency_s"))
        found: dict[tuple[str | None, str | None], float] = {}
        for table, waits in (
            (handshakes, (handshakes["synack_time"] - handshakes["syn_time"]) / SECOND),
            (answers, answers["latency_s"]),
            (self.counted, self.counted["latency_min_s"]),
        ):
            for pair, wait in least(table, waits).items():
                found[pair] = min(wait, found.get(pair, wait))
        return found


def least(table: Calls | Flows | Tallies, waits: Array) -> dict[tuple[str | None, str | None], float]:
    """The least of these waits per pair of server and client."""
    client, server = table["client"], table["server"]
    pairs, firsts = group(client.codes, server.codes)
    lowest = np.full(len(firsts), np.inf)
    np.minimum.at(lowest, pairs, waits)
    return dict(zip(zip(server[firsts].tolist(), client[firsts].tolist(), strict=True), lowest.tolist(), strict=True))


@fact
def presence(
    connections: Flows,
    exchanges: Calls,
    counted: Tallies,
    counted_uses: Tallies,
    last_seen: Mapping[str, LastSeen],
    sending: Stretches,
    boots: Mapping[str, tuple[int, ...]],
) -> Presence:
    """The frames and reboot notices of hosts."""
    return Presence(connections, exchanges, counted, counted_uses, last_seen, sending, boots)
