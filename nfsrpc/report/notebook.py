"""What a trace shows of itself: its verdict, its findings, its captures, and how much of everything there is in it."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import TypeAlias

from nfsrpc.markup import cell, listing, table
from nfsrpc.printable import clean
from nfsrpc.report.contents import Capture, Report
from nfsrpc.report.words import described, digits, lacks
from nfsrpc.rules.shown import findings_html, verdict_html
from nfsrpc.tables import Table

Tables: TypeAlias = Mapping[str, Table]
# Tables that say at a glance what there is.
COUNTED = ("calls", "locks", "monitors", "registrations", "paths", "flows", "hosts")


def html(report: Report, tables: Tables) -> str:
    said = [line for capture in report.captures for line in (about(capture), *lacks(capture))] + left_out(report)
    return (
        verdict_html(report.diagnosis.verdict)
        + findings_html(report.diagnosis.findings)
        + cell(listing(said), table(COUNTED, [[digits(len(tables[name])) for name in COUNTED]]))
    )


def text(report: Report, tables: Tables) -> str:
    return "\n".join(map(clean, lines(report, tables)))


def lines(report: Report, tables: Tables) -> Iterator[str]:
    yield str(report.diagnosis.verdict)
    for finding in report.diagnosis.findings:
        yield f"  {finding.severity} {finding.rule}, {finding.host or 'no host'}: {finding.title}"
    yield from (f"  {about(capture)}" for capture in report.captures)
    yield from (f"  {line}" for line in left_out(report))
    yield "  tables: " + ", ".join(f"{name} {digits(len(tables[name]))}" for name in COUNTED)


def left_out(report: Report) -> list[str]:
    """What could not be looked at."""
    failed = [f"{rule.rule} failed, which is a bug of nfsrpc: {rule.error}" for rule in report.diagnosis.broken]
    return [f"skipped {error}" for error in report.skipped] + failed


def about(capture: Capture) -> str:
    return f"{capture.file}: {described(capture)}"
