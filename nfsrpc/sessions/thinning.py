"""Thins exchanges while a capture is still being read, with their fields, so that memory does not grow with it.

Of NFS those leave that were counted and are listed all the same, because their fields hold names of files, and repeat a
known name: a LOOKUP a second time, as far as the decoder has not seen that itself (core/src/known_names.rs). Of lock
managers the sessions leave that are over and healthy (settled_locks.py); and questions that are asked again and again
(polls.py). What they count for stands in the tallies.
"""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Mapping
from typing import Any

import numpy as np

from nfsrpc.columns import NAT, NULLS, Among, Array, Coded, Mask, Masked, distinct, isin
from nfsrpc.decode import Columns, MessageFields, nothing_left
from nfsrpc.reading import Batch
from nfsrpc.sessions import writes
from nfsrpc.sessions.batches import NUMBERS, Kinds, alike, compact, joined_batches, parted, together
from nfsrpc.sessions.crowding import (
    MAX_FLOWS,
    MAX_ITEMS,
    MAX_LISTED,
    MAX_NAMES,
    MAX_PAIRS,
    STAY,
    Crowd,
    crowd,
    crowd_of_flows,
    crowd_of_lists,
    oldest,
)
from nfsrpc.sessions.exchanges import COUNTED
from nfsrpc.sessions.naming import PROTOCOLS, events, news
from nfsrpc.sessions.polls import MINUTE, repeated
from nfsrpc.sessions.settled_locks import ARGUMENTS, Sifted, sifted
from nfsrpc.sessions.tallies import (
    INTERVAL,
    OF_LEFT_OUT,
    added,
    left_out_summed,
    summed,
    sums_of,
)
from nfsrpc.tables import CALLS, Calls

# Hashes of owners whose sessions have left, 4 MB, and as many of earlier ones. Who unlocks again after more seems
# to have held the lock since before the capture.
MAX_OWNERS = 1 << 19
# Sums beyond these go into longer intervals: a hundred clients, each with ten procedures, over 20 minutes.
MAX_TALLIES = 1 << 17
LENGTHS = [INTERVAL << doubled for doubled in range(28)]  # up to 42 years
# Sums that differ in hosts and procedures: 3,000 clients, each with ten procedures. Beyond, they are not kept by host.
MAX_PARTIES = 1 << 15
# So few rows of messages with names of files are not looked at: the decoder keeps to itself nearly all that repeats.
FEW_NAMED = 1 << 13
# Rows of copies of messages: of more than so many, the first and the last few of each message stay; 48 bytes each.
MAX_COPIES, OF_A_MESSAGE = 1 << 16, 4
# Endings of the names of tables with one row per message; others have one per item of a list.
OWN = (".args", ".res")
# Writes are summed by host, file and ten seconds, 70 bytes and a handle each.
MAX_ACCESSES = 1 << 16


def thinned(batches: list[Batch], in_reach: Columns, alone_until: int, kinds: Kinds) -> list[Batch]:
    """The batches of one decoder, as one that is thinned; the first may have been thinned before.

    The list is empty then, so that their columns are freed as soon as they are copied.

    `in_reach`: exchanges that the decoder has yet. `alone_until`: before this time no other vantage shows anything.
    `kinds`: of the columns of messages.
    """
    previous, fresh = parted(batches)
    fresh[:] = [nothing_left() | batch for batch in fresh]
    batches.clear()
    parts = alike(previous, fresh, kinds)
    addresses = parts[0].pop(NUMBERS, None)
    if addresses:
        in_reach = addresses.of(in_reach)
    found = sifted(parts, in_reach, alone_until)
    if alone_until != NAT:
        let_go_of_locks(parts, found)
    batch = joined_batches(parts)
    batch["unlocked_again"] = {"exchange": found.sessions.unlocked_again()}
    if addresses:
        batch[NUMBERS] = addresses
    if named(batch) > FEW_NAMED or not len(in_reach["exchange"]):  # at the end nothing is in reach
        drop(batch, Among(repeating(batch)))
    thin_exchanges(batch, found, in_reach, alone_until)
    if len(batch["flows"]["flow"]) > MAX_FLOWS:
        make_room_for_flows(batch, in_reach["flow"])
    make_room_for_copies(batch)
    make_room_for_sums(batch)
    make_room_for_accesses(batch)
    batch["latencies"] = added(batch["latencies"], "prog", "vers", "proc", "latency")
    return [compact(batch, kinds)]


def let_go_of_locks(parts: list[Batch], found: Sifted) -> None:
    """Sums lock sessions that are over, and drops their exchanges: before batches are joined, as there are many."""
    sessions = found.sessions
    leaving = Among(sessions.exchanges())
    if not len(leaving.numbers):
        return
    exchanges = [part["exchanges"] for part in parts]
    rows = [np.flatnonzero(leaving.mask(columns["exchange"])) for columns in exchanges]
    first = parts[0]
    count(first, *zip(exchanges, rows, strict=True))
    first |= owners_with(first, sessions.owners(found.names))
    for part in parts:
        drop(part, leaving)


def thin_exchanges(batch: Batch, found: Sifted, in_reach: Columns, alone_until: int) -> None:
    """Sums and drops questions that are asked again and again, and exchanges for which there is no room."""
    if alone_until != NAT:
        polls = repeated(batch, in_reach, alone_until)
        count(batch, (batch["exchanges"], polls), length=MINUTE)
        drop(batch, Among(batch["exchanges"]["exchange"][polls]))
    if len(batch["exchanges"]["time"]) > min(MAX_LISTED, MAX_NAMES, MAX_PAIRS):
        make_room(batch, found)
    items = items_of(batch)
    if items.sum() > MAX_ITEMS:
        let_go(batch, crowd_of_lists(batch["exchanges"], found, items))


def make_room(batch: Batch, found: Sifted) -> None:
    """Sums and drops exchanges for which there is no room."""
    let_go(batch, crowd(batch["exchanges"], found))


def items_of(batch: Batch) -> Array:
    """How many items of lists the messages of each listed exchange have."""
    lists = [columns["exchange"] for table, columns in batch["decoded"].items() if not table.endswith(OWN)]
    items, exchange = np.sort(np.concatenate(lists)), batch["exchanges"]["exchange"]
    count: Array = np.searchsorted(items, exchange, "right") - np.searchsorted(items, exchange, "left")
    return count


def let_go(batch: Batch, found: Crowd) -> None:
    """Sums and drops exchanges, and notes how many."""
    exchanges = batch["exchanges"]
    if not any(map(len, found)):
        return
    count(batch, (exchanges, found.healthy))
    odd = {name: exchanges[name][found.odd] for name in OF_LEFT_OUT}
    batch["left_out"] = left_out_summed(
        together([batch["left_out"], odd | {"exchanges": np.ones(len(found.odd), dtype=np.uint32)}])
    )
    batch |= owners_with(batch, found.owners)
    gone = np.concatenate(found[:3])
    for kind, rows in (("names-full", found.names), ("locks-full", found.healthy), ("exchanges-full", found.odd)):
        note(batch, kind, rows, *(exchanges[name] for name in ("capture", "call_frame", "time")))
    drop(batch, Among(exchanges["exchange"][gone]))


def make_room_for_copies(batch: Batch) -> None:
    """Drops, of very many copies, those between the first and the last few of each message, with their fields."""
    copies = batch["copies"]
    count = len(copies["exchange"])
    if count <= MAX_COPIES:
        return
    order = np.lexsort(tuple(copies[name] for name in ("frame", "capture", "reply", "exchange")))
    begins = np.zeros(count, dtype=np.bool_)
    begins[:1] = True
    for name in ("exchange", "reply"):
        begins[1:] |= np.diff(copies[name][order]) != 0
    first = np.flatnonzero(begins)
    message = np.cumsum(begins) - 1
    before = np.arange(count) - first[message]
    after = np.append(first[1:], count)[message] - 1 - np.arange(count)
    gone = order[(before >= OF_A_MESSAGE) & (after >= OF_A_MESSAGE)]
    if not len(gone):
        return
    note(batch, "copies-full", gone, *(copies[name] for name in ("capture", "frame", "time")))
    leaving = distinct(places(copies)[gone])
    batch["copies"] = {name: np.delete(values, gone) for name, values in copies.items()}
    batch["decoded"] = {
        table: rows_where(columns, (columns["copy"] == 0) | ~isin(places(columns), leaving))
        for table, columns in batch["decoded"].items()
    }


def places(columns: Mapping[str, Any]) -> Array:
    """Exchange and frame of each row, as one number."""
    place: Array = columns["exchange"].astype(np.uint64) << np.uint64(32) | columns["frame"].astype(np.uint64)
    return place


def make_room_for_flows(batch: Batch, in_reach: Array) -> None:
    """Sums and drops flows for which there is no room, but for those of exchanges that are listed, or in reach."""
    flows = batch["flows"]
    found = crowd_of_flows(flows, np.concatenate([batch["exchanges"]["flow"], in_reach]))
    for kind, rows in (("flows-summed", found.summed), ("flows-full", found.left_out)):
        note(batch, kind, rows, *(flows[name] for name in ("first_capture", "first_frame", "first")))
    batch["flows"] = found.flows


def note(batch: Batch, kind: str, rows: Array, capture: Array, frame: Array, time: Array) -> None:
    """Adds an oddity about some rows, if there are any, where the latest is."""
    if len(rows):
        latest = rows[np.argmax(time[rows])]
        row = {"kind": kind, "detail": len(rows), "capture": capture[latest], "frame": frame[latest]}
        row["time"] = time[latest]
        odd_rows = batch["oddities"]
        batch["oddities"] = {name: with_one_more(odd_rows[name], row[name]) for name in odd_rows}


def with_one_more(values: Any, value: Any) -> Any:
    return [*values, value] if isinstance(values, list) else np.append(values, values.dtype.type(value))


def count(batch: Batch, *leaving: tuple[Columns, Array], length: int = INTERVAL) -> None:
    """Adds some rows of exchanges, which were answered in time, to the sums, in intervals of this length."""
    tallies, latencies = sums_of(*leaving, length=length)
    del latencies["interval"]
    batch["tallies"] = together([batch["tallies"], tallies])
    batch["latencies"] = together([batch["latencies"], latencies])


def owners_with(tables: Mapping[str, Any], owners: Array) -> dict[str, Columns]:
    """The tables of owners whose sessions have left, sorted, with more; when too many, all become earlier ones."""
    known, earlier = (tables[name]["owner"] for name in ("counted_owners", "earlier_owners"))
    if len(known) + len(owners) > MAX_OWNERS:
        known, earlier = known[:0], known
    known = np.concatenate([known, np.sort(owners)])
    known.sort(kind="stable")  # in place: there may be a million
    return {"counted_owners": {"owner": known}, "earlier_owners": {"owner": earlier}}


def drop(batch: Batch, leaving: Among) -> None:
    """Drops exchanges, with their fields and copies."""
    if not len(leaving.numbers):
        return
    batch["exchanges"] = without(batch["exchanges"], leaving)
    batch["copies"] = without(batch["copies"], leaving)
    batch["decoded"] = {table: without(columns, leaving) for table, columns in batch["decoded"].items()}


def make_room_for_sums(batch: Batch) -> None:
    """Sums by host of ordinary exchanges, in intervals as long as it takes; of very many hosts, of the latest only."""
    tallies = summed(batch["tallies"])
    if len(tallies["first"]) > MAX_TALLIES:
        fits = lambda length: len(summed(tallies, length)["first"]) <= MAX_TALLIES  # noqa: E731
        at = bisect_left(LENGTHS, True, key=fits)
        tallies = summed(tallies, LENGTHS[min(at, len(LENGTHS) - 1)])
    parties = len(summed(tallies, LENGTHS[-1])["first"]) if len(tallies["first"]) > MAX_PARTIES else 0
    if parties > MAX_PARTIES:
        tallies = summed(tallies, LENGTHS[-1])
        gone = oldest(np.arange(parties), tallies["last"], parties - round(MAX_PARTIES * STAY))
        left_out = {name: tallies[name][gone] for name in (*OF_LEFT_OUT, "exchanges") if name != "rpc_status"}
        left_out["rpc_status"] = np.zeros(len(gone), dtype=np.uint8)
        batch["left_out"] = left_out_summed(together([batch["left_out"], left_out]))
        note(batch, "hosts-full", gone, *(tallies[name] for name in ("capture", "first_frame", "last")))
        tallies = {name: np.delete(values, gone) for name, values in tallies.items()}
    batch["tallies"] = tallies


def make_room_for_accesses(batch: Batch) -> None:
    """Of very many files, and hosts that write to them, the latest of files with locks, and of others, stay."""
    if len(batch["accesses"]["first"]) <= MAX_ACCESSES:
        return
    accesses = batch["accesses"] = writes.summed(batch["accesses"])
    count = len(accesses["first"])
    if count > MAX_ACCESSES:
        locked = np.zeros(count, dtype=np.bool_)
        for table in ARGUMENTS:
            if handles := batch["decoded"].get(table, {}).get("fh"):
                locked |= isin(accesses["handle"], distinct(handles[0][handles[1]]))
        order = np.lexsort((accesses["last"], locked))
        gone = order[: count - round(MAX_ACCESSES * STAY)]
        note(batch, "accesses-full", gone, *(accesses[name] for name in ("capture", "first_frame", "first")))
        batch["accesses"] = {name: np.delete(values, gone) for name, values in accesses.items()}


def named(batch: Batch) -> int:
    """The number of rows of messages with names of files."""
    tables = batch["decoded"].items()
    return sum(len(columns["exchange"]) for table, columns in tables if table.partition(".")[0] in PROTOCOLS)


def repeating(batch: Batch) -> Array:
    """The numbers of counted exchanges whose names are known already."""
    raw = batch["exchanges"]
    informative = news(events(of_listed(batch), as_calls(raw)))
    news_ = np.zeros(len(raw["exchange"]), dtype=np.bool_)
    news_[informative.call] = True
    gone: Array = raw["exchange"][(raw["flags"] & COUNTED != 0) & ~news_]
    return gone


def of_listed(batch: Batch) -> MessageFields:
    """The fields with names of files of exchanges that are over."""
    listed = Among(batch["exchanges"]["exchange"])
    messages = {}
    for table, columns in batch["decoded"].items():
        if table.partition(".")[0] in PROTOCOLS:
            over = np.flatnonzero(listed.mask(columns["exchange"]))
            messages[table] = {name: as_masked(column, over) for name, column in columns.items()}
    return MessageFields(strings=batch["strings"], messages=messages)


def as_masked(column: Any, rows: Array) -> Masked:
    values, valid = column if isinstance(column, tuple) else (column, np.ones(len(column), dtype=np.bool_))
    return Masked(values[rows], valid[rows])


def as_calls(raw: Columns) -> Calls:
    """The columns of the table of calls that events of names need."""
    columns = {name: raw[name] for name in ("exchange", "proc", "status", "time", "reply_time")}
    nothing = np.full(len(raw["exchange"]), NULLS["u32?"], dtype=np.uint32)
    servers = Coded(raw["server"].astype(np.int64), ())
    return Calls(CALLS, len(nothing), {**columns, "server": servers, "duplicate_of": nothing})


def without(columns: dict[str, Any], exchanges: Among) -> dict[str, Any]:
    return rows_where(columns, ~exchanges.mask(columns["exchange"]))


def rows_where(columns: dict[str, Any], mask: Mask) -> dict[str, Any]:
    if mask.all():
        return columns
    stay = np.flatnonzero(mask)
    return {
        name: tuple(part[stay] for part in column) if isinstance(column, tuple) else column[stay]
        for name, column in columns.items()
    }
