"""Exchanges beyond those that there is room for: they leave as sums, and an oddity says so.

Some captures hold a million of what must be listed: locks that are held, calls that nobody answers, names of files. The
latest names stay. Of the others those leave first that are healthy, the oldest first, and then what is odd, from the
middle: how it began and how it is now stays. What is of one lock stays or leaves together. Each pair of hosts may have
findings of its own: where there are too many pairs, their exchanges leave in the same order.

Where answers hold very long lists (a directory, all that a portmapper has), those from the middle leave.

Of flows, those without anything odd become one row per client, server and port, as long as nothing odd of that server
comes between; where they are still too many, they leave as exchanges do.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from nfsrpc.columns import NAT, Array, Mask, distinct, isin
from nfsrpc.decode import Columns
from nfsrpc.sessions.exchanges import COUNTED
from nfsrpc.sessions.grouping import group, in_order
from nfsrpc.sessions.settled_locks import Sifted

# Exchanges listed while others are counted: with the tables made of them a kilobyte each.
MAX_LISTED = 1 << 14
# Pairs of hosts of which exchanges are listed: with the findings about them, ten kilobytes each or more.
MAX_PAIRS = 1 << 12
# Of exchanges that show names of files, as many.
MAX_NAMES = 1 << 16
# Items of lists in the answers of listed exchanges: half a kilobyte each with the tables made of them.
MAX_ITEMS = 1 << 16
# Of flows: 300 bytes each, and with the tables made of them a kilobyte. Those of listed exchanges stay besides.
MAX_FLOWS = 1 << 14
# When they are too many, so many of them stay, so that not all are looked at with each that comes.
STAY = 0.75


class Crowd(NamedTuple):
    """Rows of exchanges for which there is no room."""

    names: Array  # counted already
    healthy: Array
    odd: Array
    owners: Array  # hashes of the owners of locks among them


def crowd(exchanges: Columns, sifted: Sifted) -> Crowd:
    """The rows that leave, with the owners of their locks."""
    counted = exchanges["flags"] & COUNTED != 0
    names, rows = np.flatnonzero(counted), np.flatnonzero(~counted)
    names = oldest(names, exchanges["time"], excess(len(names), MAX_NAMES))
    pair, count = pairs_of(exchanges, rows)
    if len(rows) <= MAX_LISTED and count <= MAX_PAIRS:
        return Crowd(names, rows[:0], rows[:0], np.zeros(0, dtype=np.uint64))
    unit, odd = units(exchanges, sifted)
    gone = np.zeros(len(unit), dtype=np.bool_)
    gone[leaving(rows, odd, unit, exchanges["time"], excess(len(rows), MAX_LISTED))] = True
    rows = rows[~gone[rows]]
    gone[together(rows, unit, of_leaving_pairs(rows, odd, pair, exchanges["time"]))] = True
    owners = sifted.sessions.owners_of(np.sort(exchanges["exchange"][gone]), sifted.names)
    return Crowd(names, np.flatnonzero(gone & ~odd), np.flatnonzero(gone & odd), owners)


def excess(count: int, most: int) -> int:
    """How many leave of so many, where at most `most` may stay."""
    return count - round(most * STAY) if count > most else 0


def pairs_of(exchanges: Columns, rows: Array) -> tuple[Array, int]:
    """For each exchange a row of the same pair of hosts, the first one of these rows, and how many pairs these have."""
    client, server = exchanges["client"], exchanges["server"]
    groups, first = group(np.minimum(client, server)[rows], np.maximum(client, server)[rows])
    pair = np.arange(len(client))
    pair[rows] = rows[first][groups]
    return pair, len(first)


def of_leaving_pairs(rows: Array, odd: Mask, pair: Array, time: Array) -> Array:
    """The rows of pairs for which there is no room: of pairs without anything odd the oldest, then from the middle."""
    pairs = distinct(pair[rows])
    ill = np.zeros(len(pair), dtype=np.bool_)
    ill[pair[rows[odd[rows]]]] = True
    return together(rows, pair, leaving(pairs, ill, pair, time, excess(len(pairs), MAX_PAIRS)))


def leaving(rows: Array, odd: Mask, unit: Array, time: Array, count: int) -> Array:
    """So many of these rows, the oldest healthy ones first, then odd ones from the middle; whole units."""
    begin = first_times(unit, time)[unit]
    healthy = whole(rows[~odd[rows]], unit, begin, count)
    left = from_the_middle(rows[odd[rows]], unit, begin, max(count - len(healthy), 0))
    return np.concatenate([healthy, left])


def crowd_of_lists(exchanges: Columns, sifted: Sifted, items: Array) -> Crowd:
    """The rows that leave because of their lists, of so many `items` each: those between the oldest and the latest."""
    rows = np.flatnonzero(items)
    rows = rows[in_order(exchanges["time"][rows])]
    until, room = np.cumsum(items[rows]), round(MAX_ITEMS * STAY) // 2
    rows = rows[(until > room) & (until - items[rows] < until[-1] - room)]
    counted, odd = exchanges["flags"][rows] & COUNTED != 0, units(exchanges, sifted)[1][rows]
    nobody = np.zeros(0, dtype=np.uint64)  # locks have no lists
    return Crowd(rows[counted], rows[~counted & ~odd], rows[~counted & odd], nobody)


def units(exchanges: Columns, sifted: Sifted) -> tuple[Array, Mask]:
    """A number for each exchange, the same for those of one lock, and which are odd or not over."""
    plain = isin(exchanges["exchange"], sifted.plain)
    unit = np.arange(len(plain))
    steps = sifted.sessions.steps()
    if not len(steps["exchange"]):
        return unit, ~plain
    order = in_order(exchanges["exchange"])
    at = np.searchsorted(exchanges["exchange"], steps["exchange"], sorter=order)
    final = at < len(order)
    at = order[np.minimum(at, len(order) - 1)]
    final &= exchanges["exchange"][at] == steps["exchange"]
    stretch, at = steps["stretch"], at[final]
    stays = np.zeros(int(stretch.max()) + 1, dtype=np.bool_)
    stays[stretch[~final]] = True
    numbers = stretch[final]
    first = np.full(len(stays), -1, dtype=np.int64)
    first[numbers[::-1]] = at[::-1]
    unit[at] = first[numbers]
    odd = ~plain
    # What stands beside something odd may be what explains it.
    odd[at] = steps["odd"][final] | stays[numbers]
    return unit, odd


def first_times(unit: Array, time: Array) -> Array:
    """When each unit began."""
    begin = np.full(len(unit), np.iinfo(np.int64).max)
    np.minimum.at(begin, unit, np.where(time == NAT, NAT + 1, time))
    return begin


def oldest(rows: Array, time: Array, count: int) -> Array:
    result: Array = rows[in_order(time[rows])[: max(count, 0)]]
    return result


def whole(rows: Array, unit: Array, begin: Array, count: int) -> Array:
    """The oldest rows, so many, and the others of their units."""
    return together(rows, unit, oldest(rows, begin, count))


def from_the_middle(rows: Array, unit: Array, begin: Array, count: int) -> Array:
    """Rows between the oldest and the latest, so many, and the others of their units."""
    order = rows[in_order(begin[rows])]
    first = max(len(order) - count, 0) // 2
    return together(rows, unit, order[first : first + count])


def together(rows: Array, unit: Array, some: Array) -> Array:
    mask = np.zeros(len(unit), dtype=np.bool_)
    mask[unit[some]] = True
    result: Array = rows[mask[unit[rows]]]
    return result


class FlowCrowd(NamedTuple):
    """Rows of flows that leave as sums, those that are left out, and the flows without them."""

    summed: Array
    left_out: Array
    flows: Columns


# What an ordinary flow has none of, in either direction.
ODD = ("retransmitted", "out_of_order", "lost_bytes", "cut_frames", "damaged", "rst", "unheard")
COUNTS = ("frames", "bytes", "fin", "calls", "replies")
ALIKE = ("first_capture", "transport", "client", "server", "server_port", "prog", "flags", "syn")


def crowd_of_flows(flows: Columns, needed: Array) -> FlowCrowd:
    """What leaves of flows, but for those of these numbers."""
    free = ~isin(flows["flow"], distinct(needed))
    healthy = is_ordinary(flows)
    rows = np.flatnonzero(free)
    nothing = rows[:0]
    much = len(rows) - round(MAX_FLOWS * STAY)
    if len(rows) <= MAX_FLOWS:
        return FlowCrowd(nothing, nothing, flows)
    old = oldest(rows[healthy[rows]], flows["last"], much)
    sums, summed = flows_summed(flows, old, ~healthy)
    stay = np.ones(len(free), dtype=np.bool_)
    stay[summed] = False
    rows = rows[stay[rows]]
    much = len(rows) - round(MAX_FLOWS * STAY) if len(rows) > MAX_FLOWS else 0
    left_out = oldest(rows[healthy[rows]], flows["last"], much)
    if much > len(left_out):
        odd, unit = rows[~healthy[rows]], np.arange(len(free))
        middle = from_the_middle(odd, unit, flows["first"], much - len(left_out))
        left_out = np.concatenate([left_out, middle])
    stay[left_out] = False
    return FlowCrowd(summed, left_out, {name: values[stay] for name, values in sums.items()})


def is_ordinary(flows: Columns) -> Mask:
    """Flows of which both directions were captured, all calls were answered, and nothing is odd."""
    mask: Mask = (flows["c_frames"] > 0) & (flows["s_frames"] > 0) & (flows["syn"] <= 1)
    mask &= (flows["c_calls"] == flows["s_replies"]) & (flows["s_calls"] == flows["c_replies"])
    mask &= (flows["syn"] == flows["synack"]) & (flows["icmp"] == 0) & (flows["duplicates"] == 0)
    for name in ODD:
        mask &= (flows[f"c_{name}"] == 0) & (flows[f"s_{name}"] == 0)
    return mask


def flows_summed(flows: Columns, rows: Array, odd: Mask) -> tuple[Columns, Array]:
    """The flows with sums in the first of these rows that are alike, and the rows that are in another's sum."""
    order = np.lexsort((flows["first"], flows["server"]))  # with nothing odd between them, ranks are equal
    ranks = np.empty(len(order), dtype=np.int64)
    ranks[order] = np.cumsum(odd[order])
    rows = rows[in_order(flows["first"][rows])]
    groups, first = group(*(flows[name][rows] for name in ALIKE), ranks[rows])
    into = rows[first][groups]
    others = np.flatnonzero(into != rows)
    sums = dict(flows)
    for way in ("c", "s"):
        for name in COUNTS:
            sums[f"{way}_{name}"] = flows[f"{way}_{name}"].copy()
            np.add.at(sums[f"{way}_{name}"], into[others], flows[f"{way}_{name}"][rows[others]])
    for name in ("last", "c_last", "s_last", "syn_last"):
        sums[name] = flows[name].copy()
        np.maximum.at(sums[name], into[others], flows[name][rows[others]])
    return sums, rows[others]
