"""A server without statd, whose lockd looks for it."""

from __future__ import annotations

from tests.rules.stage import Stage

STALL = [10.2, 31.7, 60.5]  # when Linux sends a LOCK again


def without_statd(stage: Stage) -> Stage:
    """A server without statd: its lockd asks 20 times, then grants."""
    stage.nfs()
    lock = stage.client.lock(stage.server)
    for _ in range(20):
        stage.server.getport(stage.server, "nsm1", port=0)
        stage.later(3.07)
    lock.granted(after=61.6, resent=STALL, copies=4)
    stage.nfs()
    return stage
