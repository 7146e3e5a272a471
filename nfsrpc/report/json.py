"""The report for programs: the document of version 1, which `analyze.schema.json` beside this file describes.

Keys are never renamed or removed within a version. Times are RFC 3339 in UTC with nanoseconds, latencies are seconds.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from typing import Any

from nfsrpc.report.contents import Capture, Procedure, Report, nfsrpc_version
from nfsrpc.report.words import timestamp
from nfsrpc.rules.finding import Broken, CannotTell, Finding

SCHEMA = 1


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
        "findings": [finding_document(finding) for finding in diagnosis.findings],
        "cannot_tell": _cannot_tell(diagnosis.cannot_tell, diagnosis.broken),
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


def finding_document(finding: Finding) -> dict[str, Any]:
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
        "explanation": finding.explanation,
        "evidence": [evidence._asdict() for evidence in finding.evidence],
        "remedy": list(finding.remedy),
        "verify": list(finding.verify),
        "explains": list(finding.explains),
    }


def _cannot_tell(answers: Sequence[CannotTell], broken: Sequence[Broken]) -> list[dict[str, Any]]:
    """A rule that failed cannot tell either: silence would read as a pass."""
    told = [
        {"rule": answer.rule, "why": answer.why, "needs": answer.needs._asdict() if answer.needs else None}
        for answer in answers
    ]
    return told + [{"rule": rule.rule, "why": f"the rule failed: {rule.error}", "needs": None} for rule in broken]
