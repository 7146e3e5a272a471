"""Lock requests that had to wait: the symptom that most rules explain, and the clients that it affects."""

from __future__ import annotations

from functools import cached_property
from typing import NamedTuple

import numpy as np

from nfsrpc.columns import NAT, Array, Mask, isin
from nfsrpc.facts.basic import Span, fact
from nfsrpc.findings.finding import Evidence
from nfsrpc.protocols.numbers import Nlm4Stats, NlmProc, Prog
from nfsrpc.sessions.exchanges import UNANSWERED_NS
from nfsrpc.sessions.grouping import Parts, codes_of, group, in_order, members
from nfsrpc.sessions.stretches import LATEST, Stretches
from nfsrpc.tables import Calls, Locks
from nfsrpc.wording import SECOND, duration

LATE_S = 5.0  # Linux resends after 10 s; half of that is not normal
OVERTAKEN = SECOND  # requests of two connections that arrive closer to each other may be served in either order


class Affected(NamedTuple):
    """The affected lock requests of one server in a stretch of time, their clients, and the longest wait."""

    rows: Calls
    clients: tuple[str, ...]
    wait_s: float | None  # the longest wait; of a request without answer, to the end of the capture
    first: int | None  # when the first was sent
    last: int | None  # when the last stopped waiting

    def __len__(self) -> int:
        return len(self.rows)


def late(requests: Calls, late_s: float) -> Mask:
    """Which requests were answered after `late_s` or later."""
    with np.errstate(invalid="ignore"):
        mask: Mask = requests["latency_s"] >= late_s
    return mask


@fact
def silent_requests(requests: Calls, closed_by_client: Array, lossy: bool, span: Span | None) -> Calls:
    """Lock requests without an answer.

    Not those whose answer only the capture lost. A client that waits retransmits the request, and lockd answers in
    order: if it was not retransmitted, and the client went on, or closed the connection, it had its answer; and most
    likely where the capture lost packets.
    """
    rows = requests.where(requests["state"] == "unanswered")
    if not len(rows) or span is None:
        return rows.take(np.zeros(0, dtype=np.int64))
    answered = requests.where(requests["state"] == "answered")
    keep = (span.last - rows["time"] >= UNANSWERED_NS) & ~isin(rows["flow"], closed_by_client)
    once = np.flatnonzero((rows["retransmits"] == 0) & keep)
    answers = Stretches((answered["client"], answered["server"]), answered["time"])
    for number, row in zip(once.tolist(), rows.take(once).rows(), strict=True):
        keep[number] = not lossy and answers.following((row.client, row.server), row.time) is None
    return rows.where(keep)


@fact
def silent_messages(locks: Locks, lossy: bool) -> Locks:
    """Locks requested by LOCK_MSG to which no LOCK_RES came.

    Not those whose result only the capture lost: as `silent_requests`, for results are calls of their own.
    """
    messages = locks.where((locks["procedure"] == "LOCK_MSG") & locks.valid("requested"))
    rows = messages.where(messages["answer"] == "unanswered")
    keep = (rows["polls"] > 0) | (rows["resends"] > 0)
    if keep.all():
        return rows
    answered = messages.where(messages["answer"] == "answered")
    results = Stretches((answered["client"], answered["server"]), answered["requested"])
    once = np.flatnonzero(~keep & ~rows.valid("unlock"))
    for number, row in zip(once.tolist(), rows.take(once).rows(), strict=True):
        keep[number] = not lossy and results.following((row.client, row.server), row.requested or NAT) is None
    return rows.where(keep)


@fact
def stalls(requests: Calls, silent_requests: Calls) -> Calls:
    """Lock requests that were answered late, never, or with DENIED_NOLOCKS."""
    silent = isin(requests["exchange"], silent_requests["exchange"]) if len(silent_requests) else False
    return requests.where(late(requests, LATE_S) | silent | (requests["status"] == Nlm4Stats.DENIED_NOLOCKS))


@fact
def stalled(stalls: Calls) -> Parts[Calls]:
    """The stalls of each server."""
    return Parts(stalls, "server")


def affected(rows: Calls, span: Span | None, first: int | None = None, last: int | None = None) -> Affected:
    """The requests of a server that were waiting at some time from `first` to `last`."""
    if first is not None and last is not None and NAT not in (first, last):
        ends = np.where(rows["reply_time"] == NAT, last, rows["reply_time"])
        rows = rows.where((rows["time"] <= last + SECOND) & (ends >= first - SECOND))
    clients = tuple(sorted(filter(None, set(rows["client"].tolist()))))
    sent = rows["time"][rows["time"] != NAT]
    return Affected(rows, clients, longest(rows, span), int(sent.min()) if len(sent) else None, last_end(rows, span))


def last_end(rows: Calls, span: Span | None) -> int | None:
    """When the last of these requests stopped waiting: with its answer, or when the capture ended."""
    if span is not None and (rows["state"] == "unanswered").any():
        return span.last
    times = np.where(rows["reply_time"] == NAT, rows["time"], rows["reply_time"])
    waits = times[times != NAT]
    return int(waits.max()) if len(waits) else None


def longest(rows: Calls, span: Span | None) -> float | None:
    """The longest wait in seconds, open ones up to the end of the capture; None without any."""
    answered = rows["latency_s"][rows.valid("latency_s")]
    waits = answered.tolist()
    if span is not None:
        open_ = rows.where((rows["state"] == "unanswered") & rows.valid("time"))
        waits += ((span.last - open_["time"]) / SECOND).tolist()
    return max(waits) if waits else None


def longest_waits(rows: Calls, limit: int = 2) -> list[Evidence]:
    """The evidence of the longest waits: calls, each with its answer."""
    waits = np.where(rows["state"] == "unanswered", np.inf, np.nan_to_num(rows["latency_s"]))
    proofs: list[Evidence] = []
    for row in rows.take(np.argsort(-waits, kind="stable")[:limit]).rows():
        proofs.append(Evidence(row.capture, row.call_frame, f"{row.procedure} of {row.client}"))
        if row.reply_frame is not None and row.latency_s is not None:
            what = "its void reply, no LOCK_RES" if row.proc == NlmProc.LOCK_MSG else "its reply"
            proofs.append(Evidence.of(row.reply_capture, row.reply_frame, f"{what}, after {duration(row.latency_s)}"))
    return proofs


class Served:
    """When lock managers answered: lockd has one thread, which does not answer later requests while it is held up."""

    def __init__(self, nlm: Calls) -> None:
        answered = nlm.where((nlm["state"] == "answered") & nlm.valid("time") & nlm.valid("reply_time"))
        self.parts: dict[str, tuple[Array, Array]] = {}
        for server, rows in Parts(answered, "server").items():
            order = np.argsort(rows["time"], kind="stable")
            replies = rows["reply_time"][order]
            earliest = np.minimum.accumulate(replies[::-1])[::-1]  # reply to any request from here on
            # No time is LATEST, and none becomes earlier when OVERTAKEN is added.
            self.parts[server] = rows["time"][order], np.append(with_overtaken(earliest), LATEST)

    def meanwhile(self, server: str, first: Array, last: Array) -> Mask:
        """For each of some requests, whether one that was sent after `first` was answered before `last`."""
        times, earliest = self.parts[server]
        mask: Mask = earliest[np.searchsorted(times, with_overtaken(first), side="right")] < last
        return mask


def with_overtaken(times: Array) -> Array:
    later: Array = np.minimum(times, LATEST - OVERTAKEN) + OVERTAKEN
    return later


@fact
def served(nlm: Calls) -> Served:
    """The times at which lock managers answered."""
    return Served(nlm)


def overtaken(rows: Calls, served: Served, span: Span | None) -> Mask:
    """Requests that waited while the lock manager of that server answered one that came later."""
    open_until = span.last if span is not None else NAT
    ends = np.where(rows["reply_time"] == NAT, open_until, rows["reply_time"])
    mask = np.zeros(len(rows), dtype=np.bool_)
    servers = rows["server"]
    for mine in members(group(codes_of(servers))[0]) if served.parts else ():
        server = servers[mine[:1]].tolist()[0]
        if server in served.parts:
            mask[mine] = served.meanwhile(server, rows["time"][mine], ends[mine])
    return mask


def claimed_again(locks: Locks) -> list[int]:
    """The exchanges by which clients reclaimed locks that they had before the server rebooted."""
    again = locks.where(locks["reclaim"] | (locks["reclaims"] > 0))
    return [*again["exchange"].tolist(), *again["last_exchange"].tolist()]


def nfs_waiting(exchanges: Calls, late_s: float) -> Stretches:
    """When NFS calls were sent that were answered late or never, by server."""
    waits = late(exchanges, late_s) | (exchanges["state"] == "unanswered")
    rows = exchanges.where((exchanges["prog"] == Prog.NFS) & waits)
    return Stretches((rows["server"],), rows["time"])


class LockFiles:
    """The files that exchanges are about, as lock sessions name them."""

    def __init__(self, locks: Locks) -> None:
        self.locks = locks

    @cached_property
    def by_exchange(self) -> tuple[Array, Array]:
        """The exchanges of lock sessions, sorted, and of each the row of its session."""
        names = ("exchange", "last_exchange", "unlock_exchange", "cancel_exchange")
        rows, numbers = zip(*(self.locks.known(name) for name in names), strict=True)
        exchanges = np.concatenate(numbers)
        order = in_order(exchanges)
        return exchanges[order], np.concatenate(rows)[order]

    def of(self, rows: Calls) -> tuple[str, ...]:
        """The files that these calls are about."""
        exchanges, sessions = self.by_exchange
        ends = (np.searchsorted(exchanges, rows["exchange"], side) for side in ("left", "right"))
        places = [range(first, last) for first, last in zip(*(end.tolist() for end in ends), strict=True)]
        at = np.array([place for part in places for place in part], dtype=np.int64)
        return tuple(sorted(self.locks["file"][sessions[at]].present()))


@fact
def lock_files(locks: Locks) -> LockFiles:
    """The files that lock exchanges are about."""
    return LockFiles(locks)
