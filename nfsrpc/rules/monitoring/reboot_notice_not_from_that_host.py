"""A notice of a reboot does not come from the host that it names.

Sees
    SM_NOTIFY from an address that is not known to be the host's which it names; or a downcall (NLM procedure 16) that
    does not come over loopback.

Why it hurts
    Whoever can send such notices can have locks dropped. An honest one, from a host with several addresses or behind
    NAT, is ignored: statd knows hosts by their addresses.

Not flagged when
    The name is not known otherwise in the capture, or belongs to the same host's other family of addresses.

How to confirm
    getent hosts NAME against the source address.

How to fix
    Firewall statd and lockd to the hosts that mount; have a host with several addresses send from the one by which it
    mounts (sm-notify -v).

References
    X/Open C702 chapter 11; sm-notify(8), option -v.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from nfsrpc.columns import Table
from nfsrpc.findings.command import command, remark
from nfsrpc.findings.finding import Answer, Evidence, Rule
from nfsrpc.wording import several

RULE = Rule("MON007", "reboot-notice-not-from-that-host", "warning")


def check(monitors: Table, hosts: Table) -> Iterator[Answer]:
    families = {address: row.host for row in hosts.rows() for address in row.addresses}
    notices = list(monitors.where((monitors["procedure"] == "NOTIFY") & ~monitors["loopback"]).rows())
    strange = [
        row for row in notices if row.peer and families.get(row.peer, row.peer) != families.get(row.asker, row.asker)
    ]
    outside = list(monitors.where((monitors["procedure"] == "DOWNCALL") & ~monitors["loopback"]).rows())
    for row in strange:
        yield RULE.finding(
            host=row.asker,
            title=f"{row.asker} tells {row.host} that {row.mon_name} has rebooted, which is {row.peer}",
            explanation=(
                f"SM_NOTIFY names {row.mon_name}, known in this capture as {row.peer}, but comes from {row.asker}. "
                "statd of Linux goes by the source address and drops nothing; others go by the name."
            ),
            clients=(row.host,),
            first=row.time,
            last=row.time,
            evidence=(Evidence(row.capture, row.frame, f"SM_NOTIFY {row.mon_name} from {row.asker}"),),
            remedy=(
                remark("let only hosts that mount reach statd and lockd.", on="{host}", host=row.host),
                command("sm-notify -v ADDRESS"),
            ),
        )
    yield from from_outside(outside)
    if not strange and not outside and notices:
        yield RULE.clear(f"{several(len(notices), 'notice')} of a reboot, each from the host that it names")
    elif not strange and not outside:
        yield RULE.cannot_tell("no host told of a reboot in the capture")


def from_outside(rows: list[Any]) -> Iterator[Answer]:
    for row in rows[:1]:
        yield RULE.finding(
            host=row.asker,
            title=f"{row.asker} tells lockd of {row.host} what only its own statd may tell",
            explanation="The downcall of statd to lockd (NLM procedure 16) came over the network, not over loopback.",
            clients=(row.host,),
            count=len(rows),
            first=row.time,
            last=rows[-1].time,
            evidence=(Evidence(row.capture, row.frame, f"downcall about {row.mon_name}"),),
            remedy=(
                remark("let nobody but loopback call NLM procedure 16; firewall lockd.", on="{host}", host=row.host),
            ),
        )
