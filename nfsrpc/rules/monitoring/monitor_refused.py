"""statd refuses to watch a host: SM_MON is answered STAT_FAIL.

Sees
    SM_MON, which lockd calls over its own loopback, answered with STAT_FAIL.

Why it hurts
    A server's lockd then answers LOCK with DENIED_NOLOCKS; a client's sends none. Applications get ENOLCK.

Not flagged when
    statd agrees when asked again.

How to confirm
    journalctl -u rpc-statd; getent hosts NAME for the name that SM_MON carries; ls -ld /var/lib/nfs/sm.

How to fix
    Make the name resolve on that host, and its statd's state directory (/var/lib/nfs/statd or /var/lib/nfs) writable
    for the user that statd runs as.

References
    X/Open C702 chapter 11; rpc.statd(8).
"""

from __future__ import annotations

from collections.abc import Iterator

from nfsrpc.columns import NAT, Table
from nfsrpc.facts.basic import Roles, Span
from nfsrpc.facts.signs import Signs, Suspicion
from nfsrpc.facts.stalls import Hurt, hurt, waited
from nfsrpc.facts.statd_dns import nothing_seen
from nfsrpc.findings.advice import RESTART_STATD
from nfsrpc.findings.command import command
from nfsrpc.findings.finding import Answer, Evidence, Finding, Rule
from nfsrpc.rules import DENIED
from nfsrpc.sessions.grouping import Parts
from nfsrpc.sessions.stretches import Stretches
from nfsrpc.wording import named, seconds, several

RULE = Rule(
    "MON001",
    "monitor-refused",
    "error",
    explains=DENIED,
    log=("unmonitored",),
)

SUCCEEDED, FAILED = 0, 1


def check(
    monitors: Table, stalled: Parts, roles: Roles, loopbacks: frozenset[str], span: Span | None
) -> Iterator[Answer]:
    asked = monitors.where(monitors["procedure"] == "MON")
    refused = asked.where(asked["result"] == FAILED)
    accused = False
    agreed = asked.where(asked["result"] == SUCCEEDED)
    times_agreed = Stretches((agreed["host"],), agreed["time"])
    for host, rows in Parts(refused, "host").items():
        if times_agreed.following(host, int(rows["time"].max())) is not None:
            continue
        accused = True
        first, last = int(rows["time"].min()), int(rows["time"].max())
        yield finding(host, rows, hurt(stalled[host], span, first, last), host in roles.clients)
    if accused:
        return
    if len(agreed):
        yield RULE.clear(f"statd agreed to watch, {several(len(agreed), 'time')}")
    else:
        yield from nothing_seen(RULE, roles, loopbacks)


def finding(host: str, rows: Table, victims: Hurt, client: bool) -> Finding:
    first = rows.row(0)
    names = named({name for name in rows["mon_name"].tolist() if name})
    time = first.time if first.time != NAT else None
    return RULE.finding(
        host=host,
        title=f"the rpc.statd of {host} refuses to watch {names}",
        explanation=(
            f"lockd of {host} asked its statd {several(len(rows), 'time')} to watch {names} (SM_MON) and was answered "
            "STAT_FAIL. Without that it grants no lock (DENIED_NOLOCKS), and as a client asks for none."
        ),
        clients=victims.clients or ((host,) if client else ()),
        count=len(rows),
        first=time,
        last=rows.row(len(rows) - 1).time,
        evidence=(
            Evidence(first.capture, first.frame, f"SM_MON {first.mon_name}"),
            Evidence(first.reply_capture, first.reply_frame, "STAT_FAIL"),
            *waited(victims.rows, 1),
        ),
        remedy=(
            *(
                command("getent hosts {name}", name=name)
                for name in sorted({name for name in rows["mon_name"].tolist() if name})[:3]
            ),
            command("ls -ld /var/lib/nfs /var/lib/nfs/sm; journalctl -u rpc-statd"),
            *RESTART_STATD,
        ),
        verify=(command("journalctl -u rpc-statd --since -5min"),),
        wait_s=victims.wait_s,
    )


def suspected(signs: Signs) -> Suspicion | None:
    if signs.denied_s is None or signs.denied_s >= 5:
        return None
    note = f"DENIED_NOLOCKS after {seconds(signs.denied_s)}: so lockd answers when statd refuses to watch"
    return Suspicion(note, "", 3)
