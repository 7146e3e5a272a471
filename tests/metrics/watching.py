"""Captures as they would have come: a look after each piece, and what the metrics are then."""

from __future__ import annotations

from collections.abc import Iterator

from nfsrpc.diagnosis.run import Limited, unlimited
from nfsrpc.diagnosis.verdict import diagnose
from nfsrpc.metrics.totals import Totals
from nfsrpc.trace import Trace
from nfsrpc.watch.changes import waits_in
from nfsrpc.watch.schedule import Look
from nfsrpc.watch.watch import Watch
from tests.watch.pieces import by_time

EVER_S = 1e8


def after_each_piece(
    data: bytes, seconds: float, window_s: float = EVER_S, rules: str = "REG001", limited: Limited = unlimited
) -> Iterator[Totals]:
    """The totals after each stretch of so many seconds, and after the end."""
    watch, totals = Watch("a.pcap", window_s), Totals()
    watch.settle = totals.settle
    for piece in by_time(data, seconds):
        watch.feed(piece.data)
        watch.stir()
        trace = watch.trace()
        if trace is not None:
            yield added(totals, watch, trace, rules, limited)
    trace = watch.close()
    assert trace is not None
    yield added(totals, watch, trace, rules, limited)


def added(totals: Totals, watch: Watch, trace: Trace, rules: str, limited: Limited) -> Totals:
    waits = waits_in(trace.tables["locks"], watch.last)
    look = Look(trace, diagnose(trace.tables, (rules,)), [], waits, watch.last)
    totals.add(look, totals.news(look, watch.snapshot, limited))
    return totals
