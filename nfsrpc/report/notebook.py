"""What a trace shows of itself: its verdict, its findings, its captures, and how much of everything there is in it."""

from __future__ import annotations

from collections.abc import Iterator

from nfsrpc.findings.bounds import SCREEN, clipped, first_of, omitted, shortened
from nfsrpc.findings.shown import findings_html, located
from nfsrpc.markup import cell, listing, table
from nfsrpc.printable import clean
from nfsrpc.report.captures import described, lacks
from nfsrpc.report.contents import Capture, Report
from nfsrpc.tables import Tables
from nfsrpc.wording import count, digits

# Tables that say at a glance what there is.
COUNTED = ("calls", "locks", "monitors", "registrations", "paths", "flows", "hosts")


def html(report: Report, tables: Tables) -> str:
    captures, more = first_of(report.captures, SCREEN.captures)
    said = [line for capture in captures for line in (about(capture), *lacks(capture))]
    said += [f"and {count(more, 'more file')}"] if more else []
    said += left_out(report)
    return (
        report.diagnosis.verdict._repr_html_()
        + findings_html(report.diagnosis.findings)
        + cell(listing(said), table(COUNTED, [[digits(len(tables[name])) for name in COUNTED]]))
    )


def text(report: Report, tables: Tables) -> str:
    return "\n".join(map(clean, lines(report, tables)))


def lines(report: Report, tables: Tables) -> Iterator[str]:
    yield str(report.diagnosis.verdict)
    findings = report.diagnosis.findings
    shown = [finding for finding, _ in shortened(findings, SCREEN)]
    for finding in shown:
        title = clipped(finding.title, SCREEN.characters)
        yield f"  {finding.severity} {finding.rule}, {located(finding) or 'no host'}: {title}"
    yield from (f"  and {number}" for number in omitted(findings, shown))
    captures, more = first_of(report.captures, SCREEN.captures)
    yield from (f"  {about(capture)}" for capture in captures)
    yield from [f"  and {count(more, 'more file')}"] if more else []
    yield from (f"  {line}" for line in left_out(report))
    yield "  tables: " + ", ".join(f"{name} {digits(len(tables[name]))}" for name in COUNTED)


def left_out(report: Report) -> list[str]:
    """What could not be looked at."""
    failed = [f"{rule.rule} failed, which is a bug of nfsrpc: {rule.error}" for rule in report.diagnosis.broken]
    return [f"skipped {error}" for error in report.skipped] + failed


def about(capture: Capture) -> str:
    return f"{capture.file}: {described(capture)}"
