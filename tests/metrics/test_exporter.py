"""What is served, what is written, and what is refused."""

from __future__ import annotations

import json
import os
import re
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any
from urllib.error import URLError
from urllib.request import urlopen

import pytest
import typer

from nfsrpc.cli.live_screen import Screen
from nfsrpc.cli.metrics import exporter_of
from nfsrpc.metrics.exporter import Exporter, address, textfile
from nfsrpc.watch.schedule import Live, Options
from tests.cli.command import ENVIRONMENT, shell
from tests.watch.test_schedule import Script

ROOT = Path(__file__).parents[2]
DEMO = ROOT / "captures" / "server-without-statd" / "nfssrv-any.pcap"
LIVE = (sys.executable, "-m", "nfsrpc", "live", "-")
METRICS = {
    "nfsrpc_lock_requests": ("server",),
    "nfsrpc_lock_wait_seconds": ("server",),
    "nfsrpc_locks_waiting": ("server",),
    "nfsrpc_lock_oldest_wait_seconds": ("server",),
    "nfsrpc_registration": ("host", "program", "transport"),
    "nfsrpc_monitor_seconds": ("host",),
    "nfsrpc_finding": ("rule", "host", "certainty", "severity"),
    "nfsrpc_rpc_latency_seconds": ("program", "procedure"),
    "nfsrpc_capture_dropped": (),
    "nfsrpc_last_packet_timestamp_seconds": (),
    "nfsrpc_build_info": ("version",),
}


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port


def until(condition: Callable[[], Any], seconds: float = 20.0) -> Any:
    """The result of the condition once it is true."""
    end = time.monotonic() + seconds
    while time.monotonic() < end:
        if result := condition():
            return result
        time.sleep(0.05)
    raise TimeoutError(condition)


def scraped(port: int, holds: str = "") -> str:
    """What is served, once it holds a text."""

    def text() -> str:
        try:
            with urlopen(f"http://127.0.0.1:{port}/metrics", timeout=5) as reply:
                found: str = reply.read().decode()
        except (URLError, ConnectionError):
            return ""
        return found if holds in found else ""

    result: str = until(text)
    return result


@contextmanager
def live(*options: str) -> Iterator[subprocess.Popen[bytes]]:
    """`nfsrpc live -` with the demo, which goes on."""
    with subprocess.Popen(
        [*LIVE, *options], stdin=subprocess.PIPE, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, env=ENVIRONMENT
    ) as process:
        assert process.stdin
        process.stdin.write(DEMO.read_bytes())
        process.stdin.flush()
        try:
            yield process
        finally:
            process.stdin.close()
            process.wait(20)


@pytest.fixture
def watched() -> Live:
    source = Script(DEMO.read_bytes())
    source.drops = 7
    return Live(source, Options(interval_s=0.01))


def test_every_metric_has_its_labels(watched: Live) -> None:
    exporter = Exporter()
    watched.watch.settle = exporter.totals.settle
    assert [look.final for look in exporter.looks(watched)][-1]
    families = {family.name: family for family in exporter.collect()}
    assert families.keys() == METRICS.keys()
    for name, family in families.items():
        for sample in family.samples:
            assert set(sample.labels) - {"le"} == set(METRICS[name])
    [drops] = families["nfsrpc_capture_dropped"].samples
    assert (drops.name, drops.value) == ("nfsrpc_capture_dropped_total", 7)
    [last] = families["nfsrpc_last_packet_timestamp_seconds"].samples
    assert last.value == pytest.approx(1795325563.344272)


def test_a_source_that_does_not_count_drops_has_no_such_metric() -> None:
    assert "nfsrpc_capture_dropped" not in {family.name for family in Exporter().collect()}


def test_a_request_that_waits_grows_older_between_two_looks(monkeypatch: pytest.MonkeyPatch) -> None:
    now = [100.0]
    monkeypatch.setattr("nfsrpc.metrics.exporter.monotonic", lambda: now[0])
    watched = Live(Script(DEMO.read_bytes()[:20_000], ends=False), Options(interval_s=0.01))
    exporter = Exporter()
    looks = exporter.looks(watched)
    next(looks)

    def oldest() -> float:
        families = {family.name: family.samples for family in exporter.collect()}
        value: float = families["nfsrpc_lock_oldest_wait_seconds"][0].value
        return value

    before = oldest()
    assert before > 10
    now[0] += 30
    assert oldest() == pytest.approx(before + 30)
    looks.close()  # type: ignore[attr-defined]


@pytest.mark.parametrize(
    ("text", "host", "port"),
    [("9464", "127.0.0.1", 9464), ("0.0.0.0:1", "0.0.0.0", 1), ("[::1]:65535", "::1", 65535), ("::1:80", "::1", 80)],
)
def test_an_address(text: str, host: str, port: int) -> None:
    assert address(text) == (host, port)


@pytest.mark.parametrize("text", ["", "x", "0", "65536", "127.0.0.1", "127.0.0.1:", "٣", "-1"])
def test_no_address(text: str) -> None:
    with pytest.raises(ValueError, match="is no address"):
        address(text)


def test_a_file_that_node_exporter_would_not_read() -> None:
    assert textfile("/x/nfsrpc.prom") == "/x/nfsrpc.prom"
    with pytest.raises(ValueError, match=r"in \.prom only"):
        textfile("/dev/stdout")


def test_the_missing_extra_is_one_line(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    monkeypatch.setitem(sys.modules, "prometheus_client", None)
    with pytest.raises(typer.Exit) as ended:
        exporter_of("9464", None)
    assert ended.value.exit_code == 2
    said = capsys.readouterr().err
    assert said.startswith("nfsrpc: metrics needs prometheus_client: ")
    assert said.endswith("pip install 'nfsrpc[metrics]'\n")
    assert said.count("\n") == 1


@pytest.mark.parametrize(
    ("options", "said"),
    [
        (("--metrics", "here"), "here is no address: [ADDR:]PORT, as 9464 or 0.0.0.0:9464"),
        (("--metrics", "192.0.2.1:9464"), "192.0.2.1:9464: Cannot assign requested address"),
        (("--textfile", "/nowhere/x.prom"), "/nowhere/x.prom: No such file or directory"),
        (("--textfile", "x.txt"), "x.txt: node_exporter reads files with names in .prom only"),
    ],
)
def test_what_cannot_be_exported(options: tuple[str, ...], said: str) -> None:
    told = shell("live", "-", *options, stdin=DEMO.read_bytes())
    assert (told.returncode, told.stderr.decode()) == (2, f"nfsrpc: {said}\n")


def test_a_port_that_is_taken() -> None:
    with socket.socket() as other:
        other.bind(("127.0.0.1", 0))
        other.listen()
        port = str(other.getsockname()[1])
        told = shell("live", "-", "--metrics", port, stdin=DEMO.read_bytes())
    assert (told.returncode, told.stderr.decode()) == (2, f"nfsrpc: 127.0.0.1:{port}: Address already in use\n")


@pytest.fixture
def open_to_all() -> Iterator[Path]:
    """A directory that every user may write; pytest's own belong to the user who runs it."""
    with TemporaryDirectory() as name:
        Path(name).chmod(0o777)
        yield Path(name)


def test_served_and_written_by_the_user_who_parses(open_to_all: Path) -> None:
    file, port = open_to_all / "nfsrpc.prom", free_port()
    finding = 'nfsrpc_finding{certainty="certain",host="10.1.84.31",rule="REG001",severity="error"} 1.0'
    with live("--metrics", str(port), "--textfile", str(file)) as process:
        assert finding in scraped(port, finding)
        assert [path.name for path in open_to_all.iterdir()] == ["nfsrpc.prom"]
        if os.getuid() == 0:
            assert file.stat().st_uid != 0
    assert process.returncode == 1
    assert finding in file.read_text()


LATE = r"""
import io, socket, sys
from nfsrpc.cli import live as _
from nfsrpc.cli.live_imports import import_all
from nfsrpc.metrics.exporter import Exporter, address
from nfsrpc.sources.in_memory import captures
from nfsrpc.sources.stream import Stream
from nfsrpc.watch.schedule import Live
import_all()
exporter = Exporter(address(sys.argv[1]))
[capture] = captures([io.BytesIO(open(sys.argv[2], "rb").read())])
late = set()
sys.addaudithook(lambda event, arguments: late.add(arguments[0]) if event == "import" else None)
watched = Live(Stream(capture))
exporter.start(watched)
for look in exporter.looks(watched):
    with socket.create_connection(exporter.served_at) as connection:
        connection.sendall(b"GET /metrics HTTP/1.0\r\nAccept-Encoding: gzip\r\n\r\n")
        assert connection.recv(100).startswith(b"HTTP/1.0 200 OK")
exporter.close()
print(sorted(late & set(sys.modules)))
"""


def test_nothing_is_imported_when_the_rights_are_gone() -> None:
    told = subprocess.run(
        [sys.executable, "-c", LATE, str(free_port()), str(DEMO)],
        capture_output=True,
        text=True,
        env=ENVIRONMENT,
        timeout=60,
        check=False,
    )
    assert (told.stdout, told.stderr) == ("[]\n", "")


def test_a_file_that_cannot_be_written_any_more_is_said_once(tmp_path: Path) -> None:
    said: list[str] = []
    file = tmp_path / "directory" / "x.prom"
    exporter = Exporter(file=str(file), say=said.append)
    exporter._write_file()
    exporter._write_file()
    assert said == [f"{file}: cannot be written: No such file or directory"]
    file.parent.mkdir()
    exporter._write_file()
    assert file.exists()


def test_the_file_is_written_now_and_then_without_a_look(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    now = [100.0]
    monkeypatch.setattr("nfsrpc.metrics.exporter.monotonic", lambda: now[0])
    file = tmp_path / "x.prom"
    ticks: list[str] = []
    watched = Live(Script(), Options(), tick=lambda: ticks.append("another's"))
    exporter = Exporter(file=str(file))
    exporter.start(watched)
    file.unlink()
    now[0] = 109.9
    watched.tick()
    assert not file.exists()
    now[0] = 110.0
    watched.tick()
    assert file.exists()
    assert ticks == ["another's", "another's"]


def test_the_dashboard_shows_metrics_that_exist() -> None:
    dashboard = json.loads((ROOT / "contrib" / "grafana" / "nfsrpc.json").read_text(encoding="utf-8"))
    expressions = {target["expr"] for panel in dashboard["panels"] for target in panel["targets"]}
    alerts = (ROOT / "contrib" / "prometheus" / "alerts.yml").read_text(encoding="utf-8")
    expressions |= set(re.findall(r"expr: (.*)", alerts))
    used = set()
    for expression in expressions:
        for name in re.findall(r"nfsrpc_\w+", expression):
            metric = re.sub(r"_(total|bucket|count|sum)$", "", name)
            assert metric in METRICS, expression
            used.add(metric)
            grouped = {label for labels in re.findall(r"by \(([^)]*)\)", expression) for label in labels.split(", ")}
            assert grouped <= {*METRICS[metric], "instance", "le"}, expression
    assert used == METRICS.keys()
    assert len({panel["id"] for panel in dashboard["panels"]}) == len(dashboard["panels"])


def test_the_page_lists_every_metric_with_its_labels() -> None:
    page = (ROOT / "docs" / "metrics.md").read_text(encoding="utf-8")
    rows = re.findall(r"^\| `(nfsrpc_\w+)` \| (.*?) \|", page, re.MULTILINE)
    assert {name.removesuffix("_total"): tuple(re.findall(r"`(\w+)`", labels)) for name, labels in rows} == METRICS


def test_no_name_is_looked_up(monkeypatch: pytest.MonkeyPatch) -> None:
    def lookup(*_: object) -> None:
        raise AssertionError("the resolver may be broken")

    monkeypatch.setattr(socket, "getfqdn", lookup)
    monkeypatch.setattr(socket, "gethostbyaddr", lookup)
    port = free_port()
    exporter = Exporter(address(f"[::1]:{port}") if socket.has_ipv6 else address(str(port)))
    exporter.start(Live(Script(), Options()))
    with socket.create_connection(("::1" if socket.has_ipv6 else "127.0.0.1", port)) as connection:
        connection.sendall(b"GET /metrics HTTP/1.0\r\n\r\n")
        assert b"200 OK" in connection.recv(100)
    exporter.close()


def test_clients_that_say_nothing_keep_no_other_from_being_served(monkeypatch: pytest.MonkeyPatch) -> None:
    most = threading.active_count() + 3
    monkeypatch.setattr("nfsrpc.metrics.server.MAX_THREADS", most)
    port = free_port()
    exporter = Exporter(address(str(port)))
    exporter.start(Live(Script(), Options()))
    silent = [socket.create_connection(("127.0.0.1", port)) for _ in range(2)]
    assert "nfsrpc_build_info" in scraped(port)
    silent += [socket.create_connection(("127.0.0.1", port)) for _ in range(20)]
    assert until(lambda: [one for one in silent if closed(one)])
    assert threading.active_count() <= most + 1
    for one in silent:
        one.close()
    assert "nfsrpc_build_info" in scraped(port)
    exporter.close()


def closed(connection: socket.socket) -> bool:
    """Whether the other end has closed a connection."""
    connection.settimeout(0.01)
    try:
        return connection.recv(1) == b""
    except TimeoutError:
        return False
    except OSError:
        return True


def test_the_file_is_written_while_there_is_a_screen(tmp_path: Path) -> None:
    file = tmp_path / "x.prom"
    watched = Live(Script(), Options())
    Exporter(file=str(file)).start(watched)
    ticks: list[str] = []
    exporting = watched.tick

    def tick() -> None:
        ticks.append("exporter")
        exporting()

    watched.tick = tick
    with Screen(watched, "as nobody"):
        watched.tick()
    assert ticks == ["exporter"]
