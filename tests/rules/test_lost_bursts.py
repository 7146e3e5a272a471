"""Captures of a kernel that dropped frames in bursts, as they come in bulk: what worked is not accused for certain."""

from __future__ import annotations

import random
from pathlib import Path

import pytest

from nfsrpc.diagnosis.causes import is_fault
from tests.records import records_of
from tests.rules.stage import diagnosed

HEALTHY = ("contended/cl2-any.pcap", "contended/nfssrv-any.pcap", "cut/A-midstream-cl1-eth0.pcap")
BURSTS = 60  # of each capture
LENGTHS = (5, 50)  # frames of a burst


@pytest.mark.parametrize("name", HEALTHY)
def test_a_burst_of_lost_frames_accuses_nobody_for_certain(samples: Path, name: str) -> None:
    whole = (samples / name).read_bytes()
    frames, draw = list(records_of(whole)), random.Random(name)
    assert diagnosed(whole).verdict.state == "healthy"
    for _ in range(BURSTS):
        first, length = draw.randrange(len(frames)), draw.randint(*LENGTHS)
        found = diagnosed(whole[:24] + b"".join(frames[:first] + frames[first + length :])).findings
        certain = [finding.id for finding in found if is_fault(finding) and finding.certainty == "certain"]
        assert not certain, f"without {length} frames from {first + 1} on"
