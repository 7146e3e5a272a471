"""Holders of locks and waiters for them at a moment, from the table of lock sessions.

A session waits from its first request to its end (granted, denied, cancelled) and holds from its grant to its release;
what did neither within the capture goes on. What is left of a range after a part was unlocked holds from then on, and
is as old as the grant. The server grants at some moment between a request and its answer: here it is the answer that
counts.
"""

from __future__ import annotations

import numpy as np

from nfsrpc.columns import NAT, Array, Coded, Column, Mask, Table, TableSpec, column_of
from nfsrpc.sessions.conflicts import NEVER, Hold
from nfsrpc.sessions.grouping import group
from nfsrpc.sessions.lock_states import HOLDING, PENDING
from nfsrpc.sessions.ranges import last_bytes
from nfsrpc.tables import LOCK_STATES, LOCKS, Locks

MAX_LOOKED_AT = 1024  # holds of one file, for each who waits
WHO_AND_WHAT = ("server", "client", "owner", "file", "l_offset", "l_len", "exclusive")
HOLDERS = TableSpec(
    "holders",
    "One row per lock session that holds or waits at one moment, by file, the holders first.",
    (
        Column("session", "u32", "", "row of `locks`"),
        Column("state", "text", "", "holds or waits"),
        *(column for column in LOCKS.columns if column.name in WHO_AND_WHAT),
        Column("since", "time", "ns", "granted, or first asked for; null: before the capture"),
        Column("age_s", "f64", "s", "from then to the moment"),
        Column("behind", "texts", "", "of who waits: who holds in conflict at that moment, as 'owner (client)'"),
    ),
)


def holders(locks: Locks, at: int) -> Table:
    """The table of holders and waiters at a time (`at`, ns since the epoch)."""
    granted, released = holds(locks)
    begins, ends = waits(locks)
    holding = (granted <= at) & (at < released)
    waiting = (begins != NAT) & (begins <= at) & (at < ends) & ~holding
    since = np.where(holding, locks["granted"], begins)
    sessions = np.flatnonzero(holding | waiting)
    sessions = sessions[np.lexsort((since[sessions], waiting[sessions], locks["file"].codes[sessions]))]
    some = locks.take(sessions)
    behind = who_holds(some, holding[sessions], since[sessions])
    known = since[sessions] != NAT
    return Table(
        HOLDERS,
        len(sessions),
        {
            **{name: some.data(name) for name in WHO_AND_WHAT},
            "session": sessions.astype(np.uint32),
            "state": Coded((~holding[sessions]).astype(np.int32), ("holds", "waits")),
            "since": since[sessions],
            "age_s": np.where(known, np.where(known, at - since[sessions], 0) / 1e9, np.nan),
            "behind": column_of("texts", behind),
        },
    )


def holds(locks: Locks) -> tuple[Array, Array]:
    """The begin and end of each hold: NAT for before the capture, NEVER for beyond it, or not held at all."""
    granted, released = locks["granted"], locks["released"]
    before = (granted == NAT) & (locks["requested"] == NAT) & (locks["unlock"] != NAT)
    since = np.where(before, NAT, np.where(granted == NAT, NEVER, np.maximum(granted, left_at(locks))))
    ended = (granted != NAT) & (released == NAT) & ~among(locks, HOLDING)
    until = np.where(ended, after(granted, locks["hold_s"], ended), np.where(released == NAT, NEVER, released))
    return since, until


def left_at(locks: Locks) -> Array:
    """The start of each session that holds what is left of another's range; NAT for others."""
    left = locks.valid("granted") & ~locks.valid("requested") & ~locks.valid("callback")
    return np.where(left, locks["time"], NAT)


def waits(locks: Locks) -> tuple[Array, Array]:
    """The begin and end of each wait: NAT where its request was not captured, NEVER for beyond the capture."""
    asked = locks["requested"]
    return asked, np.where(among(locks, PENDING), NEVER, after(asked, locks["wait_s"], asked != NAT))


def among(locks: Locks, states: tuple[int, ...]) -> Mask:
    mask: Mask = locks["state"].isin(LOCK_STATES[state] for state in states)
    return mask


def after(time: Array, duration_s: Array, known: Mask) -> Array:
    return np.where(known, time + np.rint(np.where(known, duration_s, 0.0) * 1e9).astype(np.int64), NAT)


def who_holds(locks: Locks, holding: Mask, since: Array) -> list[tuple[str, ...]]:
    """For each of these sessions that waits, those of them that hold in its way."""
    file, _ = group(locks["server"].codes + 1, locks["fh"].codes + 1)
    owner, _ = group(locks["client"].codes + 1, locks["owner"].codes + 1, locks["oh"].codes + 1)
    exclusive = locks["exclusive"] | ~locks.valid("exclusive")
    ends = last_bytes(locks["l_offset"], locks["l_len"])
    columns = (file, owner, locks["l_offset"], ends, exclusive, since, since)
    wishes = [Hold(*row) for row in zip(*(column.tolist() for column in columns), strict=True)]
    names = [f"{owner} ({client})" for owner, client in zip(*map(locks.values, ("owner", "client")), strict=True)]
    held: dict[int, list[int]] = {}
    for row in np.flatnonzero(holding).tolist():
        held.setdefault(wishes[row].file, []).append(row)
    return [
        () if holds else tuple(names[row] for row in in_the_way(wish, wishes, held.get(wish.file, [])))
        for wish, holds in zip(wishes, holding.tolist(), strict=True)
    ]


def in_the_way(wish: Hold, holds: list[Hold], rows: list[int]) -> list[int]:
    """Of these holds of its file those in conflict; of a file with very many the first ones are looked at."""
    return [row for row in rows[:MAX_LOOKED_AT] if wish.conflicts(holds[row])]
