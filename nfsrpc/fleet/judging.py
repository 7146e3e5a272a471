"""One group of nodes judged: their rows joined as those of vantages, and given to sessions and rules as ever."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from dataclasses import replace
from functools import cache
from typing import Any

from nfsrpc.decode import merge
from nfsrpc.diagnosis.joined import joined
from nfsrpc.diagnosis.verdict import diagnose
from nfsrpc.findings.finding import Diagnosis, Finding, Verdict
from nfsrpc.fleet.rows import NodeRows
from nfsrpc.fleet.rows import joined as joined_rows
from nfsrpc.protocols import PROTOCOLS, compile  # noqa: A004
from nfsrpc.report.contents import Capture, ProcedureTraffic, Report, report_of
from nfsrpc.report.host_names import diagnosis_with_names
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
    return Trace(merge(joined_rows(nodes, kinds(), servers)))


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
    """The reports on groups of nodes as one, with captures numbered throughout, and each of them once.

    Quantiles of latencies cannot be joined, and are null where several groups have some.
    """
    if len(reports) == 1:
        return reports[0]
    captures: dict[str, Capture] = {}  # by name: one that is judged server by server is in several reports
    clocks: dict[tuple[int, int], int] = {}
    for number, capture in ((number, each) for number, report in enumerate(reports) for each in report.captures):
        if capture.file not in captures or captures[capture.file].offset_s is None:
            clock = clocks.setdefault((number, capture.clock), len(clocks))
            captures[capture.file] = capture._replace(clock=clock)
    numbers = {name: number for number, name in enumerate(captures)}
    diagnoses = [
        renumbered(report.diagnosis, [numbers[capture.file] for capture in report.captures]) for report in reports
    ]
    names = {address: name for report in reports for address, name in report.names.items()}
    return Report(
        diagnosis_with_names(joined(diagnoses), names),
        tuple(captures.values()),
        tuple(traffic(reports)),
        skipped=tuple(error for report in reports for error in report.skipped),
        names=names,
    )


def renumbered(diagnosis: Diagnosis, numbers: Sequence[int]) -> Diagnosis:
    """A diagnosis with these numbers of its captures."""
    return replace(diagnosis, findings=tuple(with_captures(found, numbers) for found in diagnosis.findings))


def with_captures(found: Finding, numbers: Sequence[int]) -> Finding:
    return replace(found, evidence=tuple(each._replace(capture=numbers[each.capture]) for each in found.evidence))


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
