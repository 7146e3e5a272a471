"""Real kernel logs beside a diagnosis: which lines its findings explain, and which they do not.

A log has seconds since the boot, or local time without a zone. Both clocks are aligned by the lines that are
expected (kernel_log.py): the offset at which most of them are there. Local time is off by quarters of an hour.
Lines, real and expected ones, are classified by patterns (`SORTS`).
"""

from __future__ import annotations

import re
from bisect import bisect_left, bisect_right
from collections.abc import Iterable, Mapping
from itertools import islice, product
from typing import NamedTuple, TypeAlias

from nfsrpc.diagnosis.catalogue import accounting_for
from nfsrpc.findings.finding import Diagnosis, Finding, LogKind, LogLine
from nfsrpc.sources.dmesg import Line, Log
from nfsrpc.wording import SECOND

TOLERANCE = 10 * SECOND  # clocks of a capture and of a kernel differ, and so do the kernel's timers
QUARTER = 15 * 60 * SECOND
ZONES = 14 * 4  # quarters of an hour that local time may be off, either way
ZONE_OFFSETS = [QUARTER * number for number in sorted(range(-ZONES, ZONES + 1), key=abs)]
# Lines of a log, each with one that is expected, by which a clock is aligned: more add nothing.
PAIRS = 1 << 16


class Sort(NamedTuple):
    """A sort of line; and, where none is expected, its kind: rules' heads say whose findings account for one."""

    name: str
    pattern: re.Pattern[str]
    kind: LogKind | None = None
    before_s: float = 0.0  # so long before a finding it may come
    after_s: float = 0.0


SORTS = (
    Sort("silent", re.compile(r"(?P<who>\w+): server (?P<about>\S+) not responding, (?:still trying|timed out)")),
    Sort("well", re.compile(r"(?P<who>\w+): server (?P<about>\S+) OK")),
    Sort("unmonitored", re.compile(r"(?P<who>lockd): cannot monitor (?P<about>\S+)")),
    Sort("grace", re.compile(r"NFSD: starting \d+-second grace period"), "grace-period", 120.0, 5.0),
    Sort("lost", re.compile(r"lockd: failed to reclaim lock"), "reclaim-failed", 5.0, 120.0),
    Sort("out-of-sync", re.compile(r"VFS is out of sync with lock manager"), "out-of-sync", 5.0, 300.0),
)
COMPARED = 20  # findings of one rule about one host that a line is compared with, and that it is explained by
# Lines of NFS itself, of which none is expected one by one.
NFS_S = 300.0


class ExplainedLine(NamedTuple):
    """A line of a log, and what explains it."""

    time: int | None  # by the clock of the captures; None where that is not known
    text: str
    findings: tuple[str, ...]  # identifiers of those that explain it
    within: bool  # the captures cover its time


class Reading(NamedTuple):
    """What a log says beside a diagnosis."""

    file: str
    clock: str  # how its clock was aligned, in words
    lines: tuple[ExplainedLine, ...]
    seen: tuple[LogLine, ...]  # of the lines to expect


def beside(log: Log, diagnosis: Diagnosis, names: Mapping[str, str], first: int | None, last: int | None) -> Reading:
    """A kernel log beside a diagnosis: each line with the findings that explain it.

    `names` maps names of hosts to hosts; `first` and `last` are the ends of the captures.
    """
    expected, concerned = Expected(diagnosis.log, names), by_concern(diagnosis.findings)
    offset, how = aligned(log, expected)
    lines: list[ExplainedLine] = []
    seen: list[LogLine] = []
    for line in log.lines:
        time = None if offset is None else line.time + offset
        partner = None if time is None else expected.partner(line.text, time)
        found = findings_of(partner, concerned) if partner else explained_by(line, time, diagnosis.findings, names)
        seen += [partner] if partner else []
        lines.append(ExplainedLine(time, line.text, found, covered(time, first, last)))
    return Reading(log.file, how, tuple(lines), tuple(dict.fromkeys(seen)))


def covered(time: int | None, first: int | None, last: int | None) -> bool:
    return time is not None and first is not None and last is not None and first <= time <= last


def aligned(log: Log, expected: Expected) -> tuple[int | None, str]:
    """The offset to add to a log's times, and in words how it is known."""
    if log.clock == "utc":
        return 0, "its times have a time zone"
    if log.clock == "boot" and log.booted is not None:
        return log.booted, "it has the time of the boot"
    pairs = ((line, one) for line in log.lines for one in expected.alike(line.text))
    offsets = [one.time - line.time for line, one in islice(pairs, PAIRS)]
    candidates = offsets if log.clock == "boot" else ZONE_OFFSETS
    ordered = sorted(offsets)
    counts = [bisect_right(ordered, each + TOLERANCE) - bisect_left(ordered, each - TOLERANCE) for each in candidates]
    best = max(counts, default=0)
    if best:
        lines = "1 line" if best == 1 else f"{best} lines"
        return candidates[counts.index(best)], f"aligned by {lines} that the capture explains"
    if log.clock == "local":
        return 0, "taken for UTC; --timezone NAME sets its time zone"
    return None, "not aligned: it has no line that the capture explains"


def sort_of(text: str) -> tuple[Sort, re.Match[str]] | None:
    for sort in SORTS:
        if found := sort.pattern.search(text):
            return sort, found
    return None


class Expected:
    """The lines to expect, in order of time, by their sort and the host that they name."""

    def __init__(self, lines: Iterable[LogLine], names: Mapping[str, str]) -> None:
        self.names = names
        self.lines: dict[tuple[str, ...], list[LogLine]] = {}
        for line in lines:
            for subject in self.subjects(line.text):
                self.lines.setdefault(subject, []).append(line)
        self.times = {subject: [line.time for line in found] for subject, found in self.lines.items()}

    def subjects(self, text: str) -> list[tuple[str, ...]]:
        """The keys of a line: its sort and program, and the same with the host that it names, if that is known."""
        found = sort_of(text)
        if found is None or "who" not in found[1].re.groupindex:
            return []
        sort, about = (found[0].name, found[1]["who"]), self.names.get(found[1]["about"])
        return [sort] if about is None else [sort, (*sort, about)]

    def alike(self, text: str) -> list[LogLine]:
        """The expected lines of the same sort about the same host, if that is known."""
        subjects = self.subjects(text)
        return self.lines.get(subjects[-1], []) if subjects else []

    def partner(self, text: str, time: int) -> LogLine | None:
        """The expected line that a real line of this time corresponds to; None where there is none."""
        subjects, lines = self.subjects(text), self.alike(text)
        if not lines:
            return None
        times = self.times[subjects[-1]]
        at = bisect_left(times, time)
        before = bisect_left(times, times[at - 1]) if at else 0  # of several at one time the first
        near = [lines[place] for place in (before, at) if place < len(lines) and abs(times[place] - time) <= TOLERANCE]
        return min(near, key=lambda one: abs(one.time - time), default=None)


Concerned: TypeAlias = Mapping[tuple[str, str], list[tuple[int, Finding]]]


def by_concern(findings: Iterable[Finding]) -> Concerned:
    """Findings with their places, by rule and by each host that they are about."""
    found: dict[tuple[str, str], list[tuple[int, Finding]]] = {}
    for place, finding in enumerate(findings):
        for host in finding.parties:
            found.setdefault((finding.rule, host), []).append((place, finding))
    return found


def findings_of(line: LogLine, concerned: Concerned) -> tuple[str, ...]:
    """The identifiers of the findings that a line belongs to, in their order: the first ones of each rule."""
    near = {
        place: finding
        for rule, host in product(line.rules, (line.host, line.about))
        for place, finding in concerned.get((rule, host), ())[:COMPARED]
    }
    return tuple(near[place].id for place in sorted(near) if line.belongs_to(near[place]))


def explained_by(
    line: Line, time: int | None, findings: Iterable[Finding], names: Mapping[str, str]
) -> tuple[str, ...]:
    """The identifiers of the findings that explain a line of its sort at its time, about the host that it names."""
    found = sort_of(line.text)
    if found is None or time is None:
        return ()
    sort, match = found
    kind, before, after = sort.kind, sort.before_s, sort.after_s
    if match.groupdict().get("who") == "nfs":
        kind, before, after = "nfs-silent", 5.0, NFS_S
    rules = accounting_for(kind) if kind else ()
    about = names.get(match.groupdict().get("about") or "")
    near = (
        finding.id
        for finding in findings
        if finding.rule in rules and finding.first is not None and finding.last is not None
        if finding.first - before * SECOND <= time <= finding.last + after * SECOND
        if about is None or about in finding.parties
    )
    return tuple(islice(near, COMPARED))
