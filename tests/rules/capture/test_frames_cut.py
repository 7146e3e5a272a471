"""CAP003: frames are cut by the snap length."""

from __future__ import annotations

from tests.rules.stage import Stage, cannot_tell, fires, quiet


@fires("CAP003", severity="info")
def test_a_short_snap_length(stage: Stage) -> bytes:
    stage.client.lock(stage.server).granted()
    return stage.wire(snaplen=96)


@quiet("CAP003")
def test_whole_frames(stage: Stage) -> bytes:
    stage.client.lock(stage.server).granted()
    return stage.wire()


@cannot_tell("CAP003")
def test_no_frames_to_be_cut(stage: Stage) -> bytes:
    return stage.wire()
