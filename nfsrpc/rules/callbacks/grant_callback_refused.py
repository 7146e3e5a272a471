"""A client refuses the lock that it waited for.

Sees
    The client's answer to GRANTED, or its GRANTED_RES, is not GRANTED.

Why it hurts
    The server gives the lock to the next; the one who waited goes on waiting, or has to ask again.

Not flagged when
    The client had given up or unlocked just before (CANCEL, UNLOCK): then the grant crossed it, and is rightly refused.
    What it did before was not captured.

How to confirm
    On the client: dmesg | grep lockd; is the process that waited still there?

How to fix
    Most often the client restarted its lockd, or its address changed, so that it knows nobody who waits. Mount again.

References
    RFC 1813 appendix II; Linux fs/lockd/clntlock.c (nlmclnt_grant).

Parameters
    crossing_s: a client that cancelled or unlocked within this of the grant only crossed it
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from nfsrpc.columns import Table
from nfsrpc.facts.basic import listed
from nfsrpc.findings.advice import bare
from nfsrpc.findings.command import command, remark
from nfsrpc.findings.finding import Answer, Evidence, Finding, Rule
from nfsrpc.wording import SECOND, several

RULE = Rule(
    "CBK002",
    "grant-callback-refused",
    "warning",
    explains=("LCK003", "LCK011"),
    timed="always",
)

GRANTED = 0


def check(locks: Table, *, crossing_s: float = 5.0) -> Iterator[Answer]:
    called = locks.where(locks.valid("callback"))
    refused = [row for row in denied(called.where(called.valid("requested"))).rows() if not crossed(row, crossing_s)]
    for client, rows in sorted(listed((row.client, row) for row in refused).items()):
        yield finding(client, rows)
    if refused:
        return
    accepted = int((called["callback_status"] == GRANTED).sum())
    if len(denied(called.where(~called.valid("requested")))):
        yield RULE.cannot_tell("a grant was refused whose request, and what the client did since, was not captured")
    elif accepted:
        yield RULE.clear(f"{several(accepted, 'grant')} accepted by the waiting clients")
    elif len(called):
        yield RULE.cannot_tell("the clients' answers to grants are not in the capture")
    else:
        yield RULE.clear("no client was called back") if len(locks) else RULE.cannot_tell("no locks in the capture")


def denied(called: Table) -> Table:
    return called.where(called.valid("callback_status") & (called["callback_status"] != GRANTED))


def crossed(row: Any, crossing_s: float) -> bool:
    """Whether the client gave up before it could know of the grant, or had it already."""
    past = [time for time in (row.cancelled, row.unlock, row.granted) if time is not None]
    return any(time <= row.callback + crossing_s * SECOND for time in past)


def finding(client: str, rows: list[Any]) -> Finding:
    first = rows[0]
    return RULE.finding(
        host=client,
        title=f"{client} refuses {several(len(rows), 'lock')} that it waited for",
        explanation=(
            f"{first.server} granted {client} a lock for which it waited, and {client} answered with status "
            f"{first.callback_status}: its lockd knows nobody who waits for it."
        ),
        clients=(client,),
        files=tuple(sorted({row.file for row in rows})),
        count=len(rows),
        first=first.callback,
        last=rows[-1].callback,
        evidence=(
            *(
                (Evidence(first.blocked_capture, first.blocked_frame, "told to wait (BLOCKED)"),)
                if first.blocked_frame is not None
                else ()
            ),
            Evidence(first.callback_capture, first.callback_frame, "granted by the server, and refused by the client"),
        ),
        remedy=(
            command("dmesg | grep lockd", on="{client}", client=bare(client)),
            remark("Unmount and mount again on that client."),
        ),
        wait_s=max((row.wait_s or 0.0 for row in rows), default=None),
    )
