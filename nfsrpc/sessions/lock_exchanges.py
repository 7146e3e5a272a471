"""The NLM exchanges of each lock session: LOCK, its repetitions, CANCEL, UNLOCK and callbacks.

The table of locks names the exchanges that decided something. The others (a client's retry every 30 s, a
GRANTED_RES) belong to the session that their owner had begun last on the same range.
"""

from __future__ import annotations

import numpy as np

from nfsrpc.columns import NULLS, Array
from nfsrpc.decode import Decoded
from nfsrpc.sessions import nlm
from nfsrpc.sessions.locks import EXCHANGES, identities
from nfsrpc.sessions.wanted import RESULTS
from nfsrpc.tables import Calls, Locks

NO_SESSION = -1


class Membership:
    """Exchanges by session (a row of locks), and sessions by exchange."""

    def __init__(self, decoded: Decoded, calls: Calls, locks: Locks) -> None:
        self.exchanges: dict[int, list[int]] = {}
        self.session: dict[int, int] = {}
        self._added: set[tuple[int, int]] = set()
        steps = nlm.steps(decoded, calls)
        if not len(locks) or not len(steps):
            return
        exchange = calls["exchange"][steps.call]
        named = named_exchanges(locks)
        session = by_range(identities(steps)[1], first_steps(named, exchange))
        for number, row in named:
            self.add(row, number)
        for number, row in zip(exchange.tolist(), session.tolist(), strict=True):
            if row != NO_SESSION and number not in self.session:
                self.add(row, number)
        for number, result in results(calls, steps):
            if number in self.session:
                self.add(self.session[number], result)

    def add(self, session: int, exchange: int) -> None:
        self.session.setdefault(exchange, session)
        if (session, exchange) not in self._added:
            self._added.add((session, exchange))
            self.exchanges.setdefault(session, []).append(exchange)


def named_exchanges(locks: Locks) -> list[tuple[int, int]]:
    """Exchanges that the table names, each with its row."""
    found: list[tuple[int, int]] = []
    for column in EXCHANGES:
        rows, exchanges = locks.known(column)
        found += zip(exchanges.tolist(), rows.tolist(), strict=True)
    return found


def first_steps(named: list[tuple[int, int]], exchange: Array) -> dict[int, int]:
    """The first step of each session that is named."""
    step = {number: at for at, number in enumerate(exchange.tolist())}
    first: dict[int, int] = {}
    for number, row in named:
        if number in step:
            first[row] = min(step[number], first.get(row, step[number]))
    return first


def by_range(ranges: Array, first: dict[int, int]) -> Array:
    """The session of each step: the last one that began on its range before it, or with it."""
    rows = np.array(list(first), dtype=np.int64)
    began = np.array(list(first.values()), dtype=np.int64)
    size = len(ranges) + 1
    keys = ranges[began] * size + began
    order = np.argsort(keys)
    steps = ranges * size + np.arange(len(ranges))
    at = np.searchsorted(keys[order], steps, side="right") - 1
    found = order[np.maximum(at, 0)]
    same = (at >= 0) & (ranges[began[found]] == ranges)
    return np.where(same, rows[found], NO_SESSION)


def results(calls: Calls, steps: nlm.Steps) -> list[tuple[int, int]]:
    """Exchanges of _MSG calls, each with that of the _RES call which answers it."""
    with_answer = np.flatnonzero(
        (steps.answer_frame != NULLS["u32?"]) & calls["procedure"].isin(RESULTS.values())[steps.call]
    )
    rows = np.flatnonzero(calls["procedure"].isin(RESULTS))
    frames = zip(calls["capture"][rows].tolist(), calls["call_frame"][rows].tolist(), strict=True)
    by_frame = dict(zip(frames, calls["exchange"][rows].tolist(), strict=True))
    answers = zip(steps.answer_capture[with_answer].tolist(), steps.answer_frame[with_answer].tolist(), strict=True)
    asked = calls["exchange"][steps.call[with_answer]].tolist()
    return [(number, by_frame[frame]) for number, frame in zip(asked, answers, strict=True) if frame in by_frame]
