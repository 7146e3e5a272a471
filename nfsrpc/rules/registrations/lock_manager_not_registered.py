"""The lock manager is not registered with an NFS server's portmapper.

Sees
    A client asks a server's portmapper for program 100021 (nlockmgr) and is answered port 0 repeatedly, on Linux
    every 3 s without end; no LOCK is sent. Where it asks over UDP or IPv6 only, the finding says so and is likely.

Why it matters
    The client has no port to send lock requests to. The application hangs in lock, unkillable on older kernels, while
    READ and WRITE go on.

Not flagged when
    The host boots: it sends SM_NOTIFY, resets connections that were there before, is in its grace period, or names a
    port soon after. A server asks its client (CBK001, if a grant waits for it). A monitoring system that uses no NFSv3
    asks for one program after the other: a server of NFSv4 alone needs no lock manager.

How to confirm
    rpcinfo -p SERVER | grep 100021

How to fix
    Start the NFS server's lockd and let it register with the system's rpcbind: start nfs-server after rpcbind. In a
    container, with the rpcbind of the host that clients ask. Registered for TCP only: mount with proto=tcp.

References
    RFC 1833; RFC 1813 appendix II (NLM version 4).

Parameters
    asks: answered so often that it is not registered
    found_s: a port that is named within this time makes up for it
    boot_s: a reboot notice within this time explains it, or a sign of it: old connections reset, locks reclaimed
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping

from nfsrpc.columns import number_of
from nfsrpc.facts.basic import Roles, booting, listed
from nfsrpc.facts.portmappers import answers_about, without_probes
from nfsrpc.findings.advice import REGISTER_SERVER, answers, registered, try_lock
from nfsrpc.findings.command import Command, remark
from nfsrpc.findings.finding import Answer, Evidence, Finding, Rule
from nfsrpc.protocols.numbers import Prog
from nfsrpc.rules import STALLED
from nfsrpc.rules.registrations.asked_over import caveat, in_question, only_over, scope
from nfsrpc.tables import Registrations
from nfsrpc.wording import SECOND, duration, named, times

RULE = Rule(
    "REG003",
    "lock-manager-not-registered",
    "error",
    explains=(*STALLED, "NET002"),
    log=("lockd-silent", "never-sent"),
    judges="lock requests",
    passes="lock requests reach their servers",
)


def check(
    registrations: Registrations,
    probes: frozenset[tuple[str, str]],
    restarts: Mapping[str, tuple[int, ...]],
    roles: Roles,
    boots: Mapping[str, tuple[int, ...]],
    *,
    asks: int = 3,
    found_s: float = 30.0,
    boot_s: float = 120.0,
) -> Iterator[Answer]:
    rows = without_probes(answers_about(registrations, (Prog.NLM,)), probes)
    rows = rows.where(~rows["loopback"] & rows.valid("time"))
    answers = [row for row in rows.rows() if not calls_back(row, roles)]
    named_at = listed((row.host, row.time) for row in answers if row.port)
    refused = listed((row.host, row) for row in answers if row.port == 0)
    missing = {host: mine for host, mine in refused.items() if persistent(mine, named_at.get(host, []), asks, found_s)}
    for host, mine in sorted(missing.items()):
        first, last = mine[0].time, mine[-1].time
        if booting(boots, host, first, last, boot_s):
            continue
        if booting(restarts, host, last, last, boot_s):
            yield RULE.cannot_tell(f"{host} was starting: it reset old connections, or granted reclaims of locks")
        else:
            yield finding(host, mine)
    found = next((row for row in answers if row.port), None)
    if found and not missing:
        yield RULE.clear(f"the portmapper of {found.host} names port {found.port} (frame {found.reply_frame})")


def calls_back(row: Registrations.Row, roles: Roles) -> bool:
    """Whether a server asks its client, for a callback."""
    pair = row.host, row.asker
    return pair in roles.pairs or pair in roles.mounting or roles.calling(row.asker, row.host) is not None


def persistent(refused: list[Registrations.Row], named_at: list[int], asks: int, found_s: float) -> bool:
    """Whether "not registered" was answered repeatedly, and no port soon after."""
    first = refused[0].time
    return len(refused) >= asks and not any(first < time <= first + found_s * SECOND for time in named_at)


def finding(host: str, rows: list[Registrations.Row]) -> Finding:
    first, last, number = rows[0], rows[-1], number_of(rows)
    clients = tuple(sorted({row.asker for row in rows}))
    wait = (last.time - first.time) / SECOND
    over = only_over(row.netid for row in rows)
    netid = in_question(over)
    return RULE.finding(
        certainty="likely" if over else "certain",
        host=host,
        title=f"the server {host} has no lock manager registered{scope(over)}",
        explanation=(
            f"Its portmapper answered {named(clients)} {times(number)} in {duration(wait)} that program 100021 "
            f"(nlockmgr) is not registered.{caveat(over)} A client without that port repeats the query "
            "indefinitely and sends no LOCK: its applications that lock hang. READ and WRITE do not need that port."
        ),
        clients=clients,
        count=number,
        first=first.time,
        last=last.time,
        evidence=(
            Evidence(first.capture, first.frame, f"{first.asker} asks {host} for 100021 ({first.source})"),
            Evidence.of(first.reply_capture, first.reply_frame, "not registered"),
            Evidence.of(last.reply_capture, last.reply_frame, f"not registered, the last of {number} such answers"),
        ),
        remedy=tuple(remedy(over)),
        verify=(registered(host, Prog.NLM, netid), answers(host, Prog.NLM, netid=netid), try_lock(host)),
        wait_s=wait,
    )


def remedy(over: str) -> Iterator[Command]:
    if over.startswith("UDP"):
        yield remark("Where TCP is registered: mount with -o proto=tcp, or let the server register UDP too.")
    yield from REGISTER_SERVER
    yield remark("In a container: its lock manager must register with the rpcbind that clients ask.")
