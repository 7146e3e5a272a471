"""A portmapper has forgotten a program that still serves.

Sees
    A portmapper named a port for a program, and later says that it is not registered, while that port still answers.

Why it hurts
    Who knows the port goes on; who has to ask finds nobody: new mounts fail, and lock requests after the next reconnect
    are never sent.

Not flagged when
    The service was stopped on purpose: its port is closed (REG001, REG003). The host boots. The answers are of two
    hosts' loopbacks.

How to confirm
    rpcinfo -p HOST against ss -ltnp on it; was rpcbind restarted without -w?

How to fix
    Have rpcbind keep its registrations over a restart (-w), and restart the RPC services once: rpc-statd, nfs-server.

References
    RFC 1833; rpcbind(8), option -w.

Parameters
    boot_s: a notice of reboot within this explains it, or a sign of it: old connections reset, locks claimed again
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from functools import cached_property
from typing import Any

import numpy as np

from nfsrpc.columns import Array, Table
from nfsrpc.facts.attempts import SERVICES
from nfsrpc.facts.basic import booting
from nfsrpc.findings.advice import RESTART_SERVER, RESTART_STATD, registered
from nfsrpc.findings.command import remark
from nfsrpc.findings.finding import Answer, Evidence, Finding, Rule
from nfsrpc.rules import DENIED
from nfsrpc.sessions.grouping import Parts
from nfsrpc.wording import several, utc

RULE = Rule(
    "REG004",
    "registrations-lost",
    "error",
    explains=("REG001", "REG002", "REG003", "REG008", *DENIED),
    timed="always",
)


def check(
    registrations: Table,
    connections: Table,
    boots: Mapping[str, tuple[int, ...]],
    restarts: Mapping[str, tuple[int, ...]],
    *,
    boot_s: float = 180.0,
) -> Iterator[Answer]:
    said = registrations.where(
        registrations.valid("port")
        & registrations.valid("prog")
        & registrations.valid("host")
        & (registrations["state"] == "answered")
        & registrations["source"].isin(("GETPORT", "GETADDR", "DUMP"))
    )
    known: dict[tuple[Any, ...], Any] = {}
    lost: dict[tuple[str, int], list[tuple[Any, Any]]] = {}
    if (said["port"] == 0).any():
        for row in sorted(said.rows(), key=lambda row: (row.time or 0, row.capture, row.frame)):
            key = (row.host, row.prog, row.vers, row.transport)
            if row.port:
                known[key] = row
                lost.pop((row.host, row.prog), None)
            elif key in known:
                lost.setdefault((row.host, row.prog), []).append((known[key], row))
    accused, serving = False, Serving(connections)
    for (host, _), pairs in lost.items():
        before, after = pairs[0]
        served = serving.still(host, before.port, before.transport, after.time)
        booted = any(booting(told, host, before.time, after.time, boot_s) for told in (boots, restarts))
        if served is not None and not booted:
            accused = True
            yield finding(host, pairs, served)
    if accused:
        return
    if known or (said["port"] > 0).any():
        yield RULE.clear("no portmapper forgot what it had named before")
    else:
        yield RULE.cannot_tell("no portmapper named a port in the capture")


class Serving:
    """Connections on which services answered."""

    def __init__(self, connections: Table) -> None:
        self.connections = connections

    @cached_property
    def parts(self) -> Mapping[tuple[str, int, str], tuple[Table, Array]]:
        """By place; beside each the latest that was heard on it and those before it."""
        connections = self.connections
        rows = connections.where((connections["s_frames"] > connections["s_rst"]) & (connections["s_replies"] > 0))
        parts = Parts(rows, "server", "server_port", "transport")
        return {place: (part, np.maximum.accumulate(part["s_last"])) for place, part in parts.items()}

    def still(self, host: str, port: int, transport: str, since: int) -> Evidence | None:
        """A connection to that port on which the service answered afterwards."""
        if (host, port, transport) not in self.parts:
            return None
        rows, latest = self.parts[host, port, transport]
        at = int(np.searchsorted(latest, since, "right"))
        if at == len(rows):
            return None
        row = rows.row(at)
        return Evidence(row.capture, row.frame, f"port {port} still answers")


def finding(host: str, pairs: list[tuple[Any, Any]], served: Evidence) -> Finding:
    (before, after), (_, last) = pairs[0], pairs[-1]
    service = SERVICES.get(before.prog, before.program)
    return RULE.finding(
        host=host,
        title=f"the portmapper of {host} has forgotten {service}, which still serves at port {before.port}",
        explanation=(
            f"At {utc(before.time)} it named port {before.port} for program {before.prog}, from {utc(after.time)} "
            f"on it said {several(len(pairs), 'time')} that it is not registered, and the port still answers. Most "
            "often rpcbind was restarted and lost what was registered."
        ),
        clients=tuple(sorted({row.asker for _, row in pairs})),
        count=len(pairs),
        first=after.time,
        last=last.time,
        evidence=(
            Evidence(before.reply_capture, before.reply_frame, f"port {before.port}"),
            Evidence(after.reply_capture, after.reply_frame, "not registered"),
            served,
        ),
        remedy=(
            *RESTART_STATD,
            *RESTART_SERVER,
            remark("Have rpcbind keep registrations over restarts: option -w."),
        ),
        verify=(registered(host, before.prog),),
    )
