"""Every attack is what it says: rules find in it what it was made for, as often as it was written, and none breaks."""

from __future__ import annotations

from collections import Counter
from pathlib import Path

import pytest

import nfsrpc
from benchmarks.attacks import ATTACKS, written

N = 25
EXPECTED = {
    "everybody_waits_for_everybody": {"LCK012": 1, "LCK011": 5},
    "deadlocks": {"LCK012": 12, "LCK011": 25},
    "wait_chain": {"LCK011": 24},
    "queue": {"CBK003": 1, "LCK011": 1},
    "dead_holders": {"LCK010": 25},
    "granted_twice": {"LCK009": 1, "CAP005": 1},
    "freed": {},
    "ranges": {"LCK007": 1, "CAP005": 1},
    "waiting_ranges": {"LCK011": 1, "CAP005": 1},
    "denied_without_locks": {"LCK004": 25, "CAP005": 25},
    "grace_periods": {"MON008": 25, "LCK005": 25},
    "unanswered_locks": {"LCK001": 25, "CAP005": 25},
    "late_locks": {"REG001": 15, "LCK002": 25, "CAP005": 25},
    "refused_grants": {"CBK002": 25, "LCK011": 25},
    "unheard_grants": {"CBK001": 25, "LCK011": 25},
    "messages": {"LCK006": 25},
    "clients": {},
    "names_of_one_client": {"MON005": 1},
    "addresses_of_one_name": {"MON005": 1},
    "identities": {"LCK014": 17},
    "callers_on_one_loopback": {"REG001": 1},
    "interfaces": {"REG001": 25},
    "refused_getports": {"REG001": 1},
    "refused_and_found": {"REG001": 25, "REG006": 25},
    "refused_by_all": {"REG003": 25, "REG001": 25, "REG008": 25},
    "forgotten": {"REG004": 25},
    "dumps": {"REG001": 1},
    "silent_portmapper": {},
    "notices": {"MON006": 1},
    "notices_of_many": {"MON004": 25, "MON005": 25, "MON006": 25},
    "monitored": {"MON002": 1},
    "unmonitored": {"MON002": 1},
    "closed_ports": {"NET002": 1},
    "stale_ports": {"REG007": 20, "LCK004": 1},
    "filtered_ports": {"NET001": 1},
    "dead_connections": {"NET003": 25, "RPC005": 1},
    "one_way": {"CAP001": 25},
    "unavailable_programs": {"RPC001": 25},
    "refused_credentials": {"RPC002": 1},
    "failing_servers": {"MNT001": 25, "LCK006": 25, "NFS001": 25},
    "silent_servers": {"NET003": 25, "LCK001": 25, "RPC005": 25, "CAP005": 25},
    "answers_from_elsewhere": {"NET005": 25, "CAP001": 25},
    "clock_set": {"LCK002": 1, "CAP005": 1},
    "deep_directories": {},
    "writers": {"LCK013": 25},
    "lost_fragments": {},
    "free_ranges": {"LCK003": 25, "MON005": 1},
    "resent_locks": {"LCK002": 1, "MON006": 1, "CAP005": 1},
    "statuses": {"MNT001": 1, "NFS001": 25},
    "downcalls": {"MON005": 1, "MON006": 2},
    "refused_portmappers": {"REG005": 1, "LCK004": 1},
    "address_lists": {},
    "long_paths": {},
    "clients_of_ipv6": {},
    "networks": {},
    "tunnels": {"CAP004": 1},
    "interleaved_fragments": {"LCK001": 1, "CAP005": 1},
    "half_records": {},
    "records_of_fragments": {},
    "gss_contexts": {"RPC002": 1, "CAP006": 1},
    "copies": {"MON005": 1},
    "icmp_errors": {},
    "reset_connections": {},
    "disorder": {},
    "long_names": {"MON005": 1},
    "long_names_monitored": {"MON007": 25, "MON006": 25},
    "machine_names": {"NFS001": 1},
    "mounts": {},
    "exports": {},
    "directories": {},
    "shares": {},
    "free_alls": {},
    "tests_and_results": {"LCK011": 12, "LCK006": 13, "CAP005": 1},
    "grants_to_strangers": {},
    "cancelled": {"LCK008": 25},
    "polling": {"LCK010": 1, "LCK006": 1, "LCK016": 1},
    "reclaims": {"LCK015": 25, "MON006": 25},
    "forgotten_peers": {},
    "reused_xids": {},
    "versions": {"RPC001": 25},
    "procedures": {},
    "registered": {},
    "refused_lock_credentials": {"RPC002": 1},
}


@pytest.mark.parametrize("name", ATTACKS)
def test_an_attack_is_what_it_says(name: str, tmp_path: Path) -> None:
    diagnosis = nfsrpc.read(written(name, N, tmp_path / "attack.pcap")).diagnosis
    assert diagnosis.broken == ()
    assert Counter(finding.rule for finding in diagnosis.findings) == EXPECTED[name]


def test_of_a_knot_of_deadlocks_one_circle_is_told(tmp_path: Path) -> None:
    diagnosis = nfsrpc.read(written("everybody_waits_for_everybody", 36, tmp_path / "attack.pcap")).diagnosis
    (finding,) = (finding for finding in diagnosis.findings if finding.rule == "LCK012")
    assert finding.title.startswith("deadlock: 4@cl1 (10.254.0.1) and 5@cl1 (10.254.0.1) wait")
    assert finding.explanation.endswith("The server did not detect it. In all 6 owners wait for each other so.")
    assert len(finding.evidence) == 2
