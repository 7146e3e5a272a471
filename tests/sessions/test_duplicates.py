"""One message in captures of several vantages is one, though their clocks differ and drift."""

from collections.abc import Sequence

import numpy as np
import pytest

from nfsrpc.columns import NAT
from nfsrpc.sessions.duplicates import COMPARABLE, SHORTEST_TIMER, Places, Sightings

SECOND = 10**9
HOUR = 3600


def two_vantages(offset_s: float, ppm: float, hours: float, messages: int = 400) -> tuple[Sightings, int]:
    """Messages of a client that uses some xids again in the end, seen by a second clock."""
    true = np.linspace(0, hours * HOUR, messages) * SECOND
    xid = np.arange(messages) % (messages - messages // 10)
    other = true * (1 + ppm / 1e6) + offset_s * SECOND
    time = np.concatenate([true, other]).astype(np.int64)
    vantage = np.repeat([0, 1], messages)
    return Sightings([np.tile(xid, 2)], time, vantage, 2), messages


@pytest.mark.parametrize("ppm", [0.0, 50.0, -300.0])
@pytest.mark.parametrize("offset_s", [0.0, 86_400.0, -3.5])
def test_offset_and_drift(offset_s: float, ppm: float) -> None:
    sightings, _ = two_vantages(offset_s, ppm, hours=10)
    assert sightings.clocks.drift[1] == pytest.approx(ppm / 1e6, abs=1e-7)
    assert sightings.clocks.offset[1] == pytest.approx(offset_s * SECOND, abs=SECOND * 36_000 * 300e-6)


@pytest.mark.parametrize("ppm", [0.0, 50.0, -300.0])
def test_messages_seen_twice_count_once_however_long_the_capture(ppm: float) -> None:
    sightings, messages = two_vantages(12.0, ppm, hours=24)
    counted = sightings.counted(np.zeros(2 * messages, dtype=np.int64))
    assert (counted[:messages] == -1).all()
    assert counted[messages:].tolist() == list(range(messages))


def test_jitter_is_no_drift() -> None:
    sightings, messages = two_vantages(1.0, 0.0, hours=0.05)
    jitter = np.random.default_rng(1).normal(0, 5e6, messages).astype(np.int64)
    sightings.time[messages:] += jitter
    assert sightings.clocks.drift.tolist() == [0.0, 0.0]


def test_few_messages_have_no_drift() -> None:
    sightings, _ = two_vantages(1.0, 300.0, hours=10, messages=20)
    assert sightings.clocks.drift.tolist() == [0.0, 0.0]
    sightings, _ = two_vantages(1.0, 300.0, hours=0.01)
    assert sightings.clocks.drift.tolist() == [0.0, 0.0]


def test_what_one_vantage_shows_twice_is_two() -> None:
    """A client that is refused tries again at once from the same port: both vantages see each try."""
    time = np.array([0, 100, 1, 101]) * SECOND // 1000
    sightings = Sightings([np.zeros(4, dtype=np.int64)], time, np.array([0, 0, 1, 1]), 2)
    assert sightings.counted(np.zeros(4, dtype=np.int64)).tolist() == [-1, -1, 0, 1]


@pytest.mark.parametrize("seed", range(5))
def test_clocks_are_compared_with_the_first_vantage_that_shares_enough(seed: int) -> None:
    """As by a table of all vantages by all messages, which would be too large for many of either."""
    chance = np.random.default_rng(seed)
    size, vantages = 40, 5
    key, vantage = np.divmod(chance.permutation(25 * vantages)[:size], vantages)
    time = chance.integers(0, 1000, size) * HOUR * SECOND
    sightings = Sightings([key], time, vantage, vantages)
    offset, reference = np.zeros(vantages, dtype=np.int64), np.full(vantages, NAT)
    of_key = [dict(zip(vantage[key == each].tolist(), time[key == each].tolist(), strict=True)) for each in range(25)]

    def enough(one: int, other: int) -> bool:
        between = range(min(one, other) + 1, max(one, other))
        return sum({one, other} <= set(seen) and not set(between) & set(seen) for seen in of_key) >= COMPARABLE

    for first in range(vantages):
        if reference[first] == NAT:
            reference[first] = first
        while True:
            known, left = np.flatnonzero(reference == first), np.flatnonzero(reference == NAT)
            pairs = [(other, its) for other in left.tolist() for its in known.tolist() if enough(other, its)]
            if not pairs:
                break
            other, its = pairs[0]
            apart = [seen[other] - seen[its] for seen in of_key if {other, its} <= set(seen)]
            offset[other], reference[other] = offset[its] + int(np.median(apart)), first
    assert sightings.clocks.reference.tolist() == reference.tolist()
    assert sightings.clocks.offset.tolist() == offset.tolist()


def shared(apart: Sequence[int], whole: Sequence[bool], places: Places = ()) -> Sightings:
    """Calls that two vantages show, so many nanoseconds apart."""
    calls = len(apart)
    sent = np.arange(calls) * HOUR * SECOND
    time, vantage = np.concatenate([sent, sent + np.array(apart)]), np.repeat([0, 1], calls)
    return Sightings([np.tile(np.arange(calls), 2)], time, vantage, 2, places=places, whole=np.tile(whole, 2))


@pytest.mark.parametrize(
    ("apart", "whole", "reference"),
    [
        ([58 * SECOND], [False], 1),  # a call and its retransmission
        ([58 * SECOND] * 9, [False] * 9, 1),  # of a server that was down, as many as there are
        ([58 * SECOND], [True], 1),  # the reply may have been lost
        ([58 * SECOND] * 2, [True, False], 1),
        ([58 * SECOND] * 2, [True, True], 0),
        ([SHORTEST_TIMER], [False], 0),
        ([-SHORTEST_TIMER], [False], 0),
        ([SHORTEST_TIMER + 1], [False], 1),
        ([-SHORTEST_TIMER - 1], [False], 1),
    ],
)
def test_what_compares_clocks_is_no_retransmission(apart: list[int], whole: list[bool], reference: int) -> None:
    assert shared(apart, whole).clocks.reference.tolist() == [0, reference]


def test_retransmissions_do_not_move_a_clock_that_whole_exchanges_compare() -> None:
    clocks = shared([60 * SECOND] * 2 + [118 * SECOND] * 5, [True] * 2 + [False] * 5).clocks
    assert (clocks.reference.tolist(), clocks.offset.tolist()) == ([0, 0], [0, 60 * SECOND])


def test_a_call_close_to_its_copy_does_not_move_a_clock_by_the_others() -> None:
    clocks = shared([SECOND // 100] + [58 * SECOND] * 5, [False] * 6).clocks
    assert (clocks.reference.tolist(), clocks.offset.tolist()) == ([0, 0], [0, SECOND // 100])


def test_one_host_has_one_clock_whatever_messages_say() -> None:
    clocks = shared([58 * SECOND] * 5, [True] * 5, places=[{"ring"}, {"ring"}]).clocks
    assert (clocks.reference.tolist(), clocks.offset.tolist()) == ([0, 0], [0, 0])
