"""Where captures were taken, and so how far a message came that got no answer.

A capture taken at either end of a conversation shows whether a message left, or arrived. On which host a capture of a
wire was taken is told by its handshakes: at the server the round trip comes after its SYN-ACK, at the client before.
"""

from __future__ import annotations

from typing import Any

from nfsrpc.rules.facts import SECOND
from nfsrpc.tables import Table, isin, median

QUICKER = 4  # so much sooner than its clients' next messages arrive do a host's SYN-ACKs leave where it stands itself
HANDSHAKES = 3  # fewer tell nothing
SAME_S = 180.0  # an xid is used again later


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


def how_far(row: Any, flows: Table, calls: Table, captures: Table) -> str:
    """How far a call without answer came, in a sentence; nothing where its ends were not captured."""
    ahead = clocks(captures)
    time = row.time - ahead.get(row.vantage, 0)
    same = (calls["xid"] == row.xid) & (calls["prog"] == row.prog) & (calls["proc"] == row.proc)
    sightings = calls.where(same & (calls["client"] == row.client) & (calls["server"] == row.server))
    seen = {
        sighting.vantage
        for sighting in sightings.rows()
        if abs(sighting.time - ahead.get(sighting.vantage, 0) - time) <= SAME_S * SECOND
    }
    at_server = taken_at(row.server, time, flows, calls, captures)
    if at_server & seen:
        return f"It reached the server: the capture taken on {row.server} shows it."
    if at_server:
        return f"It left the client {row.client} and never reached the server {row.server}, whose capture lacks it."
    return ""
