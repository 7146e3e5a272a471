"""Metrics for Prometheus: served over HTTP, and written to a file for node_exporter's textfile collector.

Each look of `live` is taken up by the thread that looks; a scrape is answered by a thread of the server. Both hold a
lock meanwhile. A request that waits grows older between two looks, as it does on the screen. The package
prometheus-client is the extra `metrics`: it writes the format and serves it.
"""

from __future__ import annotations

import socket
from collections.abc import Callable, Iterable, Iterator
from contextlib import suppress
from threading import Lock
from time import monotonic
from typing import Any, NamedTuple

from nfsrpc.extras import extra
from nfsrpc.metrics.histogram import BOUNDS, Histograms
from nfsrpc.metrics.server import Server
from nfsrpc.metrics.totals import Totals, seconds_since_epoch
from nfsrpc.report.contents import nfsrpc_version
from nfsrpc.watch.schedule import Live, Look

LOCALHOST = "127.0.0.1"
MAX_PORT = 65535
SUFFIX = ".prom"
# Between two looks the file is written this often: node_exporter is asked each 15 s as a rule.
FILE_S = 10.0


class Address(NamedTuple):
    host: str
    port: int

    def __str__(self) -> str:
        return f"[{self.host}]:{self.port}" if ":" in self.host else f"{self.host}:{self.port}"


def address(text: str) -> Address:
    """The address of `[ADDR:]PORT`, on the loopback where none is named. Raises ValueError.

    >>> [str(address(text)) for text in ("9464", "0.0.0.0:9464", "[::1]:9464", ":9464")]
    ['127.0.0.1:9464', '0.0.0.0:9464', '[::1]:9464', '127.0.0.1:9464']
    """
    host, _, port = text.rpartition(":")
    if not (port.isascii() and port.isdigit() and 0 < int(port) <= MAX_PORT):
        raise ValueError(f"{text} is no address: [ADDR:]PORT, as 9464 or 0.0.0.0:9464")
    return Address(host.strip("[]") or LOCALHOST, int(port))


def textfile(name: str) -> str:
    """The name of a file for node_exporter. Raises ValueError for one that it would not read."""
    if not name.endswith(SUFFIX):
        raise ValueError(f"{name}: node_exporter reads files with names in {SUFFIX} only")
    return name


class Exporter:
    """The metrics of one endless capture. Raises MissingExtraError where prometheus-client is not installed."""

    def __init__(
        self, served_at: Address | None = None, file: str | None = None, say: Callable[[str], None] = lambda _: None
    ) -> None:
        self.served_at, self.file, self.say = served_at, file, say
        self.totals = Totals()
        self._client = extra("metrics", "prometheus_client", "metrics")
        self._core = extra("metrics", "prometheus_client.core", "metrics")
        self._registry = self._client.CollectorRegistry()
        self._registry.register(self)
        self._lock = Lock()
        self._version = nfsrpc_version()
        self._last = 0.0
        self._drops: int | None = None
        self._looked = self._written = monotonic()
        self._server: Server | None = None
        self._has_failed = False
        self._rehearse()

    def _rehearse(self) -> None:
        """Imports now what is imported at first use: later, this process may not read where Python is installed."""
        self._client.generate_latest(self._registry)
        with suppress(OSError):
            socket.getaddrinfo(LOCALHOST, None)  # the codec of host names

    def start(self, watched: Live) -> None:
        """Serves and writes the metrics of a capture from here on. Raises OSError where that is not possible."""
        watched.watch.settle = self.totals.settle
        watched.tick = self.tick_of(watched)
        if self.file:
            self._write(self.file)
        if self.served_at:
            handler = self._client.MetricsHandler.factory(self._registry)
            self._server = Server(*self.served_at, handler)

    def looks(self, watched: Live) -> Iterator[Look]:
        """The looks of a capture, each of which is taken up before it is passed on."""
        for look in watched.looks():
            self.observe(watched, look)
            yield look

    def observe(self, watched: Live, look: Look) -> None:
        news = self.totals.news(look, watched.watch.snapshot, watched.limited)
        with self._lock:
            self.totals.add(look, news)
            self._looked = monotonic()
        self._note(watched)
        self._write_file()

    def tick_of(self, watched: Live) -> Callable[[], None]:
        """What `watched` calls often: what it called before, then it notes the last packet and writes the file."""
        before = watched.tick

        def tick() -> None:
            before()
            self._note(watched)
            if monotonic() - self._written >= FILE_S:
                self._write_file()

        return tick

    def _note(self, watched: Live) -> None:
        self._last, self._drops = seconds_since_epoch(watched.watch.last), watched.source.drops

    def close(self) -> None:
        """Stops serving. The file stays as it is: its last packet grows old, which an alert reports."""
        if self._server:
            self._server.stop()

    def _write_file(self) -> None:
        """Writes the file; says so once where that fails."""
        if not self.file:
            return
        try:
            self._write(self.file)
            self._has_failed = False
        except OSError as error:
            if not self._has_failed:
                self.say(f"{self.file}: cannot be written: {error.strerror}")
            self._has_failed = True

    def _write(self, file: str) -> None:
        self._written = monotonic()
        try:
            self._client.write_to_textfile(file, self._registry)  # another file, which is renamed when it is whole
        except OSError as error:
            raise OSError(error.errno, error.strerror, file) from error

    def collect(self) -> Iterable[Any]:
        """The metrics, as prometheus-client asks for them."""
        with self._lock:
            return list(self._families())

    def _families(self) -> Iterator[Any]:
        totals, since_s = self.totals, monotonic() - self._looked
        waiting = sorted(totals.waiting.items())
        yield self._counter(
            "lock_requests",
            "LOCK requests, not counting retransmissions.",
            ("server",),
            (((server,), count) for server, count in sorted(totals.requests.items())),
        )
        yield self._histogram(
            "lock_wait_seconds", "Time from the first LOCK request to the grant.", ("server",), totals.lock_waits
        )
        yield self._gauge(
            "locks_waiting",
            "Lock requests without a lock so far.",
            ("server",),
            (((server,), its.number) for server, its in waiting),
        )
        yield self._gauge(
            "lock_oldest_wait_seconds",
            "Age of the oldest lock request without a lock so far.",
            ("server",),
            (((server,), its.oldest_s + since_s if its.number else 0.0) for server, its in waiting),
        )
        yield self._gauge(
            "registration",
            "Whether the port mapper of a host has a program registered (1) or not (0), by its latest answer.",
            ("host", "program", "transport"),
            sorted(totals.registrations.items()),
        )
        yield self._histogram(
            "monitor_seconds", "Time that the statd of a host took to reply to SM_MON.", ("host",), totals.monitors
        )
        yield self._gauge(
            "finding",
            "Findings of rules that are in force.",
            ("rule", "host", "certainty", "severity"),
            sorted(totals.findings.items()),
        )
        yield self._histogram(
            "rpc_latency_seconds",
            "Time from the first sending of a call to its first reply. What is captured on both sides of an address "
            "translation counts twice.",
            ("program", "procedure"),
            totals.rpc,
        )
        if self._drops is not None:
            yield self._counter(
                "capture_dropped", "Packets that the kernel dropped instead of capturing them.", (), [((), self._drops)]
            )
        yield self._gauge(
            "last_packet_timestamp_seconds",
            "Time of the last packet that was captured; 0 before the first.",
            (),
            [((), self._last)],
        )
        yield self._gauge("build_info", "Version of nfsrpc.", ("version",), [((self._version,), 1)])

    def _gauge(self, name: str, help_: str, labels: tuple[str, ...], values: Iterable[Any]) -> Any:
        return filled(self._core.GaugeMetricFamily(f"nfsrpc_{name}", help_, labels=labels), values)

    def _counter(self, name: str, help_: str, labels: tuple[str, ...], values: Iterable[Any]) -> Any:
        return filled(self._core.CounterMetricFamily(f"nfsrpc_{name}", help_, labels=labels), values)

    def _histogram(self, name: str, help_: str, labels: tuple[str, ...], histograms: Histograms) -> Any:
        family = self._core.HistogramMetricFamily(f"nfsrpc_{name}", help_, labels=labels)
        bounds = [*map(str, BOUNDS), "+Inf"]
        for label, counts, total in histograms.items():
            family.add_metric(label, list(zip(bounds, counts, strict=True)), total)
        return family


def filled(family: Any, values: Iterable[tuple[tuple[str, ...], float]]) -> Any:
    for labels, value in values:
        family.add_metric(labels, float(value))
    return family
