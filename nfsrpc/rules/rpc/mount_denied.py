"""A mount is refused by the server.

Sees
    MNT answered with an error: MNT3ERR_ACCES, MNT3ERR_NOENT and the like.

Why it hurts
    The mount fails.

Not flagged when
    The same client mounts the same server successfully afterwards.

How to confirm
    showmount -e SERVER; exportfs -v on the server.

How to fix
    Export the path to that client (exports(5)), then exportfs -ra.

References
    RFC 1813 appendix I (mountstat3).
"""

from __future__ import annotations

from collections.abc import Iterator

from nfsrpc.columns import Table
from nfsrpc.facts.basic import MOUNT
from nfsrpc.findings.advice import bare
from nfsrpc.findings.command import command
from nfsrpc.findings.finding import Answer, Evidence, Finding, Rule
from nfsrpc.protocols import status_name
from nfsrpc.sessions.grouping import Parts
from nfsrpc.wording import named, several

RULE = Rule("MNT001", "mount-denied", "warning")

MNT = 1


def check(exchanges: Table) -> Iterator[Answer]:
    asked = exchanges.where((exchanges["prog"] == MOUNT) & (exchanges["proc"] == MNT) & exchanges.valid("status"))
    denied = asked.where(asked["status"] != 0)
    found = False
    granted = Parts(asked.where(asked["status"] == 0), "server")
    for server, rows in Parts(denied, "server").items():
        agreed = granted[server]
        clients = {client for client in rows["client"].tolist() if client}
        later = agreed["time"] > int(rows["time"].max())
        if clients <= set(agreed.where(later)["client"].tolist()):
            continue
        found = True
        yield finding(server, rows, tuple(sorted(clients)))
    if not found and len(asked):
        yield RULE.clear(f"{several(len(asked), 'mount')} granted")
    elif not found:
        yield RULE.cannot_tell("no mount in the capture")


def finding(server: str, rows: Table, clients: tuple[str, ...]) -> Finding:
    first = rows.row(0)
    errors = named({status_name(row.prog, row.vers, row.proc, row.status) for row in rows.rows()})
    return RULE.finding(
        host=server,
        title=f"{server} refuses {several(len(rows), 'mount')} of {named(clients)}: {errors}",
        explanation=f"MNT of {named(clients)} answered {errors}: the path is not there, or not exported to them.",
        clients=clients,
        count=len(rows),
        first=first.time,
        last=rows.row(len(rows) - 1).time,
        evidence=(
            Evidence(first.capture, first.call_frame, f"MNT of {first.client}"),
            Evidence(first.reply_capture, first.reply_frame, errors),
        ),
        remedy=(command("exportfs -v; exportfs -ra", on="the server"),),
        verify=(command("showmount -e {server}", server=bare(server)),),
    )
