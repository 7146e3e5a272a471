"""Calls: named, timed, and unanswered only where a reply would have been captured."""

from __future__ import annotations

import struct

import numpy as np
import pytest

from nfsrpc.columns import DTYPES, Coded, Masked
from nfsrpc.decode import decode
from nfsrpc.sessions import COUNTING, WANTED, Sessions
from nfsrpc.sessions.grouping import SMALL, group, number
from nfsrpc.tables import TABLES
from tests.records import records_of
from tests.scenario import Scenario, handle
from tests.sessions.conftest import Read
from tests.wire import shifted


class Pair:
    def __init__(self) -> None:
        self.s = Scenario()
        self.server = self.s.host("10.0.0.9", name="nfssrv")
        self.client = self.s.host("10.0.0.1", name="web-1")

    def go_on(self, seconds: float) -> None:
        """So long the capture goes on, and shows it by another call."""
        self.s.wait(seconds)
        self.client.getattr(self.server, "/srv")


@pytest.fixture
def pair() -> Pair:
    return Pair()


def states(read: Sessions, procedure: str) -> list[str | None]:
    calls = read["calls"]
    return [row.state for row in calls.where(calls["procedure"] == procedure).rows()]


def test_a_row_of_calls(pair: Pair, tables: Read) -> None:
    pair.client.lock(pair.server, xid=77).granted(after=1.5)
    (row,) = tables(pair.s.capture(at=pair.server))["calls"].rows()
    assert (row.capture, row.call_frame, row.reply_frame, row.xid) == (0, 4, 6, 77)  # the 5th acknowledges
    assert (row.client, row.server, row.server_port, row.transport) == ("10.0.0.1", "10.0.0.9", 32803, "tcp")
    assert (row.prog, row.vers, row.proc, row.program, row.procedure) == (100021, 4, 2, "nlm", "LOCK")
    assert (row.rpc_status, row.status, row.retransmits, row.duplicates, row.state) == (0, 0, 0, 0, "answered")
    assert (row.machine, row.flavor, row.loopback, row.duplicate_of, row.latency_s) == ("web-1", 1, False, None, 1.5)
    assert row.reply_time - row.time == 1_500_000_000


def test_copies_are_numbered_and_timed(pair: Pair, tables: Read) -> None:
    pair.client.lock(pair.server).granted(after=61.6, resent=[10.2, 31.7], copies=3)
    rows = list(tables(pair.s.capture())["copies"].rows())
    assert [(row.reply, row.copy) for row in rows] == [(False, 1), (False, 2), (True, 1), (True, 2)]
    assert [round(row.after_s, 1) for row in rows] == [10.2, 31.7, 61.6, 61.6]
    assert [row.status for row in rows] == [None, None, 0, 0]


@pytest.mark.parametrize(("seconds", "state"), [(20, "unanswered"), (5, "undecided")])
@pytest.mark.parametrize("transport", ["tcp", "udp"])
def test_a_capture_that_ends_too_soon_cannot_tell(
    pair: Pair, tables: Read, seconds: float, state: str, transport: str
) -> None:
    pair.client.call(pair.server, "nlm4", "NULL", transport=transport)
    pair.go_on(seconds)
    assert states(tables(pair.s.capture()), "NULL") == [state]


def test_a_direction_that_was_not_captured_cannot_tell(pair: Pair, tables: Read) -> None:
    pair.client.getattr(pair.server, "/srv")
    pair.go_on(20)
    assert states(tables(pair.s.capture(sent_by=pair.client)), "GETATTR") == ["undecided", "undecided"]
    replies = tables(pair.s.capture(sent_by=pair.server))["calls"]
    assert [(row.state, row.call_frame, row.prog, row.procedure) for row in replies.rows()] == [
        ("orphan", None, None, None)
    ] * 2


def test_what_nobody_acknowledges_and_nobody_sends_again_was_acknowledged_unseen(pair: Pair, tables: Read) -> None:
    pair.client.getattr(pair.server, "/srv")
    pair.client.call(pair.server, "nfs3", "GETATTR", acked=False)
    pair.s.wait(60)
    pair.client.getattr(pair.server, "/srv", port=2050)
    assert states(tables(pair.s.capture()), "GETATTR") == ["answered", "undecided", "answered"]


def test_the_server_is_heard_elsewhere(pair: Pair, tables: Read) -> None:
    """A UDP port that never answers, of a host that answers on others."""
    pair.client.getport(pair.server, "nsm1", transport="udp")
    pair.client.call(pair.server, "mount3", "NULL", transport="udp").unanswered(resend=[3])
    pair.go_on(20)
    assert states(tables(pair.s.capture()), "NULL") == ["unanswered"]


def test_calls_come_in_the_order_of_frames(pair: Pair, tables: Read) -> None:
    slow = pair.client.lock(pair.server)
    pair.client.getattr(pair.server, "/srv")
    slow.granted(after=70)
    pair.client.getattr(pair.server, "/srv")
    calls = tables(pair.s.capture())["calls"]
    assert calls["call_frame"].tolist() == sorted(calls["call_frame"].tolist())
    assert [row.procedure for row in calls.rows()] == ["LOCK", "GETATTR", "GETATTR"]


def test_programs_count_and_time(pair: Pair, tables: Read) -> None:
    for latency in (1, 2, 3, 4):
        pair.client.lock(pair.server, svid=latency).granted(after=latency)
    pair.client.lock(pair.server, svid=9).denied("DENIED_NOLOCKS")
    pair.client.lock(pair.server, svid=10).blocked()
    pair.client.lock(pair.server, svid=11).error("SYSTEM_ERR")
    pair.client.lock(pair.server, svid=12).unanswered(resend=[1, 2])
    (row,) = tables(pair.s.capture())["programs"].rows()
    assert (row.program, row.vers, row.procedure, row.calls, row.replies) == ("nlm", 4, "LOCK", 8, 7)
    assert (row.unanswered, row.undecided, row.retransmits, row.duplicates, row.errors) == (0, 1, 2, 0, 2)
    assert (row.p50, row.p95, row.p99, row.max) == (1.0, 4.0, 4.0, 4.0)


@pytest.mark.parametrize(
    ("since", "parts"),
    [(-5.0, 1), (5.0, 1), (40.0, 1), (65.0, 0)],
    ids=["both show all", "from the first retransmission on", "the reply alone", "nothing of it"],
)
@pytest.mark.parametrize("order", [1, -1])
def test_a_capture_that_is_begun_while_a_call_waits_shows_a_part_of_it(
    pair: Pair, tables: Read, since: float, parts: int, order: int
) -> None:
    pair.go_on(10)
    pair.go_on(0.1)
    begun = (pair.s.now - pair.s.packets()[0].time) / 1e9
    pair.client.lock(pair.server).granted(after=61.6, resent=[10.2, 31.7])
    for _ in range(3):
        pair.go_on(5)
    captures = [pair.s.capture(pair.server), pair.s.capture(pair.client, since=begun + since)]
    read = tables(**dict(zip("ab", captures[::order], strict=True)))
    calls = read["calls"]
    locks = calls.where((calls["procedure"] == "LOCK") | (calls["state"] == "orphan"))
    (whole,) = locks.where(~locks.valid("duplicate_of")).rows()
    assert (whole.latency_s, whole.retransmits) == (61.6, 2)
    assert locks["duplicate_of"][locks.valid("duplicate_of")].tolist() == [whole.exchange] * parts
    assert len(read["locks"]) == 1


def test_a_call_that_is_lost_on_the_way_to_a_capture_is_one_with_its_retransmission(pair: Pair, tables: Read) -> None:
    for _ in range(3):
        pair.go_on(1)
    pair.s.wait(1)
    frame = len(pair.s.packets()) + 1
    pair.client.lock(pair.server, transport="udp").granted(after=20.0, resent=[10.2])
    read = tables(client=pair.s.capture(pair.client), server=pair.s.capture(pair.server, lost=[frame]))
    calls = read["calls"].where(read["calls"]["procedure"] == "LOCK")
    assert calls["latency_s"].round(1).tolist() == [20.0, 9.8]
    assert calls.valid("duplicate_of").tolist() == [False, True]


def test_a_reply_alone_long_after_that_of_another_call_with_the_same_number_is_none_of_it(
    pair: Pair, tables: Read
) -> None:
    pair.client.lock(pair.server, xid=5).granted(after=20.0, resent=[10.2])
    first = pair.s.capture(pair.server, "any", link="sll2")
    pair.s.wait(5)
    frames = len(pair.s.packets())
    pair.client.lock(pair.server, xid=5).granted(after=0.01)
    second = pair.s.capture(pair.server, "any", link="sll2", lost=range(frames + 2))
    calls = tables(first=first, second=second)["calls"]
    assert [(row.state, row.duplicate_of) for row in calls.rows()] == [("answered", None), ("orphan", None)]


def test_two_calls_of_one_capture_are_two(pair: Pair, tables: Read) -> None:
    pair.client.lock(pair.server, xid=5).granted(after=20.0, resent=[10.2])
    pair.s.wait(1)
    pair.client.lock(pair.server, xid=5).granted()
    read = tables(all=pair.s.capture(pair.server), none=pair.s.capture(pair.server, until=0))
    assert int((~read["calls"].valid("duplicate_of")).sum()) == 2


@pytest.mark.parametrize("seconds", [0, 40, -40])
def test_a_call_without_a_reply_is_no_whole_of_which_others_show_a_part(pair: Pair, tables: Read, seconds: int) -> None:
    """What has no reply has no time of it either, by whatever clock."""
    pair.go_on(1)
    pair.s.wait(1)
    frame = len(pair.s.packets()) + 1
    pair.client.lock(pair.server, xid=5, transport="udp").unanswered(resend=[10.2])
    for _ in range(3):
        pair.go_on(20)
    first = pair.s.capture(pair.server)
    pair.client.lock(pair.server, xid=5, transport="udp").granted()
    second = pair.s.capture(pair.client, lost=[frame, frame + 1])
    calls = tables(a=shifted(second, seconds), b=first)["calls"]
    locks = calls.where((calls["procedure"] == "LOCK") & ~calls.valid("duplicate_of"))
    assert sorted(locks["state"].tolist()) == ["answered", "unanswered"]


@pytest.mark.parametrize(("after", "count"), [(2.9, 1), (3.1, 2)])
def test_a_call_with_the_same_number_well_after_the_reply_is_another(
    pair: Pair, tables: Read, after: float, count: int
) -> None:
    lock = pair.client.lock(pair.server, xid=5).granted(after=20.0, resent=[10.2])
    first = pair.s.capture(pair.server, "any", link="sll2")
    begun = (lock.time - pair.s.packets()[0].time) / 1e9 + 20.5
    pair.s.wait(after)
    pair.client.lock(pair.server, xid=5).granted(after=0.01)
    calls = tables(first=first, second=pair.s.capture(pair.server, "any", link="sll2", since=begun))["calls"]
    assert int((~calls.valid("duplicate_of")).sum()) == count


def test_two_vantages_are_one_call(pair: Pair, tables: Read) -> None:
    pair.client.lock(pair.server).granted(after=2)
    pair.client.monitor(pair.server).reply(res_stat="STAT_SUCC", state=3)
    pair.server.monitor(pair.client).reply(res_stat="STAT_SUCC", state=5)
    both = {"a_server": pair.s.capture(at=pair.server, on="any"), "b_client": pair.s.capture(at=pair.client, on="any")}
    read = tables(**both)
    calls = read["calls"]
    once = calls.where(~calls.valid("duplicate_of"))
    assert [(row.capture, row.procedure, row.client) for row in once.rows()] == [
        (0, "LOCK", "10.0.0.1"),
        (0, "SM_MON", "10.0.0.9"),  # each host's loopback is its own
        (1, "SM_MON", "10.0.0.1"),
    ]
    assert {row.procedure: row.calls for row in read["programs"].rows()} == {"LOCK": 1, "SM_MON": 2}
    assert [row.host for row in read["monitors"].rows()] == ["10.0.0.9", "10.0.0.1"]


def test_clocks_that_differ_by_an_hour(tables: Read) -> None:
    captures = {}
    for name, start in (("a_server", 1_700_000_000.0), ("b_client", 1_700_003_600.0)):
        s = Scenario(start)
        server, client = s.host("10.0.0.9"), s.host("10.0.0.1")
        for svid in range(5):
            client.lock(server, svid=svid).granted(after=1)
        captures[name] = s.capture(at=server)
    read = tables(**captures)
    assert read["calls"].valid("duplicate_of").tolist() == [False] * 5 + [True] * 5
    assert [row.offset_s for row in read["captures"].rows()] == [0.0, 3600.0]
    assert [row.drift_ppm for row in read["captures"].rows()] == [0.0, 0.0]
    assert [row.state for row in read["locks"].rows()] == ["held"] * 5


def test_a_clock_that_gains(pair: Pair, tables: Read) -> None:
    """A lock a second for ten minutes; the client's clock gains 200 µs a second."""
    for svid in range(600):
        pair.client.lock(pair.server, svid=svid).granted()
        pair.s.wait(1)
    server = pair.s.capture(at=pair.server)
    client = b"".join([server[:24], *(gained(record, 200e-6) for record in records_of(server))])
    first, second = tables(a_server=server, b_client=client)["captures"].rows()
    assert (first.offset_s, first.drift_ppm) == (0.0, 0.0)
    assert second.drift_ppm == pytest.approx(200, abs=2)
    (alone,) = tables(server)["captures"].rows()
    assert (alone.offset_s, alone.drift_ppm) == (None, None)


def gained(record: bytes, share: float) -> bytes:
    """A record of a pcap by a clock that gains on its own since the scenario's start."""
    second, nanosecond = struct.unpack_from("<II", record)
    time = second * 10**9 + nanosecond
    time += round((time - 1_700_000_000 * 10**9) * share)
    return struct.pack("<II", *divmod(time, 10**9)) + record[8:]


def test_the_sighting_that_has_the_reply_counts(pair: Pair, tables: Read) -> None:
    pair.client.lock(pair.server).granted(after=2)
    whole = pair.s.capture(at=pair.client)
    half = pair.s.capture(at=pair.server, sent_by=pair.client, twice=True)  # more frames: else it would come second
    calls = tables(server=half, client=whole)["calls"]
    assert [(row.capture, row.state, row.duplicate_of is None) for row in calls.rows()] == [
        (0, "undecided", False),
        (1, "answered", True),
    ]


@pytest.mark.parametrize(
    ("counted_s", "state"), [(-10.1, "unanswered"), (-9.9, "undecided"), (9.9, "undecided"), (10.1, "unanswered")]
)
def test_what_another_vantage_may_have_counted_cannot_tell(pair: Pair, counted_s: float, state: str) -> None:
    """The server's capture lacks the call and has counted one of its kind, sooner or later."""
    for svid in range(3):
        pair.client.lock(pair.server, svid=svid, transport="udp").granted()
    for is_counted in sorted((True, False), reverse=counted_s < 0):
        call = pair.client.call(pair.server, "nfs3", "GETATTR", transport="udp")
        if is_counted:
            call.reply()
        pair.s.wait(abs(counted_s))
    pair.go_on(20)
    frame = 9 if counted_s < 0 else 7
    captures = [pair.s.capture(at=pair.client), pair.s.capture(at=pair.server, lost=[frame])]
    calls = Sessions(decode(captures, WANTED, counting=COUNTING))["calls"]
    listed = calls.where(calls["procedure"] == "GETATTR")
    assert [(row.capture, row.call_frame, row.state) for row in listed.rows()] == [(0, frame, state)]


def test_an_xid_that_is_used_again_is_another_call(pair: Pair, tables: Read) -> None:
    for _ in range(2):
        pair.client.lock(pair.server, xid=5).granted()
        pair.s.wait(60)
    both = {"server": pair.s.capture(at=pair.server), "client": pair.s.capture(at=pair.client)}
    assert tables(**both)["calls"].valid("duplicate_of").tolist() == [False, False, True, True]


def test_every_column_is_as_declared(pair: Pair, tables: Read) -> None:
    """All tables of a trace that has something of everything, against their declarations."""

    pair.client.getport(pair.server, "nlm4")
    waiting = pair.client.lock(pair.server).blocked()
    waiting.granted()
    waiting.cancel().denied()
    pair.client.monitor(pair.server).reply(res_stat="STAT_SUCC", state=3)
    pair.client.mount(pair.server, "/srv")
    pair.client.lock(pair.server, svid=3).granted(after=20, resent=[10], copies=2)
    pair.client.call(pair.server, "nfs3", "WRITE", file=handle("/srv/a"), count=4, data=b"data").reply(status="OK")
    read = tables(pair.s.capture(at=pair.client, on="any"))
    for name in read:
        table, spec = read[name], TABLES[name]
        assert table.columns == tuple(column.name for column in spec.columns)
        assert len(table) or name in ("oddities", "tallies")
        for column in spec.columns:
            data = table.data(column.name)
            assert len(table.values(column.name)) == len(table)
            if column.kind == "text":
                assert isinstance(data, Coded), (name, column.name)
                continue
            values = data.values if isinstance(data, Masked) else data
            assert values.dtype == np.dtype(DTYPES[column.kind.rstrip("?")]), (name, column.name, values.dtype)
        assert len(table.frame()) == len(table)


@pytest.mark.parametrize(
    "values",
    [[3, 1, 3], [SMALL + 5, 1, SMALL + 5], [2**32 - 1, 2**32 - 1, 0], [-5, 7, -5], [0] * 4, []],
)
def test_equal_values_get_equal_numbers(values: list[int]) -> None:
    numbers, count = number(np.array(values, dtype=np.int64))
    assert count == len(set(values))
    pairs = {(value, at) for value, at in zip(values, numbers.tolist(), strict=True)}
    assert len(pairs) == len({value for value, _ in pairs}) == len({at for _, at in pairs}) == count
    assert all(0 <= at < count for at in numbers.tolist())


def test_groups_are_of_rows_that_agree_in_all_columns() -> None:
    groups, first = group(np.array([1, 2, 1, 1]), np.array([5, 5, 5, 6]))
    assert groups.tolist()[0] == groups.tolist()[2]
    assert len(set(groups.tolist())) == 3
    assert sorted(first.tolist()) == [0, 1, 3]


@pytest.mark.parametrize(("lost", "state"), [(False, "unanswered"), (True, "undecided")])
def test_a_reply_among_what_the_capture_lacks(pair: Pair, tables: Read, lost: bool, state: str) -> None:
    pair.client.call(pair.server, "nfs3", "GETATTR").unanswered()
    if lost:
        pair.client.lock(pair.server, port=2049).granted()
    number = len(pair.s.packets())
    pair.go_on(20)
    assert states(tables(pair.s.capture(lost=[number - 1] if lost else [])), "GETATTR")[0] == state
