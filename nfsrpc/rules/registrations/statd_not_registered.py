"""rpc.statd is not registered with the portmapper of an NFS server.

Sees
    The server's own portmapper answers port 0 (v2) or an empty address (v3, v4) for program 100024: to the server's
    lockd over its loopback (every 3 s while a LOCK waits), to any other host that asks, or by leaving it out of a
    complete list. From the wire alone: the first LOCK of a client waits for a minute or more while NFS of the same
    server is quick and lockd answers no later request; then it is likely, and the server's loopback would prove it.

Why it matters
    The server's lockd has one thread, and before it grants a client host its first lock it asks statd to monitor that
    host. Linux looks for statd 20 times, 3 s apart; all other lock requests wait meanwhile, and READ and WRITE go on.
    Then it grants, but unmonitored: after a reboot those locks are silently lost. Others (Ganesha) answer
    DENIED_NOLOCKS at once.

Not flagged when
    A single question over UDP with AUTH_NONE is answered 0: rpc.statd sends such a question when it starts, and
    mount.nfs before it starts statd. A monitoring system asks for all programs of a server that names no lock manager
    and serves no locks (NFSv4 alone). Statd is found later: then it has been started. The answers are of a client's
    loopback (REG002).
    Where the capture does not show what the host is, or it was asked for once or over UDP or IPv6 only, it is likely.
    From the wire: NFS waits as well, the lock request was not even acknowledged (over UDP: lockd answered nothing
    over UDP, or ICMP says that it is unreachable), or was answered from another address; lockd answered a later
    request meanwhile, held its reply back until the range was released, or may do so, because another session holds
    the range of all requests that wait; statd was named meanwhile, or in a capture whose clock cannot be compared
    (CAP007); or nothing has ended the wait yet and DNS does not answer the server. The server boots; but a request
    that was sent after its notice and waits for just as long as Linux looks for statd is flagged.

How to confirm
    On the server: rpcinfo -p | grep 100024, and systemctl status rpc-statd.

How to fix
    Start rpcbind and rpc.statd on the server. nfs-server starts rpc-statd at boot unless it is masked. Clients that
    were granted locks meanwhile stay unmonitored until they unmount and mount again.

References
    X/Open C702 chapter 11 (NSM); RFC 1833; rpc.statd(8); Linux fs/lockd/mon.c.

Parameters
    boot_s: a reboot notice within this time explains one or two such answers, or a stall
    minute_s: from the wire: an answer after less is not Linux looking for statd
    longest_s: from the wire: an answer after more is not Linux looking for statd either
    nfs_s: from the wire: NFS that waits so long is not quick
    first_lock_s: from the wire: of a client that got a lock at once within this time before, it is not the first lock
"""

from __future__ import annotations

from collections.abc import Iterator

from nfsrpc.facts.missing_statd import Statds, Unregistered, first_and_last_answer
from nfsrpc.facts.other_clocks import OtherClocks
from nfsrpc.facts.signs import Signs, Suspicion
from nfsrpc.facts.stalls import Affected, longest_waits
from nfsrpc.facts.statd_search import LockWaits, Stall
from nfsrpc.findings.advice import START_STATD, bare, loopback_of, registered, try_lock
from nfsrpc.findings.command import Command, command, remark
from nfsrpc.findings.finding import Answer, Finding, Rule
from nfsrpc.protocols.numbers import Nlm4Stats, Prog
from nfsrpc.rules import DENIED
from nfsrpc.rules.registrations.asked_over import caveat, in_question, only_over, scope
from nfsrpc.rules.registrations.death import death, death_proof
from nfsrpc.sessions.stretches import Stretches
from nfsrpc.wording import SECOND, clock_time, duration, named, several, times

RULE = Rule(
    "REG001",
    "statd-not-registered",
    "error",
    explains=(*DENIED, "LCK008", "REG006", "REG007", "MON004"),
    timed="likely",
    log=("lockd-silent", "unmonitored"),
    asks_causes="likely",
    judges="lock requests",
    passes="statd of each server is registered",
)

ON_A_SERVER = (
    "Before a client host's first lock lockd asks statd to monitor that host; without statd it searches for a minute, "
    "while all other lock requests wait, and then grants unmonitored, or it denies at once. NFS keeps working."
)
IF_A_CLIENT = (
    " So it is on a server; the capture does not show whether this host is one. On a client (REG002) its own locks "
    "are delayed by a minute before the client sends them."
)
ELSEWHERE = remark("An appliance or Ganesha: enable its NSM (status monitor) service.")


def check(
    unregistered: tuple[Unregistered, ...],
    statds: Statds,
    lock_waits: LockWaits,
    other_clocks: OtherClocks,
    *,
    boot_s: float = 120.0,
    minute_s: float = 50.0,
    longest_s: float = 190.0,
    nfs_s: float = 2.0,
    first_lock_s: float = 300.0,
) -> Iterator[Answer]:
    of_servers = [missing for missing in unregistered if missing.role != "client" and not missing.only_udp]
    found = [
        certain_finding(missing, lock_waits.during(missing.host, missing.first, missing.last))
        for missing in of_servers
        if is_missing(missing, lock_waits, boot_s)
    ]
    left = statds.roles.lock_servers - {finding.host for finding in found}
    unproven = (server for server in sorted(left - statds.loopbacks) if not other_clocks.shows_statd(server))
    stalls = (lock_waits.stall(server) for server in unproven)
    searches = [stall for stall in stalls if stall.is_search(minute_s, longest_s, first_lock_s)]
    waiting = lock_waits.nfs(nfs_s)
    found += [likely_finding(stall) for stall in searches if not is_refuted(stall, waiting, statds, lock_waits, boot_s)]
    yield from found
    left -= {finding.host for finding in found}
    unseen = [server for server in sorted(left) if not (server in statds.loopbacks and statds.proof(server))]
    yield from (RULE.cannot_tell(*statds.unseen(server)) for server in unseen)
    if not found and not unseen:
        yield from passes(of_servers, left, statds)


def is_missing(missing: Unregistered, lock_waits: LockWaits, boot_s: float) -> bool:
    """Whether statd stays unregistered, and not only for a moment while the host boots."""
    if missing.found is not None:
        return False
    return len(missing.answers) > 2 or not lock_waits.has_booted(missing.host, missing.first, missing.last, boot_s)


def is_refuted(stall: Stall, nfs: Stretches, statds: Statds, lock_waits: LockWaits, boot_s: float) -> bool:
    """Whether something else explains the wait, or shows that statd is there."""
    server, (first, last) = stall.server, stall.span
    rebooted = lock_waits.has_booted(server, first, last, boot_s) and not stall.searched_after_boot()
    return rebooted or nfs.meet(server, first - SECOND, last) or statds.last_named.get(server, first) > first


def passes(of_servers: list[Unregistered], servers: frozenset[str], statds: Statds) -> Iterator[Answer]:
    """The passing answers with their evidence, where nothing is found and nothing is missing."""
    started = next((missing for missing in of_servers if missing.found is not None), None)
    if started is not None:
        yield RULE.clear(f"statd of {started.host} was not registered until {clock_time(started.found)}, and is since")
    elif servers:
        yield RULE.clear(statds.proof(min(servers)))


def certain_finding(missing: Unregistered, victims: Affected) -> Finding:
    rows, answers = list(missing.answers.rows()), missing.answers.count
    host, on_server = bare(missing.host), missing.role == "server"
    over = "" if missing.asked_itself else only_over(row.netid for row in rows if row.source != "DUMP")
    denied = bool((victims.rows["status"] == Nlm4Stats.DENIED_NOLOCKS).any())
    certain = on_server and missing.sure and not over and (missing.repeated or denied)
    first, last = stretch(missing, victims)
    return RULE.finding(
        certainty="certain" if certain else "likely",
        host=missing.host,
        title=f"{'the server ' if on_server else ''}{missing.host} has no rpc.statd registered{scope(over)}",
        explanation=(
            f"{death(missing)}Its portmapper answered {times(answers)} that program 100024 (status) is not registered"
            f"{'' if missing.sure else ' (which program was asked for is cut off)'}.{caveat(over)} "
            f"{ON_A_SERVER}{'' if on_server else IF_A_CLIENT}"
        ),
        clients=victims.clients,
        count=answers,
        first=first,
        last=last,
        evidence=(*death_proof(missing), *first_and_last_answer(rows), *longest_waits(victims.rows)),
        remedy=(*START_STATD, ELSEWHERE, *unmonitored(victims)),
        verify=(registered(host, Prog.NSM, in_question(over)), *((try_lock(host),) if on_server else ())),
        wait_s=victims.wait_s,
    )


def stretch(missing: Unregistered, victims: Affected) -> tuple[int, int]:
    """From the death of statd, the first query for it or the first lock that waited to the last answer."""
    first = min(missing.first, victims.first or missing.first)
    return missing.died.first if missing.died else first, max(missing.last, victims.last or missing.last)


def likely_finding(stall: Stall) -> Finding:
    rows, victims = stall.rows, stall.victims
    server, wait = stall.server, duration(victims.wait_s or 0)
    first, last = stall.span
    return RULE.finding(
        certainty="likely",
        host=server,
        title=f"the server {server} probably has no rpc.statd registered",
        explanation=(
            f"{several(rows.count, 'lock request')} of {named(victims.clients)} waited up to {wait} for the server's "
            f"lockd, which {stall.acknowledged}answered no later request{stall.others_answered}. "
            "A server whose lockd looks for a statd that is not registered does this. The proof, lockd asking its own "
            "portmapper, passes over the server's loopback, which was not captured."
        ),
        clients=victims.clients,
        count=rows.count,
        first=first,
        last=last,
        evidence=tuple(longest_waits(rows, 3)),
        remedy=(
            command(
                "rpcinfo -p {server} | grep -w 100024", server=bare(server), note="prints nothing without statd; then"
            ),
            *START_STATD,
            ELSEWHERE,
            *unmonitored(victims),
        ),
        verify=(registered(server, Prog.NSM), try_lock(server)),
        needs=loopback_of(server, victims.clients),
        wait_s=victims.wait_s,
    )


def unmonitored(victims: Affected) -> tuple[Command, ...]:
    """A sentence on the clients that stay unmonitored."""
    clients = named(victims.clients) or "Clients that were granted locks meanwhile"
    return (remark("{clients}: unmonitored until they unmount and mount again.", clients=clients),)


def suspected(signs: Signs) -> Suspicion | None:
    granted, denied, unanswered = signs.granted_s, signs.denied_s, signs.open_s
    if signs.served or (denied is not None and denied >= 15):
        return None
    if granted is not None and granted >= 55:
        note = f"answered, and not denied, after {duration(granted)}: Linux asks for statd for 61.6 s, then goes on"
        return Suspicion(note, "", 5)
    if unanswered is not None:
        against = "it would have been answered after a minute" if unanswered > 130 else ""
        note = f"no answer for {duration(unanswered)}: Linux asks for statd for 61.6 s"
        return Suspicion(note, against, 2 if against else 4)
    if granted is not None:
        return Suspicion(
            "statd may have been started meanwhile", f"the wait was {duration(granted)} and not a minute", 2
        )
    if denied is not None and denied < 10:
        against = "Linux does not deny, it waits a minute and grants"
        return Suspicion("Ganesha and old kernels deny without statd", against, 1)
    return None
