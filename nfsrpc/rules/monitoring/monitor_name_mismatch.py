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
from collections.abc import Iterator, Mapping, Sequence, Set
from ipaddress import IPv6Address, ip_address
from typing import Any, NamedTuple

import numpy as np

from nfsrpc.facts.basic import Span, listed
from nfsrpc.facts.client_names import CallerNames, overlap
from nfsrpc.facts.notices import Downcalls
from nfsrpc.facts.waiters import Waiter
from nfsrpc.findings.advice import BREAK_LOCK, bare
from nfsrpc.findings.command import Command, command, remark
from nfsrpc.findings.finding import Answer, Evidence, Finding, Rule, Severity
from nfsrpc.sessions.grouping import Parts
from nfsrpc.sessions.stretches import Stretches
from nfsrpc.tables import Calls, Locks, Monitors
from nfsrpc.wording import NAMED, SECOND, duration, named, several

RULE = Rule(
    "MON005",
    "monitor-name-mismatch",
    "warning",
    explains=("LCK008", "LCK009", "LCK010", "LCK011"),
    judges="whole lock requests",
    passes="every client has one name and one address, and no notice of a reboot was ignored",
)


def check(
    locks: Locks,
    monitors: Monitors,
    callers: tuple[Locks.Row, ...],
    translated: dict[str, str],
    stays: dict[tuple[str, str, str], tuple[int, int]],
    waiters: tuple[Waiter, ...],
    downcalls: Downcalls,
    requests: Calls,
    loopbacks: frozenset[str],
    gaps: frozenset[frozenset[str]],
    span: Span | None,
    *,
    downcall_s: float = 10.0,
    stays_s: float = 45.0,
    reclaim_s: float = 30.0,
) -> Iterator[Answer]:
    notices = notices_of(monitors)
    yield from from_other_addresses(notices, callers, downcalls, loopbacks, downcall_s)
    yield from in_other_names(notices, callers, downcalls, downcall_s)
    yield from names_and_addresses(callers, translated, stays, {row.asker for row in notices})
    held = Parts(locks.where(locks.valid("granted")), "server", "client") if notices else {}
    behind, monitored = waiting_behind(waiters), monitored_names(monitors)
    booted = {row.asker for row in notices}
    done = requests.where(requests["state"] == "answered") if notices else requests
    served = Stretches((done["client"], done["server"]), done["time"])
    for row in latest_of_each(notices):
        if span is None or frozenset((row.asker, row.host)) in gaps:
            continue
        captured = row.host in loopbacks and frozenset((row.host,)) not in gaps
        seen = captured and span.last - row.time >= downcall_s * SECOND
        names = tuple(monitored.get(row.host, {}).get(plain(row.asker), ())) if captured else None
        notice = IgnoredNotice(row, seen, names)
        kept = over(held, (row.host, row.asker), row.time)
        if kept is not None and not downcalls.follow(row, int(kept["granted"].min()), downcall_s):
            blocked = still_blocked(kept, behind, row.time + round(stays_s * SECOND))
            if seen or blocked:
                yield locks_stay(notice, kept, blocked)
        own = over(held, (row.asker, row.host), row.time)
        goes_on = served.following((row.host, row.asker), row.time + reclaim_s * SECOND) is not None
        if own is None or row.host in booted or not (seen or goes_on) or reclaims(held[row.asker, row.host]):
            continue
        if not downcalls.follow(row, int(own["granted"].min()), downcall_s):
            yield not_reclaimed(notice, own)


class IgnoredNotice(NamedTuple):
    """A notice on which statd took no action, as far as the capture shows."""

    row: Monitors.Row
    seen: bool  # the loopback of that statd was captured: a downcall would be there
    monitored: tuple[str, ...] | None  # the names in its SM_MONs for the sender; None where they were not captured


def notices_of(monitors: Monitors) -> list[Monitors.Row]:
    notices = monitors.where((monitors["procedure"] == "NOTIFY") & ~monitors["loopback"] & monitors.valid("time"))
    notices = notices.where(notices.valid("asker") & notices.valid("host"))
    return [row for row in notices.rows() if row.mon_name is not None]


def latest_of_each(notices: list[Monitors.Row]) -> list[Monitors.Row]:
    """The first answered notice of the latest state, per sender and peer."""
    found: dict[tuple[str, str], Monitors.Row] = {}
    for row in notices:
        if row.state != "answered":
            continue
        latest = found.get((row.asker, row.host))
        if latest is None or latest.nsm_state != row.nsm_state:
            found[row.asker, row.host] = row
    return list(found.values())


def over(held: Mapping[Any, Locks], ends: tuple[str, str], time: int) -> Locks | None:
    """The locks of a server and a client that were held when a notice came; None without any."""
    if ends not in held:
        return None
    rows = held[ends]
    ended = np.where(rows.valid("unlock"), rows["unlock"], np.iinfo(np.int64).max)
    kept = rows.where((rows["granted"] < time) & (ended > time) & (rows["state"] != "replaced"))
    return kept if len(kept) else None


def reclaims(locks: Locks) -> bool:
    """Whether any of these locks was reclaimed, at whatever time."""
    return bool((locks["reclaim"] | (locks["reclaims"] > 0)).any())


def waiting_behind(waiters: tuple[Waiter, ...]) -> dict[tuple[int, int | None], list[Waiter]]:
    """The waiters by the frame that granted the lock which they wait for."""
    held = ((waiter, waiter.holder) for waiter in waiters if waiter.holder is not None)
    return listed(((holder.granted_capture, holder.granted_frame), waiter) for waiter, holder in held)


def still_blocked(kept: Locks, behind: Mapping[tuple[int, int | None], list[Waiter]], time: int) -> list[Waiter]:
    """The waiters for these locks until this time, or longer."""
    frames = zip(kept["granted_capture"].tolist(), kept["granted_frame"].tolist(), strict=True)
    return [waiter for frame in frames for waiter in behind.get(frame, ()) if waiter.end >= time]


def monitored_names(monitors: Monitors) -> dict[str, dict[str, list[str]]]:
    """By host, and by plain address, the names under which its statd was asked to monitor peers."""
    mon = monitors.where((monitors["procedure"] == "MON") & monitors["loopback"] & monitors.valid("mon_name"))
    pairs = sorted(set(zip(mon["host"].tolist(), mon["mon_name"].tolist(), strict=True) if len(mon) else ()))
    by_host = listed((host, (plain(name), name)) for host, name in pairs if host and name)
    return {host: listed(names) for host, names in by_host.items()}


def how_monitored(notice: IgnoredNotice) -> str:
    """A sentence on the names under which the receiver's statd monitors the sender of a notice."""
    sender = notice.row.asker
    if notice.monitored is None or notice.monitored == (sender,):
        return ""
    if not notice.monitored:
        return f"No SM_MON for {sender} was captured: it may be monitored by another name or not at all."
    return f"Its statd monitors {named(notice.monitored)}, and the notice comes from {sender}."


def plain(address: str) -> str:
    """An address without the IPv6 form of an IPv4 one (RFC 4291 section 2.5.5.2); a name as it is."""
    try:
        parsed = ip_address(address)
    except ValueError:
        return address
    mapped = parsed.ipv4_mapped if isinstance(parsed, IPv6Address) else None
    return str(mapped or parsed)


def locks_stay(notice: IgnoredNotice, kept: Locks, blocked: list[Waiter]) -> Finding:
    row, held = notice.row, kept.row(0)
    worst = max(blocked, key=lambda waiter: waiter.end, default=None)
    waits = (
        f"{several(len(blocked), 'client waits', 'clients wait')} behind that, up to "
        f"{duration((worst.end - row.time) / SECOND)} after the notice."
        if worst is not None
        else ""
    )
    evidence = [
        Evidence.of(held.granted_capture, held.granted_frame, f"granted to {held.owner} ({held.client})"),
        Evidence(row.capture, row.frame, f"SM_NOTIFY {row.mon_name} from {row.asker}"),
        Evidence.of(
            row.reply_capture, row.reply_frame, "answered" + (", and no downcall after it" if notice.seen else "")
        ),
    ]
    if worst is not None:
        evidence.append(Evidence.of(worst.row.blocked_capture, worst.row.blocked_frame, f"{worst.row.client} waits"))
    return finding(
        notice,
        kept,
        title=f"{row.host} keeps {several(len(kept), 'lock')} of {row.asker}, which has rebooted",
        meaning=f"{several(len(kept), 'lock was', 'locks were')} granted to it before and not dropped. {waits}",
        clients=tuple(sorted({row.asker, *(waiter.row.client for waiter in blocked)})),
        evidence=tuple(evidence),
        last=max((waiter.end for waiter in blocked), default=row.time),
        certain=notice.seen,
        remedy=(*BREAK_LOCK, *(names_of(row, notice.monitored or ()) if notice.seen else ())),
        wait_s=max((waiter.row.wait_s or 0.0 for waiter in blocked), default=None),
    )


def not_reclaimed(notice: IgnoredNotice, own: Locks) -> Finding:
    row, held = notice.row, own.row(0)
    return finding(
        notice,
        own,
        title=f"{row.host} does not reclaim {several(len(own), 'lock')} after the reboot notice of {row.asker}",
        meaning=(
            f"{several(len(own), 'lock was', 'locks were')} granted by {row.asker} before and not reclaimed: "
            f"{row.asker} may grant the same to others."
        ),
        clients=(row.host,),
        evidence=(
            Evidence.of(held.granted_capture, held.granted_frame, f"granted to {held.owner} ({held.client})"),
            Evidence(row.capture, row.frame, f"SM_NOTIFY {row.mon_name} from {row.asker}, and no reclaim after it"),
        ),
        last=row.time,
        certain=notice.seen,
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
        wait_s=None,
    )


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


def finding(
    notice: IgnoredNotice,
    locks: Locks,
    *,
    title: str,
    meaning: str,
    clients: tuple[str, ...],
    evidence: tuple[Evidence, ...],
    last: int,
    certain: bool,
    remedy: tuple[Command, ...],
    wait_s: float | None,
) -> Finding:
    row = notice.row
    nothing = "made no downcall to its lockd" if notice.seen else "no effect of it is seen"
    answer = f"statd of {row.host} answered the notice of {row.asker} ({row.mon_name}) and {nothing}."
    return RULE.finding(
        certainty="certain" if certain else "likely",
        host=row.host,
        title=title,
        explanation=" ".join(filter(None, (answer, meaning.strip(), how_monitored(notice)))),
        clients=clients,
        files=tuple(sorted({file for file in locks["file"].tolist() if file})),
        count=len(locks),
        first=int(locks["granted"].min()),
        last=last,
        evidence=evidence,
        remedy=remedy,
        wait_s=wait_s,
    )


def from_other_addresses(
    notices: list[Monitors.Row],
    callers: tuple[Locks.Row, ...],
    downcalls: Downcalls,
    loopbacks: frozenset[str],
    downcall_s: float,
) -> Iterator[Answer]:
    """Notices in a monitored host's name from another address, which statd answers and does not act on."""
    addresses = listed((row.caller_name, row.client) for row in callers)
    clients = {name: dict.fromkeys(own) for name, own in addresses.items()}
    whose = {name: named(own) for name, own in clients.items()}
    for row in notices:
        own = clients.get(row.mon_name, {})
        if row.host not in loopbacks or not own or row.asker in own:
            continue
        if not downcalls.follow(row, row.time, downcall_s):
            first = next(iter(own))
            yield RULE.finding(
                host=row.asker,
                title=f"{row.host} ignores the reboot of {row.mon_name}: it comes from {row.asker}, not {first}",
                explanation=(
                    f"{row.mon_name} locked from {whose[row.mon_name]}, and its reboot notice comes from {row.asker}. "
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
                        address=bare(first),
                        name=row.mon_name,
                    ),
                ),
            )


def in_other_names(
    notices: list[Monitors.Row], callers: tuple[Locks.Row, ...], downcalls: Downcalls, downcall_s: float
) -> Iterator[Answer]:
    """Notices of a host that locks by another name: Linux identifies it by its address, others do not."""
    reported: set[tuple[str, str, str | None]] = set()
    locking = listed(((lock.client, lock.server), lock.caller_name) for lock in callers)
    names_of_pair = {ends: CallerNames(names) for ends, names in locking.items()}
    for row in notices:
        names = names_of_pair.get((row.asker, row.host))
        key = row.asker, row.host, row.mon_name
        if (
            names
            and row.mon_name
            and key not in reported
            and names.lack(row.mon_name)
            and not downcalls.follow(row, row.time, downcall_s)
        ):
            reported.add(key)
            yield RULE.finding(
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


def names_and_addresses(
    callers: tuple[Locks.Row, ...],
    translated: Mapping[str, str],
    stays: Mapping[tuple[str, str, str], tuple[int, int]],
    notifying: Set[str],
) -> Iterator[Answer]:
    """Clients that lock under several names or addresses at one time; `notifying`: the hosts that rebooted."""
    for _, mine in sorted(listed((row.server, row) for row in callers).items()):
        for client, rows in several_of(listed((row.client, row) for row in mine)):
            names = CallerNames(row.caller_name for row in rows)
            distinct = [row for row in rows if row.caller_name in names.distinct]
            if together(distinct, stays):
                yield mismatch(
                    rows,
                    f"{client} locks under several names: {named(names.distinct)}",
                    "These are several clients behind one address: when one reboots, statd cannot distinguish them.",
                    (remark("mount without NAT, so that each client has an address of its own."),),
                    severity="warning" if client in notifying else "info",
                )
        for name, rows in several_of(listed((row.caller_name, row) for row in mine)):
            one_each = {translated.get(row.client, row.client): row for row in reversed(rows)}
            same = list(reversed(one_each.values()))
            families = listed((":" in row.client, row) for row in same)
            if any(together(group, stays) for group in families.values()):
                yield mismatch(
                    same,
                    f"{name} locks from several addresses: {named(row.client for row in same)}",
                    "These are several clients of one name, or one with several addresses: a notice of its reboot is "
                    "matched to one of them, whichever sent it.",
                    tuple(own_name(row.client) for row in same[:NAMED]),
                )


def several_of(listed: Mapping[Any, list[Any]]) -> list[tuple[Any, list[Any]]]:
    """Those that have several rows, in order."""
    return sorted(part for part in listed.items() if len(part[1]) > 1)


def together(callers: list[Any], stays: Mapping[tuple[str, str, str], tuple[int, int]]) -> bool:
    """Whether two of these names or addresses lock at the same time."""
    found = (stays.get((row.server, row.client, row.caller_name)) for row in callers)
    return overlap(stay for stay in found if stay is not None)


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
) -> Answer:
    return RULE.finding(
        severity=severity,
        host=rows[0].client,
        title=title,
        explanation=f"{meaning} Locks may be dropped that are in use, or stay although their owner is gone.",
        clients=tuple(sorted({row.client for row in rows})),
        count=len(rows),
        first=min(row.time for row in rows if row.time is not None),
        last=max(row.time for row in rows if row.time is not None),
        evidence=tuple(
            Evidence(row.capture, row.frame, f"caller_name {row.caller_name} from {row.client}") for row in rows[:4]
        ),
        remedy=remedy,
    )
