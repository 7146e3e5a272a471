"""The fleet on Dask: each node decoded by a task, then each group judged by another, and each node by itself.

Nothing but summaries passes the scheduler. Which nodes belong together is known when the last one is decoded; while
their group is judged, the other workers judge nodes by themselves. A task that fails is tried again on another worker;
a node that cannot be read at all costs its part and is named. With a cache a run that was stopped goes on where it was,
for each node's rows are kept when they are made.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterator, Sequence
from typing import TYPE_CHECKING, Any, NamedTuple, TypeAlias, TypeVar

from nfsrpc.extras import extra
from nfsrpc.fleet.arrow import pyarrow
from nfsrpc.fleet.cache import add_to_index, check, keep, kept, key_in_index, key_of, state_of
from nfsrpc.fleet.groups import Group, Summary, groups_of
from nfsrpc.fleet.judging import combined, judged, trace_of
from nfsrpc.fleet.places import Node, captures_of, nodes
from nfsrpc.fleet.rows import NodeRows, described, rows_of
from nfsrpc.fleet.unknown import unknown
from nfsrpc.reading import none_of
from nfsrpc.report.fleet import NodeAnswer
from nfsrpc.sources import SourceError

if TYPE_CHECKING:
    from nfsrpc.report.contents import Report
    from nfsrpc.trace import Trace

T = TypeVar("T")
# What fails, or could not be read, is tried again so often; its result depends on more than its arguments.
TASK = {"retries": 3, "pure": False}
SOON, LATER = 1, -1  # priorities: a group is judged before what nodes say by themselves
Progress: TypeAlias = Callable[[str, int, int], None]  # node, done, of how many


class Fleet(NamedTuple):
    """What was found in a fleet."""

    report: Report
    nodes: tuple[NodeAnswer, ...]
    cached: int  # nodes whose rows were not made anew
    uncached: tuple[str, ...] = ()  # for each node whose rows were not kept, why


class DecodedNode(NamedTuple):
    """The rows of a node, and what the cache had to do with them."""

    rows: NodeRows
    cached: bool = False
    uncached: str = ""  # why they were not kept


class Short(NamedTuple):
    """What of a decoded node passes the scheduler."""

    summary: Summary
    unread: list[tuple[str, str, str]]  # where none of its files could be read: their names, reasons, remedies
    cached: bool = False
    uncached: str = ""


class DecodedFleet(NamedTuple):
    """A fleet whose nodes are decoded."""

    nodes: list[Node]
    errors: list[SourceError]  # of traces that name no capture
    rows: list[Any]  # the future of each node's rows
    summaries: list[Summary]
    cached: int
    uncached: tuple[str, ...]


def analyze(
    traces: Sequence[str], client: Any, cache: str = "", settings: Any = (), progress: Progress | None = None
) -> Fleet:
    """Judges the captures of a fleet on a cluster of Dask. Raises SourceError where no file can be read."""
    fleet = decoded(traces, client, cache, progress)
    groups = groups_of(fleet.summaries)
    together = [judging(client, fleet, group, settings) for group in groups]
    alone = [client.submit(by_itself, settings, rows, priority=LATER, **TASK) for rows in fleet.rows]
    answers = dict(enumerate(results(client, alone)))
    broken = {number: reason(answer) for number, answer in answers.items() if isinstance(answer, BaseException)}
    for number, why in broken.items():
        node = fleet.nodes[number]
        answers[number] = NodeAnswer(node.name, len(node.files), "cannot-tell", f"Was not judged by itself: {why}")
    reports: list[Report] = []
    for group, report in zip(groups, results(client, together), strict=True):
        failed = isinstance(report, BaseException)
        reports += without(broken, group, reason(report), client, fleet, settings) if failed else [report]
    report = combined(reports)
    report = report._replace(skipped=(*fleet.errors, *report.skipped))
    return Fleet(report, tuple(answers.values()), fleet.cached, fleet.uncached)


def read(traces: Sequence[str], client: Any, cache: str = "", progress: Progress | None = None) -> Trace:
    """The trace of a fleet's captures, decoded on a cluster and joined here. Raises SourceError where there is none."""
    fleet = decoded(traces, client, cache, progress)
    found = [decoded.rows for decoded in client.gather(fleet.rows)]
    return trace_of([*found, NodeRows("", [], [], {}, list(map(described, fleet.errors)))])


def decoded(traces: Sequence[str], client: Any, cache: str, progress: Progress | None) -> DecodedFleet:
    """The fleet with the rows of each node on the worker that decoded it. Raises SourceError where none has rows."""
    as_completed = extra("fleet", "distributed", "a fleet").as_completed
    pyarrow()
    found, errors = nodes(traces)
    if not found:
        raise none_of(errors) if errors else ValueError("no capture is given")
    if cache and (refused := client.submit(refusal, cache, pure=False).result()):
        raise SourceError(*refused)
    rows = [client.submit(decode_node, node, cache, **TASK) for node in found]
    shorts = [client.submit(summary, future, **TASK) for future in rows]
    numbers = {future.key: number for number, future in enumerate(shorts)}
    for done, future in enumerate(as_completed(shorts), 1):
        if progress:
            progress(found[numbers[future.key]].name, done, len(found))
    known: list[Short] = []
    for number, short in enumerate(results(client, shorts)):
        if isinstance(short, BaseException):
            why = f"was not decoded: {reason(short)}"
            rows[number] = client.submit(lost, found[number], why, **TASK)
            short = summary(lost(found[number], why))
        known.append(short)
    if all(short.unread for short in known):
        raise none_of([*errors, *(SourceError(*fields) for short in known for fields in short.unread)])
    uncached = tuple(short.uncached for short in known if short.uncached)
    cached = sum(short.cached for short in known)
    return DecodedFleet(found, errors, rows, [short.summary for short in known], cached, uncached)


def judging(client: Any, fleet: DecodedFleet, group: Group, settings: Any) -> Any:
    """The future of the report on a group."""
    rows = [fleet.rows[number] for number in group.nodes]
    return client.submit(judge, settings, group.servers, *rows, priority=SOON, **TASK)


def without(
    broken: Collection[int], group: Group, why: str, client: Any, fleet: DecodedFleet, settings: Any
) -> Iterator[Report]:
    """The reports on a group that cannot be judged: that on its other nodes, and one that names what is left out."""
    left = tuple(number for number in group.nodes if number not in broken)
    if left and left != group.nodes:
        (report,) = results(client, [judging(client, fleet, group._replace(nodes=left), settings)])
        if not isinstance(report, BaseException):
            yield report
            left = ()
    out = [number for number in group.nodes if number in left or number in broken]
    yield judged([lost(fleet.nodes[number], f"was not judged: {why}").rows for number in out])


def results(client: Any, futures: Sequence[Any]) -> list[Any]:
    """The result of each future, or the exception that it ended with."""
    extra("fleet", "distributed", "a fleet").wait(futures)
    done = [future for future in futures if future.status == "finished"]
    found = dict(zip((future.key for future in done), client.gather(done), strict=True))
    return [found[future.key] if future.key in found else future.exception() for future in futures]


def reason(error: BaseException) -> str:
    """Why a task failed, in one line."""
    return " ".join(f"{type(error).__name__}: {error}".split())[:200]


# Tasks of workers


def refusal(cache: str) -> tuple[str, str, str] | None:
    """Why nothing can be written to a cache: as text, for what a package raised beneath it may not be pickled."""
    try:
        check(cache)
    except SourceError as error:
        return described(error)
    return None


def decode_node(node: Node, cache: str) -> DecodedNode:
    """The rows of a node: those that the cache has, else made of its captures, and kept if nothing failed meanwhile."""
    state = or_none(state_of, node.files) if cache else None
    if state and (known := key_in_index(cache, state)) and (rows := kept(cache, known, node)):
        return DecodedNode(rows, cached=True)
    captures = captures_of(node)
    key = or_none(key_of, captures) if state else None
    found = kept(cache, key, node) if key else None
    rows = found or rows_of(node.name, captures)
    # What could not be read may be readable the next time; and a file that grew meanwhile is another.
    whole = rows.vantages and not rows.damages and not rows.skipped
    if state and key and whole and state == or_none(state_of, node.files):
        try:
            if not found:
                keep(cache, key, rows)
            add_to_index(cache, state, key)
        except SourceError as error:
            return DecodedNode(rows, bool(found), str(error))
    return DecodedNode(rows, bool(found))


def or_none(name: Callable[[Sequence[T]], str], files: Sequence[T]) -> str | None:
    """What files are kept under; None where one of them is not there, which decoding names."""
    try:
        return name(files)
    except SourceError:
        return None


def summary(decoded: DecodedNode) -> Short:
    rows, cached, uncached = decoded
    unread = [] if rows.vantages else rows.skipped
    return Short(Summary(rows.rows, rows.pairs, rows.servers), unread, cached, uncached)


def lost(node: Node, why: str) -> DecodedNode:
    return DecodedNode(NodeRows(node.name, [], [], {}, [(node.name, why, "")]))


def judge(settings: Any, servers: frozenset[str] | None, *decoded: DecodedNode) -> Report:
    return judged([node.rows for node in decoded], settings, servers)


def by_itself(settings: Any, decoded: DecodedNode) -> NodeAnswer:
    rows = decoded.rows
    report = judged([rows], settings)
    verdict = report.diagnosis.verdict
    return NodeAnswer(rows.name, len(rows.files), verdict.state, verdict.summary, unknown(report))
