"""Thins exchanges that were counted and are listed all the same, because their fields hold names of files.

Most of them repeat a known name: a LOOKUP a second time. These leave batches while a capture is still being read, with
their fields, so that memory does not grow with the capture; what they count for stands in the tallies.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from nfsrpc.columns import NULLS, Array, Coded, Mask, Masked, isin
from nfsrpc.decode import Columns, MessageFields, joined
from nfsrpc.reading import Batch
from nfsrpc.sessions.exchanges import COUNTED
from nfsrpc.sessions.naming import events, news
from nfsrpc.sessions.tallies import INTERVAL, added, summed
from nfsrpc.tables import CALLS, Calls

# Batches with fewer rows than this stay as they are; some 200 bytes each, 25 MB. What was kept stays while it is more
# than what has come since, so that all rows together are looked at a few times only.
MANY = 1 << 17
# Sums beyond these go into longer intervals: a hundred clients, each with ten procedures, over 20 minutes.
MAX_TALLIES = 1 << 17


def thinned(batches: list[Batch]) -> list[Batch]:
    """The batches of one decoder, thinned where they are many; the first of several was thinned before."""
    previous, fresh = (batches[:1], batches[1:]) if len(batches) > 1 else ([], batches)
    if size(fresh) < max(MANY, size(previous)):
        return batches
    batch = as_one(batches)
    batch["tallies"] = bounded(batch["tallies"])
    batch["latencies"] = added(batch["latencies"], "prog", "vers", "proc", "latency")
    gone = repeating(batch)
    batch["exchanges"] = without(batch["exchanges"], gone)
    batch["decoded"] = {table: without(columns, gone) for table, columns in batch["decoded"].items()}
    return [batch]


def size(batches: list[Batch]) -> int:
    """The number of rows that may leave."""
    return sum(
        int(np.count_nonzero(batch["exchanges"]["flags"] & COUNTED)) + len(batch["tallies"]["first"])
        for batch in batches
    )


def as_one(batches: list[Batch]) -> Batch:
    return {name: together([batch[name] for batch in batches]) for name in batches[0]}


def together(parts: list[Any]) -> Any:
    """Columns joined, lists one after the other; a decoded column is a pair of columns."""
    first = parts[0]
    if isinstance(first, dict):
        return {name: together([part[name] for part in parts]) for name in first}
    if isinstance(first, tuple):
        return tuple(together(list(columns)) for columns in zip(*parts, strict=True))
    if isinstance(first, np.ndarray):
        return joined(parts)
    return [item for part in parts for item in part]


def bounded(tallies: Columns) -> Columns:
    length = INTERVAL
    tallies = summed(tallies)
    while len(tallies["first"]) > MAX_TALLIES:
        length *= 2
        tallies = summed(tallies, length)
    return tallies


def repeating(batch: Batch) -> Array:
    """The numbers of counted exchanges whose names are known already."""
    raw = batch["exchanges"]
    informative = news(events(of_listed(batch), as_calls(raw)))
    news_ = np.zeros(len(raw["exchange"]), dtype=np.bool_)
    news_[informative.call] = True
    gone: Array = raw["exchange"][(raw["flags"] & COUNTED != 0) & ~news_]
    return gone


def of_listed(batch: Batch) -> MessageFields:
    """The fields of exchanges that are over."""
    listed = batch["exchanges"]["exchange"]
    messages = {}
    for table, columns in batch["decoded"].items():
        over = isin(columns["exchange"], listed)
        messages[table] = {name: as_masked(column, over) for name, column in columns.items()}
    return MessageFields(strings=batch["strings"], messages=messages)


def as_masked(column: Any, rows: Mask) -> Masked:
    values, valid = column if isinstance(column, tuple) else (column, np.ones(len(column), dtype=np.bool_))
    return Masked(values[rows], valid[rows])


def as_calls(raw: Columns) -> Calls:
    """The columns of the table of calls that events of names need."""
    columns = {name: raw[name] for name in ("exchange", "proc", "status", "time", "reply_time")}
    nothing = np.full(len(raw["exchange"]), NULLS["u32?"], dtype=np.uint32)
    servers = Coded(raw["server"].astype(np.int64), ())
    return Calls(CALLS, len(nothing), {**columns, "server": servers, "duplicate_of": nothing})


def without(columns: dict[str, Any], exchanges: Array) -> dict[str, Any]:
    stay = ~isin(columns["exchange"], exchanges)
    if stay.all():
        return columns
    return {
        name: tuple(part[stay] for part in column) if isinstance(column, tuple) else column[stay]
        for name, column in columns.items()
    }
