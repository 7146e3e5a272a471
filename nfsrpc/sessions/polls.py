"""Questions that a host asks again and again, and that are answered alike: they leave while a capture is being read.

A monitoring system asks what is registered (RFC 1833: GETPORT, GETADDR, DUMP) and calls NULL of services; a load
balancer pings. Of questions of one host that are equal, with equal answers, less than CLOSE apart, these stay: the
first two and the last, the first of every five minutes, the last before and the first after anything that is no such
question, and what came within the last minute. So what rules ask of them stays as it is: since when and until when a
port was named, what was answered next to a fault, and whether a host asks as seldom as a monitoring system does
(facts/portmappers.py).

An answer that something is not registered is none of these, nor is a list with a lock manager and without statd: each
counts. Nor are questions on a loopback, where lockd looks for its statd; nor one whose xid is that of another call: an
xid used twice, or the other side of an address translation.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from typing import Any, NamedTuple

import numpy as np

from nfsrpc._core import MOMENT, few
from nfsrpc.columns import NAT, NULLS, Array, Mask, Masked, distinct, isin
from nfsrpc.decode import Columns
from nfsrpc.protocols.numbers import NULL, IpProto, NlmProc, PortmapProc, Prog
from nfsrpc.reading import Batch
from nfsrpc.sessions.crowding import is_ordinary
from nfsrpc.sessions.exchanges import COUNTED
from nfsrpc.sessions.grouping import group, in_order
from nfsrpc.sessions.settled_locks import NEVER, SLOW, frontier, masked
from nfsrpc.wording import SECOND

CLOSE = 10 * SECOND  # well below the pause by which who asks seldom is known (facts/portmappers.SELDOM)
SAMPLE = 300 * SECOND  # of these the first stays, as what is odd of a connection is known when it is over only
MINUTE = 60 * SECOND  # an answer is looked for so long before a refusal (RPC001), an xid so long before it comes again
LOCKING = (NlmProc.LOCK, NlmProc.UNLOCK)

# Of which programs which procedures. Not mounts, which are seldom and give names to files; not SM_MON and SM_UNMON, of
# which lockd sends one per host, on its loopback, and whose order says who is monitored. GETPORT for statd over UDP
# stays as well: a reboot notice begins with it, and each is a try.
ASKING, LISTING = PortmapProc.GETPORT, PortmapProc.DUMP  # GETADDR has the number of GETPORT
PROCEDURES: dict[int, tuple[int, ...]] = {
    Prog.PORTMAP: (NULL, ASKING, LISTING),
    Prog.MOUNT: (NULL,),
    Prog.NLM: (NULL,),
    Prog.NSM: (NULL,),
}
WHO = ("capture", "client", "server", "server_port", "transport", "flavor", "machine", "uid", "call_bytes")
WHAT = ("prog", "vers", "proc", "rpc_status")


class Portmapper(NamedTuple):
    """Names of the tables and fields of one version."""

    args: str
    res: str
    listed: str
    prog: str  # that is asked for, and in a list
    netid: str
    answer: str


PORTMAPPERS = {
    2: Portmapper("portmap2.args", "portmap2.res", "portmap2.mappings", "prog", "prot", "res_port"),
    3: Portmapper("rpcbind3.args", "rpcbind3.res", "rpcbind3.rpcblist", "r_prog", "r_netid", "res_addr"),
    4: Portmapper("rpcbind4.args", "rpcbind4.res", "rpcbind4.rpcblist", "r_prog", "r_netid", "res_addr"),
}
OF_MESSAGES = ("exchange", "copy", "frame", "index", "outer")  # columns that are no fields


def repeated(batch: Batch, in_reach: Columns, until: int) -> Array:
    """The rows of exchanges that leave. `until`: what is not over by then stays."""
    exchanges = batch["exchanges"]
    rows = np.flatnonzero(are_healthy(batch))
    if not len(rows):
        return rows
    rows = rows[in_order(exchanges["time"][rows])]
    messages = {version: fields(batch, names) for version, names in PORTMAPPERS.items()}
    rows = rows[~is_negative(batch, rows, messages)]
    time = exchanges["time"][rows]
    groups, _ = group(*(exchanges[name][rows] for name in (*WHO, *WHAT)), *arguments(exchanges, rows, messages))
    moments = few(around(np.concatenate([*odd_moments(batch, rows, in_reach)])))
    until = min(frontier(in_reach), until, int(exchanges["time"].max()))
    kept = at_change(groups, np.searchsorted(moments, time)) | (time >= until - MINUTE)
    order = in_order(groups)
    again = np.zeros(len(rows), dtype=np.bool_)  # as the one before
    again[1:] = groups[order][1:] == groups[order][:-1]
    again &= have_equal_answers(exchanges["exchange"][rows[order]], exchanges["vers"][rows[order]], messages)
    time = time[order]
    again[1:] &= np.diff(time) < CLOSE
    leaves = again & shifted(again, 1) & shifted(again, -1) & ~kept[order]
    leaves[1:] &= np.diff(time // SAMPLE) == 0
    gone: Array = np.sort(rows[order[leaves]])
    return gone


def at_change(groups: Array, rank: Array) -> Mask:
    """The rows of each group, of rows sorted by time, between which the rank changes."""
    order = in_order(groups)
    differs = (groups[order][1:] == groups[order][:-1]) & (rank[order][1:] != rank[order][:-1])
    mask = np.zeros(len(groups), dtype=np.bool_)
    mask[order[1:][differs]] = True
    mask[order[:-1][differs]] = True
    return mask


def shifted(mask: Mask, by: int) -> Mask:
    """For each row what holds for the one before (1) or after it (-1)."""
    moved = np.zeros_like(mask)
    if by > 0:
        moved[1:] = mask[:-1]
    else:
        moved[:-1] = mask[1:]
    return moved


def are_healthy(batch: Batch) -> Mask:
    """Exchanges of these procedures that were answered once, in time, with success, by another host."""
    raw = batch["exchanges"]
    asks = np.zeros(len(raw["time"]), dtype=np.bool_)
    for prog, procedures in PROCEDURES.items():
        asks |= (raw["prog"] == prog) & isin(raw["proc"], procedures)
    if not asks.any():
        return asks
    asks &= (raw["prog"] != Prog.PORTMAP) | isin(raw["vers"], list(PORTMAPPERS))
    asks &= (raw["retransmits"] == 0) & (raw["duplicates"] == 0) & (raw["flags"] == 0) & (raw["rpc_status"] == 0)
    asks &= (raw["call_frame"] != 0) & (raw["reply_frame"] != 0) & (raw["time"] != NAT)
    asks &= (raw["capture"] == raw["reply_capture"]) & isin(raw["status"], (0, NULLS["i32?"]))
    latency = raw["reply_time"] - raw["time"]
    asks &= (latency >= 0) & (latency < SLOW) & (raw["client"] != raw["server"])
    own = np.array([text.startswith("127.") or text == "::1" for text, _ in batch["addresses"]], dtype=np.bool_)
    asks &= ~own[raw["client"]] & ~own[raw["server"]]
    xids = np.sort(raw["xid"])
    healthy: Mask = asks & ~isin(raw["xid"], distinct(xids[1:][xids[1:] == xids[:-1]]))
    return healthy


Fields = dict[str, dict[str, Masked]]


def fields(batch: Batch, names: Portmapper) -> Fields:
    """The fields of one version, by table, sorted by exchange."""
    result: Fields = {}
    for table in (names.args, names.res, names.listed):
        columns = {name: masked(column) for name, column in batch["decoded"].get(table, {}).items()}
        if columns:
            order = in_order(columns["exchange"].values)
            result[table] = {name: Masked(values[order], valid[order]) for name, (values, valid) in columns.items()}
    return result


def column(table: Mapping[str, Masked], name: str, exchanges: Array) -> Masked:
    """A field of each of these exchanges, from its first row."""
    numbers, (values, valid) = table["exchange"].values, table[name]
    if not len(numbers):
        return Masked(np.zeros(len(exchanges), dtype=values.dtype), np.zeros(len(exchanges), dtype=np.bool_))
    at = np.minimum(np.searchsorted(numbers, exchanges), len(numbers) - 1)
    return Masked(values[at], valid[at] & (numbers[at] == exchanges))


def arguments(exchanges: Columns, rows: Array, messages: Mapping[int, Fields]) -> Iterator[Array]:
    """What was asked for, as columns; those without arguments have zeros."""
    for version, names in PORTMAPPERS.items():
        table = messages[version].get(names.args)
        if table is not None:
            asked = (exchanges["prog"][rows] == Prog.PORTMAP) & (exchanges["vers"][rows] == version)
            for name in table.keys() - set(OF_MESSAGES):
                values, valid = column(table, name, exchanges["exchange"][rows])
                known = asked & valid
                yield np.where(known, values, 0)
                yield known


def is_negative(batch: Batch, rows: Array, messages: Mapping[int, Fields]) -> Mask:
    """Questions for statd over UDP, answers that something is not registered, lists without statd, and empty ones."""
    raw = {name: batch["exchanges"][name][rows] for name in ("prog", "vers", "proc", "exchange")}
    mask = np.zeros(len(rows), dtype=np.bool_)
    for version, names in PORTMAPPERS.items():
        of_version = (raw["prog"] == Prog.PORTMAP) & (raw["vers"] == version)
        asking, listing = (np.flatnonzero(of_version & (raw["proc"] == proc)) for proc in (ASKING, LISTING))
        tables = messages[version]
        if len(asking):
            mask[asking] = True
            if names.args in tables and names.res in tables:
                number, args = raw["exchange"][asking], tables[names.args]
                prog, netid = (column(args, name, number) for name in (names.prog, names.netid))
                answer = column(tables[names.res], names.answer, number)
                if version == 2:
                    found, udp = answer.values != 0, netid.values == IpProto.UDP
                else:  # which have text there
                    found = ~isin(answer.values, numbers_of((b"",), batch["strings"]))
                    udp = isin(netid.values, numbers_of((b"udp", b"udp6"), batch["strings"]))
                known = prog.valid & netid.valid & answer.valid
                mask[asking] = ~(known & found & ~((prog.values == Prog.NSM) & udp))
        if len(listing):
            mask[listing] = True
            if names.listed in tables:
                items = tables[names.listed]
                known, prog = items["exchange"].values, items[names.prog]
                of = {each: distinct(known[prog.valid & (prog.values == each)]) for each in (Prog.NSM, Prog.NLM)}
                number = raw["exchange"][listing]
                whole = isin(number, of[Prog.NSM]) | ~isin(number, of[Prog.NLM])
                mask[listing] = ~(whole & isin(number, distinct(known)))
    return mask


def numbers_of(texts: Iterable[bytes], strings: list[bytes]) -> list[int]:
    """The numbers of these texts among strings, each of which is there once at most."""
    return [strings.index(text) for text in texts if text in strings]


def have_equal_answers(exchanges: Array, versions: Array, messages: Mapping[int, Fields]) -> Mask:
    """Which of these exchanges have the same fields in their answers as the one before."""
    equal = np.ones(len(exchanges), dtype=np.bool_)
    for version, names in PORTMAPPERS.items():
        for table in (names.res, names.listed):
            columns: dict[str, Any] = messages[version].get(table, {})
            if not columns:
                continue
            numbers = columns["exchange"].values
            begin, end = (np.searchsorted(numbers, exchanges, side) for side in ("left", "right"))
            count = np.where(versions == version, end - begin, 0)
            same = np.r_[True, count[1:] == count[:-1]]
            pairs = np.flatnonzero(same & (count > 0) & (np.arange(len(count)) > 0))
            equal &= same
            if not len(pairs):
                continue
            sizes = count[pairs]
            starts = np.cumsum(sizes) - sizes
            within = np.arange(sizes.sum()) - np.repeat(starts, sizes)
            one, other = (np.repeat(begin[its], sizes) + within for its in (pairs, pairs - 1))
            differs = np.zeros(len(within), dtype=np.bool_)
            for name in columns.keys() - set(OF_MESSAGES):
                values, valid = columns[name]
                differs |= (valid[one] != valid[other]) | (valid[one] & (values[one] != values[other]))
            equal[pairs] &= ~np.logical_or.reduceat(differs, starts)
    return equal


def odd_moments(batch: Batch, polls: Array, in_reach: Columns) -> Iterator[Array]:
    """When anything else happened that is listed, but for locks that were granted in time; and odd flows."""
    raw = batch["exchanges"]
    others = np.ones(len(raw["time"]), dtype=np.bool_)
    others[polls] = False
    latency = raw["reply_time"] - raw["time"]
    granted = (raw["prog"] == Prog.NLM) & isin(raw["proc"], LOCKING) & (raw["status"] == 0) & (raw["rpc_status"] == 0)
    granted &= (raw["retransmits"] == 0) & (latency >= 0) & (latency < SLOW)
    others &= ~granted & (raw["flags"] & COUNTED == 0)
    waiting = (in_reach["reply_frame"] == 0) | (in_reach["retransmits"] > 0)
    for table, mask in ((raw, others), (in_reach, waiting)):
        time, reply = table["time"][mask], table["reply_time"][mask]
        yield from (time[time != NAT], reply[reply != NAT])
    flows = batch["flows"]
    odd = np.flatnonzero(~is_ordinary(flows))
    for name in ("first", "last", "syn_time", "syn_last", "rst_time", "c_unheard_first", "s_unheard_first"):
        times = flows[name][odd]
        yield times[times > 0]


def around(times: Array) -> Array:
    """These moments, and those within which frames may be captured out of order."""
    earlier = np.maximum(times, NAT + MOMENT) - MOMENT
    later = np.minimum(times, NEVER - MOMENT) + MOMENT
    moments: Array = np.concatenate([earlier, times, later])
    return moments
