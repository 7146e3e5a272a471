"""One message in captures of several vantages is one, though their clocks differ and drift."""

import numpy as np
import pytest

from nfsrpc.columns import NAT
from nfsrpc.sessions.duplicates import Sightings

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
def test_clocks_are_compared_with_the_first_vantage_that_shares_something_sure(seed: int) -> None:
    """As by a table of all vantages by all messages, which would be too large for many of either."""
    chance = np.random.default_rng(seed)
    size, vantages = 60, 5
    key, time, vantage = (chance.integers(0, top, size) for top in (25, 1000, vantages))
    sightings = Sightings([key], time, vantage, vantages)
    offset, reference = np.zeros(vantages, dtype=np.int64), np.full(vantages, NAT)

    def apart(one: int, other: int) -> list[int]:
        shown = [[time[(key == each) & (vantage == which)] for which in (one, other)] for each in range(25)]
        return [int(mine[0] - its[0]) for mine, its in shown if len(mine) == len(its) == 1]

    for first in range(vantages):
        if reference[first] == NAT:
            reference[first] = first
        while True:
            known, left = np.flatnonzero(reference == first), np.flatnonzero(reference == NAT)
            pairs = [(other, its) for other in left for its in known if apart(other, its)]
            if not pairs:
                break
            other, its = pairs[0]
            offset[other], reference[other] = offset[its] + int(np.median(apart(other, its))), first
    assert sightings.clocks.reference.tolist() == reference.tolist()
    assert sightings.clocks.offset.tolist() == offset.tolist()
