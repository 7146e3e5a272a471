"""A host tells of its reboot, and is not heard.

Sees
    SM_NOTIFY without reply, or sm-notify's question for the other's statd (100024 over UDP, from one port, at 0, 2, 6,
    14, 30, 62 s) without reply or answered "not registered"; no notice to that host succeeds later.

Why it hurts
    The host that is not told keeps what it had: a client does not claim its locks again, and loses them; a server keeps
    the locks of a client that has forgotten them.

Not flagged when
    A later notice to the same host is answered. The capture does not hold the other direction.

How to confirm
    From the host that rebooted: rpcinfo -u HOST 100024.

How to fix
    Open statd's port (UDP) and 111 on the host that is not reached; fix the port (nfs.conf: [statd] port=). If it has
    gone for good: remove it from /var/lib/nfs/sm.bak.

References
    X/Open C702 chapter 11; sm-notify(8).

Parameters
    tries: so many notices, or questions for statd's port, in vain
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from nfsrpc.columns import NAT, Table
from nfsrpc.facts.basic import AUTH_NONE, NSM, listed
from nfsrpc.findings.advice import bare
from nfsrpc.findings.command import command, remark
from nfsrpc.findings.finding import Answer, Evidence, Finding, Rule
from nfsrpc.wording import several

RULE = Rule(
    "MON004",
    "reboot-notice-unanswered",
    "warning",
    timed="always",
)


def check(monitors: Table, registrations: Table, lossy: bool, *, tries: int = 2) -> Iterator[Answer]:
    notices = list(monitors.where((monitors["procedure"] == "NOTIFY") & ~monitors["loopback"]).rows())
    asked = registrations.where(
        (registrations["prog"] == NSM) & ~registrations["loopback"] & (registrations["transport"] == "udp")
    )
    questions = [row for row in asked.rows() if row.flavor == AUTH_NONE and row.asked_by_transport == "udp"]
    accused = False
    notified, sought = (listed(((row.asker, row.host), row) for row in rows) for rows in (notices, questions))
    for pair in sorted(pair for pair in {**notified, **sought} if all(pair)):
        told, searched = notified.get(pair, []), sought.get(pair, [])
        if any(row.state == "answered" for row in told):
            continue
        failed = [row for row in (*told, *searched) if row.state == "unanswered" and (row.resends or not lossy)]
        refused = [row for row in searched if row.state == "answered" and row.port == 0]
        if sum(1 + row.resends for row in (*failed, *refused)) >= tries and (failed or len(refused) >= tries):
            accused = True
            yield finding(*pair, [*failed, *refused])
    if accused:
        return
    answered = sum(row.state == "answered" for row in notices)
    if answered:
        yield RULE.clear(f"{several(answered, 'notice')} of a reboot answered")
    elif notices or questions:
        yield RULE.cannot_tell("the answers to notices of a reboot would not have been captured")
    else:
        yield RULE.cannot_tell("no host told of a reboot in the capture")


def finding(asker: str, host: str, rows: list[Any]) -> Finding:
    tries = sum(1 + row.resends for row in rows)
    times = [row.time for row in rows if row.time not in (None, NAT)]
    return RULE.finding(
        host=host,
        title=f"{host} does not answer {asker}, which tells of its reboot",
        explanation=(
            f"{asker} has rebooted and tried {several(tries, 'time')} in vain to tell statd of {host} (SM_NOTIFY). "
            "What they locked at each other is now remembered by one side only."
        ),
        clients=(asker,),
        count=tries,
        first=min(times, default=None),
        last=max(times, default=None),
        evidence=tuple(Evidence(row.capture, row.frame, f"{asker} to {host}") for row in rows[:1] + rows[1:][-1:]),
        remedy=(
            remark(
                "open UDP port 111 and statd's port for {asker}; start rpc-statd.",
                on="{host}",
                asker=asker,
                host=host,
            ),
            command("sm-notify -f", on="{asker}", note="when {host} can be reached", asker=asker, host=host),
        ),
        verify=(command("rpcinfo -u {host} 100024", on="{asker}", host=bare(host), asker=asker),),
    )
