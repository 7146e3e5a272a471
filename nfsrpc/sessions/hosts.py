"""The parties of a trace: which addresses are one host, what tables call it, what is known of it.

A host goes by the address that is most active in RPC (identities.py). A loopback address goes by that of its host
(loopback_owners.py), or by the file that shows it.
"""

from __future__ import annotations

import os
from collections import defaultdict
from collections.abc import Hashable, Mapping, Sequence
from functools import cached_property
from itertools import pairwise
from typing import Any

import numpy as np

from nfsrpc import tables
from nfsrpc.columns import NAT, Array, Coded, Mask
from nfsrpc.decode import EVERYWHERE
from nfsrpc.reading import RING_OVERLAP, senders_by_file
from nfsrpc.sessions.capture_points import CapturePoints
from nfsrpc.sessions.exchanges import Exchanges
from nfsrpc.sessions.host_names import AddressNames
from nfsrpc.sessions.identities import Identities
from nfsrpc.sessions.loopback_owners import LoopbackOwners, file_of, interface_of
from nfsrpc.sessions.roles import AddressActivity
from nfsrpc.sources.rings import hosts_of, rings_of


class HostsByAddress:
    """The hosts of a trace; an address is its number in `decoded.addresses`."""

    def __init__(self, exchanges: Exchanges) -> None:
        self.decoded = decoded = exchanges.decoded
        self.texts = [text for text, _ in decoded.addresses]
        self.loopback: Mask = np.array([domain != EVERYWHERE for _, domain in decoded.addresses], dtype=np.bool_)
        self.activity = AddressActivity(exchanges)
        self.names = AddressNames(decoded, self.activity)
        self.points = CapturePoints(decoded, self.loopback, self.names, self.activity)
        self.loopbacks = LoopbackOwners(decoded, self.points)
        self.identities = Identities(decoded, self.points)

    def label(self, addresses: Array) -> Coded:
        """The labels that tables show for addresses."""
        return Coded.distinct(addresses, self.labels)

    def is_loopback(self, client: Array, server: Array) -> Mask:
        """Whether both ends are one host, over a loopback address or its own."""
        both: Mask = (client == server) | (self.loopback[client] & self.loopback[server])
        return both

    @cached_property
    def labels(self) -> list[str | None]:
        return [
            self.text(number) if not self.loopback[number] else self._loopback_label(number)
            for number in range(len(self.texts))
        ]

    def text(self, number: int) -> str:
        """The address by which a host goes that has this one."""
        return self.texts[self.identities.main.get(number, number)]

    def _loopback_label(self, number: int) -> str | None:
        domain = self.decoded.addresses[number][1]
        if domain in self.loopbacks.shared:
            return None
        if domain in self.loopbacks.owners:
            return self.text(self.loopbacks.owners[domain])
        interface = f" interface {interface_of(domain)}" if interface_of(domain) else ""
        return f"{self.texts[number]} of {self.decoded.short_names[file_of(domain)]}{interface}"

    def role(self, number: int) -> str:
        """The role of the host that has this address."""
        host = self.identities.main.get(number, number)
        return self.activity.role([host, *self._others.get(host, ())])

    @cached_property
    def _others(self) -> dict[int, list[int]]:
        """The further addresses of each host, besides its label."""
        found: dict[int, list[int]] = {}
        for number, host in self.identities.main.items():
            found.setdefault(host, []).append(number)
        return found

    @cached_property
    def capturing(self) -> list[int | None]:
        """The address of the capturing host by vantage, where that is known."""
        found: list[int | None] = []
        points, loopbacks = self.points, self.loopbacks
        for number, common in enumerate(points.of_every_flow):
            owners = {loopbacks.owners.get(domain) for domain in loopbacks.domains_of[number]}
            owners.discard(None)
            senders = set().union(*points.local[number].values())
            evidence: tuple[set[int | None], ...] = ({self.marked[number]}, {points.translating[number]})
            left: set[int | None] = set(common & senders if senders else common)
            known = owners or next((hosts for hosts in evidence if hosts != {None}), left)
            found.append(next(iter(known)) if len(known) == 1 else None)
        return found

    @cached_property
    def places(self) -> list[set[Hashable]]:
        """By vantage what only vantages of one clock share: a ring; or a folder, and the addresses that sent it.

        Files that are called as a ring and overlap in time are none: they were taken at the same time, on two hosts or
        on one, or the clock was set back where one of them ends. Captures of another folder are another node's, whose
        private networks may have the same addresses. Neither an address at an end of every flow nor a name shows a
        host: a server is an end of every flow of its clients' nodes, and `trace-eth0.pcap` and `trace-lo.pcap` may be
        what two hosts call their captures.
        """
        names, senders = self.decoded.files, senders_by_file(self.decoded.locals)
        rings = rings_of(names, [senders[file] for file in range(len(names))])
        found: list[set[Hashable]] = [{rings[file] for file in files} for files in self.decoded.vantages]
        folders = [os.path.dirname(names[files[0]]) for files in self.decoded.vantages]
        sent = [frozenset().union(*(senders[file] for file in files)) for files in self.decoded.vantages]
        keys = list(zip(folders, self.marked, strict=True))
        for number, (key, addresses) in enumerate(zip(keys, hosts_of(keys, sent), strict=True)):
            if key[1] is not None and self.texts[key[1]] in (addresses or ()):
                found[number].add((key, addresses))
        for number in self._overlapping(rings):
            found[number] = set()
        return found

    def _overlapping(self, rings: Sequence[int]) -> set[int]:
        """The vantages of rings of which some overlap by more than frames of one ring are out of order."""
        firsts, ends = self.decoded.captures["first"].tolist(), self.decoded.vantage_ends.tolist()
        by_ring: defaultdict[int, list[tuple[int, int, int]]] = defaultdict(list)
        for number, files in enumerate(self.decoded.vantages):
            for ring in {rings[file] for file in files}:
                by_ring[ring].append((firsts[files[0]], ends[number], number))
        found: set[int] = set()
        for spans in map(sorted, by_ring.values()):
            if any(last - first > RING_OVERLAP for (_, last, _), (first, _, _) in pairwise(spans)):
                found.update(number for _, _, number in spans)
        return found

    @cached_property
    def marked(self) -> list[int | None]:
        """The capturing host by vantage, where the link layer marks what it sent."""
        return [
            self.points.host_of(number, set().union(*interfaces.values()))
            for number, interfaces in enumerate(self.points.local)
        ]

    @cached_property
    def named(self) -> Mapping[str, str]:
        """Name or address -> label of the host, where only one goes by it."""
        labels: dict[str, set[str]] = defaultdict(set)
        for number, names in self.names.of_address.items():
            label = self.labels[number]
            if label is not None:
                for name in names:
                    labels[name].add(label)
        return {
            **{name: next(iter(hosts)) for name, hosts in labels.items() if len(hosts) == 1},
            **{self.texts[number]: self.text(number) for number in np.flatnonzero(~self.loopback).tolist()},
        }

    @cached_property
    def members(self) -> list[list[int]]:
        """The addresses of each host; an IPv4 and an IPv6 address of one name that no other has are one host's."""
        speaking = sorted(self.points.everywhere)
        main = self.identities.main
        by_name: dict[str, list[int]] = defaultdict(list)
        for number in speaking:
            for name in self.names.of_address.get(number, ()):
                by_name[name].append(number)
        partner: dict[int, int] = {}
        for numbers in by_name.values():
            if len(numbers) == 2 and len({":" in self.texts[number] for number in numbers}) == 2:
                partner |= {numbers[0]: numbers[1], numbers[1]: numbers[0]}
        hosts: dict[int, set[int]] = {}
        for number in speaking:
            if number not in main:
                hosts.setdefault(min(number, partner.get(number, number)), set()).update(
                    {number, partner.get(number, number)}
                )
        of = {number: host for host in hosts.values() for number in host}
        for number, host in main.items():
            if host in of:
                of[host].add(number)
        return sorted(sorted(host) for host in hosts.values())

    def table(self) -> tables.Hosts:
        return tables.Hosts.of(tables.HOSTS, map(self._row, self.members))

    def _row(self, addresses: list[int]) -> tuple[Any, ...]:
        sent, received = self.activity.counts
        main = self.activity.most(addresses)
        owned = sorted(domain for number in addresses for domain in self._owned.get(number, ()))
        names = set().union(*(self.names.of_address.get(number, set()) for number in addresses))
        calls, served = (int(counts[addresses].sum()) for counts in (sent, received))
        taken = sorted(vantage for number in addresses for vantage in self._taken.get(number, ()))
        firsts, lasts = (times[addresses] for times in self._times)
        return (
            self.text(main),
            tuple(
                sorted({self.texts[number] for number in addresses}, key=lambda text: (text != self.text(main), text))
            ),
            tuple(sorted(names)),
            tuple(role for role, count in (("client", calls), ("server", served)) if count),
            tuple(dict.fromkeys(f"capture {file_of(domain)}" for domain in owned)),
            tuple(str(file) for vantage in taken for file in self.decoded.vantages[vantage]),
            calls,
            served,
            int(firsts.min()) if lasts.max() != NAT else None,
            int(lasts.max()) if lasts.max() != NAT else None,
        )

    @cached_property
    def _owned(self) -> dict[int, list[int]]:
        """The loopback interfaces of each address's host."""
        found: dict[int, list[int]] = {}
        for domain, owner in self.loopbacks.owners.items():
            found.setdefault(owner, []).append(domain)
        return found

    @cached_property
    def _taken(self) -> dict[int, list[int]]:
        """The vantages on each address's host."""
        found: dict[int, list[int]] = {}
        for vantage, address in enumerate(self.capturing):
            if address is not None:
                found.setdefault(address, []).append(vantage)
        return found

    @cached_property
    def _times(self) -> tuple[Array, Array]:
        """The times at which each address first and last occurs; NAT without any."""
        flows, size = self.decoded.flows, len(self.texts)
        first, last = np.full(size, np.iinfo(np.int64).max), np.full(size, NAT, dtype=np.int64)
        for side in ("client", "server"):
            for name in ("first", "last"):
                times = flows[name]
                np.minimum.at(first, flows[side][times != NAT], times[times != NAT])
                np.maximum.at(last, flows[side], times)
        return first, last
