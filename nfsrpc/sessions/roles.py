"""Roles of hosts: the calls of NFS, MOUNT and NLM that each address sent and received."""

from __future__ import annotations

from collections.abc import Iterable
from functools import cached_property

import numpy as np

from nfsrpc.columns import Array, isin
from nfsrpc.decode import SIDE
from nfsrpc.protocols.numbers import NlmProc, Prog
from nfsrpc.sessions.exchanges import Exchanges

# NLM procedures that the server calls, or statd: they do not show which host is the client.
CALLBACKS = (
    *(NlmProc.GRANTED, NlmProc.GRANTED_MSG, NlmProc.NSM_NOTIFY),
    *(NlmProc.TEST_RES, NlmProc.LOCK_RES, NlmProc.CANCEL_RES, NlmProc.UNLOCK_RES),
)


class AddressActivity:
    def __init__(self, exchanges: Exchanges) -> None:
        self.exchanges = exchanges
        self.texts = [text for text, _ in exchanges.decoded.addresses]

    @cached_property
    def counts(self) -> tuple[Array, Array]:
        """The NFS, MOUNT and NLM calls that each address sent, and received, but for NLM's callbacks."""
        exchanges, tallies = self.exchanges, self.exchanges.decoded.tallies
        raw, (kinds, _) = exchanges.raw, exchanges.kinds
        prog, proc = exchanges.of_kind("prog"), exchanges.of_kind("proc")
        served = (isin(prog, (Prog.NFS, Prog.MOUNT)) | ((prog == Prog.NLM) & ~isin(proc, CALLBACKS)))[kinds]
        served &= ~exchanges.decoded.again(raw["flow"], exchanges.vantage)
        sent, received = (np.bincount(raw[end][served], minlength=len(self.texts)) for end in ("client", "server"))
        sums = isin(tallies["prog"], (Prog.NFS, Prog.MOUNT, Prog.NLM))
        if SIDE in tallies:
            sums &= tallies[SIDE] == 0
        np.add.at(sent, tallies["client"][sums], tallies["exchanges"][sums])
        np.add.at(received, tallies["server"][sums], tallies["exchanges"][sums])
        return sent, received

    def most(self, addresses: Iterable[int]) -> int:
        """The most active of several addresses, whatever the order of the captures."""
        sent, received = self.counts
        return min(addresses, key=lambda number: (-int(sent[number] + received[number]), self.texts[number]))

    def role(self, addresses: Iterable[int]) -> str:
        """client or server, by what it does more of; nothing for a host that does neither."""
        sent, received = self.counts
        calls, served = (int(sum(counts[number] for number in addresses)) for counts in (sent, received))
        return "" if calls == served == 0 else "client" if calls > served else "server"
