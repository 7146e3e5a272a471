"""Lock sessions of scenarios: how each began, what it waited for, how it ended."""

from __future__ import annotations

from typing import Any

import pytest

from benchmarks.attacks import ATTACKS, Writer
from nfsrpc.sessions import lock_states
from tests.scenario import Scenario
from tests.sessions.conftest import Read

Columns = tuple[Any, ...]


class Three:
    """A server and two clients."""

    def __init__(self) -> None:
        self.s = Scenario()
        self.server = self.s.host("10.0.0.9", name="nfssrv")
        self.one = self.s.host("10.0.0.1", name="web-1")
        self.two = self.s.host("10.0.0.2", name="web-2")

    def capture(self, **options: Any) -> bytes:
        return self.s.capture(at=self.server, **options)


@pytest.fixture
def three() -> Three:
    return Three()


def rows(read: Read, capture: bytes, *columns: str) -> list[Columns]:
    locks = read(capture)["locks"]
    return list(zip(*map(locks.values, columns), strict=True))


def test_granted_at_once_and_released(three: Three, tables: Read) -> None:
    lock = three.one.lock(three.server, "/srv/a", svid=7, offset=10, length=5).granted(after=0.5)
    three.s.wait(2)
    lock.unlock().granted(after=0.25)
    (row,) = tables(three.capture())["locks"].rows()
    assert (row.server, row.client, row.owner, row.caller_name, row.svid) == (
        "10.0.0.9",
        "10.0.0.1",
        "7@web-1",
        "web-1",
        7,
    )
    assert (row.l_offset, row.l_len, row.exclusive, row.block, row.reclaim) == (10, 5, True, True, False)
    assert (row.state, row.status, row.granted_by, row.answer) == ("released", 0, "reply", "answered")
    assert (row.procedure, row.version, row.oh, row.polls, row.resends, row.replies) == ("LOCK", 4, "7@web-1", 0, 0, 1)
    assert row.latency_s == row.wait_s == 0.5
    assert row.hold_s == pytest.approx(2.25, abs=0.01)
    assert row.granted - row.requested == 500_000_000
    assert row.released - row.unlock == 250_000_000
    assert row.unlock_latency_s == 0.25
    assert row.frame == row.requested_frame < row.granted_frame < row.unlock_frame < row.released_frame
    assert (row.blocked, row.denied, row.cancelled, row.callback, row.held_by, row.holder) == (None,) * 6


def test_the_same_whether_walked_or_paired(three: Three, tables: Read) -> None:
    """A session that is only a LOCK and its UNLOCK takes the short way, one that was also asked twice the long one."""
    columns = ("state", "status", "granted_by", "wait_s", "polls", "unlock_status", "unlock_state")
    for svid in (1, 2):
        three.one.lock(three.server, svid=svid).granted(after=1).unlock().granted()
    three.one.lock(three.server, svid=2).granted(after=1)
    short, long, held = rows(tables, three.capture(), *columns)
    assert short == long == ("released", 0, "reply", 1.0, 0, 0, "answered")
    assert held == ("held", 0, "reply", 1.0, 0, None, None)


def test_answered_late_after_resends(three: Three, tables: Read) -> None:
    three.one.lock(three.server).granted(after=61.6, resent=[10.2, 31.7, 60.5], copies=4)
    columns = ("state", "latency_s", "wait_s", "resends", "replies", "polls")
    assert rows(tables, three.capture(), *columns) == [("held", 61.6, 61.6, 3, 4, 0)]


def test_blocked_then_granted_by_a_call_back(three: Three, tables: Read) -> None:
    first = three.one.lock(three.server).granted()
    second = three.two.lock(three.server, svid=3).blocked()
    three.s.wait(9)
    first.unlock().granted()
    second.granted()
    three.s.wait(1)
    second.unlock().granted()
    holder, waiter = tables(three.capture())["locks"].rows()
    assert (holder.state, holder.granted_by, holder.held_by) == ("released", "reply", None)
    assert (waiter.state, waiter.status, waiter.granted_by) == ("released", 0, "callback")
    assert (waiter.held_by, waiter.holder) == (0, "1@web-1 (10.0.0.1)")
    assert (waiter.callbacks, waiter.callback_status, waiter.callback_state) == (1, 0, "answered")
    assert waiter.granted == waiter.callback
    assert waiter.granted_frame == waiter.callback_frame
    assert waiter.wait_s == pytest.approx(9, abs=0.1)
    assert waiter.blocked < holder.released <= waiter.callback


def test_a_poll_is_the_same_session(three: Three, tables: Read) -> None:
    three.one.lock(three.server).granted()
    three.two.lock(three.server).blocked()
    for _ in range(2):
        three.s.wait(30.7)
        three.two.lock(three.server).blocked()
    three.s.wait(30.7)
    three.two.lock(three.server).granted()
    columns = ("client", "state", "granted_by", "polls", "status")
    assert rows(tables, three.capture(), *columns) == [
        ("10.0.0.1", "held", "reply", 0, 0),
        ("10.0.0.2", "held", "poll", 3, 0),
    ]


def test_still_waiting_when_the_capture_ends(three: Three, tables: Read) -> None:
    three.one.lock(three.server).granted()
    three.two.lock(three.server).blocked()
    three.s.wait(65)
    three.two.getattr(three.server, "/srv")
    _, waiter = tables(three.capture())["locks"].rows()
    assert (waiter.state, waiter.status, waiter.holder) == ("waiting", 3, "1@web-1 (10.0.0.1)")
    assert waiter.wait_s == pytest.approx(65, abs=0.1)
    assert waiter.hold_s is None


def test_cancelled(three: Three, tables: Read) -> None:
    three.one.lock(three.server).granted()
    waiting = three.two.lock(three.server).blocked()
    three.s.wait(5)
    waiting.cancel().granted()
    _, waiter = tables(three.capture())["locks"].rows()
    assert (waiter.state, waiter.cancel_status, waiter.granted) == ("cancelled", 0, None)
    assert waiter.wait_s == pytest.approx(5, abs=0.1)


def test_unlocked_before_it_was_cancelled(three: Three, tables: Read) -> None:
    """A killed waiter: the order of the two does not matter."""
    three.one.lock(three.server).granted()
    waiting = three.two.lock(three.server).blocked()
    waiting.unlock().granted()
    waiting.cancel().granted()
    columns = ("state", "cancel_status", "unlock_status")
    assert rows(tables, three.capture(), *columns)[1:] == [("cancelled", 0, 0)]


@pytest.mark.parametrize(
    ("stat", "status", "holder"),
    [("DENIED", 1, "1@web-1 (10.0.0.1)"), ("DENIED_NOLOCKS", 2, None), ("DEADLCK", 5, "1@web-1 (10.0.0.1)")],
)
def test_denied(three: Three, tables: Read, stat: str, status: int, holder: str | None) -> None:
    three.one.lock(three.server).granted()
    three.two.lock(three.server, block=False).denied(stat)
    columns = ("state", "status", "holder", "block", "granted_by")
    assert rows(tables, three.capture(), *columns)[1:] == [("denied", status, holder, False, None)]


def test_each_attempt_that_is_denied_is_a_session(three: Three, tables: Read) -> None:
    three.one.lock(three.server).granted()
    for _ in range(3):
        three.two.lock(three.server, block=False).denied()
        three.s.wait(1)
    assert rows(tables, three.capture(), "state", "polls")[1:] == [("denied", 0)] * 3


def test_the_grace_period_is_waited_for_in_one_session(three: Three, tables: Read) -> None:
    for _ in range(18):
        three.one.lock(three.server).denied("DENIED_GRACE_PERIOD")
        three.s.wait(5.1)
    three.one.lock(three.server).granted()
    columns = ("state", "grace", "polls", "granted_by", "status")
    assert rows(tables, three.capture(), *columns) == [("held", 18, 18, "poll", 0)]


def test_refused_by_rpc(three: Three, tables: Read) -> None:
    three.one.lock(three.server).error("AUTH_ERROR", auth_stat="AUTH_BADCRED")
    columns = ("state", "status", "rpc_status", "answer")
    assert rows(tables, three.capture(), *columns) == [("denied", None, 33, "answered")]


def test_unanswered_and_undecided(three: Three, tables: Read) -> None:
    three.one.lock(three.server, svid=1).unanswered(resend=[10.2])
    three.s.wait(20)
    three.two.lock(three.server, svid=2)
    columns = ("owner", "state", "answer", "resends", "latency_s")
    assert rows(tables, three.capture(), *columns) == [
        ("1@web-1", "unanswered", "unanswered", 1, None),
        ("2@web-2", "undecided", "undecided", 0, None),
    ]


def test_reclaimed_after_a_reboot_it_goes_on(three: Three, tables: Read) -> None:
    lock = three.one.lock(three.server).granted()
    three.s.wait(60)
    three.one.lock(three.server, reclaim=True).granted()
    lock.unlock().granted()
    columns = ("state", "reclaims", "reclaim", "polls")
    assert rows(tables, three.capture(), *columns) == [("released", 1, False, 0)]


def test_held_since_before_the_capture(three: Three, tables: Read) -> None:
    lock = three.one.lock(three.server, svid=4).granted()
    three.s.wait(10)
    three.two.lock(three.server).blocked()
    three.s.wait(1)
    lock.unlock().granted()
    waiter, holder = tables(three.capture(since=5))["locks"].rows()
    assert (holder.state, holder.procedure, holder.owner) == ("released", "UNLOCK", "4@web-1")
    assert (holder.requested, holder.granted, holder.exclusive, holder.hold_s) == (None,) * 4
    assert (waiter.held_by, waiter.holder) == (1, "4@web-1 (10.0.0.1)")


def test_granted_to_a_request_before_the_capture(three: Three, tables: Read) -> None:
    three.one.lock(three.server).granted()
    waiting = three.two.lock(three.server, svid=6).blocked()
    three.s.wait(10)
    waiting.granted()
    waiting.unlock().granted()
    (row,) = tables(three.capture(since=5))["locks"].rows()
    assert (row.procedure, row.client, row.server) == ("GRANTED_MSG", "10.0.0.2", "10.0.0.9")
    assert (row.owner, row.caller_name) == ("6@web-2", "web-2")  # not the caller_name of the grant
    assert (row.state, row.granted_by, row.requested) == ("released", "callback", None)


def test_a_refused_call_back_grants_nothing(three: Three, tables: Read) -> None:
    waiting = three.one.lock(three.server).blocked()
    waiting.called_back("DENIED")
    columns = ("state", "granted", "callbacks", "callback_status", "callback_state")
    assert rows(tables, three.capture(), *columns) == [("waiting", None, 1, 1, "answered")]


def test_an_unanswered_call_back_grants_nothing(three: Three, tables: Read) -> None:
    waiting = three.one.lock(three.server).blocked()
    waiting.call_back().reply()
    three.s.wait(20)
    three.one.getattr(three.server, "/srv")
    columns = ("state", "granted", "callbacks", "callback_status", "callback_state")
    assert rows(tables, three.capture(), *columns) == [("waiting", None, 1, None, "unanswered")]


def test_the_call_back_beats_the_reply(three: Three, tables: Read) -> None:
    """The grant of a lock that is free already may be captured before the answer that it is not."""
    waiting = three.one.lock(three.server)
    waiting.waits = True
    waiting.granted()
    waiting.answered("BLOCKED")
    assert rows(tables, three.capture(), "state", "granted_by") == [("held", "callback")]


def test_granted_again_after_it_was_given_up(three: Three, tables: Read) -> None:
    waiting = three.one.lock(three.server).blocked()
    waiting.cancel().denied()
    waiting.granted()
    (row,) = tables(three.capture())["locks"].rows()
    assert (row.state, row.cancel_status, row.granted_by) == ("held", 1, "callback")
    assert row.late_granted == row.callback


def test_a_late_reply_grants_what_was_denied(three: Three, tables: Read) -> None:
    lock = three.one.lock(three.server).unanswered(resend=[10.2, 31.7])
    lock.denied("DENIED_NOLOCKS", after=60)
    lock.granted(after=95)
    (row,) = tables(three.capture())["locks"].rows()
    assert (row.state, row.granted_by, row.replies, row.wait_s) == ("held", "late-reply", 2, 95.0)
    assert row.denied - row.requested == 60_000_000_000
    assert row.late_granted - row.requested == 95_000_000_000
    assert row.late_granted_frame == row.granted_frame > row.denied_frame


def test_locked_twice_by_one_owner(three: Three, tables: Read) -> None:
    three.one.lock(three.server, exclusive=False).granted()
    three.s.wait(2)
    three.one.lock(three.server).granted().unlock().granted()
    columns = ("exclusive", "state")
    assert rows(tables, three.capture(), *columns) == [(False, "replaced"), (True, "released")]


def test_unlocking_the_whole_file_releases_every_range(three: Three, tables: Read) -> None:
    for start in (0, 100):
        whole = three.one.lock(three.server, offset=start, length=10).granted()
    whole.args["alock"] |= {"l_offset": 0, "l_len": 0}
    whole.unlock().granted()
    columns = ("l_offset", "l_len", "state")
    assert rows(tables, three.capture(), *columns) == [(0, 10, "released"), (100, 10, "released")]


def test_what_is_unlocked_again_was_not_held_since_before_the_capture(three: Three, tables: Read) -> None:
    lock = three.one.lock(three.server, offset=100, length=10).granted()
    lock.args["alock"] |= {"l_offset": 0, "l_len": 0}
    for _ in range(2):
        lock.unlock().granted()
        three.s.wait(2)
    assert rows(tables, three.capture(), "l_offset", "state") == [(100, "released")]


def test_the_unlock_is_not_answered(three: Three, tables: Read) -> None:
    three.one.lock(three.server).granted().unlock().unanswered(resend=[10.2])
    three.s.wait(20)
    three.one.getattr(three.server, "/srv")
    (row,) = tables(three.capture())["locks"].rows()
    assert (row.state, row.unlock_state, row.unlock_status, row.released) == ("releasing", "unanswered", None, None)


@pytest.mark.parametrize(
    ("ours", "theirs", "conflict"),
    [
        ({"offset": 0, "length": 10}, {"offset": 10, "length": 5}, False),
        ({"offset": 0, "length": 10}, {"offset": 9, "length": 5}, True),
        ({"offset": 100, "length": 0}, {"offset": 5000, "length": 5}, True),
        ({"exclusive": False}, {"exclusive": False}, False),
        ({"exclusive": False}, {"exclusive": True}, True),
        ({"path": "/srv/a"}, {"path": "/srv/b"}, False),
    ],
)
def test_who_is_in_the_way(
    three: Three, tables: Read, ours: dict[str, Any], theirs: dict[str, Any], conflict: bool
) -> None:
    three.one.lock(three.server, **ours).granted()
    three.two.lock(three.server, block=False, **theirs).denied()
    assert rows(tables, three.capture(), "held_by")[1] == (0 if conflict else None,)


def test_the_latest_holder_is_in_the_way(three: Three, tables: Read) -> None:
    for svid in (1, 2):
        lock = three.one.lock(three.server, svid=svid).granted()
        three.s.wait(1)
        lock.unlock().granted()
    three.one.lock(three.server, svid=3).granted()
    three.two.lock(three.server).blocked()
    assert rows(tables, three.capture(), "holder")[-1] == ("3@web-1 (10.0.0.1)",)


@pytest.mark.parametrize("version", [1, 3, 4])
@pytest.mark.parametrize("asynchronous", [False, True])
def test_every_version_and_form(three: Three, tables: Read, version: int, asynchronous: bool) -> None:
    options = {"version": version, "asynchronous": asynchronous, "transport": "udp"}
    three.one.lock(three.server, **options).granted(after=2)
    three.two.lock(three.server, **options).denied(after=1)
    columns = ("version", "procedure", "state", "status", "latency_s", "answer")
    name = "LOCK_MSG" if asynchronous else "LOCK"
    held, denied = rows(tables, three.capture(), *columns)
    assert held[:4] + held[5:] == (version, name, "held", 0, "answered")
    assert denied[:4] + denied[5:] == (version, name, "denied", 1, "answered")
    assert held[4] == pytest.approx(2, abs=0.01)
    assert denied[4] == pytest.approx(1, abs=0.01)


def test_a_void_reply_is_no_answer(three: Three, tables: Read) -> None:
    three.one.lock(three.server, asynchronous=True).reply()
    three.s.wait(20)
    three.one.getattr(three.server, "/srv")
    columns = ("state", "answer", "status", "latency_s")
    assert rows(tables, three.capture(), *columns) == [("unanswered", "unanswered", None, None)]


def test_the_result_may_come_before_the_void_reply(three: Three, tables: Read) -> None:
    lock = three.one.lock(three.server, asynchronous=True)
    result = {"cookie": lock.args["cookie"], "stat": "GRANTED"}
    three.server.call(three.one, "nlm4", "LOCK_RES", **result).reply()
    lock.reply()
    assert rows(tables, three.capture(), "state", "granted_by") == [("held", "reply")]


def test_cookies_of_two_clients_collide(three: Three, tables: Read) -> None:
    """Every Linux host counts them from 0x1234."""
    first, second = (client.lock(three.server, asynchronous=True) for client in (three.one, three.two))
    assert first.args["cookie"] == second.args["cookie"]
    second.answered("DENIED")
    first.answered("GRANTED")
    assert rows(tables, three.capture(), "client", "state") == [("10.0.0.1", "held"), ("10.0.0.2", "denied")]


def test_an_empty_cookie_is_answered_as_four_zero_bytes(three: Three, tables: Read) -> None:
    lock = three.one.lock(three.server, asynchronous=True)
    lock.reply()
    plain = three.one.call(three.server, "nlm4", "LOCK_MSG", **lock.args | {"cookie": b"", "alock": lock.args["alock"]})
    plain.reply()
    three.server.call(three.one, "nlm4", "LOCK_RES", cookie=b"\0\0\0\0", stat="GRANTED").reply()
    assert rows(tables, three.capture(), "state", "polls") == [("held", 1)]


def test_a_server_calls_back_from_another_address(three: Three, tables: Read) -> None:
    waiting = three.one.lock(three.server).blocked()
    other = three.s.host("10.0.1.9", name="nfssrv")
    alock = waiting.args["alock"] | {"caller_name": "nfssrv"}
    other.call(three.one, "nlm4", "GRANTED", alock=alock, exclusive=True, cookie=b"\1\2\3\4").reply(stat="GRANTED")
    columns = ("server", "state", "granted_by", "callbacks")
    assert rows(tables, three.s.capture(), *columns) == [("10.0.0.9", "held", "callback", 1)]


def test_two_servers_with_the_same_handles(three: Three, tables: Read) -> None:
    other = three.s.host("10.0.0.8", name="nfs2")
    for server in (three.server, other):
        three.one.lock(server).granted()
    assert rows(tables, three.s.capture(), "server", "state") == [("10.0.0.9", "held"), ("10.0.0.8", "held")]


def test_sessions_go_on_over_the_files_of_a_ring(three: Three, tables: Read) -> None:
    lock = three.one.lock(three.server).granted(after=61.6, resent=[10.2, 31.7, 60.5])
    three.s.wait(5)
    lock.unlock().granted()
    ring = {"t-20260101-1200": three.capture(until=30), "t-20260101-1201": three.capture(since=30.0000001)}
    (row,) = tables(**ring)["locks"].rows()
    assert (row.state, row.wait_s, row.resends) == ("released", 61.6, 3)
    assert (row.requested_capture, row.granted_capture, row.unlock_capture) == (0, 1, 1)


def test_two_vantages_show_each_session_once(three: Three, tables: Read) -> None:
    lock = three.one.lock(three.server).granted(after=3)
    lock.unlock().granted()
    both = {"server": three.s.capture(at=three.server), "client": three.s.capture(at=three.one)}
    assert [row.state for row in tables(**both)["locks"].rows()] == ["released"]


def test_what_the_snaplen_cut_is_no_session(three: Three, tables: Read) -> None:
    three.one.lock(three.server).granted()
    read = tables(three.capture(snaplen=96))
    assert len(read["locks"]) == 0
    assert (read["calls"]["procedure"] == "LOCK").sum() in (0, 1)


@pytest.mark.parametrize("looks", [1, lock_states.LOOKS])
def test_unlocks_without_answer_are_of_all_that_their_owner_holds(
    tables: Read, monkeypatch: pytest.MonkeyPatch, looks: int
) -> None:
    """However many there are of either: how often each session is looked at changes nothing of what it came to."""
    monkeypatch.setattr(lock_states, "LOOKS", looks)
    writer = Writer()
    ATTACKS["ranges"](writer, 40)
    found = rows(tables, writer.capture(), "l_offset", "state", "unlock_state")
    assert sorted(found) == [(10 * (number + 1), "releasing", "unanswered") for number in range(40)]


def test_an_unlock_within_a_range_that_is_waited_for_is_not_of_it(tables: Read) -> None:
    writer = Writer()
    ATTACKS["waiting_ranges"](writer, 40)
    found = rows(tables, writer.capture(), "l_offset", "l_len", "state", "unlock_status")
    waiting = [(10 * number, 5, "waiting", None) for number in range(40)]
    assert sorted(found) == sorted([*waiting, *((10 * number + 1, 2, "released", 0) for number in range(40))])
