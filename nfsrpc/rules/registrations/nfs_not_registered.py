"""NFS or MOUNT is not registered with a server's portmapper.

Sees
    A client asks for program 100003 or 100005 and is answered port 0 for every version and transport that it asks for,
    and then neither mounts nor uses NFS. That it calls NULL of nfsd is part of trying. Where it asks over UDP or IPv6
    only, the finding says so and is likely.

Why it matters
    The mount fails, on Linux after a few seconds.

Not flagged when
    The host boots: a port is named soon after. The client uses NFS all the same, at its well-known port.
    A monitoring system that uses no NFSv3 asks for one program after the other.

How to confirm
    rpcinfo -p HOST | grep -e nfs -e mountd

How to fix
    Start nfs-server after rpcbind; have rpcbind keep registrations over restarts (-w). A server in user space: let it
    register, or mount with the options port= and mountport=. Registered for TCP only: mount with mountproto=tcp.

References
    RFC 1833; mount.nfs(8); nfs(5).

Parameters
    asks: answered so often that it is not registered
    during_s: the capture goes on for so long: other versions are asked for next
    boot_s: a reboot notice within this time explains it
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping

import numpy as np

from nfsrpc.columns import NAT, isin
from nfsrpc.facts.attempts import SERVICES
from nfsrpc.facts.basic import Span, booting
from nfsrpc.facts.portmappers import answers_about, without_probes
from nfsrpc.findings.advice import answers, bare, registered
from nfsrpc.findings.command import Command, command, remark
from nfsrpc.findings.finding import Answer, Evidence, Finding, Rule
from nfsrpc.protocols.numbers import NULL, Prog
from nfsrpc.rules.registrations.asked_over import caveat, in_question, only_over, scope
from nfsrpc.sessions.grouping import Parts, group, keys_of
from nfsrpc.tables import Calls, Registrations, Tallies
from nfsrpc.wording import SECOND, named, several

RULE = Rule(
    "REG008",
    "nfs-not-registered",
    "error",
    explains=("RPC005", "NET002", "MNT001"),
    judges="named port of NFS or MOUNT",
    passes="NFS and MOUNT are registered, or are used all the same",
)

# mountd registers anew when it starts. nfsd does so too, but its restart drops the locks of all clients.
START: dict[int, Command] = {
    Prog.NFS: command("systemctl start nfs-server", note="where it runs already: rpcinfo -p shows what is lost"),
    Prog.MOUNT: command("systemctl restart nfs-mountd", note="drops no locks"),
}


def check(
    registrations: Registrations,
    probes: frozenset[tuple[str, str]],
    exchanges: Calls,
    counted: Tallies,
    boots: Mapping[str, tuple[int, ...]],
    span: Span | None,
    *,
    asks: int = 2,
    during_s: float = 1.0,
    boot_s: float = 120.0,
) -> Iterator[Answer]:
    answers = without_probes(answers_about(registrations, (Prog.NFS, Prog.MOUNT)), probes)
    named_somewhere = set(zip(*places(answers.where(answers["port"] > 0)), strict=True))
    refused = Parts(answers.where(answers["port"] == 0), "host", "prog")
    missing = {place: rows for place, rows in refused.items() if place not in named_somewhere and len(rows) >= asks}
    latest = last_uses(exchanges, counted) if missing else {}
    for (host, _), rows in missing.items():
        first, last = int(rows["time"].min()), int(rows["time"].max())
        over = span is not None and span.last - first < during_s * SECOND
        if not (over or is_in_use(latest, host, rows) or booting(boots, host, first, last, boot_s)):
            yield finding(host, rows)


def places(answers: Registrations) -> tuple[list[str | None], list[int]]:
    return answers["host"].tolist(), answers["prog"].tolist()


def last_uses(exchanges: Calls, counted: Tallies) -> Mapping[tuple[str, str], int]:
    """When clients last mounted of servers or used NFS there, by both."""
    found: dict[tuple[str, str], int] = {}
    for table, last in ((exchanges, "time"), (counted, "last")):
        rows = table.where(isin(table["prog"], (Prog.NFS, Prog.MOUNT)) & (table["proc"] != NULL))
        pairs, first = group(rows["client"].codes + 1, rows["server"].codes + 1)
        times = np.full(len(first), NAT, dtype=np.int64)
        np.maximum.at(times, pairs, rows.column(last))
        for pair, time in zip(keys_of((rows["client"], rows["server"]), first), times.tolist(), strict=True):
            found[pair] = max(time, found.get(pair, NAT))
    return found


def is_in_use(latest: Mapping[tuple[str, str], int], host: str, refused: Registrations) -> bool:
    """Whether a client with this answer mounted all the same, or uses NFS."""
    since = int(refused["time"].min())
    return any((asker, host) in latest and latest[asker, host] >= since for asker in refused["asker"].present())


def finding(host: str, rows: Registrations) -> Finding:
    first, last = rows.row(0), rows.row(len(rows) - 1)
    prog = int(rows["prog"][0])
    clients = tuple(sorted({asker for asker in rows["asker"].tolist() if asker}))
    over = only_over(rows["netid"].tolist())
    names = named({f"{row.netid} version {row.vers}" for row in rows.rows()})
    return RULE.finding(
        certainty="likely" if over else "certain",
        host=host,
        title=f"the server {host} has no {SERVICES[prog]} registered{scope(over)}: mounts fail",
        explanation=(
            f"{named(clients)} asked {several(rows.count, 'time')} for program {first.prog} ({names}), and each answer "
            f"was that it is not registered.{caveat(over)}"
        ),
        clients=clients,
        count=rows.count,
        first=first.time,
        last=last.time,
        evidence=(
            Evidence.of(first.reply_capture, first.reply_frame, f"{first.prog} over {first.netid}: not registered"),
            Evidence.of(last.reply_capture, last.reply_frame, f"{last.prog} over {last.netid}: not registered"),
        ),
        remedy=tuple(remedy(prog, over)),
        verify=tuple(verify(host, prog, in_question(over))),
    )


def verify(host: str, prog: int, netid: str | None) -> Iterator[Command]:
    if netid:
        yield registered(host, prog, netid)
        yield answers(host, prog, netid=netid)
    else:
        yield command("rpcinfo -p {host} | grep -e nfs -e mountd", host=bare(host))
        yield command("showmount -e {host}", host=bare(host))


def remedy(prog: int, over: str) -> Iterator[Command]:
    if over.startswith("UDP"):
        yield remark("Where TCP is registered: mount with -o proto=tcp,mountproto=tcp, or let the server register UDP.")
    yield command("systemctl enable --now rpcbind.socket rpcbind")
    yield START[prog]
    yield remark("A server in user space: let it register with this rpcbind, or mount with port= and mountport=.")
