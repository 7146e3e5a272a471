"""A service answers that it does not have the program, version or procedure, or cannot read the call.

Sees
    PROG_UNAVAIL, PROG_MISMATCH (with the versions that it has), PROC_UNAVAIL, GARBAGE_ARGS or SYSTEM_ERR. Also to a
    probe (procedure NULL), where the portmapper had just named that port for the program: PROG_UNAVAIL then means that
    the registration leads to another service.

Why it matters
    What is asked is not done. NLM that is unavailable means no locks; NFS or MOUNT, no mount.

Not flagged when
    It is information only for other probes, as mount and rpcinfo send them to find versions, for what portmappers of
    older versions answer, and for NFSACL, which many servers lack. The same port serves the program later. A warning
    where each call that was answered GARBAGE_ARGS or SYSTEM_ERR was soon followed by one of its client that succeeded.

How to confirm
    rpcinfo -t HOST PROGRAM VERSION

How to fix
    Mount with a version that the server has (nfsvers=), or let the server serve it (nfs.conf: [nfsd] vers3=y). Where
    the portmapper names the port of another service: a port of its own for each, then register again.

References
    RFC 5531 section 9 (accept_stat); RFC 1833 section 3 (GETPORT).

Parameters
    named_s: a port that the portmapper named so shortly before a call is the one that it names for it
"""

from __future__ import annotations

from collections.abc import Iterator

from nfsrpc.columns import NAT, Mask, isin
from nfsrpc.facts.passing import passed_soon
from nfsrpc.findings.advice import bare
from nfsrpc.findings.command import Command, command, remark
from nfsrpc.findings.finding import Answer, Evidence, Finding, Rule, Severity
from nfsrpc.protocols.numbers import NULL, AcceptStat, Prog, Rejected
from nfsrpc.rules import STALLED
from nfsrpc.sessions.grouping import group, members
from nfsrpc.sessions.stretches import Stretches
from nfsrpc.tables import Calls, Registrations
from nfsrpc.wording import SECOND, named, several

RULE = Rule(
    "RPC001",
    "program-unavailable",
    "error",
    explains=(*STALLED, "RPC005"),
    judges="replies",
    passes="every program, version and procedure that was called is there",
)

ERRORS: dict[int, str] = {
    AcceptStat.PROG_UNAVAIL: "PROG_UNAVAIL",
    AcceptStat.PROG_MISMATCH: "PROG_MISMATCH",
    AcceptStat.PROC_UNAVAIL: "PROC_UNAVAIL",
    AcceptStat.GARBAGE_ARGS: "GARBAGE_ARGS",
    AcceptStat.SYSTEM_ERR: "SYSTEM_ERR",
    Rejected.RPC_MISMATCH: "RPC_MISMATCH",
}
# What says nothing of the program: these may be of one call alone.
PASSING = (AcceptStat.GARBAGE_ARGS, AcceptStat.SYSTEM_ERR)
GRAVE = (Prog.NFS, Prog.MOUNT, Prog.NLM, Prog.NSM)
PLACE = ("server", "prog", "server_port", "transport")
DONE = {False: "What was asked is not done.", True: "The next call of the same client to that procedure succeeded."}
PROCEDURE = ("client", "server", "prog", "vers", "proc")


def check(exchanges: Calls, registrations: Registrations, *, named_s: float = 60.0) -> Iterator[Answer]:
    refused = exchanges.where(isin(exchanges["rpc_status"], tuple(ERRORS)))
    passing = passes_soon(refused, exchanges)
    misled = of_named_ports(refused, exchanges, registrations, named_s)
    kinds, _ = group(refused["server"].codes, refused["prog"], refused["vers"], misled)
    for part in members(kinds):
        rows = refused.take(part)
        yield wrong_port(rows) if misled[part[0]] else finding(rows, bool(passing[part].all()))


def of_named_ports(refused: Calls, exchanges: Calls, registrations: Registrations, named_s: float) -> Mask:
    """Calls that found no such program at a port that the portmapper had just named for it, and that none served later.

    Portmappers name the port of a program for any version, so a version that is missing is no wrong registration.
    """
    mask: Mask = (
        (refused["rpc_status"] == AcceptStat.PROG_UNAVAIL) & isin(refused["prog"], GRAVE) & refused.valid("time")
    )
    if not mask.any():
        return mask
    answers = registrations.where(registrations.valid("port") & (registrations["port"] != 0))
    named = Stretches([answers[name] for name in ("host", "prog", "port", "transport")], answers["time"])
    served = exchanges.where(exchanges["rpc_status"] == AcceptStat.SUCCESS)
    later = Stretches([served.column(name) for name in PLACE], served["time"])
    places = zip(*(refused.column(name).tolist() for name in PLACE), strict=True)
    for number, (time, place) in enumerate(zip(refused["time"].tolist(), places, strict=True)):
        if mask[number]:
            just_named = named.meet(place, time - round(named_s * SECOND), time)
            mask[number] = just_named and later.following(place, time) is None
    return mask


def passes_soon(refused: Calls, exchanges: Calls) -> Mask:
    """Which errors were of one call alone: the next one of that client to that procedure succeeded, and soon.

    NFS is left out, whose calls that succeed may be counted and not listed.
    """
    mask: Mask = isin(refused["rpc_status"], PASSING) & (refused["prog"] != Prog.NFS) & refused.valid("reply_time")
    answered = exchanges.where((exchanges["state"] == "answered") & exchanges.valid("time"))
    done = answered.where(answered["rpc_status"] == AcceptStat.SUCCESS)
    mask[mask] = passed_soon(refused.where(mask), answered, done, PROCEDURE)
    return mask


def wrong_port(rows: Calls) -> Finding:
    row = rows.row(0)
    port, program = row.server_port, row.program
    server = bare(row.server)
    return refusal(
        rows,
        severity="error",
        title=f"port {port} of {row.server} does not serve {program}, for which its portmapper names it",
        explanation=(
            f"The portmapper of {row.server} named {row.transport} port {port} for {program}; "
            f"{several(rows.count, 'call')} of {program} version {row.vers} ({row.prog}) to it answered PROG_UNAVAIL. "
            "Another service listens there."
        ),
        remedy=(
            command(
                "ss -lntup 'sport = :{port}'", on="{server}", note="which process listens", port=port, server=server
            ),
            remark(
                "Give each service a port of its own, then restart it, so that it registers that port.",
                on="{server}",
                server=server,
            ),
        ),
        verify=(probe(row),),
    )


def probe(row: Calls.Row) -> Command:
    """The command that calls the NULL procedure of that program over the same transport."""
    server, caller, prog, vers = bare(row.server), bare(row.client), row.prog, row.vers
    if row.transport == "udp":
        return command(
            "rpcinfo -u {server} {prog} {vers}", on="{caller}", server=server, caller=caller, prog=prog, vers=vers
        )
    return command(
        "rpcinfo -t {server} {prog} {vers}", on="{caller}", server=server, caller=caller, prog=prog, vers=vers
    )


def finding(rows: Calls, is_passing: bool) -> Finding:
    """The finding on one program; `is_passing`: what was asked was done when the client repeated it."""
    row = rows.row(0)
    grave = row.prog in GRAVE and not (rows["proc"] == NULL).all()
    errors = named({ERRORS[status] for status in rows["rpc_status"].tolist()})
    versions = command(
        "rpcinfo -p {server} | grep -w {prog}", note="the versions that it has", server=bare(row.server), prog=row.prog
    )
    return refusal(
        rows,
        severity=("warning" if is_passing else "error") if grave else "info",
        title=f"{row.server} answers {errors} to {several(rows.count, 'call')} of {row.program} version {row.vers}",
        explanation=(
            f"{row.program} version {row.vers} ({row.prog}) on {row.server} was called and answered {errors}. "
            + (DONE[is_passing] if grave else "Clients find out so which programs and versions there are.")
        ),
        remedy=(versions,) if grave else (),
    )


def refusal(
    rows: Calls,
    severity: Severity,
    title: str,
    explanation: str,
    remedy: tuple[Command, ...],
    verify: tuple[Command, ...] = (),
) -> Finding:
    """A finding about refused calls: who called, when, and the first call with its reply."""
    row = rows.row(0)
    times = rows["time"][rows["time"] != NAT]
    return RULE.finding(
        severity=severity,
        host=row.server,
        title=title,
        explanation=explanation,
        clients=tuple(sorted(rows["client"].present())),
        count=rows.count,
        first=int(times.min()) if len(times) else None,
        last=int(times.max()) if len(times) else None,
        evidence=(
            Evidence(row.capture, row.call_frame, f"{row.program} {row.procedure} version {row.vers}"),
            Evidence.of(row.reply_capture, row.reply_frame, ERRORS[int(rows["rpc_status"][0])]),
        ),
        remedy=remedy,
        verify=verify,
    )
