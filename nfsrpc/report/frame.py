"""One frame in words: the messages that are complete in it, their partners, the lock session they belong to.

It is looked up in the tables, so it is limited to what they hold. Of a frame in which no message is complete (part of a
long record, an acknowledgement, what is no RPC) it says just that.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np

from nfsrpc.columns import Array, Table
from nfsrpc.markup import bold, cell, heading, listing, text
from nfsrpc.printable import clean
from nfsrpc.sessions import Sessions
from nfsrpc.sessions.message_text import Messages, rpcinfo_name
from nfsrpc.tables import Calls, Copies, Flows, Locks
from nfsrpc.wording import duration


@dataclass(frozen=True, repr=False)
class Explanation:
    """`str()` is the text; `partners` are the other frames of its exchanges, `sessions` rows of locks."""

    file: str
    capture: int
    frame: int
    says: tuple[str, ...]
    partners: tuple[int, ...] = ()
    sessions: tuple[int, ...] = ()

    def __str__(self) -> str:
        return "\n".join(map(clean, (f"Frame {self.frame} of {self.file}", *(f"  {line}" for line in self.says))))

    __repr__ = __str__

    def _repr_html_(self) -> str:
        return cell(heading(bold(f"Frame {self.frame}"), f"of {text(self.file)}"), listing(self.says))


def explain(tables: Sessions, frame: int, capture: int = 0) -> Explanation:
    """The explanation of a frame. Raises ValueError for a frame, or a file, that does not exist."""
    captures = tables["captures"]
    if not 0 <= capture < len(captures):
        raise ValueError(f"no capture {capture}: there are {len(captures)}, counted from 0")
    facts = captures.row(capture)
    if not 1 <= frame <= facts.frames:
        raise ValueError(f"no frame {frame} in {facts.file}: it has {facts.frames}, counted from 1")
    return FrameContents(tables, capture, frame).explanation(facts.file)


class FrameContents:
    """The rows of the tables that refer to one frame, in words."""

    def __init__(self, tables: Sessions, capture: int, frame: int) -> None:
        self.tables, self.capture, self.frame = tables, capture, frame
        self.messages = Messages(tables)
        self.partners: dict[int, None] = {}
        self.sessions: dict[int, None] = {}

    def explanation(self, file: str) -> Explanation:
        says = [*self.calls(), *self.replies(), *self.copies(), *self.connections(), *self.oddities()]
        if not says:
            says = ["No RPC message is complete in it: a part of one, an acknowledgement, or no RPC at all."]
        for session in self.sessions:
            says.append(f"Lock session {session}: {lock_session_in_words(self.tables['locks'].row(session))}")
        return Explanation(file, self.capture, self.frame, tuple(says), tuple(self.partners), tuple(self.sessions))

    def here(self, table: Table, frame: str, capture: str = "capture") -> Array:
        return np.flatnonzero((table[frame] == self.frame) & (table[capture] == self.capture))

    def belongs(self, exchange: int, *partners: int | None) -> None:
        for partner in partners:
            if partner is not None and partner != self.frame:
                self.partners[partner] = None
        session = self.tables.membership.session.get(exchange)
        if session is not None:
            self.sessions[session] = None

    # Messages

    def calls(self) -> Iterator[str]:
        calls = self.tables["calls"]
        for call in calls.take(self.here(calls, "call_frame")).rows():
            copies = [copy for copy in self.copies_of(call.exchange) if not copy.reply]
            self.belongs(call.exchange, call.reply_frame, *(copy.frame for copy in copies))
            subject = self.messages.subject(call)
            yield f"{name_of(call)} call {between(call)}, xid 0x{call.xid:08x}" + (f": {subject}" if subject else "")
            if copies:
                again = ", ".join(f"{copy.frame} ({duration(copy.after_s)} later)" for copy in copies)
                yield f"retransmitted in frame {again}"
            yield self.fate(call)

    def fate(self, call: Calls.Row) -> str:
        if call.state == "answered":
            result = self.result_of(call)
            return f"answered in frame {call.reply_frame} after {duration(call.latency_s)}{result}"
        if call.state == "unanswered":
            return "not answered"
        return "the capture cannot tell whether it was answered"

    def result_of(self, call: Calls.Row) -> str:
        result = self.messages.result(call)
        return f": {result}" if result else ""

    def replies(self) -> Iterator[str]:
        calls = self.tables["calls"]
        for call in calls.take(self.here(calls, "reply_frame", "reply_capture")).rows():
            self.belongs(call.exchange, call.call_frame)
            result = self.result_of(call)
            if call.state == "orphan":
                yield f"a reply {backwards(call)}, xid 0x{call.xid:08x}, to a call that is not in the capture"
                continue
            late = f", {duration(call.latency_s)} later"
            yield f"{name_of(call)} reply {backwards(call)} to the call in frame {call.call_frame}{late}{result}"

    def copies(self) -> Iterator[str]:
        calls, copies = self.tables["calls"], self.tables["copies"]
        for copy in copies.take(self.here(copies, "frame")).rows():
            (row,) = np.flatnonzero(calls["exchange"] == copy.exchange)[:1]
            call = calls.row(int(row))
            self.belongs(call.exchange, call.call_frame, call.reply_frame)
            if copy.reply:
                yield f"one more {name_of(call)} reply {backwards(call)} to the call in frame {call.call_frame}"
            else:
                later = f", {duration(copy.after_s)} after it"
                yield f"{name_of(call)} call {between(call)}: retransmission of frame {call.call_frame}{later}"
                yield self.fate(call)

    def copies_of(self, exchange: int) -> list[Copies.Row]:
        copies = self.tables["copies"]
        return list(copies.where(copies["exchange"] == exchange).rows())

    # Everything else

    def connections(self) -> Iterator[str]:
        flows = self.tables["flows"]
        for flow in flows.take(self.here(flows, "syn_frame")).rows():
            self.belongs(-1, flow.synack_frame, flow.rst_frame)
            tries = f", {flow.syn} times" if flow.syn > 1 else ""
            answer = "answered" if flow.synack else "refused" if flow.rst_frame else "not answered"
            yield f"SYN {between(flow)}{for_program(flow)}{tries}: {answer}"
        for flow in flows.take(self.here(flows, "synack_frame")).rows():
            self.belongs(-1, flow.syn_frame)
            yield f"SYN-ACK {backwards(flow)}{for_program(flow)}"
        for flow in flows.take(self.here(flows, "rst_frame", "rst_capture")).rows():
            self.belongs(-1, flow.syn_frame)
            yield f"reset of the connection {between(flow)}{for_program(flow)}"
        for flow in flows.take(self.here(flows, "icmp_frame")).rows():
            yield f"ICMP unreachable about what was sent {between(flow)}{for_program(flow)}"

    def oddities(self) -> Iterator[str]:
        oddities = self.tables["oddities"]
        for row in oddities.take(self.here(oddities, "frame")).rows():
            yield f"odd: {row.kind} ({row.detail})"


def name_of(call: Calls.Row) -> str:
    return f"{call.procedure or 'RPC'} ({call.program} version {call.vers})"


def between(row: Calls.Row | Flows.Row) -> str:
    over = f"{row.transport}, loopback" if row.loopback else row.transport
    return f"of {row.client}:{row.client_port} to {row.server}:{row.server_port} ({over})"


def backwards(row: Calls.Row | Flows.Row) -> str:
    over = f"{row.transport}, loopback" if row.loopback else row.transport
    return f"of {row.server}:{row.server_port} to {row.client}:{row.client_port} ({over})"


def for_program(flow: Flows.Row) -> str:
    return f" for {rpcinfo_name(flow.prog, None)}" if flow.prog is not None else ""


def lock_session_in_words(session: Locks.Row) -> str:
    """A lock session in a sentence."""
    mode = "" if session.exclusive is None else "exclusive " if session.exclusive else "shared "
    events = (
        ("asked", session.requested_frame, None),
        ("told to wait", session.blocked_frame, None),
        ("denied", session.denied_frame, None),
        ("granted", session.granted_frame, session.wait_s),
        ("given up", session.cancelled_frame, session.wait_s),
        ("released", session.released_frame, session.hold_s),
    )
    course = [
        f"{what} in frame {frame}" + (f" after {duration(seconds)}" if seconds is not None else "")
        for what, frame, seconds in events
        if frame is not None
    ]
    state = "" if session.state in ("released", "denied", "cancelled") else f"; {session.state}"
    behind = f"; behind {session.holder}" if session.holder else ""
    return f"{mode}lock of {session.owner} at {session.client} on {session.file}: {', '.join(course)}{state}{behind}"
