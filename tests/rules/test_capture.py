"""What the capture itself lacks: CAP001 to CAP006."""

from __future__ import annotations

from tests.rules.stage import CLIENT, SERVER, Stage, cannot_tell, diagnosed, fires, quiet, starttls


@fires("CAP001", severity="warning", clients=(CLIENT,))
def test_only_what_the_server_sent(stage: Stage) -> bytes:
    stage.client.lock(stage.server).granted()
    stage.later(10)
    return stage.wire(sent_by=stage.server)


@fires("CAP001", severity="warning")
def test_only_what_the_client_sent(stage: Stage) -> bytes:
    stage.client.lock(stage.server).granted()
    stage.later(10)
    return stage.wire(sent_by=stage.client)


@quiet("CAP001")
def test_both_directions(stage: Stage) -> bytes:
    stage.nfs()
    return stage.wire()


@cannot_tell("CAP001")
def test_no_rpc(stage: Stage) -> bytes:
    stage.client.syn(stage.server, 22)
    return stage.wire()


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


@fires("CAP005", severity="info", host=SERVER)
def test_the_proof_is_on_the_servers_loopback(stage: Stage) -> bytes:
    stage.client.lock(stage.server).denied("DENIED_NOLOCKS")
    return stage.wire(stage.client)


@quiet("CAP005")
def test_the_proof_is_in_the_capture(stage: Stage) -> bytes:
    stage.nfs(stage.other)
    lock = stage.client.lock(stage.server)
    stage.server.getport(stage.server, "nsm1")
    stage.server.syn(stage.server, 662, refused=True)
    lock.denied("DENIED_NOLOCKS")
    return stage.any(stage.server)


@fires("CAP006", severity="info")
def test_tls(stage: Stage) -> bytes:
    starttls(stage)
    return stage.wire()


@quiet("CAP006")
def test_plain_text(stage: Stage) -> bytes:
    stage.nfs()
    return stage.wire()


@cannot_tell("CAP006")
def test_nothing_to_read(stage: Stage) -> bytes:
    return stage.wire()


def test_one_direction_is_no_verdict() -> None:
    stage = Stage()
    stage.client.lock(stage.server).granted()
    stage.later(30)
    assert diagnosed(stage.wire(sent_by=stage.client)).verdict.state == "cannot-tell"
