"""CAP002: the capture itself has lost packets."""

from __future__ import annotations

from tests.rules.stage import Stage, cannot_tell, fires, quiet


@fires("CAP002", severity="warning")
def test_frames_are_missing(stage: Stage) -> bytes:
    for _ in range(10):
        stage.nfs()
        stage.wait(1)
    return stage.wire(lost=range(10, 14))


@quiet("CAP002")
def test_no_frame_is_missing(stage: Stage) -> bytes:
    stage.nfs(times=10)
    return stage.wire()


@cannot_tell("CAP002")
def test_an_empty_capture(stage: Stage) -> bytes:
    return stage.wire()
