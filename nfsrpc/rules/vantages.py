"""Where captures were taken, and so how far a message came that got no answer.

A capture taken at either end of a conversation shows whether a message left, or arrived. On which host a capture of a
wire was taken is told by its handshakes: at the server the round trip comes after its SYN-ACK, at the client before.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from nfsrpc.rules.facts import SECOND
from nfsrpc.rules.wording import seconds
from nfsrpc.tables import Table, isin, median

QUICKER = 4  # so much sooner than its clients' next messages arrive do a host's SYN-ACKs leave where it stands itself
HANDSHAKES = 3  # fewer tell nothing
SAME_S = 180.0  # an xid is used again later
LOST_S = 1.0  # what comes so much later than it left, or than to the other end, was lost and sent again


def clocks(captures: Table) -> dict[int, int]:
    """By how much the clock of each vantage is ahead of the first one's."""
    return {row.vantage: round((row.offset_s or 0.0) * SECOND) for row in captures.rows()}


def taken_at(host: str, time: int, flows: Table, calls: Table, captures: Table) -> set[int]:
    """The vantages on a host that were captured at a time of the first vantage's clock."""
    ahead = clocks(captures)
    rows = [row for row in captures.rows() if row.first is not None and row.last is not None]
    going = [row for row in rows if row.first <= time + ahead[row.vantage] <= row.last]
    told = {row.vantage for row in going if row.host == host}
    return told | {row.vantage for row in going if row.host is None and is_beside(row.vantage, host, flows, calls)}


def is_beside(vantage: int, server: str, flows: Table, calls: Table) -> bool:
    """Whether a capture was taken where this server is."""
    opened = flows.where((flows["vantage"] == vantage) & (flows["server"] == server) & (flows["transport"] == "tcp"))
    opened = opened.where((opened["syn"] == 1) & (opened["synack"] > 0) & ~opened["loopback"])
    called = calls.where(isin(calls["flow"], opened["flow"]))
    before, after = [], []
    for row in opened.rows():
        times = called["time"][called["flow"] == row.flow]
        if len(times) and times.min() > row.synack_time:
            before.append(row.synack_time - row.syn_time)
            after.append(int(times.min()) - row.synack_time)
    return len(before) >= HANDSHAKES and bool(median(after) > QUICKER * median(before))


def lost_where(rows: Table, flows: Table, calls: Table, captures: Table) -> str:
    """In which direction segments of these connections were lost, in a sentence; nothing unless both ends show them.

    A segment that is lost on the way is sent again: that shows at the sender's end, and at the other end only once.
    """
    again = flows.where(isin(flows["duplicate_of"], rows["flow"]) & flows.valid("duplicate_of"))
    lost = {"c": 0, "s": 0}
    client, server, both = rows["client"].tolist()[0], rows["server"].tolist()[0], False
    for other in again.rows():
        one = flows.row(int(np.flatnonzero(flows["flow"] == other.duplicate_of)[0]))
        ends = at_ends(one, other, flows, calls, captures)
        if ends is not None:
            both = True
            lost["c"] += max(ends[0].c_retransmitted - ends[1].c_retransmitted, 0)
            lost["s"] += max(ends[1].s_retransmitted - ends[0].s_retransmitted, 0)
    if not both:
        return ""
    if not any(lost.values()):
        return "Nothing was lost between the two ends: look at the hosts' own queues, and at reordering."
    return f"Of {client}'s segments {lost['c']} were lost on the way to {server}, and of the server's {lost['s']}."


def at_ends(one: Any, other: Any, flows: Table, calls: Table, captures: Table) -> tuple[Any, Any] | None:
    """Of two sightings of a connection that at the client's end and that at the server's."""
    ahead = clocks(captures)
    at_server = taken_at(one.server, one.first - ahead.get(one.vantage, 0), flows, calls, captures)
    if (one.vantage in at_server) == (other.vantage in at_server):
        return None
    return (other, one) if one.vantage in at_server else (one, other)


def how_far(row: Any, flows: Table, calls: Table, captures: Table) -> str:
    """How far a call came that got no answer, or what of one that got it late was lost on the way, in a sentence.

    Nothing where its ends were not captured.
    """
    ahead = clocks(captures)
    time = row.time - ahead.get(row.vantage, 0)
    at_server = taken_at(row.server, time, flows, calls, captures)
    late = row.reply_frame is not None
    if not at_server or (late and row.vantage in at_server):
        return ""
    same = (calls["xid"] == row.xid) & (calls["prog"] == row.prog) & (calls["proc"] == row.proc)
    sightings = calls.where(same & (calls["client"] == row.client) & (calls["server"] == row.server))
    delays = ((each.time - ahead.get(each.vantage, 0) - time, each) for each in sightings.rows())
    there = min(((delay, each) for delay, each in delays if is_there(delay, each, at_server)), default=None)
    if there is None:
        lost = f"It left the client {row.client} and never reached the server {row.server}, whose capture lacks it."
        return "" if late else lost
    return " ".join(filter(None, (late_there(row, there[0]), lost_from_there(row, there[1]))))


def is_there(delay: int, sighting: Any, at_server: set[int]) -> bool:
    return sighting.vantage in at_server and abs(delay) <= SAME_S * SECOND


def late_there(row: Any, delay: int) -> str:
    """What a call's late arrival at its server tells: it was lost, and sent again."""
    if delay < LOST_S * SECOND:
        return ""
    later = seconds(delay / SECOND)
    return f"It left the client {row.client}, was lost on the way, and reached {row.server} {later} later."


def lost_from_there(row: Any, there: Any) -> str:
    """What its sighting at the server tells: what became of the answer."""
    waited = np.inf if row.latency_s is None else row.latency_s
    if there.vantage != row.vantage and there.reply_frame is not None and there.latency_s + LOST_S < waited:
        return (
            f"It reached the server, which answered after {seconds(there.latency_s)} (frame {there.reply_frame} of the "
            f"capture taken on {row.server}): that answer was lost on the way to {row.client}."
        )
    return "" if row.reply_frame is not None else f"It reached the server: the capture taken on {row.server} shows it."
