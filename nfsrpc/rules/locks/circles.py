"""Circles in a graph of lock owners that wait for each other, each wait from one time to another.

A circle lies within a strongly connected component (Tarjan 1972, with a stack of its own: a component may be as deep as
a capture has locks). There each wait may be the one by which a circle closed: from it a shortest way back is sought,
over waits that were there at that moment. Owners that all wait for each other then are one knot, of which one circle is
found. The steps taken are bounded by the number of waits; whether there are more circles is unknown then.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import NamedTuple, TypeAlias


class Wait(NamedTuple):
    """One wait: waiter and holder, start and end, and whether the server called it a deadlock (DEADLCK)."""

    waiter: int
    holder: int
    start: int
    end: int
    deadlock: bool


class Circle(NamedTuple):
    waits: tuple[Wait, ...]  # each for the waiter of the next
    knot: frozenset[int]  # the owners that wait for each other then, these among them


Graph: TypeAlias = Mapping[int, Sequence[Wait]]  # by who waits, or by who is waited for
Lasts: TypeAlias = Callable[[Wait], bool]

STEPS = 64  # are taken for each wait of a component
FEW = 10_000  # and so many in a small one


def circles(waits: Sequence[Wait], stuck: int) -> tuple[list[Circle], bool]:
    """Circles of waits that existed at one time: at one moment, if one is a deadlock, else for `stuck`.

    The second is whether there may be more.
    """
    number = components(by(waits, "waiter"))
    within: dict[int, list[Wait]] = {}
    for wait in waits:
        if wait.waiter != wait.holder and number[wait.waiter] == number[wait.holder]:
            within.setdefault(number[wait.waiter], []).append(wait)
    searched = [Component(component, stuck) for component in within.values()]
    found = [circle for component in searched for circle in component.circles()]
    return found, any(component.steps <= 0 for component in searched)


def by(waits: Sequence[Wait], end: str) -> dict[int, list[Wait]]:
    graph: dict[int, list[Wait]] = {}
    for wait in waits:
        graph.setdefault(getattr(wait, end), []).append(wait)
    return graph


def components(graph: Graph) -> dict[int, int]:
    """The number of each owner's strongly connected component."""
    found: dict[int, int] = {}  # also of owners that are over: their components
    index: dict[int, int] = {}
    low: dict[int, int] = {}
    open_: list[int] = []
    for root in graph:
        ways: list[tuple[int, Iterator[Wait]]] = [] if root in index else [enter(root, graph, index, low, open_)]
        while ways:
            owner, waits = ways[-1]
            wait = next(waits, None)
            if wait is None:
                ways.pop()
                if ways:
                    low[ways[-1][0]] = min(low[ways[-1][0]], low[owner])
                if low[owner] == index[owner]:
                    close(owner, open_, found)
            elif wait.holder not in index:
                ways.append(enter(wait.holder, graph, index, low, open_))
            elif wait.holder not in found:
                low[owner] = min(low[owner], index[wait.holder])
    return found


def enter(
    owner: int, graph: Graph, index: dict[int, int], low: dict[int, int], open_: list[int]
) -> tuple[int, Iterator[Wait]]:
    index[owner] = low[owner] = len(index)
    open_.append(owner)
    return owner, iter(graph.get(owner, ()))


def close(root: int, open_: list[int], found: dict[int, int]) -> None:
    """Close a component: all that was entered since its root, and is still open, belongs to it."""
    owner = None
    while owner != root:
        owner = open_.pop()
        found[owner] = root


class Component:
    """Waits of one component of the graph of all times."""

    def __init__(self, waits: Sequence[Wait], stuck: int) -> None:
        self.waits, self.stuck = waits, stuck
        self.ahead, self.back = by(waits, "waiter"), by(waits, "holder")
        self.steps = STEPS * len(waits) + FEW
        self.gone: set[Wait] = set()  # of knots that are found

    def circles(self) -> Iterator[Circle]:
        # A deadlock that is not resolved lasts to the end of the capture: it closed with one of the latest waits.
        for last in sorted(self.waits, key=lambda wait: (not wait.deadlock, -wait.start)):
            for lasts in self.moments(last):
                circle = self.closed_by(last, lasts) if lasts(last) else None
                if circle:
                    self.gone.update(self.within(circle.knot, lasts))
                    yield circle
            if self.steps <= 0:
                return

    def moments(self, last: Wait) -> Iterator[Lasts]:
        """Conditions by which waits exist together with one: when it begins, or when it is answered."""
        if last.deadlock:
            yield lambda wait: wait.start <= last.start <= wait.end
            yield lambda wait: wait.start <= last.end <= wait.end
        else:
            yield lambda wait: wait.start <= last.start and wait.end >= last.start + self.stuck

    def closed_by(self, last: Wait, lasts: Lasts) -> Circle | None:
        """A shortest circle with this wait, over others that last."""
        if last in self.gone:
            return None
        way = self.reached(last.holder, self.ahead, "holder", lasts, last.waiter)
        if last.waiter not in way:
            return None
        waits, owner = [last], last.waiter
        while owner != last.holder:
            wait = way[owner]
            assert wait is not None
            waits.append(wait)
            owner = wait.waiter
        return Circle((last, *reversed(waits[1:])), self.knot(last.waiter, lasts))

    def knot(self, owner: int, lasts: Lasts) -> frozenset[int]:
        """The owners from which there is a way to this one, and back, over waits that last."""
        ahead = self.reached(owner, self.ahead, "holder", lasts)
        return frozenset(ahead.keys() & self.reached(owner, self.back, "waiter", lasts).keys())

    def within(self, knot: frozenset[int], lasts: Lasts) -> Iterator[Wait]:
        """The waits that last among these owners."""
        return (wait for owner in knot for wait in self.ahead[owner] if wait.holder in knot and lasts(wait))

    def reached(
        self, start: int, graph: Graph, end: str, lasts: Lasts, target: int | None = None
    ) -> dict[int, Wait | None]:
        """Owners in the order of their distance, up to a target, each with the wait by which one comes to it."""
        found: dict[int, Wait | None] = {start: None}
        left = deque([start])
        while left and target not in found:
            for wait in graph.get(left.popleft(), ()):
                self.steps -= 1
                owner = getattr(wait, end)
                if owner not in found and wait not in self.gone and lasts(wait):
                    found[owner] = wait
                    left.append(owner)
        return found
