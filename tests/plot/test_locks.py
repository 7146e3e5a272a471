"""What the picture of locks shows: lanes, bars, marks."""

from __future__ import annotations

from typing import Any

import pytest

from nfsrpc.plot.locks import MOST_LANES, Lane, SessionBar, chart, lanes_of, longest_waits, sessions_of, side_by_side
from nfsrpc.sessions import Sessions
from tests.plot.conftest import Of, Sample
from tests.scenario import Scenario

Shown = list[tuple[Any, ...]]


def lanes(tables: Sessions, by: Any = "file") -> Shown:
    """Headings, and lanes with the rows of locks in them."""
    chosen, _ = longest_waits(list(sessions_of(tables, by)))
    return [
        (lane.label,) if lane.heading else (lane.label, *(session.row for session in lane.sessions))
        for lane in lanes_of(chosen)
    ]


def test_a_lane_for_each_client_of_a_file(sample: Sample) -> None:
    tables = sample("contended/nfssrv-any.pcap")
    assert lanes(tables) == [("/export/lockme on 10.1.84.31",), ("cl1 10.1.84.41", 0, 2), ("cl2 10.1.84.42", 1, 3)]


def test_lanes_are_of_nothing_else(sample: Sample) -> None:
    with pytest.raises(ValueError, match="by is 'client': it is one of file, owner"):
        chart(sample("contended/nfssrv-any.pcap"), "client", dark=False)  # type: ignore[arg-type]


def test_a_lane_for_each_owner_of_a_client(sample: Sample) -> None:
    assert lanes(sample("contended/nfssrv-any.pcap"), "owner") == [
        ("cl1 10.1.84.41",),
        ("0@cl1 /export/lockme", 0),
        ("1@cl1 /export/lockme", 2),
        ("cl2 10.1.84.42",),
        ("0@cl2 /export/lockme", 1),
        ("1@cl2 /export/lockme", 3),
    ]


def test_waits_and_holds(sample: Sample) -> None:
    tables = sample("contended/nfssrv-any.pcap")
    locks = tables["locks"]
    for session, row in zip(sessions_of(tables, "file"), locks.rows(), strict=True):
        assert (session.requested, session.held, session.end) == (row.requested, row.granted, row.released)
        assert (session.open, session.events) == (False, (("granted", row.granted),))
        assert session.wait == row.granted - row.requested
    assert [session.text for session in sessions_of(tables, "file")] == [
        "exclusive, whole file",
        "exclusive, whole file",
        "exclusive, bytes 0–99",
        "exclusive, bytes 50–59",
    ]


def test_asked_again_and_still_at_it_when_the_capture_ends(sample: Sample) -> None:
    tables = sample("waiting-behind-a-dead-client/nfssrv-any.pcap")
    holder, waiter = sessions_of(tables, "file")
    last = tables["captures"].row(0).last
    assert (holder.open, holder.end, waiter.open, waiter.end) == (True, last, True, last)
    assert (waiter.held, waiter.holder) == (None, 0)
    assert [what for what, _ in waiter.events] == ["asked again"] * 6
    assert [round((time - waiter.requested) / 30.73e9, 1) for _, time in waiter.events if waiter.requested] == [
        1,
        2,
        3,
        4,
        5,
        6,
    ]


def test_copies_of_a_call_are_asked_again(sample: Sample) -> None:
    first, *others = sessions_of(sample("server-without-statd/nfssrv-any.pcap"), "file")
    again = [round((time - (first.requested or 0)) / 1e9, 1) for what, time in first.events if what == "asked again"]
    assert again == [10.3, 31.8, 60.5]
    assert [what for other in others for what, _ in other.events] == ["granted"] * 3


def test_denied_and_given_up(tables: Of) -> None:
    s = Scenario()
    server, one, two = s.host("10.0.0.9"), s.host("10.0.0.1", name="a"), s.host("10.0.0.2", name="b")
    one.lock(server).granted()
    two.lock(server, svid=2).denied()
    s.wait(40)
    waits = two.lock(server, svid=3).blocked()
    s.wait(5)
    waits.cancel().granted()
    found = {session.owner: session for session in sessions_of(tables(s), "file")}
    assert [what for what, _ in found["2@b"].events] == ["denied"]
    assert [what for what, _ in found["3@b"].events] == ["given up"]
    assert found["3@b"].end == found["3@b"].events[0][1]
    assert not found["3@b"].open


def test_held_since_before_the_capture(tables: Of, tmp_path: Any) -> None:
    s = Scenario()
    server, one = s.host("10.0.0.9"), s.host("10.0.0.1", name="a")
    taken = one.lock(server).granted()
    s.wait(60)
    one.getattr(server, "/srv")
    taken.unlock().granted()
    path = tmp_path / "late.pcap"
    path.write_bytes(s.capture(since=50))
    from nfsrpc.decode import decode
    from nfsrpc.sessions import WANTED

    late = Sessions(decode([path], WANTED))
    (session,) = sessions_of(late, "file")
    assert (session.requested, session.held) == (None, late["captures"].row(0).first)


def session(
    row: int, begin: int, end: int, *, lane: str = "a", holder: int | None = None, waits: int = 0
) -> SessionBar:
    return SessionBar(row, "file", lane, f"{row}@a", begin, begin + waits, end, False, holder, (), "")


def test_what_overlaps_has_a_row_of_its_own() -> None:
    sessions = [session(0, 0, 10), session(1, 5, 7), session(2, 7, 8), session(3, 10, 12), session(4, 6, 20)]
    rows = [[one.row for one in row] for row in side_by_side(sessions)]
    assert rows == [[0, 3], [1, 2], [4]]
    assert [(lane.label, len(lane.sessions)) for lane in lanes_of(sessions)] == [
        ("file", 0),
        ("a", 2),
        ("", 2),
        ("", 1),
    ]


def test_of_many_lanes_the_longest_waits_and_who_let_them_wait() -> None:
    quick = [session(row, row, row + 1, lane=f"lane {row}", waits=1) for row in range(2, 100)]
    holder = session(0, 0, 90, lane="holder")
    waiter = session(1, 1, 99, lane="waiter", holder=0, waits=89)
    chosen, left_out = longest_waits([holder, waiter, *quick])
    assert {one.lane for one in chosen} >= {"holder", "waiter"}
    assert (len({one.lane for one in chosen}), left_out) == (MOST_LANES, 100 - MOST_LANES)


@pytest.mark.parametrize("sessions", [[], [session(0, 0, 1)]])
def test_lanes_of_nothing(sessions: list[SessionBar]) -> None:
    assert [type(lane) for lane in lanes_of(sessions)] == [Lane] * (2 * len(sessions))
