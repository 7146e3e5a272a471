"""A mount is refused by the server.

Sees
    MNT answered with an error: MNT3ERR_ACCES, MNT3ERR_NOENT and the like. ACCES or PERM to clients that call from ports
    of 1024 and above: servers accept such ports only with the export option insecure, and NAT often replaces the
    privileged port of a client.

Why it matters
    The mount fails.

Not flagged when
    The same client mounts the same server successfully afterwards.

How to confirm
    showmount -e SERVER; exportfs -v on the server.

How to fix
    Export the path to that client (exports(5)), then exportfs -ra. Where the port is the reason: the option insecure,
    or no NAT between the two.

References
    RFC 1813 appendix I (mountstat3); exports(5), options secure and insecure.
"""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np

from nfsrpc.columns import Array, isin
from nfsrpc.findings.advice import bare
from nfsrpc.findings.command import command, remark
from nfsrpc.findings.finding import Answer, Evidence, Finding, Rule
from nfsrpc.protocols import status_name
from nfsrpc.protocols.numbers import MountProc, Nfsstat3, Prog
from nfsrpc.sessions.grouping import Parts
from nfsrpc.tables import Calls
from nfsrpc.wording import named, several

RULE = Rule("MNT001", "mount-denied", "warning", judges="mount", passes="mounts were granted")

PERM, ACCES = Nfsstat3.PERM, Nfsstat3.ACCES  # mountstat3 has the same numbers
PRIVILEGED = 1024  # ports below it are only root's to use (exports(5), option secure)


def check(exchanges: Calls) -> Iterator[Answer]:
    mounts = exchanges.where(
        (exchanges["prog"] == Prog.MOUNT) & (exchanges["proc"] == MountProc.MNT) & exchanges.valid("status")
    )
    granted = Parts(mounts.where(mounts["status"] == Nfsstat3.OK), "server")
    for server, rows in Parts(mounts.where(mounts["status"] != Nfsstat3.OK), "server").items():
        agreed = granted[server]
        later = agreed.where(agreed["time"] > int(rows["time"].max()))
        if not rows["client"].present() <= later["client"].present():
            yield finding(rows, unprivileged(rows, agreed))


def unprivileged(rows: Calls, agreed: Calls) -> bool:
    """Whether the source port is the probable reason: none was privileged, and no such port was ever accepted."""
    refused = isin(rows["status"], (PERM, ACCES)) & (rows["client_port"] >= PRIVILEGED)
    return bool(refused.all()) and not (agreed["client_port"] >= PRIVILEGED).any()


def finding(rows: Calls, unprivileged: bool) -> Finding:
    first = rows.row(0)
    server, clients = first.server, tuple(sorted(rows["client"].present()))
    errors = named(
        {status_name(row.prog, row.vers, row.proc, row.status or 0) for row in rows.take(statuses(rows)).rows()}
    )
    ports = named({str(port) for port in rows["client_port"].tolist()})
    return RULE.finding(
        host=server,
        title=f"{server} refuses {several(rows.count, 'mount')} of {named(clients)}: {errors}",
        explanation=(
            f"MNT of {named(clients)} answered {errors}. "
            + (
                f"All came from source ports of {PRIVILEGED} and above ({ports}): that is the probable reason, because "
                "a server accepts them only for exports with the option insecure. NAT between the two may have "
                "replaced a privileged port."
                if unprivileged
                else REASON.get(first.status or 0, "The server's log has the reason.")
            )
        ),
        clients=clients,
        count=rows.count,
        first=first.time,
        last=rows.row(len(rows) - 1).time,
        evidence=(
            Evidence(first.capture, first.call_frame, f"MNT of {first.client}, source port {first.client_port}"),
            Evidence.of(first.reply_capture, first.reply_frame, errors),
        ),
        remedy=(
            command("exportfs -v", on="{server}", note="the exports with their options", server=bare(server)),
            *((INSECURE,) if unprivileged else ()),
            command("exportfs -ra", on="{server}", note="after a change of /etc/exports", server=bare(server)),
        ),
        verify=(
            command(
                "mount -t nfs -o vers=3 {server}:/export /mnt && umount /mnt",
                on="{client}",
                note="/export: what was refused; showmount -e does not show whether MNT is allowed",
                server=bare(server),
                client=bare(clients[0]),
            ),
        ),
    )


INSECURE = remark("Add the option insecure to the export, or route these clients to the server without NAT.")
REASON: dict[int, str] = {
    PERM: "The path is not exported to that client.",
    ACCES: "The path is not exported to that client.",
    Nfsstat3.NOENT: "The server has no such path.",
    Nfsstat3.NOTDIR: "The path is no directory.",
}


def statuses(rows: Calls) -> Array:
    """The first row of each status."""
    found: Array = np.unique(rows["status"], return_index=True)[1]
    return found
