"""statd takes long to answer SM_MON.

Sees
    SM_MON answered after a second or more, and lock requests late by as much; DNS queries of that host (port 53) that
    stay without answer in the same time. Or no answer to SM_MON yet when the capture ends, nor any from DNS.

Why it matters
    A server's lockd serves no lock request while it waits for its statd. statd looks the name up first: with a name
    service that does not answer it takes 5 s per try.

Not flagged when
    SM_MON was answered within a second. It was answered after lockd had given up, or is still unanswered then: that is
    MON003.

How to confirm
    On that host: time getent hosts ADDRESS-OF-THE-CLIENT.

How to fix
    Repair the resolver (/etc/resolv.conf), or put the peers into /etc/hosts.

References
    resolv.conf(5), timeout and attempts; rpc.statd(8).

Parameters
    slow_s: statd is slow from here on
    gave_up_s: from here on lockd has given up: MON003
"""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np

from nfsrpc.columns import NAT, Array
from nfsrpc.facts.basic import Span
from nfsrpc.facts.signs import Signs, Suspicion
from nfsrpc.facts.stalls import Affected, affected, longest_waits
from nfsrpc.facts.statd_dns import DnsQueries, Unseen, resolver, still_resolving
from nfsrpc.findings.advice import bare
from nfsrpc.findings.command import command
from nfsrpc.findings.finding import Answer, Evidence, Finding, Rule
from nfsrpc.rules import DENIED
from nfsrpc.sessions.grouping import Parts
from nfsrpc.tables import Calls, Monitors
from nfsrpc.wording import NAME_CUT, SECOND, duration, named, several

RESOLVER_S = 5.0  # statd's resolver asks the next time after this

RULE = Rule(
    "MON002",
    "monitor-slow",
    "warning",
    explains=DENIED,
    timed="always",
    judges="answered SM_MON",
    passes="statd answered every SM_MON in time",
)


def check(
    monitors: Monitors,
    stalled: Parts[Calls],
    unresolved: DnsQueries,
    unseen_statd: Unseen,
    span: Span | None,
    *,
    slow_s: float = 1.0,
    gave_up_s: float = 55.0,
) -> Iterator[Answer]:
    mon = monitors.where(monitors["procedure"] == "MON")
    with np.errstate(invalid="ignore"):
        late = (mon["latency_s"] >= slow_s) & (mon["latency_s"] < gave_up_s)
    slow = mon.where(late | still_resolving(mon, unresolved, span, gave_up_s))
    for host, rows in Parts(slow, "host").items():
        waits = so_far(rows, span)
        first, last = int(rows["time"].min()), int((rows["time"] + waits * SECOND).max())
        dns = unresolved.evidence(host, first, last)
        yield finding(host, rows, waits, last, affected(stalled[host], span, first, last), dns)
    if not len(mon):
        yield RULE.cannot_tell(*unseen_statd)


def so_far(rows: Monitors, span: Span | None) -> Array:
    """The waits in seconds; those without an answer last to the end of the capture."""
    end = np.where(rows["reply_time"] == NAT, span.last if span else NAT, rows["reply_time"])
    waits: Array = (end - rows["time"]) / SECOND
    return waits


def finding(host: str, rows: Monitors, waits: Array, last: int, victims: Affected, dns: list[Evidence]) -> Finding:
    longest = float(waits.max())
    worst = rows.row(int(np.argmax(waits)))
    names = named(rows["mon_name"].present()) or NAME_CUT
    because = "Its DNS queries got no answer meanwhile." if dns else "Most often it waits for DNS."
    agreed = worst.reply_frame is not None
    length = f"up to {duration(longest)}" if agreed else f"{duration(longest)} or more"
    return RULE.finding(
        host=host,
        title=f"the rpc.statd of {host} takes {length} to answer SM_MON for {names}",
        explanation=(
            f"{several(rows.count, 'SM_MON')} of its lockd took {length}; the lockd of Linux answers no lock "
            f"request meanwhile. {because}"
        ),
        clients=victims.clients,
        count=rows.count,
        first=int(rows["time"].min()),
        last=last,
        evidence=(
            Evidence(worst.capture, worst.frame, f"SM_MON {worst.mon_name or NAME_CUT}"),
            *dns,
            *(
                (Evidence.of(worst.reply_capture, worst.reply_frame, f"agreed, after {duration(longest)}"),)
                if agreed
                else ()
            ),
            *longest_waits(victims.rows, 1),
        ),
        remedy=(
            *(
                command("time getent hosts {name}", on="{host}", name=name, host=bare(host))
                for name in sorted({name for name in rows["mon_name"].tolist() if name})[:3]
            ),
            resolver(host),
        ),
        verify=(
            command(
                "time getent hosts {name}",
                on="{host}",
                note="takes milliseconds",
                name=worst.mon_name,
                host=host,
            ),
        ),
        wait_s=victims.wait_s,
    )


def suspected(signs: Signs) -> Suspicion | None:
    granted = signs.granted_s
    if signs.resolves and (granted is None or granted < 55):
        return Suspicion("the server's DNS queries get no answer meanwhile", "", 6)
    if granted is None or granted >= 45:
        return None
    if abs(granted - RESOLVER_S * max(np.rint(granted / RESOLVER_S), 1)) < 0.6:
        note = f"{duration(granted)} is about a multiple of 5 s, the timer of statd's resolver: DNS does not answer"
        return Suspicion(note, "", 4)
    against = "the wait is no multiple of the resolver's 5 s"
    return Suspicion("statd may be slow to look up the client's name", against, 1)
