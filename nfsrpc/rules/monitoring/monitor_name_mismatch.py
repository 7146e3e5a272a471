"""A host goes by different names or addresses, so that a notice of its reboot will not be understood.

Sees
    SM_NOTIFY whose sender is not the address that is monitored under that name, and no downcall after it; one
    caller_name from several addresses of one family at one server; several caller_names from one address. As
    information: a notice in another name than that by which the host locks.

Why it hurts
    statd matches notices by address (Linux) or by name (others). What does not match is ignored: the locks of a client
    that rebooted stay, or those of its neighbour behind the same NAT are dropped.

Not flagged when
    SM_MON names an address and SM_NOTIFY a host name, as Linux always does. Short and fully qualified form of one name.
    An IPv4 and an IPv6 address of one host. One request seen twice, before and behind the NAT that translates it. A
    notice in another name, after which a downcall shows that it was understood.

How to confirm
    hostname; getent hosts of name and address on both sides.

How to fix
    One name and one address for each client towards a server: no NAT, distinct host names; for a host with several
    addresses rpc.statd -n and sm-notify -v.

References
    X/Open C702 chapter 11; rpc.statd(8); sm-notify(8).

Parameters
    downcall_s: statd tells lockd of a reboot within this, or did not recognise the name
"""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Iterable, Iterator
from typing import Any

import numpy as np

from nfsrpc.columns import NAT, Table
from nfsrpc.facts.basic import listed
from nfsrpc.findings.advice import bare
from nfsrpc.findings.command import command
from nfsrpc.findings.finding import Answer, Evidence, Rule
from nfsrpc.sessions.grouping import group
from nfsrpc.sessions.stretches import Stretches
from nfsrpc.wording import SECOND, named

RULE = Rule(
    "MON005",
    "monitor-name-mismatch",
    "warning",
    explains=("LCK008", "LCK009", "LCK010"),
)

TRANSLATED = 50_000_000  # ns that a packet spends at most in the host that translates its address


def check(locks: Table, monitors: Table, loopbacks: frozenset[str], *, downcall_s: float = 10.0) -> Iterator[Answer]:
    found = [
        *ignored_notices(monitors, locks, loopbacks, downcall_s),
        *strange_notices(monitors, locks, downcall_s),
        *names_and_addresses(locks),
    ]
    yield from found
    if not found and len(locks):
        yield RULE.clear("every client has one name and one address")
    elif not found:
        yield RULE.cannot_tell("no lock requests in the capture")


def ignored_notices(monitors: Table, locks: Table, loopbacks: frozenset[str], downcall_s: float) -> Iterator[Answer]:
    """Notices in a monitored host's name from another address, which statd answers and does not act on."""
    addresses = listed((row.caller_name, row.client) for row in some_of_each(locks))
    clients = {name: dict.fromkeys(known) for name, known in addresses.items()}
    whose = {name: named(known) for name, known in clients.items()}
    downcalls = Downcalls(monitors)
    for row in notices_of(monitors):
        known = clients.get(row.mon_name, {})
        if row.host not in loopbacks or not known or row.asker in known:
            continue
        if not downcalls.show(row, downcall_s):
            first = next(iter(known))
            yield RULE.finding(
                host=row.asker,
                title=f"{row.host} ignores the reboot of {row.mon_name}: it comes from {row.asker}, not {first}",
                explanation=(
                    f"{row.mon_name} locked from {whose[row.mon_name]}, and tells of its reboot from {row.asker}. "
                    f"statd of {row.host} answered and told its lockd nothing: the old locks stay."
                ),
                clients=(row.host,),
                first=row.time,
                last=row.time,
                evidence=(Evidence(row.capture, row.frame, f"SM_NOTIFY {row.mon_name}, and no downcall after it"),),
                remedy=(
                    command(
                        "sm-notify -f -v {address}",
                        on="{name}",
                        note="from the address by which it mounted",
                        address=bare(first),
                        name=row.mon_name,
                    ),
                ),
            )


def strange_notices(monitors: Table, locks: Table, downcall_s: float) -> Iterator[Answer]:
    """Notices of a host that locks by another name: Linux knows it by its address, others do not."""
    told: set[tuple[str, str, str]] = set()
    locking = listed(((lock.client, lock.server), lock.caller_name) for lock in some_of_each(locks))
    known = {ends: Names(names) for ends, names in locking.items()}
    downcalls = Downcalls(monitors)
    for row in notices_of(monitors):
        names = known.get((row.asker, row.host))
        key = row.asker, row.host, row.mon_name
        if names and key not in told and names.lack(row.mon_name) and not downcalls.show(row, downcall_s):
            told.add(key)
            yield RULE.finding(
                severity="info",
                host=row.asker,
                title=f"{row.asker} locks as {names} and tells of its reboot as {row.mon_name}",
                explanation=(
                    f"A server that knows its clients by name drops no locks of {names} for that; Linux goes by "
                    "the address that the notice comes from."
                ),
                clients=(row.host,),
                first=row.time,
                last=row.time,
                evidence=(Evidence(row.capture, row.frame, f"SM_NOTIFY {row.mon_name}"),),
                remedy=(
                    command("hostname; sm-notify -f -v {name}", on="{host}", name=names.known[0], host=bare(row.asker)),
                ),
            )


def notices_of(monitors: Table) -> list[Any]:
    told = monitors.where((monitors["procedure"] == "NOTIFY") & ~monitors["loopback"] & monitors.valid("time"))
    return [row for row in told.rows() if row.mon_name is not None]


class Downcalls:
    """When statds told their lockds of a reboot."""

    def __init__(self, monitors: Table) -> None:
        rows = monitors.where(monitors["procedure"] == "DOWNCALL")
        self.hosts, self.names = (Stretches((rows[key],), rows["time"]) for key in ("host", "mon_name"))

    def show(self, notice: Any, downcall_s: float) -> bool:
        """Whether statd told its lockd of this reboot. In a capture that was merged a downcall may be nobody's."""
        soon = notice.time, notice.time + downcall_s * SECOND
        return self.hosts.meet(notice.host, *soon) or self.names.meet(notice.mon_name, *soon)


def some_of_each(locks: Table) -> list[Any]:
    """One session of each server, client and name."""
    told = locks.where(locks.valid("caller_name"))
    if not len(told):
        return []
    _, first = group(*(told[name].codes for name in ("server", "client", "caller_name")))
    return list(told.take(np.sort(first)).rows())


def names_and_addresses(locks: Table) -> Iterator[Answer]:
    for _, mine in sorted(listed((row.server, row) for row in some_of_each(locks)).items()):
        for client, rows in sorted(listed((row.client, row) for row in mine).items()):
            names = Names(row.caller_name for row in rows)
            if len(names.distinct) > 1:
                yield mismatch(
                    rows,
                    f"{client} locks under several names: {named(names.distinct)}",
                    "Several clients behind one address: when one reboots, statd cannot tell which.",
                )
        for name, rows in sorted(listed((row.caller_name, row) for row in mine).items()):
            same = untranslated(rows)
            families = [":" in row.client for row in same]
            if len(families) > len(set(families)):
                yield mismatch(
                    same,
                    f"{name} locks from several addresses: {named(row.client for row in same)}",
                    "Several clients of one name, or one with several addresses: a notice of its reboot reaches one.",
                )


def untranslated(rows: list[Any]) -> list[Any]:
    """Without the same request seen once more under an address that a NAT has put in the place of another.

    Of what is kept no two are so close that both are in one stretch of that length.
    """
    kept: dict[tuple[Any, int], Any] = {}
    for row in rows:
        request, time = (row.fh, row.oh, row.svid, row.l_offset, row.l_len), row.time or NAT
        stretch = time // TRANSLATED
        near = (kept.get((request, number)) for number in (stretch - 1, stretch, stretch + 1))
        if not any(other is not None and abs(time - (other.time or NAT)) < TRANSLATED for other in near):
            kept[request, stretch] = row
    return list(kept.values())


class Names:
    """Names of one host; `distinct` are those of which none is the short form of another."""

    def __init__(self, names: Iterable[str]) -> None:
        self.known = sorted(set(names))
        self.distinct = {name for name in self.known if not self.have_long_form(name)}
        self.text = named(self.known)

    def __str__(self) -> str:
        return self.text

    def have_long_form(self, name: str) -> bool:
        at = bisect_left(self.known, f"{name}.")
        return at < len(self.known) and self.known[at].startswith(f"{name}.")

    def lack(self, name: str) -> bool:
        """Whether this is one more, and neither the short form of one nor the long one."""
        dots = (at for at, letter in enumerate(name) if letter == ".")
        short_forms = (name[:at] for at in dots)
        return not (name in self.distinct or self.have_long_form(name)) and self.distinct.isdisjoint(short_forms)


def mismatch(rows: list[Any], title: str, meaning: str) -> Answer:
    return RULE.finding(
        host=rows[0].client,
        title=title,
        explanation=f"{meaning} Locks may be dropped that are in use, or stay that nobody wants.",
        clients=tuple(sorted({row.client for row in rows})),
        count=len(rows),
        first=min(row.time for row in rows),
        last=max(row.time for row in rows),
        evidence=tuple(
            Evidence(row.capture, row.frame, f"caller_name {row.caller_name} from {row.client}") for row in rows[:4]
        ),
        remedy=(
            command(
                "hostname",
                on="each of these clients",
                note="one name, one address towards the server, no NAT",
            ),
        ),
    )
