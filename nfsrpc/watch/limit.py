"""The limit of the time that `live` spends on a look: a timer ends, by an exception, what takes too long.

Only the main thread can be interrupted so, since signal handlers run there: the command has a limit, a program that
uses `nfsrpc.live` has none and interrupts as it sees fit. Processor time counts, which does not depend on other load;
for the last look it is the time on the wall, since a user waits for it, and the look before can take its place.
"""

from __future__ import annotations

import signal
import threading
import time
from collections.abc import Callable
from typing import NamedTuple, TypeVar

from nfsrpc.diagnosis.run import CutShort

T = TypeVar("T")

# The exception may be lost, in a __del__ or a callback of the interpreter: it is raised again after this time.
AGAIN_S = 0.1


class Allowance(NamedTuple):
    """Seconds for all parts of a look together, and for each part: a slow rule must not use up the others' time."""

    total_s: float  # and one part more for the conclusion
    part_s: float
    on_the_wall: bool = False


# The fullest window of legitimate traffic takes 0.2 s to 0.4 s, a third of that in its slowest part.
LOOK = Allowance(2.0, 1.0)
# After Ctrl-C a report is there within 2 s: 0.8 s for what has been captured (schedule.py), then these two.
LAST_LOOK = Allowance(0.5, 0.25, True)
REPORT = Allowance(0.4, 0.4)


class Limit:
    """Runs the parts of a look, each within its time."""

    def __init__(self) -> None:
        """Takes SIGALRM and SIGPROF."""
        self._allowance = LOOK
        self._left = 0.0
        self._is_cut = self._armed = False
        for number in (signal.SIGALRM, signal.SIGPROF):
            signal.signal(number, self._ring)

    def begin(self, allowance: Allowance) -> None:
        self._allowance, self._left, self._is_cut = allowance, allowance.total_s, False

    def __call__(self, work: Callable[[], T], at_the_end: bool = False) -> T:
        """Runs `work` and returns its result. Raises CutShort if it takes too long."""
        seconds = self._allowance.part_s if at_the_end else min(self._allowance.part_s, self._left)
        if seconds <= 0 or self._is_cut:
            raise CutShort
        clock = time.monotonic if self._allowance.on_the_wall else time.process_time
        began = clock()
        try:
            try:
                self._arm(seconds)
                return work()
            finally:
                self._disarm()
        finally:
            # Once more: the timer may have rung while the line above was about to be run.
            self._disarm()
            self._left -= clock() - began

    def cut(self) -> None:
        """Ends the current look. May be called by a signal handler, and by another thread."""
        self._is_cut = True
        signal.pthread_kill(threading.main_thread().ident or 0, signal.SIGALRM)

    def _arm(self, seconds: float) -> None:
        self._armed = True
        signal.setitimer(self._timer, seconds, AGAIN_S)

    def _disarm(self) -> None:
        self._armed = False
        signal.setitimer(self._timer, 0.0)

    @property
    def _timer(self) -> int:
        return signal.ITIMER_REAL if self._allowance.on_the_wall else signal.ITIMER_PROF

    def _ring(self, _number: int, _frame: object) -> None:
        if self._armed:
            raise CutShort
