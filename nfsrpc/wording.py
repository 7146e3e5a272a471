"""Durations, times, numbers and sizes as every report writes them.

>>> duration(61.564), duration(0.0123), duration(0.00002), duration(7384)
('61.6 s', '12 ms', '20 µs', '2 h 3 min')
>>> size(532), size(3_400_000)
('532 B', '3.4 MB')
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from datetime import UTC, datetime

NAMED = 4  # so many hosts or files are named, of more their number is told


def seconds(duration: float) -> str:
    """
    >>> seconds(0.0123), seconds(61.56), seconds(184.2)
    ('0.012 s', '61.6 s', '184 s')
    """
    digits = 3 if duration < 1 else 1 if duration < 100 else 0
    return f"{duration:.{digits}f} s"


def utc(time: int | None) -> str:
    """
    >>> utc(1_700_000_000_000_000_000)
    '22:13:20 UTC'
    """
    if time is None or time < 0:
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


SECOND = 1_000_000_000  # of times, which are ns since the epoch


def timestamp(ns: int | None) -> str | None:
    """RFC 3339 in UTC, with nanoseconds.

    >>> timestamp(1_700_000_000_000_000_042)
    '2023-11-14T22:13:20.000000042Z'
    """
    if ns is None:
        return None
    moment = _moment(ns)
    return f"{moment:%Y-%m-%dT%H:%M:%S}.{ns % SECOND:09d}Z" if moment else None


def datetime_utc(ns: int | None) -> str:
    """To be read beside a log: to the second.

    >>> datetime_utc(1_700_000_000_900_000_000)
    '2023-11-14 22:13:20 UTC'
    """
    moment = None if ns is None else _moment(ns)
    return f"{moment:%Y-%m-%d %H:%M:%S} UTC" if moment else "unknown"


def time_of_day(ns: int | None) -> str:
    """To be read beside lines of the same day.

    >>> time_of_day(1_700_000_000_900_000_000)
    '22:13:20'
    """
    moment = None if ns is None else _moment(ns)
    return f"{moment:%H:%M:%S}" if moment else "        "


def span(first: int | None, last: int | None) -> str:
    """From when to when, and how long that is.

    >>> span(1_700_000_000_000_000_000, 1_700_000_061_564_000_000)
    '2023-11-14 22:13:20 to 22:14:21 UTC (61.6 s)'
    """
    if first is None or last is None or first == last:
        return datetime_utc(first if first is not None else last)
    start, end = datetime_utc(first).removesuffix(" UTC"), datetime_utc(last)
    same_day = start[:11] == end[:11]
    return f"{start} to {end[11:] if same_day else end} ({duration((last - first) / SECOND)})"


def duration(seconds: float | None) -> str:
    if seconds is None:
        return "–"
    if seconds >= 3600:
        return f"{int(seconds // 3600)} h {int(seconds % 3600 // 60)} min"
    if seconds >= 180:
        return f"{int(seconds // 60)} min {int(seconds % 60)} s"
    if seconds >= 10:
        return f"{seconds:.1f} s"
    if seconds >= 1:
        return f"{seconds:.2f} s"
    if seconds >= 0.001:
        return f"{seconds * 1000:.0f} ms"
    return f"{seconds * 1_000_000:.0f} µs"


def size(number: int) -> str:
    for unit, factor in (("GB", 10**9), ("MB", 10**6), ("kB", 10**3)):
        if number >= factor:
            return f"{number / factor:.1f} {unit}"
    return f"{number} B"


def digits(number: int) -> str:
    """With a space between thousands.

    >>> digits(1000000)
    '1 000 000'
    """
    return f"{number:,}".replace(",", " ")


def count(number: int, noun: str) -> str:
    """A number of things.

    >>> count(1, "frame"), count(1200, "frame"), count(2, "oddity")
    ('1 frame', '1 200 frames', '2 oddities')
    """
    plural = f"{noun[:-1]}ies" if noun.endswith("y") else f"{noun}s"
    return f"{digits(number)} {noun if number == 1 else plural}"


def _moment(ns: int) -> datetime | None:
    """None for a time that is no date: clocks of captures say anything."""
    try:
        return datetime.fromtimestamp(ns // SECOND, UTC)
    except (OverflowError, ValueError, OSError):
        return None
