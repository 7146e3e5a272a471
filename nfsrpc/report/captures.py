"""A capture, what it lacks, and its traffic in words."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from heapq import nlargest
from itertools import groupby
from typing import TYPE_CHECKING, Any

from nfsrpc.report.contents import Capture, ProcedureTraffic
from nfsrpc.wording import SECOND, count, date_time, digits, duration

if TYPE_CHECKING:
    from nfsrpc.diagnosis.kernel_log_match import ExplainedLine
    from nfsrpc.findings.finding import Settings

CLOCK_S = 0.001  # clocks that differ by less are one to whoever compares captures
AT_LEAST = 'what is said to be "at least" so many is of those listed (nfsrpc table findings lists all)'
# What a capture may lack: the column of its quality, its unit, and what is wrong with it.
LACKS = (
    ("drops", "frame", "dropped by the capturing system"),
    ("lost_bytes", "byte", "of TCP streams missing"),
    ("cut_frames", "frame", "cut by the snap length"),
    ("one_way_flows", "flow", "of which only one direction was captured"),
    ("undecided", "call", "whose reply may not have been captured"),
    ("duplicates", "frame", "captured twice, counted once"),
    ("clock_steps", "step", "of the clock: durations across it are unknown"),
    ("oddities", "oddity", "(nfsrpc table oddities)"),
    ("unlisted", "exchange", f"counted, not listed, for lack of room: {AT_LEAST}"),
    ("unlisted_flows", "connection", f"not listed, for lack of room: {AT_LEAST}"),
)


def whose(line: ExplainedLine) -> str:
    """What explains a line of a kernel log, or why that is not known, in words."""
    if line.findings:
        return f"explained by {', '.join(line.findings)}"
    if line.time is None:
        return "cannot be compared"
    return "not explained" if line.within else "outside the captures"


def described(capture: Capture) -> str:
    """A file in a sentence: format, frames, time and vantage."""
    kind = ", ".join([capture.format, *capture.linktypes])
    if not capture.frames or capture.first is None or capture.last is None:
        return f"{kind}, {count(capture.frames, 'frame')}"
    length = duration((capture.last - capture.first) / SECOND)
    host = f" of {capture.host}" if capture.host else ""
    taken = f", vantage: {capture.vantage}{host}" if capture.vantage else ""
    begun = date_time(capture.first)
    return f"{kind}, {count(capture.frames, 'frame')} in {length} from {begun}{taken}{ahead(capture)}"


def ahead(capture: Capture) -> str:
    """The offset and drift of a capture's clock against the first vantage's, in words; empty where there is none."""
    offset, drift = capture.offset_s or 0.0, round(capture.drift_ppm or 0.0)
    if abs(offset) < CLOCK_S and not drift:
        return ""
    clock = f", its clock {duration(abs(offset))} {'ahead of' if offset > 0 else 'behind'} the reference capture's"
    return f"{clock}, {'gaining' if drift > 0 else 'losing'} {abs(drift)} µs per second" if drift else clock


def in_force(settings: Settings) -> list[str]:
    """The settings that differ from the defaults, in words, and their file.

    >>> from nfsrpc.findings.finding import Settings
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
    """What a capture lacks, one sentence each."""
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
    sentences = []
    if quality["unread"]:
        links = "link type" if len(quality["unread_links"]) == 1 else "link types"
        sentences.append(f"{count(quality['unread'], 'frame')} not read: {links} {', '.join(quality['unread_links'])}")
    if quality["rdma"]:
        rpc = f", {digits(quality['rdma_rpc'])} of them RPC over RDMA" if quality["rdma_rpc"] else ""
        sentences.append(f"{count(quality['rdma'], 'frame')} not read: RDMA{rpc}")
    return sentences


def by_program(procedures: Sequence[ProcedureTraffic]) -> Iterator[tuple[str, Iterator[ProcedureTraffic]]]:
    return groupby(procedures, lambda procedure: f"{procedure.program} v{procedure.version}")


def busiest(procedures: Sequence[ProcedureTraffic], most: int) -> tuple[list[tuple[str, list[ProcedureTraffic]]], int]:
    """The programs that were called most, in the order of their numbers, and how many more there are."""
    programs = [(name, list(group)) for name, group in by_program(procedures)]
    calls = [sum(procedure.calls for procedure in group) for _, group in programs]
    chosen = sorted(nlargest(most, range(len(programs)), key=calls.__getitem__))
    return [programs[number] for number in chosen], len(programs) - len(chosen)


def program_row(name: str, procedures: Sequence[ProcedureTraffic]) -> tuple[str, ...]:
    slowest = max(procedures, key=lambda procedure: procedure.max or -1.0)
    totals = (
        sum(procedure.calls for procedure in procedures),
        sum(procedure.unanswered for procedure in procedures),
        sum(procedure.retransmits for procedure in procedures),
        sum(procedure.errors for procedure in procedures),
    )
    maximum = f"{slowest.procedure} {duration(slowest.max)}" if slowest.max is not None else "–"
    return (name, *(digits(total) for total in totals), maximum)
