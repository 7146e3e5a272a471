"""A server's lock manager stood still: its replies wait, then come at once.

Sees
    Several lock requests of one server that waited at the same time and were answered in one burst, while its NFS was
    quick.

Why it matters
    lockd serves one request at a time. What delays one client's request delays those of all clients.

Not flagged when
    NFS of that server was late as well. It had just rebooted. The replies did not come together, or the requests did
    not wait at the same time.

How to confirm
    On the server while it lasts: cat /proc/$(pgrep -x lockd)/stack; a capture of its loopback.

How to fix
    By its cause; most often its statd, or the name service that statd asks.

References
    Linux fs/lockd/svc.c, fs/lockd/mon.c.

Parameters
    late_s: an answer is late from here on
    burst_s: answers no further apart come in a burst
    together: so many of them
    boot_s: a notice of reboot within this explains it
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping

import numpy as np

from nfsrpc.columns import Mask
from nfsrpc.facts.basic import booting
from nfsrpc.facts.stalls import late, longest_waits, nfs_waiting
from nfsrpc.findings.advice import bare, loopback_of
from nfsrpc.findings.command import command
from nfsrpc.findings.finding import Answer, Finding, Rule
from nfsrpc.sessions.grouping import Parts, members
from nfsrpc.tables import Calls
from nfsrpc.wording import SECOND, duration, named, several

RULE = Rule(
    "RPC004",
    "lock-manager-stalled",
    "warning",
    explains=("LCK001", "LCK002", "LCK007"),
    timed="always",
    log=("lockd-silent",),
    asks_causes="always",
    judges="answered lock requests",
    passes="lock requests did not wait for each other",
)


def check(
    requests: Calls,
    exchanges: Calls,
    boots: Mapping[str, tuple[int, ...]],
    loopbacks: frozenset[str],
    *,
    late_s: float = 5.0,
    burst_s: float = 2.0,
    together: int = 2,
    boot_s: float = 120.0,
) -> Iterator[Answer]:
    slow = requests.where(late(requests, late_s))
    nfs = nfs_waiting(exchanges, late_s / 2) if len(slow) else None
    for server, mine in Parts(slow, "server").items():
        rows = mine.where(in_a_burst(mine, burst_s, together))
        if not len(rows):
            continue
        first, last = int(rows["time"].min()), int(rows["reply_time"].max())
        if booting(boots, server, first, last, boot_s) or (nfs and nfs.meet(server, first, last)):
            continue
        yield finding(server, rows, loopbacks)


def in_a_burst(rows: Calls, burst_s: float, together: int) -> Mask:
    """Requests that were open at one time and answered within a moment of each other."""
    replies = rows["reply_time"]
    order = np.argsort(replies, kind="stable")
    gaps = np.diff(replies[order]) > burst_s * SECOND
    bursts = np.zeros(len(order), dtype=np.int64)
    bursts[order] = np.r_[0, np.cumsum(gaps)] if len(order) else []
    mask = np.zeros(len(order), dtype=np.bool_)
    for burst in members(bursts):
        mask[burst] = len(burst) >= together and rows["time"][burst].max() < replies[burst].min()
    return mask


def finding(server: str, rows: Calls, loopbacks: frozenset[str]) -> Finding:
    clients = tuple(sorted(rows["client"].present()))
    longest = float(rows["latency_s"].max())
    return RULE.finding(
        host=server,
        title=f"the lock manager of {server} stood still for up to {duration(longest)}",
        explanation=(
            f"{several(rows.count, 'lock request')} of {named(clients)} waited at the same time and were answered in "
            f"one burst, after up to {duration(longest)}. No NFS call to {server} that was sent meanwhile was late. "
            "Its lockd waited for something else, most often for its statd or the resolver."
        ),
        clients=clients,
        count=rows.count,
        first=int(rows["time"].min()),
        last=int(rows["reply_time"].max()),
        evidence=tuple(longest_waits(rows, 3)),
        remedy=(
            command("cat /proc/$(pgrep -x lockd)/stack", on="{server}", note="while it lasts", server=bare(server)),
        ),
        needs=None if server in loopbacks else loopback_of(server, clients),
        wait_s=longest,
    )
