"""CBK003: a server that never calls its waiting clients back."""

from __future__ import annotations

from tests.rules.callbacks.handover import polled, waits
from tests.rules.stage import Stage, threshold


@threshold("CBK003", "never_s", fires=10.5, quiet=9.5)
def test_the_lock_is_free_for_so_long(stage: Stage, free_s: float) -> bytes:
    waits(stage)
    polled(stage, free_s)
    return stage.wire(stage.server)
