"""Calls per second over time, by program, and beneath them failures: no reply, retransmissions, errors.

There are at most `MOST_BINS` bins, of a round length. Exchanges that several vantages show count once.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import numpy as np

from nfsrpc.columns import NAT, Array, Table
from nfsrpc.plot.chart import (
    NS_PER_MS,
    ORANGE,
    PURPLE,
    WIDTH,
    altair,
    colour_by,
    finish,
    inline,
    of_programs,
    scale,
    theme,
    time_axis,
)
from nfsrpc.sessions import Sessions
from nfsrpc.sessions.programs import is_error
from nfsrpc.tables import Copies
from nfsrpc.wording import SECOND, count, digits, duration

MOST_BINS = 120
LENGTHS_S = (0.01, 0.02, 0.05, 0.1, 0.2, 0.5, 1, 2, 5, 10, 15, 30, 60, 120, 300, 600, 900, 1800, 3600, 7200, 21600)
DAY_S = 86400
SHORTEST_S, LONGEST_S = 1e-6, 366 * DAY_S  # of bins; times of captures are hardly ever finer
HEIGHT = 200
ROUNDED = 10  # calls per second: fewer are not given as whole numbers, as 0 of them would be wrong


def chart(tables: Sessions, bin_s: float | None, dark: bool) -> Any:
    if bin_s is not None and not SHORTEST_S <= bin_s <= LONGEST_S:
        raise ValueError(f"bin_s is {bin_s}: a bin lasts {duration(SHORTEST_S)} to {duration(LONGEST_S)}")
    calls = distinct_calls(tables["calls"])
    length = bin_length(calls["time"]) if bin_s is None else bin_s
    traffic, trouble = rates(calls, length), troubles(calls, tables["copies"], length)
    subtitle = f"{count(len(calls), 'call')} in bins of {length:g} s"
    if traffic:
        most = max(row["high"] for row in traffic)
        subtitle += f"; the busiest has {digits(round(most)) if most >= ROUNDED else f'{most:.2g}'} calls per second"
    return finish(picture(traffic, trouble, dark), "Calls per second", subtitle, dark)


def distinct_calls(calls: Table) -> Table:
    """The calls with a time, once each, without orphaned replies."""
    return calls.where((calls["time"] != NAT) & ~calls.valid("duplicate_of") & (calls["state"] != "orphan"))


def bin_length(times: Array) -> float:
    """The length of bins for these times, in seconds."""
    lasts = float(times.max() - times.min()) / SECOND if len(times) else 0.0
    return next((length for length in LENGTHS_S if lasts / length <= MOST_BINS), DAY_S)


def bins_of(times: Array, length: float) -> Iterator[tuple[int, int]]:
    """The bins that are not empty: their beginnings in ns, and the number of times in each."""
    step = round(length * SECOND)
    numbers, counts = np.unique(times // step, return_counts=True)
    yield from zip((numbers * step).tolist(), counts.tolist(), strict=True)


def rates(calls: Table, length: float) -> list[dict[str, Any]]:
    """Bins by program, stacked, with the program of the most calls at the bottom."""
    program, height = calls["program"], dict[int, float]()
    found = {name: list(bins_of(calls["time"][program == name], length)) for name in program.labels}
    rows = []
    for name in sorted(found, key=lambda name: -sum(number for _, number in found[name])):
        for begin, number in found[name]:
            below = height.get(begin, 0.0)
            height[begin] = below + number / length
            start, end = begin / NS_PER_MS, begin / NS_PER_MS + length * 1000
            rows.append({"program": name, "from": start, "to": end, "low": below, "high": height[begin]})
    return rows


def troubles(calls: Table, copies: Copies, length: float) -> list[dict[str, Any]]:
    """Bins by kind of failure."""
    errors = is_error({name: calls[name] for name in ("prog", "rpc_status", "status")})
    again = ~copies["reply"] & np.isin(copies["exchange"], calls["exchange"])
    times = {
        "retransmitted": copies["time"][again],
        "unanswered": calls["time"][calls["state"] == "unanswered"],
        "error": calls["time"][errors],
    }
    return [
        {"what": what, "at": begin / NS_PER_MS + length * 500, "count": number}
        for what, found in times.items()
        for begin, number in bins_of(found, length)
    ]


def picture(traffic: list[dict[str, Any]], trouble: list[dict[str, Any]], dark: bool) -> Any:
    alt, colours = altair(), theme(dark)
    first = min((row["from"] for row in traffic), default=0) * NS_PER_MS
    last = max((row["to"] for row in traffic), default=0) * NS_PER_MS
    axis = time_axis(int(first), int(last))
    bars = (
        alt.Chart(inline(traffic))
        .mark_rect(stroke=colours.background, strokeWidth=0.5)
        .encode(
            alt.X("from:T", **(axis | ({"axis": None} if trouble else {}))),
            alt.X2("to"),
            alt.Y("low:Q", title="calls per second"),
            alt.Y2("high"),
            colour_by("program:N", of_programs((row["program"] for row in traffic), colours)),
            tooltip=["program:N", alt.Tooltip("rate:Q", format=".1f")],
        )
        .transform_calculate(rate="datum.high - datum.low")
        .properties(width=WIDTH, height=HEIGHT)
    )
    if not trouble:
        return bars
    kinds = {"retransmitted": ORANGE, "unanswered": colours.red, "error": PURPLE}
    happened = [kind for kind in kinds if any(row["what"] == kind for row in trouble)]
    most = max(row["count"] for row in trouble)
    marks = (
        alt.Chart(inline(trouble))
        .mark_circle(opacity=0.9)
        .encode(
            alt.X("at:T", **axis),
            alt.Y("what:N", title=None, scale=alt.Scale(domain=happened), axis=alt.Axis(labelFontSize=12, grid=True)),
            alt.Size("count:Q", scale=alt.Scale(domain=[0, max(most, 8)], range=[20, 420]), legend=None),
            alt.Color("what:N", scale=scale(kinds), legend=None),
            tooltip=["what:N", "count:Q"],
        )
        .properties(width=WIDTH, height=alt.Step(26))
    )
    return alt.vconcat(bars, marks, spacing=6).resolve_scale(color="independent")
