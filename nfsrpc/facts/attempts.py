"""Connections that failed: SYNs without answer, ports that are closed, hosts that are not there, half-open connections.

Tries of one host for one port of another are one `Attempt`, however many SYNs and source ports they took: the kernel
repeats a SYN after 1, 2, 4, 8 … s, and tries a port that answers RST again in a tight loop.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping
from typing import Any, Literal, NamedTuple, TypeAlias

import numpy as np

from nfsrpc.columns import NAT, Array, isin
from nfsrpc.facts.basic import fact, listed, pairs_of
from nfsrpc.facts.vantages import Vantages
from nfsrpc.protocols import program_name
from nfsrpc.protocols.numbers import Prog
from nfsrpc.sessions.exchanges import TRANSPORTS
from nfsrpc.sessions.grouping import Parts, group, members
from nfsrpc.sessions.stretches import Stretches
from nfsrpc.tables import Flows, Locks
from nfsrpc.wording import SECOND, duration

# ICMP codes by which a host or a firewall refuses this port alone; others are about the host or network.
PORT_REFUSED = {"IPv4": (2, 3, 9, 10, 13), "IPv6": (1, 4, 5, 6)}

# One SYN may be retransmitted because its answer was lost.
RESENT = 2
# One lost segment is retransmitted once or twice; where a host or firewall lost its state, until TCP gives up.
AGAIN = 3

PLACE = ("client", "server", "server_port")

Outcome: TypeAlias = Literal["unanswered", "refused", "unreachable", "half-open"]
OUTCOMES: tuple[Outcome, ...] = ("unanswered", "refused", "unreachable", "half-open")
HALF_OPEN = OUTCOMES.index("half-open")


class AcceptedTry(NamedTuple):
    """A connection from another source port that was accepted."""

    time: int
    source: int
    capture: int
    frame: int


class Attempt(NamedTuple):
    """A port of another host that a host failed to connect to (or over UDP, about which ICMP came back)."""

    client: str
    server: str
    port: int
    transport: str
    program: str | None
    prog: int | None
    registered: bool  # a portmapper named the port in the captures
    loopback: bool
    outcome: Outcome  # silence; RST or ICMP about the port; ICMP about the host or network; ACK for a SYN
    tries: int  # SYNs, or datagrams
    resent: int  # of these, how many were the same again
    first: int
    last: int
    frames: tuple[tuple[int, int], ...]  # capture and frame of the first and the last try
    proof: tuple[int, int] | None  # of the first RST or ICMP
    succeeded: int | None  # when a later connection to that service was accepted, at that port or another
    otherwise: bool  # the service answers that client over the other transport
    used: bool = False  # the program is known, and the host calls programs of that host
    sources: tuple[int, ...] = ()  # the source ports of the tries
    accepted_try: AcceptedTry | None = None  # the first accepted connection to that port between two of the tries

    @property
    def seconds(self) -> float:
        return (self.last - self.first) / SECOND

    @property
    def of_client(self) -> bool:
        """Whether the port serves something that the client uses: a port scan tries many ports, and no RPC."""
        return self.prog is not None and (self.registered or self.used)

    def ignored(self, sending_pairs: frozenset[tuple[str, str]]) -> bool:
        """Whether no answer came, and not only none was captured: a host with an answer does not retransmit its SYN."""
        return self.outcome == "unanswered" and ((self.server, self.client) in sending_pairs or self.resent >= RESENT)


class Failure(NamedTuple):
    """The attempts of one client or several at one port of a host that failed alike, in order of time."""

    attempts: tuple[Attempt, ...]

    @property
    def head(self) -> Attempt:
        return self.attempts[0]

    @property
    def clients(self) -> tuple[str, ...]:
        return tuple(sorted({attempt.client for attempt in self.attempts}))

    @property
    def transports(self) -> tuple[str, ...]:
        return tuple(sorted({attempt.transport for attempt in self.attempts}))

    @property
    def tries(self) -> int:
        return sum(attempt.tries for attempt in self.attempts)

    @property
    def first(self) -> int:
        return self.head.first

    @property
    def last(self) -> int:
        return max(attempt.last for attempt in self.attempts)

    @property
    def seconds(self) -> float:
        """The longest that a client tried."""
        return max(attempt.seconds for attempt in self.attempts)

    @property
    def within(self) -> str:
        """How long they tried, as the end of a clause."""
        return f"in {duration(self.seconds)}" if len(self.attempts) == 1 else f"each in up to {duration(self.seconds)}"

    @property
    def succeeded(self) -> bool:
        return all(attempt.succeeded is not None for attempt in self.attempts)


def together(attempts: Iterable[Attempt], *alike: Callable[[Attempt], object]) -> list[Failure]:
    """Attempts at the same port of the same host that are alike in these respects, as one."""
    found = listed(((each.server, each.port, *(of(each) for of in alike)), each) for each in attempts)
    return [Failure(tuple(sorted(mine, key=lambda each: (each.first, each.client)))) for mine in found.values()]


@fact
def attempts(connections: Flows) -> tuple[Attempt, ...]:
    """All attempts of the capture that failed: without answer, or refused."""
    flows = connections
    # Who sends data was accepted, whatever the capture lacks: a RST comes later, and ends the connection.
    reset = (flows["s_rst"] > 0) & (flows["c_bytes"] == 0) & (flows["s_bytes"] == 0)
    silent = flows["s_frames"] == 0
    # A host that sends data or a FIN was accepted; one that does not repeat a SYN was answered: the capture lacks it.
    went_on = (flows["c_bytes"] > 0) | (flows["c_fin"] > 0) | ((flows["syn"] == 1) & (flows["icmp"] == 0))
    unopened = (flows["syn"] > 0) & (flows["synack"] == 0) & (reset | (silent & ~went_on))
    failed = np.where(flows["transport"] == "tcp", unopened, (flows["icmp"] > 0) & silent)
    rows = flows.where(failed & flows.valid("server"))  # a loopback without a known host has no host to name
    return tuple(of_rows(rows, outcomes(rows), flows)) if len(rows) else ()


@fact
def half_open(connections: Flows) -> tuple[Attempt, ...]:
    """SYNs that were answered by a bare ACK: the host has an older connection with the same ports (RFC 9293 3.5.1)."""
    flows = connections
    challenged = (flows["syn"] > 0) & (flows["synack"] == 0) & (flows["s_frames"] > 0) & (flows["s_rst"] == 0)
    challenged &= (flows["c_bytes"] == 0) & (flows["s_bytes"] == 0) & flows.valid("server")
    rows = flows.where(challenged & (flows["transport"] == "tcp"))
    return tuple(of_rows(rows, np.full(len(rows), HALF_OPEN), flows)) if len(rows) else ()


def of_rows(rows: Flows, outcome: Array, flows: Flows) -> Iterator[Attempt]:
    """Attempts of failed flows, each with an index into OUTCOMES."""
    accepted, services = Accepted(flows), Services(flows)
    names = ("client", "server", "transport")
    groups, _ = group(*(rows.column(name).codes for name in names), rows["server_port"], outcome)
    for part in members(groups):
        yield _attempt(rows.take(part), OUTCOMES[int(outcome[part[0]])], accepted, services)


def outcomes(rows: Flows) -> Array:
    """An index into OUTCOMES for each failed flow."""
    v6 = rows["server"].choose(lambda server: ":" in server)
    code, by_icmp = rows["icmp_code"], rows["icmp"] > 0
    about_port = np.where(v6, isin(code, PORT_REFUSED["IPv6"]), isin(code, PORT_REFUSED["IPv4"]))
    refused = (rows["s_rst"] > 0) | (by_icmp & about_port)
    return np.where(refused, 1, np.where(by_icmp, 2, 0))


def _attempt(rows: Flows, outcome: Outcome, accepted: Accepted, services: Services) -> Attempt:
    tcp = rows["transport"].tolist()[0] == "tcp"
    order = np.lexsort((rows["frame"], rows["capture"], rows["first"]))
    head, tail = rows.row(int(order[0])), rows.row(int(order[-1]))
    begun, ended = ("syn_time", "syn_last") if tcp else ("first", "c_last")
    first, last = int(rows.column(begun).min()), int(rows.column(ended).max())
    prog = services.prog(head)
    return Attempt(
        client=head.client,
        server=head.server,
        port=head.server_port,
        transport=head.transport,
        program=head.program or (None if prog is None else program_name(prog, 0)),
        prog=prog,
        registered=head.registered,
        used=services.uses(head),
        loopback=head.loopback,
        outcome=outcome,
        tries=rows.counted(int((rows["syn"] if tcp else rows["c_frames"]).sum())),
        resent=int(rows["syn"].sum()) - len(rows) if tcp else 0,
        first=first,
        last=last,
        frames=tuple(dict.fromkeys((row.capture, row.syn_frame or row.frame) for row in (head, tail))),
        proof=next(iter(refusals(rows.take(order))), None),
        succeeded=accepted.after(head, first),
        otherwise=accepted.otherwise(head),
        sources=tuple(sorted(set(rows["client_port"].tolist()))),
        accepted_try=accepted.between(head, first, last) if tcp else None,
    )


class Services:
    """The program that each port of a host serves, by the calls that the captures hold."""

    def __init__(self, flows: Flows) -> None:
        called = flows.where(flows["rpc"] & (flows["c_calls"] + flows["s_replies"] > 0))
        self.clients = pairs_of(called)
        calls = called.where(called.valid("prog"))
        ends = (calls["server"].tolist(), calls["server_port"].tolist(), calls["transport"].tolist())
        self.ports = dict(zip(zip(*ends, strict=True), calls["prog"].tolist(), strict=True))

    def prog(self, failed: Flows.Row) -> int | None:
        """The program at the port of a failed flow: as a portmapper named it, or as it is called there otherwise."""
        called = self.ports.get((failed.server, failed.server_port, failed.transport))
        return called if failed.prog is None else failed.prog

    def uses(self, failed: Flows.Row) -> bool:
        """Whether the client calls that host, and something is known to be at this port."""
        return (failed.client, failed.server) in self.clients and self.prog(failed) is not None


class Accepted:
    """Connections that were accepted (or datagrams answered), by both hosts, port or program, and transport."""

    def __init__(self, flows: Flows) -> None:
        accepted = (flows["s_frames"] > flows["s_rst"]) | ((flows["transport"] == "tcp") & (flows["c_bytes"] > 0))
        rows = flows.where(accepted)
        ends, transport = (rows["client"], rows["server"]), rows["transport"]
        first = np.where(rows["first"] == NAT, 0, rows["first"])  # without a time it is none that came later
        self.ports = Stretches((*ends, rows["server_port"], transport), first)
        self.programs = Stretches((*ends, rows["prog"], transport), first)
        opened = flows.where(flows.valid("synack_time"))
        self.opened = Parts(opened.take(np.argsort(opened["synack_time"], kind="stable")), *PLACE)

    def _places(self, failed: Flows.Row, transport: str) -> Iterator[tuple[Stretches, tuple[Any, ...]]]:
        """Groups and keys under which an accepted connection to the port or program of a failed flow would stand."""
        yield self.ports, (failed.client, failed.server, failed.server_port, transport)
        if failed.prog is not None:
            yield self.programs, (failed.client, failed.server, failed.prog, transport)

    def after(self, failed: Flows.Row, time: int) -> int | None:
        """When the first accepted connection after a time began, over the same transport."""
        found = (connections.following(key, time) for connections, key in self._places(failed, failed.transport))
        return min((time for time in found if time is not None), default=None)

    def between(self, failed: Flows.Row, first: int, last: int) -> AcceptedTry | None:
        """The first connection to the same port that was accepted within a stretch of time."""
        rows = self.opened[tuple(getattr(failed, name) for name in PLACE)]
        at = int(np.searchsorted(rows["synack_time"], first, "right"))
        row = rows.row(at) if at < len(rows) else None
        if row is None or row.synack_time is None or row.synack_frame is None or row.synack_time >= last:
            return None
        return AcceptedTry(row.synack_time, row.client_port, row.capture, row.synack_frame)

    def otherwise(self, failed: Flows.Row) -> bool:
        """Whether a connection to the same port or program was accepted over another transport."""
        return any(
            key in connections.parts
            for transport in set(TRANSPORTS.values()) - {failed.transport}
            for connections, key in self._places(failed, transport)
        )


def refusals(rows: Flows) -> Iterator[tuple[int, int]]:
    """The evidence of refused attempts: the frames with the RST or the ICMP message."""
    for row in rows.rows():
        if row.rst_frame is not None:
            yield row.rst_capture, row.rst_frame
        elif row.icmp_frame is not None:
            yield row.capture, row.icmp_frame


@fact
def syn_vantages(flows: Flows) -> Mapping[tuple[str, str, int], frozenset[int]]:
    """The vantages that show SYNs of a client to a port of a server which it did not answer."""
    rows = flows.where((flows["syn"] > 0) & (flows["synack"] == 0))
    parts = Parts(rows, "client", "server", "server_port")
    return {place: frozenset(part["vantage"].tolist()) for place, part in parts.items()}


def reached(attempt: Attempt, seen: Mapping[tuple[str, str, int], frozenset[int]], vantages: Vantages) -> bool | None:
    """Whether the SYNs of an attempt reached the server, by a capture that was taken there.

    None where no capture was taken there at that time.
    """
    ahead = vantages.ahead.get(vantages.of_capture[attempt.frames[0][0]], 0)
    at_host = vantages.taken_at(attempt.server, attempt.first - ahead)
    if not at_host:
        return None
    return not at_host.isdisjoint(seen.get((attempt.client, attempt.server, attempt.port), ()))


@fact
def silent_since(connections: Flows) -> Mapping[int, int]:
    """When the server last sent anything, per connection on which the client's data was retransmitted repeatedly."""
    last = connections["c_last"]
    never = connections["s_last"] == NAT
    last_heard = np.where(never, connections["first"] - 1, connections["s_last"])
    silent = (connections["transport"] == "tcp") & (last > last_heard)
    rows = silent & (connections["c_retransmitted"] >= np.where(never, 1, AGAIN))
    return dict(zip(connections["flow"][rows].tolist(), last_heard[rows].tolist(), strict=True))


@fact
def restarts(connections: Flows, locks: Locks) -> Mapping[str, tuple[int, ...]]:
    """Times at which hosts had just started, without any reboot notice: one sorted tuple per host.

    They reset connections on which they had answered before, or granted reclaims of locks, or denied locks meanwhile.
    """
    # Who restarts rpcbind boots nothing.
    answered = (connections["s_replies"] > 0) & (connections["prog"] != Prog.PORTMAP)
    reset = connections.where(answered & (connections["s_rst"] > 0) & connections.valid("rst_time"))
    grace = locks.where(locks["reclaim"] | (locks["reclaims"] > 0) | (locks["grace"] > 0))
    found: dict[str, list[int]] = {}
    signs = ((reset["server"], reset["rst_time"]), (grace["server"], grace["time"]))
    for hosts, times in signs:
        for host, time in zip(hosts.tolist(), times.tolist(), strict=True):
            if host is not None:
                found.setdefault(host, []).append(time)
    return {host: tuple(sorted(times)) for host, times in found.items()}


SERVICES: dict[int, str] = {Prog.NFS: "nfsd", Prog.MOUNT: "mountd", Prog.NLM: "lockd", Prog.NSM: "statd"}


def service_of(attempt: Attempt) -> str:
    """The service at the port of an attempt, by the name that administrators use."""
    return SERVICES.get(attempt.prog or 0, attempt.program or "service")
