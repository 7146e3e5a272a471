"""LCK001: Lock requests are never answered."""

from __future__ import annotations

import pytest

from nfsrpc.findings.finding import Diagnosis
from nfsrpc.sessions.nlm import REPEATED, REPEATED_NS
from tests.records import clock_set, kept, sent_again, source_port
from tests.rules.locks.scenes import ends, frames_of, over_udp
from tests.rules.stage import (
    CLIENT,
    LOCKD,
    SERVER,
    Stage,
    asked,
    cannot_tell,
    diagnosed,
    findings,
    fires,
    inputs,
    quiet,
    rules_of,
)
from tests.scenario import LockRequest


@fires("LCK001", host=SERVER, clients=(CLIENT,), count=1)
def test_a_lock_without_answer(stage: Stage) -> bytes:
    stage.nfs()
    stage.client.lock(stage.server).unanswered(resend=[10.2, 31.7])
    stage.later(10)
    return stage.wire()


@fires("LCK001", host=SERVER, count=1)
def test_a_lock_that_came_again_on_a_new_connection(stage: Stage) -> bytes:
    stage.nfs()
    lock = stage.client.lock(stage.server)
    stage.wait(60)
    stage.client.reconnect(stage.server, stage.server.ports[100021])
    lock.resend()
    stage.later(20)
    return stage.wire()


@fires("LCK001", host=SERVER)
def test_a_lock_msg_without_result(stage: Stage) -> bytes:
    stage.client.lock(stage.server, asynchronous=True).reply()
    stage.later(20)
    return stage.wire()


@quiet("LCK001")
def test_a_lock_that_is_answered(stage: Stage) -> bytes:
    stage.client.lock(stage.server).granted()
    stage.later(20)
    return stage.wire()


@cannot_tell("LCK001")
def test_the_capture_ends_too_soon(stage: Stage) -> bytes:
    stage.nfs()
    stage.client.lock(stage.server)
    stage.later(5)
    return stage.wire()


@cannot_tell("LCK001")
def test_only_what_the_client_sent_was_captured(stage: Stage) -> bytes:
    stage.nfs()
    stage.client.lock(stage.server).granted()
    stage.later(30)
    return stage.wire(sent_by=stage.client)


def answers_kept_away(stage: Stage, *, lost: bool) -> bytes:
    """A filter keeps what lockd's port sends from the capture; the network loses a packet now and then."""
    frames = []
    for number in range(12):
        if number % 4 == 0:
            stage.wait(1)
            frames.append(stage.frames() + 1)
        stage.client.lock(stage.server, f"/srv/{number}").granted()
    stage.later(60)
    capture = stage.wire(lost=range(1, 4)) if lost else stage.wire()
    frames = [frame - 3 * lost for frame in frames[1:]]
    capture = sent_again(capture, {frame: [0.3] for frame in frames})
    return kept(capture, lambda record: source_port(record) != LOCKD)


@cannot_tell("LCK001")
def test_a_filter_keeps_answers_from_the_capture(stage: Stage) -> bytes:
    return answers_kept_away(stage, lost=False)


@cannot_tell("LCK001")
def test_a_filter_keeps_answers_of_a_connection_in_mid_stream(stage: Stage) -> bytes:
    return answers_kept_away(stage, lost=True)


@fires("LCK001")
def test_a_connection_in_mid_stream_on_which_nothing_is_answered(stage: Stage) -> bytes:
    stage.client.lock(stage.server, acked=False)
    lock = stage.frames() - 3
    stage.later(60)
    return sent_again(stage.wire(lost=range(1, 4)), {lock: [0.2, 0.6, 1.4, 3.0, 6.2]})


@cannot_tell("LCK001")
def test_a_connection_of_which_not_even_the_servers_greeting_was_captured(stage: Stage) -> bytes:
    stage.client.lock(stage.server, acked=False)
    stage.later(60)
    capture = sent_again(stage.wire(), {4: [0.2, 0.6, 1.4, 3.0, 6.2, 12.6, 25]})
    return kept(capture, lambda record: source_port(record) != LOCKD)


@cannot_tell("LCK001")
def test_no_locks(stage: Stage) -> bytes:
    stage.nfs()
    return stage.wire()


def test_a_request_that_was_not_sent_again_had_its_answer() -> None:
    stage = Stage()
    stage.client.lock(stage.server, "/srv/first")
    stage.wait(1)
    stage.client.lock(stage.server, "/srv/second").granted()
    stage.later(60)
    assert findings(asked("LCK001", stage.wire())) == []


def test_a_lock_without_answer_though_the_server_answered() -> None:
    stage = Stage()
    lock = over_udp(stage).granted(after=0.01)
    for after in (10.2, 31.7):
        lock.resend(after=after).reply(stat="GRANTED", after=after + 0.01)
    stage.later(20)
    replies = frames_of(stage, stage.any(stage.client), "LOCK", reply=True)
    assert len(replies) == 3
    for captures in (both := ends(stage, unseen_by_client=replies)), both[::-1]:
        (found,) = findings(asked("LCK001", captures))
        assert f"that answer was lost on the way to {CLIENT}." in found.explanation
    assert findings(asked("LCK001", ends(stage))) == []


def test_a_client_whose_capture_ends_before_the_answer_lacks_none() -> None:
    stage = Stage()
    over_udp(stage).granted(after=61.6, resent=[10.2, 31.7])
    stage.later(20)
    short = stage.any(stage.client, until=45)
    for captures in (both := [short, stage.any(stage.server)]), both[::-1]:
        assert findings(asked("LCK001", captures)) == []
        assert len(findings(asked("LCK002", captures))) == 1


def test_a_lock_that_was_lost_on_the_way_is_located() -> None:
    stage = Stage()
    stage.statd_asked(stage.server, 1, port=662)
    stage.nfs()
    stage.client.lock(stage.server).unanswered(resend=[10.2, 31.7])
    stage.later(10)
    client, server = stage.any(stage.client), stage.any(stage.server)
    (found,) = findings(asked("LCK001", client))
    assert "reached the server" not in found.explanation
    (found,) = findings(asked("LCK001", [client, server]))
    assert f"It reached the server: the capture taken on {SERVER} shows it." in found.explanation
    seen = inputs(server)
    (lock,) = seen["nlm"].rows()
    locks = [lock.call_frame, *seen["copies"]["frame"].tolist()]
    assert len(locks) == 3
    without = stage.any(stage.server, lost=locks)
    for at_server in (without, clock_set(without, 1, 3600), clock_set(without, 1, -3600)):
        (found,) = findings(asked("LCK001", [client, at_server]))
        assert f"left the client {CLIENT} and never reached the server {SERVER}" in found.explanation


def repeats(stage: Stage, times: int, *, cookie: bytes | None = None, unlocks: bool = False, gap: float = 10) -> bytes:
    """A LOCK_MSG that is repeated with one cookie, and granted by LOCK_RES each time."""
    first = stage.client.lock(stage.server, asynchronous=True)
    args = first.args | ({} if cookie is None else {"cookie": cookie})
    for number in range(times):
        call = first if number == 0 and cookie is None else stage.client.call(stage.server, "nlm4", "LOCK_MSG", **args)
        LockRequest.of(call).granted()
        stage.later(gap)
        if unlocks:
            stage.client.call(stage.server, "nlm4", "UNLOCK", alock=args["alock"], cookie=args["cookie"]).reply(
                stat="GRANTED"
            )
    return stage.wire()


@fires("LCK001", host=SERVER, clients=(CLIENT,), count=1)
def test_results_that_the_client_does_not_take(stage: Stage) -> bytes:
    return repeats(stage, REPEATED)


@quiet("LCK001")
def test_a_lock_msg_that_crossed_its_result(stage: Stage) -> bytes:
    return repeats(stage, REPEATED - 1)


@quiet("LCK001")
def test_a_client_that_does_not_count_its_cookies(stage: Stage) -> bytes:
    return repeats(stage, 5, unlocks=True)


@quiet("LCK001")
def test_a_client_without_cookies(stage: Stage) -> bytes:
    stage.client.lock(stage.server, "/srv/other").granted()
    return repeats(stage, 5, cookie=b"")


def crossed(stage: Stage, after: float) -> bytes:
    """A LOCK that comes once more, so long after its reply, and has no second one."""
    stage.nfs()
    stage.client.lock(stage.server).granted(after=10.2).resend(after=10.2 + after)
    stage.later(20)
    return stage.wire()


@quiet("LCK001")
def test_a_lock_that_crossed_its_reply(stage: Stage) -> bytes:
    return crossed(stage, 0.0001)


@pytest.mark.parametrize(("after", "retransmits"), [(0.005, [1]), (0.006, [0, 0])])
def test_a_call_just_after_its_reply_is_no_new_one(after: float, retransmits: list[int]) -> None:
    story = crossed(Stage(), after)
    calls = inputs(story)["calls"]
    assert calls["retransmits"][calls["procedure"] == "LOCK"].tolist() == retransmits
    assert not findings(asked("LCK001", story))


@pytest.mark.parametrize(("gap", "is_found"), [(REPEATED_NS / 1e9 - 1, True), (REPEATED_NS / 1e9 + 1, False)])
def test_a_lock_msg_that_comes_much_later_is_another(gap: float, is_found: bool) -> None:
    assert bool(findings(asked("LCK001", repeats(Stage(), 4, gap=gap)))) == is_found


def repeated_at(*moments_us: int) -> bytes:
    """A LOCK_MSG that is called at these moments, with one cookie, and granted each time."""
    stage = Stage()
    stage.client.lock(stage.server, "/srv/other", asynchronous=True).granted()  # connected
    args = stage.client.lock(stage.server, asynchronous=True).args
    start = stage.scenario.now + 1_000_000_000
    for moment in moments_us:
        stage.scenario.now = start + moment * 1_000
        LockRequest.of(stage.client.call(stage.server, "nlm4", "LOCK_MSG", **args | {"cookie": b"again"})).granted()
    stage.later(30)
    return stage.wire()


SOON, LATER = 120_000_000, 120_000_001  # µs


@pytest.mark.parametrize(
    ("moments", "is_found"),
    [
        ((0, SOON), False),
        ((0, SOON, 2 * SOON), True),
        ((0, SOON, SOON + LATER), False),
        ((0, SOON, SOON + LATER, 2 * SOON + LATER), False),
        ((0, SOON, SOON + LATER, 2 * SOON + LATER, 3 * SOON + LATER), True),
    ],
)
def test_three_in_a_row_are_one_that_is_repeated(moments: tuple[int, ...], is_found: bool) -> None:
    assert bool(findings(asked("LCK001", repeated_at(*moments)))) == is_found


def test_where_the_results_came_to_is_said() -> None:
    (found,) = findings(asked("LCK001", repeats(Stage(), 4)))
    assert f"4 LOCK_RES of {SERVER} came to port {LOCKD} of {CLIENT}, which repeats LOCK_MSG" in found.explanation
    diagnosis = diagnosed(repeats(Stage(), 4))
    assert (diagnosis.verdict.rule, rules_of(diagnosis.findings[0].explains)) == ("NET005", {"LCK001"})


def test_results_of_other_locks_are_not_named() -> None:
    stage = Stage()
    stage.client.lock(stage.server, "/srv/a", asynchronous=True).granted()
    for _ in range(3):
        stage.client.lock(stage.server, "/srv/b", svid=2, asynchronous=True).reply()
        stage.later(10)
    stage.client.lock(stage.server, "/srv/c", svid=3, asynchronous=True).granted()
    stage.later(10)
    (found,) = findings(asked("LCK001", stage.wire()))
    assert "LOCK_RES" not in found.explanation
    assert found.evidence[1].note.startswith("its void reply, no LOCK_RES")


def test_a_wait_without_result_lasts_to_the_end_of_the_capture() -> None:
    (found,) = findings(asked("LCK001", repeats(Stage(), 4)))
    assert found.wait_s == pytest.approx(40, abs=0.1)
    assert "had no reply for 40.0 s." in found.explanation


@quiet("LCK001")
def test_a_lock_that_a_callback_grants(stage: Stage) -> bytes:
    stage.client.lock(stage.server, "/srv/other").granted()
    lock = stage.client.lock(stage.server).unanswered(resend=[10.2])
    stage.wait(5)
    lock.called_back()
    stage.later(20)
    return stage.wire()


@quiet("LCK001")
def test_a_lock_that_is_taken_again_with_another_cookie(stage: Stage) -> bytes:
    for _ in range(5):
        stage.client.lock(stage.server, asynchronous=True).granted()
        stage.later(10)
    stage.client.lock(stage.server, "/srv/other").granted()
    return stage.wire()


def lost_result(stage: Stage) -> LockRequest:
    """A LOCK_MSG over UDP whose LOCK_RES the capture lacks; it is not repeated."""
    return LockRequest.of(stage.client.lock(stage.server, asynchronous=True, transport="udp").reply())


@cannot_tell("LCK001")
def test_a_result_that_only_the_capture_lost_before_an_unlock(stage: Stage) -> bytes:
    lock = lost_result(stage)
    stage.later(5)
    lock.unlock().granted()
    stage.later(20)
    return stage.wire()


@cannot_tell("LCK001")
def test_a_result_that_only_the_capture_lost_before_other_locks(stage: Stage) -> bytes:
    lost_result(stage)
    stage.later(5)
    stage.client.lock(stage.server, "/srv/other", asynchronous=True, transport="udp").granted()
    stage.later(20)
    return stage.wire()


def loses_packets(stage: Stage) -> bytes:
    """Of a LOOKUP's reply over TCP the capture lacks the segment, and shows its acknowledgement."""
    frame = stage.frames() + 1
    stage.client.lookup(stage.server, "/srv", "a")
    stage.later(20)
    return stage.wire(lost=[frame + 1])


@cannot_tell("LCK001")
def test_a_capture_that_lost_other_packets_may_have_lost_a_result(stage: Stage) -> bytes:
    stage.nfs()
    lost_result(stage)
    return loses_packets(stage)


@fires("LCK001", host=SERVER)
def test_a_lock_msg_that_is_repeated_has_no_result_whatever_was_lost(stage: Stage) -> bytes:
    stage.nfs()
    lock = lost_result(stage)
    stage.wait(10)
    stage.client.call(stage.server, "nlm4", "LOCK_MSG", transport="udp", **lock.args).reply()
    return loses_packets(stage)


def waits_for_a_held_range(released: bool = False, elsewhere: bool = False) -> Diagnosis:
    """A lock whose request has no answer, and is repeated, while another client holds its range, or has unlocked it."""
    stage = Stage()
    held = stage.client.lock(stage.server, "/srv/a").granted()
    if released:
        held.unlock().granted()
    stage.wait(5)
    stage.other.lock(stage.server, "/srv/a").unanswered(resend=[10, 30, 60])
    if elsewhere:
        stage.other.lock(stage.server, "/srv/b").unanswered(resend=[10, 30, 60])
    for _ in range(5):
        stage.later(1)
    return diagnosed(stage.wire())


def test_a_lock_that_waits_while_its_range_is_held_is_no_search_for_statd() -> None:
    verdict = waits_for_a_held_range().verdict
    assert (verdict.rule, verdict.causes[0].certainty) == ("LCK001", "likely")
    assert "never answered, while 1@web-1 (10.0.0.1) holds the range" in verdict.summary


@pytest.mark.parametrize("other", [{"released": True}, {"elsewhere": True}])
def test_a_range_that_is_free_or_another_that_waits_as_well_is_evidence_of_its_own(other: dict[str, bool]) -> None:
    verdict = waits_for_a_held_range(**other).verdict
    assert (verdict.rule, verdict.causes[0].certainty) == ("REG001", "likely")
    assert "holds the range" not in verdict.summary


@pytest.mark.parametrize("rebooted", [False, True])
def test_a_client_that_announced_its_reboot_holds_nothing_any_more(rebooted: bool) -> None:
    stage = Stage()
    stage.nfs()
    stage.other.lock(stage.server, "/srv/a").granted()
    stage.later(5)
    if rebooted:
        stage.other.notify(stage.server, 3).reply()
    stage.later(2)
    stage.client.lock(stage.server, "/srv/a").unanswered(resend=[10, 20, 30])
    stage.later(40)
    found = {finding.rule: finding for finding in diagnosed(stage.wire()).findings}
    assert ("holds the range" in found["LCK001"].title) != rebooted
    assert ("REG001" in found) == rebooted
