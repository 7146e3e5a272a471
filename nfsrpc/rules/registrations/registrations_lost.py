"""A portmapper has lost the registration of a program that still serves.

Sees
    A portmapper named a port for a program, and later answers for the same version and transport that it is not
    registered, while that port still answers.

Why it matters
    Clients that know the port go on; those that have to ask for it fail: new mounts fail, and lock requests after the
    next reconnect are never sent.

Not flagged when
    The service was stopped on purpose: its port is closed (REG001, REG003). The host boots. The answers are of two
    hosts' loopbacks, or for two transports.

How to confirm
    rpcinfo -p HOST against ss -ltnp on it; was rpcbind restarted without -w?

How to fix
    Have rpcbind keep its registrations over a restart (-w), and let the service register anew: rpc-statd and mountd
    do so when they are restarted. lockd and nfsd register when nfsd starts: that drops all locks.

References
    RFC 1833; rpcbind(8), option -w.

Parameters
    boot_s: a reboot notice within this time explains it, or a sign of it: old connections reset, locks reclaimed
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from functools import cached_property
from typing import Any

import numpy as np

from nfsrpc.columns import Array, number_of
from nfsrpc.facts.attempts import SERVICES
from nfsrpc.facts.basic import booting
from nfsrpc.findings.advice import REGISTER_SERVER, RESTART_STATD, registered
from nfsrpc.findings.command import command, remark
from nfsrpc.findings.finding import Answer, Evidence, Finding, Rule
from nfsrpc.protocols.numbers import Prog
from nfsrpc.rules import DENIED
from nfsrpc.sessions.grouping import Parts
from nfsrpc.tables import Flows, Registrations
from nfsrpc.wording import clock_time, times

RULE = Rule(
    "REG004",
    "registrations-lost",
    "error",
    explains=("REG001", "REG002", "REG003", "REG008", *DENIED),
    timed="always",
    judges="named port",
    passes="no portmapper lost what it had named before",
)

REGISTER = {
    Prog.NSM: RESTART_STATD,
    Prog.MOUNT: (command("systemctl restart nfs-mountd", note="drops no locks"),),
    Prog.NLM: REGISTER_SERVER,
    Prog.NFS: REGISTER_SERVER,
}


def check(
    registrations: Registrations,
    connections: Flows,
    boots: Mapping[str, tuple[int, ...]],
    restarts: Mapping[str, tuple[int, ...]],
    *,
    boot_s: float = 180.0,
) -> Iterator[Answer]:
    answers = registrations.where(
        registrations.valid("port")
        & registrations.valid("prog")
        & registrations.valid("host")
        & (registrations["state"] == "answered")
        & registrations["source"].isin(("GETPORT", "GETADDR", "DUMP"))
    )
    serving = Serving(connections)
    for (host, _), pairs in lost_by_program(answers).items():
        before, after = pairs[0]
        served = serving.still(host, before.port, before.transport, after.time)
        booted = any(booting(signs, host, before.time, after.time, boot_s) for signs in (boots, restarts))
        if served is not None and not booted:
            yield finding(host, pairs, served)


def lost_by_program(answers: Registrations) -> Mapping[tuple[str, int | None], list[tuple[Any, Any]]]:
    """Answers with a port, each with a later answer "not registered", by host and program."""
    named: dict[tuple[Any, ...], Any] = {}
    found: dict[tuple[str, int | None], list[tuple[Any, Any]]] = {}
    if not (answers["port"] == 0).any():
        return found
    for row in sorted(answers.rows(), key=lambda row: (row.time or 0, row.capture, row.frame)):
        key = (row.host, row.prog, row.vers, row.netid)
        if row.port:
            named[key] = row
            found.pop((row.host, row.prog), None)
        elif key in named:
            found.setdefault((row.host, row.prog), []).append((named[key], row))
    return found


class Serving:
    """Connections on which services answered."""

    def __init__(self, connections: Flows) -> None:
        self.connections = connections

    @cached_property
    def parts(self) -> Mapping[tuple[str, int, str], tuple[Flows, Array]]:
        """Connections by host, port and transport, each with the latest frame of it and of those before it."""
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
    number = number_of([row for _, row in pairs])
    service = SERVICES.get(before.prog, before.program)
    return RULE.finding(
        host=host,
        title=f"the portmapper of {host} lost the registration of {service}, which still serves at port {before.port}",
        explanation=(
            f"At {clock_time(before.time)} it named port {before.port} for program {before.prog}; since "
            f"{clock_time(after.time)} it has answered {times(number)} that it is not registered, and the "
            "port still answers. Most often rpcbind was restarted without -w."
        ),
        clients=tuple(sorted({row.asker for _, row in pairs})),
        count=number,
        first=after.time,
        last=last.time,
        evidence=(
            Evidence(before.reply_capture, before.reply_frame, f"port {before.port}"),
            Evidence(after.reply_capture, after.reply_frame, "not registered"),
            served,
        ),
        remedy=(
            *REGISTER.get(before.prog, (remark("Restart {service}.", service=service),)),
            remark("Have rpcbind keep registrations over restarts: option -w."),
        ),
        verify=(registered(host, before.prog),),
    )
