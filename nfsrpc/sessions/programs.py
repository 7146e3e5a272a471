"""Counts, errors and latency quantiles by procedure. Exchanges that several vantages show count once."""

from __future__ import annotations

from typing import Any

import numpy as np

from nfsrpc.protocols import procedure_name, program_name
from nfsrpc.sessions.exchanges import ANSWERED, ORPHAN, UNANSWERED, UNDECIDED, Exchanges
from nfsrpc.sessions.wanted import NLM
from nfsrpc.tables import NAT, NULLS, PROGRAMS, Array, Mask, Table

QUANTILES = (0.50, 0.95, 0.99, 1.0)
NONE = 0xFFFFFFFF
BLOCKED = 3


def programs(exchanges: Exchanges) -> Table:
    raw, states = exchanges.raw, exchanges.states
    kinds, first = exchanges.kinds
    counted = (states != ORPHAN) & (exchanges.duplicate_of == NULLS["u32?"])
    if not counted.all():
        kinds, states = kinds[counted], states[counted]
        raw = {name: raw[name][counted] for name in COLUMNS}
    count = len(first)
    columns = [
        np.bincount(kinds, minlength=count),
        *(np.bincount(kinds[states == state], minlength=count) for state in (ANSWERED, UNANSWERED, UNDECIDED)),
        *(total(kinds, raw[name], count) for name in ("retransmits", "duplicates")),
        np.bincount(kinds[is_error(raw)], minlength=count),
    ]
    numbers = zip(*(exchanges.of_kind(name).tolist() for name in ("prog", "vers", "proc")), strict=True)
    counts = zip(*(column.tolist() for column in columns), strict=True)
    latencies = quantiles(kinds, np.maximum(raw["reply_time"] - raw["time"], 0), timed(raw), count)
    rows = sorted(row for row in zip(numbers, counts, latencies, strict=True) if row[1][0])
    return Table.of(PROGRAMS, map(_row, rows))


COLUMNS = ("time", "reply_time", "prog", "rpc_status", "status", "retransmits", "duplicates")


def _row(values: tuple[tuple[Any, ...], ...]) -> tuple[Any, ...]:
    (prog, vers, proc), counts, latencies = values
    known = proc != NONE
    name = procedure_name(prog, vers, proc) if known else None
    return prog, vers, proc if known else None, program_name(prog, vers), name, *counts, *latencies


def total(kinds: Array, amounts: Array, count: int) -> Array:
    some = np.flatnonzero(amounts)
    return np.bincount(kinds[some], weights=amounts[some], minlength=count).astype(np.int64)


def is_error(raw: dict[str, Array]) -> Mask:
    """RPC refused the call, or the procedure's own status is not OK. A lock that has to wait is no error."""
    rpc_status, status = raw["rpc_status"], raw["status"]
    failed: Mask = (status != 0) & (status != NULLS["i32?"])
    failed &= ~((raw["prog"] == NLM) & (status == BLOCKED))
    failed |= (rpc_status != 0) & (rpc_status != NULLS["u8?"])
    return failed


def timed(raw: dict[str, Array]) -> Mask:
    known: Mask = (raw["time"] != NAT) & (raw["reply_time"] != NAT)
    return known


def quantiles(kinds: Array, latency: Array, known: Mask, count: int) -> list[tuple[float | None, ...]]:
    """The latencies of each kind at QUANTILES, by nearest rank; None for a kind without answers."""
    if not known.all():
        kinds, latency = kinds[known], latency[known]
    # Small numbers sort stably by counting, in linear time.
    order = np.argsort(kinds.astype(np.uint16) if count <= 1 << 16 else kinds, kind="stable")
    ends = np.cumsum(np.bincount(kinds, minlength=count)).tolist()
    latency = latency[order]
    return [of_one(latency[start:end]) for start, end in zip([0, *ends], ends, strict=False)]


def of_one(latency: Array) -> tuple[float | None, ...]:
    if not len(latency):
        return (None,) * len(QUANTILES)
    ranks = [max(int(np.ceil(quantile * len(latency))) - 1, 0) for quantile in QUANTILES]
    latency = np.partition(latency, ranks)
    return tuple(int(latency[rank]) / 1e9 for rank in ranks)
