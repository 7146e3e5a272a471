"""Rows sorted, numbered and compared by whole numbers, however large: the same as comparing them one by one."""

from __future__ import annotations

import random
from typing import Any

import numpy as np
import pytest

from nfsrpc.columns import FEW, NAT, PLACES, SPREAD, Among, Array, Column, Table, TableSpec, isin
from nfsrpc.sessions.grouping import SMALL, SPARSE, Parts, group, in_order, room
from nfsrpc.sessions.stretches import LATEST, so_far

TIME = 1_767_225_600_000_000_000
ROWS = 50
FITS = room(ROWS)  # keys below it are sorted together with their rows
COLUMNS: dict[str, tuple[str, list[int]]] = {
    "few": ("u1", [3, 0, 3, 1]),
    "a table holds them": ("u4", [0, SMALL - 1, 7]),
    "a table does not": ("u4", [0, SMALL * SPARSE, 7]),
    "times": ("i8", [TIME, TIME + 1, TIME + 60_000_000_000]),
    "times, some unknown": ("i8", [TIME, NAT, TIME + 60_000_000_000]),
    "unknown": ("i8", [NAT]),
    "negative": ("i4", [-5, 7, -2_147_483_648]),
    "just within": ("i8", [0, FITS - 1, 5]),
    "just too far apart": ("i8", [0, FITS, 5]),
    "the least and the greatest": ("i8", [NAT, 0, LATEST]),
    "beyond signed numbers": ("u8", [1 << 63, (1 << 64) - 1, (1 << 63) + 5]),
    "all": ("u8", [0, (1 << 64) - 1, 1 << 63]),
    "masks": ("?", [0, 1]),
}


def column(name: str, seed: int) -> Array:
    kind, values = COLUMNS[name]
    return np.array(random.Random(seed).choices(values, k=ROWS), dtype=kind)


@pytest.mark.parametrize("name", COLUMNS)
def test_rows_in_order_are_those_of_a_stable_sort(name: str) -> None:
    values = column(name, 1)
    assert in_order(values).tolist() == sorted(range(ROWS), key=lambda row: int(values[row]))


@pytest.mark.parametrize("others", [(), ("few",), ("just within", "times"), ("all", "negative", "masks")])
@pytest.mark.parametrize("name", COLUMNS)
def test_groups_are_numbered_in_the_order_of_their_values(name: str, others: tuple[str, ...]) -> None:
    columns = [column(one, seed) for seed, one in enumerate((name, *others))]
    rows = list(zip(*(unsigned(values) for values in columns), strict=True))
    groups, first = group(*columns)
    ordered = sorted(set(rows))
    assert groups.tolist() == [ordered.index(row) for row in rows]
    assert first.tolist() == [rows.index(row) for row in ordered]


def unsigned(values: Array) -> list[int]:
    """The values with negative ones behind all others."""
    bits = 8 * values.dtype.itemsize
    return [int(value) % (1 << bits) for value in values.tolist()]


def test_no_rows_have_no_groups() -> None:
    nothing = np.zeros(0, dtype=np.uint32)
    assert [found.tolist() for found in group(nothing, nothing)] == [[], []]
    assert in_order(nothing).tolist() == []


@pytest.mark.parametrize(
    "among",
    [
        range(FEW),
        range(FEW + 1),
        [*range(FEW + 1), PLACES - 1],  # the last that a table has a place for
        [*range(FEW + 1), PLACES],
        [*range(100, 5000, 3), 100 + SPREAD * 1634 - 1],
        [*range(100, 5000, 3), 100 + SPREAD * 1634],
        [-3, *range(FEW)],
        [LATEST, *range(FEW)],
    ],
)
@pytest.mark.parametrize("kind", ["u4", "i8", "u8"])
def test_values_among_numbers(among: Any, kind: str) -> None:
    numbers = np.array(list(among), dtype=np.int64)
    bounds = np.iinfo(kind)
    near = {number + step for number in numbers.tolist() for step in (-1, 0, 1)} | {bounds.min, bounds.max, PLACES}
    values = np.array([value for value in near if bounds.min <= value <= min(bounds.max, LATEST)], dtype=kind)
    expected = [value in set(numbers.tolist()) for value in values.tolist()]
    assert isin(values, numbers).tolist() == Among(numbers).mask(values).tolist() == expected


def test_nothing_is_among_no_numbers() -> None:
    assert Among(np.zeros(0, dtype=np.uint32)).mask(np.array([0, 1])).tolist() == [False, False]


@pytest.mark.parametrize("step", [1, 1_000_000_000, LATEST // 40])
@pytest.mark.parametrize("unusual", [(), (NAT,), (LATEST,), (NAT, LATEST)])
def test_the_greatest_so_far(step: int, unusual: tuple[int, ...]) -> None:
    rng = random.Random(len(unusual))
    groups = np.array(sorted(rng.choices(range(5), k=40)), dtype=np.int64)
    values = np.array([rng.choice([rng.randrange(-9, 30) * step, *unusual]) for _ in groups], dtype=np.int64)
    rows = list(zip(groups.tolist(), values.tolist(), strict=True))
    expected = [max(value for other, value in rows[: row + 1] if other == own) for row, (own, _) in enumerate(rows)]
    assert so_far(groups, values).tolist() == expected


def test_parts_are_taken_when_they_are_asked_for(monkeypatch: pytest.MonkeyPatch) -> None:
    spec = TableSpec("some", "", (Column("port", "u32", "", ""),))
    table = Table(spec, 300, {"port": np.arange(300, dtype=np.uint32) // 3})
    taken: list[list[int]] = []
    take = Table.take

    def noted(self: Table, rows: Array) -> Table:
        taken.append(rows.tolist())
        return take(self, rows)

    monkeypatch.setattr(Table, "take", noted)
    parts = Parts(table, "port")
    assert (len(parts), 7 in parts, 100 in parts, taken) == (100, True, False, [])
    assert parts[7] is parts[7]
    assert (parts[7]["port"].tolist(), taken) == ([7, 7, 7], [[21, 22, 23]])
