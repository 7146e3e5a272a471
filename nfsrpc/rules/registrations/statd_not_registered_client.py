"""rpc.statd is not registered with the portmapper of an NFS client.

Sees
    The client's own portmapper answers over its loopback that program 100024 is not registered: to its lockd, every
    3 s, before the first LOCK to a server is sent; or to any other host that asks it. Where it was asked once, or over
    UDP or IPv6 only, it is likely.

Why it matters
    Before its first lock on a server a client asks its own statd to monitor that server. Without statd Linux looks for
    it for a minute (20 times), with the application hanging, and then sends the LOCK unmonitored. When the server
    reboots, its reboot notice does not reach this client: it does not reclaim its locks, and they are lost. umount may
    hang likewise.

Not flagged when
    A single question over UDP with AUTH_NONE is answered 0: so mount.nfs asks before it starts statd. Statd is found
    later. The answers are of a server's loopback (REG001).

How to confirm
    On the client: rpcinfo -p | grep 100024, and systemctl status rpc-statd.

How to fix
    Start rpcbind and rpc.statd on the client; mount.nfs starts rpc-statd at each mount unless it is masked. Then mount
    again.

References
    X/Open C702 chapter 11 (NSM); RFC 1833; mount.nfs(8); Linux fs/lockd/mon.c.
"""

from __future__ import annotations

from collections.abc import Iterator

from nfsrpc.facts.basic import Roles
from nfsrpc.facts.missing_statd import Statds, Unregistered, first_and_last_answer
from nfsrpc.findings.advice import START_STATD, answers, bare, loopback_of, registered
from nfsrpc.findings.command import remark
from nfsrpc.findings.finding import Answer, Finding, Rule
from nfsrpc.protocols.numbers import Prog
from nfsrpc.rules.registrations.asked_over import caveat, in_question, only_over, scope
from nfsrpc.rules.registrations.death import death, death_proof
from nfsrpc.wording import SECOND, clock_time, named, times

RULE = Rule(
    "REG002",
    "statd-not-registered-client",
    "error",
    explains=("REG006", "REG007", "MON004"),
    log=("unmonitored", "statd-refused"),
    judges="lock requests",
    passes="statd of each client that locks is registered",
)

REMOUNT = remark("Locks taken meanwhile are not monitored: unmount and mount again.")
ITS_LOCKD = (
    "Before its first lock on a server the client's lockd asks its own statd to monitor that server; without statd it "
    "looks for it for a minute, with the application hanging, and then sends the LOCK unmonitored."
)
NOTICES = (
    "Reboot notices (SM_NOTIFY) of its servers do not reach it: it does not reclaim its locks, which are lost. Its own "
    "locks are delayed by a minute before the client sends them."
)


def check(unregistered: tuple[Unregistered, ...], statds: Statds, roles: Roles) -> Iterator[Answer]:
    of_clients = [missing for missing in unregistered if missing.role == "client" and not missing.only_udp]
    accused = [missing for missing in of_clients if missing.found is None]
    yield from map(finding, accused)
    clients = {client for client, _ in roles.lock_pairs} - {missing.host for missing in accused}
    unseen = [client for client in sorted(clients) if not statds.proof(client)]
    for client in unseen:
        yield RULE.cannot_tell(statds.lack(client), loopback_of(client))
    if accused or unseen:
        return
    for missing in of_clients[:1]:
        yield RULE.clear(f"statd of {missing.host} was not registered until {clock_time(missing.found)}, and is since")
    for client in sorted(clients)[:1]:
        yield RULE.clear(statds.proof(client))


def finding(missing: Unregistered) -> Finding:
    rows, number = list(missing.answers.rows()), missing.answers.count
    host = bare(missing.host)
    over = only_over(row.netid for row in rows if row.source != "DUMP")
    netid = in_question(over)
    first = missing.died.first if missing.died else rows[0].time
    return RULE.finding(
        certainty="certain" if missing.sure and missing.repeated and not over else "likely",
        host=missing.host,
        title=f"the client {missing.host} has no rpc.statd registered{scope(over)}",
        explanation=(
            f"{death(missing)}Its portmapper answered {named({row.asker for row in rows})} {times(number)} that "
            f"program 100024 (status) is not registered.{caveat(over)} {ITS_LOCKD if missing.asked_itself else NOTICES}"
        ),
        clients=(missing.host,),
        count=number,
        first=first,
        last=rows[-1].time,
        evidence=(*death_proof(missing), *first_and_last_answer(rows)),
        remedy=(*START_STATD, REMOUNT),
        verify=(registered(host, Prog.NSM, netid), answers(host, Prog.NSM, netid=netid)),
        # Another host that asks does not wait for a lock.
        wait_s=(missing.last - missing.first) / SECOND or None if missing.asked_itself else None,
    )
