"""Lock sessions that are over and healthy, and that nothing else depends on: they leave while a capture is being read.

Such a session is a LOCK that was granted at once and its UNLOCK, each answered once, in time, with GRANTED; nobody else
held, waited for, or was denied any of its range meanwhile. What stays all the same is what a question about something
that is odd may lead to: the sessions of a client next to anything odd on the file, its requests next to anything late
on the wire, the first and the last of each connection and name, and the latest of each file. What leaves is summed:
exchanges as tallies, and by client and file who had locks (`counted_locks`), from when until when.

All is found by comparing columns: the steps of one owner on one range, sorted by time, are cut where nothing of it goes
on; these stretches are compared with all others of their place, a range of a file.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np

from nfsrpc.columns import NAT, NULLS, Array, Mask, Masked, distinct, isin
from nfsrpc.decode import NO_STRING, Columns, MessageFields
from nfsrpc.protocols.numbers import Nlm4Stats, NlmProc, NsmProc, Prog
from nfsrpc.reading import Batch
from nfsrpc.sessions.exchanges import Chosen
from nfsrpc.sessions.grouping import group, in_order
from nfsrpc.sessions.ranges import last_bytes
from nfsrpc.sessions.stretches import so_far
from nfsrpc.sessions.wanted import NLM_PROTOCOLS

SECOND = 1_000_000_000
NEVER = int(np.iinfo(np.int64).max)
SLOW = SECOND  # as the core has it of exchanges that it counts
# Frames are captured out of order, and requests served, within so much; as rules have it (LCK009, LCK008).
MOMENT = SECOND
PAUSE = 46 * SECOND  # who was denied a range may ask again so soon: these tries are one series (facts/polling.py)
ACCESS = 10 * SECOND  # the core has times of writes to ten seconds
# Sessions of files that are kept as the latest of their file and client; beyond, the oldest leave.
MAX_LATEST = 1 << 12
HASH_FACTOR, HASH_SHIFT = np.uint64(0x9E3779B97F4A7C15), np.uint64(29)
# Sessions of a file with ranges that overlap are compared with so many that begin next.
NEAR = 16
# Moments at which something was odd on the wire; of more, one in two seconds, four, ….
MAX_MOMENTS = 1 << 12

GETPORT = 3  # of version 2
LOCKS, UNLOCKS = (NlmProc.LOCK, NlmProc.LOCK_MSG, NlmProc.NM_LOCK), (NlmProc.UNLOCK, NlmProc.UNLOCK_MSG)
CANCELS, GRANTS = (NlmProc.CANCEL, NlmProc.CANCEL_MSG), (NlmProc.GRANTED, NlmProc.GRANTED_MSG)
STEPS = (*LOCKS, *UNLOCKS, *CANCELS, *GRANTS)
# Answers to a LOCK that say something of the file, and nothing of the server.
OF_THE_FILE = (Nlm4Stats.GRANTED, Nlm4Stats.DENIED, Nlm4Stats.BLOCKED)
FIELDS = ("fh", "oh", "svid", "l_offset", "l_len", "caller_name", "reclaim", "exclusive")


@dataclass
class Settled:
    """Sessions that leave: the exchanges of each, and who had which file from when until when."""

    exchanges: Array  # the numbers of those that leave
    sums: Columns  # one row per session, as in `counted_locks`
    owners: Array  # a hash of each owner and range
    unlocked_again: Array  # the numbers of UNLOCKs of owners that had unlocked before, in a session that may have left


class Sieve:
    """The exchanges of a batch that say something of locks, and what is odd among them."""

    def __init__(self, batch: Batch, in_reach: Columns, until: int) -> None:
        """`in_reach`: exchanges that the core has yet. `until`: what is not over by then stays."""
        self.exchanges = batch["exchanges"]
        self.accesses, self.strings, self.addresses = batch["accesses"], batch["strings"], batch["addresses"]
        self.known_owners = batch["counted_owners"]["owner"], batch["earlier_owners"]["owner"]
        self.rows, open_ = (of_control(columns) for columns in (batch["exchanges"], in_reach))
        self.raw = Both(batch["exchanges"], self.rows, in_reach, open_)
        self.final = np.arange(len(self.rows) + len(open_)) < len(self.rows)
        self.until = min(frontier(in_reach), until)
        tables = {name: batch["decoded"].get(name, {}) for name in (*ARGUMENTS, "portmap2.res")}
        messages = {
            table: {name: masked(column) for name, column in columns.items()} for table, columns in tables.items()
        }
        self.messages = MessageFields(
            strings=[], messages={name: columns for name, columns in messages.items() if columns}
        )

    def describes(self, batch: Batch) -> bool:
        """Whether the batch has still the exchanges that it had."""
        return batch["exchanges"] is self.exchanges

    @cached_property
    def plain(self) -> Mask:
        """Exchanges that were answered once, in time, with success, and are out of reach."""
        raw = self.raw
        once = (raw["retransmits"] == 0) & (raw["duplicates"] == 0) & (raw["flags"] == 0)
        known = (raw["call_frame"] != 0) & (raw["reply_frame"] != 0) & (raw["time"] != NAT)
        latency = raw["reply_time"] - raw["time"]
        in_time = (latency >= 0) & (latency < SLOW)
        without = (raw["status"] == NULLS["i32?"]) & (raw["prog"] == Prog.PORTMAP)  # which has no status
        succeeded = (raw["rpc_status"] == 0) & ((raw["status"] == 0) | without)
        plain: Mask = once & known & in_time & succeeded & self.final
        return plain

    @cached_property
    def steps(self) -> LockSteps:
        return LockSteps.of(self)

    @cached_property
    def stretches(self) -> LockStretches:
        return LockStretches(self.steps, self.is_known)

    @cached_property
    def settled(self) -> Settled:
        """The sessions that leave."""
        steps = self.steps
        if not len(steps):
            none = np.zeros(0, dtype=np.uint32)
            return Settled(none, {}, none.astype(np.uint64), none)
        stretches = self.stretches
        kept = (stretches.end >= self.until - MOMENT) | stretches.met | stretches.next_to_odd | stretches.latest
        kept |= stretches.of_exchanges(self.ends_of(steps) | self.next_to_late(steps))
        gone = np.flatnonzero(stretches.healthy & ~(kept | self.spans_restart(stretches)))
        gone = gone[~self.is_written(stretches, gone)]
        exchange = steps.raw["exchange"]
        return Settled(
            exchange[np.concatenate([stretches.first[gone], stretches.last[gone]])],
            stretches.sums(gone),
            self.hashes(steps, stretches.first[gone]),
            exchange[stretches.unlocked_again],
        )

    def is_known(self, steps: LockSteps, rows: Array) -> Mask:
        """Which of these steps are of an owner that had a session of that range which has left."""
        owners = self.hashes(steps, rows)
        mask = np.zeros(len(rows), dtype=np.bool_)
        for known in self.known_owners if len(rows) else ():
            if len(known):
                mask |= known[np.minimum(np.searchsorted(known, owners), len(known) - 1)] == owners
        return mask

    def hashes(self, steps: LockSteps, rows: Array) -> Array:
        """A hash of the owner and the range of each of these steps, that stays the same for all batches."""
        names = {"fh": self.strings, "oh": self.strings, "locker": self.addresses}
        result = np.zeros(len(rows), dtype=np.uint64)
        for name, column in {"locker": steps.locker, **steps.claim}.items():
            values = column[rows]
            if name in names:
                numbers, first = group(values)
                named = map(names[name].__getitem__, values[first].tolist())
                values = np.fromiter(map(hash, named), dtype=np.int64, count=len(first))[numbers]
            result = (result ^ values.astype(np.uint64)) * HASH_FACTOR
            result ^= result >> HASH_SHIFT
        return result

    @cached_property
    def late(self) -> Mask:
        """Exchanges that are odd in a way that says something of the hosts: most with statds and portmappers are."""
        raw = self.raw
        nlm = raw["prog"] == Prog.NLM
        answered = raw["reply_frame"] != 0
        slow = ~answered | (raw["reply_time"] - raw["time"] >= SLOW) | (raw["retransmits"] > 0)
        failed = nlm & answered & ((raw["rpc_status"] != 0) | ~isin(raw["status"], OF_THE_FILE))
        known = self.final | (raw["time"] < self.until)
        late: Mask = ((slow | failed) & known) | (~nlm & ~self.names_port) | self.restarts
        return late

    @cached_property
    def names_port(self) -> Mask:
        """Exchanges by which a portmapper named a port in time."""
        raw = self.raw
        mask: Mask = self.plain & (raw["prog"] == Prog.PORTMAP) & (raw["vers"] == 2) & (raw["proc"] == GETPORT)
        rows = np.flatnonzero(mask)
        port = self.messages.column("portmap2.res", "res_port", raw["exchange"][rows])
        mask[rows] = port.valid & (port.values != 0)
        return mask

    @cached_property
    def restarts(self) -> Mask:
        """Exchanges that show that a host, or its lock manager, has restarted or gave up all locks."""
        raw = self.raw
        nlm, nsm = raw["prog"] == Prog.NLM, raw["prog"] == Prog.NSM
        found: Mask = nlm & isin(raw["proc"], (NlmProc.NSM_NOTIFY, NlmProc.FREE_ALL))
        found |= nlm & (raw["reply_frame"] != 0) & (raw["status"] == Nlm4Stats.DENIED_GRACE_PERIOD)
        found |= nsm & ~isin(raw["proc"], (0, NsmProc.SM_STAT, NsmProc.SM_MON, NsmProc.SM_UNMON))
        return found

    def next_to_late(self, steps: LockSteps) -> Mask:
        """LockSteps of two hosts that are the last before, or the first after, something late or failed."""
        odd = np.flatnonzero(self.late & (self.raw["time"] != NAT))
        time, reply = self.raw["time"][odd], self.raw["reply_time"][odd]
        replied = reply[reply != NAT]
        moments = few(np.concatenate([time, time + MOMENT, time - MOMENT // 2, replied - MOMENT, replied]))
        pairs, _ = group(steps.raw["client"], steps.raw["server"])
        return at_change(pairs, np.searchsorted(moments, steps.raw["time"]))

    def ends_of(self, steps: LockSteps) -> Mask:
        """LockSteps that are the first or the last of their connection, or of a name of their client."""
        raw = steps.raw
        name, _ = group(raw["client"], raw["server"], raw["vers"], steps.caller_name)
        return ends(group(raw["flow"])[0]) | ends(name)

    def spans_restart(self, stretches: LockStretches) -> Mask:
        times = np.sort(self.raw["time"][self.restarts])
        before = np.searchsorted(times, np.maximum(stretches.begin, NAT + MOMENT) - MOMENT)
        after = np.searchsorted(times, np.minimum(stretches.end, NEVER - MOMENT) + MOMENT)
        spans: Mask = before != after
        return spans

    def is_written(self, stretches: LockStretches, rows: Array) -> Mask:
        """Which of these stretches have a host writing to their file that never asks for a lock on it."""
        if not len(rows):
            return np.zeros(0, dtype=np.bool_)
        fh, begin, end = stretches.fh[rows], stretches.begin[rows], stretches.end[rows]
        accesses = self.accesses
        first = np.maximum(accesses["first"], NAT + ACCESS) - ACCESS
        last = np.minimum(accesses["last"], NEVER - ACCESS) + ACCESS
        written = np.flatnonzero((last >= begin.min()) & (first <= end.max()))
        written = written[isin(accesses["handle"][written], distinct(fh))]
        handle, client = accesses["handle"][written], accesses["client"][written]
        strange = ~isin(key(handle, client), stretches.clients)
        if not strange.any():
            return np.zeros(len(rows), dtype=np.bool_)
        files = np.concatenate([fh, handle[strange]])
        begin = np.concatenate([begin, first[written][strange]])
        end = np.concatenate([end, last[written][strange]])
        foreign = np.arange(len(files)) >= len(rows)
        order = in_order(begin)
        mask = np.empty(len(files), dtype=np.bool_)
        mask[order] = meeting(files[order], begin[order], end[order], foreign[order])
        return mask[: len(rows)]


class Both(dict[str, Array]):
    """Some rows of two tables, one after the other; each column is taken at first use."""

    def __init__(self, first: Columns, its: Array, second: Columns, rows: Array) -> None:
        self.parts = (first, its), (second, rows)

    def __missing__(self, name: str) -> Array:
        self[name] = np.concatenate([columns[name][rows] for columns, rows in self.parts])
        return self[name]


def masked(column: Any) -> Masked:
    return Masked(*column) if isinstance(column, tuple) else Masked(column, np.ones(len(column), dtype=np.bool_))


def of_control(columns: Columns) -> Array:
    """The rows of exchanges of lock managers, statds and portmappers."""
    return np.flatnonzero(isin(columns["prog"], (Prog.NLM, Prog.NSM, Prog.PORTMAP)))


def frontier(in_reach: Columns) -> int:
    """The time before which all exchanges are known, but for those that are late."""
    answered = (in_reach["reply_frame"] != 0) & (in_reach["retransmits"] == 0) & (in_reach["time"] != NAT)
    return int(in_reach["time"][answered].min(initial=NEVER))


@dataclass
class LockSteps:
    """Exchanges about a range of a file, sorted by time."""

    raw: Columns
    plain: Mask
    locker: Array  # the address that locks
    owner: Array  # a number for each owner and range
    fh: Array
    range: Array  # a number for each range of a file
    place: Array  # the same, but one for all of a file where they overlap
    caller_name: Array
    claim: dict[str, Array]  # what makes an owner and a range, but for the address
    exclusive: Mask
    has_others: Mask  # the owner has other ranges of a file whose ranges overlap
    at_two_addresses: Mask  # the same owner of the same range: a host translates addresses

    def __len__(self) -> int:
        return len(self.locker)

    @classmethod
    def of(cls, sieve: Sieve) -> LockSteps:
        rows = np.flatnonzero((sieve.raw["prog"] == Prog.NLM) & isin(sieve.raw["proc"], STEPS))
        rows = rows[in_order(sieve.raw["time"][rows])]
        fields, valid = arguments(sieve.messages, sieve.raw["vers"][rows], sieve.raw["exchange"][rows])
        whole = np.logical_and.reduce([valid[name] for name in ("fh", "oh", "svid", "l_offset", "l_len")])
        whole &= (fields["fh"] != NO_STRING) & (fields["oh"] != NO_STRING)
        if not whole.all():
            rows, fields = rows[whole], {name: values[whole] for name, values in fields.items()}
        raw = Chosen(sieve.raw, rows)
        if not len(rows):
            nothing = np.zeros(0, dtype=np.int64)
            return cls(raw, nothing != 0, *(nothing,) * 6, {}, *(nothing != 0,) * 3)
        locker = np.where(isin(raw["proc"], GRANTS), raw["server"], raw["client"])
        end = last_bytes(fields["l_offset"], fields["l_len"])
        range_, first = group(fields["fh"], fields["l_offset"], end - fields["l_offset"])  # lengths: few differ
        claim, _ = group(fields["oh"], fields["svid"], range_)
        at_two_addresses = several(claim, locker)
        owner = group(claim, locker)[0] if at_two_addresses.any() else claim
        mixed = with_overlaps(*(values[first] for values in (fields["fh"], fields["l_offset"], end)))[range_]
        place, has_others = range_, mixed
        if mixed.any():
            place = np.where(mixed, fields["fh"] + len(range_), range_)
            person, _ = group(fields["fh"], fields["oh"], fields["svid"], locker)
            has_others = mixed & several(person, range_)
        return cls(
            raw=raw,
            plain=sieve.plain[rows] & (fields["reclaim"] == 0),
            locker=locker,
            owner=owner,
            fh=fields["fh"],
            range=range_,
            place=place,
            caller_name=fields["caller_name"],
            claim={name: fields[name] for name in ("fh", "oh", "svid", "l_offset", "l_len")},
            exclusive=fields["exclusive"] != 0,
            has_others=has_others,
            at_two_addresses=at_two_addresses,
        )


def arguments(messages: MessageFields, vers: Array, numbers: Array) -> tuple[dict[str, Array], dict[str, Mask]]:
    """Arguments of these exchanges, and whether they have them."""
    values = {name: np.zeros(len(vers), dtype=np.uint64) for name in FIELDS}
    valid = {name: np.zeros(len(vers), dtype=np.bool_) for name in FIELDS}
    for table, version in ARGUMENTS.items():
        rows = np.flatnonzero(vers == version)
        exchanges, at = numbers[rows], slice(None) if len(rows) == len(vers) else rows
        for name in FIELDS if len(rows) else ():
            found = messages.column(table, name, exchanges)
            values[name][at] = np.where(found.valid, found.values, 0)
            valid[name][at] = found.valid
    return {name: column.view(np.int64) if name in SIGNED else column for name, column in values.items()}, valid


ARGUMENTS = {f"{protocol}.args": int(protocol.removeprefix("nlm")) for protocol in NLM_PROTOCOLS}
SIGNED = ("fh", "oh", "svid", "caller_name", "reclaim", "exclusive")


def several(groups: Array, values: Array) -> Mask:
    """The rows of groups that have more than one value."""
    one = np.zeros(int(groups.max()) + 1, dtype=values.dtype)
    one[groups] = values
    differs = np.zeros(len(one), dtype=np.bool_)
    differs[groups[one[groups] != values]] = True
    mask: Mask = differs[groups]
    return mask


def with_overlaps(fh: Array, start: Array, end: Array) -> Mask:
    """Which of some distinct ranges, sorted by file and start, are of files with ranges that overlap."""
    overlap = (fh[1:] == fh[:-1]) & (start[1:] <= end[:-1])
    return isin(fh, distinct(fh[1:][overlap]))


class LockStretches:
    """LockSteps of one owner on one range, from where nothing was under way until nothing is: rows sorted by begin."""

    def __init__(self, steps: LockSteps, is_known: Callable[[LockSteps, Array], Mask]) -> None:
        """`is_known`: whether the owner of a step had a session that has left."""
        self.steps = steps
        raw, plain = steps.raw, steps.plain
        lock, unlock = raw["proc"] == NlmProc.LOCK, raw["proc"] == NlmProc.UNLOCK
        answered = raw["reply_frame"] != 0
        over = answered & (isin(raw["proc"], (*UNLOCKS, *CANCELS)) | (lock & ~isin(raw["status"], (0, 3))))
        by_owner = in_order(steps.owner)
        same = steps.owner[by_owner][1:] == steps.owner[by_owner][:-1]
        starts = np.r_[True, ~same | over[by_owner][:-1]]
        first = np.flatnonzero(starts)
        last = np.r_[first[1:], len(steps)] - 1
        unlocks = unlock[by_owner][first]
        begun_before = np.r_[True, ~same][first] & unlocks  # it held before the capture
        known = np.flatnonzero(begun_before)
        begun_before[known[is_known(steps, by_owner[first[known]])]] = False
        after_unlock = np.r_[False, same & unlock[by_owner][:-1]][first]
        self.unlocked_again = by_owner[first[unlocks & ~begun_before & (after_unlock | np.r_[True, ~same][first])]]
        begin = np.where(begun_before, NAT, raw["time"][by_owner][first])
        order = in_order(begin)
        self.begin, first, last = begin[order], first[order], last[order]
        self.first, self.last = by_owner[first], by_owner[last]
        place = np.empty(len(order), dtype=np.int64)
        place[order] = np.arange(len(order))
        self.number = np.empty(len(steps), dtype=np.int64)  # the stretch of each step
        self.number[by_owner] = place[np.cumsum(starts) - 1]
        single, two = last == first, last - first == 1
        is_pair = two & plain[self.first] & lock[self.first] & plain[self.last] & unlock[self.last]
        self.healthy: Mask = (
            is_pair & ~steps.has_others[self.first] & (raw["reply_time"][self.first] <= raw["time"][self.last])
        )
        self.odd = ~self.healthy & ~(single & plain[self.first] & lock[self.first])  # else it is held
        refused = lock[self.last] & self.odd
        ended = raw["reply_time"][self.last] + np.where(refused, PAUSE, 0)
        self.end = np.where(over[self.last], ended, NEVER)
        columns = (steps.fh, steps.range, steps.place, steps.locker)
        self.fh, self.range, self.place, locker = (values[self.first] for values in columns)
        self.of_client, its = group(self.fh, locker)  # a number for each file and client
        self.clients = key(self.fh[its], locker[its])
        # A shared lock stands in the way of exclusive ones only.
        self.of_range = group(self.range, steps.exclusive[self.first])[0]

    @cached_property
    def met(self) -> Mask:
        """Those that meet another of their place in time, one of them exclusive or odd, or whose owner is doubled."""
        alone = self.steps.exclusive[self.first] | self.odd
        met = self._meeting(alone)
        if not alone.all():
            met = np.where(alone, self._meeting(np.ones_like(alone)), met)
        found: Mask = self._of_ranges_that_meet(met, alone) | self.steps.at_two_addresses[self.first]
        return found

    def _of_ranges_that_meet(self, met: Mask, alone: Mask) -> Mask:
        """Those of a mask that meet another of their place in time, but for those whose ranges are apart.

        In places of several ranges each is compared with the NEAR that begin next. One that lasts longer meets all.
        """
        claim = self.steps.claim
        rows = np.flatnonzero(met)
        rows = rows[in_order(group(self.place[rows])[0])]
        offset = claim["l_offset"][self.first[rows]]
        last = last_bytes(offset, claim["l_len"][self.first[rows]])
        place, begin, end, alone_ = (values[rows] for values in (self.place, self.begin, self.end, alone))
        mask = np.zeros(len(met), dtype=np.bool_)
        for near in range(1, min(NEAR, len(rows) - 1) + 1):
            together = (place[near:] == place[:-near]) & (begin[near:] <= end[:-near])
            if near == NEAR:
                long = np.zeros(len(met), dtype=np.bool_)
                long[rows[:-near][together]] = True
                return mask | (met & (long | self._meeting(long)))
            together &= (offset[near:] <= last[:-near]) & (offset[:-near] <= last[near:])
            together &= alone_[near:] | alone_[:-near]
            mask[rows[near:][together]] = True
            mask[rows[:-near][together]] = True
        return mask

    def _meeting(self, by: Mask) -> Mask:
        return meeting(self.place, self.begin, self.end, by)

    @cached_property
    def next_to_odd(self) -> Mask:
        """Those of a client, or of a range, that are the last before, or the first after, something odd on the file."""
        return self._next_to_odd(self.fh, self.of_client) | self._next_to_odd(self.place, self.of_range)

    def _next_to_odd(self, places: Array, sequence: Array) -> Mask:
        """Those that are in their sequence next to something odd in their place."""
        odd = np.flatnonzero(self.odd)
        mask = np.zeros(len(places), dtype=np.bool_)
        rows = np.flatnonzero(isin(places, distinct(places[odd])))
        place, size = places[rows], len(rows) + 1
        # What is odd begins or ends before a row, the first one that begins no sooner, and before all that follow.
        before = np.searchsorted(self.begin[rows], np.concatenate([self.begin[odd], self.end[odd]]))
        moments = np.sort(np.concatenate([places[odd]] * 2) * size + before)
        order = in_order(place)
        at = np.searchsorted((place * size + np.arange(len(rows)))[order], moments)
        rank = np.empty(len(rows), dtype=np.int64)
        rank[order] = np.cumsum(np.bincount(at, minlength=size)[:-1])
        mask[rows] = at_change(sequence[rows], rank) | ends(sequence[rows])
        return mask

    @cached_property
    def latest(self) -> Mask:
        """The latest of each range and of each client and file, as many as are kept."""
        mask = last_of(self.of_range) | last_of(self.of_client)
        rows = np.flatnonzero(mask & self.healthy)
        mask[rows[in_order(self.end[rows])][: max(len(rows) - MAX_LATEST, 0)]] = False
        return mask

    def of_exchanges(self, steps: Mask) -> Mask:
        """Those with any of these steps."""
        mask = np.zeros(len(self.first), dtype=np.bool_)
        mask[self.number[steps]] = True
        return mask

    def sums(self, gone: Array) -> Columns:
        """One row per session that leaves: who had which file, from when until when."""
        raw, lock, unlock = self.steps.raw, self.first[gone], self.last[gone]
        sums: dict[str, Any] = {name: raw[name][lock] for name in ("capture", "client", "server")}
        sums |= {"handle": self.fh[gone].astype(np.uint32), "first": raw["reply_time"][lock]}
        sums |= {"last": raw["time"][unlock], "sessions": np.ones(len(gone), dtype=np.uint32)}
        sums["hold_sum"] = (sums["last"] - sums["first"]).astype(np.uint64)
        return sums


def key(handle: Array, client: Array) -> Array:
    joined: Array = handle.astype(np.int64) << 32 | client
    return joined


def few(moments: Array) -> Array:
    """Some of many moments: of those close to each other the first one."""
    moments, step = np.sort(moments), MOMENT
    while len(moments) > MAX_MOMENTS:
        moments = moments[np.r_[True, np.diff(moments // step) != 0]]
        step *= 2
    return moments


def at_change(groups: Array, rank: Array) -> Mask:
    """The rows of each group, of rows sorted by time, between which the rank changes."""
    order = in_order(groups)
    differs = (groups[order][1:] == groups[order][:-1]) & (rank[order][1:] != rank[order][:-1])
    mask = np.zeros(len(groups), dtype=np.bool_)
    mask[order[1:][differs]] = True
    mask[order[:-1][differs]] = True
    return mask


def ends(groups: Array) -> Mask:
    """The first and the last row of each group."""
    return last_of(groups) | last_of(groups[::-1])[::-1]


def last_of(groups: Array) -> Mask:
    """The last row of each group, whose numbers are small."""
    last = np.full(int(groups.max(initial=-1)) + 1, -1, dtype=np.int64)
    last[groups] = np.arange(len(groups))  # of several for one place the last one stays
    mask = np.zeros(len(groups), dtype=np.bool_)
    mask[last[last >= 0]] = True
    return mask


def meeting(groups: Array, begin: Array, end: Array, by: Mask) -> Mask:
    """The rows, sorted by begin, that meet another one of their group in time, which is one of those in the mask."""
    order = in_order(groups)
    groups, begin, end, by = groups[order], begin[order], end[order], by[order]
    same = groups[1:] == groups[:-1]
    numbers = np.r_[0, np.cumsum(~same)][: len(order)]
    # Of those that begin before a row, the latest end; of those that begin later, whether any begins before its end.
    ended = so_far(numbers, np.where(by, end, NAT))
    before = np.r_[False, same & (ended[:-1] >= begin[1:])]
    next_by = np.where(by, np.arange(len(order)), len(order))
    next_by = np.r_[np.minimum.accumulate(next_by[::-1])[::-1][1:], len(order)]
    there = next_by < len(order)
    at = np.where(there, next_by, 0)
    later = there & (numbers[at] == numbers) & (begin[at] <= end)
    mask = np.zeros(len(order), dtype=np.bool_)
    mask[order] = before | later
    return mask
