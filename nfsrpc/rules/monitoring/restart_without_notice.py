"""A server's lock service restarted, and nobody was told.

Sees
    DENIED_GRACE_PERIOD from a server that this capture shows granting locks before, and no SM_NOTIFY from it.

Why it hurts
    The server has forgotten its locks, and clients do not know that they have to claim them again: who held one
    believes to hold it still, and after the grace period it is granted to the next (LCK009).

Not flagged when
    The server tells of its reboot, from whatever address. No lock was held over the restart.

How to confirm
    On the server: uptime against systemctl show -p ActiveEnterTimestamp nfs-server.

How to fix
    Let statd notify whenever the lock service restarts: systemctl restart rpc-statd-notify, or sm-notify -f, after
    nfs-server.

References
    X/Open C702 chapter 11; sm-notify(8); Linux fs/lockd/grace.c.

Parameters
    notice_s: a notice may come so long after the first denial
"""

from __future__ import annotations

from collections.abc import Iterator

from nfsrpc.columns import NAT, Table, isin
from nfsrpc.facts.basic import LOCK, NM_LOCK, Roles
from nfsrpc.findings.command import command
from nfsrpc.findings.finding import Answer, Evidence, Finding, Rule
from nfsrpc.sessions.grouping import Parts
from nfsrpc.sessions.stretches import Stretches
from nfsrpc.wording import SECOND, named, several

RULE = Rule(
    "MON008",
    "restart-without-notice",
    "warning",
    explains=("LCK005", "LCK008", "LCK009"),
    timed="always",
    log=("grace-period", "reclaim-failed", "out-of-sync"),
)

GRACE = 4


def check(
    requests: Table,
    locks: Table,
    monitors: Table,
    roles: Roles,
    lossy: bool,
    *,
    notice_s: float = 120.0,
) -> Iterator[Answer]:
    asked = requests.where(isin(requests["proc"], (LOCK, NM_LOCK)) & (requests["time"] != NAT))
    graces = asked.where(asked["status"] == GRACE)
    accused = False
    denials, held = Parts(graces, "server"), Parts(held_before(locks), "server") if len(graces) else {}
    notices = told(monitors, roles) if len(graces) else None
    for server, denied in denials.items():
        first = int(denied["time"].min())
        lost = over(held[server], first)
        until = first + round(notice_s * SECOND)
        if len(lost) and not (notices and notices.meet(server, int(lost["granted"].min()), until)):
            accused = True
            if lossy:
                yield RULE.cannot_tell(f"the capture lost packets, among which the notice of {server} may have been")
                continue
            yield finding(server, denied, lost, first)
    if accused:
        return
    if denials:
        yield RULE.clear("no lock was held over the restart, or the server told of it")
    elif len(asked):
        yield RULE.clear("no server was in its grace period")
    else:
        yield RULE.cannot_tell("no lock requests in the capture")


def held_before(locks: Table) -> Table:
    """Sessions that had the lock and did not claim it again."""
    claimed = locks["reclaim"] | (locks["reclaims"] > 0)
    return locks.where(locks.valid("granted") & ~claimed & (locks["state"] != "replaced"))


def over(held: Table, time: int) -> Table:
    """Those that had it when the server restarted."""
    return held.where((held["granted"] < time) & (~held.valid("unlock") | (held["unlock"] > time)))


def told(monitors: Table, roles: Roles) -> Stretches:
    """When a notice came from a server, or to a client of it from another address that may be the server's."""
    notices = monitors.where((monitors["procedure"] == "NOTIFY") & ~monitors["loopback"] & monitors.valid("asker"))
    rows = notices.where(notices["time"] != NAT).rows()
    return Stretches.of(
        (server, row.time, row.time)
        for row in rows
        for server in {row.asker, roles.calling(row.asker, row.host)}
        if server is not None
    )


def finding(server: str, graces: Table, lost: Table, time: int) -> Finding:
    clients = tuple(sorted({client for client in lost["client"].tolist() if client}))
    row, denied = lost.row(0), graces.row(0)
    return RULE.finding(
        host=server,
        title=f"{server} restarted its lock service and told nobody: {several(len(lost), 'lock')} lost",
        explanation=(
            f"{server} had granted {several(len(lost), 'lock')} to {named(clients)}, and then denied others because of "
            "its grace period: it has restarted. It sent no SM_NOTIFY, so the holders do not claim their locks again; "
            "after the grace period the locks go to others."
        ),
        clients=clients,
        files=tuple(sorted({file for file in lost["file"].tolist() if file})),
        count=len(lost),
        first=time,
        last=int(graces["time"].max()),
        evidence=(
            Evidence(row.granted_capture, row.granted_frame, f"granted to {row.owner} ({row.client})"),
            Evidence(denied.reply_capture, denied.reply_frame, "DENIED_GRACE_PERIOD: restarted since"),
        ),
        remedy=(command("sm-notify -f", on="the server", note="whenever nfs-server was restarted"),),
        verify=(command("systemctl show -p ActiveEnterTimestamp nfs-server; uptime -s", on="the server"),),
    )
