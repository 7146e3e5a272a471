"""The table of calls, and of further copies of them: exchanges with names for numbers.

Its columns are put in order when they are asked for: most of a million rows' are not.
"""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from nfsrpc.columns import NAT, NULLS, Array, Coded, Mask, Source
from nfsrpc.decode import Decoded, rows_of
from nfsrpc.protocols import procedure_name, program_name
from nfsrpc.sessions.exchanges import NO_NUMBER, Exchanges, transports
from nfsrpc.sessions.grouping import group
from nfsrpc.sessions.hosts import HostsByAddress
from nfsrpc.sessions.status_names import names_of_statuses
from nfsrpc.tables import CALL_STATES, CALLS, COPIES, Calls, Copies

# Columns of a table of questions to daemons, and of which of calls they are.
OF_QUESTIONS = {
    "capture": "capture",
    "frame": "call_frame",
    "reply_capture": "reply_capture",
    "reply_frame": "reply_frame",
    "time": "time",
    "reply_time": "reply_time",
    "latency_s": "latency_s",
    "host": "server",
    "asker": "client",
    "asker_port": "client_port",
    "loopback": "loopback",
    "machine": "machine",
    "rpc_status": "rpc_status",
    "resends": "retransmits",
    "state": "state",
    "exchange": "exchange",
}


def calls(exchanges: Exchanges, hosts: HostsByAddress) -> Calls:
    decoded, raw = exchanges.decoded, exchanges.raw

    def ordered(values: Array) -> Array:
        return values if exchanges.order is None else values[exchanges.order]

    def column(name: str) -> Callable[[], Array]:
        return lambda: ordered(raw[name])

    def called(name: str) -> Callable[[], Array]:
        return lambda: ordered(exchanges.called(name))

    def replied(name: str, kind: str) -> Callable[[], Array]:
        return lambda: ordered(null_where(exchanges.replied("reply_frame") == 0, kind, exchanges.replied(name)))

    def kind(name: Callable[[int, int, int], str | None]) -> Callable[[], Coded]:
        def text() -> Coded:
            numbers = zip(*(exchanges.of_kind(part).tolist() for part in ("prog", "vers", "proc")), strict=True)
            return Coded.distinct(ordered(exchanges.kinds[0]), [name(*kind) for kind in numbers])

        return text

    derived: dict[str, Source] = {
        "capture": called("capture"),
        "time": called("time"),
        "call_frame": lambda: ordered(null_where(raw["call_frame"] == 0, "u32?", exchanges.called("call_frame"))),
        "retransmits": lambda: ordered(exchanges.retransmits),
        "reply_frame": replied("reply_frame", "u32?"),
        "reply_capture": replied("reply_capture", "u16?"),
        "reply_time": lambda: ordered(exchanges.replied("reply_time")),
        "reply_bytes": lambda: ordered(exchanges.replied("reply_bytes")),
        "rpc_status": lambda: ordered(exchanges.replied("rpc_status")),
        "latency_s": lambda: ordered(
            seconds(exchanges.called("time"), exchanges.replied("reply_time"), raw["call_frame"] != 0)
        ),
        "client": lambda: hosts.label(ordered(raw["client"])),
        "server": lambda: hosts.label(ordered(raw["server"])),
        "transport": lambda: transports(ordered(raw["transport"])),
        "program": kind(program_text),
        "procedure": kind(procedure_text),
        "status_name": lambda: names_of_statuses(
            *(ordered(raw[name]) for name in ("prog", "vers", "proc", "rpc_status", "status"))
        ),
        "state": lambda: Coded(ordered(exchanges.states), CALL_STATES),
        "machine": lambda: decoded.text(ordered(raw["machine"])),
        "loopback": lambda: ordered(hosts.is_loopback(raw["client"], raw["server"])),
        "duplicate_of": lambda: ordered(exchanges.duplicate_of),
        "vantage": lambda: ordered(exchanges.vantage),
    }
    plain: dict[str, Source] = {spec.name: column(spec.name) for spec in CALLS.columns if spec.name not in derived}
    return Calls(CALLS, len(exchanges), {**plain, **derived})


def null_where(mask: Mask, kind: str, values: Array) -> Array:
    return np.where(mask, values.dtype.type(NULLS[kind]), values) if mask.any() else values


def program_text(prog: int, vers: int, proc: int) -> str | None:
    return None if prog == NO_NUMBER else program_name(prog, vers)


def procedure_text(prog: int, vers: int, proc: int) -> str | None:
    return None if NO_NUMBER in (prog, proc) else procedure_name(prog, vers, proc)


def seconds(start: Array, end: Array, where: Mask | None = None) -> Array:
    """Seconds between times, null where one is missing; 0 for a reply captured just before its call."""
    known = (start != NAT) & (end != NAT)
    if where is not None:
        known &= where
    result: Array = np.where(known, end - start, 0) / 1e9
    np.maximum(result, 0.0, out=result)
    result[~known] = np.nan
    return result


def copies(decoded: Decoded) -> Copies:
    raw = decoded.copies
    order = np.lexsort((raw["frame"], decoded.place[raw["capture"]], raw["time"], raw["reply"], raw["exchange"]))
    rows = {name: values[order] for name, values in raw.items()}
    starts, _ = group(rows["exchange"], rows["reply"])
    count = np.arange(len(starts))
    first = np.maximum.accumulate(np.where(np.r_[True, starts[1:] != starts[:-1]], count, 0)) if len(starts) else count
    at = rows_of(decoded.exchanges["exchange"], rows["exchange"])
    called = np.append(decoded.exchanges["time"], NAT)[at]
    columns: dict[str, Source] = {
        **rows,
        "reply": rows["reply"] != 0,
        "copy": (count - first + 1).astype(np.uint16),
        "after_s": seconds(called, rows["time"]),
    }
    return Copies(COPIES, len(order), columns)
