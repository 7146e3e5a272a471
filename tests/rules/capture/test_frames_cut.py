"""CAP003: frames are cut by the snap length."""

from __future__ import annotations

from tests.rules.stage import Stage, asked, cannot_tell, findings, fires, quiet


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


def test_lock_messages_that_are_cut_are_counted() -> None:
    stage = Stage()
    stage.client.lock(stage.server).granted()
    (found,) = findings(asked("CAP003", stage.wire(snaplen=96)))
    assert found.explanation.startswith("Of 1 lock request the arguments are cut, of 0 answers the result.")
    stage = Stage()
    stage.nfs()
    (found,) = findings(asked("CAP003", stage.wire(snaplen=96)))
    assert found.explanation.startswith("No lock message that was recognised is cut.")
