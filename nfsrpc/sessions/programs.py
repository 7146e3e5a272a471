"""Counts, errors and latency quantiles by procedure. Exchanges that several vantages show count once.

Exchanges are listed or counted (tallies.py). Of those that are counted the decoder gives the latencies as a histogram,
to 2 %; where it gives some, those that are listed are taken likewise, since which are depends on when rows were taken.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from nfsrpc.columns import NAT, NULLS, Array, Mask, isin
from nfsrpc.decode import Columns
from nfsrpc.protocols import procedure_name, program_name
from nfsrpc.protocols.numbers import Nlm4Stats, Prog
from nfsrpc.sessions.exchanges import ANSWERED, NO_NUMBER, ORPHAN, UNANSWERED, UNDECIDED, Exchanges
from nfsrpc.sessions.grouping import group
from nfsrpc.sessions.tallies import CountedExchanges, to_2_percent
from nfsrpc.tables import PROGRAMS, Programs

QUANTILES = np.array([0.50, 0.95, 0.99])
BLOCKED = 3
KIND = ("prog", "vers", "proc")


def programs(exchanges: Exchanges, tallies: CountedExchanges) -> Programs:
    rows = countable(exchanges, tallies.counting, exchanges.decoded.left_out)
    histogram = tallies.histogram
    prog, vers, proc = (np.concatenate([rows[name], histogram[name]]) for name in KIND)
    every, first = group(prog, vers, proc)
    kinds, classes = every[: len(rows["prog"])], every[len(rows["prog"]) :]

    def total(amounts: Array) -> list[int]:
        some = np.flatnonzero(amounts)
        sums = np.bincount(kinds[some], weights=amounts[some], minlength=len(first))
        return sums.astype(np.int64).tolist()  # type: ignore[no-any-return]

    state, exchanged = rows["state"], rows["exchanges"]
    counts = zip(
        total(exchanged),
        *(total(exchanged * (state == which)) for which in (ANSWERED, UNANSWERED, UNDECIDED)),
        *(total(rows[name]) for name in ("retransmits", "duplicates")),
        total(exchanged * is_error(rows)),
        strict=True,
    )
    timed = np.flatnonzero(rows["latency"] != NAT)
    exact, kind = rows["latency"][timed], kinds[timed]
    listed = np.where(isin(kind, classes), to_2_percent(exact), exact)
    latencies = quantiles(
        np.concatenate([kind, classes]),
        np.concatenate([listed, histogram["latency"].astype(np.int64)]),
        np.concatenate([exchanged[timed], histogram["exchanges"]]),
        len(first),
    )
    greatest = np.full(len(first), NAT)
    np.maximum.at(greatest, kinds, rows["greatest"])
    known = [None if time == NAT else time for time in greatest.tolist()]
    numbers = zip(*(column[first].tolist() for column in (prog, vers, proc)), strict=True)
    table = sorted(row for row in zip(numbers, counts, latencies, known, strict=True) if row[1][0])
    return Programs.of(PROGRAMS, map(_row, table))


def countable(exchanges: Exchanges, counted: Columns, left_out: Columns) -> Columns:
    """Rows of one exchange, and rows of several, of whose latencies only the greatest is known here."""
    raw, states = exchanges.raw, exchanges.states
    mask = (states != ORPHAN) & (exchanges.duplicate_of == NULLS["u32?"])
    listed = {name: raw[name][mask] for name in (*KIND, "status", "duplicates")}
    listed["retransmits"] = exchanges.retransmits[mask]
    listed["rpc_status"] = exchanges.replied("rpc_status")[mask]
    called, replied = exchanges.called("time"), exchanges.replied("reply_time")
    known = (called != NAT) & (replied != NAT)
    latency = np.where(known, np.maximum(replied - called, 0), NAT)
    listed |= {"state": states[mask], "exchanges": np.ones(int(mask.sum()), dtype=np.int64)}
    listed |= {"latency": latency[mask], "greatest": latency[mask]}
    nothing = np.zeros(len(counted["prog"]), dtype=np.int64)
    sums = {name: counted.get(name, nothing) for name in listed}
    sums |= {"state": nothing + ANSWERED, "latency": nothing + NAT, "greatest": counted["latency_max"].astype(np.int64)}
    some = left_out["prog"] != NO_NUMBER
    rest = {name: left_out[name][some] if name in left_out else np.zeros(int(some.sum()), np.int64) for name in listed}
    rest["state"] = np.where(rest["rpc_status"] == NULLS["u8?"], UNDECIDED, ANSWERED)
    rest |= dict.fromkeys(("latency", "greatest"), np.full(int(some.sum()), NAT))
    return {name: np.concatenate([listed[name], sums[name], rest[name]]) for name in listed}


def _row(values: tuple[Any, ...]) -> tuple[Any, ...]:
    (prog, vers, proc), counts, latencies, greatest = values
    known = proc != NO_NUMBER
    name = procedure_name(prog, vers, proc) if known else None
    # Of a window without end the greatest may be of a time that is over, and not known any more.
    known_times = (time if greatest is None or time is None else min(time, greatest) for time in (*latencies, greatest))
    times = [None if time is None else time / 1e9 for time in known_times]
    return prog, vers, proc if known else None, program_name(prog, vers), name, *counts, *times


def is_error(rows: Columns) -> Mask:
    """A mask of errors: RPC refused the call, or the procedure's own status is not OK; BLOCKED is no error."""
    rpc_status, status = rows["rpc_status"], rows["status"]
    failed: Mask = (status != 0) & (status != NULLS["i32?"])
    failed &= ~((rows["prog"] == Prog.NLM) & (status == Nlm4Stats.BLOCKED))
    failed |= (rpc_status != 0) & (rpc_status != NULLS["u8?"])
    return failed


def quantiles(kinds: Array, latency: Array, weight: Array, count: int) -> list[list[int | None]]:
    """The latencies of each kind at QUANTILES, by nearest rank; None for a kind without answers."""
    order = np.lexsort((latency, kinds))
    ends = np.cumsum(np.bincount(kinds, minlength=count)).tolist()
    latency, weight = latency[order], weight[order]
    return [of_one(latency[start:end], weight[start:end]) for start, end in zip([0, *ends], ends, strict=False)]


def of_one(latency: Array, weight: Array) -> list[int | None]:
    """The quantiles of sorted latencies, each of which occurs `weight` times."""
    if not len(latency):
        return [None] * len(QUANTILES)
    upto = np.cumsum(weight)
    ranks = np.maximum(np.ceil(QUANTILES * upto[-1]), 1)
    return latency[np.searchsorted(upto, ranks)].tolist()  # type: ignore[no-any-return]
