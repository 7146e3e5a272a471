"""A call without reply is certain proof where its client is seen to wait; else the capture may have lost the reply."""

from __future__ import annotations

import pytest

from nfsrpc.findings.finding import Certainty, Finding
from tests.rules.stage import Captures, Stage, diagnosed
from tests.scenario import SECOND, Transport
from tests.wire import ACK

WHY = "the capture may have lost it"


def found(rule: str, captures: Captures) -> Finding | None:
    return next((finding for finding in diagnosed(captures).findings if finding.rule == rule), None)


def certainty(rule: str, captures: Captures) -> Certainty:
    finding = found(rule, captures)
    assert finding, f"{rule} does not fire"
    assert (WHY in finding.explanation) == (finding.certainty == "likely")
    return finding.certainty


@pytest.mark.parametrize(("later", "expected"), [(9.99, "likely"), (10.0, "certain")])
def test_a_frame_of_its_connection_so_long_after_a_call_shows_that_it_had_no_reply(later: float, expected: str) -> None:
    stage = Stage()
    stage.nfs()
    stage.client.lock(stage.server, "/srv/a").granted()
    lock = stage.client.lock(stage.server, "/srv/b")
    lock.flow.note(lock.time + round(later * SECOND), True, ACK)
    stage.later(30)
    assert certainty("LCK001", stage.wire()) == expected


@pytest.mark.parametrize(("resend", "expected"), [((), "likely"), ((5,), "certain")])
@pytest.mark.parametrize("transport", ["tcp", "udp"])
def test_a_client_that_retransmits_had_no_reply(transport: Transport, resend: tuple[float, ...], expected: str) -> None:
    stage = Stage()
    stage.nfs()
    stage.client.lock(stage.server, "/srv/a", transport=transport).granted()
    stage.client.lock(stage.server, "/srv/b", transport=transport).unanswered(resend=resend)
    stage.later(30)
    assert certainty("LCK001", stage.wire()) == expected


def test_a_connection_that_was_given_up_had_no_reply() -> None:
    stage = Stage()
    stage.nfs()
    lock = stage.client.lock(stage.server)
    stage.wait(1)
    lock.flow.reset()
    stage.later(30)
    assert certainty("LCK001", stage.wire()) == "certain"


@pytest.mark.parametrize(
    ("asked", "expected"), [((100021,), "likely"), ((100021, 100021), "certain"), ((100003, 100021), "likely")]
)
def test_a_kernel_repeats_its_question_as_a_new_call(asked: tuple[int, ...], expected: str) -> None:
    """Who asks for another program goes on, perhaps because it had its answer."""
    stage = Stage()
    stage.nfs()
    for prog in asked:
        stage.client.call(stage.server, "portmap2", "GETPORT", prog=prog, vers=4, prot=6)
        stage.wait(0.5)
    stage.later(30)
    assert certainty("REG005", stage.wire()) == expected


def test_one_call_that_waited_in_sight_is_enough() -> None:
    stage = Stage()
    stage.nfs()
    stage.client.lock(stage.server, "/srv/a")
    stage.other.lock(stage.server, "/srv/b").unanswered(resend=[10.2])
    stage.later(30)
    assert certainty("LCK001", stage.wire()) == "certain"


@pytest.mark.parametrize(("lost", "fires"), [((), True), ((2,), False)])
def test_a_reply_that_is_lost_where_the_capture_begins_in_mid_stream(lost: tuple[int, ...], fires: bool) -> None:
    """The second frame is the reply to the first call; a frame that follows acknowledges what was not captured."""
    stage = Stage()
    stage.nfs()
    begin = (stage.scenario.now - stage.scenario.packets()[0].time) / SECOND
    first = stage.client.call(stage.server, "nfs3", "GETATTR", object=b"x" * 8)
    if lost:
        first.reply(status="OK", type="REG")
    for _ in range(3):
        stage.later(10)
    captured = stage.wire(since=begin + 1e-6, lost=lost)
    assert (found("RPC005", captured) is not None) == fires
