"""NET006: the network loses or reorders packets."""

from __future__ import annotations

from tests.records import clock_set, records_of, sent_again, source_port, target_port
from tests.rules.stage import CLIENT, SERVER, STATD, Stage, asked, cannot_tell, findings, fires, quiet, threshold


@fires("NET006", severity="info")
def test_a_lossy_network(stage: Stage) -> bytes:
    for _ in range(100):
        stage.nfs()
        stage.wait(0.1)
    return sent_again(stage.wire(), {frame: [0.25] for frame in range(4, 300, 3)})


@quiet("NET006")
def test_a_good_network(stage: Stage) -> bytes:
    stage.nfs(times=50)
    return stage.wire()


def messages(capture: bytes) -> list[int]:
    """The frames of NFS calls and their replies."""
    return [
        number
        for number, record in enumerate(records_of(capture), 1)
        if 2049 in (source_port(record), target_port(record)) and len(record) > 16 + 66 + 20
    ]


def test_losses_are_located_by_captures_of_both_ends() -> None:
    """Of the client's segments each sixth, of the server's each fifth is lost and comes later."""
    stage = Stage()
    for host in (stage.client, stage.server):
        stage.statd_asked(host, 1, port=STATD)
    for _ in range(60):
        stage.nfs()
        stage.wait(1)
    client, server = (stage.wire(host, on="any") for host in (stage.client, stage.server))
    client = sent_again(client, {frame: [0.3] for frame in messages(client)[:120:12]})
    server = sent_again(server, {frame: [0.3] for frame in messages(server)[1:121:10]})
    for captures in ([client, server], [server, client]):
        (found,) = findings(asked("NET006", captures))
        assert found.explanation.endswith(
            f" Of {CLIENT}'s segments 10 were lost on the way to {SERVER}, and of the server's 12."
        )
    (found,) = findings(asked("NET006", client))
    assert "lost on the way" not in found.explanation


def test_what_both_ends_show_again_was_not_lost_between_them() -> None:
    stage = Stage()
    for host in (stage.client, stage.server):
        stage.statd_asked(host, 1, port=STATD)
    stage.nfs(times=60)
    captures = [stage.wire(host, on="any") for host in (stage.client, stage.server)]
    again = [sent_again(capture, {frame: [0.3] for frame in messages(capture)[:120:6]}) for capture in captures]
    (found,) = findings(asked("NET006", again))
    assert "Nothing was lost between the two ends" in found.explanation


@cannot_tell("NET006")
def test_nothing_over_tcp(stage: Stage) -> bytes:
    stage.client.getport(stage.server, "nlm4", transport="udp")
    return stage.wire()


def lossy(stage: Stage, calls: int, again: int) -> bytes:
    for _ in range(calls):
        stage.nfs()
        stage.wait(0.1)
    capture = stage.wire()
    return sent_again(capture, {frame: [0.25] for frame in messages(capture)[:again]})


@threshold("NET006", "share", fires=0.011, quiet=0.009)
def test_such_a_share_of_segments(stage: Stage, share: float) -> bytes:
    frames = 3 * 400 + 3  # each call with its reply and an ACK, and the handshake
    return lossy(stage, 400, round(share * frames / (1 - share)))


@threshold("NET006", "segments", fires=10, quiet=9)
def test_so_many_segments(stage: Stage, segments: int) -> bytes:
    return lossy(stage, 20, segments)


@quiet("NET006")
def test_segments_lost_over_loopback(stage: Stage) -> bytes:
    stage.nfs()
    for _ in range(20):
        stage.server.call(stage.server, "nfs3", "GETATTR", object=b"x" * 8).reply(status="OK", type="REG")
        stage.wait(1)
    capture = stage.wire(stage.server, on="any")
    return sent_again(capture, {frame: [0.25] for frame in messages(capture)[10:30]})


def test_losses_are_located_though_a_clock_is_wrong_by_an_hour() -> None:
    stage = Stage()
    for host in (stage.client, stage.server):
        stage.statd_asked(host, 1, port=STATD)
    for _ in range(60):
        stage.nfs()
        stage.wait(1)
    client, server = (stage.wire(host, on="any") for host in (stage.client, stage.server))
    client = sent_again(client, {frame: [0.3] for frame in messages(client)[:120:12]})
    for captures in ([client, clock_set(server, 1, 3600)], [clock_set(client, 1, 3600), server]):
        (found,) = findings(asked("NET006", captures))
        assert found.explanation.endswith(
            f" Of {CLIENT}'s segments 10 were lost on the way to {SERVER}, and of the server's 0."
        )
