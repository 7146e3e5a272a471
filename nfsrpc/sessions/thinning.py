"""Thins exchanges while a capture is still being read, with their fields, so that memory does not grow with it.

Of NFS those leave that were counted and are listed all the same, because their fields hold names of files, and repeat a
known name: a LOOKUP a second time. Of lock managers the sessions leave that are over and healthy (settled_locks.py).
What they count for stands in the tallies.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np

from nfsrpc.columns import NAT, NULLS, Array, Coded, Mask, Masked, isin
from nfsrpc.decode import Columns, MessageFields, nothing_left
from nfsrpc.reading import Batch
from nfsrpc.sessions.batches import Kinds, as_one, compact, together
from nfsrpc.sessions.crowding import MAX_LISTED, MAX_NAMES, crowd
from nfsrpc.sessions.exchanges import COUNTED
from nfsrpc.sessions.naming import events, news
from nfsrpc.sessions.settled_locks import Settled, Sieve
from nfsrpc.sessions.tallies import (
    INTERVAL,
    OF_LEFT_OUT,
    added,
    as_latencies,
    as_tallies,
    left_out_summed,
    locks_summed,
    summed,
)
from nfsrpc.tables import CALLS, Calls

# Batches with fewer rows than this stay as they are; some 200 bytes each, 6 MB. What was kept stays while it is more
# than what has come since, so that all rows together are looked at a few times only.
MANY = 1 << 15
# Hashes of owners whose sessions have left, 8 MB, and as many of earlier ones. Who unlocks again after more seems
# to have held the lock since before the capture.
MAX_OWNERS = 1 << 20
# Sums beyond these go into longer intervals: a hundred clients, each with ten procedures, over 20 minutes.
MAX_TALLIES = 1 << 17
LONGEST = 1 << 60  # 36 years


def thinned(batches: list[Batch], in_reach: Columns, alone_until: int, kinds: Kinds) -> list[Batch]:
    """The batches of one decoder, as one that is thinned where they are many; the first may have been thinned before.

    `in_reach`: exchanges that the decoder has yet. `alone_until`: before this time no other vantage shows anything.
    `kinds`: of the columns of messages.
    """
    previous, fresh = parted(batches)
    last = bool(previous) and not len(in_reach["time"])
    if not is_due(batches) and not last:
        return batches
    batch = as_one(previous, [nothing_left() | batch for batch in fresh], kinds)
    drop(batch, repeating(batch))
    sieve = Sieve(batch, in_reach, alone_until)
    batch["unlocked_again"] = {"exchange": sieve.settled.unlocked_again}
    if alone_until != NAT:
        let_go_of_locks(batch, sieve.settled)
    if len(batch["exchanges"]["time"]) > min(MAX_LISTED, MAX_NAMES):
        sieve = sieve if sieve.describes(batch) else Sieve(batch, in_reach, alone_until)
        make_room(batch, sieve)
    batch["tallies"] = bounded(batch["tallies"])
    batch["latencies"] = added(batch["latencies"], "prog", "vers", "proc", "latency")
    return [compact(batch, kinds)]


def is_due(batches: list[Batch]) -> bool:
    """Whether so many batches have come that they are thinned."""
    previous, fresh = parted(batches)
    return size(fresh) >= max(MANY, size(previous))


def parted(batches: list[Batch]) -> tuple[list[Batch], list[Batch]]:
    """The batch that was thinned before, if any, and those that came since."""
    thinned_before = int("counted_owners" in batches[0])
    return batches[:thinned_before], batches[thinned_before:]


def let_go_of_locks(batch: Batch, found: Settled) -> None:
    """Sums lock sessions that are over, and drops their exchanges."""
    if len(found.exchanges):
        count(batch, np.flatnonzero(isin(batch["exchanges"]["exchange"], found.exchanges)))
        batch["counted_locks"] = locks_summed(together([batch["counted_locks"], found.sums]))
        batch |= owners_with(batch, found.owners)
        drop(batch, found.exchanges)


def make_room(batch: Batch, sieve: Sieve) -> None:
    """Sums and drops exchanges for which there is no room."""
    exchanges = batch["exchanges"]
    found = crowd(exchanges, sieve)
    if not any(map(len, found)):
        return
    count(batch, found.healthy)
    odd = {name: exchanges[name][found.odd] for name in OF_LEFT_OUT}
    batch["left_out"] = left_out_summed(
        together([batch["left_out"], odd | {"exchanges": np.ones(len(found.odd), dtype=np.uint32)}])
    )
    batch |= owners_with(batch, found.owners)
    gone = np.concatenate(found[:3])
    for kind, rows in (("names-full", found.names), ("locks-full", found.healthy), ("exchanges-full", found.odd)):
        if len(rows):
            latest = rows[np.argmax(exchanges["time"][rows])]
            row = {"kind": kind, "detail": len(rows), "capture": exchanges["capture"][latest]}
            row |= {"frame": exchanges["call_frame"][latest], "time": exchanges["time"][latest]}
            odd_rows = batch["oddities"]
            batch["oddities"] = {name: with_one_more(odd_rows[name], row[name]) for name in odd_rows}
    drop(batch, exchanges["exchange"][gone])


def with_one_more(values: Any, value: Any) -> Any:
    return [*values, value] if isinstance(values, list) else np.append(values, values.dtype.type(value))


def count(batch: Batch, rows: Array) -> None:
    """Adds exchanges that were answered in time to the sums."""
    leaving = {name: values[rows] for name, values in batch["exchanges"].items()}
    batch["tallies"] = together([batch["tallies"], as_tallies(leaving)])
    batch["latencies"] = together([batch["latencies"], as_latencies(leaving)])


def owners_with(tables: Mapping[str, Any], owners: Array) -> dict[str, Columns]:
    """The tables of owners whose sessions have left, sorted, with more; when too many, all become earlier ones."""
    known, earlier = (tables[name]["owner"] for name in ("counted_owners", "earlier_owners"))
    if len(known) + len(owners) > MAX_OWNERS:
        known, earlier = known[:0], known
    known = np.sort(np.concatenate([known, np.sort(owners)]), kind="stable")
    return {"counted_owners": {"owner": known}, "earlier_owners": {"owner": earlier}}


def drop(batch: Batch, gone: Array) -> None:
    """Drops exchanges, with their fields and copies."""
    batch["exchanges"] = without(batch["exchanges"], gone)
    batch["copies"] = without(batch["copies"], gone)
    batch["decoded"] = {table: without(columns, gone) for table, columns in batch["decoded"].items()}


def size(batches: list[Batch]) -> int:
    """The number of rows that may leave."""
    return sum(len(batch["exchanges"]["time"]) + len(batch["tallies"]["first"]) for batch in batches)


def bounded(tallies: Columns) -> Columns:
    length = INTERVAL
    tallies = summed(tallies)
    while len(tallies["first"]) > MAX_TALLIES and length < LONGEST:
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
