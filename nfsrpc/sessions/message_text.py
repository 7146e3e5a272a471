"""The content of a call and of its reply in a few words: for a ladder, and for the explanation of a frame.

The words come from the tables that have more of an exchange than its procedure: lock sessions, registrations, monitors.
Of other programs there is the name of the procedure and its status.
"""

from __future__ import annotations

from functools import cached_property
from typing import Any

from nfsrpc.protocols import program_name, status_name
from nfsrpc.protocols.numbers import AcceptStat, Prog
from nfsrpc.sessions import Sessions
from nfsrpc.sessions.ranges import is_to_the_end
from nfsrpc.sessions.status_names import NLM4_LOCK, rpc_status_name
from nfsrpc.tables import Monitors, Registrations

# What people call the programs that the portmapper is asked for, where it is not the name of the protocol.
RPCINFO_NAMES: dict[int, str] = {Prog.NSM: "status", Prog.NLM: "nlockmgr"}
# The result that a _RES call carries as its argument, where the table of lock sessions has it.
STATUS_COLUMNS = {
    "LOCK_RES": "status",
    "CANCEL_RES": "cancel_status",
    "UNLOCK_RES": "unlock_status",
    "GRANTED_RES": "callback_status",
}


class Messages:
    """Words about the exchanges of some tables; an exchange is a row of calls."""

    def __init__(self, tables: Sessions) -> None:
        self.tables = tables

    @cached_property
    def _registrations(self) -> dict[int, list[Any]]:
        return by_exchange(self.tables["registrations"])

    @cached_property
    def _monitors(self) -> dict[int, list[Any]]:
        return by_exchange(self.tables["monitors"])

    def session(self, exchange: int) -> Any:
        """The lock session that an exchange belongs to, or None."""
        row = self.tables.membership.session.get(exchange)
        return None if row is None else self.tables["locks"].row(row)

    def subject(self, call: Any) -> str:
        """The subject of a call: a range, a program, a host; empty where the procedure has none."""
        for row in self._registrations.get(call.exchange, ()):
            return "" if row.source == "DUMP" or row.prog is None else registration(row)
        for row in self._monitors.get(call.exchange, ()):
            return row.mon_name or ""
        session = self.session(call.exchange)
        if session is None:
            return ""
        if call.procedure in STATUS_COLUMNS:
            status = getattr(session, STATUS_COLUMNS[call.procedure])
            return "" if status is None else status_name(*NLM4_LOCK, status)
        span = byte_range(session.l_offset, session.l_len)
        if session.exclusive is None or call.procedure.startswith(("UNLOCK", "CANCEL")):
            return span
        return f"{'exclusive' if session.exclusive else 'shared'}, {span}"

    def result(self, call: Any) -> str:
        """The result in the first reply; empty for none, and for one without a result."""
        if call.reply_frame is None:
            return ""
        if call.rpc_status not in (None, AcceptStat.SUCCESS):
            return rpc_status_name(call.rpc_status)
        answers = self._registrations.get(call.exchange, ())
        if len(answers) == 1 and answers[0].source != "DUMP" and answers[0].port is not None:
            return f"port {answers[0].port}" if answers[0].port else "not registered"
        if answers:
            return f"{len(answers)} registrations"
        if call.status is None:
            return ""
        return status_name(call.prog, call.vers, call.proc, call.status)


def by_exchange(table: Monitors | Registrations) -> dict[int, list[Any]]:
    rows: dict[int, list[Any]] = {}
    for row in table.rows():
        rows.setdefault(row.exchange, []).append(row)
    return rows


def registration(row: Any) -> str:
    over = row.netid or row.transport
    return f"{rpcinfo_name(row.prog, row.vers)}, {over}" if over else rpcinfo_name(row.prog, row.vers)


def rpcinfo_name(prog: int, vers: int | None) -> str:
    """The name of a program as in rpcinfo.

    >>> rpcinfo_name(100024, 1), rpcinfo_name(100003, 3), rpcinfo_name(4711, 1)
    ('status (100024)', 'nfs (100003)', '4711')
    """
    name = RPCINFO_NAMES.get(prog) or program_name(prog, vers or 0)
    return name if name == str(prog) else f"{name} ({prog})"


def byte_range(offset: int | None, length: int | None) -> str:
    """
    >>> byte_range(0, 0), byte_range(50, 10), byte_range(7, 1), byte_range(8, 0), byte_range(0, 2**64 - 1)
    ('whole file', 'bytes 50–59', 'byte 7', 'from byte 8', 'whole file')
    """
    start = offset or 0
    if is_to_the_end(start, length or 0):
        return f"from byte {start}" if start else "whole file"
    last = start + (length or 0) - 1
    return f"byte {start}" if last == start else f"bytes {start}–{last}"
