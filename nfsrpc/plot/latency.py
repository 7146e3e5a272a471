"""Latencies: by procedure (which one is slow), and over time (when it was slow). Scales are logarithmic.

A procedure is a line from its median to its slowest reply, with marks at 95 and 99 %. Over time each reply is a dot; of
very many only the slowest are dots, over a field whose darkness is the number of replies. Unanswered calls are crosses
on the upper edge. Exchanges that several vantages show count once.
"""

from __future__ import annotations

import math
from typing import Any

import numpy as np

from nfsrpc.columns import Array, Table
from nfsrpc.plot.chart import (
    CROSS,
    NS_PER_MS,
    WIDTH,
    altair,
    colour_by,
    finish,
    inline,
    of_programs,
    theme,
    time_axis,
)
from nfsrpc.plot.rates import distinct_calls
from nfsrpc.sessions import Sessions
from nfsrpc.tables import Programs
from nfsrpc.wording import count, duration

MOST_PROCEDURES = 20
MOST_DOTS, SLOWEST = 3000, 200
CELLS = (WIDTH // 5, 30)  # of the field: across, and up
QUANTILES = ("p50", "p95", "p99", "max")
HEIGHT, STEP = 220, 21
FASTEST_S = 1e-5  # shorter times are below the resolution of captures' clocks
SECONDS = (
    "datum.value >= 1 ? datum.value + ' s' : datum.value >= 0.0009 ? "
    "round(datum.value * 1e3) + ' ms' : round(datum.value * 1e6) + ' µs'"
)


def chart(tables: Sessions, dark: bool) -> Any:
    calls = distinct_calls(tables["calls"])
    answered = np.flatnonzero(calls["state"] == "answered")
    subtitle = f"{count(len(answered), 'answer')}"
    if len(answered):
        slowest = calls.row(int(answered[np.argmax(calls["latency_s"][answered])]))
        what = f"{slowest.program} {slowest.procedure}, frame {slowest.call_frame}"
        subtitle += f"; the slowest took {duration(slowest.latency_s)}: {what}"
    return finish(picture(tables, calls, answered, dark), "How long answers took", subtitle, dark)


def slowest_of(latency: Array, answered: Array) -> Array:
    """The rows to draw as dots: all, or of very many the slowest."""
    if len(answered) <= MOST_DOTS:
        return answered
    return np.sort(answered[np.argpartition(latency[answered], len(answered) - SLOWEST)[-SLOWEST:]])


def quantiles(programs: Programs) -> list[dict[str, Any]]:
    """One row per procedure with replies, the slowest first."""
    answered = np.flatnonzero(programs.valid("max"))
    rows = list(programs.take(answered[np.argsort(-programs["max"][answered], kind="stable")]).rows())
    return [
        {
            "label": f"{row.program} {row.procedure or row.proc}"
            + (f" v{row.vers}" if several_versions(rows, row) else ""),
            "program": row.program,
            "answers": row.replies,
            **{name: max(getattr(row, name), FASTEST_S) for name in QUANTILES},
        }
        for row in rows[:MOST_PROCEDURES]
    ]


def several_versions(rows: list[Programs.Row], row: Programs.Row) -> bool:
    return any((one.prog, one.proc) == (row.prog, row.proc) and one.vers != row.vers for one in rows)


def dots(calls: Table, rows: Array) -> list[dict[str, Any]]:
    some = calls.take(rows)
    columns = map(some.values, ("time", "latency_s", "program", "procedure", "call_frame", "client", "server"))
    return [
        {
            "at": time / NS_PER_MS,
            "latency": max(latency, FASTEST_S),
            "program": program,
            "call": f"{program} {procedure}, frame {frame}",
            "hosts": f"{client} → {server}",
            "took": duration(latency),
        }
        for time, latency, program, procedure, frame, client, server in zip(*columns, strict=True)
    ]


def field(calls: Table, answered: Array, low: float, high: float) -> list[dict[str, Any]]:
    """The numbers of replies by time and latency, as cells that are not empty."""
    times, latency = calls["time"][answered], np.maximum(calls["latency_s"][answered], FASTEST_S)
    edges = np.linspace(*span(calls), CELLS[0] + 1), np.geomspace(low, high, CELLS[1] + 1)
    counts, _, _ = np.histogram2d(times, latency, bins=edges)
    across, up = np.nonzero(counts)
    columns = (
        edges[0][across] / NS_PER_MS,
        edges[0][across + 1] / NS_PER_MS,
        edges[1][up],
        edges[1][up + 1],
        counts[across, up],
    )
    names = ("at", "until", "low", "high", "answers")
    return [dict(zip(names, row, strict=True)) for row in zip(*(column.tolist() for column in columns), strict=True)]


def crosses(calls: Table) -> list[dict[str, Any]]:
    silent = calls.where(calls["state"] == "unanswered")
    columns = map(silent.values, ("time", "program", "procedure", "call_frame"))
    return [
        {"at": time / NS_PER_MS, "program": program, "call": f"{program} {procedure}, frame {frame}"}
        for time, program, procedure, frame in zip(*columns, strict=True)
    ][:MOST_DOTS]


def picture(tables: Sessions, calls: Table, answered: Array, dark: bool) -> Any:
    alt, colours = altair(), theme(dark)
    slowest = slowest_of(calls["latency_s"], answered)
    procedures, points, silent = quantiles(tables["programs"]), dots(calls, slowest), crosses(calls)
    paints = of_programs((row["program"] for row in [*procedures, *silent]), colours)
    colour = colour_by("program:N", paints, symbolOpacity=1, symbolType="circle")
    ends = [value for row in procedures for value in (row["p50"], row["max"])]
    ends += [row["latency"] for row in points]
    low, high = extent(ends)
    log = alt.Scale(type="log", domain=[low, high])
    seconds = alt.Axis(labelExpr=SECONDS, title=None, values=decades(low, high), grid=True)
    labels = [row["label"] for row in procedures]
    y = alt.Y(
        "label:N", sort=labels, axis=alt.Axis(title=None, labelFontSize=12, labelLimit=220, ticks=False, domain=False)
    )
    base = alt.Chart(inline(procedures)).encode(y, colour)
    tips = ["label:N", "answers:Q", *(alt.Tooltip(f"{name}:Q", format=".4f") for name in QUANTILES)]
    x = {name: alt.X(f"{name}:Q", scale=log, axis=seconds) for name in QUANTILES}
    by_procedure = alt.layer(
        base.mark_rule(strokeWidth=2.5, opacity=0.55).encode(x["p50"], alt.X2("max"), tooltip=tips),
        base.mark_tick(thickness=2, size=11).encode(x["p95"], tooltip=tips),
        base.mark_tick(thickness=2, size=11).encode(x["p99"], tooltip=tips),
        base.mark_point(filled=False, size=55, strokeWidth=2, fill=colours.background, opacity=1).encode(
            x["p50"], tooltip=tips
        ),
        base.mark_point(filled=True, size=65, opacity=1).encode(x["max"], tooltip=tips),
    ).properties(
        width=WIDTH, height=alt.Step(STEP), title=part("By procedure: ○ median, | 95 and 99 %, ● slowest", colours)
    )
    axis = time_axis(*span(calls))
    cells = field(calls, answered, low, high) if len(slowest) < len(answered) else []
    over_time = alt.layer(
        alt.Chart(inline(cells))
        .mark_rect(color=colours.faint)
        .encode(
            alt.X("at:T", **axis),
            alt.X2("until"),
            alt.Y("low:Q", scale=log, axis=seconds),
            alt.Y2("high"),
            opacity=alt.Opacity("answers:Q", scale=alt.Scale(type="log", range=[0.12, 0.9]), legend=None),
            tooltip=["answers:Q"],
        ),
        alt.Chart(inline(points))
        .mark_circle(size=30, opacity=0.85)
        .encode(
            alt.X("at:T", **axis),
            alt.Y("latency:Q", scale=log, axis=seconds),
            colour,
            tooltip=["call:N", "took:N", "hosts:N"],
        ),
        alt.Chart(inline(silent))
        .mark_point(shape=CROSS, filled=True, size=70, opacity=1)
        .encode(alt.X("at:T", **axis), colour, y=alt.value(0), tooltip=["call:N"]),
    ).properties(
        width=WIDTH, height=HEIGHT, title=part("Over time" + (": ✕ never answered" if silent else ""), colours)
    )
    return alt.vconcat(by_procedure, over_time, spacing=18)


def part(title: str, colours: Any) -> dict[str, Any]:
    return {
        "text": title,
        "anchor": "start",
        "frame": "group",
        "fontSize": 12,
        "color": colours.text,
        "fontWeight": "normal",
        "offset": 6,
    }


def extent(values: list[float]) -> tuple[float, float]:
    """The ends of the scale: from the power of ten below the values to a little above them."""
    if not values:
        return 0.001, 1.0
    return 10.0 ** math.floor(math.log10(min(values))), max(values) * 1.4


def decades(low: float, high: float) -> list[float]:
    """The values at which the scale has lines: powers of ten, and steps between them if these are few.

    >>> decades(0.001, 1.4)
    [0.001, 0.01, 0.1, 1.0]
    >>> decades(0.001, 0.03)
    [0.001, 0.002, 0.005, 0.01, 0.02]
    """
    first, last = round(math.log10(low)), math.floor(math.log10(high))
    digits = (1,) if last - first >= 3 else (1, 2, 5)
    lines = [float(f"{digit}e{power}") for power in range(first, last + 1) for digit in digits]
    return [line for line in lines if line <= high]


def span(calls: Table) -> tuple[int, int]:
    times = calls["time"]
    return (int(times.min()), int(times.max())) if len(times) else (0, 0)
