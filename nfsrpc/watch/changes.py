"""Changes since the look before: findings that appeared, changed or are resolved, lock requests that wait.

A finding is known by its identifier. It is reported again with another severity or certainty, with other clients or
files, or with twice as many occurrences; not each time that its count goes up. The verdict is reported again when it
has another state or other causes.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any, Literal, NamedTuple, TypeAlias

from nfsrpc.facts.stalls import LATE_S
from nfsrpc.findings.finding import Diagnosis, Finding, Verdict, lacking
from nfsrpc.sessions.holders import holders
from nfsrpc.tables import Locks

What: TypeAlias = Literal["appeared", "changed", "resolved", "waiting", "over", "verdict"]

GONE = "not seen any more"


class LockWait(NamedTuple):
    """A lock request without a lock so far."""

    server: str
    client: str
    owner: str
    file: str
    since: int
    age_s: float
    behind: tuple[str, ...]  # holders of conflicting locks

    @property
    def key(self) -> tuple[Any, ...]:
        return self.server, self.client, self.owner, self.file, self.since


class Change(NamedTuple):
    what: What
    time: int | None  # of the packets, ns
    finding: Finding | None = None
    wait: LockWait | None = None
    verdict: Verdict | None = None
    why: str = ""


def waits_in(locks: Locks, at: int) -> list[LockWait]:
    """The lock requests that wait at a time, the longest wait first."""
    table = holders(locks, at)
    rows = [row for row in table.where(table["state"] == "waits").rows() if row.since is not None]
    waits = [
        LockWait(row.server or "", row.client or "", row.owner or "", row.file or "", row.since, row.age_s, row.behind)
        for row in rows
    ]
    return sorted(waits, key=lambda wait: wait.since)


class Changes:
    """The changes of a capture, from look to look; it holds what has been reported so far."""

    def __init__(self) -> None:
        self._findings: dict[str, Finding] = {}
        self._waits: dict[tuple[Any, ...], LockWait] = {}
        self._verdict: tuple[str, tuple[str, ...]] = ("", ())

    def update(self, diagnosis: Diagnosis, waits: Iterable[LockWait], time: int | None) -> list[Change]:
        return [
            *self._of_waits([wait for wait in waits if wait.age_s >= LATE_S], time),
            *self._of_findings(diagnosis, time),
            *self._of_verdict(diagnosis.verdict, time),
        ]

    def _of_findings(self, diagnosis: Diagnosis, time: int | None) -> Iterable[Change]:
        now = {finding.id: finding for finding in diagnosis.findings}
        for id_, finding in now.items():
            before = self._findings.get(id_)
            if before is None or is_different(before, finding):
                self._findings[id_] = finding
                yield Change("changed" if before else "appeared", time, finding=finding)
        unknown = lacking("time", diagnosis.cannot_tell)
        gone = [id_ for id_, before in self._findings.items() if id_ not in now and before.rule not in unknown]
        for finding in map(self._findings.pop, gone):
            clear = (answer.evidence for answer in diagnosis.clear if answer.rule == finding.rule)
            why = next((evidence for evidence in clear if finding.host and finding.host in evidence), GONE)
            yield Change("resolved", time, finding=finding, why=why)

    def _of_waits(self, waits: Iterable[LockWait], time: int | None) -> Iterable[Change]:
        now = {wait.key: wait for wait in waits}
        for key, wait in now.items():
            if key not in self._waits:
                yield Change("waiting", time, wait=wait)
        for key, wait in self._waits.items():
            if key not in now:
                age_s = wait.age_s if time is None else (time - wait.since) / 1e9
                yield Change("over", time, wait=wait._replace(age_s=age_s))
        self._waits = now

    def _of_verdict(self, verdict: Verdict, time: int | None) -> Iterable[Change]:
        before, self._verdict = self._verdict, (verdict.state, tuple(cause.finding for cause in verdict.causes))
        if before != self._verdict:
            yield Change("verdict", time, verdict=verdict)


def is_different(before: Finding, now: Finding) -> bool:
    """Whether a finding is to be reported again."""
    same = ("severity", "certainty", "clients", "files")
    return any(getattr(before, name) != getattr(now, name) for name in same) or now.count >= 2 * before.count
