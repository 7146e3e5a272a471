"""A program is registered, but nothing listens on its port.

Sees
    Over a host's loopback: its portmapper named a port, and afterwards a connection to that port is answered with RST,
    or a datagram with ICMP port unreachable. The program (most often rpc.statd) died and left its registration behind.

Why it matters
    Without its statd lockd answers every LOCK with DENIED_NOLOCKS at once ("lockd: cannot monitor"), and applications
    get ENOLCK. On a client no LOCK is sent.

Not flagged when
    No portmapper named the port in this capture (a port scan; ICMP for port 53 is statd's DNS question). Seen on the
    wire it is NET002. The port accepts connections again at once, or another that the program has now: the service was
    restarted.

How to confirm
    On that host: rpcinfo -t 127.0.0.1 100024; ss -ltnp | grep PORT.

How to fix
    Restart the service whose port it is; it registers anew. A service in a container may listen in another network
    namespace than the one whose rpcbind it registered with: let both be the same.

References
    RFC 1833; X/Open C702 chapter 11; Linux fs/lockd/mon.c.

Parameters
    restart_s: a port that accepts again within this time was being restarted
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping

from nfsrpc.facts.attempts import Attempt
from nfsrpc.facts.basic import Roles, Span, listed
from nfsrpc.facts.signs import Signs, Suspicion
from nfsrpc.facts.stalls import Affected, affected, longest_waits
from nfsrpc.findings.advice import REGISTER_SERVER, RESTART_STATD, answers, loopback_of
from nfsrpc.findings.command import Command, command, remark
from nfsrpc.findings.finding import Answer, Evidence, Finding, Rule
from nfsrpc.protocols.numbers import Prog
from nfsrpc.rules import DENIED
from nfsrpc.sessions.grouping import Parts
from nfsrpc.tables import Calls, Registrations
from nfsrpc.wording import SECOND, duration, several

RULE = Rule(
    "REG007",
    "stale-registration",
    "error",
    explains=(*DENIED, "NET002", "MON003"),
    log=("unmonitored", "statd-refused"),
    judges="answer of a host's own portmapper",
    passes="no port that a host's own portmapper names is closed",
)

SERVICES: dict[int, str] = {Prog.NSM: "rpc.statd", Prog.NLM: "lockd", Prog.NFS: "nfsd", Prog.MOUNT: "rpc.mountd"}
PORTS = 20  # findings of a host, each with all clients that it affects; of further ports their number is given
RESTART: dict[int, tuple[Command, ...]] = {
    Prog.NSM: RESTART_STATD,
    Prog.NLM: REGISTER_SERVER,
    Prog.NFS: REGISTER_SERVER,
    Prog.MOUNT: (command("systemctl restart nfs-mountd", note="drops no locks"),),
}

IN_A_CONTAINER = remark("Does it run in a container? Then let it register with the rpcbind of its network namespace.")


def check(
    attempts: tuple[Attempt, ...],
    stalled: Parts[Calls],
    registrations: Registrations,
    roles: Roles,
    loopbacks: frozenset[str],
    span: Span | None,
    *,
    restart_s: float = 10.0,
) -> Iterator[Answer]:
    named = named_since(registrations)
    accused = listed((attempt.server, attempt) for attempt in attempts if is_stale(attempt, named, restart_s))
    for host, stale in accused.items():
        for attempt in stale[:PORTS]:
            more = len(stale) - PORTS if attempt is stale[:PORTS][-1] else 0
            yield finding(attempt, affected(stalled[host], span, attempt.first, attempt.last), more)
    unseen = sorted(roles.lock_servers - loopbacks - accused.keys())
    for server in unseen:
        why = f"the loopback of {server} was not captured"
        yield RULE.cannot_tell(why, loopback_of(server, roles.clients_of(server)))


def named_since(registrations: Registrations) -> Mapping[tuple[str, int, str], int]:
    """When a portmapper first named a port of its host, by host, port and transport."""
    rows = registrations.where(registrations.valid("port") & (registrations["port"] > 0) & registrations.valid("time"))
    named = Parts(rows, "host", "port", "transport")
    return {place: int(part["time"].min()) for place, part in named.items()}


def is_stale(attempt: Attempt, named: Mapping[tuple[str, int, str], int], restart_s: float) -> bool:
    if not attempt.loopback or attempt.outcome != "refused" or attempt.prog == Prog.PORTMAP:
        return False
    since = named.get((attempt.server, attempt.port, attempt.transport))
    if since is None or since > attempt.last:
        return False
    return attempt.succeeded is None or attempt.succeeded - attempt.first > restart_s * SECOND


def finding(attempt: Attempt, victims: Affected, more: int) -> Finding:
    """The finding on one port; `more`: the number of further ports of that host like it."""
    host, prog = attempt.server, attempt.prog or 0
    service = SERVICES.get(prog, attempt.program or f"program {prog}")
    role = "lockd answers every LOCK with DENIED_NOLOCKS, or sends none" if prog == Prog.NSM else "calls to it fail"
    likewise = f" {several(more, 'further port')} of that host likewise." if more > 0 else ""
    clients = victims.clients or ((host,) if prog == Prog.NSM else ())
    return RULE.finding(
        host=host,
        title=f"the {service} of {host} is registered at port {attempt.port}, but nothing listens there",
        explanation=(
            f"The portmapper of {host} names port {attempt.port} for program {prog}; "
            f"{several(attempt.tries, 'try', 'tries')} over its loopback to reach it "
            f"{'was' if attempt.tries == 1 else 'were'} refused: {service} died and left its registration. "
            f"Without it {role}.{likewise}"
        ),
        clients=clients,
        count=attempt.tries,
        first=attempt.first,
        last=attempt.last,
        evidence=(
            *(Evidence(*frame, f"connects to port {attempt.port} of its own loopback") for frame in attempt.frames[:1]),
            *((Evidence(*attempt.proof, "refused"),) if attempt.proof else ()),
            *longest_waits(victims.rows, 1),
        ),
        remedy=(*RESTART.get(prog, (remark("Restart {service}.", service=service),)), IN_A_CONTAINER),
        verify=(
            answers(host, prog),
            command("ss -ltnp 'sport = :{port}'", on="{host}", port=attempt.port, host=host),
        ),
        wait_s=victims.wait_s,
    )


def suspected(signs: Signs) -> Suspicion | None:
    if signs.denied_s is None or signs.denied_s >= 5:
        return None
    note = f"DENIED_NOLOCKS after {duration(signs.denied_s)}: lockd answers so when statd's port is closed"
    return Suspicion(note, "requests also waited" if signs.granted_s else "", 4)
