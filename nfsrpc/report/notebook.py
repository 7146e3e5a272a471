"""A trace as text and in a notebook: its verdict, findings and captures, and the sizes of its tables."""

from __future__ import annotations

from collections.abc import Iterator
from html import escape

from nfsrpc.findings.bounds import SCREEN, clipped, first_of, omitted, shortened
from nfsrpc.findings.shown import findings_html, located
from nfsrpc.markup import cell, listing, table
from nfsrpc.printable import clean
from nfsrpc.report.captures import described, lacks
from nfsrpc.report.contents import Capture, Report
from nfsrpc.tables import Tables
from nfsrpc.wording import count, digits

# Tables whose sizes are an overview of the trace.
OVERVIEW = ("calls", "locks", "monitors", "registrations", "paths", "flows", "hosts")


class Page(str):
    """The text of an HTML page, shown in a frame of its own: its styles do not mix with a notebook's.

    >>> Page("<p>It's &amp;</p>")._repr_html_()[-57:]
    'srcdoc="&lt;p&gt;It&#x27;s &amp;amp;&lt;/p&gt;"></iframe>'
    """

    __slots__ = ()

    def _repr_html_(self) -> str:
        style = "width: 100%; height: 48em; border: 0; background: Canvas"
        return (
            f'<iframe title="Report of nfsrpc" style="{style}" sandbox="allow-scripts allow-popups" '
            f'allow="clipboard-write" srcdoc="{escape(self)}"></iframe>'
        )


def html(report: Report, tables: Tables) -> str:
    captures, more = first_of(report.captures, SCREEN.captures)
    sentences = [line for capture in captures for line in (about(capture), *lacks(capture))]
    sentences += [f"and {count(more, 'more file')}"] if more else []
    sentences += left_out(report)
    return (
        report.diagnosis.verdict._repr_html_()
        + findings_html(report.diagnosis.findings)
        + cell(listing(sentences), table(OVERVIEW, [[digits(len(tables[name])) for name in OVERVIEW]]))
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
    yield "  tables: " + ", ".join(f"{name} {digits(len(tables[name]))}" for name in OVERVIEW)


def left_out(report: Report) -> list[str]:
    """Sentences on files that could not be read and rules that failed."""
    failed = [f"{rule.rule} failed, which is a bug of nfsrpc: {rule.error}" for rule in report.diagnosis.broken]
    return [f"skipped {error}" for error in report.skipped] + failed


def about(capture: Capture) -> str:
    return f"{capture.file}: {described(capture)}"
