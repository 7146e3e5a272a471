"""Fragments of large UDP messages are lost.

Sees
    RPC over UDP whose datagrams are larger than the MTU and lack a fragment, so that the call is sent again. Where
    every copy lacks it the call itself is never whole: then large datagrams come again and again that lack as much,
    beside NFS over UDP.

Why it hurts
    One fragment lost is a whole READ or WRITE lost; a path that always loses them lets small calls through and large
    ones never.

Not flagged when
    All fragments came, in whatever order. The calls were answered: then only the capture lacks them (a filter by port
    lets no fragment through but the first).

How to confirm
    nstat -az | grep -i reasm; ping -M do -s 8972 HOST.

How to fix
    Mount with proto=tcp; one MTU on the whole path.

References
    RFC 791 (fragmentation); RFC 8900.

Parameters
    sent_again: a call is concerned when it was sent again so often
    copies: so many datagrams that lack as much are one that is sent again
    apart_s: if they come with so much time between them
"""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np

from nfsrpc.columns import NAT, Coded, Table
from nfsrpc.facts.basic import NFS, over_udp
from nfsrpc.findings.command import command
from nfsrpc.findings.finding import Answer, Evidence, Finding, Rule
from nfsrpc.rules import STALLED
from nfsrpc.sessions.grouping import Parts
from nfsrpc.wording import SECOND, several

RULE = Rule(
    "NET004",
    "fragments-lost",
    "warning",
    explains=(*STALLED, "RPC005"),
)

INCOMPLETE = "fragments-lost"  # kind of oddity: a datagram of which fragments are missing


def check(
    oddities: Table,
    connections: Table,
    calls: Table,
    exchanges: Table,
    counted: Table,
    *,
    sent_again: int = 1,
    copies: int = 3,
    apart_s: float = 0.5,
) -> Iterator[Answer]:
    missing = oddities.where(oddities["kind"] == INCOMPLETE)
    udp = exchanges.where(exchanges["transport"] == "udp")
    again = udp.where(udp["retransmits"] >= sent_again)
    # Where these are there, the calls arrived: the capture's filter let no fragments through but the first.
    unasked = calls.where((calls["transport"] == "udp") & (calls["state"] == "orphan"))
    users = connections.where((connections["transport"] == "udp") & (connections["prog"] == NFS) & connections["rpc"])
    if len(missing) and len(again):
        first = again.row(0)
        proof = Evidence(first.capture, first.call_frame, f"{first.procedure} sent again")
        yield finding(missing, again["client"], f"{several(len(again), 'call')} over UDP had to be sent again", proof)
    elif len(users) and not len(unasked) and come_again(missing, copies, apart_s):
        yield finding(missing, users["client"], "large datagrams are sent again, of which none is whole")
    elif total := len(udp) + over_udp(counted):
        yield RULE.clear(f"{several(total, 'call')} over UDP, none for want of fragments sent again")
    else:
        yield RULE.cannot_tell("no RPC over UDP in the capture")


def come_again(missing: Table, copies: int, apart_s: float) -> bool:
    """Whether some of these are one message, sent again when no answer came: they lack as much each time."""
    for rows in Parts(missing.where(missing["time"] != NAT), "detail").values():
        times = np.sort(rows["time"])
        if len(times) >= copies and (np.diff(times) >= apart_s * SECOND).all():
            return True
    return False


def finding(missing: Table, clients: Coded, again: str, *proof: Evidence) -> Finding:
    times = missing["time"][missing["time"] != NAT]
    return RULE.finding(
        host=None,
        title=f"fragments of {several(len(missing), 'datagram')} are lost, and calls over UDP sent again",
        explanation=(
            f"{again[:1].upper()}{again[1:]}, and of {several(len(missing), 'datagram')} fragments are missing: large "
            "messages do not get through."
        ),
        clients=tuple(sorted(clients.present())),
        count=len(missing),
        first=int(times.min()) if len(times) else None,
        last=int(times.max()) if len(times) else None,
        evidence=(*(Evidence(row.capture, row.frame, "fragments are missing") for row in head(missing).rows()), *proof),
        remedy=(command("mount -o remount,proto=tcp /mnt", note="or unmount and mount with proto=tcp"),),
    )


def head(table: Table, rows: int = 2) -> Table:
    return table.take(np.arange(min(rows, len(table))))
