"""Tables as numpy columns, their rows as Python values, their frames as pandas has them."""

from __future__ import annotations

import re
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from nfsrpc.columns import NAT, Coded, Column, Masked, Table, TableSpec, empty
from nfsrpc.tables import ODDITY_KINDS, TABLES

SPEC = TableSpec(
    "things",
    "",
    (
        Column("name", "text", "", ""),
        Column("count", "u32?", "", ""),
        Column("big", "u64?", "B", ""),
        Column("at", "time", "ns", ""),
        Column("waited", "f64", "s", ""),
        Column("sure", "bool?", "", ""),
        Column("tags", "texts", "", ""),
        Column("plain", "bool", "", ""),
    ),
)
FULL = ("a", 7, 2**64 - 1, 1_000_000_000, 0.5, True, ("x", "y"), True)
NULL = (None, None, None, None, None, None, (), False)


@pytest.fixture
def things() -> Table:
    return Table.of(SPEC, [FULL, NULL, ("b", 0, 0, 0, 0.0, False, ("z",), False)])


def test_rows_come_back_as_they_were(things: Table) -> None:
    assert [tuple(row) for row in things.rows()] == [FULL, NULL, ("b", 0, 0, 0, 0.0, False, ("z",), False)]
    assert things.row(1).name is None
    assert things.row(0).at == 1_000_000_000


def test_what_is_null_is_told_from_what_is_zero(things: Table) -> None:
    for name in ("name", "count", "big", "at", "waited", "sure"):
        assert things.valid(name).tolist() == [True, False, True], name
    assert things.valid("tags").tolist() == [True, True, True]


def test_a_null_number_equals_no_number(things: Table) -> None:
    assert (things["count"] == 0).tolist() == [False, False, True]
    assert (things["at"] == 0).tolist() == [False, False, True]
    assert things["at"][1] == NAT


def test_text_compares_to_masks(things: Table) -> None:
    name = things["name"]
    assert (name == "a").tolist() == [True, False, False]
    assert (name != "a").tolist() == [False, True, True]
    assert (name == "nowhere").tolist() == [False, False, False]
    assert name.isin(["a", "b"]).tolist() == [True, False, True]
    assert name.choose(lambda text: text > "a").tolist() == [False, False, True]
    assert things.text("name").tolist() == ["a", None, "b"]


def test_selected_rows_keep_their_order(things: Table) -> None:
    chosen = things.take(np.array([2, 0]))
    assert [row.name for row in chosen.rows()] == ["b", "a"]
    assert [row.big for row in things.where(things["plain"]).rows()] == [2**64 - 1]
    assert list(things.where(np.zeros(3, dtype=bool)).rows()) == []


def test_a_column_is_made_when_it_is_asked_for() -> None:
    made: list[str] = []

    def column() -> np.ndarray[tuple[int], np.dtype[np.uint32]]:
        made.append("count")
        return np.array([1, 2, 3], dtype=np.uint32)

    spec = TableSpec("lazy", "", (Column("count", "u32", "", ""), Column("never", "u32", "", "")))

    def never() -> Coded:
        raise AssertionError

    table = Table(spec, 3, {"count": column, "never": never})
    chosen = table.where(np.array([True, False, True]))
    assert made == []
    assert (chosen["count"].tolist(), chosen["count"].tolist()) == ([1, 3], [1, 3])
    assert made == ["count"]


def test_frame_has_the_dtypes_of_pandas(things: Table) -> None:
    frame = things.frame()
    assert {name: str(dtype) for name, dtype in frame.dtypes.items()} == {
        "name": "category",
        "count": "UInt32",
        "big": "UInt64",
        "at": "datetime64[ns, UTC]",
        "waited": "float64",
        "sure": "boolean",
        "tags": "object",
        "plain": "bool",
    }
    assert frame["at"][0] == pd.Timestamp("1970-01-01T00:00:01Z")
    assert frame.isna().sum().to_dict() == dict.fromkeys(("name", "count", "big", "at", "waited", "sure"), 1) | {
        "tags": 0,
        "plain": 0,
    }


def test_codes_into_equal_labels_become_one() -> None:
    coded = Coded.distinct(np.array([0, 1, 2, 3, -1]), ["a", "b", "a", None])
    assert coded.tolist() == ["a", "b", "a", None, None]
    assert (coded == "a").tolist() == [True, False, True, False, False]


def test_masked_columns_are_null_where_they_say() -> None:
    spec = TableSpec("masked", "", (Column("value", "u32?", "", ""),))
    column = Masked(np.array([0xFFFFFFFF, 5], dtype=np.uint32), np.array([True, False]))
    table = Table(spec, 2, {"value": column})
    assert table.values("value") == [0xFFFFFFFF, None]
    assert table.where(np.array([False, True])).values("value") == [None]


def test_rows_of_the_wrong_width_are_refused() -> None:
    with pytest.raises(ValueError, match="things has 8 columns, the rows have 2"):
        Table.of(SPEC, [(1, 2)])


@pytest.mark.parametrize("spec", TABLES.values(), ids=TABLES)
def test_every_declared_table_can_be_empty(spec: TableSpec) -> None:
    table = empty(spec)
    assert len(table) == 0
    assert list(table.rows()) == []
    assert list(table.frame().columns) == [column.name for column in spec.columns]


@pytest.mark.parametrize("spec", TABLES.values(), ids=TABLES)
def test_declarations_are_complete(spec: TableSpec) -> None:
    names = [column.name for column in spec.columns]
    assert len(names) == len(set(names))
    assert spec.meaning.endswith(".")
    for column in spec.columns:
        assert column.meaning, column.name
        assert (column.unit == "ns") == (column.kind == "time"), column.name


def test_every_kind_of_oddity_is_explained() -> None:
    core = Path(__file__).parents[1] / "core" / "src"
    text = "".join(path.read_text() for path in core.rglob("*.rs"))
    kinds = re.findall(r'(?:push\(|Malformed\(|\{ )\s*"([a-z]+-[a-z]+)"', text)
    assert set(kinds) <= ODDITY_KINDS.keys()
    assert all(f'"{kind}"' in text for kind in ODDITY_KINDS)


def test_a_few_rows_of_many_compare_as_all_of_them() -> None:
    """Which of two ways is taken depends on how many labels there are for how many rows."""
    few = Coded(np.array([2, -1, 0], dtype=np.int32), ["a", "b", "c", "d"])
    many = Coded(np.array([2, -1, 0] * 2, dtype=np.int32), ["a", "b", "c", "d"])
    assert few.tolist() == many.tolist()[:3] == ["c", None, "a"]
    for label in ("a", "b", "e"):
        assert (few == label).tolist() == (many == label).tolist()[:3]
        assert (few != label).tolist() == (many != label).tolist()[:3]
    assert few.isin(["a", "e"]).tolist() == many.isin(["a", "e"]).tolist()[:3] == [False, False, True]
