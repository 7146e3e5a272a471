"""Whether ordinary NFS exchanges are counted or listed, a capture says the same."""

from __future__ import annotations

from pathlib import Path

import pytest

from nfsrpc import reading
from nfsrpc.columns import Table
from nfsrpc.decode import decode
from nfsrpc.diagnosis.verdict import diagnose
from nfsrpc.sessions import COUNTING, WANTED, Sessions, thinning
from nfsrpc.sources import open_source
from tests.rules.expected import Case
from tests.rules.test_captures import parametrized

TABLES = ("programs", "hosts", "flows", "captures", "quality", "locks", "paths", "monitors", "registrations", "writes")
TO_TWO_PER_CENT = ("p50", "p95", "p99")
# Clocks are compared by what is listed; numbers of exchanges go on from the last that is.
EXCHANGES = ("exchange", "last_exchange", "unlock_exchange", "cancel_exchange", "callback_exchange")
OF_LISTED = ("offset_s", "drift_ppm", *EXCHANGES)


@pytest.mark.parametrize("case", parametrized())
def test_counting_changes_nothing(case: Case) -> None:
    files = [case.folder / file for file in case.files]
    check(Sessions(decode(files, WANTED, counting=COUNTING)), Sessions(decode(files, WANTED)))


@pytest.mark.parametrize("case", parametrized())
def test_nothing_is_lost_by_letting_go(case: Case, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(reading, "DRAIN_ROWS", 1)
    monkeypatch.setattr(thinning, "MANY", 0)
    files = [in_pieces(case.folder / file) for file in case.files]
    check(Sessions(decode(files, WANTED, counting=COUNTING)), Sessions(decode(files, WANTED)))


def in_pieces(file: Path) -> list[bytes]:
    with open_source(file) as source:
        data = b"".join(source)
    size = max(len(data) // 10, 1)
    return [data[start : start + size] for start in range(0, len(data), size)]


def check(counted: Sessions, listed: Sessions) -> None:
    ours, theirs = diagnose(counted), diagnose(listed)
    assert ours == theirs
    for name in TABLES:
        assert columns(counted[name]) == columns(listed[name]), name
    # Of both sides of an address translation the histograms are one: they differ by the time that it takes, which in
    # virtual machines is a millisecond.
    passed_on = 2e-3 if counted.decoded.translations else 1e-9
    for name in TO_TWO_PER_CENT:
        expected = pytest.approx(listed["programs"][name], rel=0.021, abs=passed_on, nan_ok=True)
        assert counted["programs"][name] == expected


def columns(table: Table) -> dict[str, list[object]]:
    return {name: table.values(name) for name in table.columns if name not in (*TO_TWO_PER_CENT, *OF_LISTED)}
