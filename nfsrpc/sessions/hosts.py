"""Which addresses are one host, what it is called, whose loopback a 127.0.0.1 is, and where a capture was taken.

A loopback address stands for another host in every capture. Evidence of whose it is, best first: the addresses that the
capturing host sent from, where the link layer says so (Linux's cooked captures); the name in the AUTH_SYS credentials
of the kernel's calls over it (GETPORT, SM_MON) and in SM_MON's my_name, which is also the name of an address on the
wire; else the one address that is an end of every RPC flow of that capture; of two such (one client, one server), the
one that does not go by another name and that is not the peer which SM_MON asks to monitor. Else it remains unknown, and
is shown with its file. Several hosts may share a loopback, in captures that were merged (loopbacks.py): what cannot be
told apart there has no host.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Mapping
from functools import cached_property
from pathlib import PurePath
from typing import Any

import numpy as np

from nfsrpc import tables
from nfsrpc.columns import NAT, Array, Coded, Mask, isin
from nfsrpc.decode import EVERYWHERE, NO_STRING, text_of
from nfsrpc.protocols.numbers import GRANTS, NlmProc, NsmProc, Prog
from nfsrpc.sessions import link_types
from nfsrpc.sessions.exchanges import Exchanges
from nfsrpc.sessions.grouping import group
from nfsrpc.sessions.wanted import NLM_PROTOCOLS
from nfsrpc.tables import CAPTURES, Captures

# NLM procedures that the server calls, or statd: they say nothing of who is whose client.
CALLBACKS = (
    *(NlmProc.GRANTED, NlmProc.GRANTED_MSG, NlmProc.NSM_NOTIFY),
    *(NlmProc.TEST_RES, NlmProc.LOCK_RES, NlmProc.CANCEL_RES, NlmProc.UNLOCK_RES),
)
RPC_SEEN = 1  # bit of the core's flows

ANY_INTERFACE = {113, 276}  # tcpdump -i any: loopback is in it

# Of more addresses nobody can say that they are one host's, unless they share a name.
MANY_NAMES = 64
# A loopback domain is the number of a file and of an interface in it; of several hosts that share it each has more.
SHARE = 1 << 32


def file_of(domain: int) -> int:
    return domain % SHARE >> 16


def interface_of(domain: int) -> int:
    return domain & 0xFFFF


class Hosts:
    """The parties of a trace. An address is known by its number in `decoded.addresses`."""

    def __init__(self, exchanges: Exchanges) -> None:
        self.exchanges = exchanges
        self.decoded = decoded = exchanges.decoded
        self.vantage = decoded.vantage  # of each file
        self.texts = [text for text, _ in decoded.addresses]
        self.loopback: Mask = np.array([domain != EVERYWHERE for _, domain in decoded.addresses], dtype=np.bool_)

    def label(self, addresses: Array) -> Coded:
        """What tables show for addresses."""
        return Coded.distinct(addresses, self.labels)

    def is_loopback(self, client: Array, server: Array) -> Mask:
        """A host talks to itself, over a loopback address or its own."""
        both: Mask = (client == server) | (self.loopback[client] & self.loopback[server])
        return both

    @cached_property
    def labels(self) -> list[str | None]:
        return [
            self.texts[number] if not self.loopback[number] else self._loopback_label(number)
            for number in range(len(self.texts))
        ]

    def _loopback_label(self, number: int) -> str | None:
        domain = self.decoded.addresses[number][1]
        if domain in self.shared:
            return None
        if domain in self.owners:
            return self.texts[self.owners[domain]]
        interface = f" interface {interface_of(domain)}" if interface_of(domain) else ""
        return f"{self.texts[number]} of {PurePath(self.decoded.files[file_of(domain)]).name}{interface}"

    @cached_property
    def domains(self) -> list[int]:
        """The loopback interfaces that were captured."""
        return sorted(self.inside)

    @cached_property
    def inside(self) -> dict[int, list[int]]:
        """By loopback interface: the addresses on it."""
        found: dict[int, list[int]] = {}
        for number, (_, domain) in enumerate(self.decoded.addresses):
            if domain != EVERYWHERE:
                found.setdefault(domain, []).append(number)
        return found

    @cached_property
    def domains_of(self) -> list[list[int]]:
        """By vantage: the loopback interfaces in it."""
        found: list[list[int]] = [[] for _ in self.decoded.vantages]
        for domain in self.domains:
            found[self.vantage_of(domain)].append(domain)
        return found

    @cached_property
    def names(self) -> dict[int, set[str]]:
        """The names that an address gave itself."""
        strings = self.decoded.strings
        named: dict[int, set[str]] = defaultdict(set)
        pairs = [self._named_in_credentials()]
        pairs += [self._named_in(f"{protocol}.args", "caller_name") for protocol in NLM_PROTOCOLS]
        pairs.append(self._named_in("nsm1.args", "my_name", (NsmProc.SM_MON, NsmProc.SM_UNMON)))
        for clients, names, known in pairs:
            clients, names = clients[known], names[known]
            if len(clients):
                _, first = group(clients, names)
                for client, name in zip(clients[first].tolist(), names[first].tolist(), strict=True):
                    named[client].add(text_of(strings[name]))
        taken = {name for names in named.values() for name in names}
        senders, names, known = self._named_in("nsm1.args", "mon_name", (NsmProc.SM_NOTIFY,))
        for sender, name in zip(senders[known].tolist(), names[known].tolist(), strict=True):
            text = text_of(strings[name])
            if text not in taken and sender not in named:  # the weakest: whoever sends a notice names itself
                named[sender] = {text}
        return named

    def _named_in_credentials(self) -> tuple[Array, Array, Mask]:
        """Callers, and the machinenames that their calls had."""
        raw, tallies = self.decoded.exchanges, self.decoded.tallies
        clients, names = (np.concatenate([raw[name], tallies[name]]) for name in ("client", "machine"))
        return clients, names, names != NO_STRING

    def _named_in(self, table: str, column: str, only: tuple[int, ...] = ()) -> tuple[Array, Array, Mask]:
        """Who sent the messages of a table (or only those of some procedures), and a name in them."""
        if not self.decoded.has(table) or column not in self.decoded.messages[table]:
            nothing = np.zeros(0, dtype=np.uint32)
            return nothing, nothing, np.zeros(0, dtype=np.bool_)
        columns, raw = self.decoded.messages[table], self.decoded.exchanges
        rows = self.decoded.row_of_exchange(columns["exchange"].values)
        # Of a grant caller_name is the server's, on Linux, or the client's.
        known = columns[column].valid & ~((raw["prog"][rows] == Prog.NLM) & isin(raw["proc"][rows], GRANTS))
        if only:
            known &= isin(raw["proc"][rows], only)
        return raw["client"][rows], columns[column].values, known

    @cached_property
    def activity(self) -> tuple[Array, Array]:
        """By address: NFS, MOUNT and NLM calls sent, and received, but for NLM's callbacks."""
        raw, tallies = self.exchanges.raw, self.decoded.tallies
        kinds, _ = self.exchanges.kinds
        prog, proc = self.exchanges.of_kind("prog"), self.exchanges.of_kind("proc")
        served = (isin(prog, (Prog.NFS, Prog.MOUNT)) | ((prog == Prog.NLM) & ~isin(proc, CALLBACKS)))[kinds]
        sent, received = (np.bincount(raw[end][served], minlength=len(self.texts)) for end in ("client", "server"))
        nfs = tallies["prog"] == Prog.NFS
        np.add.at(sent, tallies["client"][nfs], tallies["exchanges"][nfs])
        np.add.at(received, tallies["server"][nfs], tallies["exchanges"][nfs])
        return sent, received

    @cached_property
    def ends(self) -> list[dict[int, int]]:
        """By vantage: the addresses (but loopback) at an end of RPC flows, with how many."""
        flows = self.decoded.flows
        rpc = (flows["flags"] & RPC_SEEN != 0) & ~self.loopback[flows["client"]] & ~self.loopback[flows["server"]]
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
    def common(self) -> list[set[int]]:
        """By vantage: the addresses that are an end of every flow, of which the capturing host is one."""
        total = [max(ends.values(), default=0) for ends in self.ends]
        flows = self.flow_counts
        return [
            {address for address, count in ends.items() if count == most == flows[number]}
            for number, (ends, most) in enumerate(zip(self.ends, total, strict=True))
        ]

    @cached_property
    def flow_counts(self) -> list[int]:
        flows = self.decoded.flows
        rpc = (flows["flags"] & RPC_SEEN != 0) & ~self.loopback[flows["client"]] & ~self.loopback[flows["server"]]
        vantage = self.decoded.vantage[flows["first_capture"]][rpc]
        counts: list[int] = np.bincount(vantage, minlength=len(self.decoded.vantages)).tolist()
        return counts

    @cached_property
    def owners(self) -> dict[int, int]:
        """Loopback domain -> address of the host that it belongs to, where that can be told."""
        found = {domain: self._owner(domain) for domain in self.domains}
        return {domain: owner for domain, owner in found.items() if owner is not None}

    def vantage_of(self, domain: int) -> int:
        return int(self.vantage[file_of(domain)])

    @cached_property
    def shared(self) -> set[int]:
        """The loopback interfaces of several hosts: what is left of them when these are told apart is nobody's."""
        return {domain % SHARE for domain in self.domains if domain >= SHARE}

    @cached_property
    def numbers(self) -> dict[str, int]:
        """The address by its text, but for loopback."""
        return {text: number for number, text in enumerate(self.texts) if not self.loopback[number]}

    @cached_property
    def local(self) -> list[dict[int, set[int]]]:
        """By vantage and interface: the addresses that the capturing host sent from, as the link layer tells."""
        found: list[dict[int, set[int]]] = [{} for _ in self.decoded.vantages]
        for file, interface, text in self.decoded.locals:
            if text in self.numbers:
                found[int(self.vantage[file])].setdefault(interface, set()).add(self.numbers[text])
        return found

    def senders(self, domain: int) -> set[int]:
        """The addresses that frames were sent from where a loopback was captured, as the link layer tells."""
        return self.local[self.vantage_of(domain)].get(interface_of(domain), set())

    def _host_of(self, vantage: int, senders: Iterable[int]) -> int | None:
        """The capturing host: of its addresses the one most active in RPC. Interfaces may be those of several hosts."""
        mine = {number for number in senders if number in self.ends[vantage]}
        return self.most_active(mine) if mine and self._one_host(mine) else None

    def _one_host(self, addresses: set[int]) -> bool:
        """Whether these may all be one host's: no two of them go by different names, or talk with each other."""
        names = [self.names[number] for number in addresses if self.names.get(number)]
        alike = not names or bool(set.intersection(*names))
        if not alike and len(names) <= MANY_NAMES:
            alike = all(one & other for one in names for other in names)
        return alike and not self.talk(addresses)

    @cached_property
    def peers(self) -> dict[int, set[int]]:
        """By address: the others with which it has RPC connections."""
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

    def sender_of(self, domain: int) -> int | None:
        """The host that captured on this interface, as the link layer tells."""
        return self._host_of(self.vantage_of(domain), self.senders(domain))

    def _owner(self, domain: int) -> int | None:
        if domain in self.shared:
            return None
        sender = self.sender_of(domain) if domain < SHARE else None
        if sender is not None:
            return sender
        inside, vantage = self.inside[domain], self.vantage_of(domain)
        names = set().union(*(self.names.get(number, set()) for number in inside))
        here = self.ends[vantage]
        for candidates in (self._of_name[vantage], self._of_name[-1]):
            same_name = {candidates[name] for name in names if name in candidates}
            if same_name:
                return self.most_active(same_name)
        # A capture of the loopback alone is of a host that the other captures show.
        if here or not names:
            left = self.common[vantage] - self._monitored(inside)
            left = {address for address in left if not (names and self.names.get(address))}
            return next(iter(left)) if len(left) == 1 else None
        peers = self._monitored(inside) & self._nameless
        return next(iter(self._nameless - peers)) if len(self._nameless) - len(peers) == 1 else None

    @cached_property
    def _everywhere(self) -> set[int]:
        return {address for ends in self.ends for address in ends}

    @cached_property
    def _nameless(self) -> set[int]:
        return {address for address in self._everywhere if not self.names.get(address)}

    @cached_property
    def _of_name(self) -> list[dict[str, int]]:
        """By vantage, and at last of all together: the most active address that goes by a name."""
        return [self._by_name(addresses) for addresses in (*self.ends, self._everywhere)]

    def _by_name(self, addresses: Iterable[int]) -> dict[str, int]:
        found: dict[str, int] = {}
        for address in addresses:
            for name in self.names.get(address, ()):
                found[name] = self.most_active({address, found.get(name, address)})
        return found

    def _monitored(self, inside: Iterable[int]) -> set[int]:
        """The addresses that these loopback addresses ask their statd to monitor: peers, not the host itself."""
        return set().union(*(self._monitored_by.get(number, set()) for number in inside))

    @cached_property
    def _monitored_by(self) -> dict[int, set[int]]:
        """By the address that asks."""
        found: dict[int, set[int]] = {}
        if not self.decoded.has("nsm1.args"):
            return found
        askers, names, known = self._named_in("nsm1.args", "mon_name")
        numbers: dict[str, set[int]] = {}
        for number, text in enumerate(self.texts):
            numbers.setdefault(text, set()).add(number)
        for asker, name in set(zip(askers[known].tolist(), names[known].tolist(), strict=True)):
            found.setdefault(asker, set()).update(numbers.get(text_of(self.decoded.strings[name]), ()))
        return found

    def most_active(self, addresses: Iterable[int]) -> int:
        sent, received = self.activity
        return max(addresses, key=lambda number: (int(sent[number] + received[number]), -number))

    @cached_property
    def capturing(self) -> list[int | None]:
        """By vantage: the address of the host that the capture was taken on, where that can be told."""
        found: list[int | None] = []
        for number, common in enumerate(self.common):
            owners = {self.owners.get(domain) for domain in self.domains_of[number]}
            owners.discard(None)
            sender = self._host_of(number, set().union(*self.local[number].values()))
            told = owners or ({sender} if sender is not None else common)
            found.append(next(iter(told)) if len(told) == 1 else None)
        return found

    @cached_property
    def named(self) -> Mapping[str, str]:
        """Name or address -> label of the host, where only one goes by it."""
        labels: dict[str, set[str]] = defaultdict(set)
        for number, names in self.names.items():
            label = self.labels[number]
            if label is not None:
                for name in names:
                    labels[name].add(label)
        return {
            **{name: next(iter(hosts)) for name, hosts in labels.items() if len(hosts) == 1},
            **{
                text: text
                for text, (_, domain) in zip(self.texts, self.decoded.addresses, strict=True)
                if domain == EVERYWHERE
            },
        }

    def role(self, addresses: Iterable[int]) -> str:
        """client or server, by what it does more of; nothing for a host that does neither."""
        sent, received = self.activity
        calls, served = (int(sum(counts[number] for number in addresses)) for counts in (sent, received))
        return "" if calls == served == 0 else "client" if calls > served else "server"

    @cached_property
    def members(self) -> list[list[int]]:
        """The addresses of each host: an IPv4 and an IPv6 address of one name that no other has are one host's."""
        speaking = sorted({address for ends in self.ends for address in ends})
        by_name: dict[str, list[int]] = defaultdict(list)
        for number in speaking:
            for name in self.names.get(number, ()):
                by_name[name].append(number)
        partner: dict[int, int] = {}
        for numbers in by_name.values():
            if len(numbers) == 2 and len({":" in self.texts[number] for number in numbers}) == 2:
                partner |= {numbers[0]: numbers[1], numbers[1]: numbers[0]}
        hosts = {tuple(sorted({number, partner.get(number, number)})) for number in speaking}
        return [list(host) for host in sorted(hosts)]

    def table(self) -> tables.Hosts:
        return tables.Hosts.of(tables.HOSTS, map(self._row, self.members))

    def _row(self, addresses: list[int]) -> tuple[Any, ...]:
        sent, received = self.activity
        main = self.most_active(addresses)
        owned = sorted(domain for number in addresses for domain in self._owned.get(number, ()))
        names = set().union(*(self.names.get(number, set()) for number in addresses))
        calls, served = (int(counts[addresses].sum()) for counts in (sent, received))
        taken = sorted(vantage for number in addresses for vantage in self._taken.get(number, ()))
        firsts, lasts = (times[addresses] for times in self._times)
        return (
            self.texts[main],
            tuple(self.texts[number] for number in addresses),
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
        """By address: the loopback interfaces of its host."""
        found: dict[int, list[int]] = {}
        for domain, owner in self.owners.items():
            found.setdefault(owner, []).append(domain)
        return found

    @cached_property
    def _taken(self) -> dict[int, list[int]]:
        """By address: the vantages on its host."""
        found: dict[int, list[int]] = {}
        for vantage, address in enumerate(self.capturing):
            if address is not None:
                found.setdefault(address, []).append(vantage)
        return found

    @cached_property
    def _times(self) -> tuple[Array, Array]:
        """By address: when it was first seen, and last (NAT: without a time)."""
        flows, size = self.decoded.flows, len(self.texts)
        first, last = np.full(size, np.iinfo(np.int64).max), np.full(size, NAT, dtype=np.int64)
        for side in ("client", "server"):
            for name in ("first", "last"):
                times = flows[name]
                np.minimum.at(first, flows[side][times != NAT], times[times != NAT])
                np.maximum.at(last, flows[side], times)
        return first, last

    def captures(self, offsets: Array, drifts: Array) -> Captures:
        """A row a file; `offsets` and `drifts` are of the clocks of the vantages."""
        rows = (self._capture(number, offsets, drifts) for number in range(len(self.decoded.files)))
        return Captures.of(CAPTURES, rows)

    @cached_property
    def _interfaces(self) -> list[list[dict[str, Any]]]:
        """By file."""
        found: list[list[dict[str, Any]]] = [[] for _ in self.decoded.files]
        for row in self.decoded.interfaces:
            found[row["capture"]].append(row)
        return found

    def _capture(self, number: int, offsets: Array, drifts: Array) -> tuple[Any, ...]:
        decoded, vantage = self.decoded, int(self.vantage[number])
        facts = {name: values[number].item() for name, values in decoded.captures.items()}
        interfaces = self._interfaces[number]
        any_interface = bool(self.domains_of[vantage]) or any(row["link_type"] in ANY_INTERFACE for row in interfaces)
        host = self.capturing[vantage]
        words = (self.role([host]) if host is not None else "", "any" if any_interface else "wire")
        label = None if host is None else self.texts[host]
        known = offsets[vantage] != NAT and len(decoded.vantages) > 1
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
            label if any_interface else None,
            int(offsets[vantage]) / 1e9 if known else None,
            float(drifts[vantage]) * 1e6 if known else None,
        )
