"""What a trace shows of itself: its verdict, its findings, its captures, and how much of everything there is in it."""

from __future__ import annotations

from collections.abc import Iterator, Mapping

from nfsrpc.markup import cell, listing, table
from nfsrpc.report.contents import Report
from nfsrpc.report.words import described, digits, lacks
from nfsrpc.rules.shown import findings_html, verdict_html

Sizes = Mapping[str, int]  # of tables, by their names
# Tables that say at a glance what there is.
COUNTED = ("calls", "locks", "monitors", "registrations", "paths", "flows", "hosts")


def html(report: Report, sizes: Sizes) -> str:
    said = [line for capture in report.captures for line in (described(capture), *lacks(capture))]
    return (
        verdict_html(report.diagnosis.verdict)
        + findings_html(report.diagnosis.findings)
        + cell(listing(said), table(COUNTED, [[digits(sizes[name]) for name in COUNTED]]))
    )


def text(report: Report, sizes: Sizes) -> str:
    return "\n".join(lines(report, sizes))


def lines(report: Report, sizes: Sizes) -> Iterator[str]:
    yield str(report.diagnosis.verdict)
    for finding in report.diagnosis.findings:
        yield f"  {finding.severity} {finding.rule}, {finding.host or 'no host'}: {finding.title}"
    yield from (f"  {described(capture)}" for capture in report.captures)
    yield "  tables: " + ", ".join(f"{name} {digits(sizes[name])}" for name in COUNTED)
