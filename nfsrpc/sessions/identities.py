"""Addresses that are one host, as the captures prove.

Of one host are the addresses that its own capture sent from, the address that a client has of a server and the one that
address translation puts in its place (translations.py), and the address that an rpcbind names for a program (GETADDR,
RFC 1833 §2.2.1) beside the one that was asked. They are kept apart where just that matters: where a reply, a notice of
reboot or a callback comes from another address of the host than the one that its peer talks to.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator
from functools import cached_property

import numpy as np

from nfsrpc.columns import Array, isin
from nfsrpc.decode import Decoded, text_of
from nfsrpc.protocols import program
from nfsrpc.protocols.numbers import IpProto, Prog
from nfsrpc.sessions.capture_points import CapturePoints
from nfsrpc.sessions.grouping import group
from nfsrpc.sessions.roles import CALLBACKS
from nfsrpc.sessions.universal_addresses import universal_address

CALL = ("client", "client_port", "xid", "server")
# Of more addresses of one host the first count: a node with a pod network has dozens, and few of them talk RPC.
MANY = 64


class Identities:
    def __init__(self, decoded: Decoded, points: CapturePoints) -> None:
        self.decoded, self.points = decoded, points

    @cached_property
    def main(self) -> dict[int, int]:
        """An address -> the one by which its host is called, for all that are not called so themselves."""
        found: dict[int, int] = {}
        for host in self.hosts:
            main = self.points.activity.most(host)
            found |= {address: main for address in host if address != main}
        return {**found, **{inner: found.get(outer, outer) for inner, outer in self.decoded.aliases.items()}}

    @cached_property
    def hosts(self) -> list[set[int]]:
        """The hosts that have several addresses at their ends of connections."""
        hosts: dict[int, set[int]] = {}
        for addresses in (*self._sending(), *self._named_by_rpcbind()):
            joined = set().union(addresses, *(hosts.get(address, ()) for address in addresses))
            if len(joined) <= MANY and self.points.is_one_host(joined) and not self._apart(joined):
                hosts |= dict.fromkeys(joined, joined)
        return sorted({min(host): host for host in hosts.values()}.values(), key=min)

    def _sending(self) -> Iterator[set[int]]:
        """Sets of addresses that one host sent from, by capture and interface."""
        for ends, interfaces in zip(self.points.ends, self.points.local, strict=True):
            for addresses in interfaces.values():
                mine = addresses & ends.keys()
                if len(mine) > 1:
                    yield mine

    def _named_by_rpcbind(self) -> Iterator[set[int]]:
        """Pairs of an rpcbind's address and the one in its answer."""
        raw = self.decoded.exchanges
        for protocol in ("rpcbind3", "rpcbind4"):
            if not self.decoded.has(f"{protocol}.res"):
                continue
            getaddr = program(protocol).procedure("GETADDR").number
            asked = (raw["prog"] == Prog.PORTMAP) & (raw["vers"] == int(protocol[-1])) & (raw["proc"] == getaddr)
            rows = np.flatnonzero(asked)
            values, known = self.decoded.column(f"{protocol}.res", "res_addr", raw["exchange"][rows])
            answers = set(zip(raw["server"][rows][known].tolist(), values[known].tolist(), strict=True))
            for server, answer in sorted(answers):
                address, _ = universal_address(text_of(self.decoded.strings[answer]))
                number = self.points.numbers.get(address or "")
                if number in self.points.everywhere and server in self.points.everywhere and number != server:
                    yield {server, number}

    def _apart(self, addresses: set[int]) -> bool:
        """Whether a peer talks to one of these addresses, and is called, or answered, from another."""
        return any(
            not self._served[peer].isdisjoint(addresses - {address})
            for address in addresses
            for peer in self._called[address]
            if address not in self._served[peer]
        ) or any(len(addresses & pair) > 1 for pair in self._strays)

    @cached_property
    def _served(self) -> defaultdict[int, set[int]]:
        """The peers of each address in NFS, MOUNT or lock requests, in either direction."""
        raw, tallies = self.decoded.exchanges, self.decoded.tallies
        nlm = (raw["prog"] == Prog.NLM) & ~isin(raw["proc"], CALLBACKS)
        rows = np.flatnonzero(nlm | isin(raw["prog"], (Prog.NFS, Prog.MOUNT)))
        client, server = (np.concatenate([raw[end][rows], tallies[end]]) for end in ("client", "server"))
        found: defaultdict[int, set[int]] = defaultdict(set)
        for one, other in pairs(client, server):
            found[one].add(other)
            found[other].add(one)
        return found

    @cached_property
    def _called(self) -> defaultdict[int, set[int]]:
        """The peers that each address calls back or notifies, or whose portmapper it queries."""
        raw, flows = self.decoded.exchanges, self.decoded.flows
        rows = np.flatnonzero(
            isin(raw["prog"], (Prog.PORTMAP, Prog.NSM)) | ((raw["prog"] == Prog.NLM) & isin(raw["proc"], CALLBACKS))
        )
        tried = np.flatnonzero((flows["syn"] > 0) & (flows["synack"] == 0))
        client, server = (np.concatenate([raw[end][rows], flows[end][tried]]) for end in ("client", "server"))
        found: defaultdict[int, set[int]] = defaultdict(set)
        for one, other in pairs(client, server):
            found[one].add(other)
        return found

    @cached_property
    def _strays(self) -> list[frozenset[int]]:
        """The address that a call over UDP was for, and the one that answered it."""
        raw = self.decoded.exchanges
        udp = raw["transport"] == IpProto.UDP
        orphans = np.flatnonzero(udp & (raw["call_frame"] == 0))
        open_ = np.flatnonzero(udp & (raw["reply_frame"] == 0) & isin(raw["xid"], raw["xid"][orphans]))
        asked = dict(self._ends(open_))
        found = {frozenset((asked[key], server)) for key, server in self._ends(orphans) if key in asked}
        return [pair for pair in found if len(pair) > 1]

    def _ends(self, rows: Array) -> Iterator[tuple[tuple[int, ...], int]]:
        """The fields that a reply has in common with its call, and the server of either."""
        raw = self.decoded.exchanges
        for *call, server in zip(*(raw[name][rows].tolist() for name in CALL), strict=True):
            yield tuple(call), server


def pairs(client: Array, server: Array) -> list[tuple[int, int]]:
    """The distinct pairs of client and server."""
    if not len(client):
        return []
    _, first = group(client, server)
    return list(zip(client[first].tolist(), server[first].tolist(), strict=True))
