"""The schedule of looks at a live source: a look is the trace of its window, diagnosed.

Times in a look are the packets'. The wall clock only decides when to look: after news (calls, replies or resends of
something else than NFS) within `interval`, after mere traffic rarely, and when a call without a reply reaches an age
that a rule goes by. Looks take a share of a core and no more, however busy the node is; what arrives meanwhile waits.
An idle node costs no looks. A look that takes too long is cut short (`limit.py`); after an interrupt the end comes
within two seconds.
"""

from __future__ import annotations

from collections.abc import Callable, Generator
from dataclasses import dataclass, field, replace
from time import monotonic
from typing import NamedTuple

from nfsrpc.columns import NAT
from nfsrpc.diagnosis.ongoing import so_far
from nfsrpc.diagnosis.run import CutShort, Limited, unlimited
from nfsrpc.diagnosis.verdict import diagnose
from nfsrpc.findings.finding import DEFAULTS, Diagnosis, Settings, lacking
from nfsrpc.report.contents import with_proof_and_names
from nfsrpc.report.host_names import host_names
from nfsrpc.sources import SourceError
from nfsrpc.sources.live_queue import WAKE, LiveQueue, LiveSource, NextFile
from nfsrpc.trace import Trace
from nfsrpc.watch.changes import Change, Changes, LockWait, waits_in
from nfsrpc.watch.limit import LAST_LOOK, LOOK, Limit
from nfsrpc.watch.watch import WINDOW_S, Kept, Stir, Watch
from nfsrpc.watch.window import MAX_ROWS
from nfsrpc.wording import SECOND, date_time

INTERVAL_S = 1.0
# The pause between two looks, in times of what a look takes: a third of a core after news, a hundredth after traffic.
REST = {Stir.NEWS: 2.0, Stir.TRAFFIC: 100.0}
SETTLED_S = 0.2  # from news to the look: within it a new call has its reply, where all is well
TRAFFIC_S = 10.0  # rules about traffic have thresholds of tens of seconds
# Ages of a call without a reply at which a rule may fire: late; unanswered; the kernel's major timeout; hopeless.
AGES = tuple(round(age * SECOND) for age in (5, 10, 60, 300))
NOT_A_RECORD = "capture-record"  # the oddity of a capture file with something else than records from there on
# tcpdump holds a packet back for a second at most (the timeout of libpcap's buffer).
DELIVERY_S = 2.0
SILENCE_S = 60.0  # of silence, after which it is reported
# After the stop of a source: the longest pause between two pieces that it still has, and the time for all of them.
STOPPED_S = 0.5
STOPPING_S = 3.0
INTERRUPTED_S = 0.8  # the same after an interrupt, when a user waits


@dataclass
class Options:
    """The options of `live`."""

    interval_s: float = INTERVAL_S
    window_s: float = WINDOW_S
    for_s: float = float("inf")  # the duration of the whole
    until_finding: bool = False
    rules: Settings = DEFAULTS  # the rules to run, and their thresholds, as `diagnose` takes them
    kept: Kept | None = None  # the frames that are kept besides
    max_rows: int = MAX_ROWS  # exchanges that are listed


class Health(NamedTuple):
    """The state of the capture itself."""

    frames: int
    bytes: int
    drops: int | None
    silent_s: float


@dataclass(frozen=True)
class Look:
    """The result of a look: a trace, its diagnosis, and the changes since the look before."""

    trace: Trace
    diagnosis: Diagnosis
    changes: list[Change]
    waits: list[LockWait]
    time: int | None  # of the packets, ns; None where they have none
    final: bool = False

    @property
    def cut_short(self) -> set[str]:
        """The rules that did not run to their end."""
        return lacking("time", self.diagnosis.cannot_tell)


@dataclass
class Live:
    """The looks at one source, from its start to its end."""

    source: LiveSource
    options: Options = field(default_factory=Options)
    say: Callable[[str], None] = lambda _: None
    tick: Callable[[], None] = lambda: None  # called after each piece, and after an interval without one
    clock: Callable[[], float] = monotonic
    limit: Limit | None = None  # of looks

    def __post_init__(self) -> None:
        self.watch = Watch(self.source.name, self.options.window_s, self.options.kept, self.options.max_rows)
        self.changes = Changes()
        self.trouble: SourceError | None = None  # with which the source ended
        self.stopped_at: float | None = None
        self.is_interrupted = False  # a user waits for the end
        self.is_abandoned = False  # there is no reader any more
        self._queue: LiveQueue | None = None
        self._latest: Look | None = None  # before the final one
        self._pace = Pace(self.options.interval_s)
        self._arrived = self._began = self.clock()
        self._has_reported_silence = self._has_reported_shortage = self._has_reported_rubbish = self._ended = False
        self._has_reported_cut = self.was_last_cut_short = False

    @property
    def health(self) -> Health:
        return Health(self.watch.frames, self.watch.bytes, self.source.drops, self.clock() - self._arrived)

    @property
    def limited(self) -> Limited:
        return self.limit or unlimited

    def stop(self) -> None:
        """Stops the source; a last look at what it has captured follows. May be called by another thread."""
        if self.stopped_at is None:
            self.stopped_at = self.clock()
            self.source.stop()
            if self._queue:
                self._queue.wake()

    def interrupt(self) -> None:
        """Stops within INTERRUPTED_S, for a user who waits. May be called by a signal handler and by other threads."""
        self.is_interrupted = True
        self.stop()
        if self.limit:
            self.limit.cut()

    def abandon(self) -> None:
        """Stops at once, since nobody would see the last look."""
        self.is_abandoned = True
        self.interrupt()

    def looks(self) -> Generator[Look, None, None]:
        """The looks, one after each news, and a final one at the end. Raises SourceError if there is no capture."""
        self._queue = queue = LiveQueue(self.source)
        try:
            while self._take(queue) and not self._has_stopped():
                self.tick()
                look = self._look_if_due()
                if look:
                    yield look
                    if self.options.until_finding and has_fault(look.diagnosis):
                        self.stop()
                if self.clock() - self._began >= self.options.for_s:
                    self.stop()
        finally:
            queue.abandon()
            self.stop()
        try:
            last = self._last()
        except SourceError:
            if self.is_abandoned:  # nobody would read the error
                return
            raise
        yield last

    def _take(self, queue: LiveQueue) -> bool:
        """Feeds the next piece, waiting for it. False when none will come any more."""
        try:
            piece = queue.get(self._timeout())
        except TimeoutError:
            self._report_silence()
            return self.stopped_at is None
        try:
            if piece == WAKE:
                return True
            if isinstance(piece, bytes):
                self.watch.feed(piece)
                self._pace.fed, self._arrived, self._has_reported_silence = True, self.clock(), False
            elif isinstance(piece, NextFile):
                self.watch.next_file(piece.name)
            elif isinstance(piece, Exception):
                raise piece
        except SourceError as error:
            if not self.watch.frames:
                raise
            self.trouble = error
            return False
        self._ended = piece is None and self.stopped_at is None
        return piece is not None

    def _has_stopped(self) -> bool:
        """Whether the time for the last pieces of a source that was stopped is over."""
        if self.stopped_at is None:
            return False
        limit = INTERRUPTED_S if self.is_interrupted else STOPPING_S
        return self.is_abandoned or self.clock() - self.stopped_at > limit

    def _timeout(self) -> float:
        if self.stopped_at is not None:
            return STOPPED_S
        now = self.clock()
        due = min(self._pace.next(now), self._began + self.options.for_s - now)
        return max(min(due, self.options.interval_s), 0.0)

    def _report_shortage(self) -> None:
        window = self.watch.window
        if window.shortened and not self._has_reported_shortage and self.watch.last != NAT:
            self._has_reported_shortage = True
            back_s = (self.watch.last - window.since) / SECOND
            self.say(f"{self.source.name}: so much is listed that rules look back on {back_s:.0f} s only")

    def _report_rubbish(self, trace: Trace) -> None:
        oddities = trace.tables["oddities"]
        frames = oddities["frame"][oddities["kind"] == NOT_A_RECORD]
        if len(frames) and not self._has_reported_rubbish:
            self._has_reported_rubbish = True
            what = f"what comes after frame {frames.min() - 1} is no packet; it is read on where there is one again"
            self.say(f"{self.source.name}: {what}")

    def _report_silence(self) -> None:
        silent = self.clock() - self._arrived
        if silent >= SILENCE_S and not self._has_reported_silence:
            self._has_reported_silence = True
            self.say(f"{self.source.name}: nothing has come for {silent:.0f} s; it is idle, or it stalls")

    @property
    def _elapsed(self) -> int:
        """The time since the last packet, in ns; 0 where silence may be a buffer that is not full yet."""
        silent = self.clock() - self._arrived - DELIVERY_S
        return round(max(silent, 0.0) * SECOND) if self.source.prompt else 0

    def _look_if_due(self) -> Look | None:
        now = self.clock()
        if self._pace.fed and self._pace.may_stir(now):
            self._pace.stirred(now, self.watch.stir())
        if self.watch.last != NAT and self._pace.comes_of_age(self.watch, self._elapsed):
            self._pace.pending = Stir.NEWS
        if not self._pace.is_due(now):
            return None
        self.watch.drops = self.source.drops
        look = self._look(self.watch.trace(self._elapsed))
        self._pace.looked(now, self.clock())
        return look

    def _look(self, trace: Trace | None, final: bool = False) -> Look | None:
        """The look at a trace; None also if it was interrupted, since the final one follows."""
        if trace is None:
            return None
        self._report_shortage()
        if self.limit:
            self.limit.begin(LAST_LOOK if self.is_interrupted else LOOK)
        diagnosis = diagnose(trace.tables, *self.options.rules, limited=self.limited)
        trace.diagnosis = diagnosis if final else so_far(diagnosis)
        diagnosis = with_proof_and_names(trace.diagnosis, trace.tables, host_names(trace.tables))
        time = self.watch.last + self._elapsed if self.watch.last != NAT else None
        waits = self._waits(trace, time)
        look = Look(trace, diagnosis, [], waits, time, final)
        if look.cut_short and self.stopped_at is not None and not final:
            return None
        self._report_cut(look)
        self._report_rubbish(trace)
        if not final:
            self._latest = look
        return replace(look, changes=self.changes.update(diagnosis, waits, time))

    def _waits(self, trace: Trace, time: int | None) -> list[LockWait]:
        """The lock requests that wait; those of the look before if this one is cut short."""
        if time is None:
            return []
        try:
            return self.limited(lambda: waits_in(trace.tables["locks"], time))
        except CutShort:
            return self._latest.waits if self._latest else []

    def _report_cut(self, look: Look) -> None:
        if look.cut_short and not look.final and not self._has_reported_cut:
            rules = ", ".join(sorted(look.cut_short))
            self.say(f"{self.source.name}: looking takes too long and was cut short: {rules} cannot tell")
        self._has_reported_cut = bool(look.cut_short)

    def _last(self) -> Look:
        self.watch.drops = self.source.drops
        look = self._look(self.watch.close(self._elapsed), final=True)
        if look is None:
            raise SourceError(self.source.name, "ended before the first packet")
        if self._ended and not self.trouble and look.trace.captures[-1]["quality"]["truncated"]:
            self.trouble = SourceError(
                self.source.name, "ended within a packet", "who writes it or what carries it died"
            )
        return self._fuller(look)

    def _fuller(self, look: Look) -> Look:
        """The final look, or the one before if that found a fault and ran more rules to their end: it had more time.

        A look before without a fault is no substitute: the fault may be newer.
        """
        if not look.cut_short:
            return look
        self.was_last_cut_short = True
        if (
            self._latest is None
            or self._latest.diagnosis.verdict.state == "healthy"
            or len(self._latest.cut_short) >= len(look.cut_short)
        ):
            self.say(f"{self.source.name}: the last look took too long and was cut short")
            return look
        when = date_time(self._latest.time)
        self.say(f"{self.source.name}: the last look took too long and was cut short; the report is as of {when}")
        return replace(self._latest, changes=[], final=True)


def has_fault(diagnosis: Diagnosis) -> bool:
    return any(finding.severity != "info" for finding in diagnosis.findings)


class Pace:
    """The times of looks, by the wall clock."""

    def __init__(self, interval_s: float) -> None:
        self.interval_s = interval_s
        self.fed = False
        self.pending = Stir.NOTHING
        self._stirred_at = self._ended_at = self._settled_at = float("-inf")
        self._cost = 0.0
        self._now = NAT  # the packets' time of the last comparison of ages

    def next(self, now: float) -> float:
        """The time until there is something to do, in s."""
        if self.pending:
            return self._due - now
        return self._stirred_at + self.interval_s - now if self.fed else self.interval_s

    def may_stir(self, now: float) -> bool:
        return now >= self._stirred_at + self.interval_s

    def stirred(self, now: float, stir: Stir) -> None:
        if not self.pending:
            self._settled_at = now + min(SETTLED_S, self.interval_s)
        self._stirred_at, self.fed, self.pending = now, False, max(self.pending, stir)

    def comes_of_age(self, watch: Watch, elapsed: int) -> bool:
        now = watch.last + elapsed
        before, self._now = self._now, now
        if before in (NAT, now):
            return False
        sent = watch.open_calls
        return any(bool(((now - sent >= age) & (before - sent < age)).any()) for age in AGES)

    @property
    def _due(self) -> float:
        least = self.interval_s if self.pending is Stir.NEWS else max(TRAFFIC_S, self.interval_s)
        return max(self._ended_at + max(least, REST[self.pending] * self._cost), self._settled_at)

    def is_due(self, now: float) -> bool:
        return self.pending is not Stir.NOTHING and now >= self._due

    def looked(self, began: float, ended: float) -> None:
        self._cost, self._ended_at, self.pending = ended - began, ended, Stir.NOTHING
