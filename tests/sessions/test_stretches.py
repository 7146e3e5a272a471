"""Looking up by host and time: what is found without looking at every row is what looking at every row finds."""

from __future__ import annotations

import random

import numpy as np
import pytest

from nfsrpc.columns import NAT, Coded, Column, Masked, Table, TableSpec
from nfsrpc.sessions.grouping import Parts, members
from nfsrpc.sessions.ordered import SIZE, Ordered
from nfsrpc.sessions.overlaps import others_held
from nfsrpc.sessions.stretches import Stretches, between
from nfsrpc.tables import LOCKS

SPEC = TableSpec("some", "", (Column("host", "text", "", ""), Column("port", "u32", "", "")))


def table(hosts: list[str | None], ports: list[int]) -> Table:
    return Table(SPEC, len(hosts), {"host": Coded.of(hosts), "port": np.array(ports, dtype=np.uint32)})


def test_the_members_of_groups() -> None:
    assert [rows.tolist() for rows in members(np.array([2, 0, 1, 0, 2]))] == [[1, 3], [2], [0, 4]]
    assert members(np.zeros(0, dtype=np.int64)) == []


def test_parts_are_in_order_and_keep_that_of_rows() -> None:
    parts = Parts(table(["b", None, "a", "b"], [1, 2, 3, 4]), "host")
    assert {host: part["port"].tolist() for host, part in parts.items()} == {"a": [3], "b": [1, 4]}
    assert list(parts) == ["a", "b"]
    assert len(parts["c"]) == 0


def test_parts_by_several_columns() -> None:
    parts = Parts(table(["b", "a", "b"], [2, 1, 1]), "host", "port")
    assert list(parts) == [("a", 1), ("b", 1), ("b", 2)]


@pytest.mark.parametrize("seed", range(5))
def test_stretches_that_meet(seed: int) -> None:
    chance = random.Random(seed)
    hosts = [chance.choice(["a", "b", None]) for _ in range(60)]
    first = np.array([chance.choice([NAT, *range(100)]) for _ in hosts])
    last = first + np.array([chance.randrange(20) for _ in hosts])
    known = [(host, begin, end) for host, begin, end in zip(hosts, first, last, strict=True) if host and begin != NAT]
    stretches, same = Stretches((Coded.of(hosts),), first, last), Stretches.of(known)
    for host in ("a", "b", "c"):
        for at in range(-1, 125):
            expected = any(name == host and begin <= at + 2 and end >= at for name, begin, end in known)
            assert stretches.meet(host, at, at + 2) == same.meet(host, at, at + 2) == expected
            later = [begin for name, begin, _ in known if name == host and begin > at]
            assert stretches.following(host, at) == min(later, default=None)


def test_how_many_are_between() -> None:
    groups, times = np.array([0, 0, 1, 0]), np.array([5, 9, 5, 10])
    wanted, first, last = np.array([0, 0, 1, 2]), np.array([5, 6, 0, 0]), np.array([9, 8, 9, 99])
    assert between(groups, times, wanted, first, last).tolist() == [2, 0, 1, 0]


def test_keys_that_come_and_go_stay_in_order() -> None:
    chance, keys, expected = random.Random(1), Ordered[int](), set[int]()
    for _ in range(6 * SIZE):
        key = chance.randrange(5 * SIZE)
        (keys.remove if key in expected else keys.add)(key)
        expected ^= {key}
    assert list(keys.since(100)) == sorted(key for key in expected if key >= 100)
    assert keys.upto(100) == max(key for key in expected if key <= 100)
    for key in expected:
        keys.remove(key)
    assert list(keys.since(0)) == []
    assert keys.upto(5) is None


@pytest.mark.parametrize("seed", range(5))
def test_ranges_that_others_held_for_longer(seed: int) -> None:
    chance = random.Random(seed)
    rows = [(chance.choice(["f", "g"]), chance.randrange(30), chance.choice([0, 1, 5])) for _ in range(40)]
    locks = Table(
        LOCKS,
        len(rows),
        {
            "server": Coded.of(["s"] * len(rows)),
            "fh": Coded.of([file for file, _, _ in rows]),
            "l_offset": every([start for _, start, _ in rows]),
            "l_len": every([length for _, _, length in rows]),
        },
    )
    holds = np.array(sorted(chance.sample(range(len(rows)), 25)))
    until = np.array([chance.randrange(20) for _ in holds])
    wanted = np.array(sorted(chance.sample(range(len(rows)), 25)))
    after = np.array([chance.randrange(20) for _ in wanted])

    def meet(one: int, other: int) -> bool:
        (file, start, length), (its_file, its_start, its_length) = rows[one], rows[other]
        end, its_end = start + (length or 1000), its_start + (its_length or 1000)
        return one != other and file == its_file and start < its_end and its_start < end

    assert others_held(locks, holds, until, wanted, after) == [
        any(last > time and meet(row, hold) for hold, last in zip(holds.tolist(), until, strict=True))
        for row, time in zip(wanted.tolist(), after, strict=True)
    ]


def every(numbers: list[int]) -> Masked:
    return Masked(np.array(numbers, dtype=np.uint64), np.ones(len(numbers), dtype=np.bool_))
