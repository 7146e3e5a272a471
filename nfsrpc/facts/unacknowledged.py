"""Data on TCP connections that got no ACK, and the silences of hosts that it shows.

TCP answers for every service of a host. A host that acknowledges nothing on one connection while it sends on others has
lost that connection, or something between does. One that sends nothing at all is down, or cut off, until it is heard
again. How many retransmissions in how long count is for the rule to judge.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from functools import cached_property
from typing import NamedTuple

import numpy as np

from nfsrpc.columns import isin
from nfsrpc.facts.basic import Roles, fact, listed
from nfsrpc.facts.presence import Presence
from nfsrpc.findings.finding import Evidence
from nfsrpc.sessions.exchanges import CALL_ACKED
from nfsrpc.sessions.grouping import Parts
from nfsrpc.tables import Calls, Flows
from nfsrpc.wording import SECOND

SLOW = 4  # a stretch that is no longer than so many of the quickest answers is a slow path's


class Stalled(NamedTuple):
    """A connection on which one side retransmitted, and nothing came back."""

    flow: Flows.Row
    sender: str
    receiver: str
    again: int
    call: Calls.Row | None  # the first that was sent meanwhile
    since: int  # the first data that got no ACK
    until: int  # the next frame of the receiver, or else the last of the sender
    recovered: bool  # the receiver was heard again on this connection


class Back(NamedTuple):
    """The end of a silence: the next frame of the host."""

    stall: Stalled
    time: int
    evidence: Evidence


class Unacknowledged:
    """Data that got no ACK, by connection and by host."""

    def __init__(self, connections: Flows, exchanges: Calls, presence: Presence, roles: Roles) -> None:
        self.connections, self.exchanges, self.presence, self.roles = connections, exchanges, presence, roles
        rpc = connections["rpc"] & ~connections["loopback"]
        self.tcp = connections.where((connections["transport"] == "tcp") & rpc)

    def stalls(self, again: int, silent_s: float) -> Iterator[Stalled]:
        """Connections on which one side retransmitted `again` times or more in `silent_s` or longer, by direction."""
        for way, other in (("c", "s"), ("s", "c")):
            yield from self._of_direction(way, other, again, silent_s)

    def _of_direction(self, way: str, other: str, again: int, silent_s: float) -> Iterator[Stalled]:
        tcp, exchanges = self.tcp, self.exchanges
        first, last = tcp.column(f"{way}_unheard_first"), tcp.column(f"{way}_unheard_last")
        long = tcp.column(f"{way}_unheard") >= again
        long &= np.where(long, last - first, 0) >= silent_s * SECOND
        chosen = np.flatnonzero(long)
        called = Parts(exchanges.where(isin(exchanges["flow"], tcp["flow"][chosen]) & (way == "c")), "flow")
        for row in tcp.take(chosen).rows():
            ends = (row.client, row.server) if way == "c" else (row.server, row.client)
            tries, since, until = (getattr(row, f"{way}_unheard{name}") for name in ("", "_first", "_last"))
            mine = called[row.flow]
            without_reply = mine.where((mine["time"] >= since) & (mine["time"] <= until))
            call = min(without_reply.rows(), key=lambda call: call.time, default=None)
            last_heard = getattr(row, f"{other}_last")
            recovered = last_heard is not None and last_heard >= until
            yield Stalled(row, *ends, tries, call, since, until, recovered)

    def is_slow(self, one: Stalled) -> bool:
        """Whether every answer of the receiver takes about as long: on a slow path TCP retransmits anyway."""
        quickest = self.presence.quickest_s(one.receiver, one.sender)
        return one.recovered and quickest is not None and quickest * SLOW * SECOND >= one.until - one.since

    def is_dead(self, one: Stalled) -> bool:
        """Whether the receiver sent something elsewhere meanwhile: on this connection it sent nothing for longer.

        Where this connection goes on later, the path may be whole again for half of that time: the timer of TCP
        doubles.
        """
        if not one.recovered:
            return self.presence.sent(one.receiver, one.since + SECOND + 1, one.until)
        last_heard = self.presence.next_message(one.receiver, one.sender, one.since + SECOND)
        return last_heard is not None and last_heard < (one.since + one.until) // 2

    def silences(self, stalls: Iterable[Stalled]) -> Iterator[list[Back]]:
        """Silences of a host towards another that ended, each with the connections that show it."""
        ended = [back for back in map(self._end, stalls) if back]
        for mine in listed(((back.stall.sender, back.stall.receiver), back) for back in ended).values():
            yield from together(mine)

    def _end(self, one: Stalled) -> Back | None:
        """The end of a silence: by a frame on the same connection, or the next connection to that port; else None."""
        if one.recovered:
            call = one.call
            frame = (call.reply_capture, call.reply_frame) if call and call.reply_frame is not None else None
            proof = Evidence(*frame, "its reply") if frame else Evidence(one.flow.capture, one.flow.frame, "it went on")
            last_heard = self.presence.next_message(one.receiver, one.sender, one.since + SECOND)
            return Back(one, min(one.until, last_heard or one.until), proof)
        rows = self._accepted[one.sender, one.receiver, one.flow.server_port]
        at = int(np.searchsorted(rows["synack_time"], one.until, "right"))
        if at == len(rows):
            return None
        row = rows.row(at)
        return Back(one, int(rows["synack_time"][at]), Evidence(row.capture, row.frame, "the next one to that port"))

    @cached_property
    def _accepted(self) -> Parts[Flows]:
        """The connections on which servers answered, in order of time, by both hosts and port."""
        rows = self.connections.where((self.connections["s_replies"] > 0) & self.connections.valid("synack_time"))
        ordered = rows.take(np.argsort(rows["synack_time"], kind="stable"))
        return Parts(ordered, "client", "server", "server_port")

    def silent_hosts(self, again: int) -> Iterator[Calls]:
        """Calls to a server that sends nothing more which were retransmitted without a reply, by server.

        Some of them went over TCP and were retransmitted `again` times, or they are of several programs: over UDP,
        which has no ACK, a single service may be silent.
        """
        last_seen = self.presence.last_seen
        resent = self.tcp["flow"][self.tcp["c_unheard"] >= again]
        open_ = self.exchanges.where((self.exchanges["state"] == "unanswered") & ~self.exchanges["loopback"])
        over_tcp = isin(open_["flow"], resent) & (open_["flags"] & CALL_ACKED == 0)
        open_calls = set(open_["exchange"][over_tcp].tolist())
        for server, rows in Parts(open_.where(over_tcp | (open_["retransmits"] > 0)), "server").items():
            if server in self.roles.servers and server in last_seen:
                rows = rows.where(rows["time"] >= last_seen[server].time - SECOND)
                if not open_calls.isdisjoint(rows["exchange"].tolist()) or len(set(rows["prog"].tolist())) > 1:
                    yield rows


@fact
def unacknowledged(connections: Flows, exchanges: Calls, presence: Presence, roles: Roles) -> Unacknowledged:
    """The data on TCP connections that got no ACK."""
    return Unacknowledged(connections, exchanges, presence, roles)


def together(silences: Iterable[Back]) -> Iterator[list[Back]]:
    """Silences of one host towards another, those that overlap in time as one."""
    part: list[Back] = []
    end = 0
    for one in sorted(silences, key=lambda one: one.stall.since):
        if part and one.stall.since > end:
            yield part
            part = []
        part.append(one)
        end = max(end, one.time)
    yield part
