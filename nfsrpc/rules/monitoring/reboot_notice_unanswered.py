"""A notice of a reboot (SM_NOTIFY) is not received.

Sees
    SM_NOTIFY without reply, or sm-notify's question for the other's statd (100024 over UDP, from one port, at 0, 2, 6,
    14, 30, 62 s) without reply or answered "not registered"; no notice to that host succeeds later. The host to fix is
    the one that is not reached; the notifying one, where it sends from an address of another network than the other
    has mounted, or asks for UDP while the other's statd is registered for TCP.

Why it matters
    The host that does not receive the notice keeps its state: a client does not reclaim its locks, and loses them; a
    server keeps the locks of a client that has lost them.

Not flagged when
    A later notice to the same host is answered. The capture does not hold the other direction, or lost packets and the
    notice was sent once. TCP between the two hosts gets no answer at that time either: that is the network (NET003).
    A monitoring system asks for statd as for every program.

How to confirm
    From the host that rebooted: rpcinfo -u HOST 100024.

How to fix
    Open statd's port (UDP) and 111 on the host that is not reached; fix the port (nfs.conf: [statd] port=). A host with
    several addresses notifies from the one that its peers mount (nfs.conf: [sm-notify] outgoing-addr=). sm-notify
    retries for 15 minutes; later, what was locked has to be cleared by hand.

References
    X/Open C702 chapter 11; sm-notify(8).

Parameters
    tries: so many notices, or questions for statd's port, without success
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from nfsrpc.facts.basic import Roles, listed
from nfsrpc.facts.notices import NoticeTries, stretch
from nfsrpc.facts.notices import tries as number_of_tries
from nfsrpc.findings.advice import bare
from nfsrpc.findings.command import Command, command, remark
from nfsrpc.findings.finding import Answer, Evidence, Finding, Rule
from nfsrpc.protocols.numbers import Prog
from nfsrpc.sessions.stretches import Stretches
from nfsrpc.tables import Monitors, Registrations
from nfsrpc.wording import named, times

RULE = Rule(
    "MON004",
    "reboot-notice-unanswered",
    "warning",
    timed="always",
    says_never=True,
    judges="notices of a reboot",
    passes="every notice of a reboot was answered",
)


def check(
    notice_tries: tuple[NoticeTries, ...],
    wrong_senders: Mapping[tuple[str, str], tuple[str, ...]],
    outages: Stretches,
    registrations: Registrations,
    roles: Roles,
    restarts: Mapping[str, tuple[int, ...]],
    lossy: bool,
    *,
    tries: int = 2,
) -> Iterator[Answer]:
    accused = cut_off = False
    by_tcp = served_by_tcp(registrations)
    for one in notice_tries:
        failed, refused = one.silent(lossy), one.refused
        enough = number_of_tries([*failed, *refused]) >= tries and (failed or len(refused) >= tries)
        if one.is_answered or not enough:
            continue
        first, last = stretch(failed)
        if first is not None and last is not None and outages.meet((one.sender, one.peer), first, last):
            cut_off = True
            continue
        accused = True
        rows = [*failed, *refused]
        if mounted := wrong_senders.get((one.sender, one.peer)):
            yield from_elsewhere(one, rows, mounted, any(server in restarts for server in mounted))
        elif refused and (port := by_tcp.get(one.peer)):
            yield by_wrong_transport(one, rows, port, roles)
        else:
            yield not_reached(one, rows, roles)
    if accused:
        return
    if cut_off:
        yield RULE.cannot_tell("at the time of a notice of a reboot TCP between the two hosts got no answer either")
    elif notice_tries and not any(one.is_answered for one in notice_tries):
        yield RULE.cannot_tell("the capture ends before the answers to notices of a reboot, or would not hold them")


def served_by_tcp(registrations: Registrations) -> dict[str, int]:
    """The TCP ports of statd that portmappers named."""
    rows = registrations.where((registrations["prog"] == Prog.NSM) & (registrations["transport"] == "tcp"))
    ports = rows.where(rows.valid("port") & (rows["port"] > 0) & ~rows["loopback"])
    found = listed(zip(ports["host"].tolist(), ports["port"].tolist(), strict=True))
    return {host: numbers[0] for host, numbers in found.items() if host is not None}


def not_reached(one: NoticeTries, rows: list[Monitors.Row | Registrations.Row], roles: Roles) -> Finding:
    host, sender = one.peer, one.sender
    reason = (
        f"{host} does not reclaim the locks that it had there, and loses them."
        if roles.client_of(host, sender) == host
        else f"{host} keeps the locks that {sender} had there before, as far as it had any."
    )
    return finding(
        one,
        rows,
        # A question for statd that is answered with 0 may be of others than sm-notify.
        certainty="certain" if one.silent(lossy=False) else "likely",
        host=host,
        clients=(roles.client_of(host, sender),),
        title=f"{host} did not receive the reboot notice (SM_NOTIFY) of {sender}",
        explanation=f"{attempts(one, rows)} {reason}",
        remedy=(
            remark(
                "open UDP ports 111 and of statd for {sender}; start rpc-statd. sm-notify retries for 15 minutes.",
                on="{host}",
                sender=sender,
                host=host,
            ),
            remark(
                "after that: restart what holds locks of {sender}; do not run sm-notify -f while locks are held.",
                on="{host}",
                sender=sender,
                host=host,
            ),
        ),
    )


def from_elsewhere(
    one: NoticeTries, rows: list[Monitors.Row | Registrations.Row], mounted: tuple[str, ...], restarted: bool
) -> Finding:
    """The finding on a wrong source address; `restarted`: the mounted address restarted too, so it is the same host."""
    host, sender = one.peer, one.sender
    return finding(
        one,
        rows,
        certainty="certain" if restarted else "likely",
        host=sender,
        clients=(host,),
        title=f"{sender} sends its reboot notices to {host} from an address that {host} does not mount",
        explanation=(
            f"{attempts(one, rows)} {host} is up: it uses {named(mounted)}, and sent nothing to {sender}, which is "
            "an address of another network. Replies have no way back; and statd goes by the sender's address."
        ),
        remedy=(
            command(
                "sm-notify -f -v {mounted}",
                on="{sender}",
                note="only in the grace period: at any other time it makes clients lose their locks",
                mounted=bare(mounted[0]),
                sender=sender,
            ),
            remark(
                "for the next time: /etc/nfs.conf, [sm-notify] outgoing-addr={mounted}; one sm-notify -v for each"
                " address that clients mount.",
                on="{sender}",
                mounted=mounted[0],
                sender=sender,
            ),
        ),
        from_there=(
            command(
                "ping -c 3 -I {mounted} {host}",
                on="{sender}",
                note="from the address that {host} mounts, which rpcinfo cannot do",
                mounted=bare(mounted[0]),
                host=bare(host),
                sender=sender,
            ),
        ),
    )


def by_wrong_transport(
    one: NoticeTries, rows: list[Monitors.Row | Registrations.Row], port: int, roles: Roles
) -> Finding:
    host, sender = one.peer, one.sender
    return finding(
        one,
        rows,
        host=sender,
        clients=(roles.client_of(host, sender),),
        title=f"{sender} asks for statd of {host} over UDP only, which serves TCP",
        explanation=f"{attempts(one, rows)} statd of {host} is registered at TCP port {port}.",
        remedy=(
            remark("serve 100024 over UDP too: sm-notify uses nothing else.", on="{host}", host=host),
            command("rpcinfo -p {host} | grep 100024", on="{sender}", host=bare(host), sender=sender),
        ),
    )


def attempts(one: NoticeTries, rows: list[Monitors.Row | Registrations.Row]) -> str:
    """A sentence on the tries."""
    questions = [row for row in rows if row in one.questions]
    ways = []
    if number := number_of_tries([row for row in rows if row in one.notices]):
        ways.append(f"sent SM_NOTIFY {times(number)} without answer")
    if number := number_of_tries(questions):
        how = "was answered: not registered" if one.refused else "got no answer"
        ways.append(f"asked for its statd over UDP {times(number)}, which {how}")
    return f"{one.sender} {' and '.join(ways)}."


def finding(
    one: NoticeTries,
    rows: list[Monitors.Row | Registrations.Row],
    *,
    from_there: tuple[Command, ...] = (),
    **fields: Any,
) -> Finding:
    """The finding on these tries; `from_there`: commands that verify it from another source address."""
    first, last = stretch(rows)
    return RULE.finding(
        count=number_of_tries(rows),
        first=first,
        last=last,
        evidence=tuple(
            Evidence(row.capture, row.frame, f"{one.sender} to {one.peer}") for row in rows[:1] + rows[1:][-1:]
        ),
        verify=(
            *from_there,
            command("rpcinfo -u {host} 100024", on="{sender}", host=bare(one.peer), sender=one.sender),
        ),
        **fields,
    )
