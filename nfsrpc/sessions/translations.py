"""Connections that were captured on both sides of network address translation (NAT, RFC 3022), as one connection.

A node translates the address of a Service to that of a server (DNAT), and often a pod's address to its own
(MASQUERADE). A capture on all of its interfaces, or two captures on either side, show each packet before and after.
Translation changes addresses and ports, and leaves the sequence numbers of TCP as they are: two connections with equal
first sequence numbers in both directions are one, if RPC exchanges of both have the same xid. Two hosts that use the
same xid by chance have different sequence numbers. What else passes between the same addresses (UDP, a SYN without
answer) is then matched by xid, or by the one sequence number that there is.

The sides of a connection are ordered by latency: the exchange takes longest where the client is. All of them get the
ends that they have at the server, where lockd knows its clients by them: one client and one server. `Decoded.sides`
numbers the sides, 0 at the server.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator
from dataclasses import replace
from functools import cached_property
from itertools import combinations
from typing import NamedTuple

import numpy as np

from nfsrpc.columns import NAT, Array, Mask, isin
from nfsrpc.decode import EVERYWHERE, SIDE, Columns, Decoded, Translation, rows_of
from nfsrpc.protocols.numbers import IpProto, Prog
from nfsrpc.sessions.grouping import group, members

RPC_SEEN = 1  # bit of the core's flows
ENDS = ("client", "server")
# A node passes a packet on within this; sequence numbers and xids are used again later.
PASSED_ON = 1_000_000_000
# A packet is translated once or twice on its way; more connections with equal numbers are no translation.
MOST_SIDES = 4
# Without sequence numbers so many exchanges in a row have to agree.
AGREEING = 3

Pair = tuple[int, int]  # of addresses: client and server


class Ends(NamedTuple):
    """The ends of a flow."""

    client: int
    client_port: int
    server: int
    server_port: int


def translated(decoded: Decoded) -> Decoded:
    """The decoded captures, with the ends at the server for every connection captured on both sides of NAT."""
    found = Translations(decoded)
    return found.applied() if found.chains else decoded


class Chain(NamedTuple):
    """The pairs of addresses that one conversation has on its way, from the client's network to the server's."""

    pairs: tuple[Pair, ...]

    @property
    def inner(self) -> Pair:
        return self.pairs[0]

    @property
    def outer(self) -> Pair:
        return self.pairs[-1]

    def side(self, pair: Pair) -> int:
        """0 in the server's network."""
        return len(self.pairs) - 1 - self.pairs.index(pair)


class Translations:
    """The flows that are one connection, and its ends at the server."""

    def __init__(self, decoded: Decoded) -> None:
        self.decoded = decoded
        self.flows = decoded.flows
        local = np.array([domain != EVERYWHERE for _, domain in decoded.addresses], dtype=np.bool_)
        client, server = (self.flows[end].astype(np.int64) for end in ENDS)
        self.remote: Mask = ~(local[client] | local[server]) if len(client) else np.zeros(0, dtype=np.bool_)
        self.pair = client << 32 | server  # of each flow
        self.vantage = decoded.vantage[self.flows["first_capture"]]

    def pair_of(self, row: int) -> Pair:
        return int(self.flows["client"][row]), int(self.flows["server"][row])

    # Which pairs of addresses are translations of each other

    @cached_property
    def chains(self) -> list[Chain]:
        """The chains of addresses that connections prove."""
        votes: dict[tuple[Pair, ...], int] = defaultdict(int)
        for rows in [*self._same_numbers(), *self._same_calls()]:
            votes[self._by_latency(rows)] += 1
        # Of several orders of the same pairs the most frequent one.
        best: dict[frozenset[Pair], tuple[Pair, ...]] = {}
        for pairs, _ in sorted(votes.items(), key=lambda vote: (vote[1], vote[0])):
            best[frozenset(pairs)] = pairs
        return [Chain(pairs) for pairs in sorted(best.values())]

    def _by_latency(self, rows: list[int]) -> tuple[Pair, ...]:
        """The pairs of addresses of some flows, that with the longest way to the server first."""
        order = sorted(rows, key=lambda row: (-self._latency(row), self._texts(self.pair_of(row))))
        return tuple(dict.fromkeys(self.pair_of(row) for row in order))

    def _texts(self, pair: Pair) -> tuple[str, ...]:
        return tuple(self.decoded.addresses[number][0] for number in pair)

    def _latency(self, row: int) -> int:
        """The latency of a flow's handshake, or of its exchanges."""
        flows = self.flows
        if flows["syn_frame"][row] and flows["synack_frame"][row]:
            return int(flows["synack_time"][row] - flows["syn_time"][row])
        mine = self._exchanges_of.get(int(flows["flow"][row]))
        if mine is None:
            return 0
        times, replies = (self.decoded.exchanges[name][mine] for name in ("time", "reply_time"))
        known = (times != NAT) & (replies != NAT)
        return int((replies - times)[known].sum())

    def _same_numbers(self) -> Iterator[list[int]]:
        """TCP connections with equal sequence numbers in both directions, between different addresses."""
        flows = self.flows
        both = (flows["transport"] == IpProto.TCP) & self.remote & (flows["c_frames"] > 0) & (flows["s_frames"] > 0)
        for rows in self._alike(np.flatnonzero(both), flows["c_seq"], flows["s_seq"], flows["prog"]):
            for near in self._near(rows, self.flows["first"]):
                if self._agree(near):
                    yield near

    def _alike(self, rows: Array, *columns: Array) -> Iterator[Array]:
        """Groups of flows that agree in some columns, and differ in their addresses."""
        if not len(rows):
            return
        groups, _ = group(*(column[rows] for column in columns))
        several = np.bincount(groups)[groups] > 1
        rows, groups = rows[several], groups[several]
        if len(rows):
            for part in members(group(groups)[0]):
                if len(set(self.pair[rows[part]].tolist())) > 1:
                    yield rows[part]

    def _near(self, rows: Array, time: Array) -> Iterator[list[int]]:
        """Some flows in parts: those of one vantage only if they begin together. Flows of equal ends count once."""
        order = rows[np.argsort(time[rows], kind="stable")].tolist()
        parts: list[list[int]] = []
        if len(order) > MOST_SIDES * MOST_SIDES * len(self.decoded.vantages):
            return
        for row in order:
            for part in parts:
                same = [other for other in part if self.vantage[other] == self.vantage[row]]
                if all(abs(int(time[row]) - int(time[other])) <= PASSED_ON for other in same):
                    part.append(row)
                    break
            else:
                parts.append([row])
                if len(parts) > MOST_SIDES:
                    return
        for part in parts:
            if 1 < len({self.pair_of(row) for row in part}) <= MOST_SIDES:
                yield part

    def _agree(self, rows: list[int]) -> bool:
        """Whether flows carry the same calls. Those of one vantage may be counted, not listed."""
        listed = [self._calls_of(int(self.flows["flow"][row])) for row in rows]
        here = len({int(self.vantage[row]) for row in rows}) == 1
        known = [calls for calls in listed if calls]
        if len(known) < 2:
            return here and all(len(set(self.flows[name][rows].tolist())) == 1 for name in ("c_bytes", "s_bytes"))
        return bool(set.intersection(*known)) and (here or len(known) == len(rows))

    @cached_property
    def _exchanges_of(self) -> dict[int, Array]:
        """The rows of exchanges by flow."""
        raw = self.decoded.exchanges
        if not len(raw["flow"]):
            return {}
        groups, first = group(raw["flow"])
        return dict(zip(raw["flow"][first].tolist(), members(groups), strict=True))

    def _calls_of(self, flow: int) -> set[tuple[int, int, int]]:
        rows = self._exchanges_of.get(flow)
        if rows is None:
            return set()
        raw = self.decoded.exchanges
        return set(zip(*(raw[name][rows].tolist() for name in ("xid", "prog", "proc")), strict=True))

    def _same_calls(self) -> Iterator[list[int]]:
        """Over UDP: pairs of addresses between which several exchanges agree, one within the other."""
        raw, votes = self.decoded.exchanges, defaultdict[tuple[Pair, Pair], list[list[int]]](list)
        flow = rows_of(self.flows["flow"], raw["flow"])
        asked = (raw["transport"] == IpProto.UDP) & ~isin(raw["prog"], (Prog.NFS, Prog.NFSACL)) & (flow >= 0)
        asked[asked] &= self.remote[flow[asked]]
        asked &= (raw["time"] != NAT) & (raw["reply_time"] != NAT)
        rows = np.flatnonzero(asked)
        if not len(rows):
            return
        names = ("xid", "prog", "vers", "proc", "machine", "call_bytes", "reply_bytes")
        groups, _ = group(*(raw[name][rows] for name in names), self.decoded.vantage[raw["capture"][rows]])
        twice = np.bincount(groups)[groups] == len(("inner", "outer"))
        rows, groups = rows[twice], groups[twice]
        order = np.lexsort((raw["time"][rows], groups))
        for inner, outer in rows[order].reshape(-1, 2).tolist():
            called, replied = (raw[name][[inner, outer]].tolist() for name in ("time", "reply_time"))
            one, other = int(flow[inner]), int(flow[outer])
            within = called[0] < called[1] <= replied[1] < replied[0] <= called[0] + PASSED_ON
            if within and self.pair[one] != self.pair[other]:
                votes[self.pair_of(one), self.pair_of(other)].append([one, other])
        for pairs, found in votes.items():
            count = len(found)
            if count >= AGREEING and all(self._over_udp_between[pair] == count for pair in pairs):
                yield found[0]

    @cached_property
    def _over_udp_between(self) -> dict[Pair, int]:
        """The number of exchanges over UDP of each pair of addresses, of procedures that are always listed."""
        raw = self.decoded.exchanges
        rows = np.flatnonzero((raw["transport"] == IpProto.UDP) & ~isin(raw["prog"], (Prog.NFS, Prog.NFSACL)))
        if not len(rows):
            return {}
        groups, first = group(raw["client"][rows], raw["server"][rows])
        ends = zip(*(raw[end][rows[first]].tolist() for end in ENDS), strict=True)
        return dict(zip(ends, np.bincount(groups).tolist(), strict=True))

    # Which flows are one connection

    @cached_property
    def connections(self) -> list[tuple[Chain, list[int]]]:
        """Flows that are one connection on its way through a chain."""
        flows = self.flows
        known = np.array([client << 32 | server for chain in self.chains for client, server in chain.pairs])
        concerned = np.flatnonzero(self.remote & isin(self.pair, known))
        tcp = concerned[(flows["transport"][concerned] == IpProto.TCP) & (flows["c_frames"][concerned] > 0)]
        found = [part for rows in self._alike(tcp, flows["c_seq"]) for part in self._near(rows, flows["first"])]
        found += self._over_udp(concerned)
        return [(chain, part) for part in found if (chain := self._chain_of(part)) is not None]

    def _chain_of(self, rows: list[int]) -> Chain | None:
        """The chain that has the pairs of addresses of these flows; None where several longer ones have."""
        pairs = frozenset(self.pair_of(row) for row in rows)
        longer = self._chains_of.get(pairs, [])
        return self._chain_of_pairs.get(pairs) or (longer[0] if len(longer) == 1 else None)

    @cached_property
    def _chain_of_pairs(self) -> dict[frozenset[Pair], Chain]:
        return {frozenset(chain.pairs): chain for chain in self.chains}

    @cached_property
    def _chains_of(self) -> dict[frozenset[Pair], list[Chain]]:
        """The longer chains that have some pairs of addresses, by these pairs."""
        found: dict[frozenset[Pair], list[Chain]] = defaultdict(list)
        for chain in self.chains:
            for size in range(2, len(chain.pairs)):
                for pairs in combinations(chain.pairs, size):
                    found[frozenset(pairs)].append(chain)
        return found

    def _over_udp(self, concerned: Array) -> list[list[int]]:
        """Groups of flows over UDP with the same calls."""
        flows, raw = self.flows, self.decoded.exchanges
        udp = concerned[flows["transport"][concerned] == IpProto.UDP]
        numbers = flows["flow"][udp]
        rows = np.flatnonzero(isin(raw["flow"], numbers)) if len(numbers) else np.zeros(0, dtype=np.int64)
        if not len(rows):
            return []
        flow = rows_of(flows["flow"], raw["flow"][rows])
        groups, _ = group(*(raw[name][rows] for name in ("xid", "prog", "vers", "proc", "machine", "call_bytes")))
        found = {
            tuple(part)
            for calls in members(groups)
            if len(calls) > 1
            for part in self._near(np.unique(flow[calls]), flows["first"])
        }
        return [list(part) for part in sorted(found)]

    # What the ends become

    @cached_property
    def _grouped(self) -> set[int]:
        return {row for _, rows in self.connections for row in rows}

    @cached_property
    def both_sides(self) -> dict[Pair, set[int]]:
        """The vantages that show connections on both sides, by the pair of addresses at the server."""
        found: dict[Pair, set[int]] = defaultdict(set)
        for chain, rows in self.connections:
            seen: dict[int, set[Pair]] = defaultdict(set)
            for row in rows:
                seen[int(self.vantage[row])].add(self.pair_of(row))
            found[chain.outer] |= {vantage for vantage, pairs in seen.items() if len(pairs) > 1}
        return found

    @cached_property
    def aliases(self) -> dict[int, int]:
        """An address short of the server -> the one at the server that it becomes, where it is always the same."""
        found: dict[int, set[int]] = defaultdict(set)
        for chain in self.chains:
            for pair in chain.pairs[:-1]:
                for address, outer in zip(pair, chain.outer, strict=True):
                    found[address].add(outer)
        only = {address: next(iter(outer)) for address, outer in found.items() if len(outer) == 1}
        return {address: outer for address, outer in only.items() if address != outer}

    def applied(self) -> Decoded:
        decoded, flows = self.decoded, dict(self.flows)
        size = 1 + max(int(self.flows["flow"].max(initial=0)), int(decoded.exchanges["flow"].max(initial=0)))
        sides = np.zeros(size, dtype=np.uint8)
        changes: dict[int, Ends] = {}  # by row of flows
        before = {name: flows[name] for name in Ends._fields}
        for chain, rows in self.connections:
            ends = self._ends(chain, rows)
            for row in rows:
                sides[self.flows["flow"][row]] = chain.side(self.pair_of(row))
                changes[row] = ends
        for row, side in self._others():
            sides[self.flows["flow"][row]] = side
            changes[row] = self._alias(row)
        for name in Ends._fields:
            flows[name] = flows[name].copy()
            for row, ends in changes.items():
                flows[name][row] = getattr(ends, name)
        changed = np.zeros(len(self.pair) + 1, dtype=np.bool_)
        changed[list(changes)] = True
        exchanges = decoded.exchanges | dict(self._of_exchanges(before, flows, changed))
        return replace(
            decoded,
            flows=flows,
            exchanges=exchanges,
            tallies=self._sums(decoded.tallies, drop=False),
            accesses=self._sums(decoded.accesses, drop=True),
            sides=sides,
            translations=self._translations(),
        )

    def _ends(self, chain: Chain, rows: list[int]) -> Ends:
        """The ends of a connection, as they are at the server, or as near to it as was captured."""
        nearest = self._own(min(rows, key=lambda row: chain.side(self.pair_of(row))))
        return nearest._replace(client=chain.outer[0], server=chain.outer[1])

    def _own(self, row: int) -> Ends:
        return Ends(*(int(self.flows[name][row]) for name in Ends._fields))

    def _others(self) -> Iterator[tuple[int, int]]:
        """Flows that only one side shows, between addresses that are known to be translated, with that side."""
        aliases = np.array(list(self.aliases), dtype=np.int64)
        concerned = isin(self.flows["client"], aliases) | isin(self.flows["server"], aliases)
        sides = {pair: chain.side(pair) for chain in self.chains for pair in chain.pairs}
        for row in np.flatnonzero(concerned & self.remote).tolist():
            if row not in self._grouped:
                yield row, sides.get(self.pair_of(row), 0)

    def _alias(self, row: int) -> Ends:
        ends = self._own(row)
        client, server = (self.aliases.get(address, address) for address in (ends.client, ends.server))
        return ends._replace(client=client, server=server)

    def _of_exchanges(self, before: Columns, after: Columns, changed: Mask) -> Iterator[tuple[str, Array]]:
        """The ends of exchanges on flows that have others now; a call may go against the direction of its flow."""
        raw, row = self.decoded.exchanges, rows_of(self.flows["flow"], self.decoded.exchanges["flow"])
        rows = np.flatnonzero(changed[row])
        row = row[rows]
        along = raw["client"][rows] == before["client"][row]
        along &= raw["client_port"][rows] == before["client_port"][row]
        for name, other in zip(Ends._fields, (*Ends._fields[2:], *Ends._fields[:2]), strict=True):
            values = raw[name].copy()
            values[rows] = np.where(along, after[name][row], after[other][row])
            yield name, values

    def _sums(self, rows: Columns, *, drop: bool) -> Columns:
        """Sums by address, with the side that they were counted on, or those of further sides left out.

        What a capture counted on both sides it counted twice: the server's side counts.
        """
        pair = rows["client"].astype(np.int64) << 32 | rows["server"]
        side = np.zeros(len(pair), dtype=np.uint8)
        vantage = self.decoded.vantage[rows["capture"]]
        result = {name: values.copy() for name, values in rows.items()}
        inner = {client << 32 | server: chain for chain in self.chains for client, server in chain.pairs[:-1]}
        concerned = np.flatnonzero(isin(pair, np.array(list(inner), dtype=np.int64)))
        for part in members(group(pair[concerned])[0]):
            mine = concerned[part]
            number = int(pair[mine[0]])
            chain = inner[number]
            both = isin(vantage[mine], sorted(self.both_sides[chain.outer]))
            side[mine[both]] = 1
            moved = mine if self._is_only(number & 0xFFFFFFFF, chain) else mine[both]
            result["client"][moved], result["server"][moved] = chain.outer
        if drop:
            return {name: values[side == 0] for name, values in result.items()}
        return {**result, SIDE: side}

    def _is_only(self, server: int, chain: Chain) -> bool:
        return server == chain.outer[1] or server in self.aliases

    def _translations(self) -> tuple[Translation, ...]:
        return tuple(
            Translation(*pair, *chain.outer, one_server=self._is_only(pair[1], chain), vantages=frozenset(both))
            for chain in self.chains
            for both in (self.both_sides[chain.outer],)
            for pair in chain.pairs[:-1]
        )
