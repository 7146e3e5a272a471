"""statd does not answer SM_MON.

Sees
    SM_MON, which lockd calls over its own loopback, without reply, or with one that comes after lockd has given up
    (Linux waits a minute, Ganesha 18 s).

Why it matters
    A server's lockd serves no lock request while it waits; then it denies (DENIED_NOLOCKS). When statd answers again,
    copies of the same LOCK may be granted to an application that has long given up: the lock stays behind (LCK008).

Not flagged when
    The capture ends within 10 s of the call, or before lockd gives up while DNS does not answer (MON002); before lockd
    gives up it is likely. lockd goes on at once, so that it had an answer, or the loopback's capture lost packets. The
    port of statd is closed: that is REG007.

How to confirm
    On that host: rpcinfo -t localhost 100024; cat /proc/$(pidof rpc.statd)/{status,wchan,stack}.

How to fix
    Restart rpc.statd; look what it hangs in (name service, a disk that is full or away).

References
    X/Open C702 chapter 11; Linux fs/lockd/mon.c.

Parameters
    gave_up_s: an answer is too late from here on
    served_s: a lockd that serves or asks within this had its answer, unless a LOCK is denied after longer
"""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np

from nfsrpc.columns import NAT, Mask
from nfsrpc.facts.basic import Span
from nfsrpc.facts.signs import Signs, Suspicion
from nfsrpc.facts.stalls import Affected, late, longest_waits
from nfsrpc.facts.statd_dns import Unseen, resolver, still_resolving
from nfsrpc.facts.statd_search import LockWaits
from nfsrpc.findings.advice import answers, bare, restart_statd
from nfsrpc.findings.command import command
from nfsrpc.findings.finding import Answer, Evidence, Finding, Rule
from nfsrpc.protocols.numbers import Nlm4Stats, Prog
from nfsrpc.rules import DENIED
from nfsrpc.sessions.grouping import Parts
from nfsrpc.sessions.stretches import Stretches
from nfsrpc.tables import Calls, Monitors
from nfsrpc.wording import NAME_CUT, SECOND, duration, named, several

RULE = Rule(
    "MON003",
    "monitor-unanswered",
    "error",
    explains=(*DENIED, "LCK008", "MON002"),
    timed="always",
    log=("unmonitored", "statd-silent"),
    judges="answered SM_MON",
    passes="every SM_MON was answered",
)


def check(
    monitors: Monitors,
    stalls: Calls,
    requests: Calls,
    lock_waits: LockWaits,
    gaps: frozenset[frozenset[str]],
    unseen_statd: Unseen,
    *,
    gave_up_s: float = 55.0,
    served_s: float = 10.0,
) -> Iterator[Answer]:
    span = lock_waits.span
    mon = monitors.where((monitors["procedure"] == "MON") & monitors["loopback"])
    silent = (mon["state"] == "unanswered") & ~lockd_went_on(mon, requests, stalls, served_s)
    silent &= ~mon["host"].choose(lambda host: frozenset((host,)) in gaps)
    silent &= ~still_resolving(mon, lock_waits.unresolved, span, gave_up_s)
    failed = mon.where(silent | too_late(mon, stalls, gave_up_s))
    for host, rows in Parts(failed, "host").items():
        first, last = int(rows["time"].min()), last_of(rows)
        dns = lock_waits.unresolved.evidence(host, first, last)
        victims = lock_waits.during(host, first, last)
        yield finding(host, rows, victims, dns, gave_up(rows, victims, span, gave_up_s))
    if len(failed):
        return
    undecided = int(mon["state"].isin(("undecided", "unanswered")).sum())
    if undecided:
        yield RULE.cannot_tell(f"the capture ends before, or lacks, the answer to {several(undecided, 'SM_MON')}")
    elif not len(mon):
        yield RULE.cannot_tell(*unseen_statd)


def lockd_went_on(mon: Monitors, requests: Calls, stalls: Calls, served_s: float) -> Mask:
    """Which SM_MON had an answer: their lockd, which has one thread, served or sent requests soon after.

    Ganesha has many threads: where a LOCK that waited meanwhile was denied for it, others that were served say nothing.
    """
    mask = np.zeros(len(mon), dtype=np.bool_)
    if not len(mon):
        return mask
    served = requests.where(requests["status"] != Nlm4Stats.DENIED_NOLOCKS)
    answers = Stretches((served["server"],), served["reply_time"])
    calls = Stretches((requests["client"],), requests["time"])
    denied = stalls.where((stalls["status"] == Nlm4Stats.DENIED_NOLOCKS) & late(stalls, served_s))
    waits = Stretches((denied["server"],), denied["time"], denied["reply_time"])
    for number, row in enumerate(mon.rows()):
        soon = row.time + 1, row.time + round(served_s * SECOND) - 1
        went_on = answers.meet(row.host, *soon) or calls.meet(row.host, *soon)
        mask[number] = went_on and not waits.meet(row.host, row.time, row.time)
    return mask


def too_late(mon: Monitors, stalls: Calls, gave_up_s: float) -> Mask:
    """Which SM_MON were answered after lockd had given up: after a minute, or after it had denied a lock."""
    with np.errstate(invalid="ignore"):
        mask: Mask = mon["latency_s"] >= gave_up_s
    rows = stalls.where(stalls["status"] == Nlm4Stats.DENIED_NOLOCKS)
    denied = Stretches((rows["server"],), rows["reply_time"])
    for number, row in enumerate(mon.rows()):
        if row.reply_time is not None and row.latency_s is not None and row.latency_s >= 1.0:
            mask[number] |= denied.meet(row.host, row.time + SECOND + 1, row.reply_time - 1)
    return mask


def gave_up(rows: Monitors, victims: Affected, span: Span | None, gave_up_s: float) -> bool:
    """Whether lockd gave up waiting; else statd may be slow, and answer later."""
    waited_out = span is not None and (span.last - rows["time"] >= gave_up_s * SECOND).any()
    return bool(
        waited_out or (rows["reply_time"] != NAT).any() or (victims.rows["status"] == Nlm4Stats.DENIED_NOLOCKS).any()
    )


def last_of(rows: Monitors) -> int:
    replies = rows["reply_time"][rows["reply_time"] != NAT]
    return max(int(rows["time"].max()), *map(int, replies.tolist()), NAT)


def finding(host: str, rows: Monitors, victims: Affected, dns: list[Evidence], sure: bool) -> Finding:
    first = rows.row(0)
    names = named(rows["mon_name"].present()) or NAME_CUT
    late = f"; one answer came after {duration(first.latency_s)}" if first.latency_s is not None else ""
    replied = first.reply_frame is not None
    hangs = "It waits for DNS, which does not answer." if dns else "Its port accepts the call, so it runs and hangs."
    return RULE.finding(
        certainty="certain" if sure else "likely",
        host=host,
        title=f"the rpc.statd of {host} does not answer",
        explanation=(
            f"lockd of {host} asked its statd {several(rows.count, 'time')} to monitor {names} (SM_MON) and got no "
            f"answer in time{late}. {hangs} The lock request waits meanwhile, and is then denied; Linux "
            "answers no other either."
        ),
        clients=victims.clients,
        count=rows.count,
        first=first.time,
        last=last_of(rows),
        evidence=(
            Evidence(first.capture, first.frame, f"SM_MON {first.mon_name or NAME_CUT}"),
            *dns,
            *((Evidence.of(first.reply_capture, first.reply_frame, "answered too late"),) if replied else ()),
            *longest_waits(victims.rows, 2),
        ),
        remedy=(
            resolver(host)
            if dns
            else command(
                "cat /proc/$(pidof rpc.statd)/wchan; journalctl -u rpc-statd",
                on="{host}",
                note="what it waits for, before it is restarted",
                host=bare(host),
            ),
            restart_statd(host),
        ),
        verify=(answers(host, Prog.NSM),),
        wait_s=victims.wait_s,
    )


def suspected(signs: Signs) -> Suspicion | None:
    granted, denied, unanswered, _, _ = signs
    if denied is not None and denied >= 15:
        note = f"DENIED_NOLOCKS after {duration(denied)}: Linux waits 60 s for statd's answer, Ganesha 18 s"
        return Suspicion(note, "", 5)
    if unanswered is not None:
        return Suspicion(f"no answer for {duration(unanswered)}: lockd may wait for a statd that hangs", "", 3)
    if granted is not None and granted >= 55:
        return Suspicion("lockd waits 60 s for a statd that hangs", "it would have denied then", 1)
    return None
