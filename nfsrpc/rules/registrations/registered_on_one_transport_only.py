"""A lock service is registered for UDP only, or for IPv6 only.

Sees
    A portmapper says that statd (100024) or the lock manager (100021) is not registered for TCP, and names a port for
    UDP; or likewise for IPv4 and IPv6.

Why it hurts
    The kernel of Linux asks for TCP, its lockd asks for its statd over IPv4: it finds nobody, as if the service did not
    run (REG001, REG003).

Not flagged when
    The missing one is named later, or the other only after the last such answer: then the service was started. UDP is
    missing and TCP is there: so it is meant on many servers. Likely, where the other was named before and then no more:
    the service may have been stopped since (REG001, REG002).

How to confirm
    rpcinfo -p HOST | grep -e 100024 -e 100021

How to fix
    Let the service register both: no -n or restricting options of rpc.statd; tcp=y and udp=y in /etc/nfs.conf; both
    families in /etc/netconfig.

References
    RFC 1833; netconfig(5); nfs.conf(5).
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from nfsrpc.columns import Table
from nfsrpc.facts.attempts import SERVICES
from nfsrpc.facts.basic import NLM, NSM, listed
from nfsrpc.findings.advice import registered
from nfsrpc.findings.command import command, remark
from nfsrpc.findings.finding import Answer, Evidence, Finding, Rule
from nfsrpc.rules import DENIED

RULE = Rule(
    "REG006",
    "registered-on-one-transport-only",
    "warning",
    explains=DENIED,
)

# asked for in vain -> found instead, by netid
LESS = {"tcp": ("udp", "tcp6", "udp6"), "tcp6": ("udp6", "udp"), "udp": ("udp6",)}


def check(registrations: Table) -> Iterator[Answer]:
    about = (registrations["prog"] == NSM) | (registrations["prog"] == NLM)
    told = registrations.valid("port") & registrations.valid("host") & (registrations["state"] == "answered")
    said = registrations.where(about & told)
    refused = list(said.where(said["port"] == 0).rows())
    found = list(said.where(said["port"] > 0).rows()) if refused else []
    named = listed(((row.host, row.prog, row.vers), row) for row in found)
    accused = False
    for (*about_it, netid), rows in listed(((row.host, row.prog, row.vers, row.netid), row) for row in refused).items():
        others, last = named.get(tuple(about_it), []), max(row.time for row in rows)
        less = [other for other in others if other.netid in LESS.get(netid, ()) and other.time <= last]
        if less and not any(other.netid == netid for other in others):
            accused = True
            yield finding(rows[0], max(less, key=lambda other: other.time))
    if accused:
        return
    if (said["port"] > 0).any():
        yield RULE.clear("statd and the lock manager are registered as they were asked for")
    else:
        yield RULE.cannot_tell("no portmapper named statd or the lock manager in the capture")


def finding(row: Any, instead: Any) -> Finding:
    service = SERVICES[row.prog]
    return RULE.finding(
        # What was named before may be gone altogether by now.
        certainty="certain" if instead.time >= row.time else "likely",
        host=row.host,
        title=f"the {service} of {row.host} is registered for {instead.netid}, and not for {row.netid}",
        explanation=(
            f"{row.asker} asked for program {row.prog} over {row.netid} and was told that it is not registered; for "
            f"{instead.netid} the same portmapper names port {instead.port}. The kernel asks for TCP and finds nobody."
        ),
        clients=(row.asker,) if row.asker != row.host else (),
        first=row.time,
        last=row.time,
        evidence=(
            Evidence(row.reply_capture, row.reply_frame, f"not registered for {row.netid}"),
            Evidence(instead.reply_capture, instead.reply_frame, f"port {instead.port} for {instead.netid}"),
        ),
        remedy=(
            command("grep -e tcp -e udp /etc/nfs.conf /etc/netconfig"),
            remark("Let {service} register {netid} as well.", service=service, netid=row.netid),
        ),
        verify=(registered(row.host, row.prog),),
    )
