"""Rules that are not run to their end cannot tell, nothing is healthy then, and nothing is accused without the rest."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import TypeVar

import pytest

import nfsrpc
from benchmarks.attacks import written
from nfsrpc.diagnosis import run
from nfsrpc.diagnosis.run import CUT_SHORT, TOO_MANY, CutShort, Limited, cut_short
from nfsrpc.diagnosis.verdict import PARTIAL, diagnose
from nfsrpc.findings.finding import CannotTell
from nfsrpc.watch.changes import Changes

T = TypeVar("T")


class Parts:
    """Lets work be done but for the parts of some numbers; the first is the clocks, then comes a rule each."""

    def __init__(self, *cut: int, end: bool = False) -> None:
        self.cut, self.end = cut, end
        self.begun = -1

    def __call__(self, work: Callable[[], T], at_the_end: bool = False) -> T:
        self.begun += 1
        if self.begun in self.cut or (at_the_end and self.end):
            raise CutShort
        return work()


@pytest.fixture
def healthy(samples: Path) -> nfsrpc.Trace:
    return nfsrpc.read(samples / "contended" / "nfssrv-any.pcap")


@pytest.fixture
def faulty(samples: Path) -> nfsrpc.Trace:
    return nfsrpc.read(samples / "server-without-statd" / "nfssrv-any.pcap")


def test_one_rule_is_enough_for_not_being_healthy(healthy: nfsrpc.Trace) -> None:
    assert diagnose(healthy.tables).verdict.state == "healthy"
    diagnosis = diagnose(healthy.tables, limited=Parts(5))
    assert diagnosis.verdict == (None, "cannot-tell", f"Cannot tell whether locks work: {CUT_SHORT}.", ())
    [rule] = cut_short(diagnosis.cannot_tell)
    assert rule not in {answer.rule for answer in diagnosis.clear}
    assert len(diagnosis.clear) >= len(diagnose(healthy.tables).clear) - 1


def test_what_others_found_stands(faulty: nfsrpc.Trace) -> None:
    whole = diagnose(faulty.tables)
    diagnosis = diagnose(faulty.tables, limited=Parts(1))
    assert diagnosis.verdict[:2] == whole.verdict[:2]
    assert diagnosis.verdict.summary == f"{whole.verdict.summary} {PARTIAL}"
    assert diagnosis.findings == whole.findings
    assert len(cut_short(diagnosis.cannot_tell)) == 1


@pytest.mark.parametrize("limited", [Parts(0), Parts(end=True)], ids=["clocks", "conclusion"])
def test_without_a_conclusion_nothing_is_told(faulty: nfsrpc.Trace, limited: Limited) -> None:
    """Whether a step of the clock explains what was found has not been looked at then."""
    diagnosis = diagnose(faulty.tables, select=["REG", "LCK"], limited=limited)
    assert diagnosis.verdict.state == "cannot-tell"
    assert diagnosis.findings == ()
    assert {answer.why for answer in diagnosis.cannot_tell} == {CUT_SHORT}
    assert {answer.rule[:3] for answer in diagnosis.cannot_tell} == {"REG", "LCK"}


def test_a_finding_of_a_rule_that_was_cut_short_is_not_resolved(faulty: nfsrpc.Trace) -> None:
    changes = Changes()
    whole = diagnose(faulty.tables)
    changes.update(whole, [], 0)
    cut = diagnose(faulty.tables, limited=Parts(end=True))
    assert [change.what for change in changes.update(cut, [], 1)] == ["verdict"]
    gone = diagnose(faulty.tables, select=["CAP"])
    assert "resolved" in [change.what for change in changes.update(gone, [], 2)]


def test_another_reason_is_no_cut() -> None:
    assert cut_short([CannotTell("REG001", "no lock was granted")]) == set()


@pytest.mark.parametrize(("room", "left"), [(4, 4), (3, 3)])
def test_of_one_rule_so_many_findings_are_listed_and_what_is_beyond_is_said(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, room: int, left: int
) -> None:
    monkeypatch.setattr(run, "MAX_FINDINGS", room)
    diagnosis = nfsrpc.read(written("denied_without_locks", 4, tmp_path / "attack.pcap")).diagnosis
    assert [finding.rule for finding in diagnosis.findings].count("LCK004") == left
    rules = [answer.rule for answer in diagnosis.cannot_tell if answer.why == TOO_MANY]
    assert ("LCK004" in rules) == (left < 4)
    assert diagnosis.verdict.state == "fault"
    assert diagnosis.verdict.summary.endswith("LCK004 there are more findings than are listed.") == (left < 4)
