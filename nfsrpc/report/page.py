"""One page per frame: what it is in words, then every field of the messages that are complete in it.

The words, partners and lock sessions are those of frame.py; the fields are read from the message itself (tree.py).
"""

from __future__ import annotations

import sys
from collections.abc import Iterator, Mapping
from dataclasses import replace

import numpy as np

from nfsrpc.columns import Array, Table
from nfsrpc.printable import clean
from nfsrpc.protocols import PROTOCOLS, Program
from nfsrpc.protocols.numbers import AuthFlavor
from nfsrpc.raw import Message, Raw
from nfsrpc.report.frame import explain
from nfsrpc.report.meanings import NameOfFile
from nfsrpc.report.terminal import Paint, wrap
from nfsrpc.report.tree import INDENT, Body, Field, declared, lines, tree
from nfsrpc.sessions import Sessions
from nfsrpc.sessions.nlm import GRANT, STEPS
from nfsrpc.sessions.paths import short_handle
from nfsrpc.tables import Calls
from nfsrpc.wording import timestamp

Place = tuple[int, int]  # capture, frame


def rows_of(tables: Mapping[str, Table], places: list[Place]) -> Array:
    """The rows of calls of which a message is complete in one of these frames."""
    calls, copies = tables["calls"], tables["copies"]
    found = np.zeros(len(calls), dtype=np.bool_)
    for capture, frame in places:
        found |= (calls["call_frame"] == frame) & (calls["capture"] == capture)
        found |= (calls["reply_frame"] == frame) & (calls["reply_capture"] == capture)
        again = copies["exchange"][(copies["frame"] == frame) & (copies["capture"] == capture)]
        found |= np.isin(calls["exchange"], again)
    return np.flatnonzero(found)


def needed(tables: Mapping[str, Table], places: list[Place]) -> tuple[list[Place], list[Program]]:
    """The frames to be read again for these, and the programs of their messages.

    How RPCSEC_GSS wraps a reply is known from the credential of its call.
    """
    calls = tables["calls"].take(rows_of(tables, places))
    wrapped = calls.where((calls["flavor"] == AuthFlavor.RPCSEC_GSS) & calls.valid("call_frame"))
    asked = zip(wrapped["capture"].tolist(), wrapped["call_frame"].tolist(), strict=True)
    kinds = set(zip(*(calls[name].tolist() for name in ("prog", "vers", "proc")), strict=True))
    programs = [
        replace(program, procedures=tuple(each for each in program.procedures if (*version, each.number) in kinds))
        for program in PROTOCOLS
        if (version := (program.number, program.version)) in {kind[:2] for kind in kinds}
    ]
    return sorted({*places, *asked}), programs


class Pages:
    """Pages of a trace's frames, of which the raw messages are at hand."""

    def __init__(self, tables: Sessions, raw: Raw) -> None:
        self.tables = tables
        self.calls = tables["calls"]
        self.messages: dict[Place, list[Message]] = {}
        self.calls_seen: dict[int, Message] = {}  # the first call of each exchange
        for message in raw.messages:
            self.messages.setdefault((message.capture, message.frame), []).append(message)
            if not message.reply:
                self.calls_seen.setdefault(message.exchange, message)
        self.times = {(frame.capture, frame.frame): frame.time for frame in raw.frames}
        self.membership = tables.membership

    def page(self, place: Place, paint: Paint, width: int = sys.maxsize) -> Iterator[str]:
        """The page of a frame, sentences in lines of this width. Raises ValueError for a frame that is not there."""
        capture, frame = place
        explanation = explain(self.tables, frame, capture)
        head, *says = str(explanation).splitlines()
        yield f"{paint('heading', clean(head))}, {timestamp(self.times.get(place)) or 'without a time'}"
        for sentence in says:
            for number, line in enumerate(wrap(sentence, width - len(2 * INDENT))):
                yield f"{INDENT * (2 if number else 1)}{line}"
        for message in self.messages.get(place, ()):
            yield ""
            yield from lines(self.fields(message), paint, INDENT)

    def fields(self, message: Message) -> list[Field]:
        row = int(np.flatnonzero(self.calls["exchange"] == message.exchange)[0])
        answers = self.answered(message.exchange, self.calls.row(row)) if message.reply else None
        return tree(message.bytes, message.length, self.name_of_file(row), answers).fields

    def answered(self, exchange: int, call: Calls.Row) -> Body:
        """The type of the body of a reply to this call."""
        if call.flavor == AuthFlavor.RPCSEC_GSS and exchange in self.calls_seen:
            message = self.calls_seen[exchange]
            return tree(message.bytes, message.length, short_handle).body
        return declared(call.prog, call.vers, call.proc)

    def name_of_file(self, row: int) -> NameOfFile:
        """A function from handles to files of an exchange's server, which in a callback is the caller."""
        back = STEPS.get(self.calls["procedure"][row : row + 1].tolist()[0] or "") == GRANT
        side = self.calls["client" if back else "server"]
        named = self.tables.paths.at(int(side.codes[row]), int(self.calls["time"][row]))
        return lambda handle: named(handle) or short_handle(handle)
