"""Lock owners wait for each other in a circle: a deadlock.

Sees
    An owner waits for a range that another holds, while that one asks for, or waits for, a range of the first: directly
    or over several. Servers that detect it answer DEADLCK to one of them. Of owners that are in several circles at one
    time a short circle is reported.

Why it matters
    No owner of the circle makes progress, except the one that is answered DEADLCK and has to handle it.

Not flagged when
    Only one of the waits is in the capture (LCK006 then reports DEADLCK, if it was answered). The waits do not last
    together for some seconds, and no server answered DEADLCK.

How to confirm
    The order in which the applications lock.

How to fix
    Applications lock in one order, or not one while they hold another.

References
    fcntl(2), "Deadlock detection"; Linux fs/locks.c (posix_locks_deadlock).
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import TypeAlias

from nfsrpc.facts.waiters import Waiter
from nfsrpc.findings.advice import bare
from nfsrpc.findings.command import command, remark
from nfsrpc.findings.finding import Answer, Evidence, Finding, Rule
from nfsrpc.protocols.numbers import Nlm4Stats
from nfsrpc.rules.locks.circles import Wait, circles
from nfsrpc.tables import Locks
from nfsrpc.wording import SECOND, named, several

RULE = Rule(
    "LCK012",
    "lock-wait-cycle",
    "warning",
    explains=("LCK006", "LCK010", "LCK011"),
    timed="always",
    compares_holders=True,
    judges="lock requests with their range",
    passes="no owners waited for each other",
)

Owner: TypeAlias = tuple[str, str]  # client, owner
STUCK_S = 5.0  # they all wait together for so long, where no server answers DEADLCK
MAX_OWNERS = 8  # owners of a circle


def check(locks: Locks, waiters: tuple[Waiter, ...]) -> Iterator[Answer]:
    found, more = deadlocks(waiters)
    for circle, knot in found:
        yield finding(circle, knot)
    if more:
        yield RULE.cannot_tell("too many owners wait for each other to search all circles", lacks="room")
    longest_waits = (locks["status"] == Nlm4Stats.DEADLCK) | locks.valid("blocked")
    if longest_waits.any() and not locks.valid("held_by").any():
        yield RULE.cannot_tell("the holders of the locks that others waited for are not in the capture")


def owner(row: object) -> Owner:
    return row.client, row.owner  # type: ignore[attr-defined]


def deadlocks(waiters: Sequence[Waiter]) -> tuple[list[tuple[list[Waiter], int]], bool]:
    """Circles of waits, each from the owner with the first request, with the number of owners that wait in all.

    The second is whether there may be more.
    """
    behind = [(waiter, owner(waiter.row), owner(waiter.holder)) for waiter in waiters if waiter.holder is not None]
    owners = dict.fromkeys([*(waiting for _, waiting, _ in behind), *(holding for _, _, holding in behind)])
    numbers = {name: number for number, name in enumerate(owners)}
    waits: dict[Wait, Waiter] = {}
    for waiter, waiting, holding in behind:
        ends = numbers[waiting], numbers[holding]
        waits.setdefault(Wait(*ends, waiter.start, waiter.end, waiter.row.status == Nlm4Stats.DEADLCK), waiter)
    found = []
    all_found, more = circles(list(waits), round(STUCK_S * SECOND))
    for circle in all_found:
        first = min(range(len(circle.waits)), key=lambda at: circle.waits[at].waiter)
        found.append(([*circle.waits[first:], *circle.waits[:first]], len(circle.knot)))
    found.sort(key=lambda pair: pair[0][0].waiter)
    return [([waits[wait] for wait in circle], knot) for circle, knot in found], more


def finding(circle: list[Waiter], knot: int) -> Finding:
    """The finding on one circle; `knot`: the number of owners that wait for each other in all."""
    rows = [waiter.row for waiter in circle]
    clients = tuple(sorted({row.client for row in rows}))
    refused = [row for row in rows if row.status == Nlm4Stats.DEADLCK]
    owners = [f"{row.owner} ({row.client})" for row in rows]
    files = tuple(dict.fromkeys(row.file for row in rows))
    ways = (
        [*owners[1:], owners[0]]
        if len(owners) <= MAX_OWNERS
        else [*owners[1:MAX_OWNERS], "others, and so back to the first"]
    )
    if refused:
        wait, waits = "waited", "waited"
        end = f"The server answered {refused[0].owner} with DEADLCK, which ended it: that request failed."
    else:
        wait, waits, end = "wait", "waits", "The server did not detect it."
    more = f" In all {several(knot, 'owner')} {wait} for each other so." if knot > len(owners) else ""
    return RULE.finding(
        host=None,
        title=f"deadlock: {named(owners)} {wait} for each other on {named(files)}",
        explanation=f"{owners[0]} {waits} for {f', which {waits} for '.join(ways)}. {end}{more}",
        clients=clients,
        files=files,
        count=1,
        first=min(waiter.start for waiter in circle),
        last=max(waiter.end for waiter in circle),
        evidence=tuple(
            Evidence.of(row.requested_capture, row.requested_frame, f"LOCK of {row.owner} ({row.client})")
            for row in rows[:MAX_OWNERS]
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
