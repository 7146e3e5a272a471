"""rpc.statd is not registered with the portmapper of an NFS client.

Sees
    The client's own portmapper says over its loopback that program 100024 is not registered: to its lockd, every 3 s,
    before the first LOCK to a server leaves; or to any other host that asks it.

Why it hurts
    Before its first lock on a server a client asks its own statd to watch that server. Without statd Linux asks for it
    for a minute (20 times), with the application hanging, and then sends the LOCK unmonitored: when the server reboots,
    nobody tells this client, and its locks are silently lost. umount may hang likewise.

Not flagged when
    A single question over UDP with AUTH_NONE is told 0: so mount.nfs asks before it starts statd. Statd is found
    later. The answers are of a server's loopback (REG001).

How to confirm
    On the client: rpcinfo -p | grep 100024, and systemctl status rpc-statd.

How to fix
    Start rpcbind and rpc.statd on the client and enable them at boot; then mount again.

References
    X/Open C702 chapter 11 (NSM); RFC 1833; mount.nfs(8); Linux fs/lockd/mon.c.
"""

from __future__ import annotations

from collections.abc import Iterator

from nfsrpc.columns import Table
from nfsrpc.facts.basic import NSM, Roles
from nfsrpc.facts.missing_statd import Unregistered, said, spans
from nfsrpc.findings.advice import START_STATD, answers, bare, loopback_of, registered
from nfsrpc.findings.command import remark
from nfsrpc.findings.finding import Answer, Finding, Rule
from nfsrpc.sessions.grouping import Parts
from nfsrpc.wording import several, utc

RULE = Rule(
    "REG002",
    "statd-not-registered-client",
    "error",
    explains=("REG006",),
    log=("unmonitored", "statd-refused"),
)

REMOUNT = remark("Locks taken meanwhile are not watched: unmount and mount again.")


def check(
    unregistered: tuple[Unregistered, ...], registrations: Table, roles: Roles, loopbacks: frozenset[str]
) -> Iterator[Answer]:
    accused: set[str] = set()
    for missing in unregistered:
        if missing.role != "client" or missing.only_udp:
            continue
        if missing.found is not None:
            yield RULE.clear(f"statd of {missing.host} was not registered until {utc(missing.found)}, and is since")
        else:
            accused.add(missing.host)
            yield finding(missing)
    answers = Parts(registrations.where(registrations["prog"] == NSM), "host")
    for client in sorted({client for client, _ in roles.lock_pairs} - accused):
        asked = answers[client]
        named = asked.where(asked.valid("port") & (asked["port"] > 0))
        if len(named):
            row = named.row(0)
            yield RULE.clear(f"the portmapper of {client} names port {row.port} for statd (frame {row.reply_frame})")
        elif client not in loopbacks:
            yield RULE.cannot_tell("the loopback of the clients was not captured", loopback_of(client))
    if not roles.lock_pairs and not accused:
        yield RULE.cannot_tell("no lock requests in the capture")


def finding(missing: Unregistered) -> Finding:
    rows = list(missing.answers.rows())
    duration = spans(missing.answers["time"])
    host = bare(missing.host)
    return RULE.finding(
        host=missing.host,
        title=f"the client {missing.host} has no rpc.statd registered",
        explanation=(
            f"Its portmapper said {several(len(rows), 'time')} that program 100024 (status) is not registered. Before "
            "its first lock on a server the client's lockd asks its own statd to watch that server; without statd it "
            "looks for it for a minute, with the application hanging, and then sends the LOCK unmonitored."
        ),
        clients=(missing.host,),
        count=len(rows),
        first=rows[0].time,
        last=rows[-1].time,
        evidence=tuple(said(rows)),
        remedy=(*START_STATD, REMOUNT),
        verify=(registered(host, NSM), answers(host, NSM)),
        wait_s=duration or None,
    )
