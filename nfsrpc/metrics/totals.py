"""What has happened since the start, and how things stand at the last look: plain data.

The window of `live` forgets, counters must not: of requests, waits and SM_MON calls each look adds the new ones, and
latencies are added up as exchanges become final. What stands (findings, registrations, waits) is that of the look.
Rows are counted within the time of a look; one that is cut short adds nothing, and the next adds its rows too.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any, NamedTuple

import numpy as np

from nfsrpc.columns import NAT, Coded, Mask, Table, isin
from nfsrpc.diagnosis.run import CutShort, Limited, unlimited
from nfsrpc.facts.basic import exchanges, of_known_hosts
from nfsrpc.facts.portmappers import answers_about
from nfsrpc.metrics import latencies
from nfsrpc.metrics.counted_once import Counted
from nfsrpc.metrics.histogram import Histograms
from nfsrpc.metrics.labels import HostLabels
from nfsrpc.protocols import program_name
from nfsrpc.protocols.numbers import NlmProc, Prog
from nfsrpc.sessions.grouping import number
from nfsrpc.tables import TRANSPORTS, Registrations
from nfsrpc.watch.changes import LockWait
from nfsrpc.watch.schedule import Look
from nfsrpc.wording import SECOND

LOCKING = (NlmProc.LOCK, NlmProc.LOCK_MSG, NlmProc.NM_LOCK)
SERVICES = (Prog.NFS, Prog.MOUNT, Prog.NLM, Prog.NSM)  # what a server of NFSv3 has registered
SERVICE_NAMES = {int(prog): program_name(prog, 0) for prog in SERVICES}

Service = tuple[str, str, str]  # host, program, transport


class News(NamedTuple):
    """What a look adds, and what it shows of port mappers."""

    requests: dict[str, int]
    waits: tuple[Table, Mask]
    monitors: tuple[Table, Mask]
    counted: tuple[Counted, Counted, Counted]
    latencies: Histograms
    registrations: dict[Service, bool]


class Waiting(NamedTuple):
    """The lock requests of a server that wait."""

    number: int = 0
    oldest_s: float = 0.0  # at the look


@dataclass
class Totals:
    hosts: HostLabels = field(default_factory=HostLabels)
    findings: dict[tuple[str, str, str, str], int] = field(default_factory=dict)  # rule, host, certainty, severity
    registrations: dict[Service, bool] = field(default_factory=dict)
    waiting: dict[str, Waiting] = field(default_factory=dict)  # by server
    requests: defaultdict[str, int] = field(default_factory=lambda: defaultdict(int))  # by server
    lock_waits: Histograms = field(default_factory=Histograms)  # by server
    monitors: Histograms = field(default_factory=Histograms)  # by the host of the statd
    rpc: Histograms = field(default_factory=Histograms)  # by program and procedure

    def __post_init__(self) -> None:
        self._counted = (Counted(), Counted(), Counted())
        self._final = Histograms()

    def settle(self, batch: Mapping[str, Any]) -> None:
        """Adds rows of the decoder that are final."""
        latencies.add(self._final, batch)

    def news(self, look: Look, snapshot: Mapping[str, Any], limited: Limited = unlimited) -> News | None:
        """What the look adds, also where rules took all its time; None where even that is cut short."""
        try:
            return limited(lambda: self._news(look, snapshot), at_the_end=True)
        except CutShort:
            return None

    def _news(self, look: Look, snapshot: Mapping[str, Any]) -> News:
        tables = look.trace.tables
        calls = exchanges(tables["calls"])
        calls = calls.where((calls["prog"] == Prog.NLM) & isin(calls["proc"], LOCKING))
        locks = of_known_hosts(tables["locks"], ("server", "client"))
        locks = locks.where(locks.valid("requested") & locks.valid("granted"))
        monitors = of_known_hosts(tables["monitors"], ("host", "asker"))
        monitors = monitors.where((monitors["procedure"] == "MON") & monitors.valid("latency_s"))
        before = self._counted
        requested, requests = before[0].news(calls["time"], calls["xid"])
        granted, waits = before[1].news(locks["granted"], locks["requested"])
        monitored, mons = before[2].news(monitors["reply_time"], monitors["time"])
        return News(
            requests=occurrences(calls["server"][requested]),
            waits=(locks, granted),
            monitors=(monitors, monitored),
            counted=(requests, waits, mons),
            latencies=latencies.of_snapshot(snapshot["exchanges"]),
            registrations=latest_answers(tables["registrations"]),
        )

    def add(self, look: Look, news: News | None) -> None:
        """Adds what a look added. Hosts with findings come first where not all have labels of their own."""
        self._set_findings(look)
        if news is not None:
            self._set_registrations(news.registrations)
            for server, count in news.requests.items():
                self.requests[self.hosts.label(server)] += count
            self._observe(self.lock_waits, *news.waits, "server", "wait_s")
            self._observe(self.monitors, *news.monitors, "host", "latency_s")
            self._counted, self.rpc = news.counted, self._final.plus(news.latencies)
        self._set_waiting(look.waits)

    def _set_findings(self, look: Look) -> None:
        """The findings of the look; those of rules that did not run to their end stay."""
        stay = {key: count for key, count in self.findings.items() if key[0] in look.cut_short}
        now: defaultdict[tuple[str, str, str, str], int] = defaultdict(int, stay)
        for finding in look.diagnosis.findings:
            key = finding.rule, self.hosts.label(finding.host or ""), finding.certainty, finding.severity
            now[key] += 1
        self.findings = dict(now)

    def _set_registrations(self, registrations: Mapping[Service, bool]) -> None:
        """The registrations of the look; of hosts that share a label all have to be registered."""
        self.registrations = {}
        for (host, program, transport), registered in registrations.items():
            key = self.hosts.label(host), program, transport
            self.registrations[key] = registered and self.registrations.get(key, True)

    def _set_waiting(self, waits: Iterable[LockWait]) -> None:
        self.waiting = {server: Waiting() for server in self.requests}
        for wait in waits:
            label = self.hosts.label(wait.server)
            before = self.waiting.get(label, Waiting())
            self.waiting[label] = Waiting(before.number + 1, max(before.oldest_s, wait.age_s))

    def _observe(self, into: Histograms, table: Table, mask: Mask, host: str, seconds: str) -> None:
        """Adds the durations of some rows of a table by host."""
        if not mask.any():
            return
        rows = table.where(mask)
        column: Coded = rows[host]
        groups, _ = number(column.codes)
        names = dict(zip(groups.tolist(), column.tolist(), strict=True))
        labels = [(self.hosts.label(names[group] or ""),) for group in range(len(names))]
        into.add(labels, groups, np.rint(rows[seconds] * SECOND).astype(np.int64))


def occurrences(column: Coded) -> dict[str, int]:
    """How often each label occurs."""
    counts = np.bincount(column.codes[column.codes >= 0], minlength=len(column.labels))
    return {column.labels[code]: int(counts[code]) for code in np.flatnonzero(counts).tolist()}


def latest_answers(registrations: Registrations) -> dict[Service, bool]:
    """Whether each service is registered, by the latest answer of its host's port mapper about it."""
    in_order = sorted(answers(registrations), key=lambda answer: answer[0])
    return {service: registered for _, service, registered in in_order}  # of several for one service the last stays


def answers(registrations: Registrations) -> Iterator[tuple[int, Service, bool]]:
    """Answers about a service, with their times. A complete list says also what is not registered."""
    listed: dict[int, tuple[int, str]] = {}
    whole = registrations.where((registrations["source"] == "DUMP") & registrations["complete"])
    whole = of_known_hosts(whole, ("host", "asker"))
    for exchange, time, host in zip(*(whole[name].tolist() for name in ("exchange", "time", "host")), strict=True):
        listed[exchange] = time, host
    for time, host in listed.values():
        for name in SERVICE_NAMES.values():
            yield from ((time, (host, name, transport), False) for transport in TRANSPORTS)
    rows = answers_about(registrations, SERVICES)
    columns = (rows[name].tolist() for name in ("time", "host", "prog", "transport", "port"))
    for time, host, prog, transport, port in zip(*columns, strict=True):
        if host is not None and transport is not None:
            yield time, (host, SERVICE_NAMES[prog], transport), port > 0


def seconds_since_epoch(time: int) -> float:
    """A time of packets as Prometheus has it; 0 for none so far."""
    return 0.0 if time == NAT else time / SECOND
