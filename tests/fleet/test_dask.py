"""The fleet on a real cluster of two worker processes: lost workers, broken nodes, a cache, a bucket, the shell."""

from __future__ import annotations

import faulthandler
import json
import os
import re
import shutil
import signal
import subprocess
import sys
import tempfile
import threading
import time
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

import pytest

import nfsrpc
from benchmarks import fleet
from nfsrpc.cli import fleet as cli
from nfsrpc.fleet import run

distributed = pytest.importorskip("distributed")
pytest.importorskip("fsspec")
pytestmark = [
    pytest.mark.acceptance,
    # Dask's processes leave their sockets and loops to the end of the process.
    pytest.mark.filterwarnings("ignore::ResourceWarning"),
    pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning"),
    pytest.mark.filterwarnings("ignore::DeprecationWarning"),
]


@pytest.fixture(scope="module")
def small(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("fleet")
    fleet.write(folder, nodes=12, servers=4, ill=3, rounds=1)
    return folder


@pytest.fixture
def client() -> Iterator[Any]:
    options = {"n_workers": 2, "threads_per_worker": 1, "dashboard_address": "127.0.0.1:0"}
    with distributed.LocalCluster(silence_logs=50, **options) as cluster, distributed.Client(cluster) as client:
        yield client


def hurt(report: Any) -> dict[tuple[str, str], set[str]]:
    found: dict[tuple[str, str], set[str]] = {}
    for fault in report.faults:
        found.setdefault((fault.finding.host, fault.finding.rule), set()).update(fault.finding.clients)
    return found


def truth_of(folder: Path) -> dict[tuple[str, str], set[str]]:
    truth = json.loads((folder / "truth.json").read_text())
    return {(server, each["rule"]): set(each["clients"]) for server, each in truth.items()}


def test_truth_cache_and_a_broken_node(small: Path, client: Any, tmp_path: Path) -> None:
    """All ill servers with all their clients; a second run, with one more node, decodes only what is new."""
    cache = f"file://{tmp_path}/cache"
    first = run.analyze([str(small)], client, cache)
    assert hurt(first.report) == truth_of(small)
    assert (first.cached, len(first.nodes)) == (0, 12)
    more = tmp_path / "more"
    shutil.copytree(small, more, copy_function=shutil.copy2)
    (more / "broken").mkdir()
    (more / "broken" / "a.pcap").write_bytes(b"\xd4\xc3\xb2\xa1 is cut")
    seen: list[tuple[str, int, int]] = []
    second = run.analyze([str(small), str(more / "broken")], client, cache, progress=lambda *step: seen.append(step))
    assert hurt(second.report) == truth_of(small)
    assert (second.cached, len(second.nodes)) == (12, 13)
    assert [Path(error.path).name for error in second.report.skipped] == ["a.pcap"]
    assert [step[1:] for step in seen] == [(done, 13) for done in range(1, 14)]
    assert {step[0] for step in seen} == {node.name for node in second.nodes}


def test_a_worker_that_is_killed_in_the_middle_costs_nothing(small: Path, client: Any) -> None:
    pids = client.run(os.getpid)
    victim = next(iter(pids.values()))
    killed = threading.Event()

    def kill(name: str, done: int, total: int) -> None:
        if done == 4 and not killed.is_set():
            os.kill(victim, signal.SIGKILL)
            killed.set()

    found = run.analyze([str(small)], client, progress=kill)
    assert killed.is_set()
    assert hurt(found.report) == truth_of(small)
    assert victim not in client.run(os.getpid).values()


def test_a_node_on_which_a_task_always_fails_is_named(
    small: Path, client: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    def decode(node: Any, cache: str) -> Any:
        if node.name == "node-0003":
            raise MemoryError("no room")
        return original(node, cache)

    original = run.decode_node
    monkeypatch.setattr(run, "decode_node", decode)
    found = run.analyze([str(small)], client)
    assert [error.path for error in found.report.skipped] == ["node-0003"]
    assert "MemoryError: no room" in str(found.report.skipped[0])
    assert {node.state for node in found.nodes if node.name == "node-0003"} == {"cannot-tell"}


def test_the_trace_of_a_fleet(small: Path, client: Any, tmp_path: Path) -> None:
    """`nfsrpc.read` on a cluster: the nodes' captures as one trace, and what could not be read."""
    steps: list[tuple[int, int | None]] = []
    missing = tmp_path / "missing.pcap"
    trace = nfsrpc.read(
        [small, str(missing)], client=client, cache=str(tmp_path / "cache"), progress=lambda *step: steps.append(step)
    )
    assert len(trace.captures) == 24
    assert set(trace.verdict.hosts) == {server for server, _ in truth_of(small)}
    assert [error.path for error in trace.skipped] == [str(missing)]
    assert steps == [(done, 13) for done in range(1, 14)]  # the missing file is a node's
    assert len(list((tmp_path / "cache").glob("*/node.json"))) == 12
    with pytest.raises(nfsrpc.SourceError, match=r"missing\.pcap: no such file"):
        nfsrpc.read(missing, client=client)
    with pytest.raises(TypeError, match="workers read paths and URLs, and no bytes"):
        nfsrpc.read(b"\xd4\xc3\xb2\xa1", client=client)


def test_a_node_on_which_judging_fails_is_named(small: Path, client: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    """The others are judged without it."""

    def judge(settings: Any, servers: Any, *decoded: Any) -> Any:
        if any(each.rows.name == "node-0003" for each in decoded):
            raise MemoryError("no room")
        return together(settings, servers, *decoded)

    def by_itself(settings: Any, decoded: Any) -> Any:
        if decoded.rows.name == "node-0003":
            raise MemoryError("no room for one")
        return alone(settings, decoded)

    together, alone = run.judge, run.by_itself
    monkeypatch.setattr(run, "judge", judge)
    monkeypatch.setattr(run, "by_itself", by_itself)
    found = run.analyze([str(small)], client)
    assert [str(error) for error in found.report.skipped] == ["node-0003: was not judged: MemoryError: no room"]
    assert set(hurt(found.report)) == set(truth_of(small))
    (node,) = (node for node in found.nodes if node.name == "node-0003")
    assert (node.state, node.summary) == ("cannot-tell", "Was not judged by itself: MemoryError: no room for one")


def test_nodes_are_judged_by_themselves_while_their_group_is(
    small: Path, client: Any, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    """With two workers, the group's task ends only when the other worker has judged a node."""
    sign = tmp_path / "sign"

    def judge(settings: Any, servers: Any, *decoded: Any) -> Any:
        end = time.monotonic() + 20
        while not sign.exists():
            if time.monotonic() > end:
                raise TimeoutError("no node was judged meanwhile")
            time.sleep(0.02)
        return together(settings, servers, *decoded)

    def by_itself(settings: Any, decoded: Any) -> Any:
        sign.touch()
        return alone(settings, decoded)

    together, alone = run.judge, run.by_itself
    monkeypatch.setattr(run, "judge", judge)
    monkeypatch.setattr(run, "by_itself", by_itself)
    found = run.analyze([str(small)], client)
    assert not found.report.skipped
    assert hurt(found.report) == truth_of(small)


def test_judging_that_always_fails_names_all_nodes(small: Path, client: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    def judge(settings: Any, servers: Any, *decoded: Any) -> Any:
        raise MemoryError("no room")

    monkeypatch.setattr(run, "judge", judge)
    found = run.analyze([str(small)], client)
    assert len(found.report.skipped) == len(found.nodes) == 12
    assert found.report.diagnosis.verdict.state == "cannot-tell"
    assert {node.state for node in found.nodes} == {"fault"}


def test_the_command_line(small: Path, tmp_path: Path) -> None:
    command = [sys.executable, "-m", "nfsrpc", "analyze", "--dask", "--cache", str(tmp_path), str(small)]
    text = subprocess.run(command, capture_output=True, text=True, timeout=120, check=False)
    assert (text.returncode, text.stderr) == (1, "")
    rows = text.stdout.splitlines()[1:4]
    assert {(row.split()[0], row.split()[1]) for row in rows} == set(truth_of(small))
    assert {(row.split()[0], int(row.split()[4])) for row in rows} == {
        (server, len(clients)) for (server, _), clients in truth_of(small).items()
    }
    shown = subprocess.run([*command, "--format", "json"], capture_output=True, text=True, timeout=120, check=False)
    document = json.loads(shown.stdout)
    assert set(document["verdict"]["hosts"]) == {server for server, _ in truth_of(small)}
    assert (len(document["fleet"]["nodes"]), document["fleet"]["cached"]) == (12, 12)
    assert {(row["host"], row["rule"]): set(row["clients"]) for row in document["fleet"]["hosts_to_fix"]} == (
        truth_of(small)
    )


@pytest.mark.parametrize(("options", "code"), [([], 0), (["--exit-code"], 3)])
def test_exit_codes_are_those_of_analyze(options: list[str], code: int, small: Path, tmp_path: Path) -> None:
    """What cannot be read is named on standard error, and no verdict is healthy without it."""
    node = tmp_path / "node"
    node.mkdir()
    (node / "a.pcap").write_bytes((small / "node-0000" / "ring.pcap0").read_bytes()[:24])
    (node / "b.pcap").write_bytes(b"\xd4\xc3\xb2\xa1 is cut")
    found = [
        subprocess.run(
            [sys.executable, "-m", "nfsrpc", "analyze", *where, *options, str(node)],
            capture_output=True,
            text=True,
            timeout=120,
            check=False,
        )
        for where in ([], ["--dask"])
    ]
    assert [result.returncode for result in found] == [code, code]
    assert found[0].stderr == found[1].stderr
    assert "b.pcap" in found[0].stderr


@pytest.mark.parametrize("unreadable", [["missing.pcap"], ["text.pcap", "missing.pcap"], ["cut.pcap"]])
def test_where_no_file_can_be_read_the_exit_code_is_2(unreadable: list[str], tmp_path: Path) -> None:
    (tmp_path / "text.pcap").write_text("no capture")
    (tmp_path / "cut.pcap").write_bytes(b"\xd4\xc3\xb2\xa1 is cut")
    found = [
        subprocess.run(
            [sys.executable, "-m", "nfsrpc", "analyze", *where, *(str(tmp_path / name) for name in unreadable)],
            capture_output=True,
            text=True,
            timeout=120,
            check=False,
        )
        for where in ([], ["--dask"])
    ]
    assert [(result.returncode, result.stdout) for result in found] == [(2, ""), (2, "")]
    assert found[0].stderr == found[1].stderr
    assert found[0].stderr.count("\n") == 1


def test_where_decoding_always_fails_the_reason_is_told(
    small: Path, client: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    def decode(node: Any, cache: str) -> Any:
        raise MemoryError("no room")

    monkeypatch.setattr(run, "decode_node", decode)
    with pytest.raises(nfsrpc.SourceError, match="MemoryError: no room; 11 more cannot be read either"):
        run.analyze([str(small)], client)


def test_a_terminal_shows_progress_by_node(small: Path) -> None:
    pty = pytest.importorskip("pty")
    ours, theirs = pty.openpty()
    command = [sys.executable, "-m", "nfsrpc", "analyze", "--dask", str(small)]
    environment = os.environ | {"TERM": "xterm", "COLUMNS": "120"}
    shown = b""
    with subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=theirs, env=environment) as process:
        os.close(theirs)
        with suppress(OSError):  # the end of a terminal
            while piece := os.read(ours, 1 << 16):
                shown += piece
    os.close(ours)
    assert process.returncode == 1
    assert b"decoded node-" in shown
    assert b"12/12" in shown
    assert b"judging" in shown


def test_a_scheduler_without_workers_is_one_line(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(cli, "CONNECT_S", 1)
    options = {"n_workers": 0, "dashboard_address": "127.0.0.1:0"}
    with (
        distributed.LocalCluster(silence_logs=50, **options) as local,
        pytest.raises(nfsrpc.SourceError, match=r"has no worker after 1 s \(start one: dask worker\)"),
        cli.cluster(local.scheduler_address),
    ):
        pass
    with distributed.LocalCluster(silence_logs=50, **options) as local, distributed.Client(local) as client:
        assert re.fullmatch(r"http://127\.0\.0\.1:\d+/status", cli.dashboard(client))


def test_a_scheduler_that_is_not_there_is_one_line() -> None:
    command = [sys.executable, "-m", "nfsrpc", "analyze", "--scheduler", "tcp://127.0.0.1:1", "captures/healthy"]
    result = subprocess.run(command, capture_output=True, text=True, timeout=60, check=False)
    assert result.returncode == 2
    assert "tcp://127.0.0.1:1" in result.stderr
    assert result.stderr.count("\n") == 1


@pytest.mark.parametrize("address", ["nonsense", "127.0.0.1", "tls://127.0.0.1:1", "http://127.0.0.1:8787"])
def test_what_is_no_address_of_a_scheduler_is_one_line(address: str) -> None:
    command = [sys.executable, "-m", "nfsrpc", "analyze", "--scheduler", address, "captures/healthy"]
    result = subprocess.run(command, capture_output=True, text=True, timeout=60, check=False)
    assert result.returncode == 2
    assert result.stderr.startswith(f"nfsrpc: {address}: is no address of a scheduler: ")
    assert result.stderr.endswith("(give it like tcp://HOST:8786)\n")
    assert result.stderr.count("\n") == 1


# A server of S3 in a process of its own, for one in this process would share its lock with Dask's scheduler. It ends
# with this process, or when its input is closed.
BUCKETS = """
import sys
from moto.server import ThreadedMotoServer
server = ThreadedMotoServer("127.0.0.1", port=0, verbose=False)
server.start()
print(server.get_host_and_port()[1], flush=True)
sys.stdin.read()
"""
# s3fs waits for 15 s, and tries again each time: on a busy machine that would only be more work for the server.
PATIENT = {"config_kwargs": {"connect_timeout": 60, "read_timeout": 60, "retries": {"max_attempts": 1}}}
LIMIT_S = 240


@contextmanager
def limited(seconds: int) -> Iterator[None]:
    """Raises TimeoutError, with the stacks of all threads on stderr, where something takes longer."""

    def stop(*_: object) -> None:
        faulthandler.dump_traceback(sys.__stderr__)
        raise TimeoutError(f"not done within {seconds} s")

    before = signal.signal(signal.SIGALRM, stop)
    signal.alarm(seconds)
    try:
        yield
    finally:
        signal.alarm(0)
        signal.signal(signal.SIGALRM, before)


@pytest.fixture
def buckets(monkeypatch: pytest.MonkeyPatch) -> Iterator[dict[str, str]]:
    """The environment of a client of an S3 server that is ready; a test that uses it ends after LIMIT_S."""
    pytest.importorskip("s3fs", reason="s3fs is not installed")
    pytest.importorskip("moto.server", reason="moto's server is not installed")
    monkeypatch.setenv("NO_PROXY", "127.0.0.1")
    with limited(LIMIT_S), tempfile.TemporaryFile("w+") as errors:
        pipe = subprocess.PIPE
        with subprocess.Popen(
            [sys.executable, "-c", BUCKETS], stdin=pipe, stdout=pipe, stderr=errors, text=True
        ) as server:
            try:
                assert server.stdout
                port = server.stdout.readline().strip()
                errors.seek(0)
                assert port, errors.read()
                with urllib.request.urlopen(f"http://127.0.0.1:{port}/moto-api/", timeout=60) as page:
                    assert page.status == 200
                environment = {
                    "AWS_ACCESS_KEY_ID": "test",
                    "AWS_SECRET_ACCESS_KEY": "test",
                    "AWS_DEFAULT_REGION": "us-east-1",
                    "AWS_ENDPOINT_URL": f"http://127.0.0.1:{port}",
                    "AWS_EC2_METADATA_DISABLED": "true",
                    "FSSPEC_S3": json.dumps(PATIENT),
                }
                for name, value in environment.items():
                    monkeypatch.setenv(name, value)
                yield environment
            finally:
                server.kill()


def test_captures_and_cache_in_a_bucket(buckets: dict[str, str], client: Any, tmp_path: Path) -> None:
    """The workers are started after the server, and so find it, also one that takes the place of another."""
    import s3fs

    fleet.write(tmp_path / "few", nodes=4, servers=3, ill=2, rounds=1)
    bucket = s3fs.S3FileSystem(anon=False, **PATIENT)
    bucket.mkdir("rings")
    bucket.put(str(tmp_path / "few"), "rings/", recursive=True)
    for cached in (0, 4):
        found = run.analyze(["s3://rings/few"], client, "s3://rings/cache")
        assert not found.report.skipped
        assert not found.uncached
        assert hurt(found.report) == truth_of(tmp_path / "few")
        assert found.cached == cached


def test_what_stands_still_is_ended() -> None:
    with pytest.raises(TimeoutError, match="not done within 1 s"), limited(1):
        threading.Event().wait()
