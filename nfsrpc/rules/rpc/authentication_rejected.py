"""Calls are refused for their credentials: MSG_DENIED.

Sees
    Replies MSG_DENIED with AUTH_ERROR to calls of NFS, MOUNT, NLM or NSM, or to questions for a port (GETPORT,
    GETADDR): the server does not accept the caller's identity, or the way in which it is shown.

Why it matters
    What is asked is not done. Seen when an export is withdrawn: NLM is refused with AUTH_BADCRED, each call three
    times, and a lock that was held cannot be released. A portmapper that refuses names no port: no mount, no lock.

Not flagged when
    A GSS context has run out and is renewed: the same call is accepted next. A portmapper refuses to list all programs
    (DUMP) or to call one for another host: neither is needed for NFS.

How to confirm
    On the server: exportfs -v, and the client's address in it; for Kerberos the keytab and the clock. For a portmapper:
    hosts.allow and hosts.deny (hosts_access(5)), and how it was started (rpcbind(8)).

How to fix
    Export to that client again, with the security flavor (sec=) that it uses; insecure_locks if its lock requests carry
    no credentials. Allow the client to ask the portmapper.

References
    RFC 5531 section 9 (auth_stat); RFC 2203 section 5.3.3; exports(5); hosts_access(5).

Parameters
    renewed_s: a call that succeeds so soon had its credentials renewed
"""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np

from nfsrpc.columns import NAT, Array, Mask, Table, isin
from nfsrpc.findings.advice import bare
from nfsrpc.findings.command import Command, command, remark
from nfsrpc.findings.finding import Answer, Evidence, Finding, Rule
from nfsrpc.protocols.numbers import AcceptStat, AuthStat, Prog, Rejected
from nfsrpc.rules import DENIED
from nfsrpc.sessions.grouping import Parts
from nfsrpc.sessions.stretches import Stretches
from nfsrpc.tables import Calls, Tallies
from nfsrpc.wording import SECOND, named, several

RULE = Rule(
    "RPC002",
    "authentication-rejected",
    "warning",
    explains=(*DENIED, "LCK006", "NFS001"),
    judges="replies",
    passes="no call was refused for its credentials",
)

NO_REPLY = 0xFF  # rpc_status of a call without a reply
GSS = (
    AuthStat.RPCSEC_GSS_CREDPROBLEM,
    AuthStat.RPCSEC_GSS_CTXPROBLEM,
)  # credential or context problem: the client makes a new context
AUTH_STATS: dict[int, str] = {
    AuthStat.AUTH_BADCRED: "AUTH_BADCRED, bad credential",
    AuthStat.AUTH_REJECTEDCRED: "AUTH_REJECTEDCRED, begin a new session",
    AuthStat.AUTH_BADVERF: "AUTH_BADVERF, bad verifier",
    AuthStat.AUTH_REJECTEDVERF: "AUTH_REJECTEDVERF, verifier expired or replayed",
    AuthStat.AUTH_TOOWEAK: "AUTH_TOOWEAK, the security flavor is too weak",
    AuthStat.AUTH_INVALIDRESP: "AUTH_INVALIDRESP, bogus response verifier",
    AuthStat.AUTH_FAILED: "AUTH_FAILED",
    AuthStat.RPCSEC_GSS_CREDPROBLEM: "RPCSEC_GSS_CREDPROBLEM, no credentials for that user",
    AuthStat.RPCSEC_GSS_CTXPROBLEM: "RPCSEC_GSS_CTXPROBLEM, the context is unknown",
}
PROGRAMS = (Prog.NFS, Prog.MOUNT, Prog.NLM, Prog.NSM, Prog.NFSACL)
PORT_QUESTIONS = (3, 9)  # GETPORT and GETADDR; GETVERSADDR
WHO = ("client", "server", "prog", "uid")


def check(exchanges: Calls, counted: Tallies, *, renewed_s: float = 10.0) -> Iterator[Answer]:
    status = exchanges["rpc_status"]
    denied = exchanges.where((status > Rejected.AUTH_ERROR) & (status < NO_REPLY))
    of_portmapper = (denied["prog"] == Prog.PORTMAP) & isin(denied["proc"], PORT_QUESTIONS)
    for rows in Parts(denied.where(of_portmapper), "server").values():
        yield by_portmapper(rows)
    services = denied.where(isin(denied["prog"], PROGRAMS) & ~is_renewed(denied, exchanges, counted, renewed_s))
    for rows in Parts(services, "server").values():
        yield by_service(rows)


def is_renewed(denied: Calls, exchanges: Calls, counted: Tallies, renewed_s: float) -> Mask:
    """Refusals of a GSS context after which the same client was accepted with a new one."""
    mask = isin(denied["rpc_status"] - Rejected.AUTH_ERROR, GSS)
    if not mask.any():
        return mask
    accepted = exchanges.where(exchanges["rpc_status"] == AcceptStat.SUCCESS)
    listed = Stretches([accepted.column(name) for name in WHO], accepted["time"])
    sums = Stretches([counted.column(name) for name in WHO[:-1]], counted["first"], counted["last"])
    soon = round(renewed_s * SECOND)
    whose = [denied.column(name).tolist() for name in WHO]
    for number, (time, *who) in enumerate(zip(denied["time"].tolist(), *whose, strict=True)):
        if mask[number]:
            times = time + 1, time + soon
            mask[number] = listed.meet(tuple(who), *times) or sums.meet(tuple(who[:-1]), *times)
    return mask


def by_portmapper(rows: Calls) -> Finding:
    server, clients = bare(rows.row(0).server), named(map(bare, clients_of(rows)))
    return refusal(
        rows,
        title=f"the portmapper of {rows.row(0).server} refuses to answer {named(clients_of(rows))}",
        explanation=(
            f"{several(rows.count, 'question')} for a port denied (MSG_DENIED): {reasons(rows)}. Without the port no "
            "mount and no lock request is sent. The portmapper's access rules refuse the client."
        ),
        remedy=(
            command(
                "grep -s -v '^#' /etc/hosts.allow /etc/hosts.deny",
                on="{server}",
                note="an rpcbind that is built with TCP wrappers obeys these files",
                server=server,
            ),
            remark("Allow rpcbind to {clients} in /etc/hosts.allow.", on="{server}", clients=clients, server=server),
        ),
        verify=(command("rpcinfo -p {server}", on="{clients}", server=server, clients=clients),),
    )


def by_service(rows: Calls) -> Finding:
    server, clients = bare(rows.row(0).server), named(map(bare, clients_of(rows)))
    calls = sorted({f"{row.program} {row.procedure}" for row in rows.take(first_of_each(rows)).rows()})
    return refusal(
        rows,
        title=(
            f"{rows.row(0).server} refuses the credentials of {several(rows.count, 'call')} of "
            f"{named(clients_of(rows))}"
        ),
        explanation=f"MSG_DENIED for {', '.join(calls)}: {reasons(rows)}. Nothing that these calls ask for is done.",
        remedy=(
            command(
                "exportfs -v",
                on="{server}",
                note="is it exported to {clients}, and with which sec=?",
                server=server,
                clients=clients,
            ),
            command("exportfs -ra", on="{server}", note="after a change of /etc/exports", server=server),
            *(two_managers(server) if (rows["prog"] == Prog.NLM).any() else ()),
        ),
        verify=(
            command(
                "nfsstat -m", on="{clients}", note="sec= of the mount is one that the export allows", clients=clients
            ),
        ),
    )


def two_managers(server: str) -> tuple[Command, ...]:
    """The command that shows whether two lock managers run, and what to do then: the kernel's has no such export."""
    return (
        command(
            "rpcinfo -p | grep nlockmgr; pgrep -l lockd; pgrep -l ganesha.nfsd",
            on="{server}",
            note="the kernel's lockd refuses locks on files of a user-space NFS server",
            server=server,
        ),
        remark(
            "If Ganesha serves these files and the kernel's lockd runs too: stop nfs-server and unmount its own NFSv3"
            " mounts, which start lockd; then systemctl restart nfs-ganesha, which registers its lock manager again"
            " and makes clients reclaim their locks.",
            on="{server}",
            server=server,
        ),
    )


def reasons(rows: Calls) -> str:
    stats = sorted(set((rows["rpc_status"] - Rejected.AUTH_ERROR).tolist()))
    return ", ".join(AUTH_STATS.get(stat, f"unknown auth_stat {stat}") for stat in stats)


def clients_of(rows: Table) -> tuple[str, ...]:
    return tuple(sorted(rows["client"].present()))


def refusal(
    rows: Calls, title: str, explanation: str, remedy: tuple[Command, ...], verify: tuple[Command, ...]
) -> Finding:
    """A finding about denied calls of one server: whose they are, when, and the first two with their replies."""
    times = rows["time"][rows["time"] != NAT]
    return RULE.finding(
        host=rows.row(0).server,
        title=title,
        explanation=explanation,
        clients=clients_of(rows),
        count=rows.count,
        first=int(times.min()) if len(times) else None,
        last=int(times.max()) if len(times) else None,
        evidence=tuple(
            proof
            for row in rows.take(np.arange(min(2, len(rows)))).rows()
            for proof in (
                Evidence(row.capture, row.call_frame, f"{row.procedure} of {row.client}"),
                Evidence.of(row.reply_capture, row.reply_frame, "MSG_DENIED"),
            )
        ),
        remedy=remedy,
        verify=verify,
    )


def first_of_each(rows: Calls) -> Array:
    """The first row of each procedure."""
    keys = rows["prog"].astype(np.int64) << 32 | rows["proc"]
    first: Array = np.unique(keys, return_index=True)[1]
    return first
