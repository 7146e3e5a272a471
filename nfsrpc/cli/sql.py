"""`nfsrpc sql`: a query over the tables of a trace, answered by DuckDB (the extra `sql`)."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated

import typer

from nfsrpc.cli.output import Output, Traces, check_rules_of, fail
from nfsrpc.cli.table import Format, trace_of, write_frame

if TYPE_CHECKING:
    import pandas as pd

    from nfsrpc.trace import Trace


def sql(
    traces: Traces,
    query: Annotated[
        str, typer.Argument(metavar="QUERY", help="SELECT client, max(wait_s) FROM locks GROUP BY client")
    ],
    format: Annotated[Format, typer.Option("--format", help="How to write it.")] = Format.table,  # noqa: A002
    output: Output = None,
) -> None:
    """Query the tables of a trace with SQL.

    Tables have the names that nfsrpc explain lists, protocols among them (nlm4); lists stand in quotation marks
    ("nfs3.entries"). Times are UTC.
    """
    trace = trace_of(traces)
    write_frame(answer(trace, query), format, output)
    check_rules_of(trace)


def answer(trace: Trace, query: str) -> pd.DataFrame:
    from nfsrpc.extras import MissingExtraError
    from nfsrpc.sources import SourceError

    try:
        return trace.sql(query)
    except (SourceError, MissingExtraError) as error:
        fail(error)
    except (KeyError, ValueError) as error:  # no query; no such list; standard input cannot be read twice
        fail(" ".join(str(error.args[0] if isinstance(error, KeyError) else error).split()))
