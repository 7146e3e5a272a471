"""The report for programs: the document of version 2, which `analyze.schema.json` beside this file describes.

Keys are never renamed or removed within a version. Times are RFC 3339 in UTC with nanoseconds, latencies are seconds.
What is more than a program can hold is left out and counted (`omitted`).
"""

from __future__ import annotations

import json
from collections import defaultdict
from collections.abc import Iterator, Mapping, Sequence
from heapq import nsmallest
from typing import TYPE_CHECKING, Any, TypeAlias

from nfsrpc.findings.bounds import PAGE, SCREEN, Thing, first_of
from nfsrpc.findings.finding import Broken, CannotTell, Finding, LogLine, Need, Settings, Verdict
from nfsrpc.report.contents import Capture, ProcedureTraffic, Report, nfsrpc_version
from nfsrpc.report.fleet import HostToFix, NextCapture, Overview, SharedQuestion
from nfsrpc.report.proof import display_filters
from nfsrpc.wording import date_time, timestamp

if TYPE_CHECKING:
    from nfsrpc.diagnosis.kernel_log_match import Reading
    from nfsrpc.sources import SourceError

# Lines to expect in kernel logs, by rule and host.
Subjects: TypeAlias = Mapping[tuple[str, str | None], Sequence[tuple[int, LogLine]]]

SCHEMA = 2
LINES = 4  # of kernel logs, in an explanation
NEAR = 50  # of kernel logs, that a finding is compared with

# Of the JSON: findings, rules that cannot tell, programs, lines of a kernel log, names or frames of a finding; 20 MB.
MAX_LISTED = 10_000
# Names and frames of all findings together. What all clients have in common would else be repeated for each of them.
MAX_ITEMS = 100_000
# When these are used up, so many names or frames stay for each finding: as a screen shows them.
LEAST_ITEMS = SCREEN.names


def render(report: Report) -> str:
    return json.dumps(document(report), indent=2, allow_nan=False) + "\n"


def document(report: Report) -> dict[str, Any]:
    diagnosis = report.diagnosis
    findings, more = first_of(diagnosis.findings, MAX_LISTED)
    programs, more_programs = first_of(report.programs, MAX_LISTED)
    cannot_tell, more_reasons = first_of(_cannot_tell(diagnosis.cannot_tell, diagnosis.broken), MAX_LISTED)
    log, room = by_subject(report.unseen), Room()
    return {
        "schema": SCHEMA,
        "nfsrpc": nfsrpc_version(),
        "verdict": verdict_document(diagnosis.verdict),
        "captures": [_capture(capture) for capture in report.captures],
        "programs": [_procedure(procedure) for procedure in programs],
        "findings": [finding_document(finding, log, room) for finding in findings],
        "cannot_tell": cannot_tell,
        "settings": _settings(diagnosis.settings),
        "skipped": [_skipped(error) for error in report.skipped],
        **omitted(omitted=more, omitted_programs=more_programs, omitted_cannot_tell=more_reasons),
        **({"dmesg": [_log(log) for log in report.logs]} if report.logs else {}),
        **({"fleet": _fleet(report.fleet, room)} if report.fleet else {}),
    }


def verdict_document(verdict: Verdict) -> dict[str, Any]:
    causes, more = first_of(verdict.causes, MAX_LISTED)
    hosts, more_hosts = first_of(verdict.hosts, MAX_LISTED)
    return {
        "rule": verdict.rule,
        "state": verdict.state,
        "summary": verdict.summary,
        "causes": [cause._asdict() for cause in causes],
        "hosts": list(hosts),
        **omitted(omitted_causes=more, omitted_hosts=more_hosts),
    }


def _capture(capture: Capture) -> dict[str, Any]:
    return {
        "file": capture.file,
        "format": capture.format,
        "linktypes": list(capture.linktypes),
        "frames": capture.frames,
        "bytes": capture.bytes,
        "first": timestamp(capture.first),
        "last": timestamp(capture.last),
        "vantage": capture.vantage,
        "quality": {**capture.quality, "unread_links": list(capture.quality["unread_links"])},
        "damage": capture.damage,
    }


def _procedure(procedure: ProcedureTraffic) -> dict[str, Any]:
    return {
        "program": procedure.program,
        "version": procedure.version,
        "procedure": procedure.procedure,
        "calls": procedure.calls,
        "replies": procedure.replies,
        "unanswered": procedure.unanswered,
        "retransmits": procedure.retransmits,
        "errors": procedure.errors,
        "latency": {
            "p50": procedure.p50,
            "p95": procedure.p95,
            "p99": procedure.p99,
            "max": procedure.max,
        },
    }


class Room:
    """The number of names and frames that still fit into the JSON."""

    def __init__(self) -> None:
        self.left = MAX_ITEMS

    def take(self, things: Sequence[Thing]) -> tuple[Sequence[Thing], int]:
        """The first of some names or frames, and how many more there are."""
        shown, more = first_of(things, min(MAX_LISTED, max(self.left, LEAST_ITEMS)))
        self.left -= len(shown)
        return shown, more


def omitted(**numbers: int) -> dict[str, int]:
    """The counts of what is left out, without those that are 0."""
    return {name: number for name, number in numbers.items() if number}


def finding_document(finding: Finding, log: Subjects | None = None, room: Room | None = None) -> dict[str, Any]:
    room = room or Room()
    clients, more_clients = room.take(finding.clients)
    files, more_files = room.take(finding.files)
    evidence, more_evidence = room.take(finding.evidence)
    remedy, more_remedy = first_of(finding.remedy, PAGE.commands)
    explains, more_explained = room.take(finding.explains)
    return {
        "id": finding.id,
        "rule": finding.rule,
        "name": finding.name,
        "severity": finding.severity,
        "certainty": finding.certainty,
        "host": finding.host,
        "host_capture": finding.host_capture,
        "clients": list(clients),
        "files": list(files),
        "count": int(finding.count),
        "at_least": finding.at_least,
        "first": timestamp(finding.first),
        "last": timestamp(finding.last),
        "title": finding.title,
        "explanation": " ".join([finding.explanation, *log_sentences(finding, log or {})]).strip(),
        "evidence": [{**proof._asdict(), "time": timestamp(proof.time)} for proof in evidence],
        "display_filters": [
            {"capture": capture, "filter": expression} for capture, expression in display_filters(evidence)
        ],
        "remedy": list(map(str, remedy)),
        "verify": list(map(str, finding.verify)),
        "explains": list(explains),
        **omitted(
            omitted_explains=more_explained,
            omitted_clients=more_clients,
            omitted_files=more_files,
            omitted_evidence=more_evidence,
            omitted_remedy=more_remedy,
        ),
    }


def by_subject(log: Sequence[LogLine]) -> Subjects:
    """The lines to expect in kernel logs with their places, by rule and host that they may belong to."""
    subjects: defaultdict[tuple[str, str | None], list[tuple[int, LogLine]]] = defaultdict(list)
    for place, line in enumerate(log):
        for rule in line.rules:
            for host in {line.host, line.about}:
                subjects[rule, host].append((place, line))
    return subjects


def log_sentences(finding: Finding, log: Subjects) -> Iterator[str]:
    """The first lines to expect in kernel logs about a finding, one sentence per host."""
    near = ((place, line) for host in finding.parties for place, line in log.get((finding.rule, host), ())[:NEAR])
    found = {place: line for place, line in near if line.belongs_to(finding)}
    lines = [found[place] for place in nsmallest(LINES, found)]
    for host in dict.fromkeys(line.host for line in lines):
        quoted = ", ".join(f'"{line.text}" about {date_time(line.time)}' for line in lines if line.host == host)
        yield f"To expect in the kernel log of {host}: {quoted}."


def _settings(settings: Settings) -> dict[str, Any]:
    return {
        "file": settings.file,
        "select": list(settings.select),
        "ignore": list(settings.ignore),
        "thresholds": {rule: dict(values) for rule, values in settings.thresholds.items()},
    }


def _skipped(error: SourceError) -> dict[str, Any]:
    return {"file": error.path, "reason": error.reason, "remedy": error.remedy or None}


def _log(log: Reading) -> dict[str, Any]:
    lines = log.lines[-MAX_LISTED:]
    return {
        "file": log.file,
        "clock": log.clock,
        "lines": [
            {
                "time": timestamp(line.time),
                "text": line.text,
                "explained_by": list(line.findings),
                "captured": line.within,
            }
            for line in lines
        ],
        **omitted(omitted_lines=len(log.lines) - len(lines)),
    }


def _fleet(overview: Overview, room: Room) -> dict[str, Any]:
    hosts, more_hosts = first_of(overview.hosts_to_fix, MAX_LISTED)
    nodes, more_nodes = first_of(overview.nodes, MAX_LISTED)
    unknown, more_unknown = first_of(overview.unknown, MAX_LISTED)
    uncached, more_uncached = first_of(overview.uncached, MAX_LISTED)
    return {
        "hosts_to_fix": [_host_to_fix(row, room) for row in hosts],
        "nodes": [
            {"name": node.name, "files": node.files, "state": node.state, "summary": node.summary} for node in nodes
        ],
        "unknown": [_unknown(row, room) for row in unknown],
        "one_more": _one_more(overview.one_more) if overview.one_more else None,
        "unaligned": overview.unaligned,
        "cached": overview.cached,
        "uncached": list(uncached),
        **omitted(
            omitted_hosts_to_fix=more_hosts,
            omitted_nodes=more_nodes,
            omitted_unknown=more_unknown,
            omitted_uncached=more_uncached,
        ),
    }


def _host_to_fix(row: HostToFix, room: Room) -> dict[str, Any]:
    clients, more = room.take(row.clients)
    findings, more_findings = room.take(row.findings)
    return {
        "host": row.finding.host,
        "host_capture": row.finding.host_capture,
        "rule": row.finding.rule,
        "name": row.finding.name,
        "severity": row.finding.severity,
        "certainty": row.certainty,
        "clients": list(clients),
        "at_least": row.at_least,
        "longest_wait": row.wait_s,
        "findings": list(findings),
        **omitted(omitted_clients=more, omitted_findings=more_findings),
    }


def _unknown(row: SharedQuestion, room: Room) -> dict[str, Any]:
    nodes, more = room.take(row.nodes)
    return {"why": row.why, "rules": list(row.rules), "nodes": list(nodes), **omitted(omitted_nodes=more)}


def _one_more(capture: NextCapture) -> dict[str, Any]:
    return {**_need(capture.need), "questions": capture.questions, "rules": list(capture.rules)}


def _cannot_tell(answers: Sequence[CannotTell], broken: Sequence[Broken]) -> list[dict[str, Any]]:
    """The rules that cannot tell, with those that failed: silence would read as a pass."""
    rows = [
        {"rule": answer.rule, "why": answer.why, "needs": _need(answer.needs) if answer.needs else None}
        for answer in answers
    ]
    return rows + [{"rule": rule.rule, "why": f"the rule failed: {rule.error}", "needs": None} for rule in broken]


def _need(need: Need) -> dict[str, str]:
    return {"vantage": need.vantage, "command": str(need.command)}
