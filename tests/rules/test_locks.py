"""What becomes of lock requests: LCK001 to LCK014."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import pytest

from tests.records import clock_set, kept, sent_again, source_port
from tests.rules.stage import (
    CLIENT,
    LOCKD,
    OTHER,
    PATH,
    SERVER,
    Stage,
    asked,
    cannot_tell,
    diagnosed,
    findings,
    fires,
    inputs,
    quiet,
)
from tests.scenario import Host, LockRequest, handle


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


@fires("LCK002", host=SERVER, severity="warning", clients=(CLIENT,))
def test_a_lock_after_ten_seconds(stage: Stage) -> bytes:
    stage.client.lock(stage.server).granted(after=10.2)
    return stage.wire()


@fires("LCK002", host=SERVER, severity="error", count=2)
def test_requests_after_more_than_a_minute(stage: Stage) -> bytes:
    lock = stage.client.lock(stage.server)
    unlock = stage.other.lock(stage.server, "/srv/other").granted(after=0.01).unlock()
    lock.granted(after=61.6, resent=[10.2, 31.7, 60.5])
    unlock.answered("GRANTED", after=61.7)
    return stage.wire()


@quiet("LCK002")
def test_locks_in_time(stage: Stage) -> bytes:
    stage.client.lock(stage.server).granted(after=4.9)
    return stage.wire()


@quiet("LCK002")
def test_a_reclaim_just_after_the_servers_notice(stage: Stage) -> bytes:
    stage.client.lock(stage.server).granted()
    stage.wait(60)
    stage.boots(stage.server, stage.client)
    stage.client.lock(stage.server, reclaim=True).granted(after=5.4)
    return stage.wire()


@quiet("LCK002")
def test_a_reclaim_whose_notice_was_not_captured(stage: Stage) -> bytes:
    stage.client.lock(stage.server, reclaim=True).granted(after=5.4)
    return stage.wire()


@quiet("LCK002")
def test_a_reclaim_of_a_lock_whose_grant_is_lost(stage: Stage) -> bytes:
    stage.client.lock(stage.server).granted()
    stage.wait(1)
    number = stage.frames()
    stage.client.lock(stage.server, "/srv/second").granted()
    stage.wait(60)
    stage.client.lock(stage.server, "/srv/second", reclaim=True).granted(after=5.4)
    return stage.wire(lost=[number + 2])


@quiet("LCK002")
def test_a_request_after_the_notice_that_is_cut_before_it_says_whether_it_reclaims(stage: Stage) -> bytes:
    stage.boots(stage.server, stage.client)
    stage.client.lock(stage.server, reclaim=True).granted(after=5.4)
    return stage.wire(snaplen=160)


@fires("LCK002", severity="error")
def test_a_reclaim_for_which_lockd_looks_for_statd(stage: Stage) -> bytes:
    stage.boots(stage.server, stage.client)
    stage.client.lock(stage.server, reclaim=True).granted(after=61.6)
    return stage.wire()


@cannot_tell("LCK002")
def test_no_lock_was_answered(stage: Stage) -> bytes:
    stage.client.lock(stage.server)
    stage.later(20)
    return stage.wire()


def waits_behind(stage: Stage, released: bool = True) -> None:
    """The client holds, the other waits for it."""
    first = stage.client.lock(stage.server)
    first.granted()
    stage.wait(1)
    stage.other.lock(stage.server).blocked()
    stage.wait(4)
    if released:
        first.unlock().granted()


@fires("LCK003", host=SERVER, clients=(OTHER,), certainty="certain")
def test_a_free_lock_that_nobody_gets(stage: Stage) -> bytes:
    waits_behind(stage)
    stage.later(40)
    return stage.wire()


@fires("LCK003", host=SERVER, certainty="likely")
def test_a_free_lock_that_the_server_says_is_taken(stage: Stage) -> bytes:
    waits_behind(stage)
    for _ in range(2):
        stage.later(30.7)
        stage.other.lock(stage.server).blocked()
    return stage.wire()


@quiet("LCK003")
def test_the_next_in_the_queue_has_it(stage: Stage) -> bytes:
    first, third = stage.client.lock(stage.server), stage.client.lock(stage.server, svid=7)
    first.granted()
    third.blocked()
    stage.other.lock(stage.server).blocked()
    first.unlock().granted()
    third.granted()
    stage.later(40)
    return stage.wire()


@cannot_tell("LCK003")
def test_the_holder_is_not_in_the_capture(stage: Stage) -> bytes:
    waits_behind(stage)
    stage.later(40, stage.other)
    return stage.wire(stage.other)


@fires("LCK004", host=SERVER, clients=(CLIENT,), count=1)
def test_no_locks_available(stage: Stage) -> bytes:
    stage.client.lock(stage.server).denied("DENIED_NOLOCKS")
    return stage.wire()


@fires("LCK004", host=SERVER, count=1)
def test_no_locks_available_by_message(stage: Stage) -> bytes:
    stage.client.lock(stage.server, asynchronous=True).denied("DENIED_NOLOCKS")
    return stage.wire()


@fires("LCK004", host=SERVER)
def test_no_locks_available_in_version_1(stage: Stage) -> bytes:
    stage.client.lock(stage.server, version=1, transport="udp").denied("DENIED_NOLOCKS")
    return stage.wire()


@quiet("LCK004")
def test_a_lock_in_conflict(stage: Stage) -> bytes:
    stage.client.lock(stage.server, block=False).denied()
    return stage.wire()


@cannot_tell("LCK004")
def test_results_are_cut_off(stage: Stage) -> bytes:
    stage.client.lock(stage.server).denied("DENIED_NOLOCKS")
    return stage.wire(snaplen=90)


def in_grace(stage: Stage, seconds: float) -> bytes:
    lock = stage.client.lock(stage.server)
    for _ in range(int(seconds / 5)):
        lock.denied("DENIED_GRACE_PERIOD")
        stage.wait(5)
        lock = stage.client.lock(stage.server)
    lock.granted()
    return stage.wire()


@fires("LCK005", host=SERVER, severity="info", count=18)
def test_a_grace_period(stage: Stage) -> bytes:
    return in_grace(stage, 90)


@fires("LCK005", host=SERVER, severity="warning")
def test_a_grace_period_that_lasts(stage: Stage) -> bytes:
    return in_grace(stage, 150)


@fires("LCK005", host=SERVER, severity="warning")
def test_a_grace_period_that_begins_again(stage: Stage) -> bytes:
    in_grace(stage, 20)
    return in_grace(stage, 20)


@quiet("LCK005")
def test_no_grace_period(stage: Stage) -> bytes:
    stage.client.lock(stage.server).granted()
    return stage.wire()


@cannot_tell("LCK005")
def test_no_results(stage: Stage) -> bytes:
    stage.client.lock(stage.server)
    return stage.wire()


@fires("LCK006", host=SERVER, clients=(CLIENT,))
def test_a_stale_handle(stage: Stage) -> bytes:
    stage.client.lock(stage.server).denied("STALE_FH")
    return stage.wire()


@fires("LCK006", host=None)
def test_a_deadlock_is_the_applications(stage: Stage) -> bytes:
    stage.client.lock(stage.server, asynchronous=True).denied("DEADLCK")
    return stage.wire()


@quiet("LCK006")
def test_denied_is_no_failure(stage: Stage) -> bytes:
    stage.client.lock(stage.server, block=False).denied()
    return stage.wire()


@cannot_tell("LCK006")
def test_no_results_of_locks(stage: Stage) -> bytes:
    stage.client.lock(stage.server)
    return stage.wire()


@fires("LCK007", host=SERVER, clients=(CLIENT,), count=1, title=f"1 UNLOCK to {SERVER} never answered")
def test_an_unlock_without_answer(stage: Stage) -> bytes:
    stage.nfs()
    stage.client.lock(stage.server).granted().unlock().unanswered(resend=[10.2])
    stage.later(15)
    return stage.wire()


@fires("LCK007", host=SERVER, title=f"1 UNLOCK to {SERVER} refused")
def test_an_unlock_that_is_refused(stage: Stage) -> bytes:
    stage.client.lock(stage.server).granted().unlock().answered("DENIED_NOLOCKS")
    return stage.wire()


@quiet("LCK007")
def test_an_unlock_that_is_granted(stage: Stage) -> bytes:
    stage.client.lock(stage.server).granted().unlock().granted()
    return stage.wire()


@cannot_tell("LCK007")
def test_no_unlock(stage: Stage) -> bytes:
    stage.client.lock(stage.server).granted()
    return stage.wire()


@fires("LCK008", host=SERVER, clients=(CLIENT,))
def test_a_copy_is_granted_after_the_denial(stage: Stage) -> bytes:
    lock = stage.client.lock(stage.server)
    lock.denied("DENIED_NOLOCKS", after=60.0)
    lock.reply(stat="GRANTED", after=80.0)
    stage.later(20)
    return stage.wire()


@quiet("LCK008")
def test_copies_are_granted_together(stage: Stage) -> bytes:
    stage.client.lock(stage.server).granted(after=61.6, resent=[10.2, 31.7, 60.5], copies=4)
    stage.later(20)
    return stage.wire()


@quiet("LCK008")
def test_a_late_grant_that_is_refused(stage: Stage) -> bytes:
    waits_behind(stage, released=False)
    waiter = stage.other.lock(stage.server, "/srv/second", svid=3)
    waiter.blocked()
    waiter.cancel().granted()
    waiter.called_back("DENIED")
    stage.later(20)
    return stage.wire()


@cannot_tell("LCK008")
def test_the_capture_ends_after_the_late_grant(stage: Stage) -> bytes:
    lock = stage.client.lock(stage.server)
    lock.denied("DENIED_NOLOCKS", after=60.0)
    lock.reply(stat="GRANTED", after=80.0)
    return stage.wire()


def both_granted(stage: Stage) -> None:
    stage.client.lock(stage.server).granted()
    stage.wait(10)
    stage.other.lock(stage.server).granted()


@fires("LCK009", host=SERVER, severity="error", certainty="certain", clients=(CLIENT, OTHER), needs=None)
def test_granted_while_another_holds_it(stage: Stage) -> bytes:
    stage.client.getport(stage.server, "nlm4")
    both_granted(stage)
    return stage.wire()


@fires("LCK009", host=SERVER, certainty="certain")
def test_granted_while_another_holds_it_beside_the_talk_of_statds(stage: Stage) -> bytes:
    both_granted(stage)
    stage.monitored(stage.server, stage.other)
    return stage.any(stage.server)


@fires("LCK009", host=SERVER, certainty="likely")
def test_a_capture_of_lockds_port_alone_would_not_show_that_the_holder_rebooted(stage: Stage) -> bytes:
    both_granted(stage)
    return stage.wire()


def test_what_would_show_that_the_holder_rebooted() -> None:
    stage = Stage()
    both_granted(stage)
    (found,) = findings(asked("LCK009", stage.wire()))
    assert found.needs is not None
    assert found.needs.command.line.endswith(f"-w {SERVER}.pcap 'host {CLIENT} or host {OTHER}'")
    assert "not captured" in found.explanation


@fires("LCK009", host=SERVER)
def test_granted_in_the_middle_of_a_range_that_another_holds(stage: Stage) -> bytes:
    stage.client.lock(stage.server, offset=0, length=100).granted()
    stage.wait(10)
    stage.other.lock(stage.server, offset=50, length=1, exclusive=False).granted()
    return stage.wire()


@pytest.mark.parametrize("others", [1, 19, 21, 240])
def test_a_lock_granted_twice_is_found_behind_others_granted_at_once(others: int) -> None:
    """Which of some clients was first within a second is not known; who comes ten seconds later is one too many."""
    stage = Stage()
    for number in range(others):
        stage.scenario.host(f"10.1.0.{number + 1}", name=f"h{number}").lock(stage.server, "/srv/a").granted()
    stage.later(10)
    stage.client.lock(stage.server, "/srv/a").granted()
    stage.later(10)
    assert [found.rule for found in findings(asked("LCK009", stage.wire()))] == ["LCK009"]


@quiet("LCK009")
def test_shared_locks_and_other_ranges(stage: Stage) -> bytes:
    for host in (stage.client, stage.other):
        host.lock(stage.server, "/srv/shared", exclusive=False).granted()
        host.lock(stage.server, "/srv/ranges", offset=host.number * 100, length=100).granted()
        stage.wait(10)
    return stage.wire()


@quiet("LCK009")
def test_the_holder_unlocks_and_the_grant_crosses_the_answer(stage: Stage) -> bytes:
    lock = stage.client.lock(stage.server).granted()
    stage.wait(10)
    unlock = lock.unlock()
    stage.other.lock(stage.server).granted()
    unlock.granted()
    return stage.wire()


@quiet("LCK009")
def test_the_holder_has_rebooted(stage: Stage) -> bytes:
    stage.client.lock(stage.server).granted()
    stage.wait(60)
    stage.boots(stage.client, stage.server)
    stage.wait(5)
    stage.other.lock(stage.server).granted()
    return stage.wire()


def unlock(stage: Stage, lock: LockRequest, offset: int, length: int) -> None:
    """The holder gives up a part of what it has."""
    alock = lock.args["alock"] | {"l_offset": offset, "l_len": length}
    call = stage.client.call(stage.server, "nlm4", "UNLOCK", alock=alock, cookie=stage.client.cookie())
    LockRequest.of(call).granted()


@quiet("LCK009")
def test_the_part_that_another_gets_was_released(stage: Stage) -> bytes:
    whole = stage.client.lock(stage.server)
    whole.granted()
    stage.wait(5)
    unlock(stage, whole, 0, 100)
    stage.wait(5)
    stage.other.lock(stage.server, offset=0, length=50).granted()
    return stage.wire()


@fires("LCK009", host=SERVER)
def test_another_part_was_released(stage: Stage) -> bytes:
    whole = stage.client.lock(stage.server)
    whole.granted()
    stage.wait(5)
    unlock(stage, whole, 0, 100)
    stage.wait(5)
    stage.other.lock(stage.server, offset=200, length=50).granted()
    return stage.wire()


@quiet("LCK009")
def test_the_holder_made_a_part_of_its_lock_a_shared_one(stage: Stage) -> bytes:
    stage.client.lock(stage.server).granted()
    stage.wait(5)
    stage.client.lock(stage.server, offset=0, length=100, exclusive=False).granted()
    stage.wait(5)
    stage.other.lock(stage.server, offset=0, length=50, exclusive=False).granted()
    return stage.wire()


@fires("LCK009", host=SERVER)
def test_the_holder_made_another_part_of_its_lock_a_shared_one(stage: Stage) -> bytes:
    stage.client.lock(stage.server).granted()
    stage.wait(5)
    stage.client.lock(stage.server, offset=0, length=100, exclusive=False).granted()
    stage.wait(5)
    stage.other.lock(stage.server, offset=100, length=50, exclusive=False).granted()
    return stage.wire()


def a_part_is_released(stage: Stage, offset: int, length: int) -> bytes:
    """Somebody waits for this part while the holder gives up the first hundred bytes."""
    whole = stage.client.lock(stage.server)
    whole.granted()
    stage.wait(5)
    stage.other.lock(stage.server, offset=offset, length=length).blocked()
    stage.wait(5)
    unlock(stage, whole, 0, 100)
    for _ in range(3):
        stage.later(30.7)
        stage.other.lock(stage.server, offset=offset, length=length).blocked()
    return stage.wire()


@fires("LCK011", host=CLIENT, severity="warning")
def test_who_waits_for_a_part_that_is_still_held(stage: Stage) -> bytes:
    return a_part_is_released(stage, 50, 100)


@quiet("LCK003")
def test_a_lock_of_which_a_part_is_still_held(stage: Stage) -> bytes:
    return a_part_is_released(stage, 50, 100)


@fires("LCK003", host=SERVER)
def test_a_part_that_is_free_and_that_nobody_gets(stage: Stage) -> bytes:
    return a_part_is_released(stage, 50, 50)


@quiet("LCK009")
def test_the_holder_freed_all_that_it_had(stage: Stage) -> bytes:
    stage.client.lock(stage.server).granted()
    stage.wait(5)
    stage.client.call(stage.server, "nlm4", "FREE_ALL", name="web-1", state=5).reply()
    stage.wait(5)
    stage.other.lock(stage.server).granted()
    return stage.wire()


@cannot_tell("LCK009")
def test_no_lock_was_granted(stage: Stage) -> bytes:
    stage.client.lock(stage.server, block=False).denied()
    return stage.wire()


@fires("LCK010", host=CLIENT, clients=(OTHER,))
def test_the_holders_host_is_dead(stage: Stage) -> bytes:
    waits_behind(stage, released=False)
    for _ in range(3):
        stage.wait(30.7)
        stage.other.lock(stage.server).blocked()
    return stage.wire(stage.server)


@quiet("LCK010")
def test_the_holders_host_lives(stage: Stage) -> bytes:
    waits_behind(stage, released=False)
    for _ in range(3):
        stage.later(30.7, stage.client)
        stage.other.lock(stage.server).blocked()
    return stage.wire(stage.server)


@quiet("LCK010")
def test_the_holders_host_closed_its_connection(stage: Stage) -> bytes:
    lock = stage.client.lock(stage.server)
    lock.granted()
    stage.other.lock(stage.server).blocked()
    lock.flow.close()
    for _ in range(4):
        stage.wait(30.7)
        stage.other.lock(stage.server).blocked()
    return stage.wire(stage.server)


@cannot_tell("LCK010")
def test_the_holder_was_not_captured(stage: Stage) -> bytes:
    waits_behind(stage, released=False)
    stage.later(90, stage.other)
    return stage.wire(stage.other)


@fires("LCK011", host=CLIENT, severity="info", clients=(OTHER,))
def test_a_wait_behind_a_living_holder(stage: Stage) -> bytes:
    waits_behind(stage, released=False)
    stage.later(20)
    return stage.wire()


@fires("LCK011", host=None, severity="warning")
def test_a_long_wait_behind_somebody_unknown(stage: Stage) -> bytes:
    waits_behind(stage, released=False)
    stage.later(70, stage.other)
    return stage.wire(stage.other)


def unlock_is_lost(stage: Stage, lost: int) -> bytes:
    """The other has the lock after the holder, whose UNLOCK is among so many frames that the capture lacks."""
    first = stage.client.lock(stage.server).granted()
    stage.other.lock(stage.server).blocked()
    stage.wait(10)
    number = stage.frames()
    first.unlock().granted()
    stage.client.lock(stage.server, "/srv/second").granted()
    stage.wait(20)
    stage.other.lock(stage.server).granted()
    return stage.wire(lost=range(number + 1, number + 1 + lost))


@fires("LCK011", host=CLIENT)
def test_a_wait_behind_somebody_whose_unlock_is_seen(stage: Stage) -> bytes:
    return unlock_is_lost(stage, 0)


@fires("LCK011", host=None)
def test_a_wait_behind_somebody_whose_unlock_may_be_lost(stage: Stage) -> bytes:
    return unlock_is_lost(stage, 1)


@quiet("LCK011")
def test_a_short_wait(stage: Stage) -> bytes:
    first = stage.client.lock(stage.server).granted()
    waiter = stage.other.lock(stage.server)
    waiter.blocked()
    first.unlock().granted()
    waiter.granted()
    return stage.wire()


@cannot_tell("LCK011")
def test_nobody_asked_for_a_lock(stage: Stage) -> bytes:
    stage.nfs()
    return stage.wire()


def crossed(stage: Stage) -> None:
    """Each holds what the other asks for."""
    stage.client.lock(stage.server, "/srv/a").granted()
    stage.other.lock(stage.server, "/srv/b").granted()
    stage.client.lock(stage.server, "/srv/b").blocked()
    stage.wait(0.5)


@fires("LCK012", clients=(CLIENT, OTHER))
def test_a_deadlock_that_the_server_tells(stage: Stage) -> bytes:
    crossed(stage)
    stage.other.lock(stage.server, "/srv/a").denied("DEADLCK")
    return stage.wire()


@fires("LCK012", clients=(CLIENT, OTHER))
def test_a_deadlock_that_nobody_notices(stage: Stage) -> bytes:
    crossed(stage)
    stage.other.lock(stage.server, "/srv/a").blocked()
    stage.later(20)
    return stage.wire()


@quiet("LCK012")
def test_a_queue_is_no_circle(stage: Stage) -> bytes:
    waits_behind(stage, released=False)
    stage.later(20)
    return stage.wire()


@cannot_tell("LCK012")
def test_one_half_of_a_deadlock(stage: Stage) -> bytes:
    crossed(stage)
    stage.other.lock(stage.server, "/srv/a").denied("DEADLCK")
    return stage.wire(stage.other)


def twins(stage: Stage) -> None:
    """Two clients with one name behind one address: only their ports differ."""
    for port in (700, 800):
        stage.client.lock(stage.server, from_port=port).granted()
        stage.wait(1)
    stage.client.lock(stage.server, "/srv/third", from_port=700).granted()


@fires("LCK014", host=CLIENT)
def test_two_clients_with_one_identity(stage: Stage) -> bytes:
    twins(stage)
    return stage.wire()


@quiet("LCK014")
def test_a_client_that_reconnected(stage: Stage) -> bytes:
    stage.client.lock(stage.server, from_port=700).granted()
    stage.wait(60)
    stage.client.lock(stage.server, from_port=800).granted()
    return stage.wire()


@cannot_tell("LCK014")
def test_nothing_was_granted(stage: Stage) -> bytes:
    stage.client.lock(stage.server).denied()
    return stage.wire()


def test_a_deadlock_explains_what_the_server_told() -> None:
    stage = Stage()
    crossed(stage)
    stage.other.lock(stage.server, "/srv/a").denied("DEADLCK")
    assert diagnosed(stage.wire()).verdict.rule == "LCK012"


def test_clients_of_one_name_hold_one_owner_twice_and_nobody_else() -> None:
    stage = Stage()
    twins(stage)
    assert findings(asked("LCK009", stage.wire())) == []


def rebooted(stage: Stage) -> bytes:
    """The server boots while a request waits; a client claims its lock again, the other waits for the grace period."""
    stage.client.lock(stage.server, "/srv/held").granted()
    stage.wait(30)
    pending = stage.other.lock(stage.server).unanswered(resend=[10.2, 31.7])
    stage.wait(5)
    stage.boots(stage.server, stage.client, stage.other)
    stage.client.lock(stage.server, "/srv/held", reclaim=True).granted()
    stage.other.reconnect(stage.server, LOCKD)
    pending.resend()
    pending.reply(stat="DENIED_GRACE_PERIOD")
    stage.client.lock(stage.server, "/srv/also-held", reclaim=True).granted()
    for _ in range(10):
        stage.wait(5)
        stage.other.lock(stage.server).denied("DENIED_GRACE_PERIOD")
    stage.other.lock(stage.server).granted()
    return stage.wire()


@fires("LCK005", severity="info", count=11)
def test_reclaims_do_not_end_a_grace_period(stage: Stage) -> bytes:
    return rebooted(stage)


@quiet("LCK002")
def test_a_request_that_outlasts_a_reboot(stage: Stage) -> bytes:
    stage.client.lock(stage.server, "/srv/quick").granted()
    return rebooted(stage)


def test_a_server_that_reboots_is_healthy() -> None:
    assert diagnosed(rebooted(Stage())).verdict.state == "healthy"


def test_a_request_that_was_not_sent_again_had_its_answer() -> None:
    stage = Stage()
    stage.client.lock(stage.server, "/srv/first")
    stage.wait(1)
    stage.client.lock(stage.server, "/srv/second").granted()
    stage.later(60)
    assert findings(asked("LCK001", stage.wire())) == []


def test_in_a_capture_with_gaps_the_unlock_may_be_missing() -> None:
    stage = Stage()
    lock = stage.client.lock(stage.server).granted()
    stage.wait(10)
    gap = len(stage.scenario.packets())
    lock.unlock().granted()
    stage.client.lock(stage.server, "/srv/after").granted()
    stage.other.lock(stage.server).granted()
    assert findings(asked("LCK009", stage.wire(lost=[gap + 1]))) == []


def ends(stage: Stage, *, unseen_by_client: Sequence[int] = (), unseen_by_server: Sequence[int] = ()) -> list[bytes]:
    """Captures of client and server, which lack frames (counted from 1) because these never came to there."""
    return [
        stage.any(stage.client, lost=unseen_by_client),
        stage.any(stage.server, lost=unseen_by_server),
    ]


def frames_of(stage: Stage, capture: bytes, procedure: str, *, reply: bool) -> list[int]:
    """The frames of calls of this procedure, or of their replies, with all copies."""
    seen = inputs(capture)
    rows = seen["nlm"].where(seen["nlm"]["procedure"] == procedure)
    copies = seen["copies"].where(seen["copies"]["reply"] == reply)
    copies = copies.where(np.isin(copies["exchange"], rows["exchange"]))
    return [*rows["reply_frame" if reply else "call_frame"].tolist(), *copies["frame"].tolist()]


def over_udp(stage: Stage) -> LockRequest:
    """A LOCK of both ends' captures, which tell their hosts by their loopbacks."""
    stage.statd_asked(stage.server, 1, port=662)
    stage.statd_asked(stage.client, 1, port=662)
    stage.nfs()
    return stage.client.lock(stage.server, transport="udp")


def test_an_answer_that_was_lost_on_the_way_is_located() -> None:
    stage = Stage()
    over_udp(stage).granted(after=0.01).resend(after=10.2).reply(stat="GRANTED", after=10.21)
    stage.later(20)
    replies = frames_of(stage, stage.any(stage.client), "LOCK", reply=True)
    for captures in (both := ends(stage, unseen_by_client=replies[:1])), both[::-1]:
        (found,) = findings(asked("LCK002", captures))
        assert f"the server, which answered after 0.010 s (frame {replies[0]} of the capture" in found.explanation
        assert f"that answer was lost on the way to {CLIENT}." in found.explanation
        assert found.wait_s == pytest.approx(10.21, abs=0.01)
    assert findings(asked("LCK002", ends(stage))) == []


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


def test_a_lock_that_came_only_when_it_was_sent_again() -> None:
    stage = Stage()
    over_udp(stage).granted(after=10.21, resent=[10.2])
    stage.later(20)
    calls = frames_of(stage, stage.any(stage.server), "LOCK", reply=False)
    (found,) = findings(asked("LCK002", ends(stage, unseen_by_server=calls[:1])))
    assert f"It left the client {CLIENT}, was lost on the way, and reached {SERVER} 10.2 s later." in found.explanation


def test_an_unlock_that_was_lost_on_the_way_is_located() -> None:
    stage = Stage()
    over_udp(stage).granted().unlock().unanswered(resend=[10.2, 31.7])
    stage.later(20)
    calls = frames_of(stage, stage.any(stage.server), "UNLOCK", reply=False)
    (found,) = findings(asked("LCK007", ends(stage, unseen_by_server=calls)))
    assert f"never reached the server {SERVER}" in found.explanation


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


def write(client: Host, stage: Stage, path: str = PATH, status: str = "OK") -> None:
    client.call(stage.server, "nfs3", "WRITE", file=handle(path), count=4, data=b"data").reply(status=status)


@fires("LCK013", host=OTHER, clients=(CLIENT,), certainty="certain", count=2)
def test_another_writes_to_what_is_locked(stage: Stage) -> bytes:
    lock = stage.client.lock(stage.server).granted()
    write(stage.other, stage)
    stage.wait(1)
    write(stage.other, stage)
    stage.wait(1)
    lock.unlock().granted()
    return stage.wire()


@fires("LCK013", host=OTHER, certainty="likely")
def test_another_writes_while_a_part_is_locked(stage: Stage) -> bytes:
    stage.client.lock(stage.server, offset=100, length=10).granted()
    write(stage.other, stage)
    return stage.wire()


@fires("LCK013", host=OTHER, certainty="likely")
def test_another_writes_beside_a_shared_lock(stage: Stage) -> bytes:
    stage.client.lock(stage.server, exclusive=False).granted()
    write(stage.other, stage)
    return stage.wire()


@fires("LCK013", host=OTHER, count=1)
def test_nfs2_writes_count_too(stage: Stage) -> bytes:
    fh = handle(PATH).ljust(32, b"\0")
    alock = {"caller_name": "web-1", "fh": fh, "oh": b"1@web-1", "svid": 1, "l_offset": 0, "l_len": 0}
    stage.client.call(stage.server, "nlm3", "LOCK", exclusive=True, alock=alock).reply(stat="GRANTED")
    stage.other.call(stage.server, "nfs2", "WRITE", file=fh, data=b"data").reply(status="OK")
    return stage.wire()


@quiet("LCK013")
def test_writes_before_and_after_the_lock(stage: Stage) -> bytes:
    write(stage.other, stage)
    stage.wait(1)
    lock = stage.client.lock(stage.server).granted()
    stage.wait(1)
    lock.unlock().granted()
    stage.wait(1)
    write(stage.other, stage)
    write(stage.client, stage)
    return stage.wire()


@quiet("LCK013")
def test_a_write_that_is_refused(stage: Stage) -> bytes:
    stage.client.lock(stage.server).granted()
    write(stage.other, stage, status="ACCES")
    write(stage.client, stage)
    return stage.wire()


@quiet("LCK013")
def test_who_writes_locks_too(stage: Stage) -> bytes:
    stage.client.lock(stage.server, length=10).granted()
    stage.other.lock(stage.server, offset=10, length=10).granted()
    write(stage.other, stage)
    write(stage.client, stage)
    return stage.wire()


@quiet("LCK013")
def test_the_holder_writes(stage: Stage) -> bytes:
    stage.client.lock(stage.server).granted()
    write(stage.client, stage)
    write(stage.other, stage, "/srv/another")
    return stage.wire()


@quiet("LCK013")
def test_who_writes_shares_files(stage: Stage) -> bytes:
    share = {"caller_name": "web-2", "fh": handle(PATH), "oh": b"1@web-2", "mode": 0, "access": 2}
    stage.client.lock(stage.server).granted()
    stage.other.call(stage.server, "nlm4", "SHARE", share=share).reply(stat="GRANTED")
    write(stage.other, stage)
    write(stage.client, stage)
    return stage.wire()


@cannot_tell("LCK013", command=True)
def test_only_one_client_was_captured(stage: Stage) -> bytes:
    stage.client.lock(stage.server).granted()
    write(stage.client, stage)
    return stage.wire()


@cannot_tell("LCK013")
def test_handles_of_writes_are_cut(stage: Stage) -> bytes:
    stage.client.lock(stage.server).granted()
    write(stage.client, stage)
    write(stage.other, stage)
    return stage.wire(snaplen=130)


@cannot_tell("LCK013")
def test_no_lock_is_granted(stage: Stage) -> bytes:
    write(stage.other, stage)
    return stage.wire()


@cannot_tell("LCK013")
def test_the_lock_of_who_writes_is_lost(stage: Stage) -> bytes:
    stage.other.lock(stage.server, "/srv/one").granted()
    before = len(stage.scenario.packets())
    stage.other.lock(stage.server, offset=10, length=10).granted()
    after = len(stage.scenario.packets())
    stage.other.lock(stage.server, "/srv/two").granted()
    stage.client.lock(stage.server, length=10).granted()
    write(stage.other, stage)
    return stage.wire(lost=range(before + 1, after + 1))


def test_many_files_are_one_finding() -> None:
    stage = Stage()
    for number in range(30):
        stage.client.lock(stage.server, f"/srv/{number}").granted()
        write(stage.other, stage, f"/srv/{number}")
    (finding,) = findings(asked("LCK013", stage.wire()))
    assert (finding.count, len(finding.files), finding.clients) == (30, 20, (CLIENT,))
    assert "and 29 other files" in finding.title
