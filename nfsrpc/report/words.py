"""Numbers, times, captures and traffic as people read them.

>>> duration(61.564), duration(0.0123), duration(0.00002), duration(7384)
('61.6 s', '12 ms', '20 µs', '2 h 3 min')
>>> size(532), size(3_400_000)
('532 B', '3.4 MB')
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from datetime import UTC, datetime
from heapq import nlargest
from itertools import groupby
from typing import TYPE_CHECKING, Any

from nfsrpc.report.contents import Capture, Procedure

if TYPE_CHECKING:
    from nfsrpc.rules.finding import Settings
    from nfsrpc.rules.logged import Told

NS = 1_000_000_000
CLOCK_S = 0.001  # clocks that differ by less are one to whoever compares captures
# What the reader of a verdict has to know of a capture: column of its quality, what it counts, what is the matter.
LACKS = (
    ("drops", "frame", "dropped by the capturing system"),
    ("lost_bytes", "byte", "of TCP streams missing"),
    ("cut_frames", "frame", "cut by the snap length"),
    ("one_way_flows", "flow", "of which only one direction was captured"),
    ("undecided", "call", "of which it cannot tell whether they were answered"),
    ("duplicates", "frame", "captured twice, counted once"),
    ("clock_steps", "step", "of the clock: how long things took across it is unknown"),
    ("oddities", "oddity", "(nfsrpc table oddities)"),
)


def timestamp(ns: int | None) -> str | None:
    """RFC 3339 in UTC, with nanoseconds.

    >>> timestamp(1_700_000_000_000_000_042)
    '2023-11-14T22:13:20.000000042Z'
    """
    if ns is None:
        return None
    moment = _moment(ns)
    return f"{moment:%Y-%m-%dT%H:%M:%S}.{ns % NS:09d}Z" if moment else None


def clock(ns: int | None) -> str:
    """To be read beside a log: to the second.

    >>> clock(1_700_000_000_900_000_000)
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


def whose(line: Told) -> str:
    """What explains a line of a kernel log."""
    if line.rules:
        return f"explained by {', '.join(line.rules)}"
    if line.time is None:
        return "cannot be compared"
    return "not explained" if line.within else "outside the captures"


def span(first: int | None, last: int | None) -> str:
    """From when to when, and how long that is.

    >>> span(1_700_000_000_000_000_000, 1_700_000_061_564_000_000)
    '2023-11-14 22:13:20 to 22:14:21 UTC (61.6 s)'
    """
    if first is None or last is None or first == last:
        return clock(first if first is not None else last)
    start, end = clock(first).removesuffix(" UTC"), clock(last)
    same_day = start[:11] == end[:11]
    return f"{start} to {end[11:] if same_day else end} ({duration((last - first) / NS)})"


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


def described(capture: Capture) -> str:
    """What a file is, in a sentence."""
    kind = ", ".join([capture.format, *capture.linktypes])
    if not capture.frames or capture.first is None or capture.last is None:
        return f"{kind}, {count(capture.frames, 'frame')}"
    length = duration((capture.last - capture.first) / NS)
    host = f" of {capture.host}" if capture.host else ""
    taken = f", vantage: {capture.vantage}{host}" if capture.vantage else ""
    return f"{kind}, {count(capture.frames, 'frame')} in {length} from {clock(capture.first)}{taken}{ahead(capture)}"


def ahead(capture: Capture) -> str:
    """How its clock goes against the first vantage's; nothing for that one, or one like it."""
    offset, drift = capture.offset_s or 0.0, round(capture.drift_ppm or 0.0)
    if abs(offset) < CLOCK_S and not drift:
        return ""
    told = f", its clock {duration(abs(offset))} {'ahead of' if offset > 0 else 'behind'} the first one's"
    return f"{told}, {'gaining' if drift > 0 else 'losing'} {abs(drift)} µs a second" if drift else told


def in_force(settings: Settings) -> list[str]:
    """What was changed of how rules are asked, and where that stands.

    >>> from nfsrpc.rules.finding import Settings
    >>> in_force(Settings(["REG", "LCK"], ["NFS001"], {"LCK002": {"late_s": 90.0}}, "/srv/nfsrpc.toml"))
    ['of /srv/nfsrpc.toml', 'only the rules REG, LCK', 'without the rules NFS001', 'LCK002.late_s = 90']
    """
    thresholds = [(rule, name, value) for rule, values in settings.thresholds.items() for name, value in values.items()]
    return [
        *([f"of {settings.file}"] if settings.file else []),
        *([f"only the rules {', '.join(settings.select)}"] if settings.select else []),
        *([f"without the rules {', '.join(settings.ignore)}"] if settings.ignore else []),
        *(f"{rule}.{name} = {value:g}" for rule, name, value in thresholds),
    ]


def lacks(capture: Capture) -> list[str]:
    """What a capture lacks, a sentence each."""
    cut = [f"{capture.damage or 'the file ends within a record'}: analysed up to there"]
    cut = cut if capture.quality["truncated"] else []
    cut += unread(capture.quality)
    counted = ((capture.quality[name], noun, matter) for name, noun, matter in LACKS)
    return cut + [f"{count(number, noun)} {matter}" for number, noun, matter in counted if number]


def unread(quality: Mapping[str, Any]) -> list[str]:
    """The frames of a capture that were not read, by what they hold.

    >>> unread({"unread": 3, "unread_links": ("IEEE802_11",), "rdma": 20, "rdma_rpc": 8})
    ['3 frames not read: link type IEEE802_11', '20 frames not read: RDMA, 8 of them RPC over RDMA']
    """
    told = []
    if quality["unread"]:
        links = "link type" if len(quality["unread_links"]) == 1 else "link types"
        told.append(f"{count(quality['unread'], 'frame')} not read: {links} {', '.join(quality['unread_links'])}")
    if quality["rdma"]:
        rpc = f", {digits(quality['rdma_rpc'])} of them RPC over RDMA" if quality["rdma_rpc"] else ""
        told.append(f"{count(quality['rdma'], 'frame')} not read: RDMA{rpc}")
    return told


def by_program(procedures: Sequence[Procedure]) -> Iterator[tuple[str, Iterator[Procedure]]]:
    return groupby(procedures, lambda procedure: f"{procedure.program} v{procedure.version}")


def busiest(procedures: Sequence[Procedure], most: int) -> tuple[list[tuple[str, list[Procedure]]], int]:
    """The programs that were called most, in the order of their numbers, and how many more there are."""
    programs = [(name, list(group)) for name, group in by_program(procedures)]
    calls = [sum(procedure.calls for procedure in group) for _, group in programs]
    chosen = sorted(nlargest(most, range(len(programs)), key=calls.__getitem__))
    return [programs[number] for number in chosen], len(programs) - len(chosen)


def program_row(name: str, procedures: Sequence[Procedure]) -> tuple[str, ...]:
    slowest = max(procedures, key=lambda procedure: procedure.max or -1.0)
    totals = (
        sum(procedure.calls for procedure in procedures),
        sum(procedure.unanswered for procedure in procedures),
        sum(procedure.retransmits for procedure in procedures),
        sum(procedure.errors for procedure in procedures),
    )
    told = f"{slowest.procedure} {duration(slowest.max)}" if slowest.max is not None else "–"
    return (name, *(digits(total) for total in totals), told)


def _moment(ns: int) -> datetime | None:
    """None for a time that is no date: clocks of captures say anything."""
    try:
        return datetime.fromtimestamp(ns // NS, UTC)
    except (OverflowError, ValueError, OSError):
        return None
