"""Two clients that a server cannot tell apart hold the same lock.

Sees
    Lock requests of one address with one owner (caller_name, svid, oh) on two connections that are in use at the same
    time, and the same range granted on both, without UNLOCK between.

Why it matters
    To the server they are one owner, which may lock its own range again: both get the exclusive lock. Seen with two
    pods behind one address that have the same host name.

Not flagged when
    The client reconnected: the old connection is not used any more. The range was unlocked between.

How to confirm
    hostname on both; the server's ss -tn shows two connections of one address.

How to fix
    Give every client (pod, container, clone) its own host name, and no NAT between it and the server.

References
    RFC 1813 appendix II (nlm4_lock); Linux fs/lockd/clntproc.c (nlmclnt_setlockargs)."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np

from nfsrpc.columns import Array, distinct, isin, number_of
from nfsrpc.facts.waiters import rows_of
from nfsrpc.findings.command import command, remark
from nfsrpc.findings.finding import Answer, Evidence, Finding, Rule
from nfsrpc.protocols.numbers import NlmProc
from nfsrpc.sessions.grouping import group
from nfsrpc.tables import Calls, Locks

RULE = Rule(
    "LCK014",
    "clients-share-one-identity",
    "warning",
    explains=("LCK008", "LCK009", "MON005"),
    timed="always",
    compares_holders=True,
    judges="granted locks",
    passes="no range was granted to one owner on two connections at once",
)

MAX_CASES = 50  # cases: each costs a look at all lock requests


def check(locks: Locks, nlm: Calls) -> Iterator[Answer]:
    found, more = again(locks)
    pairs = [pair for pair in found if both_in_use(nlm, *pair)]
    for client in sorted({first.client for first, _ in pairs}):
        mine = [pair for pair in pairs if pair[0].client == client]
        yield finding(mine, namesakes(locks, mine[0][0]))
    if more:
        yield RULE.cannot_tell("too many locks are granted again on another connection to look at all", lacks="room")


def again(locks: Locks) -> tuple[list[tuple[Locks.Row, Locks.Row]], bool]:
    """Sessions that ended because the same owner locked the range once more, from another port, and that next one.

    The second is whether there are more.
    """
    replaced = locks["state"] == "replaced"
    if not replaced.any():
        return [], False
    owners, _ = group(*(locks.column(name).codes for name in ("server", "client", "owner", "fh")), locks["l_offset"])
    order = np.lexsort((locks["time"], owners))
    follows = owners[order][1:] == owners[order][:-1]
    other_port = locks["client_port"][order][1:] != locks["client_port"][order][:-1]
    every = np.flatnonzero(follows & other_port & replaced[order][:-1])
    at = every[:MAX_CASES]
    rows = rows_of(locks, distinct(np.concatenate([order[at], order[at + 1]])))
    ends = zip(order[at].tolist(), order[at + 1].tolist(), strict=True)
    return [(rows[first], rows[second]) for first, second in ends], len(every) > len(at)


def both_in_use(nlm: Calls, first: Locks.Row, second: Locks.Row) -> bool:
    """Whether the older connection is used again after the newer one was."""
    same = (
        (nlm["client"] == first.client)
        & (nlm["server"] == first.server)
        & isin(nlm["proc"], (NlmProc.LOCK, NlmProc.UNLOCK))
    )
    old, new = (times(nlm, same, port) for port in (first.client_port, second.client_port))
    return bool(len(old) and len(new) and old.max() > new.min())


def times(nlm: Calls, same: Array, port: int | None) -> Array:
    found: Array = nlm["time"][same & (nlm["client_port"] == port)]
    return found


def namesakes(locks: Locks, row: Locks.Row) -> tuple[str, ...]:
    """The addresses of a session's owner: its own, and others where the capture shows the inside of the NAT."""
    same = (locks["server"] == row.server) & (locks["owner"] == row.owner) & (locks["fh"] == row.fh)
    return tuple(sorted({row.client, *locks.where(same)["client"].present()}))


def finding(pairs: list[tuple[Locks.Row, Locks.Row]], clients: tuple[str, ...]) -> Finding:
    first, second = pairs[0]
    return RULE.finding(
        host=first.client,
        title=f"two clients at {first.client} are one owner for {first.server}: both hold {first.file}",
        explanation=(
            f"{first.owner} of {first.client} was granted the lock on {first.file} from port {first.client_port}, and "
            f"again from port {second.client_port} without unlocking, while both connections are in use: two clients "
            "with one name behind one address. For the server they are one owner, so both have the lock."
        ),
        clients=clients,
        files=tuple(sorted({row.file for row, _ in pairs})),
        count=number_of([row for _, row in pairs]),
        first=second.granted,
        last=max(row.granted or 0 for _, row in pairs),
        evidence=(
            Evidence.of(first.granted_capture, first.granted_frame, f"granted to port {first.client_port}"),
            Evidence.of(second.granted_capture, second.granted_frame, f"granted to port {second.client_port} as well"),
        ),
        remedy=(
            command("hostname", on="each client (pod, container) behind that address", note="must differ"),
            remark("A machine: hostnamectl set-hostname, then unmount and mount NFS again: lockd keeps the old name."),
            remark("A pod or container: spec.hostname, or docker run --hostname."),
        ),
    )
