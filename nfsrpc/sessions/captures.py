"""The table of captures: where each was taken, and what it holds."""

from __future__ import annotations

from functools import cached_property
from typing import Any

import numpy as np

from nfsrpc.columns import NAT, Table
from nfsrpc.sessions import link_types
from nfsrpc.sessions.duplicates import Clocks
from nfsrpc.sessions.hosts import HostsByAddress
from nfsrpc.tables import CAPTURES

ANY_INTERFACE = {113, 276}  # tcpdump -i any: loopback is in it


def captures(hosts: HostsByAddress, clocks: Clocks) -> Table:
    """One row per file; `clocks` are those of the vantages."""
    rows = CaptureRows(hosts, clocks)
    return Table.of(CAPTURES, map(rows.row, range(len(hosts.decoded.files))))


class CaptureRows:
    def __init__(self, hosts: HostsByAddress, clocks: Clocks) -> None:
        self.hosts, self.decoded, self.clocks = hosts, hosts.decoded, clocks
        self.compared = np.bincount(clocks.reference, minlength=len(clocks.reference)) > 1

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
        reference = int(self.clocks.reference[vantage])
        known = bool(self.compared[reference])
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
            reference,
            int(self.clocks.offset[vantage]) / 1e9 if known else None,
            float(self.clocks.drift[vantage]) * 1e6 if known else None,
        )
