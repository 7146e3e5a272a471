"""Exchanges that were counted and not listed: sums by client, server, procedure, outcome and time.

Decoders give sums bit by bit; here they become one row each. What several vantages count cannot be matched exchange
by exchange, so of two hosts and a stretch of time the vantage that shows most of them counts, and the others do not.
"""

from __future__ import annotations

from functools import cached_property

import numpy as np

from nfsrpc import tables
from nfsrpc._core import summed as summed_in_core
from nfsrpc.columns import NAT, NULLS, Array, Coded, Mask, Source, isin
from nfsrpc.decode import SIDE, Columns, Decoded
from nfsrpc.protocols import procedure_name, program_name
from nfsrpc.sessions.exchanges import NO_NUMBER, transports
from nfsrpc.sessions.grouping import group, in_order
from nfsrpc.sessions.hosts import HostsByAddress

INTERVAL = 10_000_000_000  # of the core
KEY = ("capture", "client", "server", "transport", "prog", "vers", "proc", "status", "machine", "interval")
# Columns of exchanges that are summed.
SUMMED = (*KEY[:-1], "time", "reply_time", "call_frame", "call_bytes", "reply_bytes")
OF_LEFT_OUT = ("capture", "client", "server", "prog", "vers", "proc", "rpc_status", "status")
MAX_LEFT_OUT = 1 << 12  # sums
FRACTION_BITS = 5  # of the core's classes of latencies
OF_HISTOGRAM = ("vantage", "prog", "vers", "proc")
SUMS = ("exchanges", "latency_sum", "call_bytes", "reply_bytes", "cut", "encrypted")


def summed(tallies: Columns, length: int = INTERVAL) -> Columns:
    """The sums with one row per key, in intervals of this length."""
    if not len(tallies["first"]):
        return tallies
    rows = tallies | {"interval": tallies["interval"] // length * length}
    groups, first = grouped(rows, *(name for name in (*KEY, SIDE) if name in rows))
    result = {name: values[first] for name, values in rows.items()}
    for name in SUMS:
        result[name] = np.zeros(len(first), dtype=rows[name].dtype)
        np.add.at(result[name], groups, rows[name])
    np.minimum.at(result["latency_min"], groups, rows["latency_min"])
    for name in ("latency_max", "last"):
        np.maximum.at(result[name], groups, rows[name])
    return result


def added(latencies: Columns, *same: str) -> Columns:
    """Counts of latencies, with one row per combination of these columns."""
    groups, first = group(*(latencies[name] for name in same))
    exchanges = np.zeros(len(first), dtype=latencies["exchanges"].dtype)
    np.add.at(exchanges, groups, latencies["exchanges"])
    return {name: latencies[name][first] for name in same} | {"exchanges": exchanges}


def sums_of(*parts: tuple[Columns, Array], length: int = INTERVAL) -> tuple[Columns, Columns]:
    """Sums of some rows of tables of exchanges, which were answered in time, in intervals of this length.

    And the numbers of their latencies, to 2 %, with the interval of each.
    """
    return summed_in_core([(as_core(columns), rows) for columns, rows in parts], length)


def as_core(exchanges: Columns) -> Columns:
    return {name: np.ascontiguousarray(exchanges[name]) for name in SUMMED}


def to_2_percent(latency: Array) -> Array:
    """The middles of the classes of latencies, in ns, as the core has them (core/src/tally.rs)."""
    latency = np.maximum(latency, 1)
    exponent = np.frexp(latency.astype(np.float64))[1].astype(np.int64) - 1
    unit = exponent - FRACTION_BITS
    return np.where(
        unit > 0, (latency >> np.maximum(unit, 0) << np.maximum(unit, 0)) + (1 << np.maximum(unit - 1, 0)), latency
    )


def left_out_summed(rows: Columns) -> Columns:
    """Sums of exchanges that were left out for lack of room, at most so many; of what is beyond, not the program."""
    if not len(rows["exchanges"]):
        return rows
    sums = added(rows, *OF_LEFT_OUT)
    if len(sums["exchanges"]) <= MAX_LEFT_OUT:
        return sums
    most = np.argsort(-sums["exchanges"].astype(np.int64), kind="stable")
    for name in ("client", "server", "prog", "vers", "proc"):
        sums[name][most[MAX_LEFT_OUT // 2 :]] = NO_NUMBER if name in ("prog", "vers", "proc") else 0
    return added(sums, *OF_LEFT_OUT)


def grouped(rows: Columns, *names: str) -> tuple[Array, Array]:
    """The number of each row's group of rows that agree in these columns, and of each group the earliest row."""
    groups, first = group(*(rows[name] for name in names))
    latest_first = in_order(rows["first"])[::-1]
    first[groups[latest_first]] = latest_first  # of several for one place the last one stays
    return groups, first


class CountedExchanges:
    """The sums of counted exchanges, and which of them count where several vantages have them."""

    def __init__(self, decoded: Decoded, offsets: Array) -> None:
        """`offsets` are the clocks of the vantages."""
        self.decoded = decoded
        self.raw = summed(decoded.tallies)
        self.vantages = len(decoded.vantages)
        self.vantage = decoded.vantage[self.raw["capture"]]
        self.offsets = np.where(offsets == NAT, 0, offsets)

    def __len__(self) -> int:
        return len(self.vantage)

    @cached_property
    def again(self) -> Mask:
        """Rows of exchanges that their vantage also counted on the server's side of an address translation."""
        return self.raw[SIDE] > 0 if SIDE in self.raw else np.zeros(len(self), dtype=np.bool_)

    @cached_property
    def counted_in(self) -> Array:
        """The vantage whose rows count for the hosts and the interval of a row."""
        if self.vantages == 1 or not len(self):
            return self.vantage
        offset = (self.offsets[self.vantage] + INTERVAL // 2) // INTERVAL * INTERVAL
        pairs, first = group(self.raw["client"], self.raw["server"], self.raw["interval"] - offset)
        sights, its = group(pairs, self.vantage)
        totals = np.zeros(len(its), dtype=np.int64)
        np.add.at(totals, sights, np.where(self.again, 0, self.raw["exchanges"]))
        order = np.lexsort((self.vantage[its], -totals, pairs[its]))[::-1]
        best = np.empty(len(first), dtype=np.uint16)
        best[pairs[its[order]]] = self.vantage[its[order]]  # of several for one place the last one stays
        counted: Array = best[pairs]
        return counted

    @cached_property
    def counting(self) -> Columns:
        """The columns of the rows that count."""
        mask: Mask = (self.counted_in == self.vantage) & ~self.again
        return {name: values[mask] for name, values in self.raw.items()}

    @cached_property
    def histogram(self) -> Columns:
        """Latencies as vantages show them that count for the procedure."""
        latencies = self.decoded.latencies
        if self.vantages == 1:
            return latencies
        rows = self.counting | {"vantage": self.decoded.vantage[self.counting["capture"]]}
        kinds, _ = group(*(np.concatenate([part[name] for part in (rows, latencies)]) for name in OF_HISTOGRAM))
        counting, classes = np.split(kinds, [len(rows["vantage"])])
        counts = isin(classes, counting)
        return {name: values[counts] for name, values in latencies.items()}


def tallies(tallies: CountedExchanges, hosts: HostsByAddress) -> tables.Tallies:
    decoded, raw = tallies.decoded, tallies.raw
    kinds, first = group(raw["prog"], raw["vers"], raw["proc"])
    names = list(zip(*(raw[name][first].tolist() for name in ("prog", "vers", "proc")), strict=True))
    own = (tallies.counted_in == tallies.vantage) & ~tallies.again
    columns: dict[str, Source] = {
        **{name: values for name, values in raw.items() if name != SIDE},
        "vantage": tallies.vantage,
        "client": lambda: hosts.label(raw["client"]),
        "server": lambda: hosts.label(raw["server"]),
        "transport": lambda: transports(raw["transport"]),
        "program": lambda: Coded.distinct(kinds, [program_name(prog, vers) for prog, vers, _ in names]),
        "procedure": lambda: Coded.distinct(kinds, [procedure_name(*name) for name in names]),
        "machine": lambda: decoded.text(raw["machine"]),
        "latency_min_s": lambda: raw["latency_min"] / 1e9,
        "latency_mean_s": lambda: raw["latency_sum"] / raw["exchanges"] / 1e9,
        "latency_max_s": lambda: raw["latency_max"] / 1e9,
        "counted_in": np.where(own, NULLS["u16?"], tallies.counted_in).astype(np.uint16),
    }
    return tables.Tallies(tables.TALLIES, len(tallies), columns)
