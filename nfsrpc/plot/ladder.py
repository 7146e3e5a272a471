"""One lock session as a ladder: a line down for each host, an arrow for each message, from top to bottom in time.

A loop at a host's line is a request over its own loopback; a thick piece of the line is the time of waiting or holding.
Time is not to scale, since a minute may lie between milliseconds. scene.py selects the messages.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, NamedTuple, TypeAlias

from nfsrpc.plot.chart import CROSS, ORANGE, Theme, altair, finish, inline, theme
from nfsrpc.plot.scene import AGAIN, CALL, FAILED, REPLY, Arrow, Scene, longest_wait
from nfsrpc.sessions import Sessions
from nfsrpc.wording import SECOND, date_time, duration

GAP, STEP = 320, 27  # pixels between hosts, and between arrows
HOOK = 22  # width of a loop in pixels
# Pixels to the left and right of the hosts: for the columns, for half a name, for the text of a hook.
GUTTER, MARGIN, HOOKED_MARGIN = 190, 70, 360
FRAME_AT, TIME_AT = -122, -62
HEAD = 2.4  # rows for the names of the hosts
SIGNS = {CALL: "→", REPLY: "→", AGAIN: "⇢", FAILED: "×"}  # in text
HEADS = {True: "triangle-right", False: "triangle-left"}

# Lines, heads of arrows and texts, in pixels across and rows down


class Stroke(NamedTuple):
    x: float
    y: float
    x2: float
    y2: float
    ink: str
    width: float = 1.4
    dash: tuple[int, ...] = ()


class ArrowHead(NamedTuple):
    x: float
    y: float
    shape: str
    ink: str


class Text(NamedTuple):
    x: float
    y: float
    text: str
    ink: str
    align: str = "center"
    weight: str = "normal"


Shape: TypeAlias = Stroke | ArrowHead | Text


def chart(tables: Sessions, session: int | None, dark: bool) -> Any:
    scene, arrows, title, subtitle = scene_of(tables, session)
    return finish(Drawing(scene, arrows, theme(dark)).chart(), title, subtitle, dark)


def rows(scene: Scene, arrows: list[Arrow]) -> list[tuple[str, str, str, str]]:
    """The ladder as rows of text: seconds, frames, hosts, message."""
    names = {host: scene.name_and_role(host)[0] or host for host in scene.hosts}
    start = arrows[0].time if arrows else 0
    return [
        (
            f"+{(arrow.time - start) / SECOND:.3f}",
            frames_of(arrow),
            f"{names.get(arrow.source, arrow.source)} {SIGNS[arrow.kind]} {names.get(arrow.target, arrow.target)}",
            label(arrow),
        )
        for arrow in arrows
    ]


def scene_of(tables: Sessions, session: int | None) -> tuple[Scene, list[Arrow], str, str]:
    """The scene of a ladder with its arrows, and its two headings."""
    locks = tables["locks"]
    if session is None:
        session = longest_wait(locks)
    elif not 0 <= session < len(locks):
        raise ValueError(f"no lock session {session}: there are {len(locks)}, counted from 0")
    scene = Scene(tables, session)
    arrows = scene.arrows()
    if scene.session is None:
        title, subtitle = "What was asked about locks", "no lock was asked for"
    else:
        title = f"The lock of {scene.session.owner} on {scene.session.file}"
        subtitle = ", ".join(scene.in_words())
    subtitle = f"{subtitle}; from {date_time(arrows[0].time) if arrows else 'nothing'}, time not to scale"
    return scene, arrows, title, subtitle


class Drawing:
    def __init__(self, scene: Scene, arrows: list[Arrow], colours: Theme) -> None:
        self.scene, self.arrows, self.colours = scene, arrows, colours
        met = {host for arrow in arrows for host in (arrow.source, arrow.target)}
        self.hosts = [host for host in scene.hosts if host in met] or scene.hosts
        self.at = {host: number * GAP for number, host in enumerate(self.hosts)}
        last = self.hosts[-1] if self.hosts else ""
        talks_to_itself = any(arrow.source == arrow.target == last for arrow in arrows)
        self.right = self.at.get(last, 0) + (HOOKED_MARGIN if talks_to_itself else MARGIN)

    def chart(self) -> Any:
        alt = altair()
        shapes = [*self.lifelines(), *self.spans(), *self.messages()]
        x_scale = alt.Scale(domain=[-GUTTER, self.right], nice=False, zero=False)
        y_scale = alt.Scale(domain=[-HEAD, len(self.arrows)], nice=False, zero=False, reverse=True)
        x, y = alt.X("x:Q", scale=x_scale, axis=None), alt.Y("y:Q", scale=y_scale, axis=None)
        ink = alt.Color("ink:N", scale=None)

        def of(kind: type, **wanted: Any) -> Any:
            chosen = [shape._asdict() for shape in shapes if isinstance(shape, kind)]
            return alt.Chart(inline([row for row in chosen if wanted.items() <= row.items()]))

        dash = alt.StrokeDash("dash:N", scale=None)
        width = alt.StrokeWidth("width:Q", scale=None)
        layers = [
            of(Stroke).mark_rule().encode(x, alt.X2("x2"), y, alt.Y2("y2"), ink, dash, width),
            of(ArrowHead)
            .mark_point(filled=True, size=70, opacity=1)
            .encode(x, y, ink, shape=alt.Shape("shape:N", scale=None)),
        ]
        for align in ("left", "center", "right"):
            for weight in ("normal", "bold"):
                text = of(Text, align=align, weight=weight).encode(x, y, text="text:N")
                style = {"align": align, "fontSize": 12 if weight == "bold" else 11, "fontWeight": weight}
                halo = text.mark_text(**style, stroke=self.colours.background, strokeWidth=4, strokeJoin="round")
                layers += [halo, text.mark_text(**style).encode(ink)]
        size = {"width": self.right + GUTTER, "height": STEP * (len(self.arrows) + HEAD)}
        return alt.layer(*layers).properties(**size)

    def lifelines(self) -> Iterator[Shape]:
        faint = self.colours.faint
        yield Text(FRAME_AT, -1.1, "frame", faint, "right")
        yield Text(TIME_AT, -1.1, "seconds", faint, "right")
        for host, x in self.at.items():
            name, role = self.scene.name_and_role(host)
            yield Stroke(x, -0.6, x, len(self.arrows) - 0.2, faint, 1)
            yield Text(x, -1.75, name or host, self.colours.text, weight="bold")
            yield Text(x, -1.1, f"{host if name else ''} {role}".strip(), faint)

    def spans(self) -> Iterator[Shape]:
        """Thick pieces of hosts' lines, as long as a host waits or holds."""
        paints = {"waits": ORANGE, "holds": self.colours.blue}
        for host, what, begin, end in self.scene.spans():
            rows = [row for row, arrow in enumerate(self.arrows) if begin <= arrow.time <= (end or arrow.time)]
            if rows and host in self.at:
                bottom = len(self.arrows) - 0.2 if end is None else max(rows)
                yield Stroke(self.at[host], min(rows), self.at[host], bottom, paints[what], 7)

    def messages(self) -> Iterator[Shape]:
        start = self.arrows[0].time if self.arrows else 0
        for row, arrow in enumerate(self.arrows):
            if arrow.source not in self.at or arrow.target not in self.at:
                continue
            yield Text(FRAME_AT, row, frames_of(arrow), self.colours.faint, "right")
            yield Text(TIME_AT, row, f"+{(arrow.time - start) / SECOND:.3f}", self.colours.text, "right")
            ink = self.colours.red if arrow.bad else self.colours.text
            draw = self.hook if arrow.source == arrow.target else self.straight
            yield from draw(row, arrow, ink)

    def straight(self, row: int, arrow: Arrow, ink: str) -> Iterator[Shape]:
        x, x2 = self.at[arrow.source], self.at[arrow.target]
        right = x2 > x
        lost = arrow.kind == FAILED
        end = (x + x2) / 2 if lost else x2
        paint = ink if arrow.kind != REPLY or arrow.bad else self.colours.faint
        yield Stroke(x, row, end, row, paint, dash=(5, 3) if arrow.kind == AGAIN else ())
        yield ArrowHead(end if lost else end + (-5 if right else 5), row, CROSS if lost else HEADS[right], paint)
        yield Text((x + x2) / 2, row - 0.34, label(arrow), ink)

    def hook(self, row: int, arrow: Arrow, ink: str) -> Iterator[Shape]:
        """The loop of a request over a host's own loopback."""
        x, out = self.at[arrow.source], self.at[arrow.source] + HOOK
        yield Stroke(x, row - 0.22, out, row - 0.22, ink)
        yield Stroke(out, row - 0.22, out, row + 0.22, ink)
        yield Stroke(out, row + 0.22, x, row + 0.22, ink)
        yield ArrowHead(x + 5, row + 0.22, HEADS[False], ink)
        yield Text(out + 7, row, label(arrow), ink, "left")


def frames_of(arrow: Arrow) -> str:
    return f"{arrow.frame}" if arrow.times == 1 else f"{arrow.frame}…{arrow.last_frame}"


def label(arrow: Arrow) -> str:
    if arrow.times == 1:
        return arrow.text
    every = (arrow.last - arrow.time) / SECOND / (arrow.times - 1)
    return f"{arrow.text} × {arrow.times}, every {duration(every)}"
