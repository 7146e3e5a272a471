"""The owners of loopback addresses: 127.0.0.1 is another host in every capture.

Evidence, best first: the addresses that the capturing host sent from, where the link layer has them; the name in the
AUTH_SYS credentials of the kernel's calls over it (GETPORT, SM_MON) and in SM_MON's my_name, which is also the name of
an address on the wire; else the one address that is an end of every RPC flow of that capture. Of two such (one client,
one server), or where only the loopback was captured, it is the host without a name on the wire; where a kernel searches
for a service on the loopback, only if it does so as that server's lockd does: when a LOCK arrives, or for a client that
it monitors. Else it remains unknown. Several hosts may share a loopback, in captures that were merged (loopbacks.py):
what cannot be attributed there has no host.
"""

from __future__ import annotations

from collections.abc import Iterable
from functools import cached_property

import numpy as np

from nfsrpc.columns import NAT, Array, isin
from nfsrpc.decode import EVERYWHERE, Decoded
from nfsrpc.protocols.numbers import NlmProc, Prog
from nfsrpc.sessions.capture_points import CapturePoints

LOCKS = (NlmProc.LOCK, NlmProc.LOCK_MSG, NlmProc.NM_LOCK)
# lockd looks for its statd while it serves a LOCK, and retries within 10 s: a longer pause begins a new search.
AT_ONCE = 1_000_000_000
SEARCHING = 10_000_000_000

# A loopback domain is the number of a file and of an interface in it; of several hosts that share it each has more.
SHARE = 1 << 32


def file_of(domain: int) -> int:
    return domain % SHARE >> 16


def interface_of(domain: int) -> int:
    return domain & 0xFFFF


class LoopbackOwners:
    def __init__(self, decoded: Decoded, points: CapturePoints) -> None:
        self.decoded, self.points = decoded, points
        self.names, self.activity = points.names, points.activity

    @cached_property
    def domains(self) -> list[int]:
        """The loopback interfaces that were captured."""
        return sorted(self.inside)

    @cached_property
    def inside(self) -> dict[int, list[int]]:
        """The addresses on each loopback interface."""
        found: dict[int, list[int]] = {}
        for number, (_, domain) in enumerate(self.decoded.addresses):
            if domain != EVERYWHERE:
                found.setdefault(domain, []).append(number)
        return found

    @cached_property
    def domains_of(self) -> list[list[int]]:
        """The loopback interfaces in each vantage."""
        found: list[list[int]] = [[] for _ in self.decoded.vantages]
        for domain in self.domains:
            found[self.vantage_of(domain)].append(domain)
        return found

    def vantage_of(self, domain: int) -> int:
        return int(self.decoded.vantage[file_of(domain)])

    @cached_property
    def shared(self) -> set[int]:
        """The loopback interfaces of several hosts: calls there that cannot be assigned to one have no owner."""
        return {domain % SHARE for domain in self.domains if domain >= SHARE}

    @cached_property
    def owners(self) -> dict[int, int]:
        """Loopback domain -> address of the host that it belongs to, where that is known."""
        found = {domain: self._owner(domain) for domain in self.domains}
        return {domain: owner for domain, owner in found.items() if owner is not None}

    def senders(self, domain: int) -> set[int]:
        """The addresses of the host that captured on this interface, as the link layer has them."""
        return self.points.local[self.vantage_of(domain)].get(interface_of(domain), set())

    def sent_from(self, domain: int) -> set[int]:
        """The addresses that frames were sent from where a loopback was captured, of whichever host."""
        vantage, interface, numbers = self.vantage_of(domain), interface_of(domain), self.points.numbers
        files = self.decoded.vantages[vantage]
        sent = {text for file, own, text, _ in self.decoded.locals if own == interface and file in files}
        return {numbers[text] for text in sent if text in numbers}

    def sender_of(self, domain: int) -> int | None:
        """The host that captured on this interface, as the link layer has it."""
        return self.points.host_of(self.vantage_of(domain), self.senders(domain))

    def _owner(self, domain: int) -> int | None:
        if domain in self.shared:
            return None
        vantage, names = self.vantage_of(domain), self.names.of(self.inside[domain])
        if domain < SHARE:
            known = self.sender_of(domain)
            known = self.points.translating[vantage] if known is None else known
            if known is not None:
                return known
        for addresses in (self.points.ends[vantage], self.points.everywhere):
            of_name = self._of_name(addresses)
            same_name = {of_name[name] for name in names if name in of_name}
            if same_name:
                return self.activity.most(same_name)
        left = self._left(domain, names)
        return next(iter(left)) if len(left) == 1 else None

    def _of_name(self, addresses: Iterable[int]) -> dict[str, int]:
        return self.names.by_name(addresses)

    def _left(self, domain: int, names: set[str]) -> set[int]:
        """The hosts that it may be, when no name says whose it is."""
        vantage, inside = self.vantage_of(domain), self.inside[domain]
        monitored = self.names.monitored(inside)
        senders = self.senders(domain) if domain < SHARE else set()
        if self.points.ends[vantage] or not names:
            left = self.points.of_every_flow[vantage] & senders if senders else self.points.of_every_flow[vantage]
        else:  # a capture of the loopback alone is of a host that the other captures show
            left = self.points.everywhere
        if len(left) == 1 and not self.names.of(left):
            return left - monitored
        left = left - monitored
        if not names:
            return left
        nameless = {address for address in left if not self.names.of((address,))}
        return {address for address in nameless if len(nameless) == 1 and self._works_for(domain, address)}

    def _works_for(self, domain: int, server: int) -> bool:
        """Whether a loopback shows what this server's lockd does, or at least nothing else."""
        clients = self.names.monitored(self.inside[domain])
        searches = self._searches(domain)
        if any(self.points.talk({server, client}) for client in clients) or not len(searches):
            return True
        raw = self.decoded.exchanges
        locks = np.sort(raw["time"][(raw["prog"] == Prog.NLM) & isin(raw["proc"], LOCKS) & (raw["server"] == server)])
        at = np.searchsorted(locks, searches, side="right") - 1
        return bool(len(locks) and (searches - locks[np.maximum(at, 0)] <= AT_ONCE)[at >= 0].any())

    def _searches(self, domain: int) -> Array:
        """The starts of a kernel's searches for a service on a loopback."""
        raw = self.decoded.exchanges
        asked = (raw["prog"] == Prog.PORTMAP) & isin(raw["client"], self.inside[domain]) & (raw["time"] != NAT)
        times: Array = np.sort(raw["time"][asked])
        soon = np.diff(times) <= SEARCHING
        begins = np.append(soon, False) & ~np.append(False, soon)[: len(times)] if len(times) else times
        return times[begins] if len(times) else times
