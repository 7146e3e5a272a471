"""The table of captures: where each was taken, and what it holds."""

from __future__ import annotations

from functools import cached_property
from typing import Any

from nfsrpc.columns import NAT, Array, Table
from nfsrpc.sessions import link_types
from nfsrpc.sessions.hosts import HostsByAddress
from nfsrpc.tables import CAPTURES

ANY_INTERFACE = {113, 276}  # tcpdump -i any: loopback is in it


def captures(hosts: HostsByAddress, offsets: Array, drifts: Array) -> Table:
    """One row per file; `offsets` and `drifts` are of the clocks of the vantages."""
    rows = Rows(hosts, offsets, drifts)
    return Table.of(CAPTURES, map(rows.row, range(len(hosts.decoded.files))))


class Rows:
    def __init__(self, hosts: HostsByAddress, offsets: Array, drifts: Array) -> None:
        self.hosts, self.decoded = hosts, hosts.decoded
        self.offsets, self.drifts = offsets, drifts

    @cached_property
    def _interfaces(self) -> list[list[dict[str, Any]]]:
        """The interfaces of each file."""
        found: list[list[dict[str, Any]]] = [[] for _ in self.decoded.files]
        for row in self.decoded.interfaces:
            found[row["capture"]].append(row)
        return found

    def row(self, number: int) -> tuple[Any, ...]:
        decoded, hosts, vantage = self.decoded, self.hosts, int(self.decoded.vantage[number])
        facts = {name: values[number].item() for name, values in decoded.captures.items()}
        interfaces = self._interfaces[number]
        any_interface = bool(hosts.loopbacks.domains_of[vantage]) or any(
            row["link_type"] in ANY_INTERFACE for row in interfaces
        )
        host = hosts.capturing[vantage]
        words = (hosts.role(host) if host is not None else "", "any" if any_interface else "wire")
        label = None if host is None else hosts.text(host)
        known = self.offsets[vantage] != NAT and len(decoded.vantages) > 1
        return (
            number,
            decoded.files[number],
            decoded.formats[number],
            tuple(dict.fromkeys(link_types.name(row["link_type"]) for row in interfaces)),
            tuple(row["name"] for row in interfaces if row["name"]),
            facts["frames"],
            facts["bytes"],
            None if facts["first"] == NAT else facts["first"],
            None if facts["last"] == NAT else facts["last"],
            vantage,
            " ".join(filter(None, words)),
            label,
            any_interface,
            label if any_interface and host not in hosts.points.fronts else None,
            int(self.offsets[vantage]) / 1e9 if known else None,
            float(self.drifts[vantage]) * 1e6 if known else None,
        )
