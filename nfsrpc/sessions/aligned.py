"""The tables of several vantages with all their times by one clock, the first vantage's, and those of each clock.

What is drawn has one order so, and rules that compare what two hosts saw are not misled by clocks that are far apart.
Tables keep the times that the captures have, by which a reader finds a frame again. By one clock nothing is left of
the offsets between clocks.

The clocks of two hosts may be hours apart, and only a message that both captured shows by how much (duplicates.py).
Without one, no time of the first says anything about a time of the other: neither that a lock was granted before or
after another waited, nor that two events are one. What compares times gets the tables of each clock by itself,
which have nothing in common but the hosts.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from functools import cached_property

import numpy as np

from nfsrpc.columns import NAT, NULLS, Array, Source, Table, isin
from nfsrpc.decode import Decoded
from nfsrpc.sessions.exchanges import Exchanges
from nfsrpc.sessions.hosts import HostsByAddress
from nfsrpc.sessions.sessions import Sessions
from nfsrpc.sessions.vantage_rows import moved, of_vantages

# Hosts that keep time by NTP are closer together than this, and no rule judges by less.
FAR_APART_S = 1.0
OF_FILES = ("captures", "quality", "hosts")  # tables of what is known of all captures


def comparable(tables: Mapping[str, Table]) -> Mapping[str, Table]:
    """The tables, with all times by one clock where clocks are far apart."""
    if not isinstance(tables, Sessions) or len(tables.decoded.vantages) == 1:
        return tables
    offsets = tables["captures"]["offset_s"]
    return Moved(tables) if (np.abs(offsets) >= FAR_APART_S).any() else tables


def of_each_clock(tables: Mapping[str, Table]) -> list[OfClock]:
    """The tables of each clock, that of the first vantage first; none where there is one clock."""
    if not isinstance(tables, Sessions) or len(tables.decoded.vantages) == 1:
        return []
    references = tables.exchanges.clocks.reference
    clocks = [np.flatnonzero(references == clock).tolist() for clock in np.unique(references).tolist()]
    if len(clocks) == 1:
        return []
    parts = of_vantages(tables.decoded, clocks)
    return [OfClock(tables, decoded, clock) for decoded, clock in zip(parts, clocks, strict=True)]


class OfClock(Sessions):
    """The tables of the vantages that share a clock."""

    def __init__(self, tables: Sessions, decoded: Decoded, vantages: Sequence[int]) -> None:
        """`decoded` has the rows of these vantages."""
        self.decoded, self._all, self._vantages = decoded, tables, vantages
        self._built: dict[str, Table] = {}

    @cached_property
    def exchanges(self) -> Exchanges:
        return Exchanges(self.decoded, clocks=self._all.exchanges.clocks)

    @cached_property
    def hosts(self) -> HostsByAddress:
        return self._all.hosts

    def table(self, name: str) -> Table:
        if name in OF_FILES and name not in self._built:
            found = self._all.table(name)
            if name != "hosts":
                found = found.where(isin(self.decoded.vantage[found["capture"]], self._vantages))
            self._built[name] = found
        return super().table(name)


class Moved(Sessions):
    """The tables as if all captures had been taken by the clocks of their references."""

    def __init__(self, tables: Sessions) -> None:
        self.decoded = moved(tables.decoded, tables.exchanges.by_first_clock)
        self._tables = OneClock(tables)
        self._built: dict[str, Table] = {}

    @cached_property
    def hosts(self) -> HostsByAddress:
        return self._tables.hosts

    def table(self, name: str) -> Table:
        return self._tables.table(name) if name in OF_FILES else super().table(name)


def by_one_clock(tables: Sessions) -> Sessions:
    return tables if len(tables.decoded.vantages) == 1 else OneClock(tables)


class OneClock(Sessions):
    def __init__(self, tables: Sessions) -> None:
        self.decoded, self._tables = tables.decoded, tables
        self._built: dict[str, Table] = {}

    @cached_property
    def exchanges(self) -> Exchanges:
        return self._tables.exchanges

    @cached_property
    def hosts(self) -> HostsByAddress:
        return self._tables.hosts

    def table(self, name: str) -> Table:
        if name not in self._built:
            self._built[name] = self._of(self._tables[name])
        return self._built[name]

    def _of(self, table: Table) -> Table:
        def column(name: str) -> Source:
            if name == "offset_s":
                return lambda: table[name] * 0.0
            return (lambda: self._times(table, name)) if name in whose else (lambda: table.data(name))

        whose = files_of_times(table)
        aligned = type(table)(table.spec, len(table), {name: column(name) for name in table.columns})
        aligned.is_partial = table.is_partial
        return aligned

    def _times(self, table: Table, name: str) -> Array:
        times, files = table[name], table[files_of_times(table)[name]]
        known = (times != NAT) & (files != NULLS["u16?"])
        result: Array = times.copy()
        result[known] = self.exchanges.by_first_clock(times[known], self.decoded.vantage[files[known]])
        return result


def files_of_times(table: Table) -> dict[str, str]:
    """For each column of times the column of their file: its own, else the row's."""
    times = [column.name for column in table.spec.columns if column.kind == "time"]
    own = {name: f"{name.removesuffix('_time')}_capture" for name in times}
    found = {name: own[name] if own[name] in table.columns else "capture" for name in times}
    return {name: file for name, file in found.items() if file in table.columns}
