"""A trace: captures decoded once, their tables as DataFrames, and the diagnosis, each made when first asked for.

>>> import nfsrpc
>>> trace = nfsrpc.read("captures/server-without-statd/nfssrv-any.pcap")
>>> trace.locks[["client", "owner", "state", "wait_s"]]  # doctest: +SKIP
"""

from __future__ import annotations

from functools import cached_property
from typing import TYPE_CHECKING, Any

from nfsrpc.decode import Decoded, Progress, decode
from nfsrpc.protocols import program
from nfsrpc.sessions import WANTED, Sessions
from nfsrpc.sessions.messages import messages
from nfsrpc.sources import read_again
from nfsrpc.tables import FINDINGS, Table

if TYPE_CHECKING:
    import pandas as pd

    from nfsrpc.rules.finding import Diagnosis, Finding, Verdict


class Frame:
    """A table of the trace as a pandas DataFrame."""

    def __set_name__(self, owner: type[Trace], name: str) -> None:
        self.name = name

    def __get__(self, trace: Trace, owner: type[Trace]) -> pd.DataFrame:
        if self.name not in trace.frames:
            trace.frames[self.name] = trace.tables[self.name].frame()
        return trace.frames[self.name]


class Trace:
    """One or several captures of one incident."""

    calls, copies, locks, monitors, registrations = Frame(), Frame(), Frame(), Frame(), Frame()
    paths, hosts, flows, quality, oddities, programs = Frame(), Frame(), Frame(), Frame(), Frame(), Frame()

    def __init__(self, decoded: Decoded) -> None:
        self.frames: dict[str, pd.DataFrame] = {}
        self.tables = Sessions(decoded)
        self._decoded: dict[str, Decoded] = {}

    @property
    def files(self) -> list[str]:
        return self.tables.decoded.files

    @cached_property
    def captures(self) -> list[dict[str, Any]]:
        """What is known of each file: times in ns, its vantage in words, and what it lacks."""
        names = ("file", "format", "linktypes", "frames", "bytes", "first", "last", "where", "host")
        facts = [
            dict(zip(names, row, strict=True)) for row in zip(*map(self.tables["captures"].values, names), strict=True)
        ]
        for fact, row in zip(facts, self.tables["quality"].rows(), strict=True):
            fact["vantage"] = fact.pop("where")
            fact["quality"] = {
                name: value for name, value in row._asdict().items() if name not in ("capture", "frames")
            }
        return facts

    @cached_property
    def diagnosis(self) -> Diagnosis:
        from nfsrpc.rules.verdict import diagnose

        return diagnose(self.tables)

    @property
    def verdict(self) -> Verdict:
        return self.diagnosis.verdict

    @cached_property
    def findings(self) -> pd.DataFrame:
        return Table.of(FINDINGS, map(self._finding, self.diagnosis.findings)).frame()

    @staticmethod
    def _finding(finding: Finding) -> tuple[Any, ...]:
        return tuple(getattr(finding, column.name) for column in FINDINGS.columns)

    def decoded(self, name: str) -> pd.DataFrame:
        """Every field of a protocol's messages ("nlm4"), a row an exchange, or of a list in them ("nfs3.entries").

        The files are read again for it: most of what they hold is of no use to the other tables.
        """
        return self.messages(name).frame()

    def messages(self, name: str) -> Table:
        protocol = name.partition(".")[0]
        if protocol not in self._decoded:
            sources = map(read_again, self.tables.decoded.sources)
            self._decoded[protocol] = decode(sources, programs=[program(protocol)])
        return messages(self._decoded[protocol], name, self.tables["calls"])


def read(*captures: Any, progress: Progress | None = None) -> Trace:
    """The trace in some captures: files, directories, wildcards, or "-" for standard input. Raises SourceError."""
    return Trace(decode(captures, WANTED, progress=progress))
