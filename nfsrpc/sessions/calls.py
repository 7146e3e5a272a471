"""Exchanges as the table of calls: named, judged and told apart from other vantages' sightings of them.

A call without a reply is `unanswered` only where a reply would have been captured: its server's frames are in this
capture, none of the reply's direction were lost, and the capture goes on for `PATIENCE` after it. Otherwise it is
`undecided`.
"""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from nfsrpc.decode import Decoded
from nfsrpc.protocols import procedure_name, program_name
from nfsrpc.sessions.grouping import group
from nfsrpc.sessions.hosts import Hosts
from nfsrpc.sessions.sightings import Sightings
from nfsrpc.tables import CALLS, COPIES, NAT, NULLS, Array, Coded, Mask, Source, Table

# Evidence bits of the core's exchanges.
REPLY_SIDE_SEEN = 1
REPLY_SIDE_SEEN_AFTER = 2
REPLY_SIDE_LOSS = 4
EVICTED = 8
CALL_CUT = 16
REPLY_CUT = 32
CONNECTION_DIED = 64
CALL_ACKED = 128
ENCRYPTED = 256

# A capture that ends sooner after a call cannot tell that no reply came: the first resend of Linux is after 10 s.
PATIENCE = 10_000_000_000

STATES = ("answered", "unanswered", "undecided", "orphan")
ANSWERED, UNANSWERED, UNDECIDED, ORPHAN = range(4)
UDP = 17
TRANSPORTS = {6: "tcp", UDP: "udp"}
NONE = 0xFFFFFFFF


def calls(decoded: Decoded, hosts: Hosts) -> Table:
    raw = decoded.exchanges
    order = reading_order(raw["capture"], raw["call_frame"], raw["reply_frame"])

    def column(name: str) -> Callable[[], Array]:
        return lambda: raw[name] if order is None else raw[name][order]

    def null_for_zero(name: str) -> Callable[[], Array]:
        return lambda: np.where(column(name)() == 0, NULLS["u32?"], column(name)()).astype(np.uint32)

    def reply_capture() -> Array:
        found: Array = np.where(column("reply_frame")() == 0, NULLS["u16?"], column("reply_capture")())
        return found.astype(np.uint16)

    def latency() -> Array:
        return seconds(column("time")(), column("reply_time")(), column("call_frame")() != 0)

    def states() -> Coded:
        codes = state_codes(decoded)
        return Coded(codes if order is None else codes[order], STATES)

    def duplicate_of() -> Array:
        found = exchanges_seen_before(decoded)
        return found if order is None else found[order]

    names: list[tuple[Coded, Coded]] = []

    def named(which: int) -> Callable[[], Coded]:
        def text() -> Coded:
            if not names:
                names.append(program_names(column("prog")(), column("vers")(), column("proc")()))
            return names[0][which]

        return text

    derived: dict[str, Source] = {
        "call_frame": null_for_zero("call_frame"),
        "reply_frame": null_for_zero("reply_frame"),
        "reply_capture": reply_capture,
        "latency_s": latency,
        "client": lambda: hosts.label(column("client")()),
        "server": lambda: hosts.label(column("server")()),
        "transport": lambda: transports(column("transport")()),
        "program": named(0),
        "procedure": named(1),
        "state": states,
        "machine": lambda: decoded.text(column("machine")()),
        "loopback": lambda: hosts.is_loopback(column("client")(), column("server")()),
        "duplicate_of": duplicate_of,
        "vantage": lambda: decoded.vantage[column("capture")()],
    }
    plain: dict[str, Source] = {spec.name: column(spec.name) for spec in CALLS.columns if spec.name not in derived}
    return Table(CALLS, len(raw["exchange"]), {**plain, **derived})


def reading_order(capture: Array, call_frame: Array, reply_frame: Array) -> Array | None:
    """The order of the frames as captured (None: as they are). An orphan stands where its reply is."""
    frame = np.where(call_frame == 0, reply_frame, call_frame)
    key = capture.astype(np.int64) << 32 | frame
    if not len(key) or bool((key[1:] >= key[:-1]).all()):
        return None
    return np.argsort(key, kind="stable")  # quick for what is sorted in long stretches already


def seconds(start: Array, end: Array, wanted: Mask | None = None) -> Array:
    """Between times, null where one is missing; a reply captured just before its call took no time."""
    known = (start != NAT) & (end != NAT)
    if wanted is not None:
        known &= wanted
    result: Array = np.where(known, end - start, 0) / 1e9
    np.maximum(result, 0.0, out=result)
    result[~known] = np.nan
    return result


def transports(numbers: Array) -> Coded:
    return Coded.distinct(numbers, [TRANSPORTS.get(number) for number in range(max(TRANSPORTS) + 1)])


def program_names(prog: Array, vers: Array, proc: Array) -> tuple[Coded, Coded]:
    """The names of programs and procedures; null where the number was not seen."""
    groups, first = group(prog, vers, proc)
    kinds = list(zip(prog[first].tolist(), vers[first].tolist(), proc[first].tolist(), strict=True))
    programs = [None if prog == NONE else program_name(prog, vers) for prog, vers, _ in kinds]
    procedures = [None if NONE in (prog, proc) else procedure_name(prog, vers, proc) for prog, vers, proc in kinds]
    return Coded.distinct(groups, programs), Coded.distinct(groups, procedures)


def state_codes(decoded: Decoded) -> Array:
    """The state of each exchange, as an index into STATES."""
    raw = decoded.exchanges
    codes = np.zeros(len(raw["exchange"]), dtype=np.int8)
    codes[raw["call_frame"] == 0] = ORPHAN
    rows = np.flatnonzero((raw["reply_frame"] == 0) & (raw["call_frame"] != 0))
    decided = captured_reply_side(decoded, rows) & waited_long_enough(decoded, rows)
    decided &= raw["flags"][rows] & (EVICTED | REPLY_SIDE_LOSS) == 0
    codes[rows] = np.where(decided, UNANSWERED, UNDECIDED)
    return codes


def captured_reply_side(decoded: Decoded, rows: Array) -> Mask:
    """Whether frames from the server to the client would have been captured.

    Either the call's flow shows some, or any other flow of the same vantage shows frames that the server sent. On a TCP
    connection whose segments nobody had to send again there must have been acknowledgements, so there it was not.
    """
    raw, flows = decoded.exchanges, decoded.flows
    spoke = np.zeros((len(decoded.vantages), len(decoded.addresses) + 1), dtype=np.bool_)
    vantage = decoded.vantage[flows["first_capture"]]
    for side, frames in (("client", "c_frames"), ("server", "s_frames")):
        sent = flows[frames] > 0
        spoke[vantage[sent], flows[side][sent]] = True
    at = rows_of(flows["flow"], raw["flow"][rows])
    again = np.append(flows["c_retransmitted"], 0)[at] > 0  # a flow that is not in the table: index -1
    elsewhere = spoke[decoded.vantage[raw["capture"][rows]], raw["server"][rows]]
    seen = raw["flags"][rows] & (REPLY_SIDE_SEEN | REPLY_SIDE_SEEN_AFTER) != 0
    captured: Mask = seen | (elsewhere & (again | (raw["transport"][rows] == UDP)))
    return captured


def waited_long_enough(decoded: Decoded, rows: Array) -> Mask:
    raw = decoded.exchanges
    end = decoded.vantage_ends[decoded.vantage[raw["capture"][rows]]]
    time = raw["time"][rows]
    died = raw["flags"][rows] & CONNECTION_DIED != 0
    waited: Mask = (time != NAT) & (died | (end - time >= PATIENCE))
    return waited


def rows_of(keys: Array, wanted: Array) -> Array:
    """The row in which each wanted number is a key, -1 where none is."""
    size = max(int(keys.max(initial=0)), int(wanted.max(initial=0))) + 1
    table = np.full(size, -1, dtype=np.int64)
    table[keys] = np.arange(len(keys))
    return table[wanted]


def exchanges_seen_before(decoded: Decoded) -> Array:
    """For each exchange the one that counts, where another vantage shows the same; else null."""
    rank = state_codes(decoded)  # an answered sighting counts before one that lacks the reply
    same = seen_exchanges(decoded).counted(rank)
    return np.where(same < 0, NULLS["u32?"], decoded.exchanges["exchange"][same]).astype(np.uint32)


def seen_exchanges(decoded: Decoded) -> Sightings:
    raw = decoded.exchanges
    names = ("client", "client_port", "server", "server_port", "transport", "xid", "prog", "vers", "proc")
    keys = [raw[name] for name in names]
    return Sightings(keys, raw["time"], decoded.vantage[raw["capture"]], len(decoded.vantages))


def copies(decoded: Decoded) -> Table:
    raw = decoded.copies
    order = np.lexsort((raw["frame"], raw["capture"], raw["time"], raw["reply"], raw["exchange"]))
    rows = {name: values[order] for name, values in raw.items()}
    starts, _ = group(rows["exchange"], rows["reply"])
    count = np.arange(len(starts))
    first = np.maximum.accumulate(np.where(np.r_[True, starts[1:] != starts[:-1]], count, 0)) if len(starts) else count
    at = rows_of(decoded.exchanges["exchange"], rows["exchange"])
    called = np.append(decoded.exchanges["time"], NAT)[at]
    return Table(
        COPIES,
        len(order),
        rows
        | {
            "reply": rows["reply"] != 0,
            "copy": (count - first + 1).astype(np.uint16),
            "after_s": seconds(called, rows["time"]),
        },
    )
