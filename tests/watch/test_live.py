"""`nfsrpc.live`: traces, one after the other."""

import os
import subprocess
import sys
import time
from collections.abc import Iterator
from itertools import islice
from pathlib import Path
from threading import Event
from typing import Any

import pytest

import nfsrpc
from nfsrpc.sources.follow import Follow
from nfsrpc.sources.scapy_socket import ScapySocket
from nfsrpc.sources.stream import Stream
from nfsrpc.sources.tcpdump import Tcpdump, tcpdump_command
from nfsrpc.watch import live as module
from nfsrpc.watch.live import source_of


def test_traces_of_an_iterable_of_bytes(samples: Path) -> None:
    data = (samples / "server-without-statd" / "nfssrv-any.pcap").read_bytes()
    *_, last = nfsrpc.live([data[:20_000], data[20_000:]], interval_s=0.001)
    assert last.diagnosis == nfsrpc.read(data).diagnosis
    assert len(last.locks) == 4


def test_breaking_out_stops_it(samples: Path) -> None:
    data = (samples / "server-without-statd" / "nfssrv-any.pcap").read_bytes()

    gone_on = Event()

    def endless() -> Iterator[bytes]:
        yield data
        gone_on.wait(30)

    [first] = islice(nfsrpc.live(endless()), 1)
    assert first.verdict.rule == "REG001"
    gone_on.set()


def test_rules_are_chosen_and_thresholds_set(samples: Path) -> None:
    data = (samples / "server-without-statd" / "nfssrv-any.pcap").read_bytes()

    def found(**wanted: Any) -> list[str]:
        *_, last = nfsrpc.live(data, **wanted)
        return [finding.rule for finding in last.diagnosis.findings]

    assert "LCK002" in found()
    assert found(select=["LCK"]) == ["LCK002"]
    assert "REG001" not in found(ignore=["statd-not-registered"])
    assert "LCK002" not in found(settings={"lock-request-answered-late": {"late_s": 90}})
    with pytest.raises(ValueError, match="no rule begins with XYZ"):
        found(select=["XYZ"])
    with pytest.raises(ValueError, match="did you mean late_s"):
        found(settings={"LCK002": {"late": 9}})


ENDLESS = """
import nfsrpc
for trace in nfsrpc.live("lo", interval_s=0.05):
    print(len(trace.flows), flush=True)
"""


@pytest.mark.skipif(os.geteuid() != 0 or tcpdump_command() is None, reason="needs root, and tcpdump")
def test_no_tcpdump_is_left_by_a_program_that_is_killed() -> None:
    with subprocess.Popen([sys.executable, "-c", ENDLESS], stdout=subprocess.PIPE) as program:
        started: list[int] = []
        end = time.monotonic() + 10
        while not started and time.monotonic() < end:
            time.sleep(0.02)
            started = [child for child in descendants(program.pid) if "tcpdump" in command(child)]
        assert Path(f"/proc/{program.pid}/status").read_text().count("\nUid:\t0\t0\t0\t0") == 1  # nothing was dropped
        program.kill()
    while command(started[0]):
        assert time.monotonic() < end
        time.sleep(0.01)


def descendants(process: int) -> list[int]:
    own = [int(number) for number in Path(f"/proc/{process}/task/{process}/children").read_text().split()]
    threads = [path for path in Path(f"/proc/{process}/task").glob("*/children") if path.parent.name != str(process)]
    own += [int(number) for path in threads for number in path.read_text().split()]
    return [*own, *(each for child in own for each in descendants(child))]


def command(process: int) -> str:
    """The name of a program that runs: nothing for one that has ended."""
    try:
        return Path(f"/proc/{process}/cmdline").read_bytes().partition(b"\0")[0].decode()
    except (FileNotFoundError, ProcessLookupError):
        return ""


def test_which_source_is_meant(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    said: list[str] = []
    assert isinstance(source_of(tmp_path, "", 900), Follow)
    assert isinstance(source_of(b"bytes", "", 900), Stream)
    monkeypatch.setattr(module, "tcpdump_command", lambda: "/usr/bin/tcpdump")
    assert isinstance(source_of("eth0", "", 900, said.append), Tcpdump)
    assert said == []
    monkeypatch.setattr(module, "tcpdump_command", lambda: None)
    assert isinstance(source_of("eth0", "", 900, said.append), ScapySocket)
    assert "tcpdump is not installed" in said[0]
