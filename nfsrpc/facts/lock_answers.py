"""Answers to lock requests: how long they took, and which took long because the server had rebooted.

A lock manager that serves nobody during a reboot, or that is just starting while clients reclaim, is not slow. One that
sends its reply at the moment when another session releases the range has held it back, instead of answering BLOCKED;
so may one that has not answered yet while a session holds the range.
"""

from __future__ import annotations

from collections.abc import Mapping
from functools import cached_property

import numpy as np

from nfsrpc.columns import Mask, isin
from nfsrpc.facts.basic import Span, fact, has_booted
from nfsrpc.facts.stalls import claimed_again, late
from nfsrpc.facts.waiters import same_range
from nfsrpc.protocols.numbers import NlmProc
from nfsrpc.sessions.exchanges import CALL_CUT
from nfsrpc.sessions.grouping import Parts
from nfsrpc.tables import Calls, Locks, Tallies
from nfsrpc.wording import SECOND

HELD_BACK_S = 1.0  # a reply so soon after the release of the range waited for it


class LockAnswers:
    """Lock requests with their answers, and the lock sessions and reboots that explain why some are late."""

    def __init__(
        self, requests: Calls, counted: Tallies, locks: Locks, boots: Mapping[str, tuple[int, ...]], span: Span | None
    ) -> None:
        self.requests, self.counted, self.locks, self.boots = requests, counted, locks, boots
        self.is_timed = span is not None or not len(requests)

    def late(self, late_s: float, reclaim_s: float) -> Calls:
        """Requests answered after `late_s` or later but for those of a reboot; a reclaim may take `reclaim_s`."""
        slow = self.requests.where(late(self.requests, late_s))
        return slow.where(~reclaims(slow, self.locks, self.boots, reclaim_s) & ~over_a_reboot(slow, self.boots))

    @property
    def number(self) -> int:
        """The number of answered requests, with those that are counted and not listed."""
        return int(self.requests.valid("latency_s").sum()) + int(self.counted["exchanges"].sum())

    @property
    def slowest_s(self) -> float | None:
        """The longest latency; None where no answered request is listed."""
        latencies = self.requests["latency_s"][self.requests.valid("latency_s")]
        if not len(latencies):
            return None
        return max(float(latencies.max()), float(self.counted["latency_max_s"].max(initial=0.0)))

    @cached_property
    def _sessions(self) -> Parts[Locks]:
        return Parts(self.locks, "server")

    def held_back_for(self, rows: Calls) -> Locks.Row | None:
        """The session that released the range at the moment when the slowest of these was granted, if any."""
        if not rows.valid("latency_s").any():
            return None
        row = rows.row(int(np.nanargmax(rows["latency_s"])))
        locks = self._sessions[row.server]
        numbers = np.flatnonzero((locks["exchange"] == row.exchange) & (locks["granted_by"] == "reply"))
        if not len(numbers):
            return None
        number, moment = int(numbers[0]), round(HELD_BACK_S * SECOND)
        held = same_range(locks, number) & locks.valid("released") & (locks["exclusive"] | locks["exclusive"][number])
        held &= locks["granted"] < row.reply_time
        held &= np.abs(locks["released"] - row.reply_time) <= moment
        held[number] = False
        return next(iter(locks.where(held).rows()), None)

    def holder(self, rows: Calls) -> Locks.Row | None:
        """The session that holds the range for which all of these requests of one server wait unanswered, if any."""
        if not len(rows) or not (rows["state"] == "unanswered").all():
            return None
        first = rows.row(int(np.argmin(rows["time"])))
        locks = self._sessions[first.server]
        numbers = np.flatnonzero(locks["exchange"] == first.exchange)
        if not len(numbers):
            return None
        number = int(numbers[0])
        held = same_range(locks, number) & (locks["state"] == "held") & ~locks.valid("unlock") & locks.valid("granted")
        held &= (locks["granted"] < first.time) & (locks["exclusive"] | locks["exclusive"][number])
        held &= locks["owner"] != locks.row(number).owner
        for at in np.flatnonzero(held).tolist():
            holder = locks.row(at)
            # Servers release what a client held when its statd tells them that it has rebooted.
            if not has_booted(self.boots, holder.client, holder.granted or 0, first.time):
                behind = locks["exchange"][same_range(locks, at)]
                return holder if isin(rows["exchange"], behind).all() else None
        return None


@fact
def lock_answers(
    requests: Calls,
    counted_requests: Tallies,
    locks: Locks,
    boots: Mapping[str, tuple[int, ...]],
    span: Span | None,
) -> LockAnswers:
    """The answers to lock requests."""
    return LockAnswers(requests, counted_requests, locks, boots, span)


def reclaims(slow: Calls, locks: Locks, boots: Mapping[str, tuple[int, ...]], reclaim_s: float) -> Mask:
    """Requests by which a client reclaims its locks: the server has rebooted, and its lockd is just starting.

    A request whose end is cut off may be such a one, if the server sent a notice of its reboot just before.
    """
    claimed = isin(slow["exchange"], claimed_again(locks))
    cut = (slow["flags"] & CALL_CUT != 0) & isin(slow["proc"], (NlmProc.LOCK, NlmProc.NM_LOCK))
    soon = [
        has_booted(boots, server, time - round(reclaim_s * SECOND), time)
        for server, time in zip(slow["server"].tolist(), slow["time"].tolist(), strict=True)
    ]
    mask: Mask = (claimed | (cut & np.array(soon, dtype=np.bool_))) & ~late(slow, reclaim_s)
    return mask


def over_a_reboot(slow: Calls, boots: Mapping[str, tuple[int, ...]]) -> Mask:
    """Requests during which the server sent a notice of its reboot: they waited for it to come back."""
    times = zip(slow["server"].tolist(), slow["time"].tolist(), slow["reply_time"].tolist(), strict=True)
    during = [has_booted(boots, server, time, reply) for server, time, reply in times]
    return np.array(during, dtype=np.bool_)
