"""NFS or MOUNT calls are not answered in time.

Sees
    NFS or MOUNT calls without reply for 10 s, or answered as late.

Why it matters
    Processes that read or write hang as well: the cause is not only in locking.

Not flagged when
    The capture ends too soon, lacks the other direction or lost packets. The client itself closed the connection. The
    server boots. A call that was retransmitted because of a lost packet and answered soon. Procedure NULL over UDP,
    where the server answers that client over TCP: many serve no UDP. Where no call was retransmitted and no later frame
    of their connections shows that the replies were not lost by the capture, it is likely.

How to confirm
    dmesg | grep 'nfs: server' on the client; nfsstat -c.

How to fix
    The server, its disks, or the network to it.

References
    RFC 1813; nfs(5), options timeo and retrans.

Parameters
    late_s: a call answered after so long counts as well
    boot_s: a notice of reboot within this explains it
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping

import numpy as np

from nfsrpc.columns import NAT, Array, Mask, isin
from nfsrpc.facts.basic import Span, booting, pairs_of
from nfsrpc.facts.stalls import last_end, late, longest, longest_waits
from nfsrpc.findings.advice import bare
from nfsrpc.findings.command import command
from nfsrpc.findings.finding import Answer, Finding, Rule
from nfsrpc.protocols.numbers import NULL, Prog
from nfsrpc.sessions.grouping import Parts, keys_of
from nfsrpc.tables import Calls, Flows
from nfsrpc.wording import duration, named, several

RULE = Rule(
    "RPC005",
    "nfs-unanswered",
    "warning",
    explains=("NFS001",),
    timed="always",
    log=("nfs-silent",),
    judges="NFS",
    passes="NFS and MOUNT calls were answered",
)


def check(
    exchanges: Calls,
    connections: Flows,
    boots: Mapping[str, tuple[int, ...]],
    closed_by_client: Array,
    lossy: bool,
    span: Span | None,
    *,
    late_s: float = 10.0,
    boot_s: float = 180.0,
) -> Iterator[Answer]:
    state = exchanges["state"]
    about = isin(exchanges["prog"], (Prog.NFS, Prog.MOUNT)) & ~probes(exchanges, connections)
    again = exchanges["retransmits"] > 0
    # Over UDP a call without answer is retransmitted, so one that was not had its answer; with gaps, likely.
    silent = state == "unanswered"
    silent &= again | ((exchanges["transport"] == "tcp") & ~isin(exchanges["flow"], closed_by_client) & (not lossy))
    failed = exchanges.where(about & (silent | late(exchanges, late_s)))
    is_overdue = False
    for server, rows in Parts(failed.where(failed["time"] != NAT), "server").items():
        if not booting(boots, server, int(rows["time"].min()), int(rows["time"].max()), boot_s):
            is_overdue = True
            yield finding(server, rows, span)
    undecided = int((about & state.isin(("undecided", "unanswered"))).sum())
    if undecided and not is_overdue:
        number = exchanges.counted(undecided)
        yield RULE.cannot_tell(f"of {several(number, 'NFS call')} the capture does not hold what came after")


def probes(exchanges: Calls, connections: Flows) -> Mask:
    """NULL calls over UDP of clients that the server answers over TCP."""
    answered = pairs_of(connections.where((connections["transport"] == "tcp") & (connections["s_replies"] > 0)))
    mask: Mask = (exchanges["transport"] == "udp") & (exchanges["proc"] == NULL)
    numbers = np.flatnonzero(mask)
    ends = keys_of((exchanges["client"], exchanges["server"]), numbers)
    mask[numbers] = np.fromiter((pair in answered for pair in ends), dtype=np.bool_, count=len(numbers))
    return mask


def finding(server: str, rows: Calls, span: Span | None) -> Finding:
    clients = tuple(sorted(rows["client"].present()))
    unanswered = int((rows["state"] == "unanswered").sum())
    silent, tardy = map(rows.counted, (unanswered, len(rows) - unanswered))
    wait = longest(rows, span)
    return RULE.finding(
        host=server,
        title=f"{several(rows.count, 'NFS call')} to {server} not answered in time",
        explanation=(
            f"Of {named(clients)}: {silent} without answer, {tardy} answered late"
            f"{f', up to {duration(wait)}' if wait is not None else ''}. So file access waits, not only locking."
        ),
        clients=clients,
        count=rows.count,
        first=int(rows["time"].min()),
        last=last_end(rows, span),
        evidence=tuple(longest_waits(rows, 3)),
        remedy=(
            command("dmesg | grep 'nfs: server'", on="{clients}", clients=named(map(bare, clients))),
            command("uptime; cat /proc/pressure/io", on="{server}", note="is it overloaded?", server=bare(server)),
        ),
        verify=(
            command(
                "rpcinfo -t {server} 100003 3",
                on="{clients}",
                note="answers at once",
                server=bare(server),
                clients=named(map(bare, clients)),
            ),
        ),
        wait_s=wait,
    )
