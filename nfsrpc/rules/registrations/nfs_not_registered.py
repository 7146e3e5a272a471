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

from nfsrpc.facts.attempts import SERVICES
from nfsrpc.facts.basic import Span, booting
from nfsrpc.facts.missing_services import MissingService
from nfsrpc.findings.advice import answers, bare, registered
from nfsrpc.findings.command import Command, command, remark
from nfsrpc.findings.finding import Answer, Evidence, Finding, Rule
from nfsrpc.protocols.numbers import Prog
from nfsrpc.rules.registrations.asked_over import caveat, in_question, only_over, scope
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
    missing_services: tuple[MissingService, ...],
    boots: Mapping[str, tuple[int, ...]],
    span: Span | None,
    *,
    asks: int = 2,
    during_s: float = 1.0,
    boot_s: float = 120.0,
) -> Iterator[Answer]:
    for service in missing_services:
        times = service.answers["time"]
        first, last = int(times.min()), int(times.max())
        is_cut_short = span is not None and span.last - first < during_s * SECOND
        if len(times) < asks or is_cut_short or service.is_used:
            continue
        if not booting(boots, service.host, first, last, boot_s):
            yield finding(service)


def finding(service: MissingService) -> Finding:
    host, prog, rows, _ = service
    first, last = rows.row(0), rows.row(len(rows) - 1)
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
    yield START[prog]
    yield remark("A server in user space: let it register with this rpcbind, or mount with port= and mountport=.")
