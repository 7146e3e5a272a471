"""CAP002: the capture itself has lost packets."""

from __future__ import annotations

from tests.records import kept, records_of, sent_again
from tests.rules.stage import Stage, asked, cannot_tell, findings, fires, quiet


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


@quiet("CAP002")
def test_a_gap_that_a_retransmission_fills(stage: Stage) -> bytes:
    """The network lost a segment on the way to the capture, and TCP sent it again."""
    for _ in range(10):
        stage.nfs()
        stage.wait(1)
    capture = sent_again(stage.wire(), {10: [0.3]})
    first = list(records_of(capture))[9]
    return kept(capture, lambda record: record is not first and record != first)


def test_the_gaps_are_counted() -> None:
    stage = Stage()
    for _ in range(10):
        stage.nfs()
        stage.wait(1)
    (found,) = findings(asked("CAP002", stage.wire(lost=range(10, 14))))
    assert found.title == "the capture lacks 324 bytes of 1 stream"
