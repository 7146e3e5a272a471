"""What captures show by other clocks, which no message compares with this one.

Whether they were taken before, meanwhile or later is not known: one of the same two hosts may hold what is missing
here.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Mapping, Sequence
from functools import cached_property
from typing import NamedTuple

import numpy as np

from nfsrpc.facts.basic import fact
from nfsrpc.protocols.numbers import Prog
from nfsrpc.sessions.aligned import OfClock
from nfsrpc.sessions.grouping import group
from nfsrpc.sources.name import short_names
from nfsrpc.tables import Flows


class ByClock:
    """The pairs of hosts that the captures of each clock show."""

    def __init__(self, clocks: Sequence[OfClock]) -> None:
        self.clocks = clocks
        self.files = short_names(clocks[0].decoded.files)

    @cached_property
    def pairs(self) -> Mapping[frozenset[str], list[tuple[int, int]]]:
        """The clocks that show frames of both of two hosts, each with a capture."""
        found: defaultdict[frozenset[str], list[tuple[int, int]]] = defaultdict(list)
        for clock, tables in enumerate(self.clocks):
            for pair, capture in talking(tables["flows"]).items():
                found[pair].append((clock, capture))
        return found

    @cached_property
    def with_statd(self) -> Sequence[frozenset[str]]:
        """By clock, the hosts whose portmapper named a port for statd."""
        tables = (clock["registrations"] for clock in self.clocks)
        named = (
            table.where((table["prog"] == Prog.NSM) & table.valid("port") & (table["port"] > 0)) for table in tables
        )
        return [frozenset(table["host"].present()) for table in named]


class OtherClocks(NamedTuple):
    """What captures show by other clocks than that of this number."""

    by_clock: ByClock | None = None  # None where there is one clock
    own: int = 0

    def file(self, pair: frozenset[str]) -> str:
        """The name of a capture by another clock that shows frames of both of two hosts; empty without one."""
        if self.by_clock is None:
            return ""
        seen = self.by_clock.pairs.get(pair, ())
        return next((self.by_clock.files[capture] for clock, capture in seen if clock != self.own), "")

    def shows_statd(self, host: str) -> bool:
        """Whether a capture by another clock shows that the host has a statd registered."""
        clocks = () if self.by_clock is None else enumerate(self.by_clock.with_statd)
        return any(host in hosts for clock, hosts in clocks if clock != self.own)


@fact
def other_clocks() -> OtherClocks:
    """What captures show by other clocks: nothing, unless the diagnosis sets it."""
    return OtherClocks()


def talking(flows: Flows) -> Mapping[frozenset[str], int]:
    """The pairs of hosts that both sent something, each with the capture that shows it first."""
    client, server = flows["client"], flows["server"]
    ways = (client, server, flows["c_frames"]), (server, client, flows["s_frames"])
    sent: dict[tuple[str | None, str | None], int] = {}
    for sender, receiver, frames in ways:
        rows = np.flatnonzero(frames > 0)
        rows = rows[group(sender.codes[rows], receiver.codes[rows])[1]]
        pairs = zip(sender[rows].tolist(), receiver[rows].tolist(), strict=True)
        for pair, capture in zip(pairs, flows["capture"][rows].tolist(), strict=True):
            sent.setdefault(pair, capture)
    return {
        frozenset((one, other)): capture
        for (one, other), capture in sent.items()
        if one is not None and other is not None and (other, one) in sent
    }
