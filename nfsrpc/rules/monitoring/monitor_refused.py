"""statd refuses to monitor a host: SM_MON is answered STAT_FAIL.

Sees
    SM_MON, which lockd calls over its own loopback, answered with STAT_FAIL.

Why it matters
    A server's lockd then answers LOCK with DENIED_NOLOCKS; a client's sends none. Applications get ENOLCK.

Not flagged when
    statd agrees when asked again.

How to confirm
    journalctl -u rpc-statd; getent hosts NAME for the name that SM_MON carries; ls -ld /var/lib/nfs/sm (RHEL, SLES:
    /var/lib/nfs/statd/sm).

How to fix
    Make the name resolve on that host, and its statd's state directory (/var/lib/nfs/statd or /var/lib/nfs) writable
    for the user that statd runs as.

References
    X/Open C702 chapter 11; rpc.statd(8).
"""

from __future__ import annotations

from collections.abc import Iterator

from nfsrpc.columns import NAT
from nfsrpc.facts.basic import Roles, Span
from nfsrpc.facts.signs import Signs, Suspicion
from nfsrpc.facts.stalls import Affected, affected, longest_waits
from nfsrpc.facts.statd_dns import Unseen
from nfsrpc.findings.advice import bare, restart_statd
from nfsrpc.findings.command import command
from nfsrpc.findings.finding import Answer, Evidence, Finding, Rule
from nfsrpc.protocols.numbers import SmRes
from nfsrpc.rules import DENIED
from nfsrpc.sessions.grouping import Parts
from nfsrpc.sessions.stretches import Stretches
from nfsrpc.tables import Calls, Monitors
from nfsrpc.wording import NAME_CUT, duration, named, several

RULE = Rule(
    "MON001",
    "monitor-refused",
    "error",
    explains=DENIED,
    log=("unmonitored",),
    judges="answered SM_MON",
    passes="statd agreed to monitor every peer",
)


def check(
    monitors: Monitors, stalled: Parts[Calls], roles: Roles, unseen_statd: Unseen, span: Span | None
) -> Iterator[Answer]:
    mon = monitors.where(monitors["procedure"] == "MON")
    refused = mon.where(mon["result"] == SmRes.STAT_FAIL)
    agreed = mon.where(mon["result"] == SmRes.STAT_SUCC)
    times_agreed = Stretches((agreed["host"],), agreed["time"])
    for host, rows in Parts(refused, "host").items():
        if times_agreed.following(host, int(rows["time"].max())) is not None:
            continue
        first, last = int(rows["time"].min()), int(rows["time"].max())
        yield finding(host, rows, affected(stalled[host], span, first, last), host in roles.clients)
    if not len(mon):
        yield RULE.cannot_tell(*unseen_statd)


def finding(host: str, rows: Monitors, victims: Affected, client: bool) -> Finding:
    first = rows.row(0)
    names = named(rows["mon_name"].present()) or NAME_CUT
    time = first.time if first.time != NAT else None
    return RULE.finding(
        host=host,
        title=f"the rpc.statd of {host} refuses to monitor {names}",
        explanation=(
            f"lockd of {host} asked its statd {several(rows.count, 'time')} to monitor {names} (SM_MON), which "
            "answered STAT_FAIL. Then a server's lockd denies locks (DENIED_NOLOCKS), and a client's sends no LOCK."
        ),
        clients=victims.clients or ((host,) if client else ()),
        count=rows.count,
        first=time,
        last=rows.row(len(rows) - 1).time,
        evidence=(
            Evidence(first.capture, first.frame, f"SM_MON {first.mon_name or NAME_CUT}"),
            Evidence.of(first.reply_capture, first.reply_frame, "STAT_FAIL"),
            *longest_waits(victims.rows, 1),
        ),
        remedy=(
            *(
                command("getent hosts {name}", on="{host}", name=name, host=bare(host))
                for name in sorted({name for name in rows["mon_name"].tolist() if name})[:3]
            ),
            command(
                "ls -ld /var/lib/nfs/sm /var/lib/nfs/statd/sm; journalctl -u rpc-statd",
                on="{host}",
                note="the one that exists has to be writable for the user of rpc.statd",
                host=bare(host),
            ),
            restart_statd(host),
        ),
        verify=(command("journalctl -u rpc-statd --since -5min", on="{host}", host=bare(host)),),
        wait_s=victims.wait_s,
    )


def suspected(signs: Signs) -> Suspicion | None:
    if signs.denied_s is None or signs.denied_s >= 5:
        return None
    note = f"DENIED_NOLOCKS after {duration(signs.denied_s)}: so lockd answers when statd refuses to monitor"
    return Suspicion(note, "", 3)
