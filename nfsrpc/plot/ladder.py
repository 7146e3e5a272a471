"""One lock session as a ladder: a line down for each host, an arrow for each message, from top to bottom in time.

Besides the session's own messages it shows what decides them: what portmappers and statds were asked meanwhile, by whom
of these hosts, connections that were refused or not answered, and the session that was in the way. What a host asks
over its own loopback is a hook at its line. Time is not to scale, since a minute may lie between milliseconds; what is
repeated unchanged is one arrow with a number.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, NamedTuple, TypeAlias

import numpy as np

from nfsrpc.plot.chart import CROSS, ORANGE, Theme, altair, finished, inline, theme
from nfsrpc.report.messages import Messages, spoken
from nfsrpc.report.words import NS, clock, count, duration
from nfsrpc.sessions import Sessions
from nfsrpc.sessions.monitors import NSM
from nfsrpc.sessions.wanted import NLM
from nfsrpc.tables import NAT, Array, Mask, Table

LEAD = NS  # what was asked so long before the session may have led to it
# A client without statd asks its own portmapper for a minute before it sends its first LOCK.
OWN_LEAD = 70 * NS
MOST_ARROWS = 64
MOST_CALLS = 1000
MOST_HOSTS = 5
GAP, STEP = 320, 27  # pixels between hosts, and between arrows
HOOK = 22  # pixels that a hook is wide
# Pixels to the left and right of the hosts: for the columns, for half a name, for the text of a hook.
GUTTER, MARGIN, HOOKED_MARGIN = 190, 70, 360
FRAME_AT, TIME_AT = -122, -62
HEAD = 2.4  # rows for the names of the hosts
HEADS = {True: "triangle-right", False: "triangle-left"}

CALL, REPLY, AGAIN, FAILED = "call", "reply", "again", "failed"
FINE = {"", "GRANTED", "BLOCKED", "STAT_SUCC", "OK"}  # other answers are red


class Arrow(NamedTuple):
    """A message, or the same one several times."""

    time: int
    frame: int | None
    source: str
    target: str  # the source itself, over its loopback: with the answer
    text: str
    kind: str
    bad: bool = False
    times: int = 1
    last: int = 0  # time of the last one
    last_frame: int | None = None

    @property
    def alike(self) -> tuple[str, str, str, str]:
        return self.source, self.target, self.text, self.kind

    def and_more(self, other: Arrow) -> Arrow:
        last = max(self.last or self.time, other.last or other.time)
        return self._replace(times=self.times + other.times, last=last, last_frame=other.last_frame or other.frame)


class Span(NamedTuple):
    """That a host waits or holds, from when to when (None: when the capture ends)."""

    host: str
    what: str
    begin: int
    end: int | None


# What is shown


def longest_wait(locks: Table) -> int | None:
    """The session that waited longest."""
    if not len(locks):
        return None
    return int(np.argmax(np.nan_to_num(locks["wait_s"], nan=-1.0)))


class Scene:
    """The hosts, the time and the messages to show: of a session, or without one of all that has to do with locks."""

    def __init__(self, tables: Sessions, session: int | None) -> None:
        self.tables, self.membership = tables, tables.membership
        self.messages = Messages(tables)
        self.session: Any = None if session is None else tables["locks"].row(session)
        self.exchanges = set(self.membership.exchanges.get(-1 if session is None else session, ()))
        self.hosts, self.begin, self.end = self._of_session() if self.session else self._of_all()
        self.asker = self.hosts[0] if self.hosts else ""
        self.own_begin = self._own_begin() if self.session else self.begin

    def _of_session(self) -> tuple[list[str], int, int]:
        session = self.session
        hosts = [session.client, session.server]
        if session.held_by is not None:
            self.exchanges |= set(self.membership.exchanges.get(session.held_by, ()))
            hosts.append(self.tables["locks"].row(session.held_by).client)
        begin = (session.requested or session.time) - LEAD
        known = (session.released, session.cancelled, session.denied, session.unlock)
        end = max((time for time in known if time is not None), default=None)
        return list(dict.fromkeys(hosts)), begin, extent_end(self.tables) if end is None else end

    def _of_all(self) -> tuple[list[str], int, int]:
        calls = self.tables["calls"]
        about_locks = calls["prog"] == NLM
        self.exchanges = set(calls["exchange"][about_locks][:MOST_CALLS].tolist())
        said, flows = self.tables["registrations"], self.tables["flows"]
        about = (said["prog"] == NLM) | (said["prog"] == NSM)
        hosts = [*said.where(about)["asker"].tolist(), *said.where(about)["host"].tolist()]
        hosts += [*calls.where(about_locks)["client"].tolist(), *calls.where(about_locks)["server"].tolist()]
        first = int(flows["first"].min()) if len(flows) else 0
        return list(dict.fromkeys(filter(None, hosts)))[:MOST_HOSTS], first, extent_end(self.tables)

    def _own_begin(self) -> int:
        """Since when the client's questions to its own statd belong to this session: since its request before."""
        calls, asked = self.tables["calls"], self.begin + LEAD
        before = (calls["client"] == self.session.client) & (calls["prog"] == NLM) & (calls["time"] < asked)
        return int(max(asked - OWN_LEAD, calls["time"][before].max(initial=0)))

    def arrows(self) -> list[Arrow]:
        found = sorted([*self.of_calls(), *self.of_copies(), *self.of_connections()], key=lambda arrow: arrow.time)
        return shortened(without_repetition(without_repetition(found, 2), 1))

    def spans(self) -> list[Span]:
        """Of the session, and the hold of the one that was in its way."""
        if self.session is None:
            return []
        holder = None if self.session.held_by is None else self.tables["locks"].row(self.session.held_by)
        return [*spans_of(self.session), *(span for span in spans_of(holder) if span.what == "holds")]

    def in_words(self) -> Iterator[str]:
        session = self.session
        if session.wait_s is not None:
            yield f"waits {duration(session.wait_s)}"
        if session.hold_s is not None:
            yield f"holds {duration(session.hold_s)}"
        yield session.state

    def name_and_role(self, host: str) -> tuple[str, str]:
        """What the host calls itself, and what it is."""
        hosts = self.tables["hosts"]
        for row in hosts.where(hosts["host"] == host).rows():
            return ", ".join(row.names), ", ".join(row.roles)
        return "", ""

    def near(self, times: Array) -> Mask:
        mask: Mask = (times >= self.begin) & (times <= self.end)
        return mask

    def of_session_time(self, times: Array, own: Mask) -> Mask:
        """Whether it is within the time of the session, which is longer for the client's own loopback."""
        return self.near(times) | (own & (times >= self.own_begin) & (times <= self.end))

    def shown_calls(self) -> Iterator[Any]:
        calls = self.tables["calls"]
        numbers = [*self.exchanges, *self.asked_meanwhile("registrations"), *self.asked_meanwhile("monitors")]
        wanted = np.isin(calls["exchange"], numbers) & ~calls.valid("duplicate_of")
        return calls.where(wanted).rows()

    def asked_meanwhile(self, name: str) -> list[int]:
        """Exchanges between these hosts about the lock manager and the status monitor."""
        table = self.tables[name]
        wanted = table["asker"].isin(self.hosts) & table["host"].isin(self.hosts)
        wanted &= self.of_session_time(table["time"], table["loopback"] & (table["asker"] == self.asker))
        if name == "registrations":
            wanted &= (table["prog"] == NLM) | (table["prog"] == NSM)
        numbers: list[int] = table["exchange"][wanted].tolist()
        return numbers

    def of_calls(self) -> Iterator[Arrow]:
        for call in self.shown_calls():
            asks, tells = self.messages.asks(call), self.messages.tells(call)
            bad = call.state == "unanswered" or (tells not in FINE and not tells.startswith("port"))
            text = f"{call.procedure} {asks or (f'of {call.program}' if call.procedure == 'NULL' else '')}".strip()
            if call.client == call.server:
                answer = tells or ("no answer" if call.state == "unanswered" else "answered")
                yield Arrow(call.time, call.call_frame, call.client, call.client, f"{text}: {answer}", CALL, bad)
                continue
            if call.state == "unanswered":
                text += ": no answer"
            yield Arrow(call.time, call.call_frame, call.client, call.server, text, CALL, call.state == "unanswered")
            if call.reply_time is not None:
                late = f", {duration(call.latency_s)} later" if call.latency_s and call.latency_s >= 1 else ""
                reply = f"{tells or call.procedure + ' reply'}{late}"
                yield Arrow(call.reply_time, call.reply_frame, call.server, call.client, reply, REPLY, bad)

    def of_copies(self) -> Iterator[Arrow]:
        """Calls sent again. Further replies come with the first and say the same."""
        calls, copies = self.tables["calls"], self.tables["copies"]
        for copy in copies.where(~copies["reply"] & self.near(copies["time"])).rows():
            if copy.exchange in self.exchanges:
                (row,) = np.flatnonzero(calls["exchange"] == copy.exchange)[:1]
                call = calls.row(int(row))
                text = f"{call.procedure} again, after {duration(copy.after_s)}"
                yield Arrow(copy.time, copy.frame, call.client, call.server, text, AGAIN)

    def of_connections(self) -> Iterator[Arrow]:
        """Connections between these hosts that came to nothing."""
        flows = self.tables["flows"]
        failed = (flows["syn_time"] != NAT) & (flows["synack"] == 0)
        failed &= self.of_session_time(flows["syn_time"], flows["loopback"] & (flows["client"] == self.asker))
        for flow in flows.where(failed & ~flows.valid("duplicate_of")).rows():
            if flow.client in self.hosts and flow.server in self.hosts:
                what = f"connection to {service(flow)}"
                answer = "refused" if flow.rst_frame else f"no answer to {count(flow.syn, 'SYN')}"
                yield Arrow(flow.syn_time, flow.syn_frame, flow.client, flow.server, f"{what}: {answer}", FAILED, True)


def spans_of(session: Any) -> Iterator[Span]:
    if session is None:
        return
    if session.requested is not None:
        ends = (session.granted, session.cancelled, session.denied)
        yield Span(session.client, "waits", session.requested, next((end for end in ends if end is not None), None))
    if session.granted is not None:
        yield Span(session.client, "holds", session.granted, session.released)


def service(flow: Any) -> str:
    known = spoken(flow.prog, None).partition(" ")[0] if flow.prog is not None else ""
    return f"{known} port {flow.server_port}".strip()


def extent_end(tables: Sessions) -> int:
    last = tables["captures"]["last"]
    return int(last.max()) if len(last) else 0


def without_repetition(arrows: list[Arrow], length: int) -> list[Arrow]:
    """Groups of so many arrows that are repeated unchanged become one group with a number."""
    found: list[Arrow] = []
    for arrow in arrows:
        found.append(arrow)
        before, latest = found[-2 * length : -length], found[-length:]
        whole = len(before) == length and (length == 1 or latest[0].kind == CALL)
        if whole and [one.alike for one in before] == [one.alike for one in latest]:
            found[-2 * length :] = [one.and_more(other) for one, other in zip(before, latest, strict=True)]
    return found


def shortened(arrows: list[Arrow]) -> list[Arrow]:
    """The first and the last, when there are too many."""
    half = MOST_ARROWS // 2
    return arrows if len(arrows) <= MOST_ARROWS else [*arrows[:half], *arrows[-half:]]


# How it is drawn: lines, heads of arrows and texts, in pixels across and rows down


class Line(NamedTuple):
    x: float
    y: float
    x2: float
    y2: float
    ink: str
    width: float = 1.4
    dash: tuple[int, ...] = ()


class Head(NamedTuple):
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


Shape: TypeAlias = Line | Head | Text


def chart(tables: Sessions, session: int | None, dark: bool) -> Any:
    locks = tables["locks"]
    if session is None:
        session = longest_wait(locks)
    elif not 0 <= session < len(locks):
        raise ValueError(f"no lock session {session}: there are {len(locks)}, counted from 0")
    scene = Scene(tables, session)
    arrows = scene.arrows()
    if scene.session is None:
        title, told = "What was asked about locks", "no lock was asked for"
    else:
        title = f"The lock of {scene.session.owner} on {scene.session.file}"
        told = ", ".join(scene.in_words())
    told = f"{told}; from {clock(arrows[0].time) if arrows else 'nothing'}, time not to scale"
    return finished(Drawing(scene, arrows, theme(dark)).chart(), title, told, dark)


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
            of(Line).mark_rule().encode(x, alt.X2("x2"), y, alt.Y2("y2"), ink, dash, width),
            of(Head)
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
            yield Line(x, -0.6, x, len(self.arrows) - 0.2, faint, 1)
            yield Text(x, -1.75, name or host, self.colours.text, weight="bold")
            yield Text(x, -1.1, f"{host if name else ''} {role}".strip(), faint)

    def spans(self) -> Iterator[Shape]:
        """A thick piece of a host's line, as long as it waits or holds."""
        paints = {"waits": ORANGE, "holds": self.colours.blue}
        for host, what, begin, end in self.scene.spans():
            rows = [row for row, arrow in enumerate(self.arrows) if begin <= arrow.time <= (end or arrow.time)]
            if rows and host in self.at:
                bottom = len(self.arrows) - 0.2 if end is None else max(rows)
                yield Line(self.at[host], min(rows), self.at[host], bottom, paints[what], 7)

    def messages(self) -> Iterator[Shape]:
        start = self.arrows[0].time if self.arrows else 0
        for row, arrow in enumerate(self.arrows):
            if arrow.source not in self.at or arrow.target not in self.at:
                continue
            frames = f"{arrow.frame}" if arrow.times == 1 else f"{arrow.frame}…{arrow.last_frame}"
            yield Text(FRAME_AT, row, frames, self.colours.faint, "right")
            yield Text(TIME_AT, row, f"+{(arrow.time - start) / NS:.3f}", self.colours.text, "right")
            ink = self.colours.red if arrow.bad else self.colours.text
            draw = self.hook if arrow.source == arrow.target else self.straight
            yield from draw(row, arrow, ink)

    def straight(self, row: int, arrow: Arrow, ink: str) -> Iterator[Shape]:
        x, x2 = self.at[arrow.source], self.at[arrow.target]
        right = x2 > x
        lost = arrow.kind == FAILED
        end = (x + x2) / 2 if lost else x2
        paint = ink if arrow.kind != REPLY or arrow.bad else self.colours.faint
        yield Line(x, row, end, row, paint, dash=(5, 3) if arrow.kind == AGAIN else ())
        yield Head(end if lost else end + (-5 if right else 5), row, CROSS if lost else HEADS[right], paint)
        yield Text((x + x2) / 2, row - 0.34, repeated(arrow), ink)

    def hook(self, row: int, arrow: Arrow, ink: str) -> Iterator[Shape]:
        """To its own loopback and back."""
        x, out = self.at[arrow.source], self.at[arrow.source] + HOOK
        yield Line(x, row - 0.22, out, row - 0.22, ink)
        yield Line(out, row - 0.22, out, row + 0.22, ink)
        yield Line(out, row + 0.22, x, row + 0.22, ink)
        yield Head(x + 5, row + 0.22, HEADS[False], ink)
        yield Text(out + 7, row, repeated(arrow), ink, "left")


def repeated(arrow: Arrow) -> str:
    if arrow.times == 1:
        return arrow.text
    every = (arrow.last - arrow.time) / NS / (arrow.times - 1)
    return f"{arrow.text} × {arrow.times}, every {duration(every)}"
