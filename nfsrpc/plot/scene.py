"""The messages of one lock session as arrows between hosts, with those that decide its course.

These are the requests between its hosts to port mappers and statds meanwhile, connections that were refused or not
answered, and the session that held a conflicting lock. Unchanged repetitions are one arrow with a number. Without a
session it is all traffic about locks.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, NamedTuple

import numpy as np

from nfsrpc.columns import NAT, Array, Mask
from nfsrpc.protocols import status_name
from nfsrpc.protocols.numbers import Prog
from nfsrpc.sessions import Sessions
from nfsrpc.sessions.lock_states import PENDING
from nfsrpc.sessions.message_text import Messages, rpcinfo_name
from nfsrpc.tables import LOCK_STATES, Flows, Locks
from nfsrpc.wording import SECOND, count, duration

LEAD = SECOND  # lookups so long before the session may belong to it
# A client without statd asks its own portmapper for a minute before it sends its first LOCK.
OWN_LEAD = 70 * SECOND
MOST_ARROWS = 64
MOST_CALLS = 1000
MOST_HOSTS = 5

CALL, REPLY, AGAIN, FAILED = "call", "reply", "again", "failed"
FINE = {"", "GRANTED", "BLOCKED", "STAT_SUCC", "OK"}  # other answers are red


class Arrow(NamedTuple):
    """A message, or several equal ones."""

    time: int  # 0 in captures that have none
    frame: int | None
    source: str
    target: str  # the source itself for a request over its loopback, with its reply
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


class Activity(NamedTuple):
    """The time in which a host waits or holds; `end` is None if it lasts to the end of the capture."""

    host: str
    what: str
    begin: int
    end: int | None


def longest_wait(locks: Locks) -> int | None:
    """The session with the longest wait."""
    if not len(locks):
        return None
    return int(np.argmax(np.nan_to_num(locks["wait_s"], nan=-1.0)))


class Scene:
    """The hosts, the time and the messages to draw: of a session, or without one of all traffic about locks."""

    def __init__(self, tables: Sessions, session: int | None) -> None:
        self.tables, self.membership = tables, tables.membership
        self.messages = Messages(tables)
        self.session: Any = None if session is None else tables["locks"].row(session)
        self.exchanges = set(self.membership.exchanges.get(-1 if session is None else session, ()))
        found = self.session is not None
        self.hosts, self.begin, self.end = self._of_session() if found else self._of_all()
        self.asker = self.hosts[0] if self.hosts else ""
        self.own_begin = self._own_begin() if found else self.begin

    def _of_session(self) -> tuple[list[str], int, int]:
        session = self.session
        hosts = [session.client, session.server]
        if session.held_by is not None:
            self.exchanges |= set(self.membership.exchanges.get(session.held_by, ()))
            hosts.append(self.tables["locks"].row(session.held_by).client)
        begin = (session.requested or session.time or 0) - LEAD
        return list(dict.fromkeys(hosts)), begin, self._end_of(session)

    def _end_of(self, session: Any) -> int:
        """The time of a session's last event; of one that still waits, the end of the captures."""
        if session.state in {LOCK_STATES[state] for state in PENDING}:
            return extent_end(self.tables)
        events = ("granted", "denied", "cancelled", "unlock", "released", "late_granted")
        times: list[int | None] = [session.time, *(getattr(session, event) for event in events)]
        return max((time for time in times if time is not None), default=0)

    def _of_all(self) -> tuple[list[str], int, int]:
        calls = self.tables["calls"]
        about_locks = calls["prog"] == Prog.NLM
        self.exchanges = set(calls["exchange"][about_locks][:MOST_CALLS].tolist())
        registrations, flows = self.tables["registrations"], self.tables["flows"]
        about = (registrations["prog"] == Prog.NLM) | (registrations["prog"] == Prog.NSM)
        hosts = [*registrations.where(about)["asker"].tolist(), *registrations.where(about)["host"].tolist()]
        hosts += [*calls.where(about_locks)["client"].tolist(), *calls.where(about_locks)["server"].tolist()]
        first = int(flows["first"].min()) if len(flows) else 0
        return list(dict.fromkeys(filter(None, hosts)))[:MOST_HOSTS], first, extent_end(self.tables)

    def _own_begin(self) -> int:
        """The time from which the client's requests to its own statd belong to this session: its request before."""
        calls, asked = self.tables["calls"], self.begin + LEAD
        before = (calls["client"] == self.session.client) & (calls["prog"] == Prog.NLM) & (calls["time"] < asked)
        return int(max(asked - OWN_LEAD, calls["time"][before].max(initial=0)))

    def arrows(self) -> list[Arrow]:
        found = sorted([*self.of_calls(), *self.of_copies(), *self.of_connections()], key=lambda arrow: arrow.time)
        return shortened(without_repetition(without_repetition(found, 2), 1))

    def spans(self) -> list[Activity]:
        """The wait and the hold of the session, and the hold of the session in its way."""
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
        """The names and the roles of a host."""
        hosts = self.tables["hosts"]
        for row in hosts.where(hosts["host"] == host).rows():
            return ", ".join(row.names), ", ".join(row.roles)
        return "", ""

    def near(self, times: Array) -> Mask:
        mask: Mask = (times >= self.begin) & (times <= self.end)
        return mask

    def of_session_time(self, times: Array, own: Mask) -> Mask:
        """Which times are within the session's, which begins earlier for the client's own loopback (`own`)."""
        return self.near(times) | (own & (times >= self.own_begin) & (times <= self.end))

    def calls(self) -> Iterator[Any]:
        calls = self.tables["calls"]
        numbers = [*self.exchanges, *self.lookups("registrations"), *self.lookups("monitors")]
        wanted = np.isin(calls["exchange"], numbers) & ~calls.valid("duplicate_of")
        return calls.where(wanted).rows()

    def lookups(self, name: str) -> list[int]:
        """The exchanges in a table (registrations, monitors) between the hosts, about lock manager and statd."""
        table = self.tables[name]
        wanted = table["asker"].isin(self.hosts) & table["host"].isin(self.hosts)
        wanted &= self.of_session_time(table["time"], table["loopback"] & (table["asker"] == self.asker))
        if name == "registrations":
            wanted &= (table["prog"] == Prog.NLM) | (table["prog"] == Prog.NSM)
        numbers: list[int] = table["exchange"][wanted].tolist()
        return numbers

    def of_calls(self) -> Iterator[Arrow]:
        for call in self.calls():
            yield from (self.of_itself if call.client == call.server else self.there_and_back)(call)

    def of_itself(self, call: Any) -> Iterator[Arrow]:
        """The arrow of a request over a host's own loopback, with its reply."""
        answer = self.messages.result(call) or ("no answer" if call.state == "unanswered" else "answered")
        text = f"{self.question(call)}: {answer}"
        yield Arrow(call.time or 0, call.call_frame, call.client, call.client, text, CALL, self.is_bad(call))

    def there_and_back(self, call: Any) -> Iterator[Arrow]:
        silent = call.state == "unanswered"
        text = self.question(call) + (": no answer" if silent else "")
        yield Arrow(call.time or 0, call.call_frame, call.client, call.server, text, CALL, silent)
        if call.reply_frame is not None:
            late = f", {duration(call.latency_s)} later" if call.latency_s and call.latency_s >= 1 else ""
            text = (self.messages.result(call) or f"{call.procedure or 'RPC'} reply") + late
            time = call.reply_time or 0
            yield Arrow(time, call.reply_frame, call.server, call.client, text, REPLY, self.is_bad(call))

    def question(self, call: Any) -> str:
        about = self.messages.subject(call) or (f"of {call.program}" if call.procedure == "NULL" else "")
        return f"{call.procedure or 'RPC'} {about}".strip()

    def is_bad(self, call: Any) -> bool:
        result = self.messages.result(call)
        return call.state == "unanswered" or not (result in FINE or result.startswith("port"))

    def of_copies(self) -> Iterator[Arrow]:
        """Arrows of retransmissions, and of further replies with another status than the first."""
        calls, copies = self.tables["calls"], self.tables["copies"]
        near = np.isin(copies["exchange"], list(self.exchanges)) & self.near(copies["time"])
        for copy in copies.where(near).rows():
            (row,) = np.flatnonzero(calls["exchange"] == copy.exchange)[:1]
            call = calls.row(int(row))
            if not copy.reply:
                text = f"{call.procedure} again, after {duration(copy.after_s)}"
                yield Arrow(copy.time, copy.frame, call.client, call.server, text, AGAIN)
            elif copy.status is not None and copy.status != call.status:
                status = status_name(call.prog, call.vers, call.proc, copy.status)
                text = f"{status}, one more reply to {call.procedure}"
                yield Arrow(copy.time, copy.frame, call.server, call.client, text, REPLY, True)

    def of_connections(self) -> Iterator[Arrow]:
        """Arrows of connections between the hosts that failed."""
        flows = self.tables["flows"]
        failed = (flows["syn_time"] != NAT) & (flows["synack"] == 0)
        failed &= self.of_session_time(flows["syn_time"], flows["loopback"] & (flows["client"] == self.asker))
        for flow in flows.where(failed & ~flows.valid("duplicate_of")).rows():
            if flow.client in self.hosts and flow.server in self.hosts:
                what = f"connection to {service(flow)}"
                answer = "refused" if flow.rst_frame else f"no answer to {count(flow.syn, 'SYN')}"
                yield Arrow(
                    flow.syn_time or 0, flow.syn_frame, flow.client, flow.server, f"{what}: {answer}", FAILED, True
                )


def spans_of(session: Any) -> Iterator[Activity]:
    if session is None:
        return
    if session.requested is not None:
        ends = (session.granted, session.cancelled, session.denied)
        yield Activity(session.client, "waits", session.requested, next((end for end in ends if end is not None), None))
    if session.granted is not None:
        yield Activity(session.client, "holds", session.granted, session.released)


def service(flow: Flows.Row) -> str:
    known = rpcinfo_name(flow.prog, None).partition(" ")[0] if flow.prog is not None else ""
    return f"{known} port {flow.server_port}".strip()


def extent_end(tables: Sessions) -> int:
    last = tables["captures"]["last"]
    return int(last.max()) if len(last) else 0


def without_repetition(arrows: list[Arrow], length: int) -> list[Arrow]:
    """Arrows in which unchanged repetitions of a group of `length` arrows are one group with a number."""
    found: list[Arrow] = []
    for arrow in arrows:
        found.append(arrow)
        before, latest = found[-2 * length : -length], found[-length:]
        whole = len(before) == length and (length == 1 or latest[0].kind == CALL)
        if whole and [one.alike for one in before] == [one.alike for one in latest]:
            found[-2 * length :] = [one.and_more(other) for one, other in zip(before, latest, strict=True)]
    return found


def shortened(arrows: list[Arrow]) -> list[Arrow]:
    """The arrows; of too many the first and the last."""
    half = MOST_ARROWS // 2
    return arrows if len(arrows) <= MOST_ARROWS else [*arrows[:half], *arrows[-half:]]
