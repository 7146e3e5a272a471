"""The captures of the benchmarks are what they say: whole conversations without a fault, the same bytes each time."""

import shutil
import subprocess
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any

import pytest

import nfsrpc
from benchmarks import traffic
from benchmarks.peers import COUNTS
from nfsrpc._core import Decoder, Layouts
from nfsrpc.protocols import PROTOCOLS, compile  # noqa: A004
from nfsrpc.sources import open_source

Make = Callable[[Path], None]
SIZES = {"small": 8_000, "bulk": 60_000, "held": 8_000, "pairs": 8_000}  # of storm see below
captures = pytest.mark.parametrize(
    "make", [partial(traffic.CAPTURES[name], size=size) for name, size in SIZES.items()], ids=SIZES
)
# Many seconds: a lock is held for a fifth of one.
LONGER = {"small": 100_000, "bulk": 60_000, "pairs": 100_000}
released = pytest.mark.parametrize(
    "make", [partial(traffic.CAPTURES[name], size=size) for name, size in LONGER.items()], ids=LONGER
)
NLM, LOCK, UNLOCK = 100021, 2, 4


def decoded(path: Path) -> dict[str, Any]:
    decoder = Decoder(Layouts(*compile(PROTOCOLS, {})))
    for chunk in open_source(path):
        decoder.feed(chunk)
    return decoder.close()


@captures
def test_every_call_is_answered_but_the_last_ones(make: Make, tmp_path: Path) -> None:
    make(tmp_path / "trace.pcap")
    batch = decoded(tmp_path / "trace.pcap")
    exchanges, flows = batch["exchanges"], batch["flows"]
    unanswered = exchanges["reply_frame"] == 0
    assert len(unanswered) > 100
    # Where the capture ends, each client may wait for one answer on each of its connections.
    assert unanswered.sum() <= traffic.CLIENTS * len(traffic.SERVER_PORTS)
    assert set(exchanges["status"][~unanswered & (exchanges["prog"] != 100000)]) == {0}
    assert batch["oddities"]["kind"] == []
    assert (exchanges["call_frame"] > 0).all()
    for name in ("retransmitted", "out_of_order", "lost_bytes", "cut_frames", "rst"):
        assert not flows[f"c_{name}"].any()
        assert not flows[f"s_{name}"].any()


@captures
def test_nothing_is_found(make: Make, tmp_path: Path) -> None:
    make(tmp_path / "trace.pcap")
    assert nfsrpc.read(tmp_path / "trace.pcap").diagnosis.findings == ()


@released
def test_locks_are_taken_and_released(make: Make, tmp_path: Path) -> None:
    make(tmp_path / "trace.pcap")
    exchanges = decoded(tmp_path / "trace.pcap")["exchanges"]
    locks, unlocks = ((exchanges["prog"] == NLM) & (exchanges["proc"] == number) for number in (LOCK, UNLOCK))
    assert locks.sum() > 5
    assert 0.9 * locks.sum() - 1 <= unlocks.sum() <= locks.sum()


@captures
def test_the_same_bytes_each_time(make: Make, tmp_path: Path) -> None:
    make(tmp_path / "one.pcap")
    make(tmp_path / "two.pcap")
    assert (tmp_path / "one.pcap").read_bytes() == (tmp_path / "two.pcap").read_bytes()


@captures
@pytest.mark.tshark
@pytest.mark.skipif(not shutil.which("tshark"), reason="tshark is not installed")
def test_tshark_finds_nothing_wrong(make: Make, tmp_path: Path) -> None:
    make(tmp_path / "trace.pcap")
    checks = [part for layer in ("ip", "tcp", "udp") for part in ("-o", f"{layer}.check_checksum:TRUE")]
    wrong = "_ws.malformed || ip.checksum.status == 0 || tcp.checksum.status == 0 || udp.checksum.status == 0"
    wrong += " || tcp.analysis.lost_segment || tcp.analysis.retransmission || tcp.analysis.ack_lost_segment"
    command = ["tshark", "-r", str(tmp_path / "trace.pcap"), *checks, "-Y", wrong]
    assert subprocess.run(command, capture_output=True, text=True, check=True).stdout == ""


def test_in_the_storm_each_lock_is_sent_again_and_never_answered(tmp_path: Path) -> None:
    traffic.storm(tmp_path / "trace.pcap", 20_000)
    batch = decoded(tmp_path / "trace.pcap")
    exchanges = batch["exchanges"]
    assert len(exchanges["proc"]) == 2 * traffic.STORM_CLIENTS == 2 * len(set(exchanges["client"].tolist()))
    assert set(exchanges["proc"].tolist()) == {LOCK}
    assert not exchanges["reply_frame"].any()
    assert set(exchanges["retransmits"].tolist()) == {traffic.SENDS - 1}
    assert batch["oddities"]["kind"] == []


@pytest.mark.parametrize("how", ["dpkt", "scapy", "pdml"])
def test_peers_find_the_locks(how: str, tmp_path: Path) -> None:
    if how == "pdml" and not shutil.which("tshark"):
        pytest.skip("tshark is not installed")
    traffic.CAPTURES["small"](tmp_path / "trace.pcap", 2_000)
    exchanges = decoded(tmp_path / "trace.pcap")["exchanges"]
    locks = (exchanges["prog"] == NLM) & (exchanges["proc"] == LOCK) & (exchanges["call_frame"] > 0)
    assert COUNTS[how](str(tmp_path / "trace.pcap")) == locks.sum() > 10
