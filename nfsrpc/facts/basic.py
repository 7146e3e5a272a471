"""Facts that most rules need: which calls and flows count, roles of hosts, gaps of the capture, time, reboots.

A fact is a function marked so; its parameters are tables and other facts, by name. A rule gets a fact as it gets a
table: by naming it as a parameter. What several vantages show counts once, so rules ask for `exchanges` and not for
`calls`, for `connections` and not for `flows`.
"""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from functools import cached_property
from typing import Any, NamedTuple, TypeVar

import numpy as np

from nfsrpc.columns import NAT, Array, Mask, Table, isin
from nfsrpc.protocols.numbers import REQUESTS, SYNCHRONOUS, Prog
from nfsrpc.sessions.exchanges import CALL_CUT, UNDECODABLE
from nfsrpc.sessions.grouping import group
from nfsrpc.sessions.stretches import Stretches
from nfsrpc.tables import Calls, Captures, Flows, Locks, Monitors, Oddities, Quality, Registrations, Tallies
from nfsrpc.wording import SECOND

BEGINNING_S = 5  # calls of before the capture are answered within this

FACTS: dict[str, Callable[..., Any]] = {}
Fact = TypeVar("Fact", bound=Callable[..., Any])
Key = TypeVar("Key")
Value = TypeVar("Value")
Rows = TypeVar("Rows", bound=Table)


def fact(function: Fact) -> Fact:
    FACTS[function.__name__] = function
    return function


# Which hosts a row is about. `calls` and `flows` are asked for by the number of a row, and so are whole.
HOSTS: dict[str, tuple[str, str]] = {
    "locks": ("server", "client"),
    "monitors": ("host", "asker"),
    "registrations": ("host", "asker"),
    "tallies": ("client", "server"),
    "writes": ("server", "client"),
}


def of_known_hosts(table: Rows, ends: Iterable[str]) -> Rows:
    """The rows whose hosts are known: on a loopback that several hosts share, some messages have no known host."""
    has_hosts = np.ones(len(table), dtype=np.bool_)
    for end in ends:
        has_hosts &= table[end].codes >= 0
    return table if has_hosts.all() else table.where(has_hosts)


def in_order_of_time(table: Rows) -> Rows:
    """The rows in the order of their times, where they are of several captures: these come one after the other."""
    captures, times = table["capture"], table["time"]
    if not len(table) or (captures == captures[0]).all():
        return table
    return table.take(np.argsort(times, kind="stable"))


@fact
def exchanges(calls: Calls) -> Calls:
    """Calls that count: each once, however many vantages show it, no replies without call, and of known hosts."""
    dropped = calls.valid("duplicate_of") | (calls["state"] == "orphan")
    return of_known_hosts(calls.where(~dropped) if dropped.any() else calls, ("client", "server"))


@fact
def counted(tallies: Tallies) -> Tallies:
    """Sums of ordinary exchanges where these are not listed, each exchange in one sum."""
    elsewhere = tallies.valid("counted_in")
    return tallies.where(~elsewhere) if elsewhere.any() else tallies


@fact
def counted_requests(counted: Tallies) -> Tallies:
    """Sums of lock requests that were granted in time, of sessions that are over."""
    return counted.where((counted["prog"] == Prog.NLM) & isin(counted["proc"], SYNCHRONOUS))


@fact
def counted_uses(counted: Tallies) -> Tallies:
    """Sums of exchanges of clients with services that they use: not questions to portmappers, nor pings (NULL)."""
    nfs = isin(counted["prog"], (Prog.NFS, Prog.NFSACL))
    return counted.where(nfs | ((counted["prog"] == Prog.NLM) & isin(counted["proc"], SYNCHRONOUS)))


@fact
def unattributed(calls: Calls) -> int:
    """The number of lock requests whose client or server is not known."""
    locking = (calls["prog"] == Prog.NLM) & ~calls.valid("duplicate_of") & (calls["state"] != "orphan")
    return int((locking & ((calls["client"].codes < 0) | (calls["server"].codes < 0))).sum())


@fact
def connections(flows: Flows) -> Flows:
    """Flows, each once, of known hosts."""
    again = flows.valid("duplicate_of")
    return of_known_hosts(flows.where(~again) if again.any() else flows, ("client", "server"))


@fact
def nlm(exchanges: Calls) -> Calls:
    """All exchanges with a lock manager, callbacks too."""
    return exchanges.where(exchanges["prog"] == Prog.NLM)


@fact
def requests(nlm: Calls) -> Calls:
    """Requests of clients to a server's lock manager whose reply is the result."""
    return nlm.where(isin(nlm["proc"], SYNCHRONOUS))


def over_udp(counted: Tallies) -> int:
    """The number of counted exchanges over UDP."""
    return int(counted["exchanges"][counted["transport"] == "udp"].sum())


@dataclass(eq=False, repr=False)
class Roles:
    """Roles of hosts: pairs of a client and a server."""

    file_pairs: frozenset[tuple[str, str]]  # by NFS and MOUNT
    lock_pairs: frozenset[tuple[str, str]]  # by lock requests
    mounting: frozenset[tuple[str, str]]  # by asking a portmapper for NFS or MOUNT, whatever it said

    @cached_property
    def pairs(self) -> frozenset[tuple[str, str]]:
        return self.file_pairs | self.lock_pairs

    @cached_property
    def file_servers(self) -> frozenset[str]:
        return frozenset(server for _, server in self.file_pairs)

    @cached_property
    def servers(self) -> frozenset[str]:
        return frozenset(server for _, server in self.pairs)

    @cached_property
    def clients(self) -> frozenset[str]:
        return frozenset(client for client, _ in self.pairs)

    @cached_property
    def lock_servers(self) -> frozenset[str]:
        return frozenset(server for _, server in self.lock_pairs)

    @cached_property
    def mounted(self) -> frozenset[str]:
        return frozenset(server for _, server in self.mounting)

    @cached_property
    def mounters(self) -> frozenset[str]:
        return frozenset(client for client, _ in self.mounting)

    def calling(self, caller: str, client: str) -> str | None:
        """The server that calls this client: the caller, or the one of which it must be another address.

        A host with several addresses, or one that moves from node to node, is mounted by one and calls from another.
        """
        if (client, caller) in self.lock_pairs:
            return caller
        servers = self._lock_servers.get(client, ())
        return servers[0] if len(servers) == 1 and caller not in self.clients and caller not in self.servers else None

    @cached_property
    def _lock_servers(self) -> Mapping[str, list[str]]:
        return listed(self.lock_pairs)

    @cached_property
    def servers_of(self) -> Mapping[str, list[str]]:
        """The servers of each client."""
        return listed(sorted(self.pairs))

    @cached_property
    def _clients_of(self) -> Mapping[str, list[str]]:
        return listed((server, client) for client, server in sorted(self.pairs))

    def client_of(self, host: str, other: str) -> str:
        """The client of two hosts; `other`, where each serves the other or the captures do not show it."""
        return host if (host, other) in self.pairs and (other, host) not in self.pairs else other

    def clients_of(self, server: str) -> tuple[str, ...]:
        return tuple(self._clients_of.get(server, ()))


def listed(pairs: Iterable[tuple[Key, Value]]) -> dict[Key, list[Value]]:
    """The second items of pairs, grouped by the first, in their order."""
    found: dict[Key, list[Value]] = {}
    for key, value in pairs:
        found.setdefault(key, []).append(value)
    return found


@fact
def roles_elsewhere() -> Roles:
    """The roles that captures of other clocks show: none, unless the diagnosis sets them."""
    return Roles(frozenset(), frozenset(), frozenset())


@fact
def roles(flows: Flows, nlm: Calls, registrations: Registrations, roles_elsewhere: Roles) -> Roles:
    """The roles of hosts; NFS from connections, because NFS calls may be counted instead of listed."""
    file_pairs = pairs_of(flows.where(isin(flows["prog"], (Prog.NFS, Prog.MOUNT)) & flows["rpc"]))
    lock_pairs = pairs_of(nlm.where(isin(nlm["proc"], REQUESTS)))
    looked = registrations.where(isin(registrations["prog"], (Prog.NFS, Prog.MOUNT)) & ~registrations["loopback"])
    mounting = zip(looked["asker"].tolist(), looked["host"].tolist(), strict=True)
    return Roles(
        file_pairs | roles_elsewhere.file_pairs,
        lock_pairs | roles_elsewhere.lock_pairs,
        frozenset((asker, host) for asker, host in mounting if asker is not None and host is not None)
        | roles_elsewhere.mounting,
    )


def pairs_of(table: Calls | Flows | Tallies) -> frozenset[tuple[str, str]]:
    """The pairs (client, server) that occur."""
    if not len(table):
        return frozenset()
    client, server = table["client"], table["server"]
    _, first = group(client.codes, server.codes)
    pairs = zip(client[first].tolist(), server[first].tolist(), strict=True)
    return frozenset((client, server) for client, server in pairs if client is not None and server is not None)


@fact
def sending_pairs(flows: Flows) -> frozenset[tuple[str, str]]:
    """The pairs (sender, receiver) of hosts of which any frame was captured."""
    there = flows.where(flows["c_frames"] > 0)
    back = flows.where(flows["s_frames"] > 0)
    return pairs_of(there) | frozenset((server, client) for client, server in pairs_of(back))


@fact
def sending(connections: Flows) -> Stretches:
    """When hosts sent frames: per connection and host, from its beginning to the last frame that the host sent."""
    sides = [(connections["client"].tolist(), "c"), (connections["server"].tolist(), "s")]
    return Stretches.of(
        (host, first, last)
        for hosts, way in sides
        for host, first, last in zip(
            hosts, connections["first"].tolist(), connections.column(f"{way}_last").tolist(), strict=True
        )
        if host is not None and NAT not in (first, last)
    )


@fact
def gaps(flows: Flows, calls: Calls, nlm: Calls, captures: Captures, lossy: bool) -> frozenset[frozenset[str]]:
    """The pairs of hosts between which the captures lack something: what is not seen there may have happened.

    A reply without its call is such a lack, but not where the capture of that vantage has just begun. Datagrams have no
    sequence numbers: where packets are missing anywhere, any of them may be.
    """
    orphans = (calls["state"] == "orphan") & ~calls.valid("duplicate_of")
    if orphans.any():
        orphans &= calls["time"] > begun(captures)[calls["vantage"]] + BEGINNING_S * SECOND
    lacking = flows["c_lost_bytes"] + flows["s_lost_bytes"] > 0
    lacking |= damaged(flows) & (flows["prog"] != Prog.NFS)  # a connection carries one program
    lacking |= lossy & flows["rpc"] & (flows["transport"] == "udp")
    one_way = flows["rpc"] & ((flows["c_frames"] == 0) | (flows["s_frames"] == 0))
    cut = nlm.where(nlm["flags"] & (CALL_CUT | UNDECODABLE) != 0)
    tables = flows.where(lacking | one_way), calls.where(orphans), cut
    return frozenset(frozenset(pair) for table in tables for pair in pairs_of(table))


def begun(captures: Captures) -> Array:
    """When the captures of each vantage were begun."""
    known = captures.where(captures.valid("first"))
    times = np.full(int(captures["vantage"].max(initial=0)) + 1, np.iinfo(np.int64).max - BEGINNING_S * SECOND)
    np.minimum.at(times, known["vantage"], known["first"])
    return times


def lacks(gaps: frozenset[frozenset[str]], row: Locks.Row) -> bool:
    """Whether the capture lacks something between the client and the server of this row."""
    return frozenset((row.client, row.server)) in gaps


@fact
def crowded(oddities: Oddities) -> bool:
    """Whether there was no room to list all exchanges that would be listed."""
    return bool(oddities["kind"].isin(("exchanges-full", "locks-full")).any())


@fact
def odd_left_out(oddities: Oddities) -> bool:
    """Whether there was no room to list all that is out of the ordinary."""
    return bool(oddities["kind"].isin(("exchanges-full", "flows-full")).any())


@fact
def lossy(flows: Flows, quality: Quality, oddities: Oddities, crowded: bool) -> bool:
    """Whether the capture lost packets, or not all is listed: then others may be missing as well, without a trace.

    A damaged packet is known, and missing alone; but where nothing else shows its flow, it may have been anything.
    """
    if crowded or oddities["kind"].isin(("flows-full", "hosts-full")).any():
        return True
    lacking = flows["c_lost_bytes"].any() or flows["s_lost_bytes"].any()
    lacking |= (damaged(flows) & ~flows.valid("prog")).any()
    return bool(lacking or quality["drops"][quality.valid("drops")].any())


def damaged(flows: Flows) -> Mask:
    """Flows of which frames were damaged."""
    found: Mask = flows["c_damaged"] + flows["s_damaged"] > 0
    return found


@fact
def with_portmappers(registrations: Registrations) -> frozenset[str]:
    """Hosts that sent or received portmapper calls in the capture; a capture filter on lockd's port drops these."""
    hosts = {*registrations["host"].tolist(), *registrations["asker"].tolist()}
    return frozenset(host for host in hosts if host is not None)


class Stray(NamedTuple):
    """A reply over UDP from an address that was not asked, and the call that it answers: rows of calls."""

    call: Calls.Row
    reply: Calls.Row


@fact
def strays(calls: Calls) -> tuple[Stray, ...]:
    """Replies over UDP from another address than the one called, each with its call."""
    calls = of_known_hosts(calls, ("client", "server"))
    udp = calls["transport"] == "udp"
    orphans = calls.where(udp & (calls["state"] == "orphan"))
    open_ = calls.where(udp & calls["state"].isin(("unanswered", "undecided")) & isin(calls["xid"], orphans["xid"]))
    waiting = {(row.client, row.client_port, row.xid): row for row in open_.rows()}
    pairs = ((waiting.get((row.client, row.client_port, row.xid)), row) for row in (orphans.rows() if waiting else ()))
    return tuple(
        Stray(call, reply)
        for call, reply in pairs
        if call is not None and call.server != reply.server and reply.time >= call.time
    )


@fact
def closed_by_client(flows: Flows) -> Array:
    """The TCP connections that the client itself closed with FIN: it no longer waited for any reply."""
    closed: Array = flows["flow"][(flows["c_fin"] > 0) & (flows["c_rst"] == 0) & (flows["s_rst"] == 0)]
    return closed


@fact
def loopbacks(captures: Captures, flows: Flows) -> frozenset[str]:
    """The hosts whose loopback traffic the captures hold, or would hold."""
    inside = flows.where(flows["loopback"])
    whole = inside.valid("server").all()  # else, in a merged capture, traffic without a known host may be any host's
    seen = set(inside["server"].tolist()) if len(inside) and whole else set()
    named = set(captures["loopback_of"].tolist())
    return frozenset(host for host in seen | named if host is not None)


class Span(NamedTuple):
    """A stretch of time, in nanoseconds."""

    first: int
    last: int


@fact
def span(captures: Captures) -> Span | None:
    """The time of all captures together; none where frames have no time."""
    firsts, lasts = (captures[name][captures.valid(name)] for name in ("first", "last"))
    return Span(int(firsts.min()), int(lasts.max())) if len(firsts) and len(lasts) else None


@fact
def boots(monitors: Monitors) -> Mapping[str, tuple[int, ...]]:
    """When hosts sent reboot notices (SM_NOTIFY): one sorted tuple of times per host."""
    notices = monitors.where((monitors["procedure"] == "NOTIFY") & ~monitors["loopback"])
    found: dict[str, list[int]] = {}
    for host, time in zip(notices["asker"].tolist(), notices["time"].tolist(), strict=True):
        if host is not None and time != NAT:
            found.setdefault(host, []).append(time)
    return {host: tuple(sorted(times)) for host, times in found.items()}


def has_booted(boots: Mapping[str, tuple[int, ...]], host: str | None, first: float, last: float) -> bool:
    """Whether a host booted from `first` to `last`."""
    times = boots.get(host or "", ())
    at = bisect_left(times, first)
    return at < len(times) and times[at] <= last


def booting(boots: Mapping[str, tuple[int, ...]], host: str | None, first: int, last: int, around_s: float) -> bool:
    """Whether a host booted within `around_s` of this stretch of time."""
    return has_booted(boots, host, first - around_s * SECOND, last + around_s * SECOND)
