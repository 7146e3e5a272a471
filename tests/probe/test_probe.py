"""A probe of hosts with real rpcbind and rpc.statd, started and stopped; NFS, mountd and lockd answer NULL only."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

import nfsrpc
from tests.live.namespaces import Host, hosts, missing, until

REASON = missing()
pytestmark = [pytest.mark.skipif(REASON is not None, reason=REASON or ""), pytest.mark.acceptance]

SERVER = "10.77.0.1"
LOCKD_PORT = 44444
DROP = ("iptables", "-A", "INPUT", "-p", "tcp", "--dport", str(LOCKD_PORT), "-j", "DROP")
SERVICES = {
    "server": {"nfs": True, "lockd": "null"},
    "NFSv4 alone": {"nfs": True, "lockd": None},
    "lockd is gone": {"nfs": True, "lockd": "stale"},
    "lockd hangs": {"nfs": True, "lockd": "silent"},
    "client": {"nfs": False, "lockd": "null"},
}
SERVE = f"""
import json, sys, time
from tests.probe.serving import Service, register
how = json.loads(sys.argv[1])
if how["nfs"]:
    Service("{SERVER}", {{(100003, vers): "null" for vers in (3, 4)}}, 2049).register()
if how["nfs"] and how["lockd"]:
    Service("{SERVER}", {{(100005, vers): "null" for vers in (1, 2, 3)}}).register()
if how["lockd"] == "stale":
    register((100021, 4, protocol, {LOCKD_PORT}) for protocol in (6, 17))
elif how["lockd"]:
    Service("{SERVER}", {{(100021, vers): how["lockd"] for vers in (1, 3, 4)}}, {LOCKD_PORT}).register()
print("ready", flush=True)
time.sleep(100)
"""


@pytest.fixture
def pair() -> Iterator[tuple[Host, Host]]:
    with hosts() as made:
        yield made


def serve(host: Host, what: str) -> None:
    host.start_rpcbind()
    process = host.python("-c", SERVE, json.dumps(SERVICES[what]))
    assert process.stdout
    assert process.stdout.readline() == "ready\n"


def start_statd(host: Host, state: Path) -> None:
    host.start_statd(state)
    until(lambda: "100024" in host.run("rpcinfo", "-p", "127.0.0.1"))


def probe(host: Host, *options: str) -> subprocess.CompletedProcess[str]:
    command = host.inside(sys.executable, "-m", "nfsrpc", "probe", SERVER, *options)
    return subprocess.run(command, capture_output=True, text=True, timeout=60, check=False)


def test_before_and_after_statd_is_started(pair: tuple[Host, Host], tmp_path: Path) -> None:
    """The verdict is certain without a capture on the server, and `analyze` of what is written says the same."""
    server, client = pair
    serve(server, "server")
    before = probe(client, "--format", "json", "-o", str(tmp_path / "probe.pcapng"))
    report = json.loads(before.stdout)
    (cause,) = report["verdict"]["causes"]
    assert (before.returncode, report["verdict"]["rule"], cause["host"], cause["certainty"]) == (
        *(1, "REG001", SERVER, "certain"),
    )
    assert nfsrpc.read(tmp_path / "probe.pcapng").verdict.rule == "REG001"
    assert "nsm                                  not registered" in probe(client).stdout
    start_statd(server, tmp_path)
    after = probe(client)
    assert after.returncode == 0
    assert after.stdout.startswith(" NOTHING WRONG FOUND \n")
    rows = [line.split() for line in after.stdout.partition("Answers\n")[2].splitlines()]
    assert {(row[0], row[-4]) for row in rows if row[0] == "nsm"} == {("nsm", "tcp"), ("nsm", "udp")}


def test_nothing_but_harmless_questions_is_asked(pair: tuple[Host, Host], tmp_path: Path) -> None:
    server, client = pair
    serve(server, "server")
    start_statd(server, tmp_path)
    probe(client, "-o", str(tmp_path / "probe.pcapng"))
    calls = nfsrpc.read(tmp_path / "probe.pcapng").calls
    assert set(calls["procedure"]) == {"NULL", "DUMP", "EXPORT"}
    assert not list((tmp_path / "sm").iterdir())


def test_a_port_mapper_that_is_stopped(pair: tuple[Host, Host]) -> None:
    _, client = pair
    result = probe(client, "--format", "json")
    assert (result.returncode, json.loads(result.stdout)["verdict"]["rule"]) == (1, "REG005")


def test_over_ipv6(pair: tuple[Host, Host], tmp_path: Path) -> None:
    """rpcbind has no version 2 there; its own list names tcp6 and udp6 for statd."""
    server, client = pair
    for host, address in zip(pair, ("fd00::1/64", "fd00::2/64"), strict=True):
        host.run("ip", "address", "add", address, "dev", "eth0", "nodad")
    server.start_rpcbind()
    start_statd(server, tmp_path)
    command = client.inside(sys.executable, "-m", "nfsrpc", "probe", "fd00::1", "--as-server", "-o", f"{tmp_path}/p")
    subprocess.run(command, capture_output=True, text=True, timeout=60, check=False)
    calls = nfsrpc.read(tmp_path / "p").calls
    assert set(calls["server"]) == {"fd00::1"}
    assert set(calls["state"]) == {"answered"}
    seen = {(row.program, row.vers, row.transport) for row in calls.itertuples()}
    assert seen == {
        *(("rpcbind", vers, transport) for vers in (3, 4) for transport in ("tcp", "udp")),
        *(("nsm", 1, transport) for transport in ("tcp", "udp")),
    }


def test_a_registration_without_a_service(pair: tuple[Host, Host], tmp_path: Path) -> None:
    server, client = pair
    serve(server, "lockd is gone")
    start_statd(server, tmp_path)
    result = probe(client, "--format", "json")
    assert (result.returncode, json.loads(result.stdout)["verdict"]["rule"]) == (1, "NET002")


def test_a_firewall_before_lockd(pair: tuple[Host, Host], tmp_path: Path) -> None:
    server, client = pair
    serve(server, "server")
    start_statd(server, tmp_path)
    try:
        server.run(*DROP)
    except (subprocess.CalledProcessError, FileNotFoundError):
        pytest.skip("iptables does not work here")
    result = probe(client, "--format", "json")
    verdict = json.loads(result.stdout)["verdict"]
    assert (result.returncode, verdict["rule"], verdict["hosts"]) == (1, "NET001", [SERVER])


@pytest.mark.parametrize(
    ("what", "wrong"),
    [
        ("NFSv4 alone", "mount not registered, nlm not registered and nsm not registered"),
        ("lockd hangs", f"nlm (tcp {LOCKD_PORT}) no answer and nlm (udp {LOCKD_PORT}) no answer"),
    ],
)
def test_what_no_rule_judges_is_said(pair: tuple[Host, Host], tmp_path: Path, what: str, wrong: str) -> None:
    """A server of NFSv4 alone is not accused; a lockd that hangs is named."""
    server, client = pair
    serve(server, what)
    if what != "NFSv4 alone":
        start_statd(server, tmp_path)
    result = probe(client, "--timeout", "1")
    assert result.returncode == 0
    assert result.stdout.startswith(" CANNOT TELL \n")
    assert wrong in " ".join(result.stdout.split())


def test_a_client_is_asked_what_a_callback_asks(pair: tuple[Host, Host], tmp_path: Path) -> None:
    client, server = pair
    serve(client, "client")
    start_statd(client, tmp_path)
    result = probe(server, "--as-server", "-o", str(tmp_path / "probe.pcapng"))
    assert (result.returncode, result.stdout.split("\n")[0]) == (0, " NOTHING WRONG FOUND ")
    assert set(nfsrpc.read(tmp_path / "probe.pcapng").calls["program"]) == {
        *("portmap", "rpcbind", "nlm", "nsm"),
    }


def test_hosts_that_cannot_be_asked(pair: tuple[Host, Host]) -> None:
    _, client = pair
    command = client.inside(sys.executable, "-m", "nfsrpc", "probe")
    for host, reason in (("203.0.113.1", "Network is unreachable"), ("no.such.invalid", "no such host")):
        result = subprocess.run([*command, host], capture_output=True, text=True, timeout=60, check=False)
        assert (result.returncode, result.stdout) == (2, "")
        assert reason in result.stderr
        assert result.stderr.count("\n") == 1
