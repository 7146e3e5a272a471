"""The server denies locks: DENIED_NOLOCKS.

Sees
    LOCK answered with DENIED_NOLOCKS (2).

Why it matters
    The application gets ENOLCK, "No locks available". It is not a lock in conflict: the server cannot lock at all,
    most often because statd does not monitor the client for its lockd ("lockd: cannot monitor").

Not flagged when
    Never; what is found of the server's statd explains it: REG001, REG007, MON001, MON003. DENIED is a lock in
    conflict. A warning where each LOCK was denied at once and the next one of its client was granted soon after.

How to confirm
    On the server: dmesg | grep -i lockd; rpcinfo -t localhost 100024.

How to fix
    By its cause: restart rpc.statd on the server and find out why it had died or refused (names, its state directory).

References
    RFC 1813 appendix II (nlm4_stats); Linux fs/lockd/svclock.c, fs/lockd/mon.c.
"""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np

from nfsrpc.columns import isin
from nfsrpc.facts.passing import passed_soon
from nfsrpc.findings.advice import RESTART_STATD, answers, loopback_of, registered
from nfsrpc.findings.command import command
from nfsrpc.findings.finding import Answer, Evidence, Finding, Rule
from nfsrpc.protocols.numbers import Nlm4Stats, NlmProc, Prog
from nfsrpc.sessions.grouping import Parts
from nfsrpc.tables import Calls, Locks
from nfsrpc.wording import duration, named, several

RULE = Rule(
    "LCK004",
    "lock-denied-no-locks",
    "error",
    explains=("LCK002", "LCK015"),
    log=("unmonitored", "statd-silent-denied"),
    asks_causes="always",
    judges="results of LOCK",
    passes="no LOCK was answered DENIED_NOLOCKS",
)


AT_ONCE_S = 5.0  # a LOCK that is denied later has waited for something


def check(requests: Calls, locks: Locks, loopbacks: frozenset[str]) -> Iterator[Answer]:
    synchronous = requests.where(
        isin(requests["proc"], (NlmProc.LOCK, NlmProc.NM_LOCK)) & (requests["status"] == Nlm4Stats.DENIED_NOLOCKS)
    )
    asynchronous = locks.where((locks["procedure"] == "LOCK_MSG") & (locks["status"] == Nlm4Stats.DENIED_NOLOCKS))
    sessions = locks.where(isin(locks["exchange"], synchronous["exchange"]))
    servers = synchronous["server"].present() | asynchronous["server"].present()
    rows, theirs, messages = Parts(synchronous, "server"), Parts(sessions, "server"), Parts(asynchronous, "server")
    at_once = synchronous.where(synchronous["latency_s"] < AT_ONCE_S)
    asked = requests.where(requests["proc"] == NlmProc.LOCK)
    granted = asked.where(asked["status"] == Nlm4Stats.GRANTED)
    passing = set(at_once["exchange"][passed_soon(at_once, asked, granted, ("client", "server"))].tolist())
    for server in sorted(servers):
        is_passing = not len(messages[server]) and passing.issuperset(rows[server]["exchange"].tolist())
        yield finding(server, rows[server], theirs[server], messages[server], loopbacks, is_passing)


def finding(
    server: str, rows: Calls, sessions: Locks, asynchronous: Locks, loopbacks: frozenset[str], is_passing: bool
) -> Finding:
    tables = rows, asynchronous
    clients = tuple(sorted({client for table in tables for client in table["client"].tolist() if client}))
    times = [time for table in tables for time in table["time"][table.valid("time")].tolist()]
    replies = rows["reply_time"][rows.valid("reply_time")].tolist()
    count = rows.count + asynchronous.count
    latencies = rows["latency_s"][rows.valid("latency_s")]
    after = f", after up to {duration(float(latencies.max()))}" if len(latencies) else ""
    granted = " The next LOCK of each client was granted: it was a passing failure." if is_passing else ""
    return RULE.finding(
        severity="warning" if is_passing else "error",
        host=server,
        title=f"{server} denies locks: {several(count, 'LOCK')} answered DENIED_NOLOCKS{', then granted' * is_passing}",
        explanation=(
            f"{several(count, 'LOCK')} of {named(clients)} answered DENIED_NOLOCKS{after}: no lock is in conflict, the "
            "server could not serve the request. Most often statd does not monitor the client, because it is dead, "
            f"refuses or hangs; lockd asks it over the server's loopback.{granted}"
        ),
        clients=clients,
        files=tuple(sorted({file for table in (sessions, asynchronous) for file in table["file"].tolist() if file})),
        count=count,
        first=min(times, default=None),
        last=max([*times, *replies], default=None),
        evidence=tuple(evidence(rows, asynchronous)),
        remedy=(
            command("dmesg | grep -i lockd", on="the server", note="is there: cannot monitor?"),
            *RESTART_STATD,
        ),
        verify=(registered(server, Prog.NSM), answers(server, Prog.NSM)),
        needs=None if server in loopbacks else loopback_of(server, clients),
        wait_s=float(latencies.max()) if len(latencies) else None,
    )


def evidence(rows: Calls, asynchronous: Locks, limit: int = 2) -> Iterator[Evidence]:
    for row in rows.take(np.arange(min(limit, len(rows)))).rows():
        yield Evidence(row.capture, row.call_frame, f"LOCK of {row.client}")
        yield Evidence.of(row.reply_capture, row.reply_frame, "DENIED_NOLOCKS")
    for lock in asynchronous.take(np.arange(min(limit, len(asynchronous)))).rows():
        yield Evidence(lock.capture, lock.frame, f"LOCK_MSG of {lock.client}")
        if lock.denied_frame is not None:
            yield Evidence(lock.denied_capture, lock.denied_frame, "DENIED_NOLOCKS")
