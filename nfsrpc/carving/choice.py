"""The choice of frames that matter, with reasons: first as a wish for messages and connections, then by number.

A wish names frames, exchanges and flows, each with its reason. With a message come the segments that carry it, and on
TCP the handshake of its connection. With a frame of the evidence come the exchange, lock session or attempt to connect
that it is part of, and the replies that named its file.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Iterator, Sequence
from dataclasses import dataclass, field, replace
from typing import Any, NamedTuple, TypeAlias

import numpy as np

from nfsrpc.findings.finding import Finding
from nfsrpc.protocols.numbers import Prog
from nfsrpc.raw import UNREACHABLE, reread
from nfsrpc.sessions import Sessions
from nfsrpc.tables import Flows

Place: TypeAlias = tuple[int, int]  # capture, frame
Reasons: TypeAlias = dict[Place, dict[str, None]]  # an ordered set of them for each frame

SYN, ACK = 2, 16
RECORD_MARK = 4  # bytes, before every fragment of a record on TCP
# Columns of flows that name a frame, with the file that it is in.
FLOW_FRAMES = {"syn_frame": "capture", "synack_frame": "capture", "rst_frame": "rst_capture", "icmp_frame": "capture"}


@dataclass
class Wish:
    """The frames to carve: by number, by message, by exchange, by flow."""

    frames: Reasons = field(default_factory=dict)
    messages: set[Place] = field(default_factory=set)  # complete in these frames
    exchanges: dict[int, str] = field(default_factory=dict)
    flows: dict[int, str] = field(default_factory=dict)  # with every packet

    def frame(self, place: Place, reason: str) -> None:
        self.frames.setdefault(place, {})[reason] = None

    def exchange(self, numbers: Iterable[int], reason: str) -> None:
        for number in numbers:
            self.exchanges.setdefault(number, reason)

    def flow(self, numbers: Iterable[int], reason: str) -> None:
        for number in numbers:
            self.flows.setdefault(number, reason)


def proof(tables: Sessions, findings: Sequence[Finding]) -> Wish:
    """The messages and attempts to connect that are evidence of findings, and the replies that name their files."""
    wish = Wish()
    for finding in findings:
        for capture, frame, note, _ in finding.evidence:
            wish.frame((capture, frame), f"{finding.rule}: {note}")
            exchanges = exchanges_at(tables, (capture, frame))
            wish.exchange(exchanges, f"{finding.rule}: of the proof")
            wish.exchange(of_sessions(tables, exchanges), f"{finding.rule}: of the lock session")
            wish.flow(flows_at(tables["flows"], (capture, frame)), f"{finding.rule}: of the attempt to connect")
        wish.exchange(name_sources(tables, finding.files), f"{finding.rule}: names the file")
    wish.exchange(loopback_owner_calls(tables, wish.exchanges), "tells whose loopback this is")
    for row in tables["captures"].rows():
        if row.frames:
            wish.frame((row.capture, 1), "the capture begins")
            wish.frame((row.capture, row.frames), "the capture ends")
    return wish


def with_connections(tables: Sessions, wish: Wish) -> Wish:
    """A wish, and all frames of the connections that carry its exchanges."""
    wider = replace(wish, flows=dict(wish.flows))
    wider.flow(flows_of(tables, wish.exchanges), "of the same connection")
    return wider


def with_hosts(tables: Sessions, wish: Wish, findings: Sequence[Finding], *, others: bool, nfs: bool) -> Wish:
    """A wish, and all frames between the hosts concerned; with `others` also between them and other hosts."""
    wider = with_connections(tables, wish)
    flows = tables["flows"]
    concerned = flows.where(np.isin(flows["flow"], list(wider.flows)))
    hosts = {host for side in ("client", "server") for host in concerned[side].tolist()}
    hosts |= {host for finding in findings for host in finding.parties}
    client, server = (flows[side].isin(filter(None, hosts)) for side in ("client", "server"))
    chosen = (client | server if others else client & server) & (nfs | (flows["prog"] != Prog.NFS))
    wider.flow(flows["flow"][chosen].tolist(), "of the hosts concerned")
    return wider


# What a frame is part of


def exchanges_at(tables: Sessions, place: Place) -> list[int]:
    """The exchanges with a message that is complete in a frame."""
    capture, frame = place
    calls, copies = tables["calls"], tables["copies"]
    here = (calls["call_frame"] == frame) & (calls["capture"] == capture)
    here |= (calls["reply_frame"] == frame) & (calls["reply_capture"] == capture)
    again = (copies["frame"] == frame) & (copies["capture"] == capture)
    found: list[int] = np.union1d(calls["exchange"][here], copies["exchange"][again]).tolist()
    return found


def of_sessions(tables: Sessions, exchanges: Iterable[int]) -> list[int]:
    """All exchanges of the lock sessions to which some exchanges belong."""
    membership = tables.membership
    sessions = {membership.session[number] for number in exchanges if number in membership.session}
    return sorted({number for session in sessions for number in membership.exchanges[session]})


def flows_at(flows: Flows, place: Place) -> list[int]:
    """The flows of a frame without a message: SYN, RST, ICMP."""
    capture, frame = place
    here = np.zeros(len(flows), dtype=np.bool_)
    for name, file in FLOW_FRAMES.items():
        here |= (flows.column(name) == frame) & (flows.column(file) == capture)
    found: list[int] = flows["flow"][here].tolist()
    return found


def flows_of(tables: Sessions, exchanges: Iterable[int]) -> list[int]:
    """The flows that carry exchanges, in all their copies."""
    wanted = list(exchanges)
    calls, copies = tables["calls"], tables["copies"]
    carrying = (table["flow"][np.isin(table["exchange"], wanted)] for table in (calls, copies))
    found: list[int] = np.unique(np.concatenate(list(carrying))).tolist()
    return found


def name_sources(tables: Sessions, files: Sequence[str]) -> list[int]:
    """The exchanges from which the paths of files are known: of the file, its directory, and so on up to the mount."""
    if not files:
        return []
    paths = tables["paths"]
    handles = paths.where(paths["path"].isin(files))["fh"].present()
    wanted = handles
    while handles:
        above = paths.where(paths["fh"].isin(handles))["directory"].present() - wanted
        wanted, handles = wanted | above, above
    found: list[int] = paths["exchange"][paths["fh"].isin(wanted)].tolist()
    return found


def loopback_owner_calls(tables: Sessions, exchanges: Iterable[int]) -> list[int]:
    """One call over the wire per host whose loopback carried some exchanges: the first with that host's name in it."""
    calls = tables["calls"]
    local = calls.where(np.isin(calls["exchange"], list(exchanges)) & calls["loopback"])
    found = []
    for host in sorted(local["client"].present()):
        names = {name for row in tables["hosts"].rows() if row.host == host for name in row.names}
        same = (calls["client"] == host) & calls["machine"].isin(names) & ~calls["loopback"]
        found += calls["exchange"][same][:1].tolist()
    return found


# From wishes to frames


def frames_of(tables: Sessions, wish: Wish) -> Reasons:
    """The frames of a wish with their reasons. The captures are read again for the packets of the flows."""
    reasons: Reasons = {}
    numbers = {*wish.exchanges, *(number for place in wish.messages for number in exchanges_at(tables, place))}
    packets = Packets(tables, sorted({*wish.flows, *flows_of(tables, numbers)}))
    for message in messages(tables, numbers):
        why = wish.exchanges.get(message.exchange)
        if why is not None or message.place in wish.messages:
            notes = wish.frames.get(message.place) or ([why] if why else [])
            reasons.setdefault(message.place, {}).update(dict.fromkeys([message.what, *notes]))
            for place, reason in (*packets.before(message), *packets.opening(message.flow)):
                reasons.setdefault(place, {})[reason] = None
    for place, notes in wish.frames.items():
        reasons.setdefault(place, {}).update(notes)
    for flow, reason in wish.flows.items():
        for place, part in packets.of_flow(flow, reason):
            reasons.setdefault(place, {})[part] = None
    return reasons


class ExchangeMessage(NamedTuple):
    """A call or a reply, or a copy of it."""

    exchange: int
    place: Place
    what: str
    size: int
    flow: int


def messages(tables: Sessions, exchanges: Collection[int]) -> Iterator[ExchangeMessage]:
    """All messages of exchanges, resends included."""
    calls, copies = tables["calls"], tables["copies"]
    again: dict[int, list[Any]] = {}
    for copy in copies.where(np.isin(copies["exchange"], list(exchanges))).rows():
        again.setdefault(copy.exchange, []).append(copy)
    for call in calls.where(np.isin(calls["exchange"], list(exchanges))).rows():
        resends = again.get(call.exchange, [])
        answered = next((copy.flow for copy in reversed(resends) if not copy.reply), call.flow)
        name, number = call.procedure or "RPC", call.exchange
        if call.call_frame is not None:
            yield ExchangeMessage(number, (call.capture, call.call_frame), f"{name} call", call.call_bytes, call.flow)
        if call.reply_frame is not None:
            yield ExchangeMessage(
                number, (call.reply_capture, call.reply_frame), f"{name} reply", call.reply_bytes, answered
            )
        for copy in resends:
            what, size = ("reply", call.reply_bytes) if copy.reply else ("call", call.call_bytes)
            yield ExchangeMessage(number, (copy.capture, copy.frame), f"{name} {what}, retransmitted", size, copy.flow)


class FlowPacket(NamedTuple):
    """A packet of a flow, as the core returns it."""

    capture: int
    frame: int
    flow: int
    source: int
    source_port: int
    tcp_flags: int
    length: int
    kind: int

    @property
    def place(self) -> Place:
        return self.capture, self.frame

    @property
    def sender(self) -> tuple[int, int]:
        return self.source, self.source_port


class Packets:
    """The packets of some flows, in the order of the file."""

    def __init__(self, tables: Sessions, flows: Sequence[int]) -> None:
        self.tables = tables
        columns = reread(tables.decoded, flows=flows).packets
        rows = zip(*(columns[name].tolist() for name in FlowPacket._fields), strict=True)
        self.flows: dict[int, list[FlowPacket]] = {flow: [] for flow in flows}
        self.at: dict[Place, tuple[int, int]] = {}  # flow, and number in it
        for packet in map(FlowPacket._make, rows):
            packets = self.flows[packet.flow]
            self.at[packet.place] = packet.flow, len(packets)
            packets.append(packet)
        self.completions = set(self._completions(flows))

    def _completions(self, flows: Sequence[int]) -> Iterator[Place]:
        """The frames in which a message on these flows is complete."""
        calls, copies = self.tables["calls"], self.tables["copies"]
        calls = calls.where(np.isin(calls["flow"], flows))
        yield from zip(calls["capture"].tolist(), calls["call_frame"].tolist(), strict=True)
        yield from zip(calls["reply_capture"].tolist(), calls["reply_frame"].tolist(), strict=True)
        copies = copies.where(np.isin(copies["flow"], flows))
        yield from zip(copies["capture"].tolist(), copies["frame"].tolist(), strict=True)

    def of_flow(self, flow: int, reason: str) -> Iterator[tuple[Place, str]]:
        yield from self.opening(flow)
        yield from ((packet.place, reason) for packet in self.flows[flow])

    def before(self, message: ExchangeMessage) -> Iterator[tuple[Place, str]]:
        """The frames with the first parts of a message: back to the end of the message before it."""
        flow, number = self.at.get(message.place, (message.flow, -1))
        packets = self.flows.get(flow, [])[: number + 1]
        if not packets or not packets[-1].tcp_flags:
            return
        last = packets.pop()
        lacking = message.size + RECORD_MARK - last.length
        for packet in reversed(packets):
            if packet.sender != last.sender or not packet.length or packet.kind == UNREACHABLE:
                continue
            complete = packet.place in self.completions
            if complete and lacking <= 0:
                return
            yield packet.place, f"part of the {message.what}"
            lacking -= packet.length
            if complete:
                return

    def opening(self, flow: int) -> Iterator[tuple[Place, str]]:
        """The frames of a flow's handshake: SYN, SYN-ACK and its acknowledgement."""
        accepted: FlowPacket | None = None
        for packet in self.flows.get(flow, ()):
            if packet.tcp_flags & SYN:
                yield packet.place, "opens the connection"
                accepted = packet if packet.tcp_flags & ACK else accepted
            elif accepted is not None and packet.sender != accepted.sender:
                if not packet.length:
                    yield packet.place, "opens the connection"
                return
