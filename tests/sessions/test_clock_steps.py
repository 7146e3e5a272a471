"""Steps of a capturing host's clock."""

from __future__ import annotations

import struct
from typing import Any

import pytest

from benchmarks.attacks import CLIENT, SERVER, STATD, Ends, Writer, block, pcapng
from nfsrpc.protocols.numbers import Prog
from tests.records import clock_set, records_of
from tests.scenario import Scenario
from tests.sessions.conftest import Read

HOUR = 3600
START = 1_700_000_000 * 10**9


@pytest.fixture
def s() -> Scenario:
    """A lock each second, each released; the third waits for half a second."""
    s = Scenario()
    server, client = s.host("10.0.0.9"), s.host("10.0.0.1", name="a")
    for number in range(6):
        client.lock(server, svid=number).granted(after=0.5 if number == 3 else None).unlock().granted()
        s.wait(1)
    return s


def steps(tables: Read, *captures: bytes) -> list[tuple[Any, ...]]:
    found = tables(**{f"file-{number}": capture for number, capture in enumerate(captures)})["oddities"]
    return [(row.kind, row.capture, row.frame) for row in found.rows()]


def frame_of(tables: Read, capture: bytes, number: int, name: str = "call_frame") -> int:
    """The frame of the so manieth call, or of its reply."""
    return int(tables(capture)["calls"][name][number])


def test_none(s: Scenario, tables: Read) -> None:
    found = tables(s.capture())
    assert (len(found["oddities"]), found["quality"].row(0).clock_steps) == (0, 0)


@pytest.mark.parametrize("name", ["call_frame", "reply_frame"])
def test_set_back(s: Scenario, tables: Read, name: str) -> None:
    """Between two calls of a connection that goes on, or between a call and its reply."""
    frame = frame_of(tables, s.capture(), 6, name)
    found = tables(clock_set(s.capture(), frame, -HOUR))
    (step,) = found["oddities"].rows()
    first = frame_of(tables, s.capture(), 6 + (name == "reply_frame"))
    assert (step.kind, step.capture, step.frame) == ("clock-set-back", 0, first)
    assert step.time == pytest.approx(START + (3 - HOUR) * 10**9, abs=10**9)
    assert step.detail == pytest.approx(HOUR * 10**9, abs=2 * 10**9)
    quality = found["quality"].row(0)
    assert (quality.clock_steps, quality.oddities) == (1, 0)


def test_set_back_while_only_replies_were_captured(s: Scenario, tables: Read) -> None:
    replies = s.capture(sent_by=s.hosts[0])
    frame = int(tables(replies)["calls"]["reply_frame"][6])
    assert steps(tables, clock_set(replies, frame, -HOUR)) == [("clock-set-back", 0, frame)]


def test_reordering_is_no_step(s: Scenario, tables: Read) -> None:
    frame = frame_of(tables, s.capture(), 6)
    assert steps(tables, clock_set(s.capture(), frame, -2)) == []


def test_a_single_frame_with_a_wrong_time_is_no_step(s: Scenario, tables: Read) -> None:
    frame = frame_of(tables, s.capture(), 6)
    capture = clock_set(clock_set(s.capture(), frame, -HOUR), frame + 1, HOUR)
    assert steps(tables, capture) == [("frame-time", 0, frame)]
    assert tables(capture)["quality"].row(0).clock_steps == 0
    # It has the time of the frame before, a second earlier.
    assert tables(capture)["calls"]["latency_s"].max() < 1.5


def test_files_that_were_joined_are_no_step(s: Scenario, tables: Read) -> None:
    """The later one first: nothing goes on from one to the other."""
    capture = s.capture()
    cut = sum(map(len, list(records_of(capture))[: frame_of(tables, capture, 6) - 1])) + 24
    assert steps(tables, capture[:24] + capture[cut:] + capture[24:cut]) == []
    assert steps(tables, capture[:24] + capture[cut:], capture[:cut]) == []


def test_set_forward_while_a_call_waits(s: Scenario, tables: Read) -> None:
    reply = frame_of(tables, s.capture(), 6, "reply_frame")
    assert steps(tables, clock_set(s.capture(), reply, HOUR)) == [("clock-set-forward", 0, reply)]


def test_a_pause_is_no_step(s: Scenario, tables: Read) -> None:
    call = frame_of(tables, s.capture(), 6)
    assert steps(tables, clock_set(s.capture(), call, HOUR)) == []


def test_a_call_that_waits_while_others_go_on_is_no_step(tables: Read) -> None:
    s = Scenario()
    server, client = s.host("10.0.0.9"), s.host("10.0.0.1", name="a")
    lock = client.lock(server)
    s.wait(HOUR / 2)
    client.getattr(server, "/srv")
    lock.granted(after=HOUR)
    assert steps(tables, s.capture()) == []


def test_a_call_that_is_sent_again_is_no_step(tables: Read) -> None:
    s = Scenario()
    server, client = s.host("10.0.0.9"), s.host("10.0.0.1", name="a")
    client.lock(server).granted(after=HOUR, resent=[60])
    assert steps(tables, s.capture()) == []


def test_set_back_while_the_last_calls_wait(tables: Read) -> None:
    """No call comes after the step: only replies show it."""
    s = Scenario()
    server, client = s.host("10.0.0.9"), s.host("10.0.0.1", name="a")
    waiting = [client.lock(server, svid=svid) for svid in range(4)]
    s.wait(1)
    for lock in waiting:
        lock.granted()
    frame = int(tables(s.capture())["calls"]["reply_frame"].min())
    assert steps(tables, clock_set(s.capture(), frame, -HOUR)) == [("clock-set-back", 0, frame)]


def test_a_reply_long_before_its_call_is_no_step_forward(tables: Read) -> None:
    """By more than a number of 64 bits holds: times in pcapng may lie up to 292 years from 1970, on either side."""
    writer, ends = Writer(), Ends(CLIENT, 700, SERVER, STATD)
    writer.time = (1 << 63) - 2000
    xid = writer.call(ends, Prog.NSM, 1, 0)
    writer.reply(ends, xid)
    call, (_, _, reply) = writer.frames
    offset = block(1, struct.pack("<HHI", 1, 0, 0) + struct.pack("<HHqHH", 14, 8, -8_000_000_000, 0, 0))
    parts = [pcapng([call]), offset]
    parts.append(block(6, struct.pack("<IIIII", 1, 0, 0, len(reply), len(reply)) + reply + bytes(-len(reply) % 4)))
    assert "clock-set-forward" not in [kind for kind, *_ in steps(tables, b"".join(parts))]
