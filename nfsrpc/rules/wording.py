"""How findings say durations, times and numbers."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from datetime import UTC, datetime

from nfsrpc.tables import NAT

NAMED = 4  # so many hosts or files are named, of more their number is told


def seconds(duration: float) -> str:
    """
    >>> seconds(0.0123), seconds(61.56), seconds(184.2)
    ('0.012 s', '61.6 s', '184 s')
    """
    digits = 3 if duration < 1 else 1 if duration < 100 else 0
    return f"{duration:.{digits}f} s"


def clock(time: int | None) -> str:
    """
    >>> clock(1_700_000_000_000_000_000)
    '22:13:20 UTC'
    """
    if time is None or time == NAT:
        return "an unknown time"
    return f"{datetime.fromtimestamp(time // 1_000_000_000, UTC):%H:%M:%S} UTC"


def several(number: int, one: str, many: str | None = None) -> str:
    """
    >>> several(1, "request"), several(3, "request"), several(2, "was", "were")
    ('1 request', '3 requests', '2 were')
    """
    return f"{number} {one if number == 1 else many or one + 's'}"


def times(number: int) -> str:
    """
    >>> times(1), times(2), times(20)
    ('once', 'twice', '20 times')
    """
    return {1: "once", 2: "twice"}.get(number, f"{number} times")


def named(names: Iterable[str]) -> str:
    """
    >>> named(["a"]), named(["b", "a"]), named("abcdef")
    ('a', 'a and b', 'a, b, c and 3 more')
    """
    known: Sequence[str] = sorted(set(names))
    if len(known) > NAMED:
        return f"{', '.join(known[: NAMED - 1])} and {len(known) - NAMED + 1} more"
    return " and ".join(filter(None, [", ".join(known[:-1]), known[-1] if known else ""]))
