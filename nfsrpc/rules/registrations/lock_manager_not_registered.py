"""The lock manager is not registered with an NFS server's portmapper.

Sees
    A client asks a server's portmapper for program 100021 (nlockmgr) and is told port 0, every 3 s, for ever; no LOCK
    ever leaves.

Why it hurts
    The client does not know whom to ask for a lock. The application hangs in lock, unkillable on older kernels, while
    READ and WRITE go on.

Not flagged when
    The host boots: it tells of its reboot (SM_NOTIFY), resets connections that were there before, is in its grace
    period, or names a port soon after. A server asks its client (CBK001, if a grant waits for it).

How to confirm
    rpcinfo -p SERVER | grep 100021

How to fix
    Start the NFS server's lockd and let it register with the system's rpcbind: restart nfs-server after rpcbind. In a
    container, with the rpcbind of the host that clients ask.

References
    RFC 1833; RFC 1813 appendix II (NLM version 4).

Parameters
    asks: told so often that it is not registered
    found_s: a port that is named so soon makes up for it
    boot_s: a notice of reboot within this explains it, or a sign of it: old connections reset, locks claimed again
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from nfsrpc.columns import Table
from nfsrpc.facts.basic import NLM, Roles, booting, listed
from nfsrpc.findings.advice import RESTART_SERVER, answers, registered, try_lock
from nfsrpc.findings.command import command, remark
from nfsrpc.findings.finding import Answer, Evidence, Finding, Rule
from nfsrpc.rules import STALLED
from nfsrpc.wording import SECOND, named, seconds, several

RULE = Rule(
    "REG003",
    "lock-manager-not-registered",
    "error",
    explains=(*STALLED, "NET002"),
    log=("lockd-silent", "never-sent"),
)


def check(
    registrations: Table,
    restarts: Mapping[str, tuple[int, ...]],
    roles: Roles,
    boots: Mapping[str, tuple[int, ...]],
    *,
    asks: int = 3,
    found_s: float = 30.0,
    boot_s: float = 120.0,
) -> Iterator[Answer]:
    asked = registrations.where((registrations["prog"] == NLM) & ~registrations["loopback"])
    told = list(asked.where(asked.valid("port") & (asked["state"] == "answered")).rows())
    said = [row for row in told if not calls_back(row, roles)]
    refused = [row for row in said if row.port == 0]
    accused = False
    cured = listed((row.host, row) for row in said if row.port and row.time is not None)
    for host, rows in sorted(listed((row.host, row) for row in refused).items()):
        if not persistent(rows, cured.get(host, []), asks, found_s) or booting(
            boots, host, rows[0].time, rows[-1].time, boot_s
        ):
            continue
        accused = True
        if booting(restarts, host, rows[-1].time, rows[-1].time, boot_s):
            yield RULE.cannot_tell(f"{host} was starting: it reset old connections, or had locks claimed again")
        else:
            yield finding(host, rows)
    if accused:
        return
    found = next((row for row in said if row.port), None)
    if found:
        yield RULE.clear(f"the portmapper of {found.host} names port {found.port} (frame {found.reply_frame})")
    elif roles.lock_servers:
        yield RULE.clear(f"lock requests reach {named(roles.lock_servers)}")
    else:
        yield RULE.cannot_tell("no client asked for the lock manager's port in the capture")


def calls_back(row: Any, roles: Roles) -> bool:
    """Whether it is the other way round: a server asks its client."""
    pair = row.host, row.asker
    return pair in roles.pairs or pair in roles.mounting or roles.calling(row.asker, row.host) is not None


def persistent(rows: list[Any], cured: list[Any], asks: int, found_s: float) -> bool:
    """Told again and again, and no port soon after."""
    if len(rows) < asks or rows[0].time is None:
        return False
    return not any(rows[0].time < row.time <= rows[0].time + found_s * SECOND for row in cured)


def finding(host: str, rows: list[Any]) -> Finding:
    first, last = rows[0], rows[-1]
    clients = tuple(sorted({row.asker for row in rows}))
    duration = (last.time - first.time) / SECOND
    return RULE.finding(
        host=host,
        title=f"the server {host} has no lock manager registered",
        explanation=(
            f"Its portmapper told {named(clients)} {several(len(rows), 'time')} in {seconds(duration)} that program "
            "100021 (nlockmgr) is not registered. A client asks again every 3 s, for ever, and sends no LOCK: whoever "
            "wants one hangs, while NFS goes on."
        ),
        clients=clients,
        count=len(rows),
        first=first.time,
        last=last.time,
        evidence=(
            Evidence(first.capture, first.frame, f"{first.asker} asks {host} for 100021 ({first.source})"),
            Evidence(first.reply_capture, first.reply_frame, "not registered"),
            Evidence(last.reply_capture, last.reply_frame, f"not registered, for the {len(rows)}th time"),
        ),
        remedy=(
            command("systemctl enable --now rpcbind"),
            *RESTART_SERVER,
            remark("In a container: it must register with the rpcbind that clients ask."),
        ),
        verify=(registered(host, NLM), answers(host, NLM), try_lock(host)),
        wait_s=duration,
    )
