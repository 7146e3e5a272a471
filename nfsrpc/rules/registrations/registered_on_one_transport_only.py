"""A lock service is registered for UDP only, or for IPv6 only.

Sees
    A portmapper answers that statd (100024) or the lock manager (100021) is not registered for TCP, and at that time
    names a port for UDP; or likewise for IPv4 and IPv6. At that time: one of the two answers lies between two of the
    other kind (then it is certain), or they are at most a second apart.

Why it matters
    The kernel of Linux asks for TCP, its lockd asks for its statd over IPv4: the service is not found, as if it did not
    run (REG001, REG003).

Not flagged when
    The other was named before the first such answer and not afterwards: the service may have been stopped in between;
    or only after the last one: then it was started. The missing one is named as well. UDP is missing and TCP is there:
    that is intended on many servers.

How to confirm
    rpcinfo -p HOST | grep -e 100024 -e 100021

How to fix
    Let the service register both: no -n or restricting options of rpc.statd; tcp=y and udp=y in /etc/nfs.conf; both
    families in /etc/netconfig.

References
    RFC 1833; netconfig(5); nfs.conf(5).

Parameters
    together_s: two answers that are no farther apart are of one time
"""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Iterator, Mapping, Sequence

from nfsrpc.facts.attempts import SERVICES
from nfsrpc.facts.basic import listed
from nfsrpc.facts.portmappers import answers_about
from nfsrpc.findings.advice import registered
from nfsrpc.findings.command import command, remark
from nfsrpc.findings.finding import Answer, Certainty, Evidence, Finding, Rule
from nfsrpc.protocols.numbers import Prog
from nfsrpc.rules import DENIED
from nfsrpc.tables import Registrations
from nfsrpc.wording import SECOND

RULE = Rule(
    "REG006",
    "registered-on-one-transport-only",
    "warning",
    explains=DENIED,
    judges="named port of statd or the lock manager",
    passes="statd and the lock manager are registered as they were asked for",
)

# not registered -> registered instead, by netid
LESS = {"tcp": ("udp", "tcp6", "udp6"), "tcp6": ("udp6", "udp"), "udp": ("udp6",)}


def check(registrations: Registrations, *, together_s: float = 1.0) -> Iterator[Answer]:
    answers = answers_about(registrations, (Prog.NSM, Prog.NLM))
    rows = answers.where(answers.valid("time")).rows() if (answers["port"] == 0).any() else ()
    for by_netid in services(rows).values():
        for netid, instead in LESS.items():
            refused = by_netid.get(netid, [])
            if not refused or any(row.port for row in refused):
                continue
            pairs = [pair for other in instead for pair in of_one_time(refused, named(by_netid, other), together_s)]
            if pairs:
                yield finding(*min(pairs, key=lambda pair: pair[0]))
                break


def services(
    rows: Iterator[Registrations.Row] | tuple[()],
) -> Mapping[tuple[str, int | None, int | None], Mapping[str | None, list[Registrations.Row]]]:
    """The answers about each version of a program of a host, by netid, in order of time."""
    ordered = sorted(rows, key=lambda row: row.time)
    by_service = listed(((row.host, row.prog, row.vers), row) for row in ordered)
    return {service: listed((row.netid, row) for row in mine) for service, mine in by_service.items()}


def named(by_netid: Mapping[str | None, list[Registrations.Row]], netid: str) -> list[Registrations.Row]:
    return [row for row in by_netid.get(netid, []) if row.port]


def of_one_time(
    refused: Sequence[Registrations.Row], found: Sequence[Registrations.Row], together_s: float
) -> Iterator[tuple[Certainty, Registrations.Row, Registrations.Row]]:
    """An answer of each kind that hold at one time."""
    for inner, outer, swapped in ((found, refused, True), (refused, found, False)):
        between = next((row for row in inner if outer and outer[0].time <= row.time <= outer[-1].time), None)
        if between is not None:
            yield ("certain", outer[0], between) if swapped else ("certain", between, outer[0])
            return
    times = [row.time for row in found]
    for row in refused:
        at = bisect_left(times, row.time - together_s * SECOND)
        if at < len(times) and times[at] <= row.time + together_s * SECOND:
            yield "likely", row, found[at]
            return


def finding(certainty: Certainty, row: Registrations.Row, instead: Registrations.Row) -> Finding:
    prog = Prog.NLM if row.prog == Prog.NLM else Prog.NSM
    service = SERVICES[prog]
    return RULE.finding(
        certainty=certainty,
        host=row.host,
        title=f"the {service} of {row.host} is registered for {instead.netid}, and not for {row.netid}",
        explanation=(
            f"{row.asker} asked for program {row.prog} over {row.netid}, and the answer was that it is not registered; "
            f"for {instead.netid} the same portmapper names port {instead.port}. Linux asks for tcp, and lockd for its "
            "statd over IPv4: they do not find the service."
        ),
        clients=(row.asker,) if row.asker != row.host else (),
        first=min(row.time, instead.time),
        last=max(row.time, instead.time),
        evidence=(
            Evidence.of(row.reply_capture, row.reply_frame, f"not registered for {row.netid}"),
            Evidence.of(instead.reply_capture, instead.reply_frame, f"port {instead.port} for {instead.netid}"),
        ),
        remedy=(
            command("grep -e tcp -e udp /etc/nfs.conf /etc/netconfig"),
            remark("Let {service} register {netid} as well, and start it again.", service=service, netid=row.netid),
        ),
        verify=(registered(row.host, prog, row.netid),),
    )
