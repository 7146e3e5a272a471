"""Pictures of a trace: pure functions of its tables that return altair charts, one file per picture.

`Plots` is `trace.plot`. A chart shows itself in a notebook, and saves itself as SVG, PNG, PDF or HTML by the name of
the file, all without a network.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from nfsrpc.sessions import Sessions
from nfsrpc.sessions.aligned import by_one_clock

if TYPE_CHECKING:
    from nfsrpc.plot.locks import By


class Plots:
    """The pictures of one trace, as altair charts. Each raises MissingExtraError where altair is not installed.

    `dark` is for pages with a dark background.

    >>> import nfsrpc
    >>> trace = nfsrpc.read("captures/contended/nfssrv-any.pcap")
    >>> trace.plot.locks().save("locks.svg")  # doctest: +SKIP
    """

    def __init__(self, tables: Sessions) -> None:
        self._tables = by_one_clock(tables)

    def locks(self, by: By = "file", *, dark: bool = False) -> Any:
        """Who waits and who holds over time: for each file one lane per client, or (`by="owner"`) for each client
        one lane per owner, with what happened on the way: asked again, granted, denied, given up. Raises ValueError for
        another `by`.

        >>> from nfsrpc import read
        >>> read("captures/contended/nfssrv-any.pcap").plot.locks(by="owner").title["subtitle"]
        '4 sessions of 4 owners; the longest wait is 10.1 s, of 0@cl2'
        """
        from nfsrpc.plot import locks

        return locks.chart(self._tables, by, dark)

    def ladder(self, session: int | None = None, *, dark: bool = False) -> Any:
        """The messages of one lock session between hosts, with the look-ups and the monitoring that it led to.

        `session` is a row of `trace.locks`; without it, the session that waited longest. Where no lock was asked for,
        all that portmappers, statds and lock managers were asked. Raises ValueError when there is no such session.

        >>> from nfsrpc import read
        >>> read("captures/contended/nfssrv-any.pcap").plot.ladder(1).title["text"]
        'The lock of 0@cl2 on /export/lockme'
        """
        from nfsrpc.plot import ladder

        return ladder.chart(self._tables, session, dark)

    def latency(self, *, dark: bool = False) -> Any:
        """How long answers took, by procedure and over time; never answered calls are crosses.

        >>> from nfsrpc import read
        >>> read("captures/healthy/nfssrv-any.pcap.zst").plot.latency().title["subtitle"]
        '102 answers; the slowest took 107 ms: nfs READ, frame 363'
        """
        from nfsrpc.plot import latency

        return latency.chart(self._tables, dark)

    def rates(self, bin_s: float | None = None, *, dark: bool = False) -> Any:
        """Calls per second over time by program, and when calls were retransmitted, not answered, or failed.

        `bin_s` is the length of a bin in seconds; without it, one that leaves about a hundred of them. Raises
        ValueError for a length that no bin can have.

        >>> from nfsrpc import read
        >>> read("captures/healthy/nfssrv-any.pcap.zst").plot.rates(bin_s=5).title["subtitle"]
        '102 calls in bins of 5 s; the busiest has 12 calls per second'
        """
        from nfsrpc.plot import rates

        return rates.chart(self._tables, bin_s, dark)
