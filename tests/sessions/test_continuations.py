"""Captures of one host, taken one after the other: a call of the first one may go on in the next."""

from __future__ import annotations

from collections.abc import Callable
from itertools import pairwise

import pytest

from nfsrpc.diagnosis.health import called_before
from nfsrpc.facts.inputs import Inputs
from nfsrpc.sessions import Sessions
from nfsrpc.tables import CLOCK_STEPS, Calls
from tests.scenario import Host, Scenario
from tests.wire import shifted

Read = Callable[..., Sessions]
CUT_S = 20.0


class Pair:
    def __init__(self) -> None:
        self.scenario = Scenario()
        self.started = self.scenario.now
        self.server = self.scenario.host("10.0.0.9", name="nfssrv")
        self.client = self.scenario.host("10.0.0.1", name="web-1")
        self.ping()

    def at(self, seconds: float) -> None:
        """Waits until so many seconds after the start."""
        self.scenario.wait(seconds - (self.scenario.now - self.started) / 1e9)

    def ping(self) -> None:
        self.client.getattr(self.server, "/srv")

    def captures(self, *cuts: float, at: Host | None = None) -> dict[str, bytes]:
        """The captures of one host, cut at these seconds: no names of a ring, but one clock."""
        bounds = [None, *cuts, None]
        return {
            name: self.scenario.capture(at=at or self.server, on="any", link="sll2", since=since, until=until)
            for name, (since, until) in zip(("alpha", "mike", "omega"), pairwise(bounds), strict=False)
        }


def locks_of(calls: Calls) -> list[tuple[object, ...]]:
    """The LOCKs that count: where the call is, where the reply is, retransmissions, state and latency."""
    rows = calls.where((calls["procedure"] == "LOCK") & ~calls.valid("duplicate_of")).rows()
    return [
        (
            row.capture,
            row.reply_capture,
            row.retransmits,
            row.state,
            None if row.latency_s is None else round(row.latency_s),
        )
        for row in rows
    ]


@pytest.fixture
def pair() -> Pair:
    return Pair()


def test_a_call_that_is_answered_in_the_next_capture_is_one_exchange(pair: Pair, tables: Read) -> None:
    lock = pair.client.lock(pair.server).unanswered(resend=[10, 30])
    lock.granted(after=61.6)
    pair.ping()
    read = tables(**pair.captures(CUT_S))
    assert locks_of(read["calls"]) == [(0, 1, 2, "answered", 62)]
    (session,) = read["locks"].rows()
    assert (session.capture, session.granted_capture, round(session.wait_s or 0)) == (0, 1, 62)
    (row,) = (row for row in read["programs"].rows() if row.procedure == "LOCK")
    assert (row.calls, row.replies, row.retransmits, round(row.max or 0)) == (1, 1, 2, 62)


def test_a_call_that_goes_on_through_three_captures(pair: Pair, tables: Read) -> None:
    lock = pair.client.lock(pair.server).unanswered(resend=[10, 30, 60])
    lock.granted(after=61.6)
    assert locks_of(tables(**pair.captures(CUT_S, 40))["calls"]) == [(0, 2, 3, "answered", 62)]


@pytest.mark.parametrize(
    ("cut_s", "state"),
    [(10.3, "unanswered"), (9.7, "undecided")],
    ids=["the first capture shows that it waits", "no capture lasts long enough"],
)
def test_a_call_without_a_reply_is_what_one_capture_shows(pair: Pair, tables: Read, cut_s: float, state: str) -> None:
    pair.client.lock(pair.server, transport="udp").unanswered(resend=[14])
    pair.at(cut_s - 0.05)
    pair.ping()
    pair.at(18)
    pair.ping()
    assert locks_of(tables(**pair.captures(cut_s))["calls"]) == [(0, None, 1, state, None)]


def test_a_call_without_a_reply_that_the_later_capture_shows_for_long(pair: Pair, tables: Read) -> None:
    pair.client.lock(pair.server, transport="udp").unanswered(resend=[10])
    pair.at(22)
    pair.ping()
    assert locks_of(tables(**pair.captures(5))["calls"]) == [(0, None, 1, "unanswered", None)]


@pytest.mark.parametrize("since", [0.1, 29], ids=["begun just after the call", "begun just before the retransmission"])
def test_captures_that_overlap_show_one_retransmission(pair: Pair, tables: Read, since: float) -> None:
    pair.client.lock(pair.server).unanswered(resend=[30]).granted(after=36)
    alpha, omega = (pair.captures(cut)[name] for cut, name in ((31, "alpha"), (since, "mike")))
    assert locks_of(tables(alpha=alpha, omega=omega)["calls"]) == [(0, 1, 1, "answered", 36)]


def test_a_capture_that_was_begun_before_the_call_shows_another_one(pair: Pair, tables: Read) -> None:
    """It lacks the first call: what else it lacks is not known."""
    pair.client.lock(pair.server, transport="udp").unanswered(resend=[30]).granted(after=36)
    alpha = pair.captures(31)["alpha"]
    frame = tables(alpha)["locks"]["frame"][0]
    lacking = pair.scenario.capture(at=pair.server, on="any", link="sll2", lost=[frame])
    assert locks_of(tables(alpha=alpha, omega=lacking)["calls"]) == [
        (0, None, 1, "unanswered", None),
        (1, 1, 0, "answered", 6),
    ]


@pytest.mark.parametrize(
    ("after_s", "shown"),
    [
        (79.9, [(0, 1, 0, "answered", 80)]),
        (80.1, [(0, None, 0, "unanswered", None)]),
    ],
    ids=["59.9 s after the first capture ended", "60.1 s, without a retransmission"],
)
def test_a_reply_that_is_alone_in_the_next_capture(
    pair: Pair, tables: Read, after_s: float, shown: list[tuple[object, ...]]
) -> None:
    lock = pair.client.lock(pair.server)
    pair.at(20)
    pair.ping()
    pair.at(50)
    pair.ping()
    lock.granted(after=after_s)
    alpha, omega = (pair.captures(cut_s)[name] for cut_s, name in ((21, "alpha"), (40, "mike")))
    read = tables(alpha=alpha, omega=omega)
    assert locks_of(read["calls"]) == shown
    (orphan,) = read["calls"].where(read["calls"]["state"] == "orphan").rows()
    assert (orphan.capture, orphan.duplicate_of is not None) == (1, shown[0][3] == "answered")
    known = Inputs(read)
    assert bool(known.gaps) == bool(called_before(known)) == (orphan.duplicate_of is None)


@pytest.mark.parametrize(("after_s", "lacks"), [(4.9, False), (5.1, True)])
def test_a_capture_that_has_just_begun_lacks_nothing_though_another_was_begun_before(
    pair: Pair, tables: Read, after_s: float, lacks: bool
) -> None:
    """A reply to a call that was sent between the two captures."""
    pair.client.lock(pair.server).granted()
    pair.at(30)
    lock = pair.client.lock(pair.server, "/srv/b")
    pair.at(40)
    pair.ping()
    lock.granted(after=10 + after_s)
    alpha, omega = (pair.captures(cut_s)[name] for cut_s, name in ((CUT_S, "alpha"), (39, "mike")))
    known = Inputs(tables(alpha=alpha, omega=omega))
    assert bool(known.gaps) == bool(called_before(known)) == lacks


def test_calls_stand_in_the_order_of_their_frames(pair: Pair, tables: Read) -> None:
    """Nothing was set back."""
    for number in range(3):
        pair.client.lock(pair.server, svid=number).unanswered(resend=[30]).granted(after=36)
        pair.at(2 * number + 2)
        pair.ping()
    pair.at(60)
    pair.ping()
    read = tables(**pair.captures(CUT_S))
    assert [row[3:] for row in locks_of(read["calls"])] == [("answered", 36)] * 3
    called = read["calls"].where(read["calls"].valid("call_frame"))
    places = list(zip(called["capture"].tolist(), called["call_frame"].tolist(), strict=True))
    assert places == sorted(places)
    assert not read["oddities"]["kind"].isin(CLOCK_STEPS).any()


def test_an_xid_that_was_answered_is_used_again(pair: Pair, tables: Read) -> None:
    pair.client.lock(pair.server, xid=5).granted()
    pair.at(30)
    pair.client.lock(pair.server, xid=5).unanswered(resend=[10])
    pair.at(50)
    pair.ping()
    assert locks_of(tables(**pair.captures(CUT_S))["calls"]) == [
        (0, 0, 0, "answered", 0),
        (1, None, 1, "unanswered", None),
    ]


def test_an_xid_of_another_procedure_is_another_call(pair: Pair, tables: Read) -> None:
    pair.client.lock(pair.server, xid=5).unanswered(resend=[10.1])
    pair.at(30)
    pair.client.call(pair.server, "nlm4", "TEST", xid=5).reply(stat="GRANTED")
    assert locks_of(tables(**pair.captures(CUT_S))["calls"]) == [(0, None, 1, "unanswered", None)]


def test_captures_by_different_clocks_have_no_exchange_in_common(pair: Pair, tables: Read) -> None:
    """The second one is the client's: nothing says that it was taken later."""
    lock = pair.client.lock(pair.server).unanswered(resend=[10, 30])
    lock.granted(after=61.6)
    second = shifted(pair.captures(CUT_S, at=pair.client)["mike"], 600)
    read = tables(alpha=pair.captures(CUT_S)["alpha"], omega=second)
    assert read["captures"]["clock"].tolist() == [0, 1]
    assert [row[:2] for row in locks_of(read["calls"])] == [(0, None), (1, 1)]


def test_both_ends_captured_one_after_the_other(pair: Pair, tables: Read) -> None:
    """Each message is in two captures, and the exchange in four."""
    for _ in range(3):
        pair.ping()
    lock = pair.client.lock(pair.server).unanswered(resend=[10, 30])
    pair.at(35)
    for _ in range(3):
        pair.ping()
    lock.granted(after=61.6)
    ends = [pair.captures(CUT_S, at=end) for end in (pair.server, pair.client)]
    read = tables(alpha=ends[0]["alpha"], bravo=ends[1]["alpha"], omega=ends[0]["mike"], zulu=ends[1]["mike"])
    assert read["captures"]["clock"].tolist() == [0, 0, 0, 0]
    assert [row[2:] for row in locks_of(read["calls"])] == [(2, "answered", 62)]


@pytest.mark.parametrize(("cut_s", "waited_s"), [(8, 158), (45, 158), (121, 158), (130, 120)])
def test_a_lock_waits_to_the_end_of_the_capture_that_shows_its_last_request(
    pair: Pair, tables: Read, cut_s: float, waited_s: int
) -> None:
    """A client that waits asks again every 30 s, with a new xid; the last time after 122 s."""
    second = pair.scenario.host("10.0.0.2", name="web-2")
    pair.client.lock(pair.server, "/srv/a").granted()
    for seconds in range(2, 152, 30):
        pair.at(seconds)
        second.lock(pair.server, "/srv/a").blocked()
    pair.at(160)
    second.getattr(pair.server, "/srv")
    _, waiting = tables(**pair.captures(cut_s))["locks"].rows()
    assert (waiting.state, waiting.polls, round(waiting.wait_s or 0)) == ("waiting", 4, waited_s)
