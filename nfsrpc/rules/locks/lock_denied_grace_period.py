"""The server is in its grace period after a reboot, and denies new locks.

Sees
    LOCK answered with DENIED_GRACE_PERIOD (4), asked again every 5 s until the grace period is over.

Why it matters
    After a reboot a server grants clients the locks that they had, and for that time (Linux 90 s, many filers 45 s)
    no new ones: those wait. This is normal; it is a warning when it lasts longer than two minutes or begins again.

Not flagged when
    Never; it is information unless it lasts. Reclaims that are granted meanwhile do not end the grace period.

How to confirm
    On the server: cat /proc/fs/nfsd/nfsv4gracetime /proc/fs/lockd/nlm_end_grace; uptime.

How to fix
    Wait. If it lasts or comes back: look for a server (or its nfs service, or its cluster) that restarts again and
    again.

References
    X/Open C702 chapter 11; RFC 1813 appendix II; Linux fs/lockd/grace.c.

Parameters
    long_s: a warning when the grace period lasts longer
"""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np

from nfsrpc.columns import NAT, isin
from nfsrpc.facts.stalls import claimed_again
from nfsrpc.findings.command import command
from nfsrpc.findings.finding import Answer, Evidence, Finding, Rule
from nfsrpc.protocols.numbers import Nlm4Stats, NlmProc
from nfsrpc.sessions.exchanges import CALL_CUT
from nfsrpc.sessions.grouping import Parts
from nfsrpc.tables import Calls, Locks
from nfsrpc.wording import SECOND, duration, named, several

RULE = Rule(
    "LCK005",
    "lock-denied-grace-period",
    "info",
    timed="always",
    log=("grace-period", "reclaim-failed"),
    judges="replies to LOCK",
    passes="no LOCK met a grace period",
)

ASKED_S = 60.0  # Linux retries after 5 s; across a longer pause it is unknown whether the grace period went on


def check(requests: Calls, locks: Locks, *, long_s: float = 120.0) -> Iterator[Answer]:
    lock_requests = requests.where(isin(requests["proc"], (NlmProc.LOCK, NlmProc.NM_LOCK)) & requests.valid("status"))
    # Clients that claim their locks again are granted them in the grace period itself; a cut request may be such a one.
    again = isin(lock_requests["exchange"], claimed_again(locks)) | (lock_requests["flags"] & CALL_CUT != 0)
    reclaimed = again & (lock_requests["status"] == Nlm4Stats.GRANTED)
    if len(lock_requests) and reclaimed.all():
        yield RULE.cannot_tell("all LOCKs whose results are in the capture are, or may be, reclaims")
    lock_requests = lock_requests.where(~reclaimed)
    graces = lock_requests.where(lock_requests["status"] == Nlm4Stats.DENIED_GRACE_PERIOD)
    denying = graces["server"].present()
    for server, rows in Parts(lock_requests, "server").items() if denying else ():
        if server in denying:
            yield finding(server, rows, long_s)


def finding(server: str, lock_requests: Calls, long_s: float) -> Finding:
    rows = lock_requests.where(lock_requests["status"] == Nlm4Stats.DENIED_GRACE_PERIOD)
    spells = number_of_spells(lock_requests)
    first, last = rows.row(0), rows.row(len(rows) - 1)
    # A request that was sent before the reboot is denied once the server is back: its reply tells when that was.
    gaps = np.diff(np.sort(rows["reply_time"][rows.valid("reply_time")])) / SECOND
    lasted = float(gaps[gaps <= ASKED_S].sum())
    bad = lasted > long_s or spells > 1
    clients = tuple(sorted({client for client in rows["client"].tolist() if client}))
    again = f", in {rows.counted(spells)} spells" if spells > 1 else ""
    return RULE.finding(
        severity="warning" if bad else "info",
        host=server,
        title=f"{server} is in its grace period: {several(rows.count, 'LOCK')} denied in {duration(lasted)}{again}",
        explanation=(
            f"{server} answered {several(rows.count, 'LOCK')} of {named(clients)} with DENIED_GRACE_PERIOD{again}: it "
            "has restarted, and until clients have claimed their old locks it grants no new ones. "
            + ("It lasts longer than a grace period should, or begins again." if bad else "This ends by itself.")
        ),
        clients=clients,
        count=rows.count,
        first=first.time,
        last=last.time,
        evidence=(
            Evidence.of(first.reply_capture, first.reply_frame, "DENIED_GRACE_PERIOD, the first"),
            *((Evidence.of(last.reply_capture, last.reply_frame, "the last"),) if len(rows) > 1 else ()),
        ),
        remedy=(
            (
                command(
                    "uptime; journalctl -u nfs-server",
                    on="the server",
                    note="does it restart repeatedly?",
                ),
            )
            if bad
            else ()
        ),
        verify=(command("cat /proc/fs/lockd/nlm_end_grace", on="the server", note="Y when the grace period is over"),),
        wait_s=lasted or None,
    )


def number_of_spells(lock_requests: Calls) -> int:
    """The number of grace periods: a new one begins where a LOCK without reclaim was granted between."""
    times = lock_requests["reply_time"]
    order = np.argsort(times, kind="stable") if NAT not in times else np.arange(len(lock_requests))
    status = lock_requests["status"][order]
    denied = (
        status[(status == Nlm4Stats.DENIED_GRACE_PERIOD) | (status == Nlm4Stats.GRANTED)]
        == Nlm4Stats.DENIED_GRACE_PERIOD
    )
    return int(denied[:1].sum() + (denied[1:] & ~denied[:-1]).sum())
