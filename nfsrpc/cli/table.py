"""`nfsrpc table`: any table of a trace, whole or by condition, for users or for another program.

pandas does the work; its import takes a third of a second, and is needed here only.
"""

from __future__ import annotations

import os
import shutil
import sys
from collections.abc import Callable, Iterator, Sequence
from enum import StrEnum
from typing import TYPE_CHECKING, Annotated, Any, Literal

import typer

from nfsrpc.cli import completion
from nfsrpc.cli.ending import note
from nfsrpc.cli.output import Output, Traces, check_rules_of, fail, mention_skipped, unknown, write, write_bytes
from nfsrpc.cli.pager import page
from nfsrpc.cli.progress import progress_bar
from nfsrpc.cli.shown_columns import one_day, short, short_times, shown_columns
from nfsrpc.printable import clean

if TYPE_CHECKING:
    import pandas as pd

    from nfsrpc.trace import Trace

NULL = "–"
ALL = "all"
NUMBERS = {"i": "numbers", "u": "numbers", "f": "numbers", "b": "True or False"}  # by the kind of a dtype
LABELS = 12  # so many are named of a column's
# First characters of a cell that is a formula for spreadsheets: https://owasp.org/www-community/attacks/CSV_Injection
FORMULA = ("=", "+", "-", "@", "\t", "\r", "\n")
GAP = 2  # spaces between columns


class TableFormat(StrEnum):
    table = "table"
    csv = "csv"
    json = "json"
    jsonl = "jsonl"
    parquet = "parquet"


Raw = Annotated[
    bool, typer.Option("--raw", help="CSV: keep texts that spreadsheets run as formulas, and control characters.")
]


def table(
    name: Annotated[
        str,
        typer.Argument(
            metavar="NAME",
            autocompletion=completion.table_names,
            help="calls, locks, ..., nlm4, ...: nfsrpc explain lists them.",
        ),
    ],
    traces: Traces,
    format: Annotated[TableFormat, typer.Option("--format", help="How to write it.")] = TableFormat.table,  # noqa: A002
    where: Annotated[
        str | None, typer.Option("--where", metavar="EXPR", help="Rows: program == 'nlm' and latency_s > 5")
    ] = None,
    columns: Annotated[
        str | None,
        typer.Option(
            "--columns",
            metavar="NAMES",
            autocompletion=completion.column_lists,
            help="Columns: call_frame,client; all of them: all",
        ),
    ] = None,
    raw: Raw = False,
    output: Output = None,
) -> None:
    """Print a table: calls, locks, nlm4, ...

    On a terminal the format `table` shows the columns that matter most, as many as fit, in a pager where the rows do
    not; piped, and in the other formats, it has all of them. --where is an expression of pandas over the columns, as
    DataFrame.query takes it; times are UTC.
    """
    check_name(name)
    trace = trace_of(traces)
    frame = rows_where(frame_of(name, trace), where, name)
    if format is TableFormat.table and columns is None and output is None and sys.stdout.isatty():
        page(as_screen(name, frame, shutil.get_terminal_size().columns))
    else:
        write_frame(frame.loc[:, chosen(columns, list(frame.columns))], format, output, raw)
    check_rules_of(trace)


def write_frame(frame: pd.DataFrame, format: TableFormat, output: str | None, raw: bool) -> None:  # noqa: A002
    if format is TableFormat.parquet:
        write_bytes([as_parquet(frame)], output)
    elif format is TableFormat.table:
        lines = as_table(frame)
        write(lines, output) if output else page(lines)
    else:
        safe = frame if raw or format is not TableFormat.csv else neutral(frame)
        write([WRITERS[format](with_written_times(safe))], output)


def check_name(name: str) -> None:
    """Ends the command for the name of no table, before any capture is read."""
    from nfsrpc.tables import NAMES, is_table

    if not is_table(name) and os.path.exists(name):
        fail(f"{name} is no table but a file: the name of a table comes first, as in nfsrpc table calls {name}")
    if not is_table(name):
        unknown("table", name, NAMES)


def trace_of(traces: list[str]) -> Trace:
    from nfsrpc.sources import SourceError
    from nfsrpc.trace import read

    try:
        with progress_bar() as progress:
            trace = read(*traces, progress=progress)
    except SourceError as error:
        fail(error)
    mention_skipped(trace)
    return trace


def frame_of(name: str, trace: Trace) -> pd.DataFrame:
    from nfsrpc.sources import SourceError
    from nfsrpc.tables import TABLES

    try:
        if name == "findings":
            return trace.findings
        return trace.tables[name].frame() if name in TABLES else messages_of(trace, name)
    except SourceError as error:
        fail(error)


def messages_of(trace: Trace, name: str) -> pd.DataFrame:
    try:
        return trace.decoded(name)
    except (KeyError, ValueError) as error:  # there is no such list; standard input cannot be read twice
        fail(error.args[0])


def rows_where(frame: pd.DataFrame, where: str | None, name: str) -> pd.DataFrame:
    """The rows for which a condition is true; null is not true."""
    from nfsrpc.columns import suggestion

    if where is None:
        return frame
    check_labels(name, where)
    try:
        mask = condition(frame, where)
    except NameError as error:
        near = suggestion(error.name or str(error).partition("'")[2].partition("'")[0], frame.columns)
        fail(f"--where {where!r}: {error}{near}; {name} has the columns {', '.join(frame.columns)}")
    except Exception as error:  # noqa: BLE001  pandas raises anything at all for what somebody may type
        fail(f"--where {where!r}: {' '.join(str(error).split()) or type(error).__name__}")
    if getattr(mask, "dtype", None) not in ("bool", "boolean") or len(mask) != len(frame):
        fail(f"--where {where!r}: not a condition; compare columns, as in: latency_s > 5 and client == '10.0.0.1'")
    rows: pd.DataFrame = frame[mask.fillna(False).astype(bool)]
    if len(frame) and not len(rows):
        for reason in never(frame, where, labels_of(name)):
            note(f"--where {where!r}: {reason}")
    return rows


def check_labels(name: str, where: str) -> None:
    """Ends the command for a text that a column of labels cannot hold: state == 'anwsered' would match nothing."""
    labels = labels_of(name)
    for column, value in compared(where):
        known = labels.get(column)
        if known and isinstance(value, str) and value not in known and not value.isdigit():
            fail(f"--where {where!r}: {column} is never {value!r}{instead(value, known)}")


def labels_of(name: str) -> dict[str, tuple[str, ...]]:
    from nfsrpc.tables import TABLES

    return TABLES[name].labels if name in TABLES else {}


def never(frame: pd.DataFrame, where: str, labels: dict[str, tuple[str, ...]]) -> Iterator[str]:
    """Why no row fulfils a condition: texts that are in no row, though no label, or that are compared with numbers."""
    for column, value in compared(where):
        if column not in frame or value in labels.get(column, ()):
            continue
        kind = getattr(frame[column].dtype, "kind", "O")
        if isinstance(value, str) and kind in NUMBERS:
            yield f"{column} holds {NUMBERS[kind]}, never the text {value!r}"
        elif frame[column].dtype == "category":
            known = frame[column].cat.remove_unused_categories().cat.categories.tolist()
            if isinstance(value, int | float) and not isinstance(value, bool):
                yield f"{column} holds texts, never a number: compare it with '{value}'"
            elif isinstance(value, str) and value not in known:
                yield f"{column} is {value!r} in no row{instead(value, known) if known else '; it is null in all'}"


def instead(value: str, known: Sequence[str]) -> str:
    """The first values of a column, and the one that is most like one that it never has, as the end of a message."""
    from nfsrpc.columns import suggestion

    return f"; it is {', '.join(first_few(known))}{suggestion(value, known)}"


def compared(where: str) -> Iterator[tuple[str, object]]:
    """The columns of a condition with the constants that each is compared with, where it is one column alone."""
    import ast

    try:
        tree = ast.parse(where.strip(), mode="eval")
    except (SyntaxError, ValueError, RecursionError, MemoryError):
        return
    for node in ast.walk(tree):
        if isinstance(node, ast.Compare):
            sides = [node.left, *node.comparators]
            columns = [side.id for side in sides if isinstance(side, ast.Name)]
            constants = [part.value for side in sides for part in ast.walk(side) if isinstance(part, ast.Constant)]
            yield from ((columns[0], value) for value in constants if len(columns) == 1)


def first_few(names: Sequence[str]) -> list[str]:
    return [*names[:LABELS], *(["…"] if len(names) > LABELS else [])]


def condition(frame: pd.DataFrame, where: str) -> Any:
    try:
        return frame.eval(where)
    except TypeError:
        # pandas compares no time that has a zone with one that has none: '2026-01-31 03:00' means UTC.
        times = frame.select_dtypes("datetimetz").columns
        return frame.assign(**{name: frame[name].dt.tz_localize(None) for name in times}).eval(where)


def chosen(columns: str | None, known: list[str]) -> list[str]:
    from nfsrpc.columns import suggestion

    if columns is None or columns == ALL:
        return known
    names = list(dict.fromkeys(name.strip(" ") for name in columns.split(",")))
    unknown = [name or "''" for name in names if name not in known]
    if unknown:
        fail(f"--columns: no column {', '.join(unknown)}{suggestion(unknown[0], known)}; there are {', '.join(known)}")
    return names


# Formats for programs


def with_written_times(frame: pd.DataFrame) -> pd.DataFrame:
    """The frame with times as text: RFC 3339 in UTC, with nanoseconds."""
    times = frame.select_dtypes("datetimetz").columns
    return frame.assign(**{name: written_times(frame[name], "ns", "Z") for name in times})


def written_times(times: pd.Series[pd.Timestamp], unit: Literal["us", "ns"], zone: str) -> pd.Series[Any]:
    import numpy as np
    import pandas as pd

    plain = times.dt.tz_localize(None).to_numpy()
    written = pd.Series(np.datetime_as_string(plain, unit=unit), index=times.index, dtype=object) + zone
    return written.where(times.notna(), None)


def as_csv(frame: pd.DataFrame) -> str:
    return without_lists(frame).to_csv(index=False)


def without_lists(frame: pd.DataFrame) -> pd.DataFrame:
    lists = [name for name in frame.columns if is_lists(frame[name])]
    return frame.assign(**{name: frame[name].map(joined) for name in lists})


def joined(value: object) -> object:
    return ", ".join(map(str, value)) if isinstance(value, tuple) else value


def neutral(frame: pd.DataFrame) -> pd.DataFrame:
    """The frame with texts that are no formula for a spreadsheet and no control sequence for a terminal."""
    plain = without_lists(frame)
    texts = [name for name in plain.columns if getattr(plain[name].dtype, "kind", "O") == "O"]
    return plain.assign(**{name: plain[name].map(neutral_cell) for name in texts})


def neutral_cell(value: object) -> object:
    if not isinstance(value, str):
        return value
    return clean(f"'{value}" if value.startswith(FORMULA) else value)


def is_lists(column: pd.Series[Any]) -> bool:
    return column.dtype == object and any(isinstance(value, tuple) for value in column)


def as_json(frame: pd.DataFrame) -> str:
    return frame.to_json(orient="records", indent=1, double_precision=9) + "\n"


def as_jsonl(frame: pd.DataFrame) -> str:
    return frame.to_json(orient="records", lines=True, double_precision=9) if len(frame) else ""


WRITERS: dict[TableFormat, Callable[[pd.DataFrame], str]] = {
    TableFormat.csv: as_csv,
    TableFormat.json: as_json,
    TableFormat.jsonl: as_jsonl,
}


def as_parquet(frame: pd.DataFrame) -> bytes:
    from io import BytesIO

    from nfsrpc.extras import MissingExtraError, extra

    buffer = BytesIO()
    try:
        extra("parquet", "pyarrow", "--format parquet")
    except MissingExtraError as error:
        fail(error)
    frame.to_parquet(buffer, index=False)
    return buffer.getvalue()


# The format `table`


def as_table(frame: pd.DataFrame) -> list[str]:
    """The frame in aligned columns."""
    return lines_of(frame, [[name, *cells_of(frame[name])] for name in frame.columns])


def as_screen(name: str, frame: pd.DataFrame, width: int) -> list[str]:
    """The columns of a table that matter most, shortened, as many as fit."""
    from nfsrpc.report.terminal import width_of

    columns = shown_columns(name, frame)
    day = one_day(frame[columns])
    shown: list[list[str]] = []
    used = -GAP
    for column in columns:
        cells = [column, *short_cells(frame[column], day)]
        used += GAP + max(map(width_of, cells))
        if used > width and shown:
            break
        shown.append(cells)
    zone = f"times of {day} UTC; " if day else ""
    note(f"{zone}{len(shown)} of {len(frame.columns)} columns (--columns all)")
    return lines_of(frame[columns[: len(shown)]], shown)


def lines_of(frame: pd.DataFrame, cells: list[list[str]]) -> list[str]:
    from nfsrpc.report.terminal import columns as aligned

    right = [is_number(frame[name]) for name in frame.columns]
    return [f"{line}\n" for line in aligned(zip(*cells, strict=True), right)]


def short_cells(column: pd.Series[Any], day: str) -> list[str]:
    if column.dtype == "float64":
        return [NULL if null else f"{value:.3f}" for value, null in zip(column, column.isna(), strict=True)]
    if getattr(column.dtype, "kind", "O") == "M":
        times = short_times(written_times(column, "us", "").str.replace("T", " "), day)
        return [time if isinstance(time, str) else NULL for time in times]
    return list(map(short, cells_of(column)))


def is_number(column: pd.Series[Any]) -> bool:
    return getattr(column.dtype, "kind", "O") in "iuf"


def cells_of(column: pd.Series[Any]) -> list[str]:
    if getattr(column.dtype, "kind", "O") == "M":
        column = written_times(column, "us", "").str.replace("T", " ")
    return [NULL if null else cell(value) for value, null in zip(column.tolist(), column.isna(), strict=True)]


def cell(value: object) -> str:
    if isinstance(value, float):
        return f"{value:.6f}"
    return str(joined(value))
