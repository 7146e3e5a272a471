"""Exchanges with their states: whether each was answered, and which are sightings of one by several vantages.

A call without a reply is `unanswered` only where a reply would have been captured: its server's frames are in this
capture, none of the reply's direction were lost, and the capture goes on for `UNANSWERED_NS` after it. Otherwise it is
`undecided`.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import cached_property

import numpy as np

from nfsrpc.columns import NAT, NULLS, Array, Coded, Mask, code_type, isin
from nfsrpc.decode import Columns, Decoded, joined, rows_of
from nfsrpc.protocols.numbers import IpProto
from nfsrpc.sessions.continuations import Continuations, Sighted, continuations
from nfsrpc.sessions.duplicates import TOLERANCE, Clocks, Places, Sightings
from nfsrpc.sessions.grouping import group, in_order
from nfsrpc.sessions.stretches import between
from nfsrpc.sessions.timers import RESENDS
from nfsrpc.tables import CALL_STATES
from nfsrpc.wording import SECOND

# Evidence bits of the core's exchanges.
REPLY_SIDE_SEEN = 1
REPLY_SIDE_SEEN_AFTER = 2
REPLY_SIDE_LOSS = 4
EVICTED = 8
CALL_CUT = 16
REPLY_CUT = 32
CONNECTION_DIED = 64
CALL_ACKED = 128
ENCRYPTED = 256
REPEATED = 512  # the same call with the same xid was answered before
UNDECODABLE = 2048  # the arguments contradict their declaration
NO_NUMBER = 0xFFFFFFFF  # of the core: no program or procedure is known
COUNTED = 1024  # by a row of tallies: listed because its fields hold names of files

# A capture that ends sooner after a call cannot tell that no reply came: until then its client waits as well, and Linux
# retransmits a lock request for the first time.
UNANSWERED_NS = round(RESENDS[0] * SECOND)

# An answer that takes so much longer to one vantage than to another was lost, and came after a retransmission.
LOST_AND_SENT_AGAIN = 1_000_000_000

# Of what a client sends on a dead connection at least each third frame comes again; on a lossy one each tenth at most.
MOSTLY = 3

ANSWERED, UNANSWERED, UNDECIDED, ORPHAN = range(len(CALL_STATES))


# What a reply has in common with its call.
OF_REPLY = ("client", "client_port", "server", "server_port", "transport", "xid")


class Gathered(dict[str, Array]):
    """Some rows of tables, those of one after those of another; each column is taken at first use."""

    def __init__(self, *parts: tuple[Columns, Array | slice]) -> None:
        self.parts = parts

    def __missing__(self, name: str) -> Array:
        self[name] = joined([columns[name][rows] for columns, rows in self.parts])
        return self[name]


class Exchanges:
    """Properties of all exchanges, each computed once, in the order of the core's rows."""

    def __init__(
        self,
        decoded: Decoded,
        counted: bool = False,
        places: Callable[[], Places] = tuple,
        clocks: Clocks | None = None,
    ) -> None:
        """`counted`: with the exchanges that are both counted and listed, or without; `places` of the vantages.

        `clocks` of the vantages, where they are known.
        """
        self.decoded = decoded
        self._places, self._known = places, clocks
        self.raw = decoded.exchanges
        listed = self.raw["flags"] & COUNTED == 0
        if not (counted or listed.all()):
            self.raw = Gathered((self.raw, np.flatnonzero(listed)))

    def __len__(self) -> int:
        return len(self.raw["exchange"])

    @cached_property
    def order(self) -> Array | None:
        """The order of the frames as captured (None: as they are). An orphan stands where its reply is."""
        call_frame, reply_frame = self.called("call_frame"), self.raw["reply_frame"]
        frame = np.where(call_frame == 0, reply_frame, call_frame)
        key = self.decoded.place[self.called("capture")] << 32 | frame
        if not len(key) or bool((key[1:] >= key[:-1]).all()):
            return None
        return in_order(key)

    @cached_property
    def kinds(self) -> tuple[Array, Array]:
        """The kind of each (program, version, procedure) as a number, and of each kind the first row."""
        kinds, first = group(self.raw["prog"], self.raw["vers"], self.raw["proc"])
        return kinds.astype(code_type(len(first))), first

    def of_kind(self, column: str) -> Array:
        """prog, vers or proc of each kind."""
        _, first = self.kinds
        return self.raw[column][first]

    @cached_property
    def vantage(self) -> Array:
        return self.decoded.vantage[self.raw["capture"]]

    @cached_property
    def points(self) -> Array:
        return self.decoded.points(self.raw["flow"], self.vantage)

    @property
    def once(self) -> bool:
        """Whether there is but one capture point."""
        return len(self.decoded.vantages) == 1 and not len(self.decoded.sides)

    @cached_property
    def states(self) -> Array:
        """The state of each exchange, as an index into CALL_STATES."""
        going_on = self._continuations
        if going_on is None:
            return self._states
        codes = self._states.copy()
        np.minimum.at(codes, going_on.counts[going_on.call], codes[going_on.rows])
        codes[going_on.counts[self.raw["reply_frame"][going_on.reply] != 0]] = ANSWERED
        return codes

    @cached_property
    def _states(self) -> Array:
        """The state of each exchange by its own vantage."""
        raw = self.raw
        codes = np.zeros(len(self), dtype=np.int8)
        codes[raw["call_frame"] == 0] = ORPHAN
        rows = np.flatnonzero((raw["reply_frame"] == 0) & (raw["call_frame"] != 0))
        decided = self._reply_side_captured(rows) & self._is_long_unanswered(rows)
        # A copy that was sent, or captured, after the reply to the first: what it asked has been answered.
        decided &= raw["flags"][rows] & (EVICTED | REPLY_SIDE_LOSS | REPEATED) == 0
        decided &= ~self._perhaps_counted(rows)
        codes[rows] = np.where(decided, UNANSWERED, UNDECIDED)
        return codes

    def _reply_side_captured(self, rows: Array) -> Mask:
        """Whether frames from the server to the client would have been captured.

        Over UDP, if any flow of the same vantage shows frames that the server sent. On a TCP connection what nobody
        acknowledges is retransmitted: a call without either was acknowledged, and that was not captured. Where
        no frame of the server was, the connection is dead if the client sends little else than what it sent before.
        With a SYN that led to data, or much else, it lives, and a filter keeps the answers from the capture.
        """
        raw, flows = self.raw, self.decoded.flows
        spoke = np.zeros((len(self.decoded.vantages), len(self.decoded.addresses) + 1), dtype=np.bool_)
        vantage = self.decoded.vantage[flows["first_capture"]]
        for side, frames in (("client", "c_frames"), ("server", "s_frames")):
            sent = flows[frames] > 0
            spoke[vantage[sent], flows[side][sent]] = True
        at = rows_of(flows["flow"], raw["flow"][rows])
        # A flow that is not in the table has index -1.
        again, sent, syn = (np.append(flows[name], 0)[at] for name in ("c_retransmitted", "c_frames", "syn"))
        here, elsewhere = raw["flags"][rows] & REPLY_SIDE_SEEN != 0, spoke[self.vantage[rows], raw["server"][rows]]
        noted = raw["flags"][rows] & (REPLY_SIDE_SEEN_AFTER | CALL_ACKED) != 0
        deaf = elsewhere & (syn == 0) & (MOSTLY * again >= sent)
        over_udp = (here | elsewhere) & (raw["transport"][rows] == IpProto.UDP)
        captured: Mask = noted | over_udp | ((again > 0) & (here | deaf))
        return captured

    def _is_long_unanswered(self, rows: Array) -> Mask:
        time = self.raw["time"][rows]
        died = self.raw["flags"][rows] & CONNECTION_DIED != 0
        end = self.decoded.vantage_ends[self.vantage[rows]]
        long_enough: Mask = (time != NAT) & (died | (end - time >= UNANSWERED_NS))
        return long_enough

    def _perhaps_counted(self, rows: Array) -> Mask:
        """Whether another vantage counted calls of this kind between the same hosts at that time: perhaps this, too."""
        tallies = self.decoded.tallies
        if len(self.decoded.vantages) == 1 or not len(rows):
            return np.zeros(len(rows), dtype=np.bool_)
        names = ("client", "server", "prog", "vers", "proc")
        kinds, _ = group(*(np.concatenate([self.raw[name][rows], tallies[name]]) for name in names))
        vantage, many = self.decoded.vantage[tallies["capture"]], len(self.decoded.vantages)
        counted, mine, clock = kinds[len(rows) :], kinds[: len(rows)], self.clocks.reference
        time, own = self.raw["time"][rows], self.vantage[rows]
        first, began = self.by_first_clock(tallies["first"], vantage), self.by_first_clock(time, own)
        near = began - UNANSWERED_NS, began + UNANSWERED_NS
        everywhere = between(counted * many + clock[vantage], first, mine * many + clock[own], *near)
        here = between(counted * many + vantage, first, mine * many + own, *near)
        perhaps: Mask = (time != NAT) & (everywhere > here)
        return perhaps

    @cached_property
    def _sightings(self) -> Sightings:
        keys = [self.raw[name] for name in (*OF_REPLY, "prog", "vers", "proc")]
        points = None if self.once else self.points
        vantages = len(self.decoded.vantages)
        places = self._places() if vantages > 1 and self._known is None else ()
        return Sightings(keys, self.raw["time"], self.vantage, vantages, points, places, self._known, self._whole)

    @property
    def _whole(self) -> Mask:
        """Which rows show a call that was sent once, and its reply."""
        raw = self.raw
        both = (raw["call_frame"] != 0) & (raw["reply_frame"] != 0)
        whole: Mask = both & (raw["retransmits"] == 0) & (raw["flags"] & REPEATED == 0)
        return whole

    @cached_property
    def duplicate_of(self) -> Array:
        """For each exchange the one that counts, where another vantage shows the same; else null."""
        if self.once:
            return np.broadcast_to(np.uint32(NULLS["u32?"]), len(self))
        counts, going_on = self._counts, self._continuations
        if going_on is not None:
            instead = np.arange(len(self))
            instead[going_on.rows] = going_on.counts[going_on.call]
            counts = instead[counts]
        again = counts != np.arange(len(self))
        return np.where(again, self.raw["exchange"][counts], NULLS["u32?"]).astype(np.uint32)

    @cached_property
    def _counts(self) -> Array:
        """For each exchange the row of the one that counts, of those that vantages show at the same time."""
        same = self._sightings.counted(self._states)  # an answered sighting counts before one that lacks the reply
        later = self._later_sightings(same)
        counts = np.arange(len(self))
        counts[same[later]] = later
        counts = np.where(same < 0, counts, counts[same])
        return self._with_parts(counts)

    def _with_parts(self, counts: Array) -> Array:
        """As `counts`, where a capture shows only the end of what another shows whole: a retransmission, or the reply.

        It was begun while the call waited, or the first call was lost on the way to it.
        """
        raw = self.raw
        rows = np.flatnonzero((counts == np.arange(len(self))) & (raw["time"] != NAT))
        rows = rows[isin(raw["xid"][rows], raw["xid"][rows[raw["retransmits"][rows] > 0]])]
        if not len(rows):
            return counts
        vantage = self.vantage[rows]
        same, _ = group(*(raw[name][rows] for name in OF_REPLY), self.clocks.reference[vantage])
        time, reply = (self.by_first_clock(raw[name][rows], vantage) for name in ("time", "reply_time"))
        order = np.lexsort((time, same))
        same, vantage, time, reply, rows = (column[order] for column in (same, vantage, time, reply, rows))
        kind, called = self.kinds[0][rows], raw["call_frame"][rows] != 0
        is_whole = called & (raw["reply_frame"][rows] != 0)
        again = called[1:] & (kind[1:] == kind[:-1]) & (time[1:] <= reply[:-1] + TOLERANCE)
        reply_alone = ~called[1:] & (np.abs(time[1:] - reply[:-1]) <= TOLERANCE)
        is_part = (same[1:] == same[:-1]) & (vantage[1:] != vantage[:-1]) & is_whole[:-1]
        begins = np.r_[True, ~(is_part & (again | reply_alone))]
        found = counts.copy()
        found[rows] = rows[np.maximum.accumulate(np.where(begins, np.arange(len(rows)), 0))]
        result: Array = found[counts]
        return result

    @cached_property
    def _continuations(self) -> Continuations | None:
        """The calls that go on in a later capture by the same clock."""
        if len(self.decoded.vantages) == 1:
            return None
        raw = self.raw
        called, answered = raw["call_frame"] != 0, raw["reply_frame"] != 0
        counts = (self._counts == np.arange(len(self))) & (raw["time"] != NAT)
        rows = np.flatnonzero(counts & isin(raw["xid"], raw["xid"][counts & called & ~answered]))
        vantage = self.vantage[rows]
        starts, ends = self.decoded.vantage_starts[vantage], self.decoded.vantage_ends[vantage]
        time, begun, ended = (self.by_first_clock(column, vantage) for column in (raw["time"][rows], starts, ends))
        keys = [*(raw[name][rows] for name in OF_REPLY), self.clocks.reference[vantage]]
        return continuations(Sighted(keys, rows, self.kinds[0][rows], time, begun, ended, called[rows], answered[rows]))

    def called(self, name: str) -> Array:
        """A column of raw that is about the call: of one that began in an earlier capture, from there."""
        values, going_on = self.raw[name], self._continuations
        return values if going_on is None else replaced(values, going_on.counts, going_on.first)

    def replied(self, name: str) -> Array:
        """A column of raw that is about the reply, which may be alone in a later capture."""
        values, going_on = self.raw[name], self._continuations
        return values if going_on is None else replaced(values, going_on.counts, going_on.reply)

    @cached_property
    def retransmits(self) -> Array:
        """How often each call was retransmitted, in all captures in which it goes on."""
        values, going_on = self.raw["retransmits"], self._continuations
        if going_on is None:
            return values
        found, total = values.copy(), np.zeros(len(going_on.first), dtype=values.dtype)
        np.add.at(total, going_on.call, values[going_on.rows] + going_on.again)
        found[going_on.counts] = total
        return found

    def _later_sightings(self, same: Array) -> Array:
        """The sightings to which a reply that another vantage shows came late or never: it was lost on the way.

        Never, if it would be here: it was captured there long before this capture ends, and the call was retransmitted.
        """
        raw, rows = self.raw, np.flatnonzero(same >= 0)
        counted, here = same[rows], self.vantage[rows]
        ended = self._sightings.by_first_clock(self.decoded.vantage_ends[here], here)
        came = self._sightings.by_first_clock(raw["reply_time"][counted], self.vantage[counted])
        lost = (self._states[rows] == UNANSWERED) & (ended - came >= UNANSWERED_NS)
        lost &= (raw["retransmits"][rows] > 0) | (raw["transport"][rows] != IpProto.UDP)
        waits = [raw["reply_time"][numbers] - raw["time"][numbers] for numbers in (rows, counted)]
        late = (self._states[rows] == ANSWERED) & (waits[0] - waits[1] >= LOST_AND_SENT_AGAIN)
        longer: Array = rows[(self._states[counted] == ANSWERED) & (lost | late)]
        return longer

    @property
    def clocks(self) -> Clocks:
        """The clocks of the vantages, and which of them can be compared."""
        return self._sightings.clocks

    def by_first_clock(self, times: Array, vantage: Array) -> Array:
        """Times of these vantages by the clocks of their references."""
        return self._sightings.by_first_clock(times, vantage)


def replaced(values: Array, rows: Array, by: Array) -> Array:
    """A copy of the values in which those of some rows are those of others."""
    found = values.copy()
    found[rows] = values[by]
    return found


TRANSPORTS: dict[int, str] = {IpProto.TCP: "tcp", IpProto.UDP: "udp"}


def transports(numbers: Array) -> Coded:
    return Coded.distinct(numbers, [TRANSPORTS.get(number) for number in range(max(TRANSPORTS) + 1)])
