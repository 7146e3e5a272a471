"""What a report on a fleet leads with: causes by host to fix, what nodes cannot tell, and the capture to make next."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from itertools import groupby
from operator import itemgetter

from nfsrpc.diagnosis.faults import affected_clients
from nfsrpc.findings.finding import SEVERITIES, Diagnosis, Need
from nfsrpc.fleet.run import Fleet
from nfsrpc.fleet.unknown import open_questions
from nfsrpc.report.contents import Fault, Report
from nfsrpc.report.fleet import HostToFix, NextCapture, NodeAnswer, Overview, SharedQuestion


def reported(fleet: Fleet) -> Report:
    """The report on a fleet."""
    report, nodes = fleet.report, fleet.nodes
    alone = sum(capture.offset_s is None for capture in report.captures) if len(nodes) > 1 else 0
    overview = Overview(
        tuple(sorted(hosts_to_fix(report.faults), key=worst_first)),
        nodes,
        tuple(unknown(nodes, report.diagnosis)),
        next_capture(report.diagnosis),
        len(report.captures),
        alone,
        fleet.cached,
        fleet.uncached,
    )
    return report._replace(fleet=overview)


def hosts_to_fix(faults: Iterable[Fault]) -> Iterator[HostToFix]:
    """One row per host and rule, with all that is affected."""
    found: dict[tuple[str | None, str], list[Fault]] = {}
    for fault in faults:
        found.setdefault((fault.finding.table_host, fault.finding.rule), []).append(fault)
    for same in found.values():
        findings = [fault.finding for fault in same]
        affected = [affected_clients(fault.finding, fault.effects) for fault in same]
        yield HostToFix(
            findings[0],
            "certain" if any(finding.certainty == "certain" for finding in findings) else "likely",
            tuple(sorted(set().union(*(clients for clients, _ in affected)))),
            any(finding.at_least for finding in findings),
            max(wait for _, wait in affected) or None,
            tuple(finding.id for finding in findings),
        )


def worst_first(row: HostToFix) -> tuple[object, ...]:
    """The sort key of the table: gravity, then the number of clients, then the longest wait."""
    gravity = SEVERITIES.index(row.finding.severity), row.certainty != "certain"
    return *gravity, -len(row.clients), -(row.wait_s or 0.0)


def unknown(nodes: Sequence[NodeAnswer], diagnosis: Diagnosis) -> Iterator[SharedQuestion]:
    """What nodes cannot tell and no other one shows.

    Whether locks work at all comes first, then what likely faults lack, then what most nodes lack.
    """
    found: dict[str, list[str]] = {}
    for node in nodes:
        if node.state == "cannot-tell":
            found.setdefault(node.summary, []).append(node.name)
    yield from sorted((SharedQuestion(why, (), tuple(names)) for why, names in found.items()), key=most_nodes_first)
    missing, doubted = {need.vantage for _, _, need in open_questions(diagnosis)}, vantages_of_causes(diagnosis)
    open_ones: dict[tuple[bool, str], list[tuple[str, tuple[str, ...]]]] = {}
    for node in nodes:
        for why, rules, vantage in node.unknown:
            if vantage in missing:
                open_ones.setdefault((vantage not in doubted, why), []).append((node.name, rules))
    for _, group in groupby(sorted(open_ones), key=itemgetter(0)):
        yield from sorted((shared(key[1], open_ones[key]) for key in group), key=most_nodes_first)


def shared(why: str, lacking: Sequence[tuple[str, tuple[str, ...]]]) -> SharedQuestion:
    """What these nodes cannot tell, each for some rules."""
    rules = {rule for _, rules in lacking for rule in rules}
    return SharedQuestion(why, tuple(sorted(rules)), tuple(dict.fromkeys(node for node, _ in lacking)))


def most_nodes_first(row: SharedQuestion) -> int:
    return -len(row.nodes)


def vantages_of_causes(diagnosis: Diagnosis) -> set[str]:
    """The vantages that likely causes need."""
    causes = {cause.finding for cause in diagnosis.verdict.causes}
    return {found.needs.vantage for found in diagnosis.findings if found.needs and found.id in causes}


def next_capture(diagnosis: Diagnosis) -> NextCapture | None:
    """The capture that would settle most questions, of likely faults before those of which nothing shows a fault."""
    needs: dict[str, Need] = {}
    questions: dict[str, set[tuple[str, str]]] = {}
    for rule, why, need in open_questions(diagnosis):
        needs.setdefault(need.vantage, need)
        questions.setdefault(need.vantage, set()).add((rule, why))
    if not needs:
        return None
    doubted = vantages_of_causes(diagnosis)
    chosen = max(needs, key=lambda vantage: (vantage in doubted, len(questions[vantage])))
    return NextCapture(needs[chosen], len(questions[chosen]), tuple(sorted({rule for rule, _ in questions[chosen]})))
