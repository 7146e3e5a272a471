"""Which nodes are judged together: those whose hosts call each other, directly or by way of others.

Nothing that a rule compares lies in two groups, so each is judged by itself, on any worker. Where one of them is too
large for a worker it is judged server by server: of each node what concerns that server or its clients' own
loopbacks.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import NamedTuple

Pair = tuple[str, str]

MOST_ROWS = 4_000_000  # judged at once: 1 GB for the tables of a trace


class Group(NamedTuple):
    """Nodes that are judged together, and of which servers; all where it is None."""

    nodes: tuple[int, ...]
    servers: frozenset[str] | None = None


class Summary(NamedTuple):
    """What grouping has to know of a node."""

    rows: int
    pairs: frozenset[Pair]


def groups_of(nodes: Sequence[Summary], most_rows: int = MOST_ROWS) -> list[Group]:
    """The groups, the largest first; a node that shows no pair of hosts is one by itself.

    >>> nodes = [Summary(1, frozenset({("c1", "s1")})), Summary(1, frozenset({("c2", "s2")})), Summary(1, frozenset())]
    >>> [group.nodes for group in groups_of([*nodes, Summary(1, frozenset({("c1", "s3"), ("c3", "s3")}))])]
    [(0, 3), (1,), (2,)]
    """
    root = connected([pair for node in nodes for pair in node.pairs])
    found: dict[str, list[int]] = {}
    for number, node in enumerate(nodes):
        name = next((f"host {root[pair[0]]}" for pair in node.pairs), f"node {number}")
        found.setdefault(name, []).append(number)
    whole = sorted((tuple(numbers) for numbers in found.values()), key=lambda numbers: (-len(numbers), numbers))
    return [part for numbers in whole for part in parts_of(numbers, nodes, most_rows)]


def connected(pairs: Sequence[Pair]) -> Mapping[str, str]:
    """One host for all hosts that are connected with it: the representative of each."""
    above: dict[str, str] = {}

    def root(host: str) -> str:
        above.setdefault(host, host)
        while above[host] != host:
            above[host] = above[above[host]]
            host = above[host]
        return host

    for one, other in pairs:
        above[max(root(one), root(other))] = min(root(one), root(other))
    return {host: root(host) for host in list(above)}


def parts_of(numbers: tuple[int, ...], nodes: Sequence[Summary], most_rows: int) -> list[Group]:
    """A group as it is, or by server where it has too many rows."""
    if sum(nodes[number].rows for number in numbers) <= most_rows:
        return [Group(numbers)]
    by_server: dict[str, list[int]] = {}
    for number in numbers:
        for server in sorted({server for _, server in nodes[number].pairs}):
            by_server.setdefault(server, []).append(number)
    clients = {client for number in numbers for client, _ in nodes[number].pairs}
    only_servers = {server: found for server, found in by_server.items() if server not in clients} or by_server
    return [Group(tuple(found), frozenset({server})) for server, found in sorted(only_servers.items())]
