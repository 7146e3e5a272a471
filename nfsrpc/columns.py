"""Columns: the small engine under every table, arrays of numpy with nulls, text as codes, rows on demand."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from functools import cached_property
from typing import TYPE_CHECKING, Any, NamedTuple, Self, TypeAlias

import numpy as np
import numpy.typing as npt

from nfsrpc.wording import AtLeast

if TYPE_CHECKING:
    import pandas as pd

Array: TypeAlias = npt.NDArray[Any]

Mask: TypeAlias = npt.NDArray[np.bool_]

NAT = int(np.iinfo(np.int64).min)

ROW = np.int32  # numbers of rows, where they are kept

# kind -> dtype. A "?" after a kind means that it may be null; "time" and "f64" always may.
DTYPES: dict[str, Any] = {
    "bool": np.bool_,
    "u8": np.uint8,
    "u16": np.uint16,
    "u32": np.uint32,
    "u64": np.uint64,
    "i32": np.int32,
    "i64": np.int64,
    "f64": np.float64,
    "time": np.int64,
    "texts": np.object_,
}

NULLS: dict[str, Any] = {
    "bool?": False,  # always with a mask: a bool has no value to spare
    "u8?": 0xFF,
    "u16?": 0xFFFF,
    "u32?": 0xFFFFFFFF,
    "u64?": 0xFFFFFFFFFFFFFFFF,
    "i32?": -0x80000000,
    "i64?": NAT,
    "time": NAT,
    "f64": float("nan"),
}


class Column(NamedTuple):
    name: str
    kind: str  # a key of DTYPES, with "?" where it may be null; "text" one string, "texts" a tuple of strings
    unit: str
    meaning: str
    labels: tuple[str, ...] = ()  # all that a column of text can hold beside null; none: any text


class TableSpec:
    """The declaration of a table."""

    def __init__(self, name: str, meaning: str, columns: tuple[Column, ...]) -> None:
        self.name = name
        self.meaning = meaning
        self.columns = columns
        self.names = tuple(column.name for column in columns)
        self.kinds = {column.name: column.kind for column in columns}
        self.labels = {column.name: column.labels for column in columns if column.labels}


Declared: TypeAlias = tuple[str, str, str, str] | tuple[str, str, str, str, tuple[str, ...]]


def table_spec(name: str, meaning: str, *columns: Declared) -> TableSpec:
    return TableSpec(name, meaning, tuple(Column(*column) for column in columns))


def suggestion(name: str, known: Iterable[str]) -> str:
    """The known name that is most like a misspelt one, in whatever case, as the end of a message.

    >>> suggestion("NLM", ["nfs", "nlm"]), suggestion("reg01", ["REG001", "calls"]), suggestion("x", ["calls"])
    ('; did you mean nlm?', '; did you mean REG001?', '')
    """
    from difflib import get_close_matches

    by_lower = {each.lower(): each for each in known}
    near = get_close_matches(name.lower(), by_lower, n=1)
    return f"; did you mean {by_lower[near[0]]}?" if near else ""


def dtype(kind: str) -> str:
    """The dtype of a column of this kind in a DataFrame.

    >>> [dtype(kind) for kind in ("time", "text", "texts", "u32", "u32?", "i64?", "bool?", "f64")]
    ['datetime64[ns, UTC]', 'category', 'tuple of str', 'uint32', 'UInt32', 'Int64', 'boolean', 'float64']
    """
    names = {"time": "datetime64[ns, UTC]", "text": "category", "texts": "tuple of str", "bool?": "boolean"}
    if kind in names:
        return names[kind]
    name = str(np.dtype(DTYPES[kind.rstrip("?")]))
    return name.replace("int", "Int").replace("u", "U") if kind.endswith("?") else name


def documented(table: TableSpec) -> str:
    """The declaration of a table as a docstring: one line per column, with dtype, unit and meaning."""
    lines = [
        f"{column.name} ({', '.join(filter(None, (dtype(column.kind), column.unit)))}): {column.meaning}"
        for column in table.columns
    ]
    return "\n".join([table.meaning, "", *lines])


# Types of codes, each with the greatest number that it holds.
CODES = tuple((int(np.iinfo(kind).max), kind) for kind in (np.int8, np.int16, np.int32))


def code_type(labels: int) -> Any:
    """The smallest type for codes of so many labels, of which each may become one more."""
    return next(kind for most, kind in CODES if labels < most)


class Coded:
    """Repeated text: one code per row (-1 is null) into distinct labels. Compares with a string to a mask.

    Some rows of a large column keep all its labels, but a comparison costs no more than these rows. Where a
    table declares the labels of a column (`declared`), comparing with any other raises ValueError.
    """

    __slots__ = ("_numbers", "codes", "declared", "labels")

    def __init__(self, codes: Array, labels: Sequence[str], declared: tuple[str, ...] = ()) -> None:
        self.codes = codes
        self.labels = labels
        self.declared = declared
        self._numbers: dict[str, int] | None = None

    @classmethod
    def of(cls, texts: Iterable[str | None]) -> Coded:
        numbers: dict[str, int] = {}
        codes = np.fromiter(
            (-1 if text is None else numbers.setdefault(text, len(numbers)) for text in texts), dtype=np.int32
        )
        return cls(codes.astype(code_type(len(numbers))), list(numbers))

    @classmethod
    def distinct(cls, codes: Array, labels: Sequence[str | None]) -> Coded:
        """Codes into labels of which some may be equal or None: made one code per text."""
        numbers: dict[str, int] = {}
        mapped = [-1 if label is None else numbers.setdefault(label, len(numbers)) for label in labels]
        table = np.array([*mapped, -1], dtype=code_type(len(numbers)))  # index -1 finds the null at the end
        return cls(table[codes], list(numbers))

    def __len__(self) -> int:
        return len(self.codes)

    def __getitem__(self, rows: Any) -> Coded:
        return Coded(self.codes[rows], self.labels, self.declared)

    def code(self, label: str) -> int:
        """The code of a label, -2 (which no row has) when no row has it."""
        self._check(label)
        if self._few:
            return next((code for code in self.codes.tolist() if code >= 0 and self.labels[code] == label), -2)
        if self._numbers is None:
            self._numbers = {known: code for code, known in enumerate(self.labels)}
        return self._numbers.get(label, -2)

    def _check(self, label: str) -> None:
        if self.declared and label not in self.declared:
            near = suggestion(label, self.declared)
            raise ValueError(f"no label {label!r} in this column, which has {', '.join(self.declared)}{near}")

    @property
    def _few(self) -> bool:
        return len(self.codes) < len(self.labels)

    def __eq__(self, label: object) -> Any:
        return self.codes == self.code(label) if isinstance(label, str) else NotImplemented

    def __ne__(self, label: object) -> Any:
        return self.codes != self.code(label) if isinstance(label, str) else NotImplemented

    __hash__ = None  # type: ignore[assignment]

    def isin(self, labels: Iterable[str]) -> Mask:
        wanted = set(labels)
        for label in wanted:
            self._check(label)
        return self.choose(lambda label: label in wanted)

    def present(self) -> set[str]:
        """The labels that rows have."""
        return {self.labels[code] for code in distinct(self.codes).tolist() if code >= 0}

    def choose(self, condition: Callable[[str], bool]) -> Mask:
        """A mask of the rows whose text fulfils a condition, which is evaluated once per label."""
        if self._few:
            present = distinct(self.codes[self.codes >= 0]).tolist()
            return isin(self.codes, [code for code in present if condition(self.labels[code])])
        table = np.array([*map(condition, self.labels), False], dtype=np.bool_)
        mask: Mask = table[self.codes]
        return mask

    def tolist(self) -> list[str | None]:
        if self._few:
            return [self.labels[code] if code >= 0 else None for code in self.codes.tolist()]
        labels: list[str | None] = [*self.labels, None]
        return [labels[code] for code in self.codes.tolist()]


# So many comparisons are quicker than a search.
FEW = 8
# Whole numbers are looked up in a table, which is many times as quick, while it has at most so many places, or so many
# times the numbers that are compared with.
PLACES, SPREAD = 1 << 16, 64


def isin(values: Array, wanted: Iterable[Any]) -> Mask:
    """A mask of the values that are among these.

    numpy's own isin, unique and median import its masked arrays first, which takes 15 ms.
    """
    among = wanted if isinstance(wanted, np.ndarray) else np.array(list(wanted), dtype=values.dtype)
    if len(among) <= FEW:
        mask = np.zeros(len(values), dtype=np.bool_)
        for value in among:
            mask |= values == value
        return mask
    return Among(among).mask(values)


class Among:
    """Numbers to compare several columns with."""

    def __init__(self, numbers: Array) -> None:
        self.numbers = numbers
        self.low = int(numbers.min()) if len(numbers) and numbers.dtype.kind in "iu" else -1
        self.size = int(numbers.max()) - self.low + 1 if self.low >= 0 else 0
        self.is_dense = 0 < self.size <= max(PLACES, SPREAD * len(numbers)) and self.low < 1 << 62

    def mask(self, values: Array) -> Mask:
        """Which of the values are among them."""
        mask: Mask
        if not (len(values) and len(self.numbers)):
            return np.zeros(len(values), dtype=np.bool_)
        if self.is_dense and values.dtype.kind in "iu":
            at = values.astype(np.uint64) - np.uint64(self.low)  # what is below is far beyond
            mask = self.table[np.minimum(at, np.uint64(self.size)).astype(np.int64)]
            return mask
        at = np.minimum(np.searchsorted(self.ordered, values), len(self.ordered) - 1)
        mask = self.ordered[at] == values
        return mask

    @cached_property
    def table(self) -> Mask:
        """Whether each number from the lowest on is among them; the last place is for all that is beyond."""
        table = np.zeros(self.size + 1, dtype=np.bool_)
        table[self.numbers.astype(np.int64) - self.low] = True
        return table

    @cached_property
    def ordered(self) -> Array:
        return np.sort(self.numbers)


def distinct(values: Array) -> Array:
    """The values, each once, sorted."""
    values = np.sort(values)
    return values[:1] if len(values) < 2 else values[np.r_[True, values[1:] != values[:-1]]]


def median(values: Array | Sequence[float]) -> float:
    """The median of some numbers: the one in the middle, or the mean of the two there."""
    middle = len(values) // 2
    ordered = np.partition(values, [max(middle - 1, 0), middle])
    return float(ordered[middle] if len(values) % 2 else (ordered[middle - 1] + ordered[middle]) / 2)


class Masked(NamedTuple):
    """Numbers of which those with `valid` false are null."""

    values: Array
    valid: Mask


# Columns with fewer values stay as they are: to look at them takes longer than their memory is worth.
SHORT = 1 << 10


def constant(values: Array) -> Array:
    """The values; where all of many are equal, as often they are, in the memory of one."""
    if len(values) < SHORT or values.strides == (0,) or values[0] != values[-1] or not (values == values[0]).all():
        return values
    return np.broadcast_to(values[:1].copy(), values.shape)


# So large an array stands apart from the heap, in which it would leave holes when it grows.
APART = 1 << 21


def lengthened(values: Array | None, more: Array) -> Array:
    """The values, if any, and more, in the memory of the first, which grows and is of no other use then."""
    more = constant(more)
    if values is None or not len(values):
        return more
    if values.strides == (0,) and (not len(more) or (more.strides == (0,) and more[0] == values[0])):
        return np.broadcast_to(values[:1], len(values) + len(more))
    if not values.flags.owndata:
        fewer, values = values, np.empty(max(len(values), APART // values.itemsize), dtype=values.dtype)
        values.resize(len(fewer), refcheck=False)
        values[:] = fewer
    at = len(values)
    values.resize(at + len(more), refcheck=False)
    values[at:] = more
    return values


def as_type(values: Array, kind: Any) -> Array:
    """The values as another type; where all are equal, in the memory of one."""
    if values.strides == (0,) and len(values):
        return np.broadcast_to(values[:1].astype(kind), values.shape)
    return values.astype(kind, copy=False)


def taken(values: Array, rows: Array) -> Array:
    """The values of these rows."""
    if values.strides == (0,) and len(rows):
        return np.broadcast_to(values[:1], rows.shape)
    some: Array = values[rows]
    return some


Data: TypeAlias = Array | Coded | Masked

Source: TypeAlias = Data | Callable[[], Data]


class Row:
    """A row of a table as Python values, each looked up at first use: most columns of a row are never used."""

    __slots__ = ("_number", "_table")

    def __init__(self, table: Table, number: int) -> None:
        self._table = table
        self._number = number

    if not TYPE_CHECKING:  # which knows the columns of each table (`nfsrpc.tables`), and so finds those that are none

        def __getattr__(self, name):
            if name not in self._table.spec.kinds:
                raise no_column(self._table.spec, name)
            return self._table.values(name)[self._number]

    def __iter__(self) -> Iterator[Any]:
        return (getattr(self, name) for name in self._table.columns)

    def __repr__(self) -> str:
        return f"{self._table.name}({', '.join(f'{name}={value!r}' for name, value in self._asdict().items())})"

    def _asdict(self) -> dict[str, Any]:
        return dict(zip(self._table.columns, self, strict=True))


def number_of(rows: Sequence[Row], number: int | None = None) -> int:
    """The number of some rows of one table, or of what they stand for, for a report, as `Table.count` has it of all."""
    return rows[0]._table.counted(len(rows) if number is None else number) if rows else 0


def no_column(spec: TableSpec, name: str) -> AttributeError:
    return AttributeError(f"{spec.name} has no column {name}{suggestion(name, spec.names)}")


class Table:
    """Columns of equal length, in the order of their declaration.

    Each declared table has a class of its own (`nfsrpc.tables`), of which type checkers know the columns.
    """

    # There was no room for all rows (nfsrpc/sessions/crowding.py): how many there are of anything is not known.
    is_partial = False

    def __init__(self, spec: TableSpec, length: int, columns: Mapping[str, Source]) -> None:
        self.spec = spec
        self._length = length
        self._sources = columns
        self._data: dict[str, Data] = {}
        self._lists: dict[str, list[Any]] = {}
        self._frame: pd.DataFrame | None = None  # is never written to

    @classmethod
    def of(cls, spec: TableSpec, rows: Iterable[Sequence[Any]]) -> Self:
        """A table of rows of Python values (None is null) in the order of the columns."""
        lists = list(zip(*rows, strict=True)) or [() for _ in spec.columns]
        if len(lists) != len(spec.columns):
            raise ValueError(f"{spec.name} has {len(spec.columns)} columns, the rows have {len(lists)}")
        columns = {
            column.name: column_of(column.kind, values) for column, values in zip(spec.columns, lists, strict=True)
        }
        return cls(spec, len(lists[0]), columns)

    @property
    def name(self) -> str:
        return self.spec.name

    @property
    def columns(self) -> tuple[str, ...]:
        return self.spec.names

    def kind(self, name: str) -> str:
        return self.spec.kinds[name]

    def __len__(self) -> int:
        return self._length

    @property
    def count(self) -> int:
        """The number of rows, for a report: where there was no room for all, it says that there may be more."""
        return self.counted(self._length)

    def counted(self, number: int) -> int:
        """A number of what rows stand for, as `count` has that of the rows."""
        return AtLeast(number) if self.is_partial else number

    def __repr__(self) -> str:
        return f"<{self.name}: {len(self)} rows of {len(self.columns)} columns>"

    def _repr_html_(self) -> str:
        html: str = self.frame().to_html(notebook=True, max_rows=20, max_cols=20, show_dimensions=True)
        return html

    def data(self, name: str) -> Data:
        if name not in self._data:
            self._data[name] = self._made(name)
        return self._data[name]

    def _made(self, name: str) -> Data:
        if name not in self.spec.kinds:
            raise no_column(self.spec, name)
        source = self._sources[name]
        data = source() if callable(source) else source
        if isinstance(data, Coded):
            codes = as_type(constant(data.codes), code_type(len(data.labels)))
            return Coded(codes, data.labels, self.spec.labels.get(name, ()))
        if isinstance(data, Masked):
            return Masked(constant(data.values), constant(data.valid))
        return data if data.dtype == np.object_ else constant(data)

    def __getitem__(self, name: str) -> Any:
        """The column: an array of its values, or a `Coded` for text."""
        return self.column(name)

    def column(self, name: str) -> Any:
        """A column by a name that is computed at run time, which type checkers cannot know."""
        data = self.data(name)
        return data.values if isinstance(data, Masked) else data

    def valid(self, name: str) -> Mask:
        """A mask of the rows that are not null in a column."""
        data = self.data(name)
        if isinstance(data, Masked):
            return data.valid
        mask: Mask
        if isinstance(data, Coded):
            mask = data.codes >= 0
            return mask
        kind = self.kind(name)
        if kind not in NULLS:
            return np.ones(len(self), dtype=np.bool_)
        mask = ~np.isnan(data) if kind == "f64" else data != NULLS[kind]
        return mask

    def known(self, name: str) -> tuple[Array, Array]:
        """The rows that are not null in a column, and their values."""
        rows = np.flatnonzero(self.valid(name))
        return rows, self.column(name)[rows]

    def text(self, name: str) -> Array:
        """A text column as an array of str and None."""
        array: Array = np.array(self[name].tolist() or [], dtype=np.object_)
        return array

    def where(self, mask: Mask) -> Self:
        return self if mask.all() else self.take(np.flatnonzero(mask))

    def take(self, rows: Array) -> Self:
        """The rows of these numbers, in this order."""
        some = type(self)(self.spec, len(rows), Taken(self, rows))
        some.is_partial = self.is_partial
        return some

    def values(self, name: str) -> list[Any]:
        """A column as Python values: None for null, int ns for times, str for text."""
        if name not in self._lists:
            self._lists[name] = self._values(name)
        return self._lists[name]

    def _values(self, name: str) -> list[Any]:
        data = self.data(name)
        values: list[Any] = (data.values if isinstance(data, Masked) else data).tolist()
        if isinstance(data, Coded) or not (isinstance(data, Masked) or self.kind(name) in NULLS):
            return values
        valid = self.valid(name)
        if valid.all():
            return values
        return [value if known else None for value, known in zip(values, valid.tolist(), strict=True)]

    def rows(self) -> Iterator[Any]:
        """The rows, as Python values by name."""
        return (Row(self, number) for number in range(len(self)))

    def row(self, number: int) -> Any:
        return next(self.take(np.array([number])).rows())

    def frame(self) -> pd.DataFrame:
        """The table as a pandas DataFrame: UTC times, categorical text, nullable integers."""
        import pandas as pd

        if self._frame is None:
            series, shares = {name: self._series(name) for name in self.columns}, writes_to_copies()
            frame = pd.DataFrame(series, columns=list(self.columns), copy=not shares)
            if not shares:
                return frame
            self._frame = frame
        return self._frame.copy(deep=False)

    def _series(self, name: str) -> Any:
        import pandas as pd

        data, kind = self.data(name), self.kind(name)
        if isinstance(data, Coded):
            return pd.Categorical.from_codes(fixed(data.codes), categories=pd.Index(list(data.labels)))
        values = fixed(data.values if isinstance(data, Masked) else data)
        if kind == "time":
            return pd.DatetimeIndex(values, dtype="datetime64[ns, UTC]", copy=False)
        if kind == "bool?":
            return pd.arrays.BooleanArray(values, ~self.valid(name))
        if kind.endswith("?"):
            return pd.arrays.IntegerArray(values, ~self.valid(name))
        return values


def writes_to_copies() -> bool:
    """Whether a write to a DataFrame copies first what others have in the same memory."""
    import pandas as pd

    return int(pd.__version__.partition(".")[0]) >= 3


def fixed(values: Array) -> Array:
    """The values for a DataFrame, which cannot change them; of equal ones a copy, with which pandas can do more."""
    if values.strides == (0,):
        return values.copy()
    values = values.view()
    values.flags.writeable = False
    return values


class Taken(Mapping[str, Data]):
    """The columns of some rows of a table, each taken at first use."""

    def __init__(self, table: Table, rows: Array) -> None:
        self._table = table
        self._rows = rows.astype(ROW) if rows.dtype == np.int64 else rows

    def __getitem__(self, name: str) -> Data:
        data, rows = self._table.data(name), self._rows
        if isinstance(data, Coded):
            return Coded(taken(data.codes, rows), data.labels, data.declared)
        if isinstance(data, Masked):
            return Masked(taken(data.values, rows), taken(data.valid, rows))
        return taken(data, rows)

    def __iter__(self) -> Iterator[str]:
        return iter(self._table.columns)

    def __len__(self) -> int:
        return len(self._table.columns)


def column_of(kind: str, values: Sequence[Any]) -> Data:
    """A column of Python values, of which None is null."""
    if kind == "text":
        return Coded.of(values)
    if kind == "texts":
        array = np.empty(len(values), dtype=np.object_)
        for row, value in enumerate(values):
            array[row] = value
        return array
    dtype = DTYPES[kind.rstrip("?")]
    null = NULLS.get(kind)
    filled = np.array([null if value is None else value for value in values], dtype=dtype)
    if kind in ("bool?", "u64?"):  # of these every value may occur
        return Masked(filled, np.array([value is not None for value in values], dtype=np.bool_))
    return filled
