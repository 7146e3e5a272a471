"""`nfsrpc sql`: a query over the tables of a trace, answered by DuckDB (the extra `sql`)."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated

import typer

from nfsrpc.cli.output import Output, Traces, fail
from nfsrpc.cli.progress import progress_bar
from nfsrpc.cli.table import Format, Raw, write_frame

if TYPE_CHECKING:
    import pandas as pd


def sql(
    traces: Traces,
    query: Annotated[
        str, typer.Argument(metavar="QUERY", help="SELECT client, max(wait_s) FROM locks GROUP BY client")
    ],
    format: Annotated[Format, typer.Option("--format", help="How to write it.")] = Format.table,  # noqa: A002
    raw: Raw = False,
    output: Output = None,
) -> None:
    """Query the tables of a trace with SQL.

    Tables have the names that nfsrpc explain lists, protocols among them (nlm4); lists stand in quotation marks
    ("nfs3.entries"). Times are UTC.
    """
    write_frame(answer(traces, query), format, output, raw)


def answer(traces: list[str], query: str) -> pd.DataFrame:
    from nfsrpc.extras import MissingExtraError
    from nfsrpc.sources import SourceError
    from nfsrpc.trace import read

    try:
        with progress_bar() as progress:
            trace = read(*traces, progress=progress)
        return trace.sql(query)
    except (SourceError, MissingExtraError) as error:
        fail(error)
    except (KeyError, ValueError) as error:  # no query; no such list; standard input cannot be read twice
        fail(" ".join(str(error.args[0]).split()))
