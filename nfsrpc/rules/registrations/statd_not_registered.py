"""rpc.statd is not registered with the portmapper of an NFS server.

Sees
    The server's own portmapper says port 0 (v2) or an empty address (v3, v4) for program 100024: to the server's lockd
    over its loopback (every 3 s while a LOCK waits), to any other host that asks, or by leaving it out of a complete
    list. From the wire alone: LOCKs wait for a minute or more while NFS of the same server is quick and the lock
    manager's port accepts connections; then it is likely, and the server's loopback would prove it.

Why it hurts
    The server's lockd is single-threaded, and before it grants a client host its first lock it asks statd to watch
    that host. Linux asks 20 times, 3 s apart; meanwhile no lock request of any client is served, and READ and WRITE
    go on as if nothing were wrong. Then it grants, but unmonitored: after a reboot those locks are silently lost.
    Others (Ganesha) answer DENIED_NOLOCKS at once.

Not flagged when
    A single question over UDP with AUTH_NONE is told 0: so rpc.statd asks when it starts, and mount.nfs before it
    starts statd. Statd is found later: then it has been started. The answers are of a client's loopback (REG002); where
    the capture does not show what the host is, it is likely.
    From the wire: NFS waits as well, or the lock request was not even acknowledged, or answered from another address;
    or nothing has ended the wait yet and the server asks DNS in vain. The server boots; but a request that was sent
    after its notice and waits for just as long as Linux looks for statd is flagged.

How to confirm
    On the server: rpcinfo -p | grep 100024, and systemctl status rpc-statd.

How to fix
    Start rpcbind and rpc.statd on the server, and enable them at boot. Clients that were granted locks meanwhile stay
    unmonitored until they unmount and mount again.

References
    X/Open C702 chapter 11 (NSM); RFC 1833; rpc.statd(8); Linux fs/lockd/mon.c.

Parameters
    boot_s: a notice of reboot within this explains one or two such answers, or a stall
    stall_s: from the wire: a LOCK that waits for so long may wait for statd
    minute_s: from the wire: an answer after less is not Linux looking for statd
    longest_s: from the wire: nor is a longer wait
    nfs_s: from the wire: NFS that waits so long is not quick
    first_lock_s: from the wire: a client that got a lock at once within this is known to the server
"""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Iterator, Mapping
from functools import cached_property
from typing import Any

import numpy as np

from nfsrpc.columns import NAT, Mask, Table, isin
from nfsrpc.facts.basic import LOCK, NSM, Roles, Span, Stray, booting
from nfsrpc.facts.missing_statd import Unregistered, said
from nfsrpc.facts.signs import Signs, Suspicion
from nfsrpc.facts.stalls import DENIED_NOLOCKS, Hurt, ended, hurt, late, nfs_waiting, waited
from nfsrpc.facts.statd_dns import Questions
from nfsrpc.findings.advice import START_STATD, bare, loopback_of, registered, try_lock
from nfsrpc.findings.command import command, remark
from nfsrpc.findings.finding import Answer, Finding, Rule
from nfsrpc.rules import DENIED
from nfsrpc.sessions.exchanges import CALL_ACKED
from nfsrpc.sessions.grouping import Parts
from nfsrpc.sessions.stretches import Stretches
from nfsrpc.sessions.timers import clock_of
from nfsrpc.wording import SECOND, named, seconds, several, times, utc

RULE = Rule(
    "REG001",
    "statd-not-registered",
    "error",
    explains=(*DENIED, "LCK008", "REG006"),
    timed="likely",
    log=("lockd-silent", "unmonitored"),
    asks_causes="likely",
)

NEVER = np.iinfo(np.int64).max
UNMONITORED = remark("Clients granted locks meanwhile stay unmonitored until they remount.")
ON_A_SERVER = (
    "Before a client host's first lock lockd asks statd to watch that host; without statd it searches for a minute, "
    "serving no lock request of anybody, and then grants unmonitored, or it denies at once. NFS goes on."
)
IF_A_CLIENT = (
    " So it is on a server; the capture does not show whether this host is one. On a client (REG002) its own locks "
    "wait for a minute before they are sent."
)
ELSEWHERE = remark("An appliance or Ganesha: enable its NSM (status monitor) service.")


def check(
    unregistered: tuple[Unregistered, ...],
    registrations: Table,
    exchanges: Table,
    requests: Table,
    stalled: Parts,
    silent_requests: Table,
    unresolved: Questions,
    unheard: Mapping[int, int],
    strays: tuple[Stray, ...],
    roles: Roles,
    loopbacks: frozenset[str],
    boots: Mapping[str, tuple[int, ...]],
    span: Span | None,
    *,
    boot_s: float = 120.0,
    stall_s: float = 10.0,
    minute_s: float = 50.0,
    longest_s: float = 190.0,
    nfs_s: float = 2.0,
    first_lock_s: float = 300.0,
) -> Iterator[Answer]:
    accused: set[str] = set()
    elsewhere = [stray.call.exchange for stray in strays]
    arrived = requests.where(~lost(requests, unheard) & ~isin(requests["exchange"], elsewhere))
    for missing in unregistered:
        if missing.role == "client" or missing.only_udp:
            continue
        if missing.found is not None:
            yield RULE.clear(f"statd of {missing.host} was not registered until {utc(missing.found)}, and is since")
        elif len(missing.answers) > 2 or not booting(boots, missing.host, missing.first, missing.last, boot_s):
            accused.add(missing.host)
            yield proven(missing, hurt(stalled[missing.host], span, missing.first, missing.last))
    answers = Parts(registrations.where(registrations["prog"] == NSM), "host")
    nfs, asked = nfs_waiting(exchanges, nfs_s), Parts(arrived, "server")
    silent = frozenset(silent_requests["exchange"].tolist())
    for server in sorted(roles.lock_servers - accused):
        if server in loopbacks:
            yield on_loopback(server, answers[server])
            continue
        told = boots.get(server, ())
        stall = Stall(server, asked[server], silent, nfs, unresolved, span, told, stall_s, longest_s)
        rebooted = booting(boots, server, *stall.span, boot_s) and not stall.searched_after_boot()
        if stall.fits(minute_s, first_lock_s) and not rebooted:
            yield likely(stall)
        else:
            clients = roles.clients_of(server)
            yield RULE.cannot_tell(f"the loopback of {server} was not captured", loopback_of(server, clients))
    if not accused and not roles.lock_servers and not unregistered:
        yield RULE.cannot_tell("no lock requests and no question for statd in the capture")


def proven(missing: Unregistered, victims: Hurt) -> Finding:
    rows = list(missing.answers.rows())
    host = bare(missing.host)
    known = missing.role == "server"
    return RULE.finding(
        certainty="certain" if known and missing.sure else "likely",
        host=missing.host,
        title=f"{'the server ' if known else ''}{missing.host} has no rpc.statd registered",
        explanation=(
            f"Its portmapper said {times(len(rows))} that program 100024 (status) is not registered"
            f"{'' if missing.sure else ' (which program was asked for is cut off)'}. "
            f"{ON_A_SERVER}{'' if known else IF_A_CLIENT}"
        ),
        clients=victims.clients,
        count=len(rows),
        first=rows[0].time,
        last=rows[-1].time,
        evidence=(*said(rows), *waited(victims.rows)),
        remedy=(*START_STATD, ELSEWHERE, UNMONITORED),
        verify=(registered(host, NSM), *((try_lock(host),) if known else ())),
        wait_s=victims.wait_s,
    )


def on_loopback(server: str, rows: Table) -> Answer:
    """By what its portmapper said of statd."""
    found = rows.where(rows.valid("port") & (rows["port"] > 0))
    if not len(found):
        return RULE.cannot_tell(f"nobody asked the portmapper of {server} for statd")
    row = found.row(0)
    return RULE.clear(f"the portmapper of {server} names port {row.port} for statd (frame {row.reply_frame})")


def lost(requests: Table, unheard: Mapping[int, int]) -> Mask:
    """Requests that the server's host never had: sent on a connection on which it was not heard again."""
    if not unheard:
        return np.zeros(len(requests), dtype=np.bool_)
    since = [unheard.get(flow) for flow in requests["flow"].tolist()]
    heard = np.array([NEVER if time is None else time for time in since], dtype=np.int64)
    mask: Mask = requests["time"] > heard
    return mask


class Stall:
    """Lock requests that one server let wait, seen from the wire."""

    def __init__(
        self,
        server: str,
        requests: Table,
        silent_requests: frozenset[int],
        nfs: Stretches,
        unresolved: Questions,
        span: Span | None,
        boots: tuple[int, ...],
        stall_s: float,
        longest_s: float,
    ) -> None:
        """Of its `requests`, with when NFS calls to it waited (`nfs`) and when it told of its reboots (`boots`)."""
        self.server = server
        self.all = requests
        self.nfs, self.unresolved, self.boots = nfs, unresolved, boots
        # Linux sends a LOCK again after 10 s, so a wait that long shows in a copy.
        unanswered = np.array([number in silent_requests for number in self.all["exchange"].tolist()], dtype=np.bool_)
        silent = unanswered & (self.all["retransmits"] > 0)
        waits = late(self.all, stall_s) | silent
        # A server that has no statd grants, or whatever else the lock deserves. Without statd's answer it denies.
        waits &= (self.all["status"] != DENIED_NOLOCKS) & (isin(self.all["rpc_status"], (0, 255)))
        self.rows = self.all.where(waits & self.all.valid("time"))
        self.victims = hurt(self.rows, span)
        self.ended = ended(self.rows, span) or NAT
        self.longest_s = longest_s

    @property
    def span(self) -> tuple[int, int]:
        time, reply = self.rows["time"], self.rows["reply_time"]
        return (int(time.min()), int(max(time.max(), reply.max()))) if len(time) else (NAT, NAT)

    def fits(self, minute_s: float, first_lock_s: float) -> bool:
        """Whether it looks as without statd: the first lock of a client waits for a minute, alone."""
        wait = self.victims.wait_s
        if not len(self.rows) or wait is None or wait > self.longest_s or not self.nfs_is_quick():
            return False
        return any(self.is_such(row, minute_s, first_lock_s) for row in self.rows.rows())

    def is_such(self, row: Any, minute_s: float, first_lock_s: float) -> bool:
        if row.proc != LOCK or not (row.state == "answered" or self.accepted(row)):
            return False
        since = row.time - round(first_lock_s * SECOND)
        # What it knew of its clients before it booted, it has forgotten.
        booted = bisect_right(self.boots, row.time) - 1
        since = max(since, self.boots[booted]) if booted >= 0 else since
        known = self.locked_at_once.meet(row.client, since + 1, row.time - 1)
        return not known and (row.latency_s >= minute_s if row.latency_s is not None else not self.resolving)

    @cached_property
    def locked_at_once(self) -> Stretches:
        """When clients asked for a lock and were answered at once."""
        with np.errstate(invalid="ignore"):
            rows = self.all.where((self.all["proc"] == LOCK) & (self.all["latency_s"] < 1.0))
        return Stretches((rows["client"],), rows["time"])

    def searched_after_boot(self) -> bool:
        """Whether a request that was sent after a reboot waited as long as Linux looks for statd, and was granted."""
        first = min(self.boots, default=0)
        rows = [row for row in self.rows.rows() if row.latency_s is not None and first <= row.time]
        clocks = (clock_of("answer", row.latency_s) for row in rows)
        return any(clock is not None and clock.name == "statd-search" for clock in clocks)

    @cached_property
    def resolving(self) -> bool:
        """Whether the server asks DNS in vain meanwhile: then its statd may be at that."""
        return self.unresolved.asked(self.server, self.span[0], self.ended)

    def accepted(self, row: Any) -> bool:
        """Whether the call reached the server's host, so that only its lockd can be what waits."""
        return row.transport == "udp" or bool(row.flags & CALL_ACKED)

    def nfs_is_quick(self) -> bool:
        first, last = self.span
        return not self.nfs.meet(self.server, first - SECOND, last)


def likely(stalled: Stall) -> Finding:
    rows, victims = stalled.rows, stalled.victims
    server, wait = stalled.server, seconds(victims.wait_s or 0)
    first, last = stalled.span
    return RULE.finding(
        certainty="likely",
        host=server,
        title=f"the server {server} probably has no rpc.statd registered",
        explanation=(
            f"{several(len(rows), 'lock request')} of {named(victims.clients)} waited up to {wait} for the server's "
            "lockd, which had received them, while its other services answered at once. So a server behaves whose "
            "lockd looks for a statd that is not registered. The proof, lockd asking its own portmapper, passes over "
            "the server's loopback, which was not captured."
        ),
        clients=victims.clients,
        count=len(rows),
        first=first,
        last=last,
        evidence=tuple(waited(rows, 3)),
        remedy=(
            command(
                "rpcinfo -p {server} | grep -w 100024 || systemctl enable --now rpcbind rpc-statd",
                server=bare(server),
            ),
            ELSEWHERE,
            UNMONITORED,
        ),
        verify=(registered(server, NSM), try_lock(server)),
        needs=loopback_of(server, victims.clients),
        wait_s=victims.wait_s,
    )


def suspected(signs: Signs) -> Suspicion | None:
    granted, denied, unanswered, _ = signs
    if denied is not None and denied >= 15:
        return None
    if granted is not None and granted >= 55:
        note = f"answered, and not denied, after {seconds(granted)}: Linux asks for statd for 61.6 s, then goes on"
        return Suspicion(note, "", 5)
    if unanswered is not None:
        against = "it would have been answered after a minute" if unanswered > 130 else ""
        note = f"no answer for {seconds(unanswered)}: Linux asks for statd for 61.6 s"
        return Suspicion(note, against, 2 if against else 4)
    if granted is not None:
        return Suspicion(
            "statd may have been started meanwhile", f"the wait was {seconds(granted)} and not a minute", 2
        )
    if denied is not None and denied < 10:
        against = "Linux does not deny, it waits a minute and grants"
        return Suspicion("Ganesha and old kernels deny without statd", against, 1)
    return None
