"""A host goes by different names or addresses, so that a notice of its reboot has no effect.

Sees
    SM_NOTIFY that is answered, with no downcall of statd to its lockd after it, though locks are at stake: the notice
    comes from another address than the one that is monitored under that name; or from the right one, and the sender's
    locks stay (the server's statd monitors another form of the address, like ::ffff:10.1.2.3, or monitors that client
    not at all), or the receiver does not reclaim its own. One caller_name from several addresses of one family at one
    server at the same time; several caller_names from one address of which a reboot notice comes. As information: these
    names without a notice; a notice in another name than the client locks under.

Why it matters
    statd matches notices by address (Linux) or by name (others). What does not match is ignored: the locks of a client
    that rebooted stay, and locks that a server lost are not reclaimed. Or a neighbour of the same name loses its locks.

Not flagged when
    SM_MON names an address and SM_NOTIFY a host name, as Linux always does. Short and fully qualified form of one name.
    An IPv4 and an IPv6 address of one host. One request seen twice, before and behind the NAT that translates it. A
    downcall shows that the notice was understood, or the capture ends too soon after it. Nothing was locked. A client
    changes its address or its name and holds no lock from before.

How to confirm
    hostname; getent hosts of name and address on both sides; ls /var/lib/nfs/sm (RHEL, SLES: /var/lib/nfs/statd/sm) on
    the host that ignores the notice.

How to fix
    One name and one address for each client towards a server: no NAT, distinct host names (hostnamectl set-hostname);
    for a host with several addresses rpc.statd -n and sm-notify -v.

References
    X/Open C702 chapter 11; rpc.statd(8); sm-notify(8).

Parameters
    downcall_s: statd calls its lockd about a reboot within this, or did not recognise the sender
    stays_s: a lock that others still wait for so long after the notice of its owner was not dropped
    reclaim_s: a client that asks for other locks so long after its server's notice will not reclaim any more
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Sequence
from typing import Any

from nfsrpc.columns import number_of
from nfsrpc.facts.client_names import AmbiguousClient
from nfsrpc.facts.ignored_notices import LatestNotice, MisaddressedNotice, MisnamedNotice, plain
from nfsrpc.facts.notices import Downcalls
from nfsrpc.facts.waiters import Waiter
from nfsrpc.findings.advice import BREAK_LOCK, bare
from nfsrpc.findings.command import Command, command, remark
from nfsrpc.findings.finding import Answer, Evidence, Finding, Rule, Severity
from nfsrpc.tables import Locks, Monitors
from nfsrpc.wording import NAME_CUT, NAMED, SECOND, duration, named, several

RULE = Rule(
    "MON005",
    "monitor-name-mismatch",
    "warning",
    explains=("LCK008", "LCK009", "LCK010", "LCK011", "MON007"),
    judges="whole lock requests",
    passes="every client has one name and one address, and no notice of a reboot was ignored",
)


def check(
    misaddressed_notices: tuple[MisaddressedNotice, ...],
    misnamed_notices: tuple[MisnamedNotice, ...],
    ambiguous_clients: tuple[AmbiguousClient, ...],
    latest_notices: tuple[LatestNotice, ...],
    downcalls: Downcalls,
    *,
    downcall_s: float = 10.0,
    stays_s: float = 45.0,
    reclaim_s: float = 30.0,
) -> Iterator[Answer]:
    def is_ignored(row: Monitors.Row, since: int) -> bool:
        return not downcalls.follow(row, since, downcall_s)

    for misaddressed in misaddressed_notices:
        if is_ignored(misaddressed.row, misaddressed.row.time):
            yield from_another_address(misaddressed)
    yield from map(in_another_name, one_each(each for each in misnamed_notices if is_ignored(each.row, each.row.time)))
    for client in ambiguous_clients:
        yield several_names(client) if client.names else several_addresses(client.rows)
    for notice in latest_notices:
        seen = notice.is_watched(downcall_s)
        blocked = still_blocked(notice, stays_s)
        if (seen or blocked) and len(notice.kept) and is_ignored(notice.row, granted_first(notice.kept)):
            yield locks_stay(notice, seen, blocked)
        if (
            (seen or goes_on(notice, reclaim_s))
            and len(notice.own)
            and is_ignored(notice.row, granted_first(notice.own))
        ):
            yield not_reclaimed(notice, seen)


def one_each(notices: Iterable[MisnamedNotice]) -> Iterable[MisnamedNotice]:
    """The first notice per sender, receiver and name."""
    found: dict[tuple[str, str, str | None], MisnamedNotice] = {}
    for notice in notices:
        found.setdefault((notice.row.asker, notice.row.host, notice.row.mon_name), notice)
    return found.values()


def still_blocked(notice: LatestNotice, stays_s: float) -> list[Waiter]:
    """The waiters for the sender's locks that wait so long after its notice, or longer."""
    until = notice.row.time + round(stays_s * SECOND)
    return [waiter for waiter in notice.waiting if waiter.end >= until]


def goes_on(notice: LatestNotice, reclaim_s: float) -> bool:
    """Whether the receiver asks the sender for locks later than it would reclaim its own."""
    return notice.last_request is not None and notice.last_request > notice.row.time + reclaim_s * SECOND


def granted_first(locks: Locks) -> int:
    return int(locks["granted"].min())


def files_of(locks: Locks) -> tuple[str, ...]:
    return tuple(sorted({file for file in locks["file"].tolist() if file}))


def locks_stay(notice: LatestNotice, seen: bool, blocked: list[Waiter]) -> Finding:
    """The finding on locks that were not dropped; `seen`: a downcall would have been captured."""
    row, kept = notice.row, notice.kept
    number, held = several(kept.count, "lock"), kept.row(0)
    return RULE.finding(
        certainty="certain" if seen else "likely",
        host=row.host,
        title=f"{row.host} keeps {number} of {row.asker}, which has rebooted",
        explanation=joined(
            no_action(row, seen),
            f"{several(kept.count, 'lock was', 'locks were')} granted to it before and not dropped.",
            waits(row, blocked),
            how_monitored(notice),
        ),
        clients=tuple(sorted({row.asker, *(waiter.row.client for waiter in blocked)})),
        files=files_of(kept),
        count=kept.count,
        first=granted_first(kept),
        last=max((waiter.end for waiter in blocked), default=row.time),
        evidence=(
            Evidence.of(held.granted_capture, held.granted_frame, f"granted to {held.owner} ({held.client})"),
            Evidence(row.capture, row.frame, f"SM_NOTIFY {row.mon_name} from {row.asker}"),
            Evidence.of(
                row.reply_capture, row.reply_frame, "answered" + (", and no downcall after it" if seen else "")
            ),
            *(
                Evidence.of(waiter.row.blocked_capture, waiter.row.blocked_frame, f"{waiter.row.client} waits")
                for waiter in longest_blocked(blocked)
            ),
        ),
        remedy=(*BREAK_LOCK, *(names_of(row, notice.monitored or ()) if seen else ())),
        wait_s=max((waiter.row.wait_s or 0.0 for waiter in blocked), default=None),
    )


def longest_blocked(blocked: list[Waiter]) -> list[Waiter]:
    """The waiter that waits until the latest time, if any does."""
    return [max(blocked, key=lambda waiter: waiter.end)] if blocked else []


def waits(row: Monitors.Row, blocked: list[Waiter]) -> str:
    """A sentence on who waits behind locks that were not dropped."""
    if not blocked:
        return ""
    after = duration((max(waiter.end for waiter in blocked) - row.time) / SECOND)
    return f"{several(len(blocked), 'client waits', 'clients wait')} behind that, up to {after} after the notice."


def not_reclaimed(notice: LatestNotice, seen: bool) -> Finding:
    """The finding on locks that the sender lost; `seen`: a downcall would have been captured."""
    row, own = notice.row, notice.own
    held = own.row(0)
    return RULE.finding(
        certainty="certain" if seen else "likely",
        host=row.host,
        title=f"{row.host} does not reclaim {several(own.count, 'lock')} after the reboot notice of {row.asker}",
        explanation=joined(
            no_action(row, seen),
            f"{several(own.count, 'lock was', 'locks were')} granted by {row.asker} before and not reclaimed: "
            f"{row.asker} may grant the same to others.",
            how_monitored(notice),
        ),
        clients=(row.host,),
        files=files_of(own),
        count=own.count,
        first=granted_first(own),
        last=row.time,
        evidence=(
            Evidence.of(held.granted_capture, held.granted_frame, f"granted to {held.owner} ({held.client})"),
            Evidence(
                row.capture,
                row.frame,
                f"SM_NOTIFY {row.mon_name or NAME_CUT} from {row.asker}, and no reclaim after it",
            ),
        ),
        remedy=(
            remark("restart what holds these locks.", on="{host}", host=row.host),
            command(
                "findmnt -t nfs; ls /var/lib/nfs/sm /var/lib/nfs/statd/sm",
                on="{host}",
                note="mount the address that the notice comes from, {asker}",
                host=bare(row.host),
                asker=row.asker,
            ),
        ),
    )


def no_action(row: Monitors.Row, seen: bool) -> str:
    """A sentence on a notice that was answered and had no effect."""
    nothing = "made no downcall to its lockd" if seen else "no effect of it is seen"
    return f"statd of {row.host} answered the notice of {row.asker} ({row.mon_name or NAME_CUT}) and {nothing}."


def joined(*sentences: str) -> str:
    return " ".join(filter(None, sentences))


def how_monitored(notice: LatestNotice) -> str:
    """A sentence on the names under which the receiver's statd monitors the sender of a notice."""
    sender = notice.row.asker
    if notice.monitored is None or notice.monitored == (sender,):
        return ""
    if not notice.monitored:
        return f"No SM_MON for {sender} was captured: it may be monitored by another name or not at all."
    return f"Its statd monitors {named(notice.monitored)}, and the notice comes from {sender}."


def names_of(row: Monitors.Row, names: Sequence[str]) -> Iterator[Command]:
    """The command that shows the names under which statd monitors its peers, and what mends a mapped address."""
    yield command(
        "ls /var/lib/nfs/sm /var/lib/nfs/statd/sm",
        on="{host}",
        note="each file is a peer that statd monitors: is {asker} among them?",
        host=bare(row.host),
        asker=row.asker,
    )
    if any(name != row.asker and plain(name) == row.asker for name in names):
        yield remark(
            "the lock manager monitors IPv4 clients by the IPv6 form of their address. Ganesha does so with IPv6"
            " sockets: update it, or boot with ipv6.disable=1.",
            on="{host}",
            host=bare(row.host),
        )


def from_another_address(notice: MisaddressedNotice) -> Finding:
    """The finding on a notice in a client's name from another address, which statd answers and does not act on."""
    row = notice.row
    return RULE.finding(
        host=row.asker,
        title=f"{row.host} ignores the reboot of {row.mon_name}: it comes from {row.asker}, not {notice.address}",
        explanation=(
            f"{row.mon_name} locked from {notice.addresses}, and its reboot notice comes from {row.asker}. "
            f"statd of {row.host} answered and made no downcall to its lockd: the old locks stay."
        ),
        clients=(row.host,),
        first=row.time,
        last=row.time,
        evidence=(Evidence(row.capture, row.frame, f"SM_NOTIFY {row.mon_name}, and no downcall after it"),),
        remedy=(
            command(
                "sm-notify -f -v {address}",
                on="{name}",
                note="from the address that it mounted with; before anything is locked there again, since it"
                " drops all its locks",
                address=bare(notice.address),
                name=row.mon_name,
            ),
        ),
    )


def in_another_name(notice: MisnamedNotice) -> Finding:
    """The finding on a host that locks by another name: Linux identifies it by its address, others do not."""
    row, names = notice.row, notice.names
    return RULE.finding(
        severity="info",
        host=row.asker,
        title=f"{row.asker} locks as {names} and sends its reboot notice as {row.mon_name}",
        explanation=(
            f"A server that identifies clients by name drops no locks of {names} for that; Linux goes by "
            "the address that the notice comes from."
        ),
        clients=(row.host,),
        first=row.time,
        last=row.time,
        evidence=(Evidence(row.capture, row.frame, f"SM_NOTIFY {row.mon_name}"),),
        remedy=(
            command(
                "hostnamectl set-hostname {name}",
                on="{host}",
                note="one name for both; then reboot it",
                name=names.names[0],
                host=bare(row.asker),
            ),
        ),
    )


def several_names(client: AmbiguousClient) -> Finding:
    return mismatch(
        client.rows,
        f"{client.rows[0].client} locks under several names: {named(client.names)}",
        "These are several clients behind one address: when one reboots, statd cannot distinguish them.",
        (remark("mount without NAT, so that each client has an address of its own."),),
        severity="warning" if client.rebooted else "info",
    )


def several_addresses(rows: list[Locks.Row]) -> Finding:
    return mismatch(
        rows,
        f"{rows[0].caller_name} locks from several addresses: {named(row.client for row in rows)}",
        "These are several clients of one name, or one with several addresses: a notice of its reboot is "
        "matched to one of them, whichever sent it.",
        tuple(own_name(row.client) for row in rows[:NAMED]),
    )


def own_name(client: str) -> Command:
    """The command that gives a client a name of its own, made of its address."""
    return command(
        "hostnamectl set-hostname {name}",
        on="{client}",
        note="or another name that is its own; then reboot it, since lockd and statd keep the old one",
        name="client-" + re.sub(r"[^0-9a-z]+", "-", bare(client)),
        client=client,
    )


def mismatch(
    rows: list[Any], title: str, meaning: str, remedy: tuple[Command, ...], *, severity: Severity = "warning"
) -> Finding:
    return RULE.finding(
        severity=severity,
        host=rows[0].client,
        title=title,
        explanation=f"{meaning} Locks may be dropped that are in use, or stay although their owner is gone.",
        clients=tuple(sorted({row.client for row in rows})),
        count=number_of(rows),
        first=min(row.time for row in rows if row.time is not None),
        last=max(row.time for row in rows if row.time is not None),
        evidence=tuple(
            Evidence(row.capture, row.frame, f"caller_name {row.caller_name} from {row.client}") for row in rows[:4]
        ),
        remedy=remedy,
    )
