"""The incident with real parts: rpcbind, rpc.statd, tcpdump and TCP between two hosts; only lockd is played."""

import json
import os
import signal
import subprocess
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path
from queue import Empty, SimpleQueue
from threading import Thread
from typing import Any

import pytest

import nfsrpc
from tests.live.namespaces import Host, hosts, missing, until

REASON = missing()
pytestmark = [pytest.mark.skipif(REASON is not None, reason=REASON or ""), pytest.mark.acceptance]


class Lines:
    """What a process prints, with the time at which it did."""

    def __init__(self, process: subprocess.Popen[str]) -> None:
        self.process = process
        self._lines: SimpleQueue[tuple[float, str]] = SimpleQueue()
        Thread(target=self._read, daemon=True).start()

    def _read(self) -> None:
        assert self.process.stdout
        for line in self.process.stdout:
            self._lines.put((time.monotonic(), line.strip()))

    def next(self, beginning: str = "", seconds: float = 10.0) -> tuple[float, str]:
        end = time.monotonic() + seconds
        while True:
            at, line = self._lines.get(timeout=max(end - time.monotonic(), 0.01))
            if line.startswith(beginning):
                return at, line

    def change(self, what: str, rule: str | None = None) -> tuple[float, dict[str, Any]]:
        while True:
            at, line = self.next("{")
            told = json.loads(line)
            if told["change"] == what and rule in (None, told.get("finding", {}).get("rule")):
                return at, told


@pytest.fixture
def pair() -> Iterator[tuple[Host, Host]]:
    with hosts() as made:
        yield made


def test_statd_stopped_and_started(pair: tuple[Host, Host], tmp_path: Path) -> None:
    server, client = pair
    server.start_rpcbind()
    live = server.python("-m", "nfsrpc", "live", "--format", "jsonl", stderr=subprocess.PIPE)
    watched = Lines(live)
    lockd = Lines(server.python("-m", "tests.live.peers", "lockd", "nfssrv"))
    lockd.next("listening")
    ready(server, watched)

    asking = Lines(client.python("-m", "tests.live.peers", "client", server.address, "/srv/a"))
    lockd.next("refused")
    second, _ = lockd.next("refused")
    found, told = watched.change("appeared", "REG001")
    assert found - second < 2.0
    assert told["finding"]["host"] == server.address
    assert told["finding"]["certainty"] == "certain"

    server.start_statd(tmp_path)
    lockd.next("statd")
    granted, _ = asking.next("granted")
    resolved, told = watched.change("resolved", "REG001")
    assert resolved - granted < 3.0
    assert "was not registered until" in told["why"]

    live.send_signal(signal.SIGINT)
    _, end = watched.change("end")
    assert live.wait(10) == 0
    assert end["report"]["verdict"]["state"] in ("healthy", "cannot-tell")
    [capture] = end["report"]["captures"]
    assert capture["file"] == "tcpdump on any"
    assert capture["vantage"] == "server any"


READS = 40
DROPPING = "from nfsrpc.sources import tcpdump_adaptive as adaptive; adaptive.MANY_DROPS = 0; "
OVERLOADED = f"{DROPPING}from nfsrpc.cli.application import application; "


def test_an_overloaded_node_is_spared_the_data_of_nfs(pair: tuple[Host, Host], tmp_path: Path) -> None:
    """NFS frames are cut, its calls counted all the same; what is about locks is whole, and found as ever."""
    server, client = pair
    server.start_rpcbind()
    live = server.python("-c", f"{OVERLOADED}application()(['live', '--format', 'jsonl'])", stderr=subprocess.PIPE)
    watched = Lines(live)
    nfsd = Lines(server.python("-m", "tests.live.peers", "nfsd", str(READS)))
    lockd = Lines(server.python("-m", "tests.live.peers", "lockd", "nfssrv"))
    nfsd.next("listening")
    lockd.next("listening")
    ready(server, watched)
    until(lambda: server.run("cat", "/proc/net/packet").count("\n") > 2)  # two capture from now on
    Lines(client.python("-m", "tests.live.peers", "client", server.address, "/srv/a"))
    reading = Lines(client.python("-m", "tests.live.peers", "reader", server.address, str(READS)))
    reading.next("read")
    lockd.next("refused")
    _, told = watched.change("appeared", "REG001")
    assert told["finding"]["certainty"] == "certain"

    live.send_signal(signal.SIGINT)
    _, end = watched.change("end")
    live.wait(10)
    *_, capture = end["report"]["captures"]
    assert capture["file"] == "tcpdump on any, NFS frames cut"
    assert capture["quality"]["cut_frames"] > READS
    assert capture["quality"]["lost_bytes"] == 0
    [read] = [row for row in end["report"]["programs"] if row["procedure"] == "READ"]
    assert (read["calls"], read["unanswered"]) == (READS, 0)
    assert read["latency"]["p50"] is not None


def ready(host: Host, watched: Lines) -> None:
    """When the first packets have been seen."""
    for _ in range(20):
        host.run("rpcinfo", "-p", "127.0.0.1")
        try:
            while '"begin"' in watched.next("{", 0.5)[1]:
                pass
        except Empty:  # nothing yet
            continue
        return
    raise AssertionError("live sees nothing")


def test_a_recorder_has_the_incident_before_anybody_looks(pair: tuple[Host, Host]) -> None:
    server, client = pair
    server.start_rpcbind()
    with tempfile.TemporaryDirectory(dir="/tmp") as directory:
        os.chmod(directory, 0o755)  # the recorder is another user
        record = server.python(
            "-m", "nfsrpc", "record", "-i", "any", "-d", f"{directory}/d", "--format", "jsonl", stderr=subprocess.PIPE
        )
        watched = Lines(record)
        lockd = Lines(server.python("-m", "tests.live.peers", "lockd", "nfssrv"))
        lockd.next("listening")
        ready(server, watched)
        Lines(client.python("-m", "tests.live.peers", "client", server.address, "/srv/a"))
        _, told = watched.change("incident")
        folder = Path(told["folder"])
        assert folder.name.endswith(f"-REG001-{server.address}")
        assert told["incident"]["node"] | {"kernel.log": ""} == {
            "kernel.log": "",
            "locks.txt": "written",
            "mounts.txt": "written",
            "rpcinfo.txt": "written",
        }
        assert "100000" in (folder / "rpcinfo.txt").read_text()
        until(lambda: json.loads((folder / "manifest.json").read_text())["certainty"] == "certain")
        found = nfsrpc.read(folder / "capture.pcapng").diagnosis.findings
        assert ("REG001", "certain", server.address) in {(one.rule, one.certainty, one.host) for one in found}
        record.send_signal(signal.SIGTERM)
        watched.change("end")
        assert record.wait(20) == 1
        assert nfsrpc.read(f"{directory}/d").verdict.rule == "REG001"
