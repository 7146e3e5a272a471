"""What findings show as evidence, with its gaps explained by the timers of kernels and daemons that made them.

A frame of evidence may be a retransmitted call, a late reply, a SYN or a retried lock request: its note says when, and
which timer that is where one fits (nfsrpc/sessions/timers.py). A timer is named only for the message and the sender
that have it: SM_NOTIFY is sent by sm-notify, SM_MON by lockd; only LOCK makes a server ask its statd, and while it
does it answers no other lock request. Only frames of evidence are looked at.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import replace
from typing import TypeAlias

import numpy as np

from nfsrpc.columns import NAT, Array, Mask, Table, isin, median
from nfsrpc.decode import rows_of
from nfsrpc.facts.inputs import Inputs
from nfsrpc.findings.finding import Evidence, Finding
from nfsrpc.protocols.numbers import SYNCHRONOUS, Nlm4Stats, NlmProc, Prog
from nfsrpc.sessions.grouping import Parts, members
from nfsrpc.sessions.searches import searches
from nfsrpc.sessions.stretches import Stretches
from nfsrpc.sessions.timers import BEHIND, SEARCHES, Kind, Timer, in_words, is_back_off, timer_of
from nfsrpc.tables import Calls, Registrations
from nfsrpc.wording import SECOND, several

Frame: TypeAlias = tuple[int, int]  # capture and number
Note: TypeAlias = tuple[tuple[int, int | None], str]  # on a frame that may not have been captured

LATE_S = 5.0
BEHIND_S = 1.0  # so soon after a denial comes the answer to what waited behind it
AT_ONCE_S = 0.1
ASKED = ("prog", "vers", "host", "asker")
MANY = 1000  # gaps of which the median is taken
ASKED_S = (1.0, 15.0)  # gaps of one search; after any other gap the query is for another lock
NOTIFY = "SM_NOTIFY"
MARGIN_S = 1.0  # of the beginning and the end of a wait: what is answered there may have been answered before or after
# Questions of lockd for its own statd while it serves a LOCK: fewer are no search.
SEARCH = 10


def fingerprinted(findings: Sequence[Finding], inputs: Inputs) -> list[Finding]:
    """The findings, with what is known of the gaps at the frames of their evidence."""
    frames = {(proof.capture, proof.frame) for finding in findings for proof in finding.evidence}
    if not frames:
        return list(findings)
    notes: dict[tuple[int, int | None], str] = {}
    for source in SOURCES:
        for frame, note in source(inputs, frames):
            notes.setdefault(frame, note)
    return [replace(finding, evidence=tuple(noted(finding.evidence, notes))) for finding in findings]


def noted(evidence: Iterable[Evidence], notes: Mapping[tuple[int, int | None], str]) -> Iterator[Evidence]:
    for proof in evidence:
        note = notes.get((proof.capture, proof.frame))
        yield proof._replace(note=f"{proof.note}{note}") if note else proof


def among(table: Table, capture: str, frame: str, frames: Iterable[Frame]) -> Mask:
    """A mask of the rows whose frame is one of these."""
    keys = np.array([number << 32 | one for number, one in frames], dtype=np.uint64)
    mask: Mask = isin(table[capture].astype(np.uint64) << np.uint64(32) | table[frame].astype(np.uint64), keys)
    return mask


def resends(inputs: Inputs, frames: set[Frame]) -> Iterator[Note]:
    """Notes on retransmitted calls; on another connection after TCP gave up the first one."""
    again = inputs.calls.where(inputs.calls["retransmits"] > 0)
    again, copies = again.where(among(again, "capture", "call_frame", frames)), inputs.copies
    copied = Parts(copies.where(~copies["reply"] & isin(copies["exchange"], again["exchange"])), "exchange")
    asked = inputs.registrations
    asked = asked.where((asked["prog"] == Prog.NSM) & among(asked, "capture", "frame", frames))
    statds = {(row.capture, row.frame) for row in asked.rows() if row.host != row.asker}
    unheard = unacknowledged(inputs.flows, again["flow"])
    for row in again.rows():
        resent = copied[row.exchange]
        waits = [wait for wait in resent.values("after_s") if wait is not None]
        kind = "notice" if (row.capture, row.call_frame) in statds else retransmission_kind(row)
        by_tcp = unheard.meet(row.flow, row.time, row.time)
        if not waits:
            continue
        given_up = timer_of("reconnect", waits[0])
        if row.flow not in resent["flow"] and (by_tcp or given_up):
            how = f"on a new connection after {in_words('reconnect' if given_up else kind, waits[:1])}"
        else:
            how = f"retransmitted {'by TCP, by RPC ' if by_tcp else ''}after {in_words(kind, waits)}"
        yield (row.capture, row.call_frame), f", {how}"


def unacknowledged(flows: Table, numbers: Array) -> Stretches:
    """When TCP retransmitted segments of clients without an ACK, by connection."""
    rows = flows.where(isin(flows["flow"], numbers) & (flows["c_unheard"] > 0))
    return Stretches((rows["flow"],), rows["c_unheard_first"], rows["c_unheard_last"])


def retransmission_kind(call: Calls.Row) -> Kind | None:
    """The kind of timer by which a call is retransmitted: a client's RPC timer, or that of sm-notify.

    sm-notify also looks for the statd of the host that it notifies; lockd only ever looks for its own.
    """
    if call.prog == Prog.NLM and call.proc in SYNCHRONOUS:
        return "resend"
    if call.prog == Prog.NSM and call.procedure == NOTIFY and call.client != call.server:
        return "notice"
    return None


def answers(inputs: Inputs, frames: set[Frame]) -> Iterator[Note]:
    """Notes on late replies that fit a timer of the server."""
    calls = inputs.calls.where(inputs.calls["prog"] == Prog.NLM)
    with np.errstate(invalid="ignore"):
        late = calls.where((calls["latency_s"] >= LATE_S) & calls.valid("reply_capture"))
    late_here = late.where(among(late, "reply_capture", "reply_frame", frames))
    if not len(late_here):
        return
    rows = late.where(late["status"] == Nlm4Stats.DENIED_NOLOCKS)
    denied = Stretches((rows["server"],), rows["reply_time"])
    served = Stretches((calls["server"],), calls["reply_time"])
    for row in late_here.rows():
        behind = behind_denial(row, denied)
        timer = timer_of("refusal" if behind else "answer", row.latency_s or 0.0)
        has_it = row.proc == NlmProc.LOCK or behind or (timer and timer.name == BEHIND)
        alone = timer and (timer.name == BEHIND or not serves_others(row, served))
        if timer and has_it and alone and not refuted(row, timer, inputs):
            yield (row.reply_capture, row.reply_frame), f": {timer.meaning}"


def behind_denial(row: Calls.Row, denied: Stretches) -> bool:
    """Whether this, or what the server's lockd did just before, was denied for lack of statd."""
    replied = row.reply_time or 0
    return denied.meet(row.server, replied - BEHIND_S * SECOND + 1, replied)


def serves_others(row: Calls.Row, served: Stretches) -> bool:
    """Whether the server answered other lock requests meanwhile: lockd does not while it waits for its statd."""
    margin = round(MARGIN_S * SECOND)
    return served.meet(row.server, row.time + margin, (row.reply_time or 0) - margin)


def refuted(row: Calls.Row, timer: Timer, inputs: Inputs) -> bool:
    """Whether the server's loopback was captured and shows no search for statd during the wait."""
    if timer.name != SEARCHES or row.server not in inputs.loopbacks:
        return False
    asked = inputs.registrations
    own = (asked["prog"] == Prog.NSM) & (asked["host"] == row.server) & (asked["port"] == 0) & asked.valid("time")
    during = own & (asked["time"] >= row.time) & (asked["time"] <= row.reply_time)
    return bool(during.sum() < SEARCH)


def connections(inputs: Inputs, frames: set[Frame]) -> Iterator[Note]:
    """Notes on retransmitted SYNs, of which the first and the last are known."""
    tried = inputs.flows.where(inputs.flows["syn"] > 1)
    for row in tried.where(among(tried, "capture", "syn_frame", frames)).rows():
        lasted = ((row.syn_last or 0) - (row.syn_time or 0)) / SECOND
        kind: Kind | None = "syn" if is_back_off(row.syn - 1, lasted) else None
        yield (row.capture, row.syn_frame), f", {row.syn - 1} more in {in_words(kind, [lasted])}"


def waiting(inputs: Inputs, frames: set[Frame]) -> Iterator[Note]:
    """Notes on lock requests that were retried with another xid, blocked or in the grace period."""
    locks, calls = inputs.locks, inputs.calls
    again = locks.where(((locks["polls"] > 0) | (locks["grace"] > 1)) & locks.valid("requested_frame"))
    again = again.where(among(again, "requested_capture", "requested_frame", frames))
    lasts = np.append(calls["time"], NAT)[rows_of(calls["exchange"], again["last_exchange"])].tolist()
    for row, last in zip(again.rows(), lasts, strict=True):
        polls = row.polls or row.grace - 1
        if row.requested is not None and last > row.requested:
            gap = (last - row.requested) / SECOND / polls
            kind: Kind | None = "grace" if row.grace > 1 else "poll" if row.blocked is not None else None
            rhythm = f", every {in_words(kind, [gap])}" if gap >= AT_ONCE_S else " without a pause"
            note = f", retried {several(polls, 'time')}{rhythm}"
            yield (row.requested_capture, row.requested_frame), note


def questions(inputs: Inputs, frames: set[Frame]) -> Iterator[Note]:
    """Notes on repeated queries for a program that is not registered."""
    asked: Registrations = inputs.registrations
    refused = asked.where((asked["port"] == 0) & asked.valid("frame") & asked.valid("time"))
    rounds = dict(by_search(refused))
    for row in refused.where(among(refused, "capture", "frame", frames)).rows():
        number, of, typical = rounds[row.exchange].place(row.time) if row.exchange in rounds else (1, 1, 0.0)
        if of - number > 1:
            kind: Kind | None = (
                "ask" if row.prog == Prog.NLM or (row.prog == Prog.NSM and row.asker == row.host) else None
            )
            yield (row.capture, row.frame), f", query {number} of {of} in a row, one every {in_words(kind, [typical])}"


def by_search(refused: Registrations) -> Iterator[tuple[int, Rounds]]:
    """Pairs of an exchange and the queries of its search."""
    for part in Parts(refused, *ASKED).values():
        order = np.argsort(part["time"], kind="stable")
        times, exchanges = part["time"][order], part["exchange"][order]
        number = searches(times)
        for rows in members(number):
            yield from dict.fromkeys(exchanges[rows].tolist(), Rounds(times[rows])).items()


class Rounds:
    """The times of repeated queries; a longer gap separates those for one lock from those for the next."""

    def __init__(self, times: Array) -> None:
        self.times = np.sort(times)
        self.gaps = np.diff(self.times) / SECOND
        # The last query of each round.
        self.ends = np.append(np.flatnonzero((self.gaps < ASKED_S[0]) | (self.gaps > ASKED_S[1])), len(self.gaps))

    def place(self, time: int) -> tuple[int, int, float]:
        """The number of the query at a time, of how many of its round, and the typical gap after it in seconds."""
        at = int(np.searchsorted(self.times, time))
        own = int(np.searchsorted(self.ends, at))
        begin, end = int(self.ends[own - 1]) + 1 if own else 0, int(self.ends[own])
        typical = float(median(self.gaps[at : min(end, at + MANY)])) if end > at else 0.0
        return at - begin + 1, end - begin + 1, typical


def callbacks(inputs: Inputs, frames: set[Frame]) -> Iterator[Note]:
    """Notes on repeated grant callbacks."""
    locks, calls = inputs.locks, inputs.calls
    repeated = locks.where((locks["callbacks"] > 1) & locks.valid("callback_frame"))
    repeated = repeated.where(among(repeated, "callback_capture", "callback_frame", frames))
    back = calls.where(calls["prog"] == Prog.NLM) if len(repeated) else calls.take(np.zeros(0, dtype=np.int64))
    times = Stretches((back["client"], back["server"]), back["time"])
    for row in repeated.rows():
        called = row.callback or 0
        later = times.following((row.server, row.client), called)
        waits = [(later - called) / SECOND] if later is not None else []
        if timer_of("grant", *waits):
            yield (row.callback_capture, row.callback_frame), f", repeated after {in_words('grant', waits)}"


SOURCES = (resends, answers, connections, waiting, questions, callbacks)
