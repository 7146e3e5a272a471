"""Which nodes are judged together: those whose hosts call each other, directly or by way of others.

Hosts are connected, too, where one node shows both, for its captures are not divided: a client's node may show its own
calls, and those of its containers to another address of the server.
Nothing that a rule compares lies in two groups, so each is judged by itself, on any worker. Where one of them is too
large for a worker it is judged server by server: of each node what concerns that server or its clients' own
loopbacks. That is for want of memory, not to save time: it takes 1.5 times as long, for a node's rows are read for
each of its servers, and what is compared beyond a server's address is lost (two addresses of one host, translations).
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import NamedTuple

Pair = tuple[str, str]

MOST_ROWS = 1_000_000  # judged at once: 1.6 GB, with all that sessions and rules make of a row


class Group(NamedTuple):
    """Nodes that are judged together, and of which servers; all where it is None."""

    nodes: tuple[int, ...]
    servers: frozenset[str] | None = None


class Summary(NamedTuple):
    """What grouping has to know of a node."""

    rows: int
    pairs: frozenset[Pair]
    servers: frozenset[str] = frozenset()  # of NFS


def groups_of(nodes: Sequence[Summary], most_rows: int = MOST_ROWS) -> list[Group]:
    """The groups, the largest first; a node that shows no pair of hosts is one by itself.

    >>> nodes = [Summary(1, frozenset({("c1", "s1")})), Summary(1, frozenset({("c2", "s2")})), Summary(1, frozenset())]
    >>> [group.nodes for group in groups_of([*nodes, Summary(1, frozenset({("c1", "s3"), ("c3", "s3")}))])]
    [(0, 3), (1,), (2,)]
    """
    hosts = [sorted(frozenset().union(*node.pairs)) for node in nodes]
    root = connected([(mine[0], host) for mine in hosts for host in mine])
    found: dict[str, list[int]] = {}
    for number, mine in enumerate(hosts):
        found.setdefault(f"host {root[mine[0]]}" if mine else f"node {number}", []).append(number)
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
    """A group as it is, or by server where it has too many rows: each pair of hosts is in one part at least."""
    if sum(nodes[number].rows for number in numbers) <= most_rows:
        return [Group(numbers)]
    of_group = [nodes[number] for number in numbers]
    servers = frozenset().union(*(node.servers for node in of_group))
    peers: dict[str, set[str]] = {}
    for one, other in (pair for node in of_group for pair in node.pairs):
        peers.setdefault(one, set()).add(other)
        peers.setdefault(other, set()).add(one)
    found: dict[str, set[int]] = {}
    for number, node in zip(numbers, of_group, strict=True):
        for pair in node.pairs:
            # Callbacks and notices go from server to client. Without NFS, the server is the host that more talk to.
            for server in servers.intersection(pair) or {max(pair, key=lambda host: (len(peers[host]), host))}:
                found.setdefault(server, set()).add(number)
    return [Group(tuple(sorted(places)), frozenset({server})) for server, places in sorted(found.items())]
