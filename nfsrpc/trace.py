"""A trace: captures decoded once, their tables as DataFrames, and the diagnosis, each made at first use.

This is the door for Python and for notebooks: the work is done elsewhere, and heavy packages (pandas, scapy, altair,
duckdb) are imported by the method that needs them.
"""

from __future__ import annotations

from collections.abc import Iterable
from functools import cached_property
from typing import TYPE_CHECKING, Any, NoReturn, TypeAlias

import numpy as np

from nfsrpc.columns import NAT, Table, documented, suggestion
from nfsrpc.decode import Decoded, Progress, decode
from nfsrpc.protocols import program
from nfsrpc.sessions import COUNTING, WANTED, Sessions
from nfsrpc.sessions.messages import messages
from nfsrpc.sources import Path, SourceError, read_again
from nfsrpc.tables import FINDINGS, NAMES, TABLES, Findings, is_table
from nfsrpc.wording import SECOND, date_time, span

if TYPE_CHECKING:
    from datetime import datetime

    import pandas as pd

    from nfsrpc.findings.finding import Diagnosis, Finding, Verdict
    from nfsrpc.plot import Plots
    from nfsrpc.report.contents import Report
    from nfsrpc.report.frame import Explanation
    from nfsrpc.report.notebook import Page

Time: TypeAlias = "str | datetime | pd.Timestamp | np.datetime64 | int"


class TableProperty:
    # A table of the trace as a pandas DataFrame; its docstring is the declaration of the table.

    def __set_name__(self, owner: type[Trace], name: str) -> None:
        self.name = name

    @property
    def __doc__(self) -> str:  # type: ignore[override]
        return documented(TABLES[self.name])

    def __get__(self, trace: Trace | None, owner: type[Trace]) -> pd.DataFrame:
        if trace is None:
            return self  # type: ignore[return-value]
        return trace.table(self.name)

    def __set__(self, trace: Trace, value: object) -> NoReturn:
        raise AttributeError(f"{self.name} is what the captures say; change a copy of it")


class Trace:
    """One or several captures of one incident, from `nfsrpc.read`.

    `verdict`, `findings` and `diagnosis` say what is wrong. `calls`, `locks`, `monitors`, `registrations`, `paths`,
    `hosts`, `flows`, `programs`, `copies`, `quality` and `oddities` are pandas DataFrames: times are UTC (ns), names
    and hosts categorical, numbers that may be missing nullable, durations seconds, sizes bytes. `help(Trace.locks)`
    has the columns of one of them, docs/tables.md those of all.

    >>> import nfsrpc
    >>> trace = nfsrpc.read("captures/server-without-statd/nfssrv-any.pcap")
    >>> trace.locks[["owner", "state", "granted_by", "resends"]].head(2)
       owner     state granted_by  resends
    0  0@cl1  released      reply        3
    1  1@cl1  released      reply        0
    >>> trace.verdict.state, trace.verdict.rule
    ('fault', 'REG001')
    """

    calls, copies, locks, monitors = TableProperty(), TableProperty(), TableProperty(), TableProperty()
    registrations, paths, hosts, flows = TableProperty(), TableProperty(), TableProperty(), TableProperty()
    quality, oddities, programs = TableProperty(), TableProperty(), TableProperty()
    tallies, writes = TableProperty(), TableProperty()

    def __init__(self, decoded: Decoded) -> None:
        self.tables = Sessions(decoded)
        self._frames: dict[str, pd.DataFrame] = {}
        self._decoded: dict[str, Decoded] = {}

    def __repr__(self) -> str:
        from nfsrpc.report import notebook

        return notebook.text(self._report, self.tables)

    def _repr_html_(self) -> str:
        from nfsrpc.report import notebook

        return notebook.html(self._report, self.tables)

    @property
    def _report(self) -> Report:
        from nfsrpc.report.contents import report_of

        return report_of(self.tables, self.diagnosis)

    def report(self) -> Page:
        """The report as an HTML page: a notebook shows it inline, and as a text it can be written to a file.

        >>> page = read("captures/server-without-statd/nfssrv-any.pcap").report()
        >>> page.startswith("<!DOCTYPE html>"), "REG001 statd-not-registered" in page
        (True, True)
        """
        from nfsrpc.report.attachments import attachments
        from nfsrpc.report.html import render
        from nfsrpc.report.notebook import Page

        report = self._report
        return Page(render(report, attachments(report, self.tables)))

    @property
    def files(self) -> list[str]:
        """The captures' names, in the order given: column `capture` counts them from 0."""
        return self.tables.decoded.files

    @property
    def skipped(self) -> tuple[SourceError, ...]:
        """What is wrong with files that could not be read, and were left out: with one, no verdict is `healthy`.

        >>> trace = read("captures/contended/nfssrv-any.pcap", "missing.pcap")
        >>> [str(error) for error in trace.skipped], trace.verdict.state
        (['missing.pcap: no such file'], 'cannot-tell')
        """
        return self.tables.decoded.skipped

    @cached_property
    def captures(self) -> list[dict[str, Any]]:
        """What is known of each file: times in ns, its vantage in words, and what it lacks.

        >>> trace = read("captures/contended/nfssrv-any.pcap")
        >>> trace.captures[0]["vantage"], trace.captures[0]["frames"], trace.captures[0]["quality"]["drops"]
        ('server any', 304, None)
        """
        from nfsrpc.report.contents import captures_of

        return captures_of(self.tables)

    # What is wrong

    @cached_property
    def diagnosis(self) -> Diagnosis:
        """All answers of the rules: the verdict, findings, the causes among them, what passes, what cannot be judged.

        >>> trace = read("captures/statd-killed/nfssrv-any.pcap")
        >>> [(finding.rule, finding.host, finding.certainty) for finding in trace.diagnosis.findings]
        [('REG007', '10.1.84.31', 'certain'), ('LCK004', '10.1.84.31', 'certain')]
        >>> [(cause.id, cause.explains) for cause in trace.diagnosis.causes]
        [('REG007@10.1.84.31', ('LCK004@10.1.84.31',))]
        """
        from nfsrpc.diagnosis.verdict import diagnose

        return diagnose(self.tables, skipped=self.skipped)

    @property
    def verdict(self) -> Verdict:
        """The conclusion: `state` (fault, healthy, cannot-tell), `summary`, and of a fault its `causes` and `hosts`.

        There is one cause per fault that no other finding explains, the gravest first; `rule` is that of the first.

        >>> read("captures/contended/nfssrv-any.pcap").verdict.state
        'healthy'
        """
        return self.diagnosis.verdict

    @cached_property
    def findings(self) -> pd.DataFrame:
        """One row per finding, the causes first. `diagnosis.findings` has them with their proof and remedy.

        >>> read("captures/statd-killed/nfssrv-any.pcap").findings[["rule", "severity", "host", "count"]]
             rule severity        host  count
        0  REG007    error  10.1.84.31      4
        1  LCK004    error  10.1.84.31      2
        """
        return self._findings.frame()

    @property
    def _findings(self) -> Findings:
        return Findings.of(FINDINGS, map(self._finding, self.diagnosis.findings))

    @staticmethod
    def _finding(finding: Finding) -> tuple[Any, ...]:
        return tuple(getattr(finding, column.name) for column in FINDINGS.columns)

    # Tables

    def table(self, name: str) -> pd.DataFrame:
        """A table by its name: one of the properties, `captures`, `findings`, or messages as `decoded` has them.

        Raises KeyError for the name of no table, with the one that is most like it.

        >>> trace = read("captures/contended/nfssrv-any.pcap")
        >>> len(trace.table("flows")), len(trace.table("nlm4"))
        (26, 13)
        """
        if name == "findings":
            return self.findings
        if name not in TABLES:
            return self._messages_named(name).frame()
        if name not in self._frames:
            self._frames[name] = self.tables[name].frame()
        return self._frames[name]

    def decoded(self, name: str) -> pd.DataFrame:
        """Every field of a protocol's messages ("nlm4"), one row per exchange, or of a list in them ("nfs3.entries").

        Arguments have the names of the RFC, results the prefix `res_`. The captures are read again for it: most of
        what they hold is of no use to the other tables. Raises KeyError for the name of no protocol or list, and
        ValueError where a capture cannot be read a second time (standard input, a generator).

        >>> nlm = read("captures/contended/nfssrv-any.pcap").decoded("nlm4")
        >>> nlm.loc[nlm["procedure"] == "LOCK", ["caller_name", "svid", "l_offset", "l_len", "res_stat"]]
          caller_name  svid  l_offset  l_len  res_stat
        0         cl1     0         0      0         0
        1         cl2     0         0      0         3
        6         cl1     1         0    100         0
        7         cl2     1        50     10         3
        """
        return self.messages(name).frame()

    def messages(self, name: str) -> Table:
        """The messages of a protocol (see `decoded`) as a table of numpy columns."""
        protocol = name.partition(".")[0]
        if protocol not in self._decoded:
            sources = map(read_again, self.tables.decoded.sources)
            decoded = decode(sources, programs=[program(protocol)])
            for error in decoded.skipped:  # it was there at first, and numbers are those of all files
                raise error
            self._decoded[protocol] = decoded
        return messages(self._decoded[protocol], name, self.tables["calls"])

    def _messages_named(self, name: str) -> Table:
        if not is_table(name):
            raise KeyError(f"no table {name}{suggestion(name, NAMES)}; there are {', '.join(NAMES)}")
        return self.messages(name)

    def holders(self, at: Time | None = None) -> pd.DataFrame:
        """Who holds a lock, and who waits for one and behind whom, at a moment: UTC unless it says otherwise.

        Without a moment, at the end of the captures. An int is ns since the epoch. Raises ValueError for a moment
        before or after the captures, of which they show nothing.

        >>> trace = read("captures/contended/nfssrv-any.pcap")
        >>> trace.holders("2026-11-22 05:37:50")[["state", "owner", "file", "age_s", "behind"]]
           state  owner            file     age_s                 behind
        0  holds  0@cl1  /export/lockme  3.797022                     ()
        1  waits  0@cl2  /export/lockme  1.790300  (0@cl1 (10.1.84.41),)
        """
        from nfsrpc.sessions.holders import holders

        captures = self.tables["captures"]
        end = int(captures["last"].max(initial=NAT))
        moment = end if at is None else nanoseconds(at)
        if at is not None:
            begin = int(captures["first"].min(where=captures.valid("first"), initial=end))
            if not begin // SECOND <= moment // SECOND <= end // SECOND:  # as span() shows them
                raise ValueError(f"{date_time(moment)} is outside of the captures: {span(begin, end)}")
        return holders(self.tables["locks"], moment).frame()

    # Frames

    def explain(self, frame: int, capture: int = 0) -> Explanation:
        """What a frame is: its messages in words, their partners, the lock session they belong to.

        Frames count from 1 in their file, as in Wireshark, files from 0. Raises ValueError for a frame that there is
        not.

        >>> read("captures/contended/nfssrv-any.pcap").explain(175)
        Frame 175 of captures/contended/nfssrv-any.pcap
          LOCK (nlm version 4) reply of 10.1.84.31:32803 to 10.1.84.41:866 (tcp) to the call in frame 156, 82 ms \
later: GRANTED
          Lock session 0: exclusive lock of 0@cl1 at 10.1.84.41 on /export/lockme: asked in frame 156, granted in \
frame 175 after 82 ms, released in frame 228 after 12.1 s
        """
        from nfsrpc.report.frame import explain

        return explain(self.tables, frame, capture)

    def packets(self, frames: int | Iterable[int], capture: int = 0) -> Any:
        """Frames as a scapy PacketList, in the order of their numbers, each with the time of the capture.

        The captures are read again for it. Raises ValueError for a frame that there is not, and where a capture
        cannot be read a second time.

        >>> call, reply = read("captures/contended/nfssrv-any.pcap").packets([156, 175])
        >>> call["TCP"].dport, reply["TCP"].sport
        (32803, 32803)
        """
        from nfsrpc.packets import packets

        return packets(self.tables.decoded, [frames] if isinstance(frames, int | np.integer) else list(frames), capture)

    # For other tools

    def to_parquet(self, directory: Path, *names: str) -> list[str]:
        """Writes one Parquet file per table, and returns their names.

        Without `names` these are all tables; messages ("nlm4") can be named, too. The directory is made if need be.
        Raises MissingExtraError without pyarrow, OSError where nothing can be written.

        >>> import tempfile
        >>> with tempfile.TemporaryDirectory() as directory:
        ...     [name.rpartition("/")[2] for name in read("captures/contended").to_parquet(directory, "locks", "nlm4")]
        ['locks.parquet', 'nlm4.parquet']
        """
        from nfsrpc.export import parquet

        return parquet(self.table, directory, names or tuple(TABLES))

    def arrow(self, name: str) -> Any:
        """A table by its name, or messages ("nlm4"), as a pyarrow.Table, made without pandas.

        It has the Arrow PyCapsule interface, so that `polars.DataFrame(trace.arrow("locks"))` takes it as it is.
        Raises MissingExtraError without pyarrow, KeyError for the name of no table.

        >>> locks = read("captures/contended/nfssrv-any.pcap").arrow("locks")
        >>> locks.num_rows, locks["state"].to_pylist()[0], str(locks.schema.field("time").type)
        (4, 'released', 'timestamp[ns, tz=UTC]')
        """
        from nfsrpc.export import arrow

        if name == "findings":
            return arrow(self._findings)
        return arrow(self.tables[name] if name in TABLES else self._messages_named(name))

    def sql(self, query: str) -> pd.DataFrame:
        """The answer to a query of DuckDB over the tables by their names, and over messages: nlm4, "nfs3.entries".

        Raises MissingExtraError without duckdb, and ValueError for what is no query.

        >>> trace = read("captures/contended/nfssrv-any.pcap")
        >>> trace.sql("SELECT program, count(*) AS calls FROM calls GROUP BY program ORDER BY calls DESC LIMIT 2")
          program  calls
        0     nfs     29
        1     nlm     13
        """
        from nfsrpc.export import sql

        return sql(self.table, query)

    @property
    def plot(self) -> Plots:
        """Pictures: `plot.locks()`, `plot.ladder()`, `plot.latency()`, `plot.rates()`; they need `nfsrpc[plots]`.

        >>> trace = read("captures/contended/nfssrv-any.pcap")
        >>> trace.plot.ladder(1).title["text"]
        'The lock of 0@cl2 on /export/lockme'
        """
        from nfsrpc.plot import Plots

        return Plots(self.tables)


def nanoseconds(at: Time) -> int:
    """A moment in ns since the epoch; one without a zone is UTC.

    >>> nanoseconds("2023-11-14 22:13:20.5") == nanoseconds("2023-11-14T23:13:20.5+01:00") == 1_700_000_000_500_000_000
    True
    """
    if isinstance(at, int):
        return at
    import pandas as pd

    moment = pd.Timestamp(at)
    return int((moment.tz_localize("UTC") if moment.tzinfo is None else moment).value)


def read(*captures: Any, progress: Progress | None = None, count: bool = False, jobs: int | None = None) -> Trace:
    """The trace in some captures, decoded in this process: what `nfsrpc.read` does without a cluster (door.py)."""
    return Trace(decode(captures, WANTED, progress=progress, counting=COUNTING if count else None, jobs=jobs))
