"""Which findings are one incident: from look to look, a list of incidents that are opened, extended and resolved.

A cause opens an incident, and carries the findings that it explains. A cause that is found later joins the incidents of
what it explains, and opens none of its own. An incident is resolved when none of its findings has been there for a
while, which is longer the more often it came back: a fault that comes and goes is one incident, not
a hundred.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Literal, NamedTuple, TypeAlias

from nfsrpc.diagnosis.causes import is_fault
from nfsrpc.findings.finding import Diagnosis, Finding, lacking
from nfsrpc.record.manifest import KERNEL_LOG, Manifest, folder_name
from nfsrpc.wording import SECOND, timestamp

What: TypeAlias = Literal["opened", "joined", "changed", "extended", "resolved"]

HOUR = 3600 * SECOND
SETTLED = 60 * SECOND  # without its findings, after which an incident is resolved; four times as long after each return
BACK = HOUR  # a finding that returns within it reopens its incident
OPENED_PER_HOUR = 12  # more incidents are counted, and not opened: forty hosts lose one server at once
MAX_KERNEL_LINES = 100  # of one incident
MAX_FINDINGS = 1000
MAX_CAUSES = 100


class IncidentEvent(NamedTuple):
    what: What
    manifest: Manifest


@dataclass
class Known:
    """An incident in memory."""

    manifest: Manifest
    seen: int  # the last look with one of its findings

    @property
    def settled(self) -> int:
        """How long its findings have to be away until it is resolved."""
        return int(min(SETTLED * 4 ** min(self.manifest.reopened, 8), HOUR))


class Incidents:
    """The incidents that are open, and those resolved of late."""

    def __init__(self, known: Iterable[Manifest] = (), source: str = "") -> None:
        """`known`: incidents of an earlier run, of which those that were seen of late go on."""
        self.source = source
        self.known = [Known(manifest, manifest.last) for manifest in known]
        self._names = {known.manifest.id for known in self.known}
        self.refused = 0  # beyond OPENED_PER_HOUR
        self._opened: deque[int] = deque()

    def update(self, diagnosis: Diagnosis, time: int) -> list[IncidentEvent]:
        """The events of a look."""
        findings = {finding.id: finding for finding in diagnosis.findings}
        causes = filter(is_fault, diagnosis.causes)
        events = [event for cause in causes for event in self._cause(cause, findings, time)]
        return events + self._resolved(set(findings), lacking("time", diagnosis.cannot_tell), time)

    def kernel(self, line: str, host: str | None, time: int) -> list[IncidentEvent]:
        """The events of a line in the kernel's log about a host."""
        known = next((each for each in self._open() if host and host in parties(each.manifest)), None)
        known = known or self._of(f"{KERNEL_LOG}@{host}", time)
        if known is None:
            name = self._name(time, KERNEL_LOG, host)
            manifest = Manifest(name, "open", KERNEL_LOG, host, line, time, time, time, source=self.source)
            manifest.findings, manifest.kernel_log = [f"{KERNEL_LOG}@{host}"], [line]
            return self._opening(manifest, time)
        known.seen, known.manifest.last = time, max(known.manifest.last, time)
        if len(known.manifest.kernel_log) < MAX_KERNEL_LINES:
            known.manifest.kernel_log.append(line)
        return self._reopened(known) or [IncidentEvent("extended", known.manifest)]

    def _open(self) -> list[Known]:
        return [known for known in self.known if known.manifest.state == "open"]

    def _of(self, finding: str, time: int) -> Known | None:
        """The incident of a finding: an open one, else one that was resolved of late."""
        for known in self.known:
            if finding in known.manifest.findings and 0 <= time - known.seen <= BACK:
                return known
        return None

    def _cause(self, cause: Finding, findings: Mapping[str, Finding], time: int) -> Iterable[IncidentEvent]:
        effects = explained(cause, findings)
        own = self._of(cause.id, time)
        if own is not None:
            yield from self._again(own, cause, effects, time)
            return
        joined = [known for known in self._open() if own_findings(known.manifest) & effects or is_about(known, cause)]
        for known in joined:
            yield from self._join(known, cause, effects, time)
        if not joined:
            first = cause.first if cause.first is not None else time
            last = cause.last if cause.last is not None else time
            name, host = self._name(first, cause.rule, cause.host), cause.host
            manifest = Manifest(name, "open", cause.rule, host, cause.title, time, first, last, source=self.source)
            describe(manifest, cause)
            manifest.findings = [cause.id, *sorted(effects)][:MAX_FINDINGS]
            yield from self._opening(manifest, time)

    def _again(self, known: Known, cause: Finding, effects: set[str], time: int) -> Iterable[IncidentEvent]:
        manifest = known.manifest
        grown = (manifest.last, manifest.count, len(manifest.findings), len(manifest.clients))
        judged = (manifest.severity, manifest.certainty)
        known.seen = time
        manifest.last = max(manifest.last, cause.last or manifest.last)
        add(manifest.findings, effects, MAX_FINDINGS)
        if cause.rule == manifest.rule:
            describe(manifest, cause)
        if manifest.state == "resolved":
            yield from self._reopened(known)
        elif judged != (manifest.severity, manifest.certainty):
            yield IncidentEvent("changed", manifest)
        elif grown != (manifest.last, manifest.count, len(manifest.findings), len(manifest.clients)):
            yield IncidentEvent("extended", manifest)

    def _reopened(self, known: Known) -> list[IncidentEvent]:
        manifest = known.manifest
        if manifest.state == "open":
            return []
        manifest.state, manifest.resolved = "open", None
        manifest.reopened += 1
        return [IncidentEvent("opened", manifest)]

    def _join(self, known: Known, cause: Finding, effects: set[str], time: int) -> Iterable[IncidentEvent]:
        known.seen = time
        manifest = known.manifest
        add(manifest.findings, [cause.id, *sorted(effects)], MAX_FINDINGS)
        if len(manifest.explained_by) < MAX_CAUSES:
            what = {"finding": cause.id, "rule": cause.rule, "host": cause.host, "title": cause.title}
            manifest.explained_by.append({**what, "time": timestamp(time)})
        manifest.last = max(manifest.last, cause.last or manifest.last)
        yield IncidentEvent("joined", manifest)

    def _opening(self, manifest: Manifest, time: int) -> list[IncidentEvent]:
        while self._opened and not 0 <= time - self._opened[0] < HOUR:
            self._opened.popleft()
        if len(self._opened) >= OPENED_PER_HOUR:
            self.refused += 1
            return []
        self._opened.append(time)
        self._names.add(manifest.id)
        self.known.append(Known(manifest, time))
        return [IncidentEvent("opened", manifest)]

    def _name(self, time: int, rule: str, host: str | None) -> str:
        """A name that no other incident has: of two of a rule on a host within a second, one is a second later."""
        while (name := folder_name(time, rule, host)) in self._names:
            time += SECOND
        return name

    def _resolved(self, present: set[str], unknown: set[str], time: int) -> list[IncidentEvent]:
        events = []
        for known in self._open():
            manifest = known.manifest
            is_here = present & set(manifest.findings)
            is_here |= {name for name in manifest.findings if name.partition("@")[0] in unknown}
            if is_here and time - known.seen <= BACK:
                known.seen = max(known.seen, time)
            elif time - known.seen >= known.settled:
                manifest.state, manifest.resolved = "resolved", time
                events.append(IncidentEvent("resolved", manifest))
        self.known = [known for known in self.known if known.manifest.state == "open" or time - known.seen <= BACK]
        return events


def explained(cause: Finding, findings: Mapping[str, Finding]) -> set[str]:
    """The identifiers of the findings that a cause explains, and those of what they explain."""
    found: set[str] = set()
    following = list(cause.explains)
    while following:
        finding = following.pop()
        if finding not in found and finding != cause.id:
            found.add(finding)
            following += findings[finding].explains if finding in findings else ()
    return found


def is_about(known: Known, cause: Finding) -> bool:
    """Whether a cause explains an incident that the kernel's log opened: it is about the same host."""
    manifest = known.manifest
    return manifest.rule == KERNEL_LOG and not manifest.explained_by and manifest.host in cause.parties


def own_findings(manifest: Manifest) -> set[str]:
    """The finding that opened an incident, and the causes that joined it; not what they explain."""
    return {*manifest.findings[:1], *(str(cause["finding"]) for cause in manifest.explained_by)}


def parties(manifest: Manifest) -> set[str]:
    return {manifest.host or "", *manifest.clients} - {""}


def describe(manifest: Manifest, cause: Finding) -> None:
    """Fills in what a finding says."""
    manifest.name, manifest.title = cause.name, cause.title
    manifest.severity, manifest.certainty = cause.severity, cause.certainty
    manifest.count, manifest.clients = max(manifest.count, cause.count), list(cause.clients[:MAX_FINDINGS])


def add(known: list[str], more: Iterable[str], limit: int) -> None:
    known += [each for each in more if each not in known][: max(limit - len(known), 0)]
