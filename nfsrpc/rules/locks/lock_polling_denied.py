"""A client asks for a lock repeatedly, and is denied it each time.

Sees
    LOCKs of one client for one range of one file, each answered DENIED, for a minute or more, with short pauses
    between them and no grant. Each try of Linux has a new svid and a new oh.

Why it matters
    The application does not wait in the kernel (F_SETLK, LOCK_NB) but tries again by itself, as SQLite, git and apt
    do. It makes no progress, or has given up by now with an error.

Not flagged when
    The lock was granted within the minute. The tries are few, or far apart, as those of a job that starts once per
    hour and exits where the lock is taken.

How to confirm
    On the client: strace -f -e trace=fcntl,flock -p PID shows EAGAIN each time. On the server: cat /proc/locks.

How to fix
    By what is found of the holder: its host is dead (LCK010), or the server keeps a lock that no client holds (LCK008).
    Where the holder is alive, in its application. Where the capture does not show the holder: capture on the server.

References
    fcntl(2) (F_SETLK); flock(2) (LOCK_NB); RFC 1813 appendix II.

Parameters
    denied_s: the series of tries lasts for so long
"""

from __future__ import annotations

from collections.abc import Iterator

from nfsrpc.facts.basic import listed
from nfsrpc.facts.polling import Series
from nfsrpc.findings.advice import bare, who_holds, wire_of
from nfsrpc.findings.command import command
from nfsrpc.findings.finding import Answer, Evidence, Finding, Rule
from nfsrpc.wording import duration, named, several

RULE = Rule(
    "LCK016",
    "lock-polling-denied",
    "warning",
    timed="always",
    names_holder=True,
    judges="results of LOCK",
    passes="no client was denied one range repeatedly for long",
)


def check(polled: tuple[Series, ...], *, denied_s: float = 60.0) -> Iterator[Answer]:
    long = [series for series in polled if series.lasted_s >= denied_s]
    files = listed(((series.first.server, series.first.fh), series) for series in long)
    for _, of_file in sorted(files.items()):
        yield finding(of_file)


def finding(polled: list[Series]) -> Finding:
    """The finding on all clients that poll one file."""
    longest = max(polled, key=lambda series: series.lasted_s)
    first, last = longest.first, longest.last
    clients = tuple(sorted({series.first.client for series in polled}))
    holders = {holder.frame: holder for series in polled for holder in series.holders}
    owners = sorted({f"{holder.owner} ({holder.client})" for holder in holders.values()})
    holding = sorted({holder.client for holder in holders.values()})
    by_whom = f"held by {named(owners)}" if owners else "the capture does not show who holds it"
    count = sum(series.tries for series in polled)
    return RULE.finding(
        host=holding[0] if len(holding) == 1 else None,
        title=f"{several(count, 'LOCK')} of {named(clients)} for {first.file} DENIED in {duration(longest.lasted_s)}: "
        f"{by_whom}",
        explanation=(
            f"{named(clients)} sent {several(count, 'LOCK')} for {first.file} to {first.server} without waiting for "
            "the lock (F_SETLK, LOCK_NB), and each was answered DENIED, for "
            f"{duration(longest.lasted_s)}. {behind(owners)}"
        ),
        clients=clients,
        files=(first.file,),
        count=count,
        first=min(series.first.requested or 0 for series in polled),
        last=max(series.last.denied or 0 for series in polled),
        evidence=(
            *(
                Evidence(holder.granted_capture, holder.granted_frame, f"granted to {holder.owner} ({holder.client})")
                for holder in longest.holders
                if holder.granted_frame is not None
            ),
            Evidence.of(first.requested_capture, first.requested_frame, f"LOCK of {first.owner} ({first.client})"),
            Evidence.of(first.denied_capture, first.denied_frame, "DENIED"),
            Evidence.of(last.denied_capture, last.denied_frame, f"DENIED, the last of {longest.tries} replies"),
        ),
        remedy=(who_holds(first.server, holding),),
        verify=(
            command("flock -n FILE true && echo free", on="{client}", note="takes the lock", client=bare(first.client)),
        ),
        needs=None if owners else wire_of(first.server),
        wait_s=longest.lasted_s,
    )


def behind(owners: list[str]) -> str:
    if owners:
        return f"The range was held by {named(owners)}."
    return "The holder is not in the capture: it may have been granted the lock before, or it is on another host."
