"""What captures cannot tell where it is important: whether a likely fault is one, and whether others are there.

Rules that only inform, and those that lack nothing but the traffic that they are about, are left out.
"""

from __future__ import annotations

from collections.abc import Iterator

from nfsrpc.diagnosis.catalogue import rules
from nfsrpc.findings.finding import Diagnosis, Need
from nfsrpc.report.contents import Report
from nfsrpc.report.fleet import OpenQuestion
from nfsrpc.report.host_names import ADDRESS, named_host, with_names

ITSELF = "the node itself"


def unknown(report: Report) -> tuple[OpenQuestion, ...]:
    """The open questions of a node, one per sentence; none names its own host, so that nodes have some in common."""
    hosts = {capture.host for capture in report.captures if capture.host}
    found: dict[tuple[str, str], set[str]] = {}
    for rule, why, need in open_questions(report.diagnosis):
        sentence = without(hosts, with_names(why, report.names), report)
        found.setdefault((sentence, need.vantage), set()).add(rule)
    return tuple(OpenQuestion(why, tuple(sorted(asked)), vantage) for (why, vantage), asked in found.items())


def open_questions(diagnosis: Diagnosis) -> Iterator[tuple[str, str, Need]]:
    """Rule, reason and missing capture: of causes that are not certain, then of rules that cannot tell."""
    known = rules()
    causes = {cause.finding for cause in diagnosis.verdict.causes}
    for found in diagnosis.findings:
        if found.id in causes and found.needs and found.certainty != "certain":
            yield found.rule, f"the {found.needs.vantage} was not captured", found.needs
    for answer in diagnosis.cannot_tell:
        if answer.needs and answer.rule in known and known[answer.rule].rule.severity != "info":
            yield answer.rule, answer.why, answer.needs


def without(hosts: set[str], text: str, report: Report) -> str:
    """A text that does not name these hosts."""
    for host in hosts:
        text = text.replace(named_host(host, report.names), host)
    return ADDRESS.sub(lambda found: ITSELF if found[0] in hosts else found[0], text)
