"""A lock that is handed from one client to another, which waits for it."""

from __future__ import annotations

from tests.rules.stage import Stage
from tests.scenario import LockRequest


def waits(stage: Stage) -> tuple[LockRequest, LockRequest]:
    """The client holds, the other waits; then the holder unlocks."""
    holder = stage.client.lock(stage.server)
    holder.granted()
    stage.wait(2)
    waiter = stage.other.lock(stage.server)
    waiter.blocked()
    stage.wait(10)
    holder.unlock().granted()
    return holder, waiter


def polled(stage: Stage, after: float = 18) -> None:
    """The waiter gets the lock because it asks again."""
    stage.wait(after)
    stage.other.lock(stage.server).granted()
    stage.later(1, stage.other)
