"""The mix that the recorder is measured with."""

from pathlib import Path

import nfsrpc
from benchmarks.recorder import mixed


def test_a_fifth_is_about_locks_and_there_are_fifty_clients(tmp_path: Path) -> None:
    capture = tmp_path / "mixed.pcap"
    mixed(capture, 20_000, day=2)
    trace = nfsrpc.read(capture)
    assert 0.18 < (trace.calls["program"] == "nlm").mean() < 0.22
    assert trace.calls["client"].nunique() == 50
    assert trace.captures[0]["frames"] == 20_000
    assert trace.verdict.state != "fault"
