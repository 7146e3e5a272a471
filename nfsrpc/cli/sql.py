"""`nfsrpc sql`: a query over the tables of a trace, answered by DuckDB (the extra `sql`)."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, Any

import typer

from nfsrpc.cli.output import Output, Traces, check_rules_of, fail
from nfsrpc.cli.table import Raw, TableFormat, trace_of, write_frame

if TYPE_CHECKING:
    import pandas as pd

    from nfsrpc.trace import Trace


def sql(
    traces: Traces,
    query: Annotated[
        str, typer.Argument(metavar="QUERY", help="SELECT client, max(wait_s) FROM locks GROUP BY client")
    ],
    format: Annotated[TableFormat, typer.Option("--format", help="How to write it.")] = TableFormat.table,  # noqa: A002
    raw: Raw = False,
    output: Output = None,
) -> None:
    """Query the tables of a trace with SQL.

    Tables have the names that nfsrpc explain lists, protocols among them (nlm4); lists stand in quotation marks
    ("nfs3.entries"). Times are UTC.
    """
    trace = trace_of(traces)
    frame = answer(trace, query)
    write_frame(frame if format is TableFormat.parquet else with_plain_cells(frame), format, output, raw)
    check_rules_of(trace)


def answer(trace: Trace, query: str) -> pd.DataFrame:
    from nfsrpc.extras import MissingExtraError
    from nfsrpc.reading import ahead
    from nfsrpc.sources import SourceError

    try:
        # In a thread, because DuckDB does not react to Ctrl-C within a long step.
        return ahead(lambda: trace.sql(query))()
    except (SourceError, MissingExtraError) as error:
        fail(error)
    except (KeyError, ValueError) as error:  # no query; no such list; standard input cannot be read twice
        # DuckDB's carets would stand below a word, in a line of their own.
        fail(" ".join(str(error.args[0] if isinstance(error, KeyError) else error).rstrip(" ^").split()))


def with_plain_cells(frame: pd.DataFrame) -> pd.DataFrame:
    """The frame with values of types that text and JSON do not have (BLOB, UUID, STRUCT, MAP, INTERVAL) as text."""
    objects = [name for name in frame.columns if frame[name].dtype == object or frame[name].dtype.kind == "m"]
    return frame.assign(**{name: frame[name].astype(object).map(plain) for name in objects})


def plain(value: Any) -> Any:
    """A value as text, number or list of these: bytes decoded, with what is no UTF-8 escaped, others as `str()`."""
    import numpy as np
    import pandas as pd

    if isinstance(value, bytes | bytearray):
        return value.decode("utf-8", "backslashreplace")
    if isinstance(value, dict):
        return {str(plain(key)): plain(item) for key, item in value.items()}
    if isinstance(value, tuple | list | np.ndarray):
        return tuple(map(plain, value))
    if isinstance(value, str | int | float | np.number | np.bool_) or pd.isna(value):
        return value
    return str(value)
