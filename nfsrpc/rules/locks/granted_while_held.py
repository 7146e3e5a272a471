"""A lock is granted that, by this capture, another holds.

Sees
    A lock granted for a range that another owner holds, one of the two exclusively, without UNLOCK between. It is
    likely only where the capture lacks the server's portmapper and statd: a notice of reboot would be missing too.
    Where the server sent the holder's host a notice of its reboot between, and the lock was not reclaimed, the host to
    fix is the holder's, and it is likely.

Why it matters
    Two applications hold the same lock, and overwrite each other's data. Clients log "VFS is out of sync with lock
    manager".

Not flagged when
    The holder released at least the part that the other got, or rebooted (SM_NOTIFY, FREE_ALL), or both are granted
    within a moment of each other's UNLOCK. Two clients that the server cannot tell apart are LCK014. The capture lost
    packets between the holder and the server, or no capture that shows both goes on until the grant: cannot tell.

How to confirm
    On the server: cat /proc/locks against lslocks on both clients.

How to fix
    Find out why the server dropped the first lock: its lock service restarted without notice (MON008), or a notice of
    the holder's reboot reached it that was none (MON006, MON005). After a reboot with notice: find out why the holder's
    host did not reclaim (its rpc.statd, MON004, MON005).

References
    RFC 1813 appendix II; X/Open C702 chapter 10.

Parameters
    moment_s: a release that was captured so late after the grant came before it
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import replace
from functools import cached_property

import numpy as np

from nfsrpc.columns import NAT, Array, Mask, distinct, isin, number_of
from nfsrpc.facts.basic import lacks, listed
from nfsrpc.facts.coverage import Coverage
from nfsrpc.facts.waiters import held_until, same_range
from nfsrpc.findings.advice import bare, who_holds, wire_of
from nfsrpc.findings.command import command, remark
from nfsrpc.findings.finding import Answer, CannotTell, Evidence, Finding, Rule
from nfsrpc.protocols.numbers import NlmProc
from nfsrpc.sessions.conflicts import NEVER
from nfsrpc.sessions.grouping import Parts, group, in_order
from nfsrpc.sessions.stretches import Stretches
from nfsrpc.tables import Calls, Locks, Monitors
from nfsrpc.wording import SECOND, AtLeast, clock_time

RULE = Rule(
    "LCK009",
    "granted-while-held",
    "error",
    explains=("LCK015",),
    timed="always",
    log=("reclaim-failed", "out-of-sync"),
    compares_holders=True,
    judges="granted locks",
    passes="no lock was granted while another held its range",
)

MAX_GRANTS = 200  # grants of each kind; most are innocent, and each costs a look at all locks
MAX_CASES = 20  # cases are reported
LOST = "the capture lost packets, among which the UNLOCK of a holder may have been"
ENDED = "a holder may have released its lock after the last capture ended that shows it with its server"


def check(
    locks: Locks,
    nlm: Calls,
    monitors: Monitors,
    boots: Mapping[str, tuple[int, ...]],
    gaps: frozenset[frozenset[str]],
    with_portmappers: frozenset[str],
    coverage: Coverage,
    *,
    moment_s: float = 1.0,
) -> Iterator[Answer]:
    moment = round(moment_s * SECOND)
    found: list[tuple[Locks.Row, Locks.Row]] = []
    unsure: CannotTell | None = None
    holders = Holders(locks, nlm, boots, coverage)
    rows, more = suspects(locks, moment)
    for number in rows.tolist():
        if len(found) >= MAX_CASES:
            more = True
            break
        case = holders.of(number, moment)
        if case is None:
            continue
        holder, is_seen = case
        if not is_seen:
            unsure = RULE.cannot_tell(ENDED, wire_of(holder.server))
        elif lacks(gaps, holder):
            unsure = RULE.cannot_tell(LOST)
        else:
            found.append((holder, locks.row(number)))
    unfiltered = with_portmappers | {*monitors["host"].tolist(), *monitors["asker"].tolist()}
    notices = Parts(monitors.where((monitors["procedure"] == "NOTIFY") & ~monitors["loopback"]), "asker", "host")
    lost = {pair: notice for pair in found if (notice := notice_between(*pair, notices))}
    for (client, _), pairs in sorted(listed(((pair[0].client, pair[0].server), pair) for pair in lost).items()):
        yield lost_in_reboot(client, pairs, lost[pairs[0]])
    for server, pairs in sorted(listed((pair[1].server, pair) for pair in found if pair not in lost).items()):
        yield finding(server, pairs, server in unfiltered, more)
    if unsure and not found:
        yield unsure
    if more:
        yield RULE.cannot_tell("too many locks overlap to look at all of them", lacks="room")


def suspects(locks: Locks, moment: int) -> tuple[Array, bool]:
    """Sessions granted before all earlier holders of that file, or of the very same range, had unlocked.

    Most of those of the file are innocent (other ranges, the same owner), so of each kind not all are looked at: the
    second is whether there are more.
    """
    rows = np.flatnonzero(locks.valid("granted"))
    if not len(rows):
        return rows, False
    file, _ = group(locks["server"].codes[rows], locks["fh"].codes[rows])
    early = granted_early(file, locks["granted"][rows], held_until(locks)[rows], moment)
    concerned = isin(file, file[early])  # of most files nothing more need be asked
    rows, file = rows[concerned], file[concerned]
    since, until, exclusive = locks["granted"][rows], held_until(locks)[rows], locks["exclusive"][rows]
    requested = locks.valid("requested")[rows]
    alone = np.where(exclusive, until, NAT)  # a shared lock stands only in the way of exclusive ones
    places = group(file, locks["l_offset"][rows], locks["l_len"][rows])[0], file
    masks = [
        granted_early(place, since, alone, moment) | (granted_early(place, since, until, moment) & exclusive)
        for place in places
    ]
    found = [rows[mask & requested] for mask in masks]
    examined = distinct(np.concatenate([numbers[:MAX_GRANTS] for numbers in found]))
    return examined, any(len(numbers) > MAX_GRANTS for numbers in found)


def granted_early(groups: Array, since: Array, until: Array, moment: int) -> Mask:
    """Sessions granted while an earlier one of their group still held, each by more than a moment."""
    order = np.argsort(since, kind="stable")  # as good as sorted, and so quick
    order = order[in_order(groups[order])]
    groups, since, until = groups[order], since[order], until[order]
    count = len(order)
    mask = np.zeros(count, dtype=np.bool_)
    same = groups[1:] == groups[:-1]
    if not (same & (until[:-1] > since[1:] + moment)).any():  # a hold that outlasts any other outlasts the next one
        return mask
    ends, times = np.sort(until), np.sort(since)
    # The latest end so far within each group: ends as ranks, so that each group's can be put above the one's before it.
    rank = np.searchsorted(ends, until) + groups * count
    latest = np.maximum.accumulate(rank) - groups * count
    # The last one of the group that was granted well before; grants as ranks, likewise.
    keys = groups * (count + 1) + np.searchsorted(times, since)
    before = np.searchsorted(keys, groups * (count + 1) + np.searchsorted(times, since - moment)) - 1
    there = (before >= 0) & (groups[before] == groups)
    mask[order] = there & (ends[latest[before]] > since + moment)
    return mask


class Holders:
    """Sessions that hold their ranges, until when, and when their clients gave up all that they had."""

    def __init__(self, locks: Locks, nlm: Calls, boots: Mapping[str, tuple[int, ...]], coverage: Coverage) -> None:
        self.locks, self.nlm, self.boots, self.coverage = locks, nlm, boots, coverage

    @cached_property
    def until(self) -> Array:
        return held_until(self.locks)

    @cached_property
    def seen_until(self) -> Array:
        return self.coverage.ends(self.locks)

    @cached_property
    def free_all_times(self) -> Array:
        """The times of FREE_ALL, by which clients give up all locks."""
        rows = self.nlm.where(self.nlm["proc"] == NlmProc.FREE_ALL)
        if not len(rows):
            return np.full(len(self.locks), NEVER)
        freeing = Stretches((rows["client"], rows["server"]), rows["time"])
        ends = zip(*(self.locks[name].tolist() for name in ("client", "server", "granted")), strict=True)
        return or_never(freeing.following((client, server), granted) for client, server, granted in ends)

    @cached_property
    def boot_times(self) -> Array:
        if not self.boots:
            return np.full(len(self.locks), NEVER)
        booting = Stretches.of((host, time, time) for host, times in self.boots.items() for time in times)
        grants = zip(*(self.locks[name].tolist() for name in ("client", "granted")), strict=True)
        return or_never(booting.following(client, granted) for client, granted in grants)

    def of(self, number: int, moment: int) -> tuple[Locks.Row, bool] | None:
        """A session that held the range, excluding others, when a session was granted, and whether it is seen then."""
        locks, since = self.locks, self.locks["granted"]
        time = int(since[number])
        rows = np.flatnonzero(same_range(locks, number))  # few of many
        rows = rows[(rows != number) & (since[rows] != NAT) & (since[rows] < time - moment)]
        client, svid, exclusive = locks["client"].codes, locks["svid"], locks["exclusive"]
        meets = (client[rows] != client[number]) | (svid[rows] != svid[number])
        meets &= (exclusive[rows] | exclusive[number]) & (self.until[rows] > time + moment)
        meets &= (self.boot_times[rows] > time) & (self.free_all_times[rows] > time + moment)
        meets &= locks["caller_name"].codes[rows] >= 0
        rows = rows[meets]
        seen = rows[self.seen_until[rows] >= time]
        row = next(locks.take((seen if len(seen) else rows)[:1]).rows(), None)
        return None if row is None else (row, len(seen) > 0)


def notice_between(holder: Locks.Row, row: Locks.Row, notices: Parts[Monitors]) -> Monitors.Row | None:
    """The notice of its reboot that the server sent the holder's host between both grants; None if it reclaimed."""
    mine = notices[holder.server, holder.client]
    mine = mine.where((mine["time"] > (holder.granted or 0)) & (mine["time"] < (row.granted or 0)))
    return mine.row(0) if len(mine) and not holder.reclaims else None


def or_never(times: Iterable[int | None]) -> Array:
    return np.array([NEVER if time is None else time for time in times], dtype=np.int64)


def lost_in_reboot(client: str, pairs: list[tuple[Locks.Row, Locks.Row]], notice: Monitors.Row) -> Finding:
    """The finding on a holder that did not reclaim its locks after a notice of the server's reboot."""
    holder, row = pairs[0]
    server = holder.server
    found = finding(server, pairs, unfiltered=True, more=False)
    held, granted = found.evidence
    return replace(
        found,
        certainty="likely",
        host=client,
        title=f"{client} has lost its lock on {row.file} in a reboot of {server}; {row.owner} ({row.client}) has it",
        explanation=(
            f"{holder.owner} ({client}) was granted it at {clock_time(holder.granted)} and has not unlocked. {server} "
            f"sent {client} a notice of its reboot (SM_NOTIFY) at {clock_time(notice.time)}, {client} did not reclaim "
            f"the lock, and at {clock_time(row.granted)} {row.owner} ({row.client}) was granted it. The application "
            "that had it is not informed."
        ),
        evidence=(held, Evidence(notice.capture, notice.frame, f"SM_NOTIFY of {server} to {client}"), granted),
        remedy=(
            command("systemctl status rpc-statd; dmesg | grep -i lockd", on="{client}", client=bare(client)),
            *found.remedy[1:],
        ),
    )


def finding(server: str, pairs: list[tuple[Locks.Row, Locks.Row]], unfiltered: bool, more: bool) -> Finding:
    """The finding on one server; `unfiltered`: reboot notices would be in the capture; `more`: not all is looked at."""
    holder, row = pairs[0]
    unseen = "" if unfiltered else " Notices of a reboot pass over other ports, which were not captured."
    return RULE.finding(
        certainty="certain" if unfiltered else "likely",
        host=server,
        title=f"{server} granted a lock on {row.file} that {holder.owner} ({holder.client}) holds",
        explanation=(
            f"{holder.owner} ({holder.client}) was granted it at {clock_time(holder.granted)} and has not unlocked; at "
            f"{clock_time(row.granted)} {row.owner} ({row.client}) was granted it as well.{unseen}"
        ),
        clients=tuple(sorted({row.client for pair in pairs for row in pair})),
        files=tuple(sorted({row.file for _, row in pairs})),
        count=AtLeast(len(pairs)) if more else number_of([row for _, row in pairs]),
        first=row.granted,
        last=max(row.granted or 0 for _, row in pairs),
        evidence=(
            Evidence.of(holder.granted_capture, holder.granted_frame, f"granted to {holder.owner} ({holder.client})"),
            Evidence.of(row.granted_capture, row.granted_frame, f"granted to {row.owner} ({row.client}) as well"),
        ),
        remedy=(
            command("journalctl -u nfs-server -u rpc-statd", on="the server", note="restarted meanwhile?"),
            who_holds(server, {holder.client, row.client}),
            remark("Stop one of the applications; check the file for damage."),
        ),
        needs=None if unfiltered else wire_of(server, {row.client for pair in pairs for row in pair}),
        verify=(
            command("cat /proc/locks", on="the server", note="a Linux kernel server: against lslocks on both clients"),
        ),
    )
