"""The content of every report as plain data: the diagnosis, its captures, and the traffic in them.

Renderers are pure functions of a `Report`: they are tested without a capture and have the same data.
Times are ns since the epoch, latencies seconds, None is null.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import replace
from functools import cache
from itertools import compress
from types import MappingProxyType
from typing import TYPE_CHECKING, Any, NamedTuple

from nfsrpc.findings.finding import Diagnosis, Evidence, Finding, LogLine
from nfsrpc.findings.shown import located
from nfsrpc.report.fleet import Overview
from nfsrpc.report.host_names import OWNER, HostNames, diagnosis_with_names, host_names, named_host
from nfsrpc.report.needs import FirstCapture, first_capture, one_command_per_file
from nfsrpc.report.proof import proven
from nfsrpc.sources.name import short_names
from nfsrpc.tables import Tables
from nfsrpc.wording import TimesOfDay

if TYPE_CHECKING:
    from nfsrpc.diagnosis.kernel_log_match import Reading
    from nfsrpc.sessions import Sessions
    from nfsrpc.sources import SourceError


EFFECTS = 20  # of a cause, that lines of kernel logs are compared with


class Capture(NamedTuple):
    """A file given: what it is, where it was taken, and what it lacks."""

    file: str
    format: str
    linktypes: tuple[str, ...]
    frames: int
    bytes: int
    first: int | None
    last: int | None
    vantage: str | None
    host: str | None
    quality: dict[str, Any]
    offset_s: float | None = None  # of its clock, against the first vantage's
    drift_ppm: float | None = None
    damage: str | None = None  # why it could not be read to its end
    clock: int = 0  # a number: times of captures with different ones cannot be compared

    @property
    def name(self) -> str:
        """The name of the file, in words for standard input."""
        return "standard input" if self.file == "-" else self.file


class ProcedureTraffic(NamedTuple):
    """The traffic of one procedure. Latencies are seconds, None when nothing was answered."""

    program: str
    version: int
    procedure: str
    calls: int
    replies: int
    unanswered: int
    retransmits: int
    errors: int
    p50: float | None
    p95: float | None
    p99: float | None
    max: float | None


class Fault(NamedTuple):
    """A cause of the verdict."""

    finding: Finding
    summary: str
    effects: tuple[Finding, ...]  # findings that it explains

    def log(self, lines: Iterable[LogLine]) -> list[LogLine]:
        """The lines of kernel logs that are about this fault or its effects."""
        found = (self.finding, *self.effects[:EFFECTS])
        return [line for line in lines if any(line.belongs_to(finding) for finding in found)]


class Report(NamedTuple):
    diagnosis: Diagnosis
    captures: tuple[Capture, ...]
    programs: tuple[ProcedureTraffic, ...]
    logs: tuple[Reading, ...] = ()  # kernel logs that were given
    skipped: tuple[SourceError, ...] = ()  # what is wrong with the files that could not be read
    names: HostNames = MappingProxyType({})  # of hosts, by their addresses
    fleet: Overview | None = None  # where the captures are those of many nodes

    def host(self, address: str) -> str:
        """A host as reports call it: 10.1.84.41 (cl1)."""
        return named_host(address, self.names)

    def hosts(self, addresses: Iterable[str]) -> list[str]:
        return [self.host(address) for address in addresses]

    def located(self, finding: Finding) -> str:
        """The host to fix; a loopback address with its capture."""
        return located(finding) if finding.host_capture else self.host(finding.host or "")

    @property
    def first_capture(self) -> FirstCapture | None:
        """The one capture to make where no verdict is possible; None where there are captures yet to be read.

        What a fleet leads with names its own.
        """
        if self.diagnosis.verdict.state != "cannot-tell" or self.skipped or (self.fleet and self.fleet.one_more):
            return None
        host = next((capture.host for capture in self.captures if capture.host), None)
        return first_capture(self.diagnosis, host, self.host(host or ""))

    @property
    def has_owners(self) -> bool:
        """Whether a cause names the owner of a lock, which is to be explained then."""
        texts_of_faults = ((each.summary, each.finding.explanation, *notes(each.finding)) for each in self.faults)
        return any(OWNER.search(text) for texts in texts_of_faults for text in texts)

    @property
    def faults(self) -> tuple[Fault, ...]:
        """The causes of the verdict, the gravest first. What several causes explain stands with the first.

        Those of a fleet are in the order of its hosts to fix.
        """
        verdict, findings = self.diagnosis.verdict, self.diagnosis.findings
        places = {finding.id: place for place, finding in enumerate(findings)}
        left = places.keys() - {cause.finding for cause in verdict.causes}
        faults: list[Fault] = []
        for cause in verdict.causes:
            finding = findings[places[cause.finding]]
            effects = left.intersection(finding.explains)
            left -= effects
            ordered = sorted(map(places.__getitem__, effects))
            faults.append(Fault(finding, cause.summary, tuple(findings[place] for place in ordered)))
        rows = self.fleet.hosts_to_fix if self.fleet else ()
        ranks = {finding: rank for rank, row in enumerate(rows) for finding in row.findings}
        return tuple(sorted(faults, key=lambda fault: ranks.get(fault.finding.id, len(ranks))))

    def of_one_clock(self, finding: Finding) -> tuple[Evidence, ...]:
        """The frames of the captures that show a finding most gravely: those by the clock of the first one."""
        clocks = [self.captures[proof.capture].clock for proof in finding.evidence]
        return tuple(compress(finding.evidence, (clock == clocks[0] for clock in clocks)))

    @property
    def others(self) -> tuple[Finding, ...]:
        """The findings that are no cause and that no cause explains."""
        explained = {each.id for fault in self.faults for each in (fault.finding, *fault.effects)}
        return tuple(finding for finding in self.diagnosis.findings if finding.id not in explained)

    @property
    def unseen(self) -> tuple[LogLine, ...]:
        """The lines to expect in kernel logs that those given do not have."""
        seen = {line for log in self.logs for line in log.seen}
        return tuple(line for line in self.diagnosis.log if line not in seen) if seen else self.diagnosis.log

    def file_names(self) -> list[str]:
        """The names of the files by their numbers, as far as they differ."""
        return short_names([capture.name for capture in self.captures])


def notes(finding: Finding) -> list[str]:
    return [proof.note for proof in finding.evidence]


def report_of(tables: Sessions, diagnosis: Diagnosis, logs: Iterable[str] = ()) -> Report:
    """The report of a diagnosis. `logs` are files with kernel logs; raises SourceError for one that cannot be read."""
    decoded = tables.decoded
    captures = tuple(
        Capture(**{**facts, "linktypes": tuple(facts["linktypes"] or ())}, damage=decoded.damages.get(number))
        for number, facts in enumerate(captures_of(tables))
    )
    logs_read = tuple(readings(tables, diagnosis, logs))
    names = host_names(tables)
    shown = with_proof_and_names(diagnosis, tables, names)
    return Report(shown, captures, procedures_of(tables), logs_read, decoded.skipped, names)


def with_proof_and_names(diagnosis: Diagnosis, tables: Tables, names: HostNames) -> Diagnosis:
    """A diagnosis as it is shown: proof by time, hosts by their names, one capture command per file."""
    findings = proven(diagnosis.findings, tables) if diagnosis.findings else ()
    return diagnosis_with_names(one_command_per_file(replace(diagnosis, findings=findings)), names)


def captures_of(tables: Tables) -> list[dict[str, Any]]:
    """The fields of `Capture` for each file."""
    where = ("where", "host", "offset_s", "drift_ppm", "clock")
    names = ("file", "format", "linktypes", "frames", "bytes", "first", "last", *where)
    facts = [dict(zip(names, row, strict=True)) for row in zip(*map(tables["captures"].values, names), strict=True)]
    for fact, row in zip(facts, tables["quality"].rows(), strict=True):
        fact["vantage"] = fact.pop("where")
        fact["quality"] = {name: value for name, value in row._asdict().items() if name not in ("capture", "frames")}
    return facts


def readings(tables: Tables, diagnosis: Diagnosis, logs: Iterable[str]) -> Iterator[Reading]:
    times = [[time for time in tables["captures"].values(end) if time is not None] for end in ("first", "last")]
    first, last = min(times[0], default=None), max(times[1], default=None)
    for file in logs:
        from nfsrpc.diagnosis.kernel_log_match import beside
        from nfsrpc.sources.dmesg import read_log

        log = read_log(file, first, TimesOfDay.zone if TimesOfDay.is_named() else None)
        yield beside(log, diagnosis, names_of(tables), first, last)


def names_of(tables: Tables) -> dict[str, str]:
    """Hosts by each of their names and addresses."""
    rows = list(tables["hosts"].rows())
    return {name: row.host for row in rows for name in (*(row.addresses or ()), *(row.names or ()))}


@cache
def nfsrpc_version() -> str:
    """The program's version, looked up at first use, because that takes 20 ms."""
    from importlib.metadata import version

    return version("nfsrpc")


def procedures_of(tables: Tables) -> tuple[ProcedureTraffic, ...]:
    return tuple(
        ProcedureTraffic(
            row.program or str(row.prog),
            row.vers,
            row.procedure or "?",
            row.calls,
            row.replies,
            row.unanswered,
            row.retransmits,
            row.errors,
            row.p50,
            row.p95,
            row.p99,
            row.max,
        )
        for row in tables["programs"].rows()
    )
