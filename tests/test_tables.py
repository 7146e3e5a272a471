"""Tables as numpy columns, their rows as Python values, their frames as pandas has them."""

from __future__ import annotations

import re
import subprocess
import sys
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

import nfsrpc
from nfsrpc.columns import NAT, Coded, Column, Masked, Table, TableSpec, number_of
from nfsrpc.sessions import thinning
from nfsrpc.sessions.nlm import STEPS
from nfsrpc.tables import KNOWN, LOCK_PROCEDURES, ODDITY_KINDS, TABLES
from tests.captures_dir import Capture, captures

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


def test_a_frame_shares_the_columns_of_its_table_and_does_not_change_them(things: Table) -> None:
    frame, other = things.frame(), things.frame()
    shared = int(pd.__version__.partition(".")[0]) >= 3
    for name in ("count", "at", "waited"):
        column = things.column(name)
        values = frame[name].array
        mine = values.asi8 if name == "at" else getattr(values, "_data", values)
        assert np.shares_memory(np.asarray(mine), column) == shared, name
    frame.loc[0, "count"], frame.loc[0, "at"], frame.loc[0, "name"] = 5, pd.Timestamp(5, tz="UTC"), "b"
    frame["waited"] += 1
    assert tuple(things.row(0)) == FULL
    assert other.loc[0, "count"] == things.frame().loc[0, "count"] == 7
    with pytest.raises(ValueError, match="read-only"):
        other["count"].array[1] = 3


def test_a_frame_of_a_pandas_that_writes_in_place_is_a_copy(things: Table, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("nfsrpc.columns.writes_to_copies", lambda: False)
    frame = things.frame()
    assert not np.shares_memory(frame["waited"].to_numpy(), things["waited"])
    frame.loc[0, "waited"] = 7.0
    assert things["waited"][0] == things.frame().loc[0, "waited"] == 0.5


@pytest.mark.parametrize(("labels", "width"), [(126, 1), (127, 2), (32_766, 2), (32_767, 4)])
def test_codes_take_as_little_room_as_their_labels_allow(labels: int, width: int) -> None:
    """The next greater number has room, too: null becomes 0 where codes are grouped."""
    texts = list(map(str, range(labels)))
    for coded in (Coded.of([*texts, None]), Coded.distinct(np.r_[np.arange(labels), labels], [*texts, None])):
        assert coded.codes.dtype.itemsize == width
        assert (coded.codes + 1).tolist() == [*range(1, labels + 1), 0]


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
    table = Table.of(spec, ())
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
    text = "".join(path.read_text() for path in (*core.rglob("*.rs"), Path(thinning.__file__)))
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


def test_a_misspelt_column_is_an_error_with_a_suggestion(things: Table) -> None:
    for ask in (lambda: things["cuont"], lambda: things.row(0).cuont, lambda: things.valid("cuont")):
        with pytest.raises(AttributeError, match=r"^things has no column cuont; did you mean count\?$"):
            ask()
    with pytest.raises(AttributeError, match=r"^things has no column zzz$"):
        things.where(things["plain"])["zzz"]


STATE = Column("state", "text", "", "", ("held", "released"))
LABELLED = TableSpec("labelled", "", (STATE, Column("who", "text", "", "")))


def test_a_label_that_a_column_does_not_declare_is_an_error_with_a_suggestion() -> None:
    table = Table.of(LABELLED, [("held", "a"), (None, "b")])
    for rows in (table, table.take(np.array([1, 0, 1])), table.take(np.array([1]))):  # with more labels than rows, too
        state = rows["state"]
        for compare in (state.__eq__, state.__ne__, state.code):
            with pytest.raises(ValueError, match=r"^no label 'relased' in this .*; did you mean released\?$"):
                compare("relased")
        with pytest.raises(ValueError, match=r"no label 'zzz' in this column, which has held, released$"):
            state.isin(["held", "zzz"])
    assert (table["state"] == "held").tolist() == [True, False]
    assert (table["state"] == "released").tolist() == [False, False]
    assert (table["who"] == "nobody").tolist() == [False, False]


def test_a_column_that_becomes_another_tables_has_the_labels_of_that_table() -> None:
    free = Coded.of(["held", "lost"])
    table = Table(LABELLED, 2, {"state": free, "who": Table.of(LABELLED, [("held", "a")] * 2)["state"]})
    assert (free == "nowhere").tolist() == [False, False]
    assert (table["who"] == "nowhere").tolist() == [False, False]
    with pytest.raises(ValueError, match="nowhere"):
        _ = table["state"] == "nowhere"


def test_labels_of_lock_sessions_are_the_procedures_that_make_them() -> None:
    assert set(LOCK_PROCEDURES) == set(STEPS)


@pytest.mark.parametrize("capture", captures("samples", "repro"))
def test_captures_hold_declared_labels_only(capture: Capture) -> None:
    """Beside them a column of procedures may hold the number of one that is not declared."""
    tables = nfsrpc.read(capture.path).tables
    for name, table in tables.items():
        for column, labels in table.spec.labels.items():
            assert {label for label in table[column].present() if not label.isdigit()} <= set(labels), (name, column)


def test_columns_that_are_known_exist() -> None:
    names = {name for spec in TABLES.values() for name in spec.names}
    places = {f"{spec.name}.{name}" for spec in TABLES.values() for name in spec.names}
    assert names | places >= KNOWN


WRONG = """
from nfsrpc.tables import Calls, Locks

def rows(locks: Locks, calls: Calls) -> None:
    for row in locks.rows():
        number: int | None = row.granted_frame
        text: str = row.client
        row.granted_farme  # no such column
        row.state == "relased"  # no such label
        wrong: int = row.granted  # may be null
    calls["stat"]  # no such column
    calls.valid("stat")  # no such column
    calls.where(calls["loopback"])["stat"]  # no such column
    locks = calls  # another table
"""


@pytest.mark.acceptance  # mypy reads the whole package, unless it has just done so
def test_type_checkers_find_what_is_wrong(tmp_path: Path) -> None:
    (tmp_path / "wrong.py").write_text(WRONG)
    root = Path(__file__).parents[1]  # by its settings and with its cache, mypy reads again only what changed
    options = [
        "--config-file",
        str(root / "pyproject.toml"),
        "--cache-dir",
        str(root / ".mypy_cache"),
        "--no-error-summary",
    ]
    command = [sys.executable, "-m", "mypy", *options, "wrong.py"]
    run = subprocess.run(command, cwd=tmp_path, env={"MYPYPATH": str(root)}, capture_output=True, text=True)
    found = [int(line.split(":")[1]) for line in run.stdout.splitlines() if ": error:" in line]
    wrong = [number for number, line in enumerate(WRONG.splitlines(), 1) if "  # " in line]
    assert sorted(set(found)) == wrong, run.stdout + run.stderr


def test_a_column_with_one_value_takes_the_memory_of_one() -> None:
    few, rows = (Table.of(SPEC, [FULL] * number) for number in (1023, 1024))
    some = rows.take(np.array([0, 2]))
    assert [few["count"].strides, rows["count"].strides, some["count"].strides] == [(4,), (0,), (0,)]
    assert rows["count"].tolist() == [FULL[1]] * 1024
    assert (some["count"].tolist(), some["name"].tolist()) == ([FULL[1]] * 2, ["a", "a"])


def test_of_a_table_of_which_all_rows_are_chosen_there_is_no_copy(things: Table) -> None:
    assert things.where(np.ones(3, dtype=np.bool_)) is things
    assert len(things.where(np.array([True, True, False]))) == 2


def test_a_partial_table_counts_at_least_its_rows(things: Table) -> None:
    assert str(things.count) == "3"
    things.is_partial = True
    some = things.take(np.array([2, 0]))
    assert (str(some.count), str(things.counted(7)), number_of(list(some.rows())) + 1) == (
        "at least 2",
        "at least 7",
        3,
    )
    assert str(number_of(list(some.rows()))) == "at least 2"
