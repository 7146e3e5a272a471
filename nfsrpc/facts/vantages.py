"""Where captures were taken, and so how far an unanswered message came.

A capture taken at either end of a conversation shows whether a message left, or arrived. On which host a capture of a
wire was taken shows in its handshakes: at the server the round trip comes after its SYN-ACK, at the client before.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from functools import cached_property
from typing import Any

import numpy as np

from nfsrpc.columns import median
from nfsrpc.facts.basic import fact, listed
from nfsrpc.protocols.numbers import Prog
from nfsrpc.sessions.conflicts import NEVER
from nfsrpc.sessions.grouping import Parts, group
from nfsrpc.sources.name import short_names
from nfsrpc.tables import Calls, Captures, Flows
from nfsrpc.wording import SECOND, duration

QUICKER = 4  # so much sooner than its clients' next messages arrive do a host's SYN-ACKs leave where it stands itself
HANDSHAKES = 3  # fewer prove nothing
SAME_S = 180.0  # an xid is used again later
SAME = ("xid", "prog", "proc", "client", "server")
STARTED_S = 1.0  # what one capture has first, another that was begun earlier may have a little later
LOST_S = 1.0  # what comes so much later than it left, or than to the other end, was lost and retransmitted


class Vantages:
    """The capture points, as far as the captures show them."""

    def __init__(self, flows: Flows, calls: Calls, captures: Captures) -> None:
        self.flows, self.calls = flows, calls
        self.captures = list(captures.where(captures.valid("first") & captures.valid("last")).rows())
        self.of_capture: Mapping[int, int] = dict(
            zip(captures["capture"].tolist(), captures["vantage"].tolist(), strict=True)
        )
        # By how much the clock of each vantage is ahead of the first one's.
        self.ahead = {row.vantage: round((row.offset_s or 0.0) * SECOND) for row in captures.rows()}
        self._beside: dict[tuple[int, str], bool] = {}

    def taken_at(self, host: str, time: int) -> set[int]:
        """The vantages on a host that were captured at a time of the first vantage's clock."""
        slack = round(STARTED_S * SECOND)
        times = ((row, time + self.ahead[row.vantage]) for row in self.captures)
        going = [row for row, here in times if row.first - slack <= here <= row.last + slack]
        on_host = {row.vantage for row in going if row.host == host}
        return on_host | {row.vantage for row in going if row.host is None and self.is_beside(row.vantage, host)}

    def is_beside(self, vantage: int, server: str) -> bool:
        """Whether a capture was taken where this server is."""
        key = vantage, server
        if key not in self._beside:
            self._beside[key] = is_quick(self._opened[key], self._first_calls)
        return self._beside[key]

    @cached_property
    def _opened(self) -> Parts[Flows]:
        """Connections with a handshake that was captured, by vantage and server."""
        flows = self.flows
        opened = flows.where((flows["transport"] == "tcp") & (flows["syn"] == 1) & (flows["synack"] > 0))
        return Parts(opened.where(~opened["loopback"]), "vantage", "server")

    @cached_property
    def _first_calls(self) -> Mapping[int, int]:
        """When the first call was sent on each connection."""
        flows, first = group(self.calls["flow"])
        times = np.full(len(first), NEVER, dtype=np.int64)
        np.minimum.at(times, flows, self.calls["time"])
        return dict(zip(self.calls["flow"][first].tolist(), times.tolist(), strict=True))

    @cached_property
    def _lock_requests(self) -> Parts[Calls]:
        """All sightings of calls to lock managers, grouped by the columns that agree in every sighting."""
        return Parts(self.calls.where(self.calls["prog"] == Prog.NLM), *SAME)

    def sightings(self, row: Calls.Row) -> Calls:
        """A lock request as all vantages show it."""
        return self._lock_requests[tuple(getattr(row, name) for name in SAME)]

    @cached_property
    def _again(self) -> Parts[Flows]:
        """Connections that another vantage shows as well, keyed by the sighting that counts."""
        return Parts(self.flows.where(self.flows.valid("duplicate_of")), "duplicate_of")

    @cached_property
    def _rows(self) -> Mapping[int, int]:
        return {flow: row for row, flow in enumerate(self.flows["flow"].tolist())}

    def pairs(self, flows: Iterable[int]) -> Iterator[tuple[Any, Any]]:
        """Pairs of sightings of these connections: the sighting that counts, and another."""
        for flow in flows:
            for other in self._again[flow].rows() if flow in self._again else ():
                yield self.flows.row(self._rows[flow]), other


@fact
def vantages(flows: Flows, calls: Calls, captures: Captures) -> Vantages:
    """The capture points."""
    return Vantages(flows, calls, captures)


@fact
def clocks(captures: Captures) -> tuple[tuple[str, ...], ...]:
    """The files of each clock: no time of one can be compared with a time of another."""
    by_clock = listed(
        zip(captures["clock"].tolist(), short_names([file or "" for file in captures["file"].tolist()]), strict=True)
    )
    return tuple(tuple(files) for _, files in sorted(by_clock.items()))


def is_quick(opened: Flows, first_calls: Mapping[int, int]) -> bool:
    """Whether handshakes look as at the server itself: the round trip comes after the SYN-ACK."""
    before, after = [], []
    for row in opened.rows():
        called = first_calls.get(row.flow)
        sent, answered = row.syn_time, row.synack_time
        if called is not None and sent is not None and answered is not None and called > answered:
            before.append(answered - sent)
            after.append(called - answered)
    return len(before) >= HANDSHAKES and bool(median(after) > QUICKER * median(before))


def lost_where(rows: Flows, vantages: Vantages) -> str:
    """A sentence on the direction in which segments were lost; "" unless both ends were captured.

    A segment that is lost on the way is retransmitted: that shows at the sender's end, and at the other end only once.
    """
    resent = {"c": 0, "s": 0}
    client, server, both = rows["client"].tolist()[0], rows["server"].tolist()[0], False
    for one, other in vantages.pairs(rows["flow"].tolist()):
        ends = at_ends(one, other, vantages)
        if ends is not None:
            both = True
            resent["c"] += max(ends[0].c_retransmitted - ends[1].c_retransmitted, 0)
            resent["s"] += max(ends[1].s_retransmitted - ends[0].s_retransmitted, 0)
    if not both:
        return ""
    if not any(resent.values()):
        return "Nothing was lost between the two ends: look at the hosts' own queues, and at reordering."
    return f"Of {client}'s segments {resent['c']} were lost on the way to {server}, and of the server's {resent['s']}."


def at_ends(one: Any, other: Any, vantages: Vantages) -> tuple[Any, Any] | None:
    """Two sightings of a connection, ordered: at the client's end, at the server's end."""
    at_server = vantages.taken_at(one.server, one.first - vantages.ahead.get(one.vantage, 0))
    if (one.vantage in at_server) == (other.vantage in at_server):
        return None
    return (other, one) if one.vantage in at_server else (one, other)


def how_far(row: Calls.Row, vantages: Vantages) -> str:
    """A sentence on how far an unanswered lock request came, or what was lost of one that was answered late.

    Nothing where its ends were not captured.
    """
    ahead = vantages.ahead
    time = row.time - ahead.get(row.vantage, 0)
    at_server = vantages.taken_at(row.server, time)
    late = row.reply_frame is not None
    if not at_server or (late and row.vantage in at_server):
        return ""
    delays = ((each.time - ahead.get(each.vantage, 0) - time, each) for each in vantages.sightings(row).rows())
    found = ((delay, each) for delay, each in delays if is_there(delay, each, at_server))
    there = min(found, key=lambda pair: pair[0], default=None)
    if there is None:
        text = f"It left the client {row.client} and never reached the server {row.server}, whose capture lacks it."
        return "" if late else text
    return " ".join(filter(None, (late_there(row, there[0]), lost_from_there(row, there[1]))))


def is_there(delay: int, sighting: Calls.Row, at_server: set[int]) -> bool:
    """Whether a sighting is at the server, and close enough in time to be the same call."""
    return sighting.vantage in at_server and abs(delay) <= SAME_S * SECOND


def late_there(row: Calls.Row, delay: int) -> str:
    """A sentence on a call that arrived late at its server: it was lost, and retransmitted."""
    if delay < LOST_S * SECOND:
        return ""
    later = duration(delay / SECOND)
    return f"It left the client {row.client}, was lost on the way, and reached {row.server} {later} later."


def lost_from_there(row: Calls.Row, there: Calls.Row) -> str:
    """A sentence on what became of the answer, by the sighting at the server."""
    wait_s = np.inf if row.latency_s is None else row.latency_s
    answered = there.latency_s if there.reply_frame is not None else None
    if there.vantage != row.vantage and answered is not None and answered + LOST_S < wait_s:
        return (
            f"It reached the server, which answered after {duration(answered)} (frame {there.reply_frame} of the "
            f"capture taken on {row.server}): that answer was lost on the way to {row.client}."
        )
    return "" if row.reply_frame is not None else f"It reached the server: the capture taken on {row.server} shows it."
