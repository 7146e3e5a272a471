"""The proof of findings as every report shows it: one list sorted by time, one entry per frame, and Wireshark's filter.

Rules name frames; the time of each is looked up in the tables. A frame that no table has (a tallied exchange) stands
behind the last known one of its file. Times by clocks that cannot be compared have no order: what captures of one clock
show stands together, that of the gravest finding first.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import replace
from typing import TYPE_CHECKING, TypeAlias

import numpy as np

from nfsrpc.columns import NAT, NULLS, Array, Table
from nfsrpc.findings.finding import Evidence, Finding

if TYPE_CHECKING:
    from nfsrpc.tables import Tables

Place: TypeAlias = tuple[int, int]  # capture and frame
# Tables with frames: of each event the columns of its file, frame and time. The frames of locks are those of calls.
EVENTS = (
    ("calls", ("capture", "call_frame", "time")),
    ("calls", ("reply_capture", "reply_frame", "reply_time")),
    ("copies", ("capture", "frame", "time")),
    ("flows", ("capture", "frame", "first")),
    ("flows", ("capture", "syn_frame", "syn_time")),
    ("flows", ("capture", "synack_frame", "synack_time")),
    ("flows", ("rst_capture", "rst_frame", "rst_time")),
    ("flows", ("capture", "icmp_frame", "icmp_time")),
    ("writes", ("capture", "first_frame", "first")),
    ("writes", ("capture", "last_frame", "last")),
    ("oddities", ("capture", "frame", "time")),
)


def proven(findings: Sequence[Finding], tables: Tables) -> tuple[Finding, ...]:
    """The findings with the time of each frame that proves them, sorted by it, each frame once."""
    times = frame_times({(proof.capture, proof.frame) for each in findings for proof in each.evidence}, tables)
    clocks = dict(enumerate(tables["captures"].values("clock")))
    return tuple(replace(each, evidence=sorted_proof(each.evidence, times, clocks)) for each in findings)


def frame_times(places: set[Place], tables: Tables) -> dict[Place, int]:
    """The time of each of these frames that a table has."""
    times: dict[Place, int] = {}
    for name, columns in EVENTS:
        missing = places - times.keys()
        if missing:
            for place, time in times_in(tables[name], columns, missing):
                if place in missing:
                    times.setdefault(place, time)
    return times


def times_in(table: Table, columns: tuple[str, str, str], places: set[Place]) -> Iterator[tuple[Place, int]]:
    captures, frames, times = (table[name] for name in columns)
    if not len(frames):
        return
    marked = np.zeros(max(frame for _, frame in places) + 2, dtype=np.bool_)
    marked[[frame for _, frame in places]] = True
    rows = np.flatnonzero(marked[np.minimum(frames, len(marked) - 1)] & (frames != NULLS["u32?"]) & (times != NAT))
    found: tuple[Array, ...] = (captures[rows], frames[rows], times[rows])
    for capture, frame, time in zip(*(column.tolist() for column in found), strict=True):
        yield (capture, frame), time


def sorted_proof(
    evidence: Iterable[Evidence], times: Mapping[Place, int], clocks: Mapping[int, int]
) -> tuple[Evidence, ...]:
    """The evidence sorted by time, with one entry per frame and each note once; `clocks` are those of the captures."""
    notes: dict[Place, dict[str, None]] = {}
    ranks: dict[int, int] = {}  # of clocks: as the evidence has them
    for proof in evidence:
        notes.setdefault((proof.capture, proof.frame), {})[proof.note] = None
        ranks.setdefault(clocks[proof.capture], len(ranks))
    merged = [
        Evidence(*place, "; ".join(filter(None, sentences)), times.get(place))
        for place, sentences in sorted(notes.items())
    ]
    ordered: list[tuple[int, int, Evidence]] = []
    before: tuple[int, int] = (-1, NAT)  # of the last entry: its file, and its time
    for proof in merged:
        known = before[1] if before[0] == proof.capture else NAT
        before = proof.capture, known if proof.time is None else proof.time
        ordered.append((ranks[clocks[proof.capture]], before[1], proof))
    return tuple(proof for *_, proof in sorted(ordered, key=lambda entry: entry[:2]))


def display_filters(evidence: Iterable[Evidence]) -> list[tuple[int, str]]:
    """Wireshark's display filter for these frames, one per file.

    >>> display_filters([Evidence(0, 107, ""), Evidence(1, 5, ""), Evidence(0, 102, "")])
    [(0, 'frame.number in {102,107}'), (1, 'frame.number in {5}')]
    """
    frames: dict[int, set[int]] = {}
    for proof in evidence:
        frames.setdefault(proof.capture, set()).add(proof.frame)
    return [
        (capture, f"frame.number in {{{','.join(map(str, sorted(of)))}}}") for capture, of in sorted(frames.items())
    ]
