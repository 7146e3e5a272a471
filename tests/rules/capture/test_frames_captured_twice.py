"""CAP004: the same frames were captured several times."""

from __future__ import annotations

from tests.rules.stage import Stage, cannot_tell, fires, quiet


@fires("CAP004", severity="info")
def test_every_frame_twice(stage: Stage) -> bytes:
    stage.client.lock(stage.server).granted()
    return stage.wire(twice=True)


@quiet("CAP004")
def test_every_frame_once(stage: Stage) -> bytes:
    stage.client.lock(stage.server).granted()
    return stage.wire()


@cannot_tell("CAP004")
def test_no_frames(stage: Stage) -> bytes:
    return stage.wire()
