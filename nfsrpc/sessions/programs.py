"""Counts, errors and latency quantiles by procedure. Exchanges that several vantages show count once."""

from __future__ import annotations

from typing import Any

import numpy as np

from nfsrpc.protocols import procedure_name, program_name
from nfsrpc.sessions.calls import ANSWERED, UNANSWERED, UNDECIDED
from nfsrpc.sessions.grouping import group
from nfsrpc.sessions.hosts import NLM
from nfsrpc.tables import NAT, NULLS, PROGRAMS, Array, Mask, Table

QUANTILES = (0.50, 0.95, 0.99, 1.0)
NONE = 0xFFFFFFFF
BLOCKED = 3


def programs(calls: Table) -> Table:
    counted = calls["prog"] != NONE
    if calls.valid("duplicate_of").any():
        counted &= ~calls.valid("duplicate_of")
    if not counted.all():
        calls = calls.where(counted)
    if not len(calls):
        return Table.of(PROGRAMS, ())
    groups, first = group(calls["prog"], calls["vers"], calls["proc"])
    count = len(first)
    states = calls["state"].codes
    numbers = [(calls[name][first]).tolist() for name in ("prog", "vers", "proc")]
    sums = [
        np.bincount(groups, minlength=count),
        *(np.bincount(groups[states == state], minlength=count) for state in (ANSWERED, UNANSWERED, UNDECIDED)),
        *(total(groups, calls[name], count) for name in ("retransmits", "duplicates")),
        np.bincount(groups[is_error(calls)], minlength=count),
    ]
    counts = zip(*(column.tolist() for column in sums), strict=True)
    rows = zip(zip(*numbers, strict=True), counts, quantiles(groups, calls, count), strict=True)
    return Table.of(PROGRAMS, map(_row, sorted(rows)))


def _row(values: tuple[tuple[Any, ...], ...]) -> tuple[Any, ...]:
    (prog, vers, proc), counts, latencies = values
    known = proc != NONE
    name = procedure_name(prog, vers, proc) if known else None
    return prog, vers, proc if known else None, program_name(prog, vers), name, *counts, *latencies


def total(groups: Array, amounts: Array, count: int) -> Array:
    some = amounts != 0
    return np.bincount(groups[some], weights=amounts[some], minlength=count).astype(np.int64)


def is_error(calls: Table) -> Mask:
    """RPC refused the call, or the procedure's own status is not OK. A lock that has to wait is no error."""
    rpc_status, status = calls["rpc_status"], calls["status"]
    failed: Mask = (status != 0) & (status != NULLS["i32?"])
    failed &= ~((calls["prog"] == NLM) & (status == BLOCKED))
    failed |= (rpc_status != 0) & (rpc_status != NULLS["u8?"])
    return failed


def quantiles(groups: Array, calls: Table, count: int) -> list[tuple[float | None, ...]]:
    """The latencies of each group at QUANTILES, by nearest rank; None for a group without answers."""
    time, reply_time = calls["time"], calls["reply_time"]
    timed = (time != NAT) & (reply_time != NAT)
    latency = np.maximum(reply_time - time, 0)[timed]
    groups = groups[timed]
    # Small numbers sort stably by counting, in linear time.
    order = np.argsort(groups.astype(np.uint16) if count <= 1 << 16 else groups, kind="stable")
    ends = np.cumsum(np.bincount(groups, minlength=count)).tolist()
    latency = latency[order]
    return [of_one(latency[start:end]) for start, end in zip([0, *ends], ends, strict=False)]


def of_one(latency: Array) -> tuple[float | None, ...]:
    if not len(latency):
        return (None,) * len(QUANTILES)
    ranks = [max(int(np.ceil(quantile * len(latency))) - 1, 0) for quantile in QUANTILES]
    latency = np.partition(latency, ranks)
    return tuple(int(latency[rank]) / 1e9 for rank in ranks)
