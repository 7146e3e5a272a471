"""NFS or MOUNT is not registered with a server's portmapper.

Sees
    A client asks for program 100003 or 100005 and is told 0 for every version and transport that it asks for, and then
    neither mounts nor uses NFS. That it pings nfsd (NULL) is part of trying.

Why it hurts
    The mount fails, on Linux after a few seconds.

Not flagged when
    The host boots: a port is named soon after. Who was told so uses NFS all the same, at its well-known port.

How to confirm
    rpcinfo -p SERVER | grep -e nfs -e mountd

How to fix
    Start nfs-server after rpcbind; have rpcbind keep registrations over restarts (-w).

References
    RFC 1833; mount.nfs(8).

Parameters
    asks: told so often that it is not registered
    during_s: the capture goes on for so long: other versions are asked for next
    boot_s: a notice of reboot within this explains it
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping

import numpy as np

from nfsrpc.columns import NAT, Table, isin
from nfsrpc.facts.basic import MOUNT, NFS, Span, booting
from nfsrpc.findings.advice import RESTART_SERVER, bare
from nfsrpc.findings.command import command
from nfsrpc.findings.finding import Answer, Evidence, Finding, Rule
from nfsrpc.sessions.grouping import Parts, group, keys_of
from nfsrpc.wording import SECOND, named, several

RULE = Rule(
    "REG008",
    "nfs-not-registered",
    "error",
    explains=("RPC005", "NET002", "MNT001"),
)

NULL = 0


def check(
    registrations: Table,
    exchanges: Table,
    counted: Table,
    boots: Mapping[str, tuple[int, ...]],
    span: Span | None,
    *,
    asks: int = 2,
    during_s: float = 1.0,
    boot_s: float = 120.0,
) -> Iterator[Answer]:
    about = (registrations["prog"] == NFS) | (registrations["prog"] == MOUNT)
    said = registrations.where(
        about & ~registrations["loopback"] & registrations.valid("port") & (registrations["state"] == "answered")
    )
    accused = False
    latest: Mapping[tuple[str, str], int] | None = None
    for host, mine in Parts(said, "host").items():
        for prog in (NFS, MOUNT):
            rows = mine.where(mine["prog"] == prog)
            if len(rows) < asks or (rows["port"] > 0).any():
                continue
            latest = last_uses(exchanges, counted) if latest is None else latest
            if used(latest, host, rows):
                continue
            if span is None or span.last - int(rows["time"].min()) < during_s * SECOND:
                continue
            if booting(boots, host, int(rows["time"].min()), int(rows["time"].max()), boot_s):
                continue
            accused = True
            yield finding(host, rows)
    if accused:
        return
    if (said["port"] > 0).any():
        yield RULE.clear("NFS and MOUNT are registered")
    else:
        yield RULE.cannot_tell("no client asked for NFS or MOUNT in the capture")


def last_uses(exchanges: Table, counted: Table) -> Mapping[tuple[str, str], int]:
    """When clients last mounted of servers or used NFS there, by both."""
    found: dict[tuple[str, str], int] = {}
    for table, last in ((exchanges, "time"), (counted, "last")):
        rows = table.where(isin(table["prog"], (NFS, MOUNT)) & (table["proc"] != NULL))
        pairs, first = group(rows["client"].codes + 1, rows["server"].codes + 1)
        times = np.full(len(first), NAT, dtype=np.int64)
        np.maximum.at(times, pairs, rows[last])
        for pair, time in zip(keys_of((rows["client"], rows["server"]), first), times.tolist(), strict=True):
            found[pair] = max(time, found.get(pair, NAT))
    return found


def used(latest: Mapping[tuple[str, str], int], host: str, refused: Table) -> bool:
    """Whether who was told so mounted all the same, or uses NFS."""
    since = int(refused["time"].min())
    return any((asker, host) in latest and latest[asker, host] >= since for asker in refused["asker"].present())


def finding(host: str, rows: Table) -> Finding:
    first, last = rows.row(0), rows.row(len(rows) - 1)
    clients = tuple(sorted({asker for asker in rows["asker"].tolist() if asker}))
    transports = named({f"{row.transport} version {row.vers}" for row in rows.rows()})
    return RULE.finding(
        host=host,
        title=f"the server {host} has no {first.program} registered: mounts fail",
        explanation=(
            f"{named(clients)} asked {several(len(rows), 'time')} for program {first.prog} ({transports}) and was told "
            "every time that it is not registered."
        ),
        clients=clients,
        count=len(rows),
        first=first.time,
        last=last.time,
        evidence=(
            Evidence(first.reply_capture, first.reply_frame, f"{first.prog} over {first.transport}: not registered"),
            Evidence(last.reply_capture, last.reply_frame, f"{last.prog} over {last.transport}: not registered"),
        ),
        remedy=(command("systemctl enable --now rpcbind"), *RESTART_SERVER),
        verify=(
            command("rpcinfo -p {host} | grep -e nfs -e mountd", host=bare(host)),
            command("showmount -e {host}", host=bare(host)),
        ),
    )
