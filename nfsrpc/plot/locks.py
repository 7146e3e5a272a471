"""Lock sessions over time: one lane per client under its file (or per owner under its client).

A session is a bar of waiting and a bar of holding, with marks for its events. Sessions of one lane that overlap get a
row each. Of too many lanes, those with the longest waits are drawn, and those of the holders in their way.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator
from typing import Any, Literal, NamedTuple, TypeAlias, get_args

import numpy as np

from nfsrpc.columns import NAT
from nfsrpc.plot.chart import (
    CROSS,
    GREEN,
    GREY,
    LIGHT,
    NS_PER_MS,
    ORANGE,
    PURPLE,
    RED,
    WIDTH,
    Theme,
    altair,
    colour_by,
    finish,
    inline,
    scale,
    theme,
    time_axis,
)
from nfsrpc.sessions import Sessions
from nfsrpc.sessions.conflicts import NEVER
from nfsrpc.sessions.holders import holds, waits
from nfsrpc.sessions.message_text import byte_range
from nfsrpc.tables import Locks
from nfsrpc.wording import SECOND, count, duration, timestamp

By: TypeAlias = Literal["file", "owner"]

MOST_LANES = 40  # as many as fit on a page
STEP = 24  # pixels per lane
NARROW = 0.11  # of the time shown: a bar narrower than this has no room for a text
TEXT = "text"  # the colour of the theme's text
EVENTS = {
    # event: its shape and colour
    "asked again": ("M-0.25,-1.2H0.25V1.2H-0.25Z", TEXT),
    "granted": ("triangle-up", GREEN),
    "denied": (CROSS, RED),
    "given up": ("diamond", PURPLE),
    "goes on": ("triangle-right", GREY),
}


class SessionBar(NamedTuple):
    """A row of locks as it is drawn; times are ns, and within the capture."""

    row: int
    group: str
    lane: str
    owner: str | None
    requested: int | None  # begins to wait
    held: int | None  # begins to hold
    end: int
    open: bool  # goes on after the capture
    holder: int | None  # row of the session that was in the way
    events: tuple[tuple[str, int], ...]
    text: str

    @property
    def at(self) -> tuple[str, str]:
        return self.group, self.lane

    @property
    def begin(self) -> int:
        return min(time for time in (self.requested, self.held, self.end) if time is not None)

    @property
    def wait(self) -> int:
        return 0 if self.requested is None else (self.end if self.held is None else self.held) - self.requested


class Lane(NamedTuple):
    """A row of the chart: a heading, or sessions that do not overlap."""

    label: str
    sessions: tuple[SessionBar, ...]
    heading: bool = False


def chart(tables: Sessions, by: By, dark: bool) -> Any:
    if by not in get_args(By):
        raise ValueError(f"by is {by!r}: it is one of {', '.join(get_args(By))}")
    sessions = list(sessions_of(tables, by))
    chosen, left_out = longest_waits(sessions)
    lanes = list(lanes_of(chosen)) or [Lane("no lock session", ())]
    first, last = extent(tables)
    longest = max(chosen, key=lambda session: session.wait, default=None)
    subtitle = f"{count(len(sessions), 'session')} of {count(len({session.owner for session in sessions}), 'owner')}"
    if longest is not None and longest.wait:
        subtitle += f"; the longest wait is {duration(longest.wait / 1e9)}, of {longest.owner}"
    if left_out:
        subtitle += f"; {count(left_out, 'lane')} that waited less not shown"
    return finish(picture(lanes, first, last, dark), "Locks: who waits, who holds", subtitle, dark)


# What is drawn


def sessions_of(tables: Sessions, by: By) -> Iterator[SessionBar]:
    locks = tables["locks"]
    first, last = extent(tables)
    again = resend_times(tables)
    held, until = holds(locks)
    requested, answered = waits(locks)
    timed = np.flatnonzero(locks.valid("time"))  # not so where a capture has no times
    for row, session in zip(timed.tolist(), locks.take(timed).rows(), strict=True):
        holding = None if held[row] == NEVER else max(first, int(held[row]))
        end = int(until[row] if holding is not None else answered[row])
        named = f"{session.caller_name or ''} {session.client}".strip()
        file = f"{session.file} on {session.server}"
        yield SessionBar(
            row=row,
            group=file if by == "file" else named,
            lane=named if by == "file" else f"{session.owner} {session.file}",
            owner=session.owner,
            requested=None if requested[row] == NAT else int(requested[row]),
            held=holding,
            end=min(last, end) if end != NAT else session.time,
            open=end == NEVER,
            holder=session.held_by,
            events=tuple(events_of(session, again.get(row, ()))),
            text=f"{mode(session.exclusive)}{byte_range(session.l_offset, session.l_len)}",
        )


def mode(exclusive: bool | None) -> str:
    return "" if exclusive is None else "exclusive, " if exclusive else "shared, "


def extent(tables: Sessions) -> tuple[int, int]:
    """The first and last time of the captures."""
    captures = tables["captures"]
    known = captures["first"] != NAT
    if not known.any():
        return 0, 0
    return int(captures["first"][known].min()), int(captures["last"][known].max())


def events_of(session: Locks.Row, again: Iterable[int]) -> Iterator[tuple[str, int]]:
    for time in again:
        yield "asked again", time
    for what, event in (
        ("granted", session.granted),
        ("denied", session.denied),
        ("given up", session.cancelled),
    ):
        if event is not None:
            yield what, event


def resend_times(tables: Sessions) -> dict[int, list[int]]:
    """The times at which the LOCK of each session was retransmitted: as a resend, or as another call."""
    calls, copies, locks = tables["calls"], tables["copies"], tables["locks"]
    lock = calls["procedure"].isin(("LOCK", "LOCK_MSG", "NM_LOCK"))
    requests = dict(zip(calls["exchange"][lock].tolist(), calls["time"][lock].tolist(), strict=True))
    resends = copies.where(~copies["reply"])
    times = list(requests.items())
    times += zip(resends["exchange"].tolist(), resends["time"].tolist(), strict=True)
    requested = locks["requested"]
    again: dict[int, list[int]] = {}
    for number, time in times:
        row = tables.membership.session.get(number)
        if row is not None and number in requests and time > requested[row]:
            again.setdefault(row, []).append(time)
    return {row: sorted(found) for row, found in again.items()}


def longest_waits(sessions: list[SessionBar]) -> tuple[list[SessionBar], int]:
    """The sessions of the lanes with the longest waits or their holders, and the number of lanes left out."""
    by_row = {session.row: session for session in sessions}
    worst: dict[tuple[str, str], int] = {}
    for session in sessions:
        holder = by_row.get(session.row if session.holder is None else session.holder, session)
        for lane in (session.at, holder.at):
            worst[lane] = max(worst.get(lane, 0), session.wait)
    chosen = set(sorted(worst, key=lambda lane: -worst[lane])[:MOST_LANES])
    return [session for session in sessions if session.at in chosen], len(worst) - len(chosen)


def lanes_of(sessions: list[SessionBar]) -> Iterator[Lane]:
    """Headings and lanes from top to bottom, in the order in which they first occur."""
    groups: dict[str, dict[str, list[SessionBar]]] = {}
    for session in sessions:
        groups.setdefault(session.group, {}).setdefault(session.lane, []).append(session)
    for group, lanes in groups.items():
        yield Lane(group, (), heading=True)
        for lane, members in lanes.items():
            for number, row in enumerate(side_by_side(members)):
                yield Lane("" if number else lane, tuple(row))


def side_by_side(sessions: list[SessionBar]) -> list[list[SessionBar]]:
    """Sessions in as few rows as possible, so that none overlaps another."""
    rows: list[list[SessionBar]] = []
    for session in sorted(sessions, key=lambda session: session.begin):
        row = next((row for row in rows if row[-1].end <= session.begin), None)
        if row is None:
            rows.append([session])
        else:
            row.append(session)
    return rows


# How it is drawn


def picture(lanes: list[Lane], first: int, last: int, dark: bool) -> Any:
    alt, colours = altair(), theme(dark)
    names = [f"{number:04d}|{lane.label}" for number, lane in enumerate(lanes)]
    placed = [(name, session) for name, lane in zip(names, lanes, strict=True) for session in lane.sessions]
    bars = [bar for name, session in placed for bar in bars_of(name, session)]
    marks = [mark for name, session in placed for mark in marks_of(name, session)]
    y = alt.Y("lane:N", scale=alt.Scale(domain=names, paddingInner=0.3, paddingOuter=0.2), axis=lane_axis(lanes, names))
    x = time_axis(first, last)
    layers = [*bar_layers(bars, x, y, NARROW * (last - first) / NS_PER_MS, colours), *mark_layers(marks, x, y, colours)]
    chart = alt.layer(*layers).resolve_scale(color="independent", shape="independent")
    return chart.properties(width=WIDTH, height=alt.Step(STEP))


def bar_layers(bars: list[dict[str, Any]], x: dict[str, Any], y: Any, narrow: float, colours: Theme) -> Iterator[Any]:
    """The layers of bars, and of texts on those that are wide enough."""
    alt = altair()
    paints = {"waits": ORANGE, "holds": colours.blue}
    inks = {"waits": LIGHT.text, "holds": colours.background}
    wide = [bar | {"ink": inks[bar["what"]]} for bar in bars if bar["to"] - bar["from"] > narrow]
    colour = colour_by("what:N", paints, symbolType="square")
    tooltip = [f"{name}:N" for name in ("owner", "what", "range", "lasted", "session")]
    start = alt.X("from:T", **x)
    yield alt.Chart(inline(bars)).mark_bar(cornerRadius=2).encode(start, alt.X2("to"), y, colour, tooltip=tooltip)
    texts = alt.Chart(inline(wide)).mark_text(align="left", dx=7, fontSize=11, fontWeight="bold")
    yield texts.encode(start, y, text="text:N", color=alt.Color("ink:N", scale=None))


def mark_layers(marks: list[dict[str, Any]], x: dict[str, Any], y: Any, colours: Theme) -> Iterator[Any]:
    alt = altair()
    happened = [what for what in EVENTS if any(mark["what"] == what for mark in marks)]
    if not happened:
        return
    shape = alt.Shape("what:N", scale=scale({what: EVENTS[what][0] for what in happened}))
    colour = colour_by("what:N", {what: paint(EVENTS[what][1], colours) for what in happened})
    points = alt.Chart(inline(marks)).mark_point(
        size=90, filled=True, opacity=1, stroke=colours.background, strokeWidth=0.8
    )
    yield points.encode(alt.X("at:T", **x), y, shape, colour, tooltip=["owner:N", "what:N", "time:N"])


def paint(colour: str, colours: Theme) -> str:
    return colours.text if colour == TEXT else colour


def lane_axis(lanes: list[Lane], names: list[str]) -> Any:
    """The axis of lanes: labels without the number in front, which keeps equal names apart; headings are bold."""
    headings = [name for name, lane in zip(names, lanes, strict=True) if lane.heading]
    weight = {"condition": {"test": f"indexof({json.dumps(headings)}, datum.value) >= 0", "value": "bold"}}
    return altair().Axis(
        title=None,
        ticks=False,
        domain=False,
        labelLimit=360,
        labelFontSize=12,
        labelExpr="substring(datum.value, 5)",
        labelFontWeight=weight | {"value": "normal"},
    )


def bars_of(lane: str, session: SessionBar) -> Iterator[dict[str, Any]]:
    ends = {"waits": session.end if session.held is None else session.held, "holds": session.end}
    begins = {"waits": session.requested, "holds": session.held}
    for what, begin in begins.items():
        if begin is not None:
            seconds = (ends[what] - begin) / SECOND
            still = "still " if session.open and ends[what] == session.end else ""
            yield {
                "lane": lane,
                "what": what,
                "from": begin / NS_PER_MS,
                "to": ends[what] / NS_PER_MS,
                "owner": session.owner,
                "range": session.text,
                "lasted": duration(seconds),
                "session": session.row,
                "text": f"{still}{what} {duration(seconds)}",
            }


def marks_of(lane: str, session: SessionBar) -> Iterator[dict[str, Any]]:
    for what, time in session.events:
        yield {"lane": lane, "what": what, "at": time / NS_PER_MS, "owner": session.owner, "time": timestamp(time)}
    if session.open:
        yield {"lane": lane, "what": "goes on", "at": session.end / NS_PER_MS, "owner": session.owner, "time": ""}
