"""UNLOCKs are not answered, or refused.

Sees
    UNLOCK never answered for 10 s or until its connection died, or answered with a status that is not GRANTED.

Why it matters
    For the application the lock is free, and the server still has it: the next client waits for a lock without holder.

Not flagged when
    The capture ends too soon, lacks the server's direction or lost packets of that stream. DENIED_GRACE_PERIOD just
    after a reboot: the client retries.

How to confirm
    On the server: lslocks, or cat /proc/locks, and the inode of the file.

How to fix
    By the finding that explains it, which stalls the lock manager. Locks that are left are dropped on the server.

References
    RFC 1813 appendix II; X/Open C702 chapter 10.
"""

from __future__ import annotations

from collections.abc import Iterator

from nfsrpc.columns import isin
from nfsrpc.facts.basic import Span
from nfsrpc.facts.stalls import LockFiles, last_end, longest
from nfsrpc.facts.vantages import Vantages, how_far
from nfsrpc.findings.advice import BREAK_LOCK, LOCK_IS_GONE, bare, loopback_of
from nfsrpc.findings.command import command, remark
from nfsrpc.findings.finding import Answer, Evidence, Finding, Rule
from nfsrpc.protocols.numbers import Nlm4Stats, NlmProc
from nfsrpc.sessions.grouping import Parts
from nfsrpc.tables import Calls
from nfsrpc.wording import named, several

RULE = Rule(
    "LCK007",
    "unlock-failed",
    "warning",
    timed="always",
    log=("lockd-silent",),
    asks_causes="always",
    says_never=True,
    judges="replies to UNLOCK",
    passes="no UNLOCK was refused, or remained without a reply",
)


def check(
    requests: Calls,
    silent_requests: Calls,
    loopbacks: frozenset[str],
    span: Span | None,
    vantages: Vantages,
    lock_files: LockFiles,
) -> Iterator[Answer]:
    unlocks = requests.where(requests["proc"] == NlmProc.UNLOCK)
    refused = (
        unlocks.valid("status")
        & (unlocks["status"] != Nlm4Stats.GRANTED)
        & (unlocks["status"] != Nlm4Stats.DENIED_GRACE_PERIOD)
    )
    failed = unlocks.where(isin(unlocks["exchange"], silent_requests["exchange"]) | refused)
    for server, rows in Parts(failed, "server").items():
        silent = rows.where(rows["state"] == "unanswered")
        came = how_far(silent.row(0), vantages) if len(silent) else ""
        yield finding(server, rows, lock_files.of(rows), loopbacks, span, came)


def finding(
    server: str, rows: Calls, files: tuple[str, ...], loopbacks: frozenset[str], span: Span | None, came: str
) -> Finding:
    """The finding on one server; `came`: how far the first unanswered request came, where that is known."""
    clients = tuple(sorted({client for client in rows["client"].tolist() if client}))
    silent = int((rows["state"] == "unanswered").sum())
    became = {"never answered": silent, "refused": len(rows) - silent}
    fates = {what: rows.counted(many) for what, many in became.items() if many}
    times = rows["time"][rows.valid("time")]
    return RULE.finding(
        host=server,
        title=f"{several(rows.count, 'UNLOCK')} to {server} {' or '.join(fates)}",
        explanation=(
            f"UNLOCKs of {named(clients)}: {', '.join(f'{many} {what}' for what, many in fates.items())}. For the "
            f"application these locks are free, and the server may keep them until it restarts.{came and ' '}{came}"
        ),
        clients=clients,
        files=files,
        count=rows.count,
        first=int(times.min()) if len(times) else None,
        last=last_end(rows, span),
        evidence=tuple(evidence(rows)),
        remedy=(
            command(
                "rpcinfo -p {server}; systemctl status rpcbind rpc-statd nfs-server",
                on="{server}",
                server=bare(server),
            ),
            remark("Where a lock is left that no client has:"),
            *BREAK_LOCK,
        ),
        verify=(LOCK_IS_GONE,),
        needs=None if server in loopbacks else loopback_of(server, clients),
        wait_s=longest(rows, span),
    )


def evidence(rows: Calls, limit: int = 3) -> Iterator[Evidence]:
    for number, row in enumerate(rows.rows()):
        if number == limit:
            return
        yield Evidence(row.capture, row.call_frame, f"UNLOCK of {row.client}")
        if row.reply_frame is not None:
            yield Evidence(row.reply_capture, row.reply_frame, f"answered with status {row.status}")
