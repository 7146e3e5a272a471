"""Real captures cut by time into two files that are no ring by name: what one shows stays beside the other."""

from __future__ import annotations

import struct
from collections.abc import Sequence
from pathlib import Path

import pytest

import nfsrpc
from tests.captures_dir import ROOT
from tests.records import records_of

CAPTURES = ROOT / "captures"
WAITING = [{"LCK010"}, {"LCK011"}]
SMALL = 300_000  # bytes; larger ones take a second each
OF_ONE_HOST = sorted(
    str(path.relative_to(CAPTURES)) for path in CAPTURES.glob("*/*-any*.pcap") if path.stat().st_size < SMALL
)


def cut(folder: Path, capture: str, share: float) -> tuple[Path, Path]:
    """Two files, of the frames up to this share of a capture's duration and of those after it."""
    data = (CAPTURES / capture).read_bytes()
    records = list(records_of(data))
    seconds = [struct.unpack_from("<I", record)[0] for record in records]
    at = seconds[0] + (max(seconds) - seconds[0]) * share
    paths = folder / "alpha.pcap", folder / "omega.pcap"
    for path, is_later in zip(paths, (False, True), strict=True):
        part = (record for record, second in zip(records, seconds, strict=True) if (second > at) == is_later)
        path.write_bytes(data[:24] + b"".join(part))
    return paths


@pytest.mark.parametrize(
    ("capture", "share", "certain"),
    [
        # Whether the holder unlocked between the two captures is not known; that others waited is.
        ("waiting-behind-a-dead-client/nfssrv-any.pcap", 0.1, WAITING),
        ("waiting-behind-a-dead-client/nfssrv-any.pcap", 0.3, WAITING),
        ("server-without-statd/cl1-any.pcap", 0.3, [{"LCK002"}]),
        ("server-without-statd/cl1-any.pcap", 0.7, [{"LCK002"}]),
        ("statd-hangs/nfssrv-any.pcap", 0.5, [{"MON003", "LCK002", "LCK004", "LCK011"}]),
    ],
)
def test_both_parts_are_judged_as_one(tmp_path: Path, capture: str, share: float, certain: Sequence[set[str]]) -> None:
    found = nfsrpc.read(*cut(tmp_path, capture, share)).diagnosis.findings
    assert {each.rule for each in found if each.certainty == "certain" and each.severity != "info"} in certain


@pytest.mark.parametrize("share", [0.3, 0.7])
@pytest.mark.parametrize("capture", OF_ONE_HOST)
def test_a_fault_of_one_part_is_a_fault_of_both(tmp_path: Path, capture: str, share: float) -> None:
    parts = cut(tmp_path, capture, share)
    alone = {nfsrpc.read(part).verdict.state for part in parts if part.stat().st_size > 24}
    assert "fault" not in alone or nfsrpc.read(*parts).verdict.state == "fault"


def test_notices_that_were_never_answered_are_not_healthy(tmp_path: Path) -> None:
    """The first part alone has the questions, and shows no frame of the client; the second has the locks."""
    parts = cut(tmp_path, "reboot-notice-dropped/nfssrv-any-after.pcap", 0.3)
    verdict = nfsrpc.read(*parts).verdict
    assert verdict.state == "cannot-tell"
    assert "of 10.1.84.31 to 10.1.84.41 was sent 6 times and not answered" in verdict.summary
