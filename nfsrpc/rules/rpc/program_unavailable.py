"""A service answers that it does not know the program, version or procedure, or cannot read the call.

Sees
    PROG_UNAVAIL, PROG_MISMATCH (with the versions that it has), PROC_UNAVAIL, GARBAGE_ARGS or SYSTEM_ERR.

Why it hurts
    What is asked is not done. NLM that is unavailable means no locks; NFS or MOUNT, no mount.

Not flagged when
    It is information only for probes (procedure NULL, as mount and rpcinfo send), for what portmappers of older
    versions answer, and for NFSACL, which many servers lack.

How to confirm
    rpcinfo -t HOST PROGRAM VERSION

How to fix
    Mount with a version that the server has (nfsvers=), or let the server serve it (nfs.conf: [nfsd] vers3=y).

References
    RFC 5531 section 9 (accept_stat).
"""

from __future__ import annotations

from collections.abc import Iterator

from nfsrpc.columns import NAT, Table, isin
from nfsrpc.facts.basic import MOUNT, NFS, NLM, NSM
from nfsrpc.findings.advice import bare
from nfsrpc.findings.command import command
from nfsrpc.findings.finding import Answer, Evidence, Finding, Rule
from nfsrpc.rules import STALLED
from nfsrpc.sessions.grouping import group, members
from nfsrpc.wording import named, several

RULE = Rule(
    "RPC001",
    "program-unavailable",
    "error",
    explains=(*STALLED, "RPC005"),
)

ERRORS = {
    1: "PROG_UNAVAIL",
    2: "PROG_MISMATCH",
    3: "PROC_UNAVAIL",
    4: "GARBAGE_ARGS",
    5: "SYSTEM_ERR",
    16: "RPC_MISMATCH",
}
GRAVE = (NFS, MOUNT, NLM, NSM)
NULL = 0


def check(exchanges: Table, counted: Table) -> Iterator[Answer]:
    refused = exchanges.where(isin(exchanges["rpc_status"], tuple(ERRORS)))
    if len(refused):
        kinds, _ = group(refused["server"].codes, refused["prog"], refused["vers"])
        for part in members(kinds):
            yield finding(refused.take(part))
    elif len(counted) or exchanges.valid("rpc_status").any():
        yield RULE.clear("every program, version and procedure that was called is there")
    else:
        yield RULE.cannot_tell("no replies in the capture")


def finding(rows: Table) -> Finding:
    row = rows.row(0)
    probes = rows["proc"] == NULL
    grave = row.prog in GRAVE and not probes.all()
    errors = named({ERRORS[status] for status in rows["rpc_status"].tolist()})
    times = rows["time"][rows["time"] != NAT]
    clients = tuple(sorted({client for client in rows["client"].tolist() if client}))
    return RULE.finding(
        severity="error" if grave else "info",
        host=row.server,
        title=f"{row.server} answers {errors} to {several(len(rows), 'call')} of {row.program} version {row.vers}",
        explanation=(
            f"{named(clients)} called {row.program} version {row.vers} ({row.prog}) on {row.server} and was answered "
            f"{errors}. " + ("What was asked is not done." if grave else "That is how clients find out what there is.")
        ),
        clients=clients,
        count=len(rows),
        first=int(times.min()) if len(times) else None,
        last=int(times.max()) if len(times) else None,
        evidence=(
            Evidence(row.capture, row.call_frame, f"{row.program} {row.procedure} version {row.vers}"),
            Evidence(row.reply_capture, row.reply_frame, ERRORS[row.rpc_status]),
        ),
        remedy=(
            (
                command(
                    "rpcinfo -p {server} | grep -w {prog}",
                    note="the versions that it has",
                    server=bare(row.server),
                    prog=row.prog,
                ),
            )
            if grave
            else ()
        ),
    )
