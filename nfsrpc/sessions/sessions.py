"""The tables of a trace, each built from the columns of the core at first use."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from functools import cached_property

from nfsrpc.columns import Table
from nfsrpc.decode import Decoded
from nfsrpc.sessions import calls, captures, flows, locks, monitors, programs, quality, registrations, tallies, writes
from nfsrpc.sessions.exchanges import Exchanges
from nfsrpc.sessions.hosts import HostsByAddress
from nfsrpc.sessions.lock_exchanges import Membership
from nfsrpc.sessions.loopbacks import with_own_loopbacks
from nfsrpc.sessions.paths import HandlePaths
from nfsrpc.sessions.tallies import CountedExchanges
from nfsrpc.sessions.translations import translated
from nfsrpc.tables import Tables


class Sessions(Tables):
    """Tables by name."""

    def __init__(self, decoded: Decoded) -> None:
        self.decoded = with_own_loopbacks(translated(decoded))
        self._built: dict[str, Table] = {}

    def __getstate__(self) -> dict[str, object]:
        """What is pickled: the columns, of which the other process builds the tables that it uses."""
        return {"decoded": self.decoded, "_built": {}}

    @cached_property
    def exchanges(self) -> Exchanges:
        return Exchanges(self.decoded, places=lambda: self.hosts.places)

    @cached_property
    def hosts(self) -> HostsByAddress:
        return HostsByAddress(self.exchanges)

    @cached_property
    def tallies(self) -> CountedExchanges:
        return CountedExchanges(self.decoded, self.exchanges.clocks.offset)

    @cached_property
    def paths(self) -> HandlePaths:
        """The paths of handles, also from counted exchanges whose fields hold names."""
        return HandlePaths(self.decoded, calls.calls(Exchanges(self.decoded, counted=True), self.hosts))

    @cached_property
    def membership(self) -> Membership:
        return Membership(self.decoded, self["calls"], self["locks"])

    def table(self, name: str) -> Table:
        if name not in self._built:
            built = self._built[name] = BUILDERS[name](self)
            built.is_partial = not PARTIAL_BY.get(name, frozenset()).isdisjoint(self.decoded.oddities["kind"])
        return self._built[name]

    def forget(self) -> None:
        """Gives back the memory of what was built. It is built again where it is used."""
        self._built.clear()
        for name in ("exchanges", "hosts", "tallies", "paths", "membership"):
            self.__dict__.pop(name, None)

    def __iter__(self) -> Iterator[str]:
        return iter(BUILDERS)

    def __len__(self) -> int:
        return len(BUILDERS)


OF_EXCHANGES = frozenset({"exchanges-full", "locks-full"})
# The oddities by which a table has not all rows that it would have, for lack of room.
PARTIAL_BY = {
    **dict.fromkeys(("calls", "locks", "monitors", "registrations"), OF_EXCHANGES),
    "copies": OF_EXCHANGES | {"copies-full"},
    "flows": frozenset({"flows-full"}),
    "tallies": frozenset({"hosts-full"}),
    "writes": frozenset({"accesses-full"}),
}

BUILDERS: dict[str, Callable[[Sessions], Table]] = {
    "calls": lambda of: calls.calls(of.exchanges, of.hosts),
    "copies": lambda of: calls.copies(of.decoded),
    "locks": lambda of: locks.locks(of.decoded, of["calls"], of["copies"], of.paths),
    "monitors": lambda of: monitors.monitors(of.decoded, of["calls"], of.hosts),
    "registrations": lambda of: registrations.registrations(of.decoded, of["calls"]),
    "paths": lambda of: of.paths.table(),
    "hosts": lambda of: of.hosts.table(),
    "flows": lambda of: flows.flows(of.decoded, of.hosts, of["registrations"]),
    "captures": lambda of: captures.captures(of.hosts, of.exchanges.clocks),
    "quality": lambda of: quality.quality(of.decoded, of["calls"], of["flows"], of["oddities"]),
    "tallies": lambda of: tallies.tallies(of.tallies, of.hosts),
    "writes": lambda of: writes.writes(of.decoded, of.hosts, of.paths),
    "oddities": lambda of: quality.oddities(of.decoded, of["calls"]),
    "programs": lambda of: programs.programs(of.exchanges, of.tallies),
}
