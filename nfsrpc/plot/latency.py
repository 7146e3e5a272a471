"""How long answers took: by procedure (what is slow), and over time (when it was slow). Scales are logarithmic.

A procedure is a line from its median to its slowest answer, with marks at 95 and 99 %. Over time each answer is a dot;
of very many the slowest and an even choice of the others. What was never answered is a cross on the upper edge.
Exchanges that several vantages show count once.
"""

from __future__ import annotations

import math
from typing import Any

import numpy as np

from nfsrpc.plot.chart import (
    CROSS,
    MOST_ROWS,
    NS_PER_MS,
    WIDTH,
    altair,
    finished,
    inline,
    of_programs,
    scale,
    theme,
    time_axis,
)
from nfsrpc.plot.rates import counted
from nfsrpc.report.words import count, digits, duration
from nfsrpc.sessions import Sessions
from nfsrpc.tables import Array, Table

MOST_PROCEDURES = 20
QUANTILES = ("p50", "p95", "p99", "max")
HEIGHT, STEP = 220, 21
FASTEST_S = 1e-5  # clocks of captures tell no shorter times apart
SECONDS = (
    "datum.value >= 1 ? datum.value + ' s' : datum.value >= 0.0009 ? "
    "round(datum.value * 1e3) + ' ms' : round(datum.value * 1e6) + ' µs'"
)


def chart(tables: Sessions, dark: bool) -> Any:
    calls = counted(tables["calls"])
    answered = np.flatnonzero(calls["state"] == "answered")
    shown = chosen(calls["latency_s"], answered)
    told = f"{count(len(answered), 'answer')}"
    if len(answered):
        slowest = calls.row(int(answered[np.argmax(calls["latency_s"][answered])]))
        what = f"{slowest.program} {slowest.procedure}, frame {slowest.call_frame}"
        told += f"; the slowest took {duration(slowest.latency_s)}: {what}"
    if len(shown) < len(answered):
        told += f"; over time the slowest and some others, {digits(len(shown))} in all"
    return finished(drawn(tables, calls, shown, dark), "How long answers took", told, dark)


def chosen(latency: Array, answered: Array) -> Array:
    """Rows to show over time: the slowest half, and evenly of the rest."""
    if len(answered) <= MOST_ROWS:
        return answered
    half = MOST_ROWS // 2
    order = np.argpartition(latency[answered], len(answered) - half)
    slow, others = answered[order[-half:]], np.sort(answered[order[:-half]])
    evenly = others[np.linspace(0, len(others) - 1, half).astype(np.int64)]
    return np.sort(np.concatenate([slow, evenly]))


def quantiles(programs: Table) -> list[dict[str, Any]]:
    """A row a procedure that was answered, the slowest first."""
    rows = [row for row in programs.rows() if row.max is not None]
    rows.sort(key=lambda row: -row.max)
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


def several_versions(rows: list[Any], row: Any) -> bool:
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


def crosses(calls: Table) -> list[dict[str, Any]]:
    silent = calls.where(calls["state"] == "unanswered")
    columns = map(silent.values, ("time", "program", "procedure", "call_frame"))
    return [
        {"at": time / NS_PER_MS, "program": program, "call": f"{program} {procedure}, frame {frame}"}
        for time, program, procedure, frame in zip(*columns, strict=True)
    ][:MOST_ROWS]


def drawn(tables: Sessions, calls: Table, shown: Array, dark: bool) -> Any:
    alt, colours = altair(), theme(dark)
    procedures, points, silent = quantiles(tables["programs"]), dots(calls, shown), crosses(calls)
    paints = of_programs((row["program"] for row in [*procedures, *silent]), colours)
    colour = alt.Color("program:N", scale=scale(paints), legend=alt.Legend(symbolOpacity=1, symbolType="circle"))
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
    over_time = alt.layer(
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
    """From the power of ten below to a little above."""
    if not values:
        return 0.001, 1.0
    return 10.0 ** math.floor(math.log10(min(values))), max(values) * 1.4


def decades(low: float, high: float) -> list[float]:
    """
    >>> decades(0.001, 1.4)
    [0.001, 0.01, 0.1, 1.0]
    """
    first, last = round(math.log10(low)), math.floor(math.log10(high))
    return [float(f"1e{power}") for power in range(first, last + 1)]


def span(calls: Table) -> tuple[int, int]:
    times = calls["time"]
    return (int(times.min()), int(times.max())) if len(times) else (0, 0)
