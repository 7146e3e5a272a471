"""What a report on a fleet leads with: causes by server, whom they affect, and what cannot be told from where."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from textwrap import wrap

from nfsrpc.findings.finding import Finding, Need
from nfsrpc.fleet.run import Fleet
from nfsrpc.printable import clean
from nfsrpc.wording import duration, several

MARGIN = 10
NAMED = 3  # clients of a row, by name
NODES = 10  # that cannot tell, one line each
HEADINGS = ("host to fix", "cause", "certainty", "clients", "longest wait")


def lines(fleet: Fleet, width: int = 80) -> Iterator[str]:
    """The table of causes, then the nodes that cannot tell, then the one capture that would tell most."""
    rows = list(causes(fleet))
    if rows:
        yield from aligned([HEADINGS, *rows])
        yield ""
    yield from labelled("Nodes", counted(fleet), width)
    if clocks := unaligned(fleet):
        yield from labelled("Clocks", clocks, width)
    if fleet.uncached:
        nodes = several(len(fleet.uncached), "node")
        yield from labelled("Cache", f"the rows of {nodes} were not kept: {fleet.uncached[0]}", width)
    unknown = [node for node in fleet.nodes if node.state == "cannot-tell"]
    for node in unknown[:NODES]:
        yield from labelled("", f"{node.name}: {node.summary}", width)
    if len(unknown) > NODES:
        yield from labelled("", f"and {several(len(unknown) - NODES, 'more node')} that cannot tell", width)
    need, times = next_capture(fleet)
    if need is not None:
        yield from labelled("One more", f"Capture the {need.vantage}: it would decide {times} of what is open.", width)
        yield " " * MARGIN + str(need.command)
    yield ""


def causes(fleet: Fleet) -> Iterator[tuple[str, ...]]:
    """One row per host and rule, the gravest first, with all its witnesses."""
    leading = [fault.finding for fault in fleet.report.faults]
    found: dict[tuple[str, str], list[Finding]] = {}
    for finding in leading:
        found.setdefault((finding.table_host or "", finding.rule), []).append(finding)
    for findings in found.values():
        clients = {client for each in findings for client in each.clients}
        wait = max((each.wait_s for each in findings if each.wait_s is not None), default=None)
        certain = any(each.certainty == "certain" for each in findings)
        first = findings[0]
        yield (
            fleet.report.located(first),
            f"{first.rule} {first.name}",
            "certain" if certain else "likely",
            str(len(clients)),
            duration(wait) if wait is not None else "",
        )


def counted(fleet: Fleet) -> str:
    states = Counter(node.state for node in fleet.nodes)
    parts = [
        several(len(fleet.nodes), "node"),
        several(sum(node.files for node in fleet.nodes), "file"),
        *(f"{states[state]} {words}" for state, words in STATES if states[state]),
    ]
    kept = f"; {fleet.cached} from the cache" if fleet.cached else ""
    return ", ".join(parts) + kept


def unaligned(fleet: Fleet) -> str:
    """Of how many captures nothing shows how their clock differs from another's; empty where there are none."""
    captures = fleet.report.captures
    alone = sum(capture.offset_s is None for capture in captures)
    if not alone or len(fleet.nodes) < 2:
        return ""
    return (
        f"of {several(len(captures), 'capture')}, {several(alone, 'has', 'have')} no message in common with those of "
        "another node: cannot tell what came first; each node is judged by itself"
    )


STATES = (("fault", "with a fault"), ("healthy", "healthy"), ("cannot-tell", "cannot tell by themselves"))


def next_capture(fleet: Fleet) -> tuple[Need | None, int]:
    """The vantage that most open questions need, and how many."""
    diagnosis = fleet.report.diagnosis
    wanted = [*(each.needs for each in diagnosis.findings), *(each.needs for each in diagnosis.cannot_tell)]
    needs = [need for need in wanted if need is not None]
    by_vantage = {need.vantage: need for need in reversed(needs)}
    if not needs:
        return None, 0
    vantage, times = Counter(need.vantage for need in needs).most_common(1)[0]
    return by_vantage[vantage], times


def aligned(rows: list[tuple[str, ...]]) -> Iterator[str]:
    widths = [max(len(cell) for cell in column) for column in zip(*rows, strict=True)]
    for row in rows:
        yield clean("  ".join(cell.ljust(size) for cell, size in zip(row, widths, strict=True)).rstrip())


def labelled(label: str, text: str, width: int) -> Iterator[str]:
    for number, line in enumerate(wrap(clean(text), max(width - MARGIN, MARGIN))):
        yield f"{'' if number else label:<{MARGIN}}{line}"
