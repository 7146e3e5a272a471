"""The tables for other tools: Parquet files, and queries by DuckDB. Both come as extras.

DuckDB is asked over the DataFrames in memory; only those whose names stand in the query are made. It would fetch an
extension from the network for times with a zone, so there they have none, and mean UTC.
"""

from __future__ import annotations

import os
import re
from collections.abc import Callable, Iterable
from typing import TYPE_CHECKING, TypeAlias

from nfsrpc.extras import extra
from nfsrpc.protocols import PROTOCOLS
from nfsrpc.tables import TABLES

if TYPE_CHECKING:
    import pandas as pd

Tables: TypeAlias = "Callable[[str], pd.DataFrame]"  # by name

NAME = re.compile(r"\w+(?:\.\w+)?")


def parquet(tables: Tables, directory: str | os.PathLike[str], names: Iterable[str]) -> list[str]:
    """Writes each table to a file of its name, and returns the files."""
    extra("parquet", "pyarrow", "a Parquet file")
    os.makedirs(directory, exist_ok=True)
    files = []
    for name in names:
        path = os.path.join(directory, f"{name}.parquet")
        tables(name).to_parquet(path, index=False)
        files.append(path)
    return files


def sql(tables: Tables, query: str) -> pd.DataFrame:
    """Raises ValueError for what DuckDB does not understand."""
    duckdb = extra("sql", "duckdb", "a query")
    with duckdb.connect(config={"autoinstall_known_extensions": "false"}) as connection:
        for name in names_in(query):
            connection.register(name, without_zone(tables(name)))
        try:
            answer = connection.sql(query)
        except duckdb.Error as error:
            raise ValueError(str(error)) from error
        if answer is None:
            raise ValueError("this query has no answer")
        return with_zone(answer.df())


def without_zone(frame: pd.DataFrame) -> pd.DataFrame:
    times = list(frame.select_dtypes("datetimetz"))
    return frame.assign(**{str(name): frame[name].dt.tz_localize(None) for name in times})


def with_zone(frame: pd.DataFrame) -> pd.DataFrame:
    times = list(frame.select_dtypes("datetime"))
    return frame.assign(**{str(name): frame[name].dt.tz_localize("UTC") for name in times})


def names_in(query: str) -> list[str]:
    """The names of tables in it; of a list's, which has a dot, in quotation marks.

    >>> names_in('SELECT * FROM locks JOIN nlm4 USING (exchange), "nfs3.entries" WHERE locks.state = 3')
    ['locks', 'nlm4', 'nfs3.entries']
    """
    protocols = {program.protocol for program in PROTOCOLS}
    lists = [name for name in re.findall(r'"([^"]*)"', query) if name.partition(".")[0] in protocols]
    words = [word for word in re.findall(r"\w+", query) if word in TABLES or word in protocols]
    whole = [name for name in lists if "." in name]
    covered = {name.partition(".")[0] for name in whole}
    return list(dict.fromkeys([*(word for word in words if word not in covered), *whole]))
