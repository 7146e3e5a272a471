"""Lock requests are never answered.

Sees
    LOCK without a reply (LOCK_MSG: without LOCK_RES), and without a grant, for 10 s or until its connection died;
    how often it was retransmitted, on whichever connection. Also LOCK_MSG that is repeated with one cookie although a
    LOCK_RES granted it each time: the client does not take that result.

Why it matters
    The application hangs in lock. After a minute the client's kernel logs "lockd: server … not responding, still
    trying" and goes on for ever.

Not flagged when
    The capture ends within 10 s of the call, lacks the server's direction, or lost packets of that stream: cannot
    tell. The lock was granted by a call of the server. A LOCK_MSG that is repeated once may have crossed its result.
    One that is never repeated had its result where the client unlocks it or goes on with other locks.
    Where captures whose clocks cannot be compared show the server with all of these clients (CAP007), it is likely.
    So it is where another session holds the range, which is named then, unless its client told the server of a reboot;
    and where none of the requests was retransmitted and no later frame of their connections shows that the reply was
    not lost by the capture.

How to confirm
    On the client: dmesg | grep lockd; the process waits in nlmclnt_lock or nlmclnt_call.

How to fix
    By the finding that explains it. Where there is none: on the server, the stack of the lockd thread, and a capture of
    its loopback. A result that the client does not take comes from another address or port than it expects (NET005).

References
    RFC 1813 appendix II; X/Open C702 chapter 10; Linux fs/lockd/clntproc.c.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from operator import itemgetter

from nfsrpc.columns import isin
from nfsrpc.facts.basic import Span
from nfsrpc.facts.lock_answers import LockAnswers
from nfsrpc.facts.stalls import LockFiles, longest_waits
from nfsrpc.facts.vantages import Vantages, how_far
from nfsrpc.findings.advice import bare, lock_services, loopback_of
from nfsrpc.findings.command import command
from nfsrpc.findings.finding import Answer, Evidence, Finding, Rule
from nfsrpc.protocols.numbers import NlmProc
from nfsrpc.sessions.grouping import Parts
from nfsrpc.tables import Calls, Locks
from nfsrpc.wording import SECOND, capitalized, duration, named, several

RULE = Rule(
    "LCK001",
    "lock-request-unanswered",
    "error",
    explains=("LCK002", "LCK007"),
    timed="always",
    log=("lockd-silent",),
    asks_causes="always",
    says_never=True,
    judges="LOCK requests",
    passes="no LOCK remained without a reply",
)

GRANTED_OTHERWISE = ("callback", "late-reply")


def check(
    nlm: Calls,
    silent_requests: Calls,
    silent_messages: Locks,
    locks: Locks,
    loopbacks: frozenset[str],
    span: Span | None,
    vantages: Vantages,
    lock_files: LockFiles,
    lock_answers: LockAnswers,
) -> Iterator[Answer]:
    granted = granted_otherwise(locks)
    decided, silent = (
        table.where(isin(table["proc"], (NlmProc.LOCK, NlmProc.NM_LOCK)) & ~isin(table["exchange"], granted))
        for table in (nlm, silent_requests)
    )
    called = nlm.where(isin(nlm["exchange"], silent_messages["exchange"]))
    polls = dict(zip(silent_messages["exchange"].tolist(), silent_messages["polls"].tolist(), strict=True))
    results = Parts(nlm.where(nlm["proc"] == NlmProc.LOCK_RES), "client", "server") if len(called) else {}
    for server, rows in sorted({**Parts(called, "server"), **Parts(silent, "server")}.items(), key=itemgetter(0)):
        came = how_far(rows.row(0), vantages) or not_taken(results, polls, rows.row(0))
        yield finding(server, rows, lock_files.of(rows), loopbacks, span, came, lock_answers.holder(rows))
    without_result = (locks["answer"] == "unanswered") & (locks["procedure"] == "LOCK_MSG") & locks.valid("requested")
    undecided = int(decided["state"].isin(("undecided", "unanswered")).sum()) - len(silent)
    undecided += int(without_result.sum()) - len(silent_messages)
    if undecided:
        yield RULE.cannot_tell(f"the capture does not hold what followed {several(nlm.counted(undecided), 'LOCK')}")


def granted_otherwise(locks: Locks) -> list[int]:
    rows = locks.where(locks["granted_by"].isin(GRANTED_OTHERWISE))
    return [number for name in ("exchange", "last_exchange") for number in rows[name][rows.valid(name)].tolist()]


def not_taken(results: Mapping[tuple[str, str], Calls], polls: Mapping[int, int], call: Calls.Row) -> str:
    """A sentence on a repeated LOCK_MSG without result, where the capture shows results to its client."""
    pair = call.server, call.client
    if call.proc != NlmProc.LOCK_MSG or pair not in results:
        return ""
    since = results[pair].where(results[pair]["time"] >= call.time)
    if len(since) <= (asked_again := polls.get(call.exchange, 0)) or not asked_again:
        return ""
    return capitalized(
        f"{since.count} LOCK_RES of {call.server} came to port {since.row(0).server_port} of "
        f"{call.client}, which repeats LOCK_MSG with the same cookie all the same: it does not take these results."
    )


def finding(
    server: str,
    rows: Calls,
    files: tuple[str, ...],
    loopbacks: frozenset[str],
    span: Span | None,
    came: str,
    holder: Locks.Row | None,
) -> Finding:
    """The finding on one server; `came`: how far the first request came, where that is known."""
    while_held, behind = in_words(holder)
    clients = tuple(sorted({client for client in rows["client"].tolist() if client}))
    first = int(rows["time"].min())
    wait = (
        (span.last - first) / SECOND if span is not None else None
    )  # it never ended, whatever void replies there were
    resent = rows.counted(int(rows["retransmits"].sum()))
    waited_s = f" for {duration(wait)}" if wait is not None else ""
    again = f", retransmitted {several(resent, 'time')}" if resent else ""
    return RULE.finding(
        certainty="certain" if holder is None else "likely",
        host=server,
        title=f"{several(rows.count, 'LOCK')} to {server} never answered{while_held}",
        explanation=(
            f"{several(rows.count, 'LOCK')} of {named(clients)} to {server} had no reply{waited_s}{again}. Replies of "
            f"the server to other calls are in the capture, so this one would be.{came and ' '}{came}{behind}"
        ),
        clients=clients,
        files=files,
        count=rows.count,
        first=first,
        last=span.last if span is not None else None,
        evidence=(*held_since(holder), *longest_waits(rows, 4)),
        remedy=(
            command(
                "rpcinfo -p {server}; systemctl status rpcbind rpc-statd nfs-server",
                on="{server}",
                server=bare(server),
            ),
            command("cat /proc/$(pgrep -x lockd)/stack", on="the server", note="what its lockd waits for"),
        ),
        verify=(lock_services(server),),
        needs=None if server in loopbacks else loopback_of(server, clients),
        wait_s=wait,
    )


def in_words(holder: Locks.Row | None) -> tuple[str, str]:
    """The ends of the title and of the explanation, where another session holds the range."""
    if holder is None:
        return "", ""
    who = f"{holder.owner} ({holder.client})"
    held_back = "the server may hold its reply back until then, instead of answering BLOCKED"
    return (
        f", while {who} holds the range",
        f" {who} was granted that range before and has not unlocked it: {held_back}.",
    )


def held_since(holder: Locks.Row | None) -> Iterator[Evidence]:
    if holder is not None and holder.granted_frame is not None:
        yield Evidence(holder.granted_capture, holder.granted_frame, f"granted to {holder.owner} ({holder.client})")
