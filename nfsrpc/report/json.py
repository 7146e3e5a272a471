"""The report for programs: the document of version 1, which `analyze.schema.json` beside this file describes.

Keys are never renamed or removed within a version. Times are RFC 3339 in UTC with nanoseconds, latencies are seconds.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING, Any

from nfsrpc.report.contents import Capture, Procedure, Report, nfsrpc_version
from nfsrpc.report.words import clock, timestamp
from nfsrpc.rules.finding import Broken, CannotTell, Finding, LogLine, Need, Settings

if TYPE_CHECKING:
    from nfsrpc.rules.logged import Reading
    from nfsrpc.sources import SourceError

SCHEMA = 1
LINES = 4  # of kernel logs, in an explanation


def render(report: Report) -> str:
    return json.dumps(document(report), indent=2, allow_nan=False) + "\n"


def document(report: Report) -> dict[str, Any]:
    diagnosis = report.diagnosis
    return {
        "schema": SCHEMA,
        "nfsrpc": nfsrpc_version(),
        "verdict": {
            "rule": diagnosis.verdict.rule,
            "state": diagnosis.verdict.state,
            "summary": diagnosis.verdict.summary,
        },
        "captures": [_capture(capture) for capture in report.captures],
        "programs": [_procedure(procedure) for procedure in report.programs],
        "findings": [finding_document(finding, report.unseen) for finding in diagnosis.findings],
        "cannot_tell": _cannot_tell(diagnosis.cannot_tell, diagnosis.broken),
        "settings": _settings(diagnosis.settings),
        "skipped": [_skipped(error) for error in report.skipped],
        **({"dmesg": [_log(log) for log in report.logs]} if report.logs else {}),
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
        "quality": dict(capture.quality),
        "damage": capture.damage,
    }


def _procedure(procedure: Procedure) -> dict[str, Any]:
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


def finding_document(finding: Finding, log: Sequence[LogLine] = ()) -> dict[str, Any]:
    return {
        "rule": finding.rule,
        "name": finding.name,
        "severity": finding.severity,
        "certainty": finding.certainty,
        "host": finding.host,
        "clients": list(finding.clients),
        "files": list(finding.files),
        "count": finding.count,
        "first": timestamp(finding.first),
        "last": timestamp(finding.last),
        "title": finding.title,
        "explanation": " ".join([finding.explanation, *told(finding, log)]).strip(),
        "evidence": [evidence._asdict() for evidence in finding.evidence],
        "remedy": list(map(str, finding.remedy)),
        "verify": list(map(str, finding.verify)),
        "explains": list(finding.explains),
    }


def told(finding: Finding, log: Sequence[LogLine]) -> Iterator[str]:
    """The lines to expect in kernel logs, a sentence a host."""
    lines = [line for line in log if line.belongs_to(finding)][:LINES]
    for host in dict.fromkeys(line.host for line in lines):
        quoted = ", ".join(f'"{line.text}" about {clock(line.time)}' for line in lines if line.host == host)
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
    return {
        "file": log.file,
        "clock": log.clock,
        "lines": [
            {"time": timestamp(line.time), "text": line.text, "explained_by": list(line.rules), "captured": line.within}
            for line in log.lines
        ],
    }


def _cannot_tell(answers: Sequence[CannotTell], broken: Sequence[Broken]) -> list[dict[str, Any]]:
    """A rule that failed cannot tell either: silence would read as a pass."""
    told = [
        {"rule": answer.rule, "why": answer.why, "needs": _need(answer.needs) if answer.needs else None}
        for answer in answers
    ]
    return told + [{"rule": rule.rule, "why": f"the rule failed: {rule.error}", "needs": None} for rule in broken]


def _need(need: Need) -> dict[str, str]:
    return {"vantage": need.vantage, "command": str(need.command)}
