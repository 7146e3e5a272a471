"""The fleet on Dask: each node decoded by a task, each group judged by another.

Nothing but summaries passes the scheduler. A task that fails is tried again on another worker; a node that cannot be
read at all costs its part and is named. With a cache a run that was stopped goes on where it was, for each node's
rows are kept when they are made.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Any, NamedTuple

from nfsrpc.extras import extra
from nfsrpc.fleet.cache import keep, kept, key_of
from nfsrpc.fleet.groups import Group, Summary, groups_of
from nfsrpc.fleet.judging import combined, judged, trace_of
from nfsrpc.fleet.places import Node, captures_of, nodes
from nfsrpc.fleet.rows import NodeRows, pairs_of, rows_of
from nfsrpc.sources import SourceError

if TYPE_CHECKING:
    from nfsrpc.report.contents import Report
    from nfsrpc.trace import Trace

RETRIES = 3  # of a task whose worker was lost, or that could not read
Progress = Callable[[str, int, int], None]  # node, done, of how many


class NodeAnswer(NamedTuple):
    """What a node's captures say by themselves."""

    name: str
    files: int
    state: str
    summary: str


class Fleet(NamedTuple):
    """What was found in a fleet."""

    report: Report
    nodes: tuple[NodeAnswer, ...]
    cached: int  # nodes whose rows were not made anew


def analyze(
    traces: Sequence[str], client: Any, cache: str = "", settings: Any = (), progress: Progress | None = None
) -> Fleet:
    """Judges the captures of a fleet on a cluster of Dask. Raises SourceError where nothing names a capture."""
    _, errors, rows, summaries = decoded(traces, client, cache, settings, progress)
    reports = [
        client.submit(judge, settings, group, *(rows[number] for number in group.nodes), pure=False, retries=RETRIES)
        for group in groups_of([summary for summary, _, _ in summaries])
    ]
    report = combined(client.gather(reports))
    cached = sum(was_kept for _, was_kept, _ in summaries)
    answers = tuple(answer for _, _, answer in summaries)
    return Fleet(report._replace(skipped=(*errors, *report.skipped)), answers, cached)


def read(traces: Sequence[str], client: Any, cache: str = "") -> Trace:
    """The trace of a fleet's captures, decoded on a cluster and joined here."""
    _, _, rows, _ = decoded(traces, client, cache, (), None)
    return trace_of([node for node, _ in client.gather(rows)])


Summaries = list[tuple[Summary, bool, NodeAnswer]]


def decoded(
    traces: Sequence[str], client: Any, cache: str, settings: Any, progress: Progress | None
) -> tuple[list[Node], list[SourceError], list[Any], Summaries]:
    """The nodes, what could not be found, and the futures of their rows with a summary of each."""
    found, errors = nodes(traces)
    if not found:
        raise errors[0] if errors else ValueError("no capture is given")
    futures = [client.submit(decode_node, node, cache, pure=False, retries=RETRIES) for node in found]
    shorts = [client.submit(summary, future, settings, pure=False, retries=RETRIES) for future in futures]
    numbers = {future.key: number for number, future in enumerate(shorts)}
    for done, future in enumerate(extra("fleet", "distributed", "a fleet").as_completed(shorts), 1):
        if progress:
            progress(found[numbers[future.key]].name, done, len(found))
    for number, future in enumerate(shorts):
        if future.status == "error":
            futures[number] = client.submit(lost, found[number], reason(future.exception()), pure=False)
            shorts[number] = client.submit(summary, futures[number], settings, pure=False)
    return found, errors, futures, client.gather(shorts)


def reason(error: BaseException) -> str:
    """Why a node was lost, in one line."""
    return " ".join(f"{type(error).__name__}: {error}".split())[:200]


# Tasks of workers


def decode_node(node: Node, cache: str) -> tuple[NodeRows, bool]:
    """The rows of a node, and whether the cache had them."""
    key = key_of(node.name, node.files) if cache else ""
    rows = kept(cache, key) if cache else None
    if rows is not None:
        return rows, True
    rows = rows_of(node.name, captures_of(node))
    if cache and rows.vantages:
        keep(cache, key, rows)
    return rows, False


def summary(decoded: tuple[NodeRows, bool], settings: Any) -> tuple[Summary, bool, NodeAnswer]:
    rows, was_kept = decoded
    verdict = judged([rows], settings).diagnosis.verdict
    answer = NodeAnswer(rows.name, len(rows.files), verdict.state, verdict.summary)
    return Summary(rows.rows, frozenset(pairs_of(rows))), was_kept, answer


def lost(node: Node, why: str) -> tuple[NodeRows, bool]:
    return NodeRows(node.name, [], [], {}, [(node.name, f"was not decoded: {why}", "")]), False


def judge(settings: Any, group: Group, *decoded: tuple[NodeRows, bool]) -> Report:
    return judged([rows for rows, _ in decoded], settings, group.servers)
