"""The report for a ticket: what the text report says, as Markdown."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Sequence

from nfsrpc.report.contents import Report, nfsrpc_version, unknowns
from nfsrpc.report.terminal import clean
from nfsrpc.report.words import by_program, clock, described, lacks, program_row, span, whose
from nfsrpc.rules.finding import Finding, Need

STATES = {"fault": "Fault", "healthy": "Healthy", "cannot-tell": "Cannot tell"}
# What Markdown and HTML take for markup, in names that a capture brings.
MARKUP = re.compile(r"([\\`*_\[\]<>|#~&])")


def render(report: Report) -> str:
    return "\n".join(_lines(report)) + "\n"


def _lines(report: Report) -> Iterator[str]:
    verdict, leading = report.diagnosis.verdict, report.leading
    rule = f": {leading.rule} {escaped(leading.name)} ({leading.certainty})" if leading else ""
    yield f"## {STATES[verdict.state]}{rule}"
    yield ""
    yield f"**{escaped(verdict.summary)}**"
    if leading:
        yield from _finding(report, leading)
    yield from _causes(report)
    yield from _expected(report)
    yield from _logs(report)
    yield from _others(report)
    yield from _clear(report)
    yield from _unknown(report)
    yield from _captures(report)


def _finding(report: Report, finding: Finding) -> Iterator[str]:
    yield ""
    yield escaped(finding.explanation)
    yield ""
    facts = (
        ("Host to fix", finding.host),
        ("Clients", ", ".join(finding.clients)),
        ("Files", ", ".join(finding.files)),
        ("When", span(finding.first, finding.last) if finding.first is not None else ""),
    )
    yield from (f"- {name}: {escaped(value)}" for name, value in facts if value)
    if finding.evidence:
        yield from _section("Proof" if finding.certainty == "certain" else "Signs")
        rows = [(report.file(proof.capture), str(proof.frame), proof.note) for proof in finding.evidence]
        yield from table(("capture", "frame", "what it shows"), rows)
    if finding.needs:
        yield from _section("To be sure")
        yield from _need(finding.needs)
    if finding.remedy:
        yield from _section(f"Fix, on {escaped(finding.host)}" if finding.host else "Fix")
        yield from fenced(finding.remedy)
    if finding.verify:
        yield from _section("Verify")
        yield from fenced(finding.verify)


def _causes(report: Report) -> Iterator[str]:
    causes = report.diagnosis.hypotheses
    if causes:
        yield from _section("Causes that fit, most probable first")
        rows = [(f"{c.rule} {c.name}", c.host or "", c.supports, c.against) for c in causes]
        yield from table(("cause", "host", "for", "against"), rows)


def _expected(report: Report) -> Iterator[str]:
    if report.unseen:
        yield from _section("Not found in the kernel logs" if report.logs else "To expect in kernel logs")
        rows = [(clock(line.time), line.host, line.text) for line in report.unseen]
        yield from table(("about", "on", "line"), rows)


def _logs(report: Report) -> Iterator[str]:
    for log in report.logs:
        yield from _section(f"Kernel log {escaped(log.file)}")
        yield f"Clock: {escaped(log.clock)}."
        yield ""
        rows = [(clock(line.time) if line.time else "", line.text, whose(line)) for line in log.lines]
        yield from table(("time", "line", "explanation"), rows)


def _others(report: Report) -> Iterator[str]:
    if report.others:
        explained = set(report.leading.explains) if report.leading else set()
        yield from _section("Also found")
        rows = [
            (
                finding.severity,
                f"{finding.rule} {finding.name}" + (", explained by the above" if finding.rule in explained else ""),
                finding.host or "",
                finding.title,
                ", ".join(str(proof.frame) for proof in finding.evidence),
            )
            for finding in report.others
        ]
        yield from table(("severity", "rule", "host", "what", "frames"), rows)


def _clear(report: Report) -> Iterator[str]:
    clear = report.diagnosis.clear
    if report.diagnosis.verdict.state == "healthy" and clear:
        yield from _section("Checked")
        yield from table(("rule", "evidence"), [(answer.rule, answer.evidence) for answer in clear])


def _unknown(report: Report) -> Iterator[str]:
    if report.diagnosis.cannot_tell or report.diagnosis.broken:
        yield from _section("Could not be told")
    for unknown in unknowns(report.diagnosis.cannot_tell):
        yield from (f"- {', '.join(rules)}: {escaped(why)}" for why, rules in unknown.reasons)
        for need in unknown.needs:
            yield ""
            yield from _need(need)
        yield ""
    for rule in report.diagnosis.broken:
        yield f"- {rule.rule} failed, which is a bug of nfsrpc: {escaped(rule.error)}"


def _captures(report: Report) -> Iterator[str]:
    yield from _section("Captures and traffic")
    for number, capture in enumerate(report.captures):
        yield f"- {escaped(report.file(number))}: {escaped(described(capture))}"
        yield from (f"  - {escaped(lack)}" for lack in lacks(capture))
    if report.programs:
        yield ""
        rows = [program_row(name, list(group)) for name, group in by_program(report.programs)]
        yield from table(("program", "calls", "unanswered", "resent", "errors", "slowest answer"), rows)
    yield ""
    yield f"nfsrpc {nfsrpc_version()}"


def _section(title: str) -> list[str]:
    return ["", f"### {title}", ""]


def _need(need: Need) -> list[str]:
    return [f"Capture the {escaped(need.vantage)}:", "", *fenced([need.command])]


def escaped(text: str) -> str:
    return MARKUP.sub(r"\\\1", clean(text))


def table(head: Sequence[str], rows: Iterable[Sequence[str]]) -> Iterator[str]:
    yield f"| {' | '.join(head)} |"
    yield "|" + "---|" * len(head)
    for row in rows:
        yield f"| {' | '.join(map(escaped, row))} |"


def fenced(commands: Sequence[str]) -> list[str]:
    """A block to be copied, fenced by more backticks than any command holds."""
    lines = [clean(command) for command in commands]
    longest = max((len(run) for line in lines for run in re.findall("`+", line)), default=0)
    fence = "`" * max(3, longest + 1)
    return [f"{fence}sh", *lines, fence]
