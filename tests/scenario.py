"""Captures written as conversations between hosts; the result is the bytes of a capture at any vantage.

    s = Scenario()
    server, client = s.host("10.0.0.9", name="nfssrv"), s.host("10.0.0.1", name="web-1")
    lock = client.lock(server, "/srv/a")
    for _ in range(20):
        server.getport(server, "nsm1", port=0)
        s.wait(3.07)
    lock.granted(after=61.6, resent=[10.2, 31.7, 60.5])
    s.capture(at=server, on="any", link="sll2")

What is written later happens later: `wait` moves the clock, and `after` counts from the call. Strategy: sending only
notes segments; `capture` sorts them by time and lets wire.py give them sequence numbers, acknowledgements and headers;
then come the faults of the capture.
"""

from __future__ import annotations

import struct
from collections import defaultdict
from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from hashlib import sha256
from itertools import count
from typing import Any, Literal, Self

from nfsrpc import protocols
from nfsrpc.protocols.xdr import Struct, Type, Union
from tests.rpc_messages import auth_sys, encode_call, encode_error, encode_reply
from tests.wire import (
    ACK,
    FIN,
    LINKS,
    PSH,
    RST,
    SYN,
    TCP,
    UDP,
    UNREACHABLE,
    WRITERS,
    Frame,
    Packet,
    Segment,
    fragments,
    packets,
    readdressed,
    tunnelled,
)

SECOND = 10**9
TICK = 100_000  # ns that a message takes to its receiver
ENCAPSULATION = 3_000  # ns that a packet takes into a tunnel
UNLIMITED = 1 << 17  # bytes; no packet is larger
PORTS = {100000: 111, 100003: 2049, 100005: 20048, 100021: 32803, 100024: 662, 100227: 2049}
Transport = Literal["tcp", "udp"]
Link = Literal["ethernet", "vlan", "sll", "sll2", "null", "raw", "hdlc", "nflog", "ipoib", "pktap"]
Tunnel = Literal["ipip", "gre", "vxlan", "geneve"]
TRANSPORTS: dict[Transport, int] = {"tcp": TCP, "udp": UDP}


def handle(path: str) -> bytes:
    """The file handle of a path: the same wherever it is used."""
    return b"\1\0\1\0" + sha256(path.encode()).digest()[:24]


def nested(kind: Type | None, leaves: dict[str, Any]) -> Any:
    """Values given by the names of fields, put where the declaration has them; used ones are taken out of `leaves`."""
    if isinstance(kind, Union):
        chosen = leaves.pop(kind.name, kind.discriminant.default)
        inside = kind.arm(kind.discriminant.number_of(chosen))
        return {kind.name: chosen, **(nested(inside, leaves) or {})}
    if not isinstance(kind, Struct):
        return None
    value = {}
    for name, inner in kind.fields.items():
        if isinstance(inner, Struct | Union) and not isinstance(leaves.get(name), dict):
            value[name] = nested(inner, leaves)
        elif name in leaves:
            value[name] = leaves.pop(name)
    return value


def filled(kind: Type | None, leaves: Mapping[str, Any]) -> Any:
    rest = dict(leaves)
    value = nested(kind, rest)
    if rest:
        raise TypeError(f"no field {', '.join(rest)}")
    return value


@dataclass(frozen=True)
class Nat:
    """Network address translation on the way to some servers, and where it is seen.

    Hosts are written with the addresses that they have at the server; here is by what the client's side knows them.
    """

    servers: Mapping[str, str]
    clients: Mapping[str, str] = field(default_factory=dict)
    seen: Literal["before", "after", "both"] = "both"
    delay: int = 20_000  # ns

    def sides(self, packet: Packet) -> Iterator[Packet]:
        upstream = packet.target.address in self.servers
        if packet.source is packet.target or not (upstream or packet.source.address in self.servers):
            yield packet
            return
        if self.seen != "before":
            yield packet
        if self.seen != "after":
            yield readdressed(packet, {**self.servers, **self.clients}, -self.delay if upstream else self.delay)


@dataclass(eq=False)
class Flow:
    """A connection, or the datagrams between two ports."""

    scenario: Scenario
    client: Host
    server: Host
    client_port: int
    server_port: int
    transport: int
    ended: int | None = None  # when, as far as acknowledgements go: nobody sends them later

    def __post_init__(self) -> None:
        self.number = next(self.scenario.flow_numbers)

    def send(self, upstream: bool, message: bytes, at: int, *, fragments: int = 1, acked: bool = True) -> None:
        """An RPC message, on TCP as so many fragments of its record, each in a segment of its own."""
        if self.transport == UDP:
            self.note(at, upstream, 0, message)
            return
        size = -(-len(message) // fragments)
        for start in range(0, len(message), size):
            piece, last = message[start : start + size], start + size >= len(message)
            self.note(at, upstream, PSH | ACK, struct.pack(">I", last << 31 | len(piece)) + piece, acked)

    def note(self, at: int, upstream: bool, flags: int, payload: bytes = b"", acked: bool = True) -> None:
        self.scenario.segments.append(Segment(at, self, upstream, flags, payload, acked))

    @property
    def protocol(self) -> Transport:
        return "tcp" if self.transport == TCP else "udp"

    def reset(self, *, by_server: bool = True) -> None:
        self.note(self.scenario.tick(), not by_server, RST | ACK)
        self.forget()

    def close(self, *, by_server: bool = False) -> None:
        for upstream in (not by_server, by_server):
            self.note(self.scenario.tick(), upstream, FIN | ACK)
        self.forget()

    def forget(self) -> None:
        """The next call to that port opens a flow of its own."""
        self.ended = self.scenario.now
        self.client.flows.pop((self.server, self.server_port, self.transport), None)


@dataclass(eq=False)
class Exchange:
    """A call that has been sent, and what becomes of it."""

    flow: Flow
    program: protocols.Program
    procedure: str
    args: Any
    xid: int
    message: bytes
    time: int

    @property
    def scenario(self) -> Scenario:
        return self.flow.scenario

    def moment(self, after: float | None) -> int:
        """The time `after` the call in ns; now, if it is None."""
        if after is None:
            return self.scenario.tick()
        at = self.time + round(after * SECOND)
        self.scenario.now = max(self.scenario.now, at)
        return at

    def reply(self, *, after: float | None = None, resent: Iterable[float] = (), copies: int = 1, **res: Any) -> Self:
        """The results by the names of their fields; `resent` is when the call came again, `copies` how many replies."""
        self.unanswered(resend=resent)
        kind = self.program.procedure(self.procedure).res
        if isinstance(kind, Struct) and "cookie" in kind.fields:
            res.setdefault("cookie", self.args.get("cookie", b""))
        return self.answer(encode_reply(self.program, self.procedure, filled(kind, res), xid=self.xid), after, copies)

    def error(self, stat: str, *, after: float | None = None, **detail: int | str) -> Self:
        """`error("PROG_UNAVAIL")`, `error("AUTH_ERROR", auth_stat="AUTH_BADCRED")`."""
        return self.answer(encode_error(self.xid, stat, **detail), after, 1)

    def answer(self, message: bytes, after: float | None, copies: int) -> Self:
        at = self.moment(after)
        for copy in range(copies):
            self.flow.send(False, message, at + copy * TICK)
        return self

    def resend(self, *, after: float | None = None) -> Self:
        """The same call again, on the connection that is open now."""
        now = self.flow.client.flow(self.flow.server, self.flow.server_port, self.flow.transport)
        now.send(True, self.message, self.moment(after))
        self.flow = now
        return self

    def unanswered(self, *, resend: Iterable[float] = ()) -> Self:
        for after in resend:
            self.flow.send(True, self.message, self.moment(after))
        return self

    def unreachable(self, *, after: float | None = None) -> Self:
        self.flow.note(self.moment(after), False, UNREACHABLE)
        return self


class LockRequest(Exchange):
    """LOCK, UNLOCK, CANCEL or TEST, or its _MSG: the answer of that is a call of _RES by the server."""

    waits = False

    @classmethod
    def of(cls, call: Exchange) -> Self:
        return cls(**vars(call))

    def answered(self, stat: str, *, after: float | None = None, resent: Iterable[float] = (), copies: int = 1) -> Self:
        if not self.procedure.endswith("_MSG"):
            return self.reply(after=after, resent=resent, copies=copies, stat=stat)
        self.reply(resent=resent)
        self.moment(after)
        server, client = self.flow.server, self.flow.client
        result = self.procedure.replace("_MSG", "_RES")
        options: dict[str, Any] = {"transport": self.flow.protocol, "cookie": self.args["cookie"], "stat": stat}
        server.call(client, self.program.protocol, result, **options).reply()
        return self

    def blocked(self, *, after: float | None = None) -> Self:
        self.waits = True
        return self.answered("BLOCKED", after=after)

    def denied(self, stat: str = "DENIED", *, after: float | None = None) -> Self:
        return self.answered(stat, after=after)

    def granted(self, *, after: float | None = None, resent: Iterable[float] = (), copies: int = 1) -> Self:
        """The answer of the server; to one who waits, its call back."""
        if not self.waits:
            return self.answered("GRANTED", after=after, resent=resent, copies=copies)
        self.moment(after)
        self.called_back()
        return self

    def call_back(self, **options: Any) -> Exchange:
        """As Linux does: the server asks where the client's lockd listens, and tells it by GRANTED_MSG."""
        server, client, version = self.flow.server, self.flow.client, self.program.protocol
        server.getport(client, version)
        grant = {"cookie": server.cookie(), "exclusive": self.args["exclusive"]}
        alock = self.args["alock"] | {"caller_name": server.name}
        return server.call(client, version, "GRANTED_MSG", alock=alock, **grant, **options)

    def called_back(self, stat: str = "GRANTED") -> None:
        """The call back, and the client's answer to it, which is a call of its own."""
        call = self.call_back().reply()
        server, client = self.flow.server, self.flow.client
        client.call(server, self.program.protocol, "GRANTED_RES", cookie=call.args["cookie"], stat=stat).reply()
        self.waits = False

    def unlock(self) -> LockRequest:
        return self.about("UNLOCK", alock=self.args["alock"])

    def cancel(self) -> LockRequest:
        return self.about("CANCEL", **{name: self.args[name] for name in ("block", "exclusive", "alock")})

    def about(self, procedure: str, **args: Any) -> LockRequest:
        client, server = self.flow.client, self.flow.server
        where: dict[str, Any] = {"transport": self.flow.protocol, "port": self.flow.server_port}
        args |= where | {"cookie": client.cookie()}
        return LockRequest.of(client.call(server, self.program.protocol, procedure, **args))


@dataclass(eq=False)
class Host:
    scenario: Scenario
    address: str
    name: str
    number: int
    ports: dict[int, int] = field(default_factory=lambda: dict(PORTS))
    flows: dict[tuple[Host, int, int], Flow] = field(default_factory=dict)

    def __post_init__(self) -> None:
        self.next_port = count(1000, -1)
        self.next_cookie = count(0x1234)

    @property
    def loopback(self) -> str:
        return "::1" if ":" in self.address else "127.0.0.1"

    def cookie(self) -> bytes:
        return struct.pack("<I", next(self.next_cookie))

    def flow(self, server: Host, port: int, transport: int, from_port: int | None = None) -> Flow:
        """The flow that is open, a new one if there is none or another source port is asked for."""
        key = (server, port, transport)
        found = self.flows.get(key)
        if found is None or from_port not in (None, found.client_port):
            found = self.flows[key] = Flow(
                self.scenario, self, server, from_port or next(self.next_port), port, transport
            )
            if transport == TCP:
                found.note(self.scenario.tick(), True, SYN)
                found.note(self.scenario.tick(), False, SYN | ACK)
                found.note(self.scenario.tick(), True, ACK)
        return found

    def reconnect(self, server: Host, port: int, *, same_port: bool = True) -> Flow:
        """A new connection, though nothing ended the old one; Linux takes the same source port."""
        old = self.flows.get((server, port, TCP))
        if old:
            old.forget()
        return self.flow(server, port, TCP, old.client_port if old and same_port else None)

    def syn(self, server: Host, port: int, *, refused: bool = False, resend: Iterable[float] = ()) -> Flow:
        """An attempt to connect that is refused, or never answered and repeated so long after the first SYN."""
        attempt = Flow(self.scenario, self, server, next(self.next_port), port, TCP)
        begin = self.scenario.tick()
        for after in (0, *resend):
            attempt.note(begin + round(after * SECOND), True, SYN)
            self.scenario.now = max(self.scenario.now, begin + round(after * SECOND))
        if refused:
            attempt.note(self.scenario.tick(), False, RST | ACK)
        return attempt

    def call(
        self,
        server: Host,
        protocol: str,
        procedure: str,
        *,
        transport: Transport = "tcp",
        port: int | None = None,
        from_port: int | None = None,
        xid: int | None = None,
        cred: bool = True,
        fragments: int = 1,
        acked: bool = True,
        **args: Any,
    ) -> Exchange:
        """A call, with its arguments by the names of their fields; to itself it goes over loopback."""
        program = protocols.program(protocol)
        flow = self.flow(server, port or server.ports[program.number], TRANSPORTS[transport], from_port)
        xid = next(self.scenario.xids) if xid is None else xid
        values = filled(program.procedure(procedure).args, args)
        machine = auth_sys(self.name) if cred else None
        message = encode_call(program, procedure, values, xid=xid, cred=machine)
        at = self.scenario.tick()
        flow.send(True, message, at, fragments=fragments, acked=acked)
        return Exchange(flow, program, procedure, values, xid, message, at)

    def getport(
        self,
        host: Host,
        protocol: str,
        *,
        netid: Transport = "tcp",
        port: int | None = None,
        transport: Transport = "tcp",
        cred: bool = True,
    ) -> Exchange:
        """Asks the host's portmapper, on a connection of its own, where that program listens; 0 is nowhere."""
        program = protocols.program(protocol)
        mapping: dict[str, Any] = {"prog": program.number, "vers": program.version, "prot": TRANSPORTS[netid]}
        call = self.call(host, "portmap2", "GETPORT", transport=transport, cred=cred, **mapping)
        call.reply(port=host.ports[program.number] if port is None else port)
        if transport == "tcp":
            call.flow.close()
        return call

    def lock(
        self,
        server: Host,
        path: str = "/srv/lock",
        *,
        svid: int = 1,
        exclusive: bool = True,
        block: bool = True,
        offset: int = 0,
        length: int = 0,
        reclaim: bool = False,
        asynchronous: bool = False,
        version: int = 4,
        **options: Any,
    ) -> LockRequest:
        alock: dict[str, Any] = {
            "caller_name": self.name,
            "fh": handle(path),
            "oh": f"{svid}@{self.name}".encode(),
            "svid": svid,
            "l_offset": offset,
            "l_len": length,
        }
        args: dict[str, Any] = {
            "cookie": self.cookie(),
            "block": block,
            "exclusive": exclusive,
            "alock": alock,
            "reclaim": reclaim,
        }
        procedure = "LOCK_MSG" if asynchronous else "LOCK"
        return LockRequest.of(self.call(server, f"nlm{version}", procedure, **args, **options))

    def monitor(self, peer: Host, **options: Any) -> Exchange:
        """SM_MON of lockd to its own statd, for the peer."""
        mine: dict[str, Any] = {"my_name": self.name, "my_prog": 100021, "my_vers": 3, "my_proc": 16}
        return self.call(self, "nsm1", "SM_MON", mon_name=peer.address, **mine, **options)

    def notify(self, peer: Host, state: int, **options: Any) -> Exchange:
        """SM_NOTIFY of statd to the peer: this host has rebooted."""
        args: dict[str, Any] = {"transport": "udp", "cred": False, "mon_name": self.name, "state": state}
        return self.call(peer, "nsm1", "SM_NOTIFY", **args | options)

    def mount(self, server: Host, path: str, **options: Any) -> Exchange:
        call = self.call(server, "mount3", "MNT", dirpath=path, **options)
        return call.reply(fhs_status="OK", fhandle=handle(path), auth_flavors=["SYS"])

    def lookup(self, server: Host, directory: str, name: str, **options: Any) -> Exchange:
        call = self.call(server, "nfs3", "LOOKUP", dir=handle(directory), name=name, **options)
        return call.reply(status="OK", object=handle(f"{directory}/{name}"))

    def getattr(self, server: Host, path: str, **options: Any) -> Exchange:
        return self.call(server, "nfs3", "GETATTR", object=handle(path), **options).reply(status="OK", type="REG")


class Scenario:
    def __init__(self, start: float = 1_700_000_000.0) -> None:
        self.now = round(start * SECOND)
        self.hosts: list[Host] = []
        self.segments: list[Segment] = []
        self.xids = count(0x10000001)
        self.flow_numbers = count(1)

    def host(self, address: str, *, name: str = "", ports: Mapping[int, int] | None = None) -> Host:
        number = len(self.hosts) + 1
        self.hosts.append(Host(self, address, name or f"host-{number}", number, PORTS | dict(ports or {})))
        return self.hosts[-1]

    def wait(self, seconds: float) -> None:
        self.now += round(seconds * SECOND)

    def tick(self) -> int:
        self.now += TICK
        return self.now

    def packets(self) -> list[Packet]:
        """All that was sent, in order of time."""
        flows: defaultdict[Flow, list[Segment]] = defaultdict(list)
        for segment in sorted(self.segments, key=lambda segment: segment.time):
            flows[segment.flow].append(segment)
        sent = [packet for flow, segments in flows.items() for packet in packets(flow, segments)]
        return sorted(sent, key=lambda packet: packet.time)

    def capture(
        self,
        at: Host | Sequence[Host] | None = None,
        on: Literal["wire", "lo", "any"] = "wire",
        *,
        link: Link = "ethernet",
        file: Literal["pcap", "pcapng"] = "pcap",
        snaplen: int = 262_144,
        since: float | None = None,
        until: float | None = None,
        sent_by: Host | None = None,
        lost: Collection[int] = (),
        again: Mapping[int, float] | None = None,
        twice: bool = False,
        swapped: Collection[int] = (),
        mtu: int | None = None,
        tunnel: Tunnel | None = None,
        inside: bool = False,
        nat: Nat | None = None,
    ) -> bytes:
        """The bytes of a capture file, taken at a host (or at several, each an interface; at none, between all).

        `since`, `until`: seconds from the first packet. Frames, counted from 1 before any of these: `lost`; seen
        `again` so many seconds later; `swapped` with the next one in the file. `twice` is each again after 3 µs.
        Between hosts, packets larger than `mtu` go in fragments, and all go through a `tunnel`; with `inside`, they
        are seen there too. With `nat`, the packets that it concerns are seen before and after translation.
        """
        places = list(at) if isinstance(at, Sequence) else [at]
        sent = [way for packet in self.packets() for way in on_the_way(packet, mtu, tunnel, inside)]
        if nat:
            sent = sorted((side for packet in sent for side in nat.sides(packet)), key=lambda packet: packet.time)
        begin = sent[0].time if sent else 0
        seen = [
            (packet, interface)
            for packet in sent
            for interface, place in enumerate(places)
            if is_seen(packet, place, on) and sent_by in (None, packet.source)
            if begin + round((since or 0) * SECOND) <= packet.time
            if until is None or packet.time <= begin + round(until * SECOND)
        ]
        repeats = dict.fromkeys(range(1, len(seen) + 1), 3e-06) if twice else dict(again or {})
        for number in swapped:
            (first, one), (second, other) = seen[number - 1 : number + 1]
            seen[number - 1 : number + 1] = [
                (second._replace(time=first.time), other),
                (first._replace(time=second.time), one),
            ]
        frames = [frame for number, frame in enumerate(seen, 1) if number not in lost]
        frames += [
            (packet._replace(time=packet.time + round(repeats[number] * SECOND)), interface)
            for number, (packet, interface) in enumerate(seen, 1)
            if number in repeats
        ]
        frames.sort(key=lambda frame: frame[0].time)
        linked = [
            Frame(packet.time, interface, LINKS[link][1](packet, places[interface])) for packet, interface in frames
        ]
        names = [place.name if place else "" for place in places]
        return WRITERS[file](linked, LINKS[link][0], snaplen, names)


def on_the_way(packet: Packet, mtu: int | None, tunnel: Tunnel | None, inside: bool) -> Iterator[Packet]:
    """The packets that are seen of one that was sent."""
    if packet.source is packet.target:
        yield packet
        return
    if tunnel and inside:
        yield packet
        packet = packet._replace(time=packet.time + ENCAPSULATION)
    yield from fragments(tunnelled(packet, tunnel) if tunnel else packet, mtu or UNLIMITED)


def is_seen(packet: Packet, place: Host | None, on: str) -> bool:
    if packet.source is packet.target:
        return on in ("lo", "any") and place in (None, packet.source)
    return on != "lo" and (place is None or place in (packet.source, packet.target))
