"""The capture itself lacks packets.

Sees
    Bytes of TCP streams that the receiver acknowledged, or that were followed by more, and that were never captured;
    drops that the capturing system reports (pcapng).

Why it matters
    Calls and replies in the gaps are missing: an exchange that seems unanswered may have been answered.

Not flagged when
    A gap is filled later: then the network lost the packet, and TCP sent it again (NET006).

How to confirm
    tcpdump's last lines: "packets dropped by kernel".

How to fix
    A larger buffer (-B), a narrower filter, a shorter snap length (-s 512), a faster disk.

References
    tcpdump(8), options -B and -s.
"""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np

from nfsrpc.findings.command import command
from nfsrpc.findings.finding import Answer, Evidence, Rule
from nfsrpc.tables import Flows, Quality
from nfsrpc.wording import several

RULE = Rule(
    "CAP002",
    "capture-lost-packets",
    "warning",
    judges="TCP or UDP",
    passes="no captured stream has a gap",
)


def check(flows: Flows, quality: Quality) -> Iterator[Answer]:
    missing = flows["c_lost_bytes"] + flows["s_lost_bytes"]
    drops = quality["drops"][quality.valid("drops")]
    dropped = int(drops.sum()) if len(drops) else 0
    if not missing.any() and not dropped:
        return
    rows = flows.where(missing > 0)
    gaps = flows.counted(int(missing.sum()))
    reported = f"; the capturing system reports {several(dropped, 'dropped packet')}" if dropped else ""
    yield RULE.finding(
        host=None,
        title=f"the capture lacks {several(gaps, 'byte')} of {several(rows.count, 'stream')}{reported}",
        explanation=(
            "Calls and replies in these gaps are unknown: calls of these streams without a reply are undecided."
        ),
        count=max(rows.count, 1),
        first=int(rows["first"].min()) if len(rows) else None,
        last=int(rows["last"].max()) if len(rows) else None,
        evidence=tuple(
            Evidence(row.capture, row.frame, f"stream {row.client} to {row.server} port {row.server_port} begins")
            for row in rows.take(np.arange(min(3, len(rows)))).rows()
        ),
        remedy=(
            command(
                "tcpdump -i any -s 512 -B 16384 -w complete.pcap 'not port 22'",
                note="a larger buffer, shorter frames",
            ),
        ),
    )
