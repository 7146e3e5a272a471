"""Parts of captures accuse nobody whom the whole does not: cut, one-sided, lossy, filtered, with short frames.

Real captures are cut to pieces here. What is healthy stays healthy or cannot be told; of a fault a part may show less,
but never a fault that is not there.
"""

from __future__ import annotations

import random
import struct
from collections import Counter
from collections.abc import Callable, Iterator
from functools import cache
from pathlib import Path
from typing import NamedTuple, TypeAlias

import pytest

from nfsrpc.sources import open_source
from tests.captures_dir import SETS
from tests.rules.stage import diagnosed

NETWORK = {1: 14, 276: 20}  # link type -> where IP begins: Ethernet, LINUX_SLL2
RECORD = 16


class Captured(NamedTuple):
    head: bytes
    records: tuple[bytes, ...]
    network: int

    def of(self, records: Iterator[bytes]) -> bytes:
        return self.head + b"".join(records)

    def source(self, record: bytes) -> bytes:
        packet = record[RECORD + self.network :]
        return packet[12:16] if packet and packet[0] >> 4 == 4 else packet[8:24]


@cache
def read(path: Path) -> Captured:
    """A little-endian pcap file."""
    with open_source(path) as source:
        data = b"".join(source)
    records, at = [], 24
    while at < len(data):
        size = RECORD + int(struct.unpack_from("<I", data, at + 8)[0])
        records.append(data[at : at + size])
        at += size
    return Captured(data[:24], tuple(records), NETWORK[struct.unpack_from("<I", data, 20)[0]])


def shortened(record: bytes, snaplen: int) -> bytes:
    seconds, fraction, captured, length = struct.unpack_from("<IIII", record)
    kept = min(captured, snaplen)
    return struct.pack("<IIII", seconds, fraction, kept, length) + record[RECORD : RECORD + kept]


def cut(whole: Captured) -> Iterator[bytes]:
    count = len(whole.records)
    for at in range(count // 8, count, count // 8):
        yield whole.of(iter(whole.records[:at]))
        yield whole.of(iter(whole.records[at:]))


def one_sided(whole: Captured) -> Iterator[bytes]:
    hosts = Counter(map(whole.source, whole.records))
    for host, _ in hosts.most_common(3):
        yield whole.of(record for record in whole.records if whole.source(record) == host)
        yield whole.of(record for record in whole.records if whole.source(record) != host)


def lossy(whole: Captured) -> Iterator[bytes]:
    chance = random.Random(7)
    for percent in (1, 2, 5, 5):
        yield whole.of(record for record in whole.records if chance.random() * 100 >= percent)


def short(whole: Captured) -> Iterator[bytes]:
    for snaplen in (64, 96, 128, 160, 200, 256):
        yield whole.of(shortened(record, snaplen) for record in whole.records)


HEALTHY = ("contended/nfssrv-any.pcap", "contended/cl2-any.pcap", "client-without-statd/nfssrv-any.pcap")
FAULTS = {  # capture -> what parts of it may show
    "server-without-statd/nfssrv-any.pcap": {"REG001", "LCK001", "LCK002", "RPC004"},
    "server-without-statd/cl1-eth0.pcap": {"REG001", "LCK001", "LCK002", "RPC004"},
    "statd-killed/nfssrv-any.pcap": {"REG007", "LCK004"},
    "lockd-port-dropped/nfssrv-eth0.pcap": {"NET001"},
    "waiting-behind-a-dead-client/nfssrv-any.pcap": {"LCK010", "LCK011"},
}
Way: TypeAlias = Callable[[Captured], Iterator[bytes]]
WAYS: tuple[Way, ...] = (cut, one_sided, lossy, short)


def accused(capture: bytes) -> set[str]:
    """The faults that are found; what is said of the capture itself is none."""
    findings = diagnosed(capture).findings
    return {found.rule for found in findings if found.severity != "info" and not found.rule.startswith("CAP")}


@pytest.mark.parametrize("way", WAYS)
@pytest.mark.parametrize("name", HEALTHY)
def test_no_part_of_a_healthy_capture_accuses_anybody(name: str, way: Way) -> None:
    for part in way(read(SETS["samples"].directory / name)):
        assert accused(part) == set()


@pytest.mark.parametrize("way", WAYS)
@pytest.mark.parametrize("name", FAULTS)
def test_no_part_of_a_fault_shows_another(name: str, way: Way) -> None:
    for part in way(read(SETS["samples"].directory / name)):
        assert accused(part) <= FAULTS[name]
