"""What a page has beside the words of its report: pictures, the messages of each frame of a proof, pages of rules.

Pictures are those of nfsrpc.plot. Without the extra `plots` the ladder is text. The frames' messages are read from the
captures again; of standard input, which cannot be, there are none.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import NamedTuple

from nfsrpc.diagnosis.catalogue import Check, find
from nfsrpc.extras import MissingExtraError
from nfsrpc.findings.bounds import PAGE, ends_of, first_of
from nfsrpc.plot import Plots, ladder
from nfsrpc.raw import reread
from nfsrpc.report.contents import Report
from nfsrpc.report.page import Pages, Place, needed
from nfsrpc.report.terminal import columns, plain
from nfsrpc.sessions import Sessions
from nfsrpc.sessions.aligned import by_one_clock
from nfsrpc.sources import SourceError
from nfsrpc.wording import count

MOST_FRAMES = 60  # of all proofs, whose messages a page has
MOST_SESSIONS = 500  # in the picture of locks over time: 200 kB


class Picture(NamedTuple):
    title: str
    light: str  # SVG
    dark: str
    text: str = ""  # in the place of both


class Attachments(NamedTuple):
    pictures: tuple[Picture, ...] = ()
    frames: Mapping[Place, str] = {}
    rules: tuple[Check, ...] = ()


def attachments(report: Report, tables: Sessions) -> Attachments:
    return Attachments(tuple(pictures(report, tables)), messages(report, tables), rules_of(report))


def places_of(report: Report) -> list[Place]:
    """The frames of the proofs that a page shows, the gravest fault's first."""
    shown, _ = first_of(report.faults, PAGE.causes)
    places: dict[Place, None] = {}
    for fault in shown:
        first, _, last = ends_of(fault.finding.evidence, PAGE.frames)
        places |= {(proof.capture, proof.frame): None for proof in (*first, *last)}
    return list(places)[:MOST_FRAMES]


def messages(report: Report, tables: Sessions) -> dict[Place, str]:
    """The page of each frame, as `nfsrpc show` prints it."""
    places = places_of(report)
    if not places:
        return {}
    try:
        frames, programs = needed(tables, places)
        book = Pages(tables, reread(tables.decoded, frames, programs=programs))
        return {place: "\n".join(book.page(place, plain)) for place in places}
    except (SourceError, ValueError):  # gone, or standard input
        return {}


def pictures(report: Report, tables: Sessions) -> Iterator[Picture]:
    """The ladder of the lock session that the proof is about, and who held and who waited."""
    locks = tables["locks"]
    if not len(locks):
        return
    session = session_of(report, tables)
    plots = Plots(tables)
    try:
        charts = [plots.ladder(session, dark=dark) for dark in (False, True)]
        yield Picture("Messages of the lock", *(chart.to_svg() for chart in charts))
        if len(locks) > MOST_SESSIONS:
            yield Picture("Locks over time", "", "", f"{count(len(locks), 'lock session')}: too many for this page.")
            return
        charts = [plots.locks(dark=dark) for dark in (False, True)]
        yield Picture("Locks over time", *(chart.to_svg() for chart in charts))
    except MissingExtraError:
        scene, arrows, title, subtitle = ladder.scene_of(by_one_clock(tables), session)
        rows = ladder.rows(scene, arrows)
        table = columns(rows, (True, False, False, False)) if rows else []
        yield Picture("Messages of the lock", "", "", "\n".join([title, subtitle, "", *table]))


def session_of(report: Report, tables: Sessions) -> int | None:
    """The lock session to which a frame of the gravest fault's proof belongs; None where there is none."""
    calls = tables["calls"]
    for capture, frame in places_of(report):
        rows = calls.where(
            (calls["capture"] == capture) & ((calls["call_frame"] == frame) | (calls["reply_frame"] == frame))
        )
        for exchange in rows["exchange"].tolist():
            session = tables.membership.session.get(exchange)
            if session is not None:
                return session
    return None


def rules_of(report: Report) -> tuple[Check, ...]:
    """The rules of the faults that a page shows, each once."""
    shown, _ = first_of(report.faults, PAGE.causes)
    return tuple({fault.finding.rule: find(fault.finding.rule) for fault in shown}.values())
