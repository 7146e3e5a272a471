"""The names that hosts go by: in AUTH_SYS credentials, in NLM's caller_name, and in calls to statd.

GRANTED and GRANTED_MSG name the server in caller_name, on Linux, or the client, and so are not used here.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable
from functools import cached_property

import numpy as np

from nfsrpc.columns import Array, Mask, isin
from nfsrpc.decode import NO_STRING, Decoded, text_of
from nfsrpc.protocols.numbers import GRANTS, NsmProc, Prog
from nfsrpc.sessions.grouping import group
from nfsrpc.sessions.roles import AddressActivity
from nfsrpc.sessions.wanted import NLM_PROTOCOLS

# More addresses than this are taken for one host's only if they share a name.
MANY_NAMES = 64


class AddressNames:
    def __init__(self, decoded: Decoded, activity: AddressActivity) -> None:
        self.decoded, self.activity = decoded, activity
        self.texts = [text for text, _ in decoded.addresses]

    @cached_property
    def of_address(self) -> dict[int, set[str]]:
        """The names by which each host calls itself, by its address."""
        strings = self.decoded.strings
        named: dict[int, set[str]] = defaultdict(set)
        pairs = [self.in_credentials()]
        pairs += [self.named_in(f"{protocol}.args", "caller_name") for protocol in NLM_PROTOCOLS]
        pairs.append(self.named_in("nsm1.args", "my_name", (NsmProc.SM_MON, NsmProc.SM_UNMON)))
        for clients, names, known in pairs:
            clients, names = clients[known], names[known]
            if len(clients):
                _, first = group(clients, names)
                for client, name in zip(clients[first].tolist(), names[first].tolist(), strict=True):
                    named[client].add(text_of(strings[name]))
        taken = {name for names in named.values() for name in names}
        senders, names, known = self.named_in("nsm1.args", "mon_name", (NsmProc.SM_NOTIFY,))
        noticed: dict[int, str] = {}  # the weakest evidence: the name in a notice is its sender's
        for sender, name in set(zip(senders[known].tolist(), names[known].tolist(), strict=True)):
            text = text_of(strings[name])
            if text not in taken and sender not in named:
                noticed[sender] = min(text, noticed.get(sender, text))
        return {**named, **{sender: {text} for sender, text in noticed.items()}}

    def in_credentials(self) -> tuple[Array, Array, Mask]:
        """Callers, and the machinenames that their calls had."""
        raw, tallies = self.decoded.exchanges, self.decoded.tallies
        clients, names = (np.concatenate([raw[name], tallies[name]]) for name in ("client", "machine"))
        return clients, names, names != NO_STRING

    def named_in(self, table: str, column: str, only: tuple[int, ...] = ()) -> tuple[Array, Array, Mask]:
        """The senders of the messages of a table (or only of some procedures), and a name in each message."""
        if not self.decoded.has(table) or column not in self.decoded.messages[table]:
            nothing = np.zeros(0, dtype=np.uint32)
            return nothing, nothing, np.zeros(0, dtype=np.bool_)
        columns, raw = self.decoded.messages[table], self.decoded.exchanges
        rows = self.decoded.row_of_exchange(columns["exchange"].values)
        known = columns[column].valid & ~((raw["prog"][rows] == Prog.NLM) & isin(raw["proc"][rows], GRANTS))
        if only:
            known &= isin(raw["proc"][rows], only)
        return raw["client"][rows], columns[column].values, known

    def of(self, addresses: Iterable[int]) -> set[str]:
        return set().union(*(self.of_address.get(number, set()) for number in addresses))

    def alike(self, addresses: Iterable[int]) -> bool:
        """Whether these may all be one host's: no two of them go by different names."""
        names = [self.of_address[number] for number in addresses if self.of_address.get(number)]
        if not names or set.intersection(*names):
            return True
        return len(names) <= MANY_NAMES and all(one & other for one in names for other in names)

    def by_name(self, addresses: Iterable[int]) -> dict[str, int]:
        """The most active of these addresses for each name."""
        found: dict[str, int] = {}
        for address in addresses:
            for name in self.of_address.get(address, ()):
                found[name] = self.activity.most({address, found.get(name, address)})
        return found

    def monitored(self, addresses: Iterable[int]) -> set[int]:
        """The addresses that these loopback addresses ask their statd to monitor: peers, not the host itself."""
        return set().union(*(self._monitored_by.get(number, set()) for number in addresses))

    @cached_property
    def _monitored_by(self) -> dict[int, set[int]]:
        """The addresses that each calling address requests statd to monitor."""
        found: dict[int, set[int]] = {}
        if not self.decoded.has("nsm1.args"):
            return found
        askers, names, known = self.named_in("nsm1.args", "mon_name")
        numbers: dict[str, set[int]] = {}
        for number, text in enumerate(self.texts):
            numbers.setdefault(text, set()).add(self.decoded.aliases.get(number, number))
        for asker, name in set(zip(askers[known].tolist(), names[known].tolist(), strict=True)):
            found.setdefault(asker, set()).update(numbers.get(text_of(self.decoded.strings[name]), ()))
        return found
