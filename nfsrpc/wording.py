"""Durations, times, numbers and sizes as every report writes them.

Times are in UTC, or in the one time zone that the command line names (`--timezone`), and say which.

>>> duration(61.564), duration(180.6), duration(0.0123), duration(0.00002), duration(1384)
('61.6 s', '181 s', '12 ms', '20 µs', '23 min')
>>> size(532), size(3_400_000)
('532 B', '3.4 MB')
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from datetime import UTC, datetime, tzinfo

NAMED = 4  # so many hosts or files are named; of more, how many there are
MINUTES_FROM_S = 600  # durations from here on are in minutes
HOURS_FROM_S = 36_000  # and from here on in hours


class TimesOfDay:
    """The time zone of all times of day that are printed; set once, before anything is read."""

    zone: tzinfo = UTC

    @classmethod
    def is_named(cls) -> bool:
        return cls.zone is not UTC


def clock_time(time: int | None) -> str:
    """Time of day with its zone, to be read in a sentence.

    >>> clock_time(1_700_000_000_000_000_000)
    '22:13:20 UTC'
    """
    moment = None if time is None or time < 0 else _moment(time)
    return f"{moment:%H:%M:%S %Z}" if moment else "an unknown time"


AT_LEAST = "at least "


class AtLeast(int):
    """A number of what is listed, where not all is: there may be more. A sum with it is one, too.

    >>> several(AtLeast(3), "request"), f"{AtLeast(1) + 2}", f"{sum([2, AtLeast(1)])}", AtLeast(3) == 3
    ('at least 3 requests', 'at least 3', 'at least 3', True)
    """

    __slots__ = ()

    def __str__(self) -> str:
        return f"{AT_LEAST}{int(self)}"

    def __format__(self, spec: str) -> str:
        return format(str(self), spec)

    def __add__(self, more: int) -> AtLeast:
        return AtLeast(int(self) + more)

    __radd__ = __add__


def several(number: int, one: str, many: str | None = None) -> str:
    """A number with its noun.

    >>> several(1, "request"), several(3, "request"), several(2, "was", "were")
    ('1 request', '3 requests', '2 were')
    """
    return f"{number} {one if number == 1 else many or one + 's'}"


def times(number: int) -> str:
    """How often, in words.

    >>> times(1), times(2), times(20), times(AtLeast(1))
    ('once', 'twice', '20 times', 'at least once')
    """
    often = {1: "once", 2: "twice"}.get(number, f"{int(number)} times")
    return f"{AT_LEAST}{often}" if isinstance(number, AtLeast) else often


NAME_CUT = "a host whose name is cut off"  # in place of a name that the snap length cut


def named(names: Iterable[str], perhaps_others: bool = False) -> str:
    """Some names as a list in a sentence, and how many more there are.

    >>> named(["a"]), named(["b", "a"]), named("abcdef")
    ('a', 'a and b', 'a, b, c and 3 more')
    >>> named(["b", "a"], perhaps_others=True), named("abcdef", perhaps_others=True)
    ('a, b and perhaps others', 'a, b, c and at least 3 more')
    """
    known: Sequence[str] = sorted(set(names))
    if len(known) > NAMED:
        least = AT_LEAST if perhaps_others else ""
        return f"{', '.join(known[: NAMED - 1])} and {least}{len(known) - NAMED + 1} more"
    if perhaps_others:
        return f"{', '.join(known)} and perhaps others"
    return " and ".join(filter(None, [", ".join(known[:-1]), known[-1] if known else ""]))


def capitalized(sentence: str) -> str:
    """A sentence with a capital letter, unless it begins with a name, an address or an owner: these stay as they are.

    >>> capitalized("deadlock: a waits"), capitalized("fd00::2 sent it"), capitalized("cl1.example.org sent it")
    ('Deadlock: a waits', 'fd00::2 sent it', 'cl1.example.org sent it')
    """
    is_name = not {".", ":", "@"}.isdisjoint(sentence.partition(" ")[0].removesuffix(":"))
    return sentence if is_name else sentence[:1].upper() + sentence[1:]


SECOND = 1_000_000_000  # of times, which are ns since the epoch


def timestamp(ns: int | None) -> str | None:
    """RFC 3339 in UTC, with nanoseconds.

    >>> timestamp(1_700_000_000_000_000_042)
    '2023-11-14T22:13:20.000000042Z'
    """
    if ns is None:
        return None
    moment = _moment(ns, UTC)
    return f"{moment:%Y-%m-%dT%H:%M:%S}.{ns % SECOND:09d}Z" if moment else None


def date_time(ns: int | None) -> str:
    """Date and time with its zone, to be read beside a log: to the second.

    >>> date_time(1_700_000_000_900_000_000)
    '2023-11-14 22:13:20 UTC'
    """
    moment = None if ns is None else _moment(ns)
    return f"{moment:%Y-%m-%d %H:%M:%S %Z}" if moment else "unknown"


def time_of_day(ns: int | None, decimals: int = 0) -> str:
    """Time of day without its zone, to be read beside lines of the same day.

    >>> time_of_day(1_700_000_000_900_000_000), time_of_day(1_700_000_000_900_000_000, 3)
    ('22:13:20', '22:13:20.900')
    """
    moment = None if ns is None else _moment(ns)
    part = f".{(ns or 0) % SECOND:09d}"[: decimals + 1] if decimals else ""
    return f"{moment:%H:%M:%S}{part}" if moment else " " * (8 + len(part))


def times_of_day(times: Sequence[int | None]) -> list[str]:
    """Times of day to the second; where that shows different times as the same one, to the millisecond or microsecond.

    >>> times_of_day([1_000_000_000, None, 2_500_000_000])
    ['00:00:01', '        ', '00:00:02']
    >>> times_of_day([1_000_000_000, 1_004_000_000]), times_of_day([1_000_000_000, 1_000_020_000])
    (['00:00:01.000', '00:00:01.004'], ['00:00:01.000000', '00:00:01.000020'])
    """
    known = {ns for ns in times if ns is not None}
    decimals = next((some for some in (0, 3) if len({ns // 10 ** (9 - some) for ns in known}) == len(known)), 6)
    return [time_of_day(ns, decimals) for ns in times]


def time_zone(ns: int | None) -> str:
    """The name of the zone at a time: UTC, or CET in winter and CEST in summer."""
    moment = _moment(ns or 0)
    return f"{moment:%Z}" if moment else "UTC"


def span(first: int | None, last: int | None) -> str:
    """A span of time in words: begin, end and duration.

    >>> span(1_700_000_000_000_000_000, 1_700_000_061_564_000_000)
    '2023-11-14 22:13:20 to 22:14:21 UTC (61.6 s)'
    """
    if first is None or last is None or first == last:
        return date_time(first if first is not None else last)
    start, end = date_time(first), date_time(last)
    same_day, same_zone = start[:11] == end[:11], start[19:] == end[19:]
    start = start[:19] if same_zone else start
    return f"{start} to {end[11:] if same_day else end} ({duration((last - first) / SECOND)})"


def duration(seconds: float | None) -> str:
    """Three digits or less and one unit.

    >>> duration(None), duration(0), duration(0.9996), duration(1.5), duration(99.96), duration(599), duration(86400)
    ('–', '0 s', '1.0 s', '1.5 s', '100 s', '599 s', '24 h')
    """
    if seconds is None:
        return "–"
    size = abs(seconds)
    for unit, least, length in (("h", HOURS_FROM_S, 3600), ("min", MINUTES_FROM_S, 60)):
        if round(size) >= least:
            return f"{seconds / length:.0f} {unit}"
    if not size or size >= 99.95:
        return f"{seconds:.0f} s"
    if size >= 0.9995:
        return f"{seconds:.1f} s"
    return f"{seconds * 1000:.0f} ms" if size >= 0.0009995 else f"{seconds * 1_000_000:.0f} µs"


def size(number: int) -> str:
    for unit, factor in (("GB", 10**9), ("MB", 10**6), ("kB", 10**3)):
        if number >= factor:
            return f"{number / factor:.1f} {unit}"
    return f"{number} B"


def digits(number: int) -> str:
    """A number with a space between thousands.

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


def _moment(ns: int, zone: tzinfo | None = None) -> datetime | None:
    """None for a time that is no date: a capture's clock may have any value."""
    try:
        return datetime.fromtimestamp(ns // SECOND, zone or TimesOfDay.zone)
    except (OverflowError, ValueError, OSError):
        return None
