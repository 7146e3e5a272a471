"""A server's lock service restarted without notifying its clients.

Sees
    DENIED_GRACE_PERIOD from a server that this capture shows granting locks before, and no SM_NOTIFY from it.

Why it matters
    The server has lost its locks, and its clients are not asked to reclaim them: each holder goes on as if it had the
    lock, and after the grace period the lock is granted to the next client (LCK009).

Not flagged when
    The server sends its notices, from whatever address, or a client reclaims. No lock was held over the restart. The
    capture lost packets, cuts requests before they say whether they reclaim, does not show who held the locks before
    the restart, or ended before it: cannot tell.

How to confirm
    On the server: uptime -s against systemctl show -p ActiveEnterTimestamp nfs-server.

How to fix
    What held locks has to be restarted. A restart of nfs-server alone notifies no client: sm-notify -f has to follow at
    once, and works only while the server still lists its clients. Linux 6.12 removes them when nfsd stops (6.1 does
    not): there stop the applications first, or reboot.

References
    X/Open C702 chapter 11; sm-notify(8); Linux fs/lockd/grace.c.

Parameters
    notice_s: a notice may come so long after the first denial
"""

from __future__ import annotations

from collections.abc import Iterator

from nfsrpc.columns import NAT, isin
from nfsrpc.facts.basic import Roles
from nfsrpc.facts.coverage import Coverage
from nfsrpc.findings.advice import wire_of
from nfsrpc.findings.command import command, remark
from nfsrpc.findings.finding import Answer, Evidence, Finding, Rule
from nfsrpc.protocols.numbers import Nlm4Stats, NlmProc
from nfsrpc.sessions.exchanges import CALL_CUT
from nfsrpc.sessions.grouping import Parts
from nfsrpc.sessions.stretches import Stretches
from nfsrpc.tables import Calls, Locks, Monitors
from nfsrpc.wording import SECOND, named, several

RULE = Rule(
    "MON008",
    "restart-without-notice",
    "warning",
    explains=("LCK005", "LCK008", "LCK009"),
    timed="always",
    log=("grace-period", "reclaim-failed", "out-of-sync"),
    says_never=True,
    judges="answered LOCK",
    passes="no server restarted without notice while locks were held",
)


def check(
    requests: Calls,
    locks: Locks,
    monitors: Monitors,
    roles: Roles,
    with_portmappers: frozenset[str],
    coverage: Coverage,
    lossy: bool,
    *,
    notice_s: float = 120.0,
) -> Iterator[Answer]:
    lock_requests = requests.where(isin(requests["proc"], (NlmProc.LOCK, NlmProc.NM_LOCK)) & (requests["time"] != NAT))
    graces = lock_requests.where(lock_requests["status"] == Nlm4Stats.DENIED_GRACE_PERIOD)
    claimed = claiming(locks)
    refused = Parts(behind_unseen(locks), "server")
    denials, held = Parts(graces, "server"), Parts(held_before(locks), "server") if len(graces) else {}
    notices = notice_times(monitors, roles) if len(graces) else None
    for server, denied in denials.items():
        first = int(denied["time"].min())
        lost = over(held[server], first)
        until = first + round(notice_s * SECOND)
        if not len(lost):
            yield from held_unseen(server, refused[server], first)
        elif (notices and notices.meet(server, int(lost["granted"].min()), until)) or server in claimed:
            continue
        elif lossy:
            yield RULE.cannot_tell(f"the capture lost packets, among which the notice of {server} may have been")
        elif (denied["flags"] & CALL_CUT != 0).any():
            yield RULE.cannot_tell(f"whether clients of {server} reclaim is cut off (snap length)")
        elif len(seen := lost.where(coverage.ends(lost) >= first)):
            yield finding(server, denied, seen, first, server in with_portmappers)
        else:
            why = f"no capture that shows {server} with the holders of its locks goes on until it restarted"
            yield RULE.cannot_tell(why, wire_of(server))


def behind_unseen(locks: Locks) -> Locks:
    """Lock sessions that were refused because of a holder who is not in the capture."""
    return locks.where(((locks["status"] == Nlm4Stats.DENIED) | locks.valid("blocked")) & ~locks.valid("held_by"))


def held_unseen(server: str, refused: Locks, time: int) -> Iterator[Answer]:
    """The answer where locks were refused before a restart: their holder is not in the capture."""
    if (refused["requested"] < time).any():
        why = f"{server} restarted; who held the locks that it refused before, and was notified, is not captured"
        yield RULE.cannot_tell(why, wire_of(server))


def claiming(locks: Locks) -> frozenset[str]:
    """The servers from which locks were reclaimed: they sent notices, whether these were captured or not."""
    return frozenset(locks.where(locks["reclaim"] | (locks["reclaims"] > 0))["server"].present())


def held_before(locks: Locks) -> Locks:
    """Sessions that had the lock and did not reclaim it."""
    claimed = locks["reclaim"] | (locks["reclaims"] > 0)
    return locks.where(locks.valid("granted") & ~claimed & (locks["state"] != "replaced"))


def over(held: Locks, time: int) -> Locks:
    """The sessions that held their lock when the server restarted."""
    return held.where((held["granted"] < time) & (~held.valid("unlock") | (held["unlock"] > time)))


def notice_times(monitors: Monitors, roles: Roles) -> Stretches:
    """The times of notices from a server, or to its clients from another address that may be the server's."""
    notices = monitors.where((monitors["procedure"] == "NOTIFY") & ~monitors["loopback"] & monitors.valid("asker"))
    rows = notices.where(notices["time"] != NAT).rows()
    return Stretches.of(
        (server, row.time, row.time)
        for row in rows
        for server in {row.asker, roles.calling(row.asker, row.host)}
        if server is not None
    )


def finding(server: str, graces: Calls, lost: Locks, time: int, unfiltered: bool) -> Finding:
    """`unfiltered`: questions to portmappers were captured, as sm-notify asks them; one of lockd's port lacks them."""
    clients = tuple(sorted({client for client in lost["client"].tolist() if client}))
    row, denied = lost.row(0), graces.row(0)
    return RULE.finding(
        certainty="certain" if unfiltered else "likely",
        host=server,
        title=f"{server} restarted its lock service without a reboot notice: {several(lost.count, 'lock')} lost",
        explanation=(
            f"{server} had granted {several(lost.count, 'lock')} to {named(clients)}, and then denied others because "
            "of its grace period: it has restarted. It sent no SM_NOTIFY, so the holders do not reclaim their locks; "
            "after the grace period they are granted to others."
        ),
        clients=clients,
        files=tuple(sorted({file for file in lost["file"].tolist() if file})),
        count=lost.count,
        first=time,
        last=int(graces["time"].max()),
        evidence=(
            Evidence.of(row.granted_capture, row.granted_frame, f"granted to {row.owner} ({row.client})"),
            Evidence.of(denied.reply_capture, denied.reply_frame, "DENIED_GRACE_PERIOD: restarted since"),
        ),
        remedy=(
            remark("restart what holds locks of {server}.", on="{clients}", server=server, clients=named(clients)),
            command(
                "ls /var/lib/nfs/sm /var/lib/nfs/statd/sm",
                on="{server}",
                note="the clients that it would notify; Linux 6.12 lists none after a restart of nfs-server",
                server=server,
            ),
            remark(
                "where they are listed, run sm-notify -f at once after a restart of nfs-server, in the grace period;"
                " later it makes clients lose what they have locked since. Else stop the applications before.",
                on="{server}",
                server=server,
            ),
        ),
        verify=(
            command(
                "systemctl show -p ActiveEnterTimestamp nfs-server; uptime -s",
                on="{server}",
                note="two times: it was no reboot",
                server=server,
            ),
        ),
    )
