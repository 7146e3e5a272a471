"""A server's lockd that looks for its statd, seen from the wire: lock requests wait, and nothing else does.

Linux's lockd has one thread. Before a client host's first lock it asks its own portmapper for statd, 20 times, 3 s
apart, and serves no other request meanwhile; then it grants (fs/lockd/mon.c). So the wait is a minute, or a multiple of
it where several client hosts queue; NFS works; the request was acknowledged; no later request is answered before. A
reply that comes when another session releases the range was held back for that, and Linux holds none back; while
another session holds the range of all requests that wait, their replies may be held back.
"""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Mapping
from functools import cached_property
from typing import NamedTuple

import numpy as np

from nfsrpc.columns import NAT, Mask, isin
from nfsrpc.facts.basic import Span, Stray, booting, fact
from nfsrpc.facts.lock_answers import LockAnswers
from nfsrpc.facts.stalls import Affected, Served, affected, last_end, nfs_waiting, overtaken
from nfsrpc.facts.statd_dns import DnsQueries
from nfsrpc.protocols.numbers import Nlm4Stats, NlmProc, Prog
from nfsrpc.sessions.conflicts import NEVER
from nfsrpc.sessions.exchanges import CALL_ACKED
from nfsrpc.sessions.grouping import Parts
from nfsrpc.sessions.stretches import Stretches
from nfsrpc.sessions.timers import timer_of
from nfsrpc.tables import Calls, Flows, Tallies
from nfsrpc.wording import SECOND

NOT_ANSWERED = 255  # rpc_status of a call without a reply
QUICK_GRANT_S = 1.0  # a lock that is answered so soon did not wait for statd


class LockWaits(NamedTuple):
    """Lock requests that wait, and what else the wire shows meanwhile."""

    arrived: Parts[Calls]  # lock requests that reached their server's host, by server
    waiting: Parts[Calls]  # of these the late and the unanswered, by server
    stalled: Parts[Calls]  # lock requests that were late, unanswered or denied, wherever they came to, by server
    exchanges: Calls
    answers: LockAnswers
    others: tuple[Stretches, Stretches]  # when other services answered, by server
    hearing_udp: frozenset[str]  # servers whose lockd answered over UDP, which has no ACK: else it may be filtered
    unresolved: DnsQueries
    boots: Mapping[str, tuple[int, ...]]
    span: Span | None

    def stall(self, server: str) -> Stall:
        return Stall(self, server)

    def has_booted(self, server: str, first: int, last: int, around_s: float) -> bool:
        """Whether a server sent reboot notices within `around_s` of a stretch of time."""
        return booting(self.boots, server, first, last, around_s)

    def during(self, server: str, first: int, last: int) -> Affected:
        """The affected lock requests of a server in a stretch of time."""
        return affected(self.stalled[server], self.span, first, last)

    def nfs(self, nfs_s: float) -> Stretches:
        """When NFS calls waited for `nfs_s` or longer, by server."""
        return nfs_waiting(self.exchanges, nfs_s)


@fact
def lock_waits(
    exchanges: Calls,
    counted_uses: Tallies,
    flows: Flows,
    requests: Calls,
    stalls: Calls,
    stalled: Parts[Calls],
    lock_answers: LockAnswers,
    served: Served,
    silent_since: Mapping[int, int],
    strays: tuple[Stray, ...],
    unresolved: DnsQueries,
    boots: Mapping[str, tuple[int, ...]],
    span: Span | None,
) -> LockWaits:
    """The lock requests that wait and reached their server, with the traffic around them."""
    elsewhere = [stray.call.exchange for stray in strays]
    refused = flows["flow"][(flows["transport"] == "udp") & (flows["icmp"] > 0)]
    reached = requests.where(~not_delivered(requests, silent_since) & ~isin(requests["exchange"], elsewhere))
    reached = reached.where((reached["state"] == "answered") | ~isin(reached["flow"], refused))
    waits = stalls.where(isin(stalls["exchange"], reached["exchange"]) & stalls.valid("time"))
    # A lockd without statd grants, or gives whatever other answer the lock deserves. One that denies has asked it.
    waits = waits.where((waits["status"] != Nlm4Stats.DENIED_NOLOCKS) & isin(waits["rpc_status"], (0, NOT_ANSWERED)))
    # Linux repeats a LOCK after 10 s: an unanswered one that waits shows in a copy.
    waits = waits.where((waits["state"] == "answered") | (waits["retransmits"] > 0))
    waits = waits.where(~overtaken(waits, served, span))
    done = (
        exchanges.where((exchanges["prog"] != Prog.NLM) & (exchanges["state"] == "answered")) if len(waits) else waits
    )
    sums = counted_uses.where(counted_uses["prog"] != Prog.NLM)
    others = (
        Stretches((done["server"],), done["time"], done["reply_time"]),
        Stretches((sums["server"],), sums["first"], sums["last"]),
    )
    return LockWaits(
        arrived=Parts(reached, "server"),
        waiting=Parts(waits, "server"),
        stalled=stalled,
        exchanges=exchanges,
        answers=lock_answers,
        others=others,
        hearing_udp=hearing_udp(exchanges, counted_uses) if len(waits) else frozenset(),
        unresolved=unresolved,
        boots=boots,
        span=span,
    )


def hearing_udp(exchanges: Calls, sums: Tallies) -> frozenset[str]:
    """Hosts whose lock manager answered over UDP."""
    answered = exchanges.where((exchanges["prog"] == Prog.NLM) & (exchanges["state"] == "answered"))
    tables = answered, sums.where(sums["prog"] == Prog.NLM)
    return frozenset().union(*(set(table["server"][table["transport"] == "udp"].present()) for table in tables))


def not_delivered(requests: Calls, silent_since: Mapping[int, int]) -> Mask:
    """Requests that did not reach the server's host: sent on a connection on which it was not heard again."""
    if not silent_since:
        return np.zeros(len(requests), dtype=np.bool_)
    since = [silent_since.get(flow) for flow in requests["flow"].tolist()]
    last_heard = np.array([NEVER if time is None else time for time in since], dtype=np.int64)
    mask: Mask = requests["time"] > last_heard
    return mask


class Stall:
    """Lock requests that wait for one server."""

    def __init__(self, waits: LockWaits, server: str) -> None:
        self.server, self.unresolved, self.others = server, waits.unresolved, waits.others
        self.answers = waits.answers
        self.boots, self.hears_udp = waits.boots.get(server, ()), server in waits.hearing_udp
        self.all, self.rows = waits.arrived[server], waits.waiting[server]
        self.victims = affected(self.rows, waits.span)
        self.end = last_end(self.rows, waits.span) or NAT

    @property
    def span(self) -> tuple[int, int]:
        time, reply = self.rows["time"], self.rows["reply_time"]
        return (int(time.min()), int(max(time.max(), reply.max()))) if len(time) else (NAT, NAT)

    @property
    def acknowledged(self) -> str:
        """The middle of a sentence: that the requests were acknowledged; empty where they went over UDP."""
        them = "it" if len(self.rows) == 1 else "them"
        return "" if (self.rows["transport"] == "udp").any() else f"acknowledged {them} and "

    @property
    def others_answered(self) -> str:
        """The end of a sentence: the state of the server's other services meanwhile."""
        if any(answers.meet(self.server, *self.span) for answers in self.others):
            return ", while its other services answered"
        return "; no answer of its other services was captured meanwhile"

    def is_search(self, minute_s: float, longest_s: float, first_lock_s: float) -> bool:
        """Whether the first lock of a client waits as long as lockd looks for statd."""
        wait = self.victims.wait_s
        if wait is None or wait > longest_s:
            return False
        if self.answers.held_back_for(self.rows) is not None or self.answers.holder(self.rows) is not None:
            return False
        return any(self.is_first(row, first_lock_s) and self.lasts(row, minute_s) for row in self.rows.rows())

    def is_first(self, row: Calls.Row, first_lock_s: float) -> bool:
        """Whether a request is the first LOCK of a client, which statd does not monitor yet."""
        since = row.time - round(first_lock_s * SECOND)
        # A server that boots loses what it knew of its clients.
        booted = bisect_right(self.boots, row.time) - 1
        since = max(since, self.boots[booted]) if booted >= 0 else since
        return row.proc == NlmProc.LOCK and not self.locked_at_once.meet(row.client, since + 1, row.time - 1)

    def lasts(self, row: Calls.Row, minute_s: float) -> bool:
        """Whether a request waits so long; an open one must have reached a host whose statd does not wait for DNS."""
        if row.state == "answered":
            return row.latency_s is not None and row.latency_s >= minute_s
        arrived = self.hears_udp if row.transport == "udp" else bool(row.flags & CALL_ACKED)
        return arrived and not self.resolving

    @cached_property
    def locked_at_once(self) -> Stretches:
        """When clients sent LOCKs that were answered at once."""
        with np.errstate(invalid="ignore"):
            rows = self.all.where((self.all["proc"] == NlmProc.LOCK) & (self.all["latency_s"] < QUICK_GRANT_S))
        return Stretches((rows["client"],), rows["time"])

    @cached_property
    def resolving(self) -> bool:
        """Whether DNS does not answer the server meanwhile: its statd may then wait for DNS."""
        return self.unresolved.has_queries(self.server, self.span[0], self.end)

    def searched_after_boot(self) -> bool:
        """Whether a request that was sent after a reboot waited as long as Linux looks for statd, and was granted."""
        first = min(self.boots, default=0)
        rows = self.rows.where(self.rows.valid("latency_s") & (self.rows["time"] >= first))
        timers = (timer_of("answer", waited_s) for waited_s in rows["latency_s"].tolist())
        return any(timer is not None and timer.name == "statd-search" for timer in timers)
