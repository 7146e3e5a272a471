"""Captures with one field changed: a healthy one is not accused for certain, and the proof of a fault elsewhere stays.

NFSRPC_MUTANTS is how many there are of each; `make corruption` has many more (tests/corruption.py).
"""

from __future__ import annotations

import os
from collections.abc import Sequence

import pytest

from tests.captures_dir import Capture
from tests.corruption import Tally, campaign

pytestmark = pytest.mark.acceptance

COUNT = int(os.environ.get("NFSRPC_MUTANTS", "300"))
HEALTHY = (
    "contended/cl2-any.pcap",
    "client-without-statd/nfssrv-any.pcap",
    "never-called-back/cl2-eth0.pcap",
    "lock-service-restarted/cl2-eth0.pcap",
    "cut/B-cut-cl1-eth0.pcap",
)
FAULTY = (
    "statd-killed/nfssrv-any.pcap",
    "lockd-port-dropped/nfssrv-eth0.pcap",
    "resolver-silent/nfssrv-any.pcap",
    "two-pods-behind-one-address/nfssrv-eth0.pcap",
    "registrations-lost/cl2-eth0.pcap",
    "reboot-notice-dropped/nfssrv-any-after.pcap",
)
# Of mutants that touch no frame of the evidence, so many stay certain.
STAY = 0.95


@pytest.fixture(scope="module")
def healthy() -> Tally:
    return campaign(samples(HEALTHY), COUNT)


@pytest.fixture(scope="module")
def faulty() -> Tally:
    return campaign(samples(FAULTY), COUNT)


def samples(names: Sequence[str]) -> list[Capture]:
    return [Capture("samples", name) for name in names]


def test_no_healthy_capture_is_accused_for_certain(healthy: Tally) -> None:
    assert healthy.mutants.total() > 0.9 * COUNT
    assert healthy.examples == []


def test_the_proof_of_a_fault_stays_certain(faulty: Tally) -> None:
    asked = faulty.faulty.total()
    assert asked > 0.8 * COUNT
    assert faulty.lost.total() <= (1 - STAY) * asked, faulty.examples
