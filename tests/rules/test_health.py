"""What keeps a capture from being healthy although no rule fires: each condition, and what just meets it."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from functools import partial
from typing import Any, Literal

import pytest

from nfsrpc.diagnosis.health import doubts, unanswered_questions
from nfsrpc.diagnosis.verdict import diagnose
from nfsrpc.tables import TALLIES, Tallies
from tests.records import records_of
from tests.rules.stage import LOCKD, Stage, inputs
from tests.rules.test_variants import shortened
from tests.scenario import Exchange, Transport

Story = Callable[[Stage], None]


def doubted(story: Story, *, fine: bool = True) -> list[str]:
    """The doubts about a story, beside a lock that was granted."""
    stage = Stage()
    if fine:
        stage.other.lock(stage.server, "/srv/other").granted().unlock().granted()
    story(stage)
    return list(doubts(inputs(stage.wire())))


def held_to_the_end(stage: Stage) -> None:
    stage.client.lock(stage.server).granted()
    stage.later(600)


def behind_a_holder(stage: Stage) -> None:
    stage.client.lock(stage.server).granted()
    stage.other.lock(stage.server, block=False).denied()


def denied_once_and_granted_later(stage: Stage) -> None:
    stage.client.lock(stage.server, block=False).denied()
    stage.wait(5)
    stage.client.lock(stage.server, svid=2, block=False).granted()


def tried(stage: Stage, times: int, gap: float, *, again: bool = False) -> None:
    """Somebody polls behind a holder."""
    stage.client.lock(stage.server).granted()
    for number in range(times):
        request = stage.other.lock(stage.server, svid=number, block=False)
        if again and number == times // 2:
            request.granted().unlock().granted()
        else:
            request.denied()
        stage.wait(gap)


def blocked_until_unlocked(stage: Stage) -> None:
    holder = stage.client.lock(stage.server).granted()
    waiter = stage.other.lock(stage.server).blocked()
    stage.wait(120)
    holder.unlock().granted()
    waiter.granted()


def cancelled(stage: Stage) -> None:
    holder = stage.client.lock(stage.server).granted()
    waiter = stage.other.lock(stage.server).blocked()
    stage.wait(2)
    holder.unlock().granted()
    stage.wait(20)
    waiter.cancel().granted()


def locked_again_in_messages(stage: Stage) -> None:
    for _ in range(2):
        stage.client.lock(stage.server, asynchronous=True).granted()
        stage.wait(10)


def unlock_just_sent(stage: Stage) -> None:
    lock = stage.client.lock(stage.server).granted()
    stage.wait(5)
    lock.unlock()


def late(stage: Stage, seconds: float) -> None:
    stage.client.lock(stage.server).granted(after=seconds)


def late_over_a_restart(stage: Stage) -> None:
    lock = stage.client.lock(stage.server)
    stage.wait(30)
    stage.boots(stage.server, stage.client)
    lock.granted(after=35.0)


def named_late(stage: Stage, seconds: float) -> None:
    mapping = {"prog": 100021, "vers": 4, "prot": 6}
    stage.client.call(stage.server, "portmap2", "GETPORT", **mapping).reply(port=LOCKD, after=seconds)


def notified(stage: Stage, seconds: float, *, reclaim: bool = False) -> None:
    """A server reboots whose client holds a lock."""
    stage.client.lock(stage.server).granted()
    stage.wait(5)
    stage.boots(stage.server, stage.client)
    if reclaim:
        stage.client.lock(stage.server, reclaim=True).granted()
    stage.later(seconds)


def notice_unanswered(stage: Stage, resends: int) -> None:
    """To a host of which nothing else is captured."""
    gone = stage.scenario.host("10.0.9.9")
    stage.server.notify(gone, 7).unanswered(resend=[2, 6, 14][:resends])
    stage.later(10)


def question_unanswered(stage: Stage) -> None:
    gone = stage.scenario.host("10.0.9.9")
    mapping = {"prog": 100024, "vers": 1, "prot": 17}
    stage.server.call(gone, "portmap2", "GETPORT", transport="udp", **mapping).unanswered(resend=[2, 6, 14])
    stage.later(10)


def asked_anew(stage: Stage, calls: int) -> None:
    """As sm-notify asks, each time with another xid."""
    gone = stage.scenario.host("10.0.9.9")
    for _ in range(calls):
        stage.server.call(gone, "portmap2", "GETPORT", transport="udp", prog=100024, vers=1, prot=17)
        stage.wait(2)


FINE: list[Story] = [
    lambda stage: asked_anew(stage, 2),
    lambda stage: notice_unanswered(stage, 1),
    lambda stage: named_late(stage, 4.9),
    lambda stage: notified(stage, 2.9),
    lambda stage: notified(stage, 60, reclaim=True),
    held_to_the_end,
    behind_a_holder,
    denied_once_and_granted_later,
    blocked_until_unlocked,
    cancelled,
    locked_again_in_messages,
    unlock_just_sent,
    late_over_a_restart,
    lambda stage: tried(stage, 4, 30.0),
    lambda stage: tried(stage, 50, 1.0),
    lambda stage: tried(stage, 100, 1.0, again=True),
    lambda stage: late(stage, 9.9),
    lambda stage: result_after(stage, 4.9),
    lambda stage: granted_to_both(stage, 1.1),  # LCK009 judges that
    lambda stage: granted_to_both(stage, 0.5, kept=0.5),
    lambda stage: in_grace(stage, granted=True),
    lambda stage: granted_by_calls(stage, 2),
    lambda stage: called_back(stage, 0.9),
    lambda stage: called_back(stage, 2, unlocks=True),
    lambda stage: called_in_vain(stage, later=True),
]


@pytest.mark.parametrize("story", FINE)
def test_nothing_is_doubted(story: Story) -> None:
    assert doubted(story) == []


def reclaim_denied(stage: Stage) -> None:
    stage.client.lock(stage.server, reclaim=True).denied()


def unlock_denied(stage: Stage) -> None:
    stage.client.lock(stage.server).granted().unlock().denied("DENIED_NOLOCKS")


def unlock_late(stage: Stage) -> None:
    stage.client.lock(stage.server).granted().unlock().granted(after=6.0)


def blocking_denied(stage: Stage) -> None:
    stage.other.lock(stage.server).granted()
    stage.client.lock(stage.server).denied()


def denied_without_holder(stage: Stage) -> None:
    stage.client.lock(stage.server, block=False).denied()


def denied_after_the_holder_unlocked(stage: Stage) -> None:
    stage.other.lock(stage.server).granted().unlock().granted()
    stage.wait(5)
    stage.client.lock(stage.server, block=False).denied()


def granted_out_of_grace(stage: Stage) -> None:
    """The server restarted: who held the lock before may have lost it."""
    stage.client.lock(stage.server, block=False).denied()
    stage.wait(5)
    for _ in range(3):
        stage.client.lock(stage.server, svid=2).denied("DENIED_GRACE_PERIOD")
        stage.wait(5)
    stage.client.lock(stage.server, svid=2).granted()


def repeated(stage: Stage) -> None:
    for _ in range(3):
        stage.client.lock(stage.server, asynchronous=True).granted()
        stage.wait(10)


def granted_by_calls(stage: Stage, calls: int) -> None:
    """The server calls the waiter back so often, once per minute; its client accepts the lock each time."""
    holder = stage.client.lock(stage.server).granted()
    waiter = stage.other.lock(stage.server).blocked()
    holder.unlock().granted()
    for _ in range(calls):
        waiter.called_back()
        stage.later(60)


def called_back(stage: Stage, seconds: float, *, unlocks: bool = False) -> None:
    """A grant by UDP is repeated, and the capture ends so long after it first came."""
    holder = stage.client.lock(stage.server, transport="udp").granted()
    waiter = stage.other.lock(stage.server, transport="udp").blocked()
    holder.unlock().granted()
    begun = stage.scenario.now
    waiter.call_back(transport="udp")
    if unlocks:
        stage.wait(0.3)
        waiter.unlock().granted()
    stage.wait(seconds - (stage.scenario.now - begun) / 1e9)
    stage.nfs()


def called_in_vain(stage: Stage, *, later: bool = False) -> None:
    """What a capture shows that began when the server's SYNs to a waiting client were dropped."""
    stage.nfs(stage.other)
    stage.server.syn(stage.other, LOCKD, resend=[1, 3])
    stage.wait(20)
    waiter = stage.other.lock(stage.server)
    if later:
        waiter.blocked().granted()
    else:
        waiter.granted()


def no_result(stage: Stage) -> None:
    stage.client.lock(stage.server, asynchronous=True)
    stage.later(30)


def waited(stage: Stage) -> None:
    """Unlocked after 2 s, and granted to the waiter when it retried."""
    holder = stage.other.lock(stage.server).granted()
    stage.client.lock(stage.server).blocked()
    stage.wait(2)
    holder.unlock().granted()
    stage.wait(28)
    stage.client.lock(stage.server).granted()


def cancel_without_answer(stage: Stage) -> None:
    stage.client.lock(stage.server).granted()
    stage.other.lock(stage.server).blocked().cancel().unanswered(resend=[10.2])
    stage.later(5)


def asked_without_answer(stage: Stage) -> None:
    stage.client.lock(stage.server).granted()
    asked = {"svid": 1, "l_offset": 0, "l_len": 0, "oh": b"1", "fh": b"f", "caller_name": "web-2"}
    stage.other.call(stage.server, "nlm4", "TEST", alock=asked).unanswered(resend=[10.2])
    stage.later(5)


def granted_to_both(stage: Stage, apart: float, kept: float = 30) -> None:
    """Two clients get one lock, so long after each other, and both keep it."""
    first = stage.client.lock(stage.server).granted()
    stage.wait(apart)
    stage.other.lock(stage.server).granted()
    stage.wait(kept)
    first.unlock().granted()


def result_after(stage: Stage, after: float) -> None:
    stage.client.lock(stage.server, asynchronous=True).granted(after=after)


def in_grace(stage: Stage, *, granted: bool = False) -> None:
    for _ in range(3):
        stage.client.lock(stage.server).denied("DENIED_GRACE_PERIOD")
        stage.wait(5)
    if granted:
        stage.client.lock(stage.server).granted()


DOUBTED: dict[str, Story] = {
    "1 reclaimed lock denied by 10.0.0.9": reclaim_denied,
    "1 UNLOCK not answered GRANTED in time by 10.0.0.9": unlock_denied,
    "1 CANCEL not answered by 10.0.0.9": cancel_without_answer,
    "1 TEST not answered by 10.0.0.9": asked_without_answer,
    "10.0.0.9 granted FH:0x00598f0e to 1@web-1 and 1@web-2 at the same time": lambda stage: granted_to_both(stage, 0.9),
    "1 LOCK_MSG with LOCK_RES after up to 5.1 s by 10.0.0.9": lambda stage: result_after(stage, 5.1),
    "1 LOCK answered DENIED_GRACE_PERIOD by 10.0.0.9 and not granted since": in_grace,
    "1 blocking LOCK answered DENIED by 10.0.0.9": blocking_denied,
    "1 LOCK DENIED by 10.0.0.9, and no holder is seen in the capture": denied_without_holder,
    "10.0.0.1 repeated one LOCK_MSG 2 times although it was granted": repeated,
    "10.0.0.9 sent one grant to 10.0.0.2 3 times although it was accepted": lambda stage: granted_by_calls(stage, 3),
    "1 LOCK_MSG without LOCK_RES by 10.0.0.9": no_result,
    "1 grant to 10.0.0.2 not answered yet when the capture ends": lambda stage: called_back(stage, 2),
    "10.0.0.9 tried to call 10.0.0.2 back: SYNs are dropped, port 32803, 3 tries": called_in_vain,
    "a portmapper named the port of lockd or statd only after 5.1 s": lambda stage: named_late(stage, 5.1),
    "a notice of a reboot of 10.0.0.9 to 10.0.9.9 was sent 3 times and not answered": lambda stage: notice_unanswered(
        stage, 2
    ),
    "a question for the port of lockd or statd of 10.0.0.9 to 10.0.9.9 was sent 4 times and not answered": (
        question_unanswered
    ),
    "a question for the port of lockd or statd of 10.0.0.9 to 10.0.9.9 was sent 3 times and not answered": (
        lambda stage: asked_anew(stage, 3)
    ),
    "10.0.0.1 does not reclaim 1 lock after the reboot notice of 10.0.0.9": lambda stage: notified(stage, 3.1),
    "1 lock request answered after up to 10.1 s by 10.0.0.9": lambda stage: late(stage, 10.1),
}


@pytest.mark.parametrize(("reason", "story"), DOUBTED.items(), ids=[story.__name__ for story in DOUBTED.values()])
def test_what_is_doubted_is_said(reason: str, story: Story) -> None:
    assert doubted(story)[0] == reason


@pytest.mark.parametrize("procedure", ["SHARE", "UNSHARE", "FREE_ALL"])
def test_other_requests_that_lockd_answers_at_once(procedure: str) -> None:
    def story(stage: Stage, *, is_answered: bool) -> None:
        call = stage.client.call(stage.server, "nlm4", procedure)
        if is_answered:
            call.reply()
        stage.later(12)

    assert doubted(partial(story, is_answered=True)) == []
    assert doubted(partial(story, is_answered=False)) == [f"1 {procedure} not answered by 10.0.0.9"]


def test_other_ways_to_the_same_doubts() -> None:
    assert doubted(unlock_late) == ["1 UNLOCK not answered GRANTED in time by 10.0.0.9"]
    for story in (denied_after_the_holder_unlocked, granted_out_of_grace):
        assert doubted(story) == ["1 LOCK DENIED by 10.0.0.9, and no holder is seen in the capture"]


def test_a_wait_that_its_holder_does_not_explain() -> None:
    (reason,) = doubted(waited)
    assert reason.startswith("a LOCK waited for 30.0 s, longer than its holder kept it")


@pytest.mark.parametrize(("times", "gap", "lasted"), [(5, 15.1, "60.4 s"), (61, 1.0, "60.0 s"), (200, 1.0, "199 s")])
def test_polling_for_a_minute_is_not_healthy_even_behind_a_holder(times: int, gap: float, lasted: str) -> None:
    (reason,) = doubted(lambda stage: tried(stage, times, gap))
    assert reason.startswith("LOCKs of 10.0.0.2 for ")
    assert reason.endswith(f"were repeatedly DENIED for {lasted}")


def test_unlocks_alone_are_no_evidence_that_locks_are_granted() -> None:
    stage = Stage()
    begun = stage.client.lock(stage.server).granted()
    first = stage.frames() + 1
    stage.wait(5)
    begun.unlock().granted()
    whole = stage.wire()
    records = list(records_of(whole))
    cut = whole[:24] + b"".join(records[first - 1 :])
    assert list(doubts(inputs(whole))) == []
    assert list(doubts(inputs(cut))) == ["no LOCK was captured, only other requests"]
    assert doubted(behind_a_holder, fine=False) == []
    assert doubted(denied_without_holder, fine=False)[-1] == "of 1 LOCK none was granted"


@pytest.mark.parametrize(("others", "is_doubted"), [(8, True), (9, False)])
def test_without_arguments_nobody_is_seen_to_poll(others: int, is_doubted: bool) -> None:
    """The last LOCK is cut by the snap length: its reply still has a status."""
    stage = Stage()
    for _ in range(others):
        stage.client.call(stage.server, "nlm4", "TEST").reply(stat="GRANTED")
    stage.client.lock(stage.server).granted()
    records = list(records_of(stage.wire()))
    last = max(number for number, record in enumerate(records) if b"@web-1" in record)
    records[last] = shortened(records[last], 200)
    reasons = list(doubts(inputs(stage.wire()[:24] + b"".join(records))))
    said = f"the arguments of 1 lock request of {others + 1} are cut off (snap length)"
    assert (said in reasons) == is_doubted


@pytest.mark.parametrize(("into_s", "is_doubted"), [(5.1, True), (4.9, False)])
def test_a_reply_long_after_the_begin_to_a_call_from_before(into_s: float, is_doubted: bool) -> None:
    stage = Stage()
    lock = stage.client.lock(stage.server)
    before = stage.frames()
    stage.nfs(stage.other)
    lock.granted(after=into_s)
    lock.unlock().granted()
    whole = stage.wire()
    cut = whole[:24] + b"".join(list(records_of(whole))[before:])
    assert any(reason.startswith("10.0.0.9 answered 10.0.0.1 5.") for reason in doubts(inputs(cut))) == is_doubted


@pytest.mark.parametrize("transport", ["tcp", "udp"])
@pytest.mark.parametrize(("into_s", "replies", "is_doubted"), [(5.1, 2, True), (4.9, 2, False), (5.1, 1, False)])
def test_more_replies_than_calls_long_after_the_begin(
    into_s: float, replies: int, is_doubted: bool, transport: Transport
) -> None:
    """The capture begins after the first LOCK, and has its copy."""
    stage = Stage()
    lock = stage.client.lock(stage.server, transport=transport)
    before = stage.frames()
    stage.nfs(stage.other)
    lock.granted(after=into_s, resent=[into_s - 1], copies=replies)
    lock.unlock().granted()
    whole = stage.wire()
    cut = whole[:24] + b"".join(list(records_of(whole))[before:])
    said = "a LOCK of 10.0.0.1 to 10.0.0.9 was sent before the capture began, and answered 5."
    assert any(reason.startswith(said) for reason in doubts(inputs(cut))) == is_doubted


@pytest.mark.parametrize(
    ("transport", "tail_s", "resumes", "is_doubted"),
    [("udp", 1.1, False, True), ("udp", 0.9, False, False), ("udp", 1.1, True, False), ("tcp", 1.1, False, False)],
)
def test_nfs_calls_over_udp_that_have_no_reply_when_the_capture_ends(
    transport: Transport, tail_s: float, resumes: bool, is_doubted: bool
) -> None:
    def story(stage: Stage) -> None:
        def asks(handle: bytes) -> Exchange:
            return stage.client.call(stage.server, "nfs3", "GETATTR", transport=transport, object=handle)

        asks(b"before").reply(status="OK", type="REG")
        asks(b"silent")
        if resumes:
            asks(b"after").reply(status="OK", type="REG")
        stage.later(tail_s, stage.other)

    said = ["1 NFS call of 10.0.0.1 over UDP not answered by 10.0.0.9 when the capture ends"]
    assert doubted(story) == (said if is_doubted else [])


PINGED: dict[str, tuple[dict[str, Any], str]] = {
    "its sender waits on its connection": ({}, "a NULL of 10.0.0.1 to lockd of 10.0.0.9 was sent once"),
    "for 10.1 s": ({"ends_s": 10.1}, "a NULL of 10.0.0.1 to lockd of 10.0.0.9 was sent once"),
    "for 9.9 s, when the capture ends": ({"ends_s": 9.9}, ""),
    "retransmitted by a kernel": ({"resend": [10.2, 30.1]}, "a NULL of 10.0.0.1 to lockd of 10.0.0.9 was sent 3 times"),
    "sent three times over UDP": (
        {"transport": "udp", "resend": [3, 6]},
        "a NULL of 10.0.0.1 to lockd of 10.0.0.9 was sent 3 times",
    ),
    "sent twice over UDP, as rpcinfo does": ({"transport": "udp", "resend": [5]}, ""),
    "given up twice": ({"calls": 2, "gives_up": True}, ""),
    "given up three times": (
        {"calls": 3, "gives_up": True},
        "a NULL of 10.0.0.1 to lockd of 10.0.0.9 was sent 3 times",
    ),
    "given up three times by a server": (
        {"sender": "server", "to": "other", "calls": 3, "gives_up": True},
        "a NULL of 10.0.0.9 to lockd of 10.0.0.2 was sent 3 times",
    ),
    "by a monitoring host that gives up": ({"sender": "monitoring", "calls": 9, "gives_up": True}, ""),
    "by a monitoring host over UDP": (
        {"sender": "monitoring", "calls": 9, "transport": "udp", "resend": [5]},
        "",
    ),
    "by a monitoring host that waits": (
        {"sender": "monitoring"},
        "a NULL of 10.0.9.9 to lockd of 10.0.0.9 was sent once",
    ),
    "by a monitoring host that retransmits": (
        {"sender": "monitoring", "transport": "udp", "resend": [3, 6]},
        "a NULL of 10.0.9.9 to lockd of 10.0.0.9 was sent 3 times",
    ),
    "of a host that sends nothing": (
        {"to": "gone", "transport": "udp", "resend": [3, 6]},
        "a NULL of 10.0.0.1 to lockd of 10.0.9.8 was sent 3 times",
    ),
    "of a host that sends nothing, given up": ({"to": "gone", "transport": "udp", "resend": [5], "calls": 9}, ""),
    "of statd": ({"protocol": "nsm1"}, "a NULL of 10.0.0.1 to statd of 10.0.0.9 was sent once"),
    "UNMON of statd": (
        {"protocol": "nsm1", "procedure": "SM_UNMON_ALL"},
        "a SM_UNMON_ALL of 10.0.0.1 to statd of 10.0.0.9 was sent once",
    ),
    "of the port mapper": (
        {"protocol": "portmap2"},
        "a NULL of 10.0.0.1 to the port mapper of 10.0.0.9 was sent once",
    ),
    "of NFS, which RPC005 judges": ({"protocol": "nfs3"}, ""),
    "answered after all": ({"transport": "udp", "resend": [3, 6], "then": lambda ping, _: ping.reply()}, ""),
    "asked again, and answered": (
        {"transport": "udp", "resend": [3, 6], "then": lambda _, ask: ask("NULL", xid=1).reply()},
        "",
    ),
    "another call of that daemon is answered later": (
        {"transport": "udp", "resend": [3, 6], "then": lambda _, ask: ask("TEST").reply(stat="GRANTED")},
        "",
    ),
    "another call of that daemon, without answer": (
        {"transport": "udp", "resend": [3, 6], "then": lambda _, ask: ask("NULL", xid=1)},
        "a NULL of 10.0.0.1 to lockd of 10.0.0.9 was sent 4 times",
    ),
}


def pinged(
    stage: Stage,
    *,
    protocol: str = "nlm4",
    procedure: str = "NULL",
    sender: str = "client",
    to: str = "server",
    transport: Literal["tcp", "udp"] = "tcp",
    resend: Sequence[float] = (),
    calls: int = 1,
    gives_up: bool = False,
    then: Callable[[Exchange, Callable[..., Exchange]], object] | None = None,
    ends_s: float = 75,
) -> bytes:
    """Beside locks and files that work, a host calls a daemon that answers such calls at once, and has no reply."""
    server = stage.scenario.host("10.0.9.8") if to == "gone" else getattr(stage, to)
    asker = stage.scenario.host("10.0.9.9") if sender == "monitoring" else getattr(stage, sender)
    stage.nfs()
    stage.other.lock(stage.server, "/srv/other").granted().unlock().granted()
    if to != "gone":
        asker.syn(server, LOCKD)
    for _ in range(calls):
        ping = asker.call(server, protocol, procedure, transport=transport).unanswered(resend=resend)
        if gives_up:
            stage.wait(10)
            ping.flow.close()
    if then:
        stage.wait(20)
        then(ping, lambda procedure, **options: asker.call(server, "nlm4", procedure, **options))
    stage.wait(ends_s - (stage.scenario.now - ping.time) / 1e9)
    stage.nfs()
    return stage.wire()


@pytest.mark.parametrize(("options", "reason"), PINGED.values(), ids=PINGED)
def test_a_daemon_that_does_not_answer_while_somebody_waits(options: Mapping[str, Any], reason: str) -> None:
    """What happens while a call has no reply, and after it."""
    expected = [f"{reason} and not answered"] if reason else []
    assert list(doubts(inputs(pinged(Stage(), **options)))) == expected


def test_two_captures_show_one_call_that_was_not_answered() -> None:
    stage = Stage()
    for client in (stage.client, stage.other):
        stage.nfs(client, 3)
    pinged(stage, resend=[10.2], transport="udp")
    assert list(doubts(inputs([stage.wire(stage.client), stage.wire(stage.server)]))) == []
    pinged(stage, resend=[10.2], transport="udp")
    (reason,) = doubts(inputs([stage.wire(stage.client), stage.wire(stage.server)]))
    assert reason == "a NULL of 10.0.0.1 to lockd of 10.0.0.9 was sent 4 times and not answered"


@pytest.mark.parametrize(("prog", "after_s", "is_doubted"), [(100021, 1, False), (100021, -1, True), (100024, 1, True)])
def test_what_a_daemon_answered_later_may_have_been_counted(prog: int, after_s: int, is_doubted: bool) -> None:
    known = inputs(pinged(Stage()))
    asked = known.exchanges.where(known.exchanges["procedure"] == "NULL").row(0)
    seen = {"client": asked.client, "server": asked.server, "prog": prog, "last": asked.time + after_s * 10**9}
    blank = {"text": None, "f64": 0.0}
    row = [seen.get(column.name, blank.get(column.kind, 0)) for column in TALLIES.columns]
    known.counted = Tallies.of(TALLIES, [row])
    assert bool(unanswered_questions(known)) == is_doubted


def test_the_verdict_says_why_it_cannot_tell() -> None:
    """Whatever rules were run."""
    stage = Stage()
    stage.other.lock(stage.server, "/srv/other").granted().unlock().granted()
    denied_without_holder(stage)
    verdict = diagnose(inputs(stage.wire()).tables, select=["NET"]).verdict
    assert tuple(verdict) == (
        None,
        "cannot-tell",
        "Cannot tell whether all locks work: 1 LOCK DENIED by 10.0.0.9, and no holder is seen in the capture.",
        (),
    )
