"""The captures for tests: the repository's own, and larger sets where they exist.

The larger sets are not part of the repository. Each has an environment variable that names its directory, else it is
looked for beside the checkout; a test that needs one is skipped, with the variable as the reason, where there is none.
"""

import os
import struct
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

import pytest
from _pytest.mark import ParameterSet

from nfsrpc.sources import open_source

ROOT = Path(__file__).resolve().parents[1]
SUFFIXES = (".pcap", ".pcapng", ".snoop", ".pcap.zst")
NOT_CAPTURES = {"08-nokiapcap.pcap", "33-empty.pcap", "34-not-a-capture.pcap"}
STORM_FRAMES = 20_000  # of a storm of 115 000 equal ones; more show nothing new
LIMITS = {"22b-small-message-storm/nfssrv-eth0.pcap.zst": STORM_FRAMES}


class Set(NamedTuple):
    variable: str
    directory: Path

    @property
    def found(self) -> Path:
        return Path(os.environ.get(self.variable, self.directory))


SETS = {
    "samples": Set("NFSRPC_SAMPLES", ROOT / "captures"),
    "kernel": Set("NFSRPC_CAPTURES", ROOT.parent / "shared" / "captures"),
    "public": Set("NFSRPC_PUBLIC", ROOT.parent / "shared" / "public"),
    "hostile": Set("NFSRPC_HOSTILE", ROOT.parent / "shared" / "hostile"),
    "repro": Set("NFSRPC_REPRO", ROOT.parent / "shared" / "repro"),
    "reports": Set("NFSRPC_REPORTS", ROOT.parent / "shared" / "reports"),
    "foreign": Set("NFSRPC_FOREIGN", ROOT.parent / "shared" / "foreign"),
}


class Capture(NamedTuple):
    kind: str  # the name of its set
    name: str  # within the set

    @property
    def path(self) -> Path:
        return SETS[self.kind].found / self.name

    def load(self) -> bytes:
        with open_source(self.path) as source:
            data = b"".join(source)
        return first_frames(data, LIMITS[self.name]) if self.name in LIMITS else data


def first_frames(data: bytes, count: int) -> bytes:
    """The beginning of a little-endian pcap file."""
    at = 24
    for _ in range(count):
        at += 16 + int(struct.unpack_from("<I", data, at + 8)[0])
    return data[:at]


def listed(*kinds: str) -> Iterator[Capture]:
    for kind in kinds:
        directory = SETS[kind].found
        for path in sorted(directory.rglob("*")):
            if path.name.endswith(SUFFIXES) and path.name not in NOT_CAPTURES:
                yield Capture(kind, path.relative_to(directory).as_posix())


def captures(*kinds: str) -> list[ParameterSet]:
    """The captures of sets, to parametrize a test with; a set that is not there is one skipped test."""
    found = [pytest.param(capture, id=f"{capture.kind}/{capture.name}") for capture in listed(*kinds)]
    return found + [missing(kind) for kind in kinds if not any(listed(kind))]


def missing(kind: str) -> ParameterSet:
    reason = f"no captures in {SETS[kind].found}: name their directory in {SETS[kind].variable}"
    return pytest.param(Capture(kind, "none"), id=f"{kind}/none", marks=pytest.mark.skip(reason=reason))
