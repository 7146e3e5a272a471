"""The tables for other tools: Arrow tables, Parquet files, and queries by DuckDB. All come as extras.

An Arrow table is made of the columns themselves, without pandas; by the Arrow PyCapsule interface, which it has, Polars
and others take it as it is.
DuckDB queries the DataFrames in memory; only those whose names occur in the query are made. It would fetch an extension
from the network for times with a zone, so in queries they have none, and are UTC.
"""

from __future__ import annotations

import os
import re
from collections.abc import Callable, Iterable, Sequence
from typing import TYPE_CHECKING, Any, TypeAlias

import numpy as np

from nfsrpc.columns import Array, Coded, Mask, Table, suggestion
from nfsrpc.extras import extra
from nfsrpc.tables import NAMES, is_table

if TYPE_CHECKING:
    import pandas as pd

Tables: TypeAlias = "Callable[[str], pd.DataFrame]"  # by name


def parquet(tables: Tables, directory: str | os.PathLike[str], names: Iterable[str]) -> list[str]:
    """Writes each table to a file of its name, and returns the files."""
    pyarrow = extra("parquet", "pyarrow", "a Parquet file")
    writer = extra("parquet", "pyarrow.parquet", "a Parquet file")
    os.makedirs(directory, exist_ok=True)
    files = []
    for name in names:
        path = os.path.join(directory, f"{name}.parquet")
        writer.write_table(with_types(pyarrow, pyarrow.Table.from_pandas(tables(name), preserve_index=False)), path)
        files.append(path)
    return files


def arrow(table: Table) -> Any:
    """A table as a pyarrow.Table: times in UTC, repeated texts as dictionaries, null where a value is not known."""
    pyarrow = extra("arrow", "pyarrow", "an Arrow table")
    arrays = [arrow_array(pyarrow, table, name) for name in table.columns]
    return pyarrow.Table.from_arrays(arrays, names=list(table.columns))


def arrow_array(pyarrow: Any, table: Table, name: str) -> Any:
    """A column as an array of Arrow, laid out here: `pyarrow.array` would import pandas where it is installed."""
    values, kind = table.column(name), table.kind(name)
    if isinstance(values, Coded):
        codes = numbers_of(pyarrow, pyarrow.int32(), values.codes.astype(np.int32), values.codes >= 0)
        return pyarrow.DictionaryArray.from_arrays(codes, texts_of(pyarrow, values.labels))
    if kind == "texts":
        lists = [texts or () for texts in values]
        ends = numbers_of(pyarrow, pyarrow.int32(), offsets(map(len, lists)))
        return pyarrow.ListArray.from_arrays(ends, texts_of(pyarrow, [text for texts in lists for text in texts]))
    if values.dtype == np.object_:  # numbers and texts of messages that no type of numpy holds
        return texts_of(pyarrow, ["" if value is None else str(value) for value in values], table.valid(name))
    if values.dtype == np.bool_:
        return numbers_of(pyarrow, pyarrow.bool_(), np.packbits(values, bitorder="little"), table.valid(name))
    of_kind = pyarrow.timestamp("ns", tz="UTC") if kind == "time" else pyarrow.from_numpy_dtype(values.dtype)
    return numbers_of(pyarrow, of_kind, values, table.valid(name))


def numbers_of(pyarrow: Any, kind: Any, values: Array, valid: Mask | None = None) -> Any:
    """Values of one size as an array of Arrow, null where they are not valid."""
    length = len(values) if valid is None else len(valid)
    return pyarrow.Array.from_buffers(kind, length, [bits(pyarrow, valid), buffer(pyarrow, values)])


def texts_of(pyarrow: Any, texts: Sequence[str], valid: Mask | None = None) -> Any:
    """Texts as an array of Arrow; what is no valid Unicode, as a capture may hold it, is escaped."""
    encoded = [text.encode("utf-8", "backslashreplace") for text in texts]
    ends = offsets(map(len, encoded))
    buffers = [bits(pyarrow, valid), buffer(pyarrow, ends), pyarrow.py_buffer(b"".join(encoded))]
    return pyarrow.Array.from_buffers(pyarrow.string(), len(texts), buffers)


def offsets(lengths: Iterable[int]) -> Array:
    return np.cumsum([0, *lengths], dtype=np.int32)


def bits(pyarrow: Any, mask: Mask | None) -> Any:
    return None if mask is None or mask.all() else buffer(pyarrow, np.packbits(mask, bitorder="little"))


def buffer(pyarrow: Any, values: Array) -> Any:
    return pyarrow.py_buffer(np.ascontiguousarray(values))


def with_types(pyarrow: Any, table: Any) -> Any:
    """The table with repeated texts of which all are null as texts: pyarrow infers no type for them."""
    for index, field in enumerate(table.schema):
        if pyarrow.types.is_dictionary(field.type) and pyarrow.types.is_null(field.type.value_type):
            nulls = pyarrow.nulls(len(table), pyarrow.dictionary(pyarrow.int8(), pyarrow.string()))
            table = table.set_column(index, field.name, nulls)
    return table


def sql(tables: Tables, query: str) -> pd.DataFrame:
    """The result of a query by DuckDB. Raises ValueError for its errors."""
    duckdb = extra("sql", "duckdb", "a query")
    frames = {name: tables(name) for name in names_in(query)}
    try:
        with duckdb.connect(config={"autoinstall_known_extensions": "false"}) as connection:
            for name, frame in frames.items():
                provide(connection, name, frame)
            answer = connection.sql(query)
            if answer is None:
                raise ValueError("this query has no answer")
            return like_tables(answer.df())
    except duckdb.Error as error:
        raise ValueError(of_missing_table(str(error)) or str(error)) from error


def of_missing_table(error: str) -> str:
    """What to say instead of DuckDB's error about a table that there is not: it would name one of its own."""
    found = re.search(r"Table with name (\S+) does not exist", error)
    return f"no table {found[1]}{suggestion(found[1], NAMES)}; there are {', '.join(NAMES)}" if found else ""


def provide(connection: Any, name: str, frame: pd.DataFrame) -> None:
    """Makes a table a view of DuckDB; categories are text there, which compares with values that do not occur."""
    times = {str(name): frame[name].dt.tz_localize(None) for name in frame.select_dtypes("datetimetz")}
    texts = ", ".join(f'"{column}"::VARCHAR AS "{column}"' for column in frame.select_dtypes("category"))
    connection.register(f"frame of {name}", frame.assign(**times))
    replaced = f"REPLACE ({texts})" if texts else ""
    connection.execute(f'CREATE VIEW "{name}" AS SELECT * {replaced} FROM "frame of {name}"')


def like_tables(frame: pd.DataFrame) -> pd.DataFrame:
    """A DuckDB result with times in UTC and lists as tuples, as the tables have them."""
    times = {str(name): frame[name].dt.tz_localize("UTC") for name in frame.select_dtypes("datetime")}
    objects = [str(name) for name, dtype in frame.dtypes.items() if dtype.name == "object"]
    lists = {
        name: frame[name].map(lambda cell: tuple(cell) if isinstance(cell, np.ndarray) else cell) for name in objects
    }
    return frame.assign(**times, **lists)


def names_in(query: str) -> list[str]:
    """The names of tables in a query; that of a list has a dot, and stands in quotation marks.

    >>> names_in('SELECT * FROM locks JOIN nlm4 USING (exchange), "nfs3.entries" WHERE locks.state = 3')
    ['locks', 'nlm4', 'nfs3.entries']
    """
    words = [word for word in re.findall(r"\w+", query) if word in NAMES]
    whole = [name for name in re.findall(r'"([^"]*)"', query) if "." in name and is_table(name)]
    covered = {name.partition(".")[0] for name in whole}
    return list(dict.fromkeys([*(word for word in words if word not in covered), *whole]))
