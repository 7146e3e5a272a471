"""One group of nodes judged: their rows joined as those of vantages, and given to sessions and rules as ever."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from dataclasses import replace
from functools import cache
from typing import Any

from nfsrpc.decode import merge
from nfsrpc.diagnosis.verdict import diagnose, fault, gravity
from nfsrpc.findings.finding import Diagnosis, Evidence, Finding, Verdict
from nfsrpc.fleet.rows import NodeRows, joined
from nfsrpc.protocols import PROTOCOLS, compile  # noqa: A004
from nfsrpc.report.contents import ProcedureTraffic, Report, report_of
from nfsrpc.sessions.wanted import WANTED
from nfsrpc.sources import SourceError
from nfsrpc.trace import Trace
from nfsrpc.wording import several


@cache
def kinds() -> dict[str, dict[str, str]]:
    """The kinds of the columns of messages."""
    return {table: dict(columns) for table, columns in compile(PROTOCOLS, WANTED)[1]}


def trace_of(nodes: Sequence[NodeRows], servers: Collection[str] | None = None) -> Trace:
    """The trace of all captures of these nodes, or of what concerns some servers in them."""
    return Trace(merge(joined(nodes, kinds(), servers)))


def judged(nodes: Sequence[NodeRows], settings: Any = (), servers: Collection[str] | None = None) -> Report:
    """The report on some nodes. Without a capture that could be read it has no verdict but cannot-tell."""
    skipped = tuple(SourceError(*fields) for node in nodes for fields in node.skipped)
    if not any(node.vantages for node in nodes):
        nothing = Verdict(
            None, "cannot-tell", f"Cannot tell whether locks work: {several(len(skipped), 'file')} failed."
        )
        return Report(Diagnosis(nothing), (), (), skipped=skipped)
    trace = trace_of(nodes, servers)
    report = report_of(trace.tables, diagnose(trace.tables, *settings, skipped=trace.skipped))
    return report._replace(names=dict(report.names))  # a proxy cannot be sent from a worker


def combined(reports: Sequence[Report]) -> Report:
    """The reports on groups that share no host as one, with captures numbered throughout.

    Quantiles of latencies cannot be joined, and are null where several groups have some.
    """
    if len(reports) == 1:
        return reports[0]
    captures = [capture for report in reports for capture in report.captures]
    findings: list[Finding] = []
    causes: list[Finding] = []
    first = 0
    for report in reports:
        moved = [with_captures_from(found, first) for found in report.diagnosis.findings]
        ids = {cause.finding for cause in report.diagnosis.verdict.causes}
        findings += moved
        causes += [found for found in moved if found.id in ids]
        first += len(report.captures)
    causes.sort(key=gravity)
    leading = set(map(id, causes))
    others = sorted((found for found in findings if id(found) not in leading), key=gravity)
    diagnoses = [report.diagnosis for report in reports]
    unjudged = {answer.rule for each in diagnoses for answer in each.cannot_tell}
    unjudged |= {answer.rule for each in diagnoses for answer in each.broken}
    diagnosis = Diagnosis(
        verdict=fault(causes, findings) if causes else without_fault([each.verdict for each in diagnoses]),
        findings=(*causes, *others),
        cannot_tell=tuple({str(answer): answer for each in diagnoses for answer in each.cannot_tell}.values()),
        clear=tuple(
            {answer.rule: answer for each in diagnoses for answer in each.clear if answer.rule not in unjudged}.values()
        ),
        broken=tuple(answer for each in diagnoses for answer in each.broken),
        hypotheses=tuple(each for diagnosis in diagnoses for each in diagnosis.hypotheses),
        log=tuple(line for each in diagnoses for line in each.log),
        settings=diagnoses[0].settings,
    )
    return Report(
        diagnosis,
        tuple(captures),
        tuple(traffic(reports)),
        skipped=tuple(error for report in reports for error in report.skipped),
        names={address: name for report in reports for address, name in report.names.items()},
    )


def with_captures_from(found: Finding, first: int) -> Finding:
    evidence = tuple(Evidence(each.capture + first, *each[1:]) for each in found.evidence)
    return replace(found, evidence=evidence)


def without_fault(verdicts: Sequence[Verdict]) -> Verdict:
    """The verdict of groups without a fault: healthy only if all are."""
    unknown = [verdict for verdict in verdicts if verdict.state != "healthy"]
    if not unknown:
        return Verdict(
            None, "healthy", f"No fault in {several(len(verdicts), 'group')} of hosts. {verdicts[0].summary}"
        )
    if len(unknown) == len(verdicts):
        return Verdict(None, "cannot-tell", unknown[0].summary)
    known = len(verdicts) - len(unknown)
    where = f"of {several(len(verdicts), 'group')} of hosts {known} {'is' if known == 1 else 'are'} healthy"
    return Verdict(None, "cannot-tell", f"{unknown[0].summary.rstrip('.')}; {where}.")


def traffic(reports: Sequence[Report]) -> list[ProcedureTraffic]:
    """The sums of each procedure."""
    found: dict[tuple[str, int, str], list[ProcedureTraffic]] = {}
    for report in reports:
        for row in report.programs:
            found.setdefault(row[:3], []).append(row)
    return [summed(rows) for _, rows in sorted(found.items())]


def summed(rows: Sequence[ProcedureTraffic]) -> ProcedureTraffic:
    if len(rows) == 1:
        return rows[0]
    names = ("calls", "replies", "unanswered", "retransmits", "errors")
    slowest = max((row.max for row in rows if row.max is not None), default=None)
    sums = {name: sum(getattr(row, name) for row in rows) for name in names}
    return rows[0]._replace(**sums, p50=None, p95=None, p99=None, max=slowest)
