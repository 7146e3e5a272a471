"""The door to live analysis: the source that an argument names, and a trace for each look at it."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterable, Iterator
from contextlib import closing
from typing import Any

from nfsrpc.diagnosis.settings import Settings, beginnings, checked, merged
from nfsrpc.findings.finding import Settings as InForce
from nfsrpc.sources import captures
from nfsrpc.sources.live_queue import LiveSource
from nfsrpc.sources.source import STANDARD_INPUT
from nfsrpc.sources.supervisor import Supervisor
from nfsrpc.sources.tcpdump import FILTER, Tcpdump, tcpdump_command
from nfsrpc.sources.tcpdump_adaptive import TcpdumpAdaptive
from nfsrpc.trace import Trace
from nfsrpc.watch.schedule import INTERVAL_S, Live, Options
from nfsrpc.watch.watch import WINDOW_S


def live(
    source: Any = "any",
    *,
    filter: str = FILTER,  # noqa: A002
    interval_s: float = INTERVAL_S,
    window_s: float = WINDOW_S,
    for_s: float = float("inf"),
    until_finding: bool = False,
    select: Iterable[str] = (),
    ignore: Iterable[str] = (),
    settings: Settings | None = None,
) -> Iterator[Trace]:
    """Traces of the last `window_s` seconds of an endless capture, one each time that something happened.

    `source` is an interface, on which tcpdump captures (`filter` is for it), a directory into which another tcpdump
    writes a ring of files, "-" for a capture stream on standard input, an open file or an iterable of bytes. There is
    at most one trace per `interval_s`. It ends with the source, after `for_s` seconds, or with `until_finding` when a
    fault is found; the last trace is of the end. Breaking out of the loop stops the capture.

    The capture is parsed by the calling process with the rights that it has: a library does not change its
    caller's identity. Only `nfsrpc live` gives up root's rights. tcpdump is the child of a small process in both cases,
    and ends when the calling process ends or is killed.

    `select` and `ignore` are prefixes of rules' identifiers or names, `settings` their thresholds, as
    `{"LCK002": {"late_s": 3}}`. Raises SourceError, and ValueError for an unknown rule or threshold.

    >>> import nfsrpc
    >>> with open("captures/server-without-statd/nfssrv-any.pcap", "rb") as stream:
    ...     for trace in nfsrpc.live(stream):
    ...         verdict = trace.verdict
    >>> verdict.rule
    'REG001'
    """
    thresholds = merged(
        checked(rule, name, value) for rule, values in (settings or {}).items() for name, value in values.items()
    )
    rules = InForce(beginnings(select), beginnings(ignore), thresholds)
    options = Options(interval_s, window_s, for_s, until_finding, rules)
    with closing(Live(source_of(source, filter, window_s), options).looks()) as looks:
        for look in looks:
            yield look.trace


def source_of(source: Any, expression: str, window_s: float, say: Callable[[str], None] = lambda _: None) -> LiveSource:
    """The live source that `source` names; `say` is called with remarks for the user."""
    if not isinstance(source, str | os.PathLike) or source == STANDARD_INPUT:
        from nfsrpc.sources.stream import Stream

        [capture] = captures([source])
        return Stream(capture)
    if os.path.isdir(source):
        from nfsrpc.sources.follow import Follow

        return Follow(os.fspath(source), window_s, say=say)
    return capturing(os.fspath(source), expression, say)


def capturing(
    interface: str, expression: str, say: Callable[[str], None], supervisor: Supervisor | None = None
) -> LiveSource:
    """The capture on an interface, by tcpdump or else by scapy; `supervisor`, if passed, starts tcpdump."""
    command = tcpdump_command()
    if command and expression == FILTER:
        return TcpdumpAdaptive(interface, command, supervisor)
    if command:
        return Tcpdump(interface, expression, command, supervisor=supervisor)
    from nfsrpc.sources.scapy_socket import ScapySocket

    say("tcpdump is not installed; scapy captures instead, and loses packets on a busy node")
    return ScapySocket(interface, expression)
