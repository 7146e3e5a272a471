"""Fragments of large UDP messages are lost.

Sees
    RPC over UDP whose datagrams are larger than the MTU and lack a fragment, so that the call is sent again.

Why it hurts
    One fragment lost is a whole READ or WRITE lost; a path that always loses them lets small calls through and large
    ones never.

Not flagged when
    All fragments came, in whatever order.

How to confirm
    nstat -az | grep -i reasm; ping -M do -s 8972 HOST.

How to fix
    Mount with proto=tcp; one MTU on the whole path.

References
    RFC 791 (fragmentation); RFC 8900.

Parameters
    calls: a call is concerned when it was sent again so often
"""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np

from nfsrpc.rules.facts import over_udp
from nfsrpc.rules.finding import Answer, Evidence, Rule
from nfsrpc.rules.wording import several
from nfsrpc.tables import NAT, Table

RULE = Rule("NET004", "fragments-lost", "warning")

INCOMPLETE = "fragments-lost"  # kind of oddity: a datagram of which fragments are missing


def check(oddities: Table, exchanges: Table, counted: Table, *, calls: int = 1) -> Iterator[Answer]:
    missing = oddities.where(oddities["kind"] == INCOMPLETE)
    udp = exchanges.where(exchanges["transport"] == "udp")
    again = udp.where(udp["retransmits"] >= calls)
    if len(missing) and len(again):
        first = again.row(0)
        times = missing["time"][missing["time"] != NAT]
        yield RULE.finding(
            host=None,
            title=f"fragments of {several(len(missing), 'datagram')} are lost, and calls over UDP sent again",
            explanation=(
                f"{several(len(again), 'call')} over UDP had to be sent again, and of "
                f"{several(len(missing), 'datagram')} fragments are missing: large messages do not get through."
            ),
            clients=tuple(sorted({client for client in again["client"].tolist() if client})),
            count=len(missing),
            first=int(times.min()) if len(times) else None,
            last=int(times.max()) if len(times) else None,
            evidence=(
                *(Evidence(row.capture, row.frame, "fragments are missing") for row in head(missing).rows()),
                Evidence(first.capture, first.call_frame, f"{first.procedure} sent again"),
            ),
            remedy=("mount -o remount,proto=tcp /mnt   # or unmount and mount with proto=tcp",),
        )
    elif total := len(udp) + over_udp(counted):
        yield RULE.clear(f"{several(total, 'call')} over UDP, none for want of fragments sent again")
    else:
        yield RULE.cannot_tell("no RPC over UDP in the capture")


def head(table: Table, rows: int = 2) -> Table:
    return table.take(np.arange(min(rows, len(table))))
