"""A notice of a reboot does not come from the host that it names.

Sees
    SM_NOTIFY from an address that is not known to be of the host which it names; or a downcall (NLM procedure 16) that
    does not come over loopback.

Why it matters
    A host that can send such notices can have locks dropped. An honest one, from a host with several addresses or
    behind NAT, is ignored: statd identifies hosts by their addresses.

Not flagged when
    The name is not known otherwise in the capture, or belongs to the same host's other family of addresses.

How to confirm
    getent hosts NAME against the source address.

How to fix
    Firewall statd and lockd to the hosts that mount; have a host with several addresses send from the one by which it
    mounts (nfs.conf: [sm-notify] outgoing-addr=).

References
    X/Open C702 chapter 11; sm-notify(8), option -v; nfs.conf(5).
"""

from __future__ import annotations

from collections.abc import Iterator

from nfsrpc.columns import number_of
from nfsrpc.findings.command import remark
from nfsrpc.findings.finding import Answer, Evidence, Finding, Rule
from nfsrpc.tables import Monitors

RULE = Rule(
    "MON007",
    "reboot-notice-not-from-that-host",
    "warning",
    judges="SM_NOTIFY",
    passes="every notice of a reboot came from the host that it names",
)


def check(monitors: Monitors) -> Iterator[Answer]:
    notices = monitors.where((monitors["procedure"] == "NOTIFY") & ~monitors["loopback"])
    for row in notices.rows():
        if row.peer and row.peer != row.asker:
            yield strange(row)
    outside = list(monitors.where((monitors["procedure"] == "DOWNCALL") & ~monitors["loopback"]).rows())
    if outside:
        yield from_outside(outside)


def strange(row: Monitors.Row) -> Finding:
    return RULE.finding(
        host=row.asker,
        title=f"{row.asker} sends {row.host} a reboot notice of {row.mon_name}, which is {row.peer}",
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
            remark(
                "if this is {name} itself, by another address: /etc/nfs.conf, [sm-notify] outgoing-addr={peer}",
                on="{asker}",
                name=row.mon_name,
                asker=row.asker,
                peer=row.peer,
            ),
        ),
    )


def from_outside(rows: list[Monitors.Row]) -> Finding:
    row = rows[0]
    return RULE.finding(
        host=row.asker,
        title=f"{row.asker} calls NLM procedure 16 of {row.host} over the network, which is for its own statd",
        explanation="The downcall of statd to lockd (NLM procedure 16) came over the network, not over loopback.",
        clients=(row.host,),
        count=number_of(rows),
        first=row.time,
        last=rows[-1].time,
        evidence=(Evidence(row.capture, row.frame, f"downcall about {row.mon_name}"),),
        remedy=(remark("let only hosts that mount reach lockd (firewall).", on="{host}", host=row.host),),
    )
