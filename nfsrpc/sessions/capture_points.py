"""Capture points: the host that a capture was taken on, as far as it shows.

Linux's cooked captures mark the frames that the capturing host sent; addresses from which it received as well are other
hosts', whose packets it forwards. Where the link layer says nothing, the host is an end of every flow.
"""

from __future__ import annotations

from collections.abc import Iterable
from functools import cached_property

import numpy as np

from nfsrpc.columns import Mask
from nfsrpc.decode import Decoded
from nfsrpc.sessions.grouping import group
from nfsrpc.sessions.host_names import AddressNames
from nfsrpc.sessions.roles import AddressActivity
from nfsrpc.sessions.translations import RPC_SEEN


class CapturePoints:
    def __init__(self, decoded: Decoded, loopback: Mask, names: AddressNames, activity: AddressActivity) -> None:
        """`loopback`: by address."""
        self.decoded, self.loopback, self.names, self.activity = decoded, loopback, names, activity
        self.texts = [text for text, _ in decoded.addresses]

    @cached_property
    def rpc(self) -> Mask:
        """A mask of the flows over which RPC passed between hosts."""
        flows = self.decoded.flows
        mask: Mask = flows["flags"] & RPC_SEEN != 0
        return mask & ~self.loopback[flows["client"]] & ~self.loopback[flows["server"]]

    @cached_property
    def ends(self) -> list[dict[int, int]]:
        """The addresses (but loopback) at an end of RPC flows, with the number of these, by vantage."""
        flows, rpc = self.decoded.flows, self.rpc
        vantage = self.decoded.vantage[flows["first_capture"]]
        found: list[dict[int, int]] = []
        for number in range(len(self.decoded.vantages)):
            here = rpc & (vantage == number)
            client, server = flows["client"][here], flows["server"][here]
            both = np.concatenate([client, server[server != client]])
            counts = np.bincount(both, minlength=len(self.texts))
            found.append({address: int(counts[address]) for address in np.flatnonzero(counts).tolist()})
        return found

    @cached_property
    def everywhere(self) -> set[int]:
        return {address for ends in self.ends for address in ends}

    @cached_property
    def of_every_flow(self) -> list[set[int]]:
        """The addresses by vantage that are an end of every flow, and may be the capturing host's."""
        flows = self.decoded.flows
        vantage = self.decoded.vantage[flows["first_capture"]][self.rpc]
        counts: list[int] = np.bincount(vantage, minlength=len(self.decoded.vantages)).tolist()
        return [
            {address for address, count in ends.items() if count == every} - others
            for ends, every, others in zip(self.ends, counts, self.forwarded, strict=True)
        ]

    @cached_property
    def numbers(self) -> dict[str, int]:
        """The address by its text, but for loopback."""
        return {text: number for number, text in enumerate(self.texts) if not self.loopback[number]}

    @cached_property
    def forwarded(self) -> list[set[int]]:
        """The addresses by vantage of other hosts, whose packets the capturing host forwarded."""
        found: list[set[int]] = [set() for _ in self.decoded.vantages]
        for file, _, text, others in self.decoded.locals:
            if others and text in self.numbers:
                found[int(self.decoded.vantage[file])].add(self.numbers[text])
        return found

    @cached_property
    def local(self) -> list[dict[int, set[int]]]:
        """The addresses of the capturing host by vantage and interface, as the link layer has them."""
        found: list[dict[int, set[int]]] = [{} for _ in self.decoded.vantages]
        for file, interface, text, _ in self.decoded.locals:
            vantage, number = int(self.decoded.vantage[file]), self.numbers.get(text)
            if number is not None and number not in self.forwarded[vantage]:
                found[vantage].setdefault(interface, set()).add(number)
        return found

    def host_of(self, vantage: int, senders: Iterable[int]) -> int | None:
        """The capturing host: of its addresses the one most active in RPC. Interfaces may be those of several hosts."""
        mine = {number for number in senders if number in self.ends[vantage]}
        return self.activity.most(mine) if mine and self.is_one_host(mine) else None

    def is_one_host(self, addresses: set[int]) -> bool:
        """Whether these may all be one host's: no two of them go by different names, or talk with each other."""
        return self.names.alike(addresses) and not self.talk(addresses)

    @cached_property
    def peers(self) -> dict[int, set[int]]:
        """The peers of each address in RPC connections."""
        flows = self.decoded.flows
        rpc = flows["flags"] & RPC_SEEN != 0
        client, server = flows["client"][rpc], flows["server"][rpc]
        _, first = group(client, server) if len(client) else (client, client)
        found: dict[int, set[int]] = {}
        for one, other in zip(client[first].tolist(), server[first].tolist(), strict=True):
            if one != other:
                found.setdefault(one, set()).add(other)
        return found

    def talk(self, addresses: set[int]) -> bool:
        """Whether two of these addresses have RPC connections with each other."""
        return any(not addresses.isdisjoint(self.peers[number]) for number in addresses if number in self.peers)

    @cached_property
    def fronts(self) -> set[int]:
        """The addresses that servers see of clients that are behind address translation.

        Such a client has a loopback of its own, which the host that translates does not capture.
        """
        return {one.outer_client for one in self.decoded.translations if one.outer_client != one.client}

    @cached_property
    def translating(self) -> list[int | None]:
        """The own address of the translating host, by vantage that shows both sides of address translation."""
        found: list[set[int]] = [set() for _ in self.decoded.vantages]
        for translation in self.decoded.translations:
            if translation.outer_client != translation.client:
                for vantage in translation.vantages:
                    found[vantage].add(translation.outer_client)
        return [next(iter(hosts)) if len(hosts) == 1 else None for hosts in found]
