"""Calls are refused before they are looked at: MSG_DENIED.

Sees
    Replies MSG_DENIED with AUTH_ERROR: who the caller says to be, or how, is not accepted.

Why it hurts
    Nothing that is asked is done. Seen when an export is withdrawn: NLM is refused with AUTH_BADCRED, each call three
    times, and a lock that was held can no longer be given back.

Not flagged when
    A GSS context has run out and is renewed: the same call is accepted next.

How to confirm
    On the server: exportfs -v, and the client's address in it; for Kerberos the keytab and the clock.

How to fix
    Export to that client again, with the security flavor (sec=) that it uses; insecure_locks if its lock requests carry
    no credentials.

References
    RFC 5531 section 9 (auth_stat); RFC 2203 section 5.3.3; exports(5).

Parameters
    renewed_s: a call that succeeds so soon had its credentials renewed
"""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np

from nfsrpc.columns import NAT, Mask, Table, isin
from nfsrpc.facts.basic import MOUNT, NFS, NLM, NSM
from nfsrpc.findings.advice import bare
from nfsrpc.findings.command import command
from nfsrpc.findings.finding import Answer, Evidence, Finding, Rule
from nfsrpc.sessions.grouping import Parts
from nfsrpc.sessions.stretches import Stretches
from nfsrpc.wording import SECOND, named, several

RULE = Rule(
    "RPC002",
    "authentication-rejected",
    "warning",
    explains=("LCK006", "LCK007", "NFS001"),
)

AUTH_ERROR = 32  # rpc_status is this and the auth_stat
GSS = (13, 14)  # credential or context problem: the client makes a new context
AUTH_STATS = {
    1: "AUTH_BADCRED, bad credential",
    2: "AUTH_REJECTEDCRED, begin a new session",
    3: "AUTH_BADVERF, bad verifier",
    4: "AUTH_REJECTEDVERF, verifier expired or replayed",
    5: "AUTH_TOOWEAK, the security flavor is too weak",
    6: "AUTH_INVALIDRESP, bogus response verifier",
    7: "AUTH_FAILED",
    13: "RPCSEC_GSS_CREDPROBLEM, no credentials for that user",
    14: "RPCSEC_GSS_CTXPROBLEM, the context is unknown",
}
PROGRAMS = (NFS, MOUNT, NLM, NSM, 100227)
WHO = ("client", "server", "prog", "uid")


def check(exchanges: Table, counted: Table, *, renewed_s: float = 10.0) -> Iterator[Answer]:
    status = exchanges["rpc_status"]
    denied = exchanges.where((status > AUTH_ERROR) & (status < 0xFF))
    denied = denied.where(isin(denied["prog"], PROGRAMS) & ~renewed(denied, exchanges, counted, renewed_s))
    for server, rows in Parts(denied, "server").items():
        yield finding(server, rows)
    if len(denied):
        return
    if len(counted) or exchanges.valid("rpc_status").any():
        yield RULE.clear("no call was refused for its credentials")
    else:
        yield RULE.cannot_tell("no replies in the capture")


def renewed(denied: Table, exchanges: Table, counted: Table, renewed_s: float) -> Mask:
    """Refusals of a GSS context after which the same client was accepted with a new one."""
    mask = isin(denied["rpc_status"] - AUTH_ERROR, GSS)
    if not mask.any():
        return mask
    accepted = exchanges.where(exchanges["rpc_status"] == 0)
    listed = Stretches([accepted[name] for name in WHO], accepted["time"])
    sums = Stretches([counted[name] for name in WHO[:-1]], counted["first"], counted["last"])
    soon = round(renewed_s * SECOND)
    whose = [denied[name].tolist() for name in WHO]
    for number, (time, *who) in enumerate(zip(denied["time"].tolist(), *whose, strict=True)):
        if mask[number]:
            times = time + 1, time + soon
            mask[number] = listed.meet(tuple(who), *times) or sums.meet(tuple(who[:-1]), *times)
    return mask


def finding(server: str, rows: Table) -> Finding:
    clients = tuple(sorted({client for client in rows["client"].tolist() if client}))
    stats = sorted(set((rows["rpc_status"] - AUTH_ERROR).tolist()))
    reasons = ", ".join(AUTH_STATS.get(stat, f"auth_stat {stat}") for stat in stats)
    calls = sorted({f"{row.program} {row.procedure}" for row in rows.take(first_of_each(rows)).rows()})
    times = rows["time"][rows["time"] != NAT]
    heads = list(rows.take(np.arange(min(2, len(rows)))).rows())
    return RULE.finding(
        host=server,
        title=f"{server} refuses the credentials of {several(len(rows), 'call')} of {named(clients)}",
        explanation=f"MSG_DENIED for {', '.join(calls)}: {reasons}. Nothing that these calls ask for is done.",
        clients=clients,
        count=len(rows),
        first=int(times.min()) if len(times) else None,
        last=int(times.max()) if len(times) else None,
        evidence=tuple(
            proof
            for row in heads
            for proof in (
                Evidence(row.capture, row.call_frame, f"{row.procedure} of {row.client}"),
                Evidence(row.reply_capture, row.reply_frame, "MSG_DENIED"),
            )
        ),
        remedy=(
            command(
                "exportfs -v",
                on="{server}",
                note="is it exported to {clients}, and with which sec=?",
                server=server,
                clients=named(clients),
            ),
            command("exportfs -ra", note="after a change of /etc/exports"),
        ),
        verify=(command("mount | grep {server}", on="a client", note="the sec= that it uses", server=bare(server)),),
    )


def first_of_each(rows: Table) -> np.ndarray[tuple[int], np.dtype[np.int64]]:
    """The first row of each procedure."""
    keys = rows["prog"].astype(np.int64) << 32 | rows["proc"]
    return np.unique(keys, return_index=True)[1]
