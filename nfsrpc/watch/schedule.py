"""Live: a source is watched, and looked at whenever there is something to see.

Time in what is seen is the packets'. The wall clock only decides when to look: at news after `interval`, at mere
traffic rarely, and when a call without answer comes to an age that means something. Looking takes a share of a core
and no more, however busy the node is; what arrives meanwhile waits. An idle node is not looked at. A look that takes
too long is cut short (`limit.py`), and when somebody asks for the end, it is there within two seconds.
"""

from __future__ import annotations

from collections.abc import Callable, Generator
from dataclasses import dataclass, field, replace
from time import monotonic
from typing import NamedTuple

from nfsrpc.columns import NAT
from nfsrpc.diagnosis.ongoing import so_far
from nfsrpc.diagnosis.run import CutShort, Limited, cut_short, unlimited
from nfsrpc.diagnosis.verdict import diagnose
from nfsrpc.findings.finding import DEFAULTS, Diagnosis, Settings
from nfsrpc.sources import SourceError
from nfsrpc.sources.live_queue import WAKE, LiveQueue, LiveSource, NextFile
from nfsrpc.trace import Trace
from nfsrpc.watch.changes import Change, Changes, Wait, waits_in
from nfsrpc.watch.limit import LAST_LOOK, LOOK, Limit
from nfsrpc.watch.watch import WINDOW_S, Stir, Watch
from nfsrpc.wording import SECOND, datetime_utc

INTERVAL_S = 1.0
# Between two looks pass so many times of what a look takes: a third of a core at news, a hundredth at mere traffic.
REST = {Stir.NEWS: 2.0, Stir.TRAFFIC: 100.0}
SETTLED_S = 0.2  # so old is what is looked at: the call that is news has its answer then, where all is well
TRAFFIC_S = 10.0  # rules about traffic think in tens of seconds
# Ages of a call without answer at which something is said: late; unanswered; the kernel's major timeout; hopeless.
AGES = tuple(round(age * SECOND) for age in (5, 10, 60, 300))
NO_PACKET = "capture-record"  # the oddity of a capture that is none from there on
# tcpdump holds a packet back for a second at most (the timeout of libpcap's buffer).
DELIVERY_S = 2.0
SILENCE_S = 60.0  # after so long it is said that nothing comes
# What was captured before a source is stopped comes without a pause of this, and within that.
STOPPED_S = 0.5
STOPPING_S = 3.0
INTERRUPTED_S = 0.8  # where somebody waits


@dataclass
class Options:
    interval_s: float = INTERVAL_S
    window_s: float = WINDOW_S
    for_s: float = float("inf")  # how long to watch
    until_finding: bool = False
    # Which rules to ask, which not, and their thresholds: as `diagnose` takes them.
    rules: Settings = DEFAULTS


class Health(NamedTuple):
    """Of the capture."""

    frames: int
    bytes: int
    drops: int | None
    silent_s: float


@dataclass(frozen=True)
class Moment:
    """What a look has seen."""

    trace: Trace
    diagnosis: Diagnosis
    changes: list[Change]
    waits: list[Wait]
    time: int | None  # of the packets, ns; None where they have none
    final: bool = False

    @property
    def cut_short(self) -> set[str]:
        """The rules that were not run to their end."""
        return cut_short(self.diagnosis.cannot_tell)


@dataclass
class Live:
    """One source being watched, to its end."""

    source: LiveSource
    options: Options = field(default_factory=Options)
    say: Callable[[str], None] = lambda _: None
    tick: Callable[[], None] = lambda: None  # called each time that something came, or an interval passed
    clock: Callable[[], float] = monotonic
    limit: Limit | None = None  # of looks

    def __post_init__(self) -> None:
        self.watch = Watch(self.source.name, self.options.window_s)
        self.changes = Changes()
        self.trouble: SourceError | None = None  # that the source ended with
        self.stopped_at: float | None = None
        self.is_interrupted = False  # somebody waits for the end
        self.is_abandoned = False  # nobody reads what is found
        self._queue: LiveQueue | None = None
        self._latest: Moment | None = None  # but for the last one
        self._pace = Pace(self.options.interval_s)
        self._arrived = self._begun = self.clock()
        self._told_silence = self._told_shortage = self._told_rubbish = self._ended = False
        self._told_cut = False

    @property
    def health(self) -> Health:
        return Health(self.watch.frames, self.watch.bytes, self.source.drops, self.clock() - self._arrived)

    @property
    def limited(self) -> Limited:
        return self.limit or unlimited

    def stop(self) -> None:
        """Ends it, with a last look at what has been captured. May be called by another thread."""
        if self.stopped_at is None:
            self.stopped_at = self.clock()
            self.source.stop()
            if self._queue:
                self._queue.wake()

    def interrupt(self) -> None:
        """Ends it soon, for somebody who waits. May be called by a signal handler, and by another thread."""
        self.is_interrupted = True
        self.stop()
        if self.limit:
            self.limit.cut()

    def abandon(self) -> None:
        """Ends it at once: nobody would see what is still to come."""
        self.is_abandoned = True
        self.interrupt()

    def moments(self) -> Generator[Moment, None, None]:
        """A look each time that there is something to see, and one at the end.

        Raises SourceError if there is nothing to watch.
        """
        self._queue = queue = LiveQueue(self.source)
        try:
            while self._take(queue) and not self._has_stopped():
                self.tick()
                moment = self._look_if_due()
                if moment:
                    yield moment
                    if self.options.until_finding and has_fault(moment.diagnosis):
                        self.stop()
                if self.clock() - self._begun >= self.options.for_s:
                    self.stop()
        finally:
            queue.abandon()
            self.stop()
        try:
            last = self._last()
        except SourceError:
            if self.is_abandoned:  # there is nobody to say so to
                return
            raise
        yield last

    def _take(self, queue: LiveQueue) -> bool:
        """Whatever has arrived, or the wait for it. False when nothing more will come."""
        try:
            piece = queue.get(self._patience())
        except TimeoutError:
            self._mind_silence()
            return self.stopped_at is None
        try:
            if piece == WAKE:
                return True
            if isinstance(piece, bytes):
                self.watch.feed(piece)
                self._pace.fed, self._arrived, self._told_silence = True, self.clock(), False
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
        """Told to, and what it had captured by then is here, or will not come."""
        if self.stopped_at is None:
            return False
        patience = INTERRUPTED_S if self.is_interrupted else STOPPING_S
        return self.is_abandoned or self.clock() - self.stopped_at > patience

    def _patience(self) -> float:
        if self.stopped_at is not None:
            return STOPPED_S
        now = self.clock()
        due = min(self._pace.next(now), self._begun + self.options.for_s - now)
        return max(min(due, self.options.interval_s), 0.0)

    def _mind_room(self) -> None:
        window = self.watch.window
        if window.shortened and not self._told_shortage and self.watch.last != NAT:
            self._told_shortage = True
            back_s = (self.watch.last - window.since) / SECOND
            self.say(f"{self.source.name}: so much is listed that rules look back on {back_s:.0f} s only")

    def _mind_rubbish(self, trace: Trace) -> None:
        oddities = trace.tables["oddities"]
        frames = oddities["frame"][oddities["kind"] == NO_PACKET]
        if len(frames) and not self._told_rubbish:
            self._told_rubbish = True
            told = f"what comes after frame {frames.min() - 1} is no packet; it is read on where there is one again"
            self.say(f"{self.source.name}: {told}")

    def _mind_silence(self) -> None:
        silent = self.clock() - self._arrived
        if silent >= SILENCE_S and not self._told_silence:
            self._told_silence = True
            self.say(f"{self.source.name}: nothing has come for {silent:.0f} s; it is idle, or it stalls")

    @property
    def _elapsed(self) -> int:
        """How much later than the last packet it is."""
        silent = self.clock() - self._arrived - DELIVERY_S
        return round(max(silent, 0.0) * SECOND) if self.source.prompt else 0

    def _look_if_due(self) -> Moment | None:
        now = self.clock()
        if self._pace.fed and self._pace.may_stir(now):
            self._pace.stirred(now, self.watch.stir())
        if self.watch.last != NAT and self._pace.comes_of_age(self.watch, self._elapsed):
            self._pace.pending = Stir.NEWS
        if not self._pace.is_due(now):
            return None
        self.watch.drops = self.source.drops
        moment = self._look(self.watch.trace(self._elapsed))
        self._pace.looked(now, self.clock())
        return moment

    def _look(self, trace: Trace | None, final: bool = False) -> Moment | None:
        """None also where it was interrupted: there will be another, the last."""
        if trace is None:
            return None
        self._mind_room()
        if self.limit:
            self.limit.begin(LAST_LOOK if self.is_interrupted else LOOK)
        diagnosis = diagnose(trace.tables, *self.options.rules, limited=self.limited)
        trace.diagnosis = diagnosis = diagnosis if final else so_far(diagnosis)
        time = self.watch.last + self._elapsed if self.watch.last != NAT else None
        waits = self._waits(trace, time)
        moment = Moment(trace, diagnosis, [], waits, time, final)
        if moment.cut_short and self.stopped_at is not None and not final:
            return None
        self._mind_cut(moment)
        self._mind_rubbish(trace)
        if not final:
            self._latest = moment
        return replace(moment, changes=self.changes.update(diagnosis, waits, time))

    def _waits(self, trace: Trace, time: int | None) -> list[Wait]:
        """Where the look is cut short, those of the last one."""
        if time is None:
            return []
        try:
            return self.limited(lambda: waits_in(trace.tables["locks"], time))
        except CutShort:
            return self._latest.waits if self._latest else []

    def _mind_cut(self, moment: Moment) -> None:
        if moment.cut_short and not moment.final and not self._told_cut:
            rules = ", ".join(sorted(moment.cut_short))
            self.say(f"{self.source.name}: looking takes too long and was cut short: {rules} cannot tell")
        self._told_cut = bool(moment.cut_short)

    def _last(self) -> Moment:
        self.watch.drops = self.source.drops
        moment = self._look(self.watch.close(self._elapsed), final=True)
        if moment is None:
            raise SourceError(self.source.name, "ended before the first packet")
        if self._ended and not self.trouble and moment.trace.captures[-1]["quality"]["truncated"]:
            self.trouble = SourceError(
                self.source.name, "ended within a packet", "who writes it or what carries it died"
            )
        return self._fuller(moment)

    def _fuller(self, moment: Moment) -> Moment:
        """The last look, or the one before where that found a fault and was cut short in fewer rules: it had more time.

        That nothing was wrong before says nothing of what came since.
        """
        if not moment.cut_short:
            return moment
        if (
            self._latest is None
            or self._latest.diagnosis.verdict.state == "healthy"
            or len(self._latest.cut_short) >= len(moment.cut_short)
        ):
            self.say(f"{self.source.name}: the last look took too long and was cut short")
            return moment
        when = datetime_utc(self._latest.time)
        self.say(f"{self.source.name}: the last look took too long and was cut short; the report is as of {when}")
        return replace(self._latest, changes=[], final=True)


def has_fault(diagnosis: Diagnosis) -> bool:
    return any(finding.severity != "info" for finding in diagnosis.findings)


class Pace:
    """When to look again, by the wall clock."""

    def __init__(self, interval_s: float) -> None:
        self.interval_s = interval_s
        self.fed = False
        self.pending = Stir.NOTHING
        self._stirred_at = self._ended_at = self._settled_at = float("-inf")
        self._cost = 0.0
        self._now = NAT  # the packets' time, when ages were compared last

    def next(self, now: float) -> float:
        """How long there is nothing to do."""
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
