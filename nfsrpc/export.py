"""The tables for other tools: Parquet files, and queries by DuckDB. Both come as extras.

DuckDB queries the DataFrames in memory; only those whose names occur in the query are made. It would fetch an extension
from the network for times with a zone, so in queries they have none, and are UTC.
"""

from __future__ import annotations

import os
import re
from collections.abc import Callable, Iterable
from typing import TYPE_CHECKING, Any, TypeAlias

import numpy as np

from nfsrpc.extras import extra
from nfsrpc.protocols import PROTOCOLS
from nfsrpc.tables import TABLES

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
        raise ValueError(str(error)) from error


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
    protocols = {program.protocol for program in PROTOCOLS}
    lists = [name for name in re.findall(r'"([^"]*)"', query) if name.partition(".")[0] in protocols]
    words = [word for word in re.findall(r"\w+", query) if word in TABLES or word in protocols]
    whole = [name for name in lists if "." in name]
    covered = {name.partition(".")[0] for name in whole}
    return list(dict.fromkeys([*(word for word in words if word not in covered), *whole]))
