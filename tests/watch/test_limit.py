"""A timer that ends what takes too long, and nothing else."""

from __future__ import annotations

import signal
import time
from collections.abc import Iterator
from threading import Timer

import pytest

from nfsrpc.diagnosis.run import CutShort
from nfsrpc.watch.limit import Allowance, Limit

SHORT = Allowance(0.3, 0.1)
ON_THE_WALL = Allowance(0.3, 0.1, True)


@pytest.fixture
def limit() -> Iterator[Limit]:
    before = {number: signal.getsignal(number) for number in (signal.SIGALRM, signal.SIGPROF)}
    yield Limit()
    for number, handler in before.items():
        signal.signal(number, handler)


def forever() -> None:
    while True:
        pass


def test_what_is_done_in_time_is_not_disturbed(limit: Limit) -> None:
    limit.begin(ON_THE_WALL)
    assert limit(lambda: 7) == 7
    time.sleep(0.15)
    assert signal.getitimer(signal.ITIMER_REAL) == (0.0, 0.0)


def test_processor_time_is_what_counts(limit: Limit) -> None:
    limit.begin(SHORT)
    limit(lambda: time.sleep(0.2))
    before = time.process_time()
    with pytest.raises(CutShort):
        limit(forever)
    assert 0.08 < time.process_time() - before < 0.25


def test_the_clock_on_the_wall_where_somebody_waits(limit: Limit) -> None:
    limit.begin(ON_THE_WALL)
    with pytest.raises(CutShort):
        limit(lambda: time.sleep(5))


def test_parts_use_up_the_whole_but_for_the_end(limit: Limit) -> None:
    limit.begin(SHORT)
    done = 0
    for _ in range(10):
        with pytest.raises(CutShort):
            limit(forever)
        done += 1
        if limit._left <= 0:
            break
    assert done in (3, 4)
    before = time.process_time()
    with pytest.raises(CutShort):
        limit(forever)  # not even begun
    assert time.process_time() - before < 0.02
    assert limit(lambda: 7, at_the_end=True) == 7


def test_an_exception_that_is_lost_comes_again(limit: Limit) -> None:
    limit.begin(SHORT)

    def swallowing() -> None:
        try:
            forever()
        except CutShort:
            forever()

    with pytest.raises(CutShort):
        limit(swallowing)


def test_another_thread_ends_it_and_nothing_is_begun_any_more(limit: Limit) -> None:
    limit.begin(Allowance(60, 60))
    Timer(0.1, limit.cut).start()
    with pytest.raises(CutShort):
        limit(forever)
    with pytest.raises(CutShort):
        limit(lambda: 7, at_the_end=True)
    limit.begin(SHORT)
    assert limit(lambda: 7) == 7


def test_where_nothing_is_limited_nothing_is_ended(limit: Limit) -> None:
    limit.cut()
    signal.raise_signal(signal.SIGPROF)
