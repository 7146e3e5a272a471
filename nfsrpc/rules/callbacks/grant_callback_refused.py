"""A client refuses the lock that it waited for.

Sees
    The client's answer to GRANTED, or its GRANTED_RES, is not GRANTED. The host to fix is the client, unless the grant
    came from another address of the server than the one that the client asked for the lock: then it is the server.

Why it matters
    The server grants the lock to the next waiter; the client that refused it has to retry, on Linux after 30 s.

Not flagged when
    The client had cancelled or unlocked, or had the lock already: then the grant crossed it, and is rightly refused.
    What the client did before was not captured, or the capture lost packets between the two: cannot tell.

How to confirm
    On the client: dmesg | grep lockd; is the process that waited still there?

How to fix
    Most often the client restarted its lockd, or its address changed (a container behind the address of its node, a
    mount by a Service address): Linux accepts a grant only from the address that it mounted. Mount the address that
    the server calls from.

References
    RFC 1813 appendix II; Linux fs/lockd/clntlock.c (nlmclnt_grant).

Parameters
    crossing_s: a client that cancelled or unlocked within this of the grant only crossed it
"""

from __future__ import annotations

from collections.abc import Iterator

from nfsrpc.columns import isin, number_of
from nfsrpc.facts.basic import listed
from nfsrpc.findings.advice import bare
from nfsrpc.findings.command import command, remark
from nfsrpc.findings.finding import Answer, Evidence, Finding, Rule
from nfsrpc.protocols.numbers import Nlm4Stats
from nfsrpc.tables import Calls, Locks
from nfsrpc.wording import SECOND, several

RULE = Rule(
    "CBK002",
    "grant-callback-refused",
    "warning",
    explains=("LCK003", "LCK011"),
    timed="always",
    judges="whole lock requests",
    passes="no client refused a lock that it had waited for",
)


def check(locks: Locks, nlm: Calls, gaps: frozenset[frozenset[str]], *, crossing_s: float = 5.0) -> Iterator[Answer]:
    called = locks.where(locks.valid("callback"))
    refusals = denials(called.where(called.valid("requested")))
    refused = [row for row in refusals.rows() if not is_crossing(row, crossing_s)]
    proven = [row for row in refused if frozenset((row.client, row.server)) not in gaps]
    senders = callers(nlm, proven)
    for client, rows in sorted(listed((row.client, row) for row in proven).items()):
        yield finding(client, rows, senders)
    if proven:
        return
    if refused or len(denials(called.where(~called.valid("requested")))):
        yield RULE.cannot_tell("a grant was refused whose request, and what the client did since, was not captured")
    elif len(called) and not called.valid("callback_status").any():
        yield RULE.cannot_tell("the clients' answers to grants are not in the capture")


def denials(called: Locks) -> Locks:
    return called.where(called.valid("callback_status") & (called["callback_status"] != Nlm4Stats.GRANTED))


def is_crossing(row: Locks.Row, crossing_s: float) -> bool:
    """Whether the client gave up before the grant could reach it, or had the lock already."""
    past = [time for time in (row.cancelled, row.unlock, row.granted) if time is not None]
    called = row.callback
    return called is not None and any(time <= called + crossing_s * SECOND for time in past)


def callers(nlm: Calls, refused: list[Locks.Row]) -> dict[int | None, str]:
    """The host that sent each of these callbacks, by exchange."""
    calls = nlm.where(isin(nlm["exchange"], [row.callback_exchange for row in refused]))
    return dict(zip(calls["exchange"].tolist(), calls["client"].tolist(), strict=True))


def finding(client: str, rows: list[Locks.Row], senders: dict[int | None, str]) -> Finding:
    first = rows[0]
    sender = senders.get(first.callback_exchange, first.server)
    is_elsewhere = sender != first.server
    reason = (
        f"The grant came from {sender}, and a client accepts one only from the address that it asked for the lock."
        if is_elsewhere
        else "Its lockd has no request that waits for this lock from this server."
    )
    return RULE.finding(
        host=first.server if is_elsewhere else client,
        title=(
            f"{first.server} grants {several(number_of(rows), 'lock')} from another address, {sender}: {client} refuses"
            if is_elsewhere
            else f"{client} refuses {several(number_of(rows), 'lock')} that it waited for"
        ),
        explanation=(
            f"{first.server} granted {client} a lock for which it waited, and {client} answered with status "
            f"{first.callback_status}. {reason}"
        ),
        clients=(client,),
        files=tuple(sorted({row.file for row in rows})),
        count=number_of(rows),
        first=first.callback,
        last=rows[-1].callback,
        evidence=tuple(proof(first, sender)),
        remedy=(
            command(
                "dmesg | grep lockd; findmnt -t nfs",
                on="{client}",
                note="is the server's address there the one that calls, {sender}?",
                client=bare(client),
                sender=sender,
            ),
            remark("else unmount, and mount that address.", on="{client}", client=client),
        ),
        wait_s=max((row.wait_s or 0.0 for row in rows), default=None),
    )


def proof(row: Locks.Row, sender: str) -> Iterator[Evidence]:
    if row.blocked_frame is not None:
        yield Evidence(row.blocked_capture, row.blocked_frame, f"{row.client} has to wait (BLOCKED)")
    note = f"GRANTED from {sender}, refused by {row.client}"
    yield Evidence.of(row.callback_capture, row.callback_frame, note)
