"""Lock owners wait for each other in a circle: a deadlock.

Sees
    An owner waits for a range that another holds, while that one asks for, or waits for, a range of the first: directly
    or over several. Servers that notice answer DEADLCK to one of them.

Why it hurts
    Nobody of the circle gets on, but for the one that is told DEADLCK and that has to handle it.

Not flagged when
    Only one of the waits is in the capture (LCK006 then says DEADLCK, if it was answered).

How to confirm
    The order in which the applications lock.

How to fix
    Applications lock in one order, or not one while they hold another.

References
    fcntl(2), "Deadlock detection"; Linux fs/locks.c (posix_locks_deadlock).
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import NamedTuple, TypeAlias

from nfsrpc.rules.advice import bare
from nfsrpc.rules.command import command, remark
from nfsrpc.rules.facts import SECOND
from nfsrpc.rules.finding import Answer, Evidence, Finding, Rule
from nfsrpc.rules.holding import DEADLCK, Waiter
from nfsrpc.rules.wording import named, several
from nfsrpc.tables import Table

RULE = Rule("LCK012", "lock-wait-cycle", "warning")

Owner: TypeAlias = tuple[str, str]  # client, owner
STUCK_S = 5.0  # so long they all wait together, if no server says DEADLCK
LONGEST = 8  # owners in a circle; longer ones are not looked for


class Edge(NamedTuple):
    """Somebody waits for somebody, from when to when."""

    waiter: Waiter
    start: int
    end: int


def check(locks: Table, waiters: tuple[Waiter, ...]) -> Iterator[Answer]:
    edges: dict[Owner, list[tuple[Owner, Edge]]] = {}
    for waiter in waiters:
        if waiter.holder is not None:
            edge = Edge(waiter, waiter.start, waiter.end)
            edges.setdefault(owner(waiter.row), []).append((owner(waiter.holder), edge))
    found: dict[frozenset[Owner], list[Edge]] = {}
    for start in edges:
        for circle in circles(edges, start, [start], []):
            found.setdefault(frozenset(owner(edge.waiter.row) for edge in circle), circle)
    for circle in found.values():
        yield finding(circle)
    if found:
        return
    if locks.valid("held_by").any():
        yield RULE.clear("nobody waited for somebody who waited for them")
    elif (locks["status"] == DEADLCK).any() or locks.valid("blocked").any():
        yield RULE.cannot_tell("who stood in the way of those who waited is not in the capture")
    elif len(locks):
        yield RULE.clear("no lock had to wait")
    else:
        yield RULE.cannot_tell("no lock requests in the capture")


def owner(row: object) -> Owner:
    return row.client, row.owner  # type: ignore[attr-defined]


def circles(
    edges: dict[Owner, list[tuple[Owner, Edge]]], start: Owner, path: list[Owner], taken: list[Edge]
) -> Iterator[list[Edge]]:
    """The ways back to where one started, over waits that were all there at one time."""
    for following, edge in edges.get(path[-1], ()):
        together = [*taken, edge]
        common = min(each.end for each in together) - max(each.start for each in together)
        if common < 0:
            continue
        if following == start and len(together) > 1:
            if common >= STUCK_S * SECOND or any(each.waiter.row.status == DEADLCK for each in together):
                yield together
        elif following not in path and len(together) < LONGEST:
            yield from circles(edges, start, [*path, following], together)


def finding(circle: list[Edge]) -> Finding:
    rows = [edge.waiter.row for edge in circle]
    clients = tuple(sorted({row.client for row in rows}))
    told = [row for row in rows if row.status == DEADLCK]
    owners = [f"{row.owner} ({row.client})" for row in rows]
    files = tuple(dict.fromkeys(row.file for row in rows))
    end = f"The server told {told[0].owner} so (DEADLCK)." if told else "The server did not notice."
    return RULE.finding(
        host=None,
        title=f"deadlock: {named(owners)} wait for each other on {named(files)}",
        explanation=f"{owners[0]} waits for {', which waits for '.join([*owners[1:], owners[0]])}. {end}",
        clients=clients,
        files=files,
        count=1,
        first=min(edge.start for edge in circle),
        last=max(edge.end for edge in circle),
        evidence=tuple(
            Evidence(row.requested_capture, row.requested_frame, f"LOCK of {row.owner} ({row.client})") for row in rows
        ),
        remedy=(
            command(
                "lslocks; fuser -v FILE",
                on="{clients}",
                note="which processes these are",
                clients=named(map(bare, clients)),
            ),
            remark(
                "Have the {applications} lock {files} in one order.",
                applications=several(len(owners), "application"),
                files=named(files),
            ),
        ),
        wait_s=max(row.wait_s or 0.0 for row in rows),
    )
