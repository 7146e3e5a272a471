"""Rules that are not run to their end, or have very many findings, cannot tell: nothing is healthy then."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import TypeVar
from zlib import crc32

import numpy as np
import pytest

import nfsrpc
from benchmarks.attacks import BLOCKED, NLM_GRANTED, UNLOCK, Owner, Writer, handle, host, written
from nfsrpc.decode import decode
from nfsrpc.diagnosis import run
from nfsrpc.diagnosis.catalogue import Check
from nfsrpc.diagnosis.faults import PARTIAL
from nfsrpc.diagnosis.run import CUT_SHORT, TOO_MANY, CutShort, Limited
from nfsrpc.diagnosis.verdict import diagnose
from nfsrpc.facts.basic import Span
from nfsrpc.facts.inputs import Inputs
from nfsrpc.findings.finding import Answer, Broken, Diagnosis, Evidence, Finding, Rule, Severity, lacking
from nfsrpc.sessions import WANTED, Sessions
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
    [rule] = lacking("time", diagnosis.cannot_tell)
    assert rule not in {answer.rule for answer in diagnosis.clear}
    assert len(diagnosis.clear) >= len(diagnose(healthy.tables).clear) - 1


def test_what_others_found_stands(faulty: nfsrpc.Trace) -> None:
    whole = diagnose(faulty.tables)
    diagnosis = diagnose(faulty.tables, limited=Parts(1))
    assert diagnosis.verdict[:2] == whole.verdict[:2]
    assert diagnosis.verdict.summary == f"{whole.verdict.summary} {PARTIAL}"
    assert diagnosis.findings == whole.findings
    assert len(lacking("time", diagnosis.cannot_tell)) == 1


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
    assert diagnosis.verdict.summary.endswith("Of LCK004 there may be more findings than are listed.") == (left < 4)


def waiting(files: int, long: int | None = None) -> Diagnosis:
    """One client waits for another, ten seconds for each of so many files, and 200 s for one of them."""

    def over(file: int) -> None:
        w.lock(host(1), Owner(file, file, b"h1"), NLM_GRANTED, UNLOCK)
        w.lock(host(2), Owner(file, file, b"h2"), NLM_GRANTED)
        w.lock(host(2), Owner(file, file, b"h2"), NLM_GRANTED, UNLOCK)

    w = Writer()
    for number, status in ((1, NLM_GRANTED), (2, BLOCKED)):
        for file in range(files):
            w.lock(host(number), Owner(file, file, b"h%d" % number), status)
    w.wait(10)
    for file in range(files):
        if file != long:
            over(file)
    w.wait(190)
    if long is not None:
        over(long)
    return diagnose(Sessions(decode([w.capture()], WANTED)))


@pytest.mark.parametrize("long", range(4))
def test_of_too_many_findings_the_gravest_stay_in_their_order(monkeypatch: pytest.MonkeyPatch, long: int) -> None:
    every = [finding.files for finding in waiting(4, long).findings]
    monkeypatch.setattr(run, "MAX_FINDINGS", 3)
    diagnosis = waiting(4, long)
    assert diagnosis.verdict.state == "fault"
    assert diagnosis.findings[0].wait_s == pytest.approx(200, abs=0.1)
    left = [finding.files for finding in diagnosis.findings]
    assert (len(left), left[0]) == (3, every[0])
    assert set(left) < set(every)
    assert lacking("room", diagnosis.cannot_tell) == {"LCK011"}
    monkeypatch.setattr(run, "MAX_FINDINGS", 4)
    assert not lacking("room", waiting(4, long).cannot_tell)


def test_of_findings_that_are_equally_grave_those_stay_that_are_first(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(run, "MAX_FINDINGS", 2)
    rule = Rule("LCK011", "made", "info")
    severities: tuple[Severity, ...] = ("info", "error", "info")
    info, error, last = (
        rule.finding(host="10.0.0.1", title=title, explanation="", severity=severity)
        for title, severity in zip("abc", severities, strict=True)
    )
    clear = rule.clear("nothing waits")
    assert run.gravest([info, error, clear, last], doubting()) == [info, error, clear]
    assert run.gravest([last, info, clear, error], doubting()) == [last, clear, error]


def doubting(damaged: int | None = None, step: Span | None = None) -> Inputs:
    """Inputs with a damaged frame, or a step of the clock."""
    inputs = Inputs({})
    inputs.damaged_frames = {(0, damaged): "xdr-length"} if damaged is not None else {}
    inputs.clock_steps, inputs.unread = (step,) if step else (), {}
    inputs.perhaps_answered = np.zeros(0, dtype=np.uint64)
    return inputs


def of_frames(first: int, last: int, wait_s: float) -> Finding:
    """A finding with evidence in one frame, at some time."""
    return Rule("LCK011", "made", "error", timed="always").finding(
        host="10.0.0.1",
        title="",
        explanation="",
        first=first,
        last=last,
        wait_s=wait_s,
        evidence=(Evidence(0, last, "waits"),),
    )


def test_a_finding_that_is_doubtful_leaves_the_room_to_one_that_is_certain(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(run, "MAX_FINDINGS", 1)
    doubtful, certain = of_frames(0, 7, 200.0), of_frames(0, 8, 10.0)
    for damaged, left in ((7, certain), (9, doubtful)):
        assert run.gravest([doubtful, certain], doubting(damaged)) == [left]


def test_a_finding_across_a_step_of_the_clock_leaves_the_room_to_one_that_stands(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(run, "MAX_FINDINGS", 1)
    across, before = of_frames(0, 20, 200.0), of_frames(0, 9, 10.0)
    for step, left in ((Span(10, 11), before), (Span(21, 22), across)):
        assert run.gravest([across, before], doubting(step=step)) == [left]


@pytest.mark.parametrize(("room", "state"), [(3, "healthy"), (2, "cannot-tell")])
def test_nothing_is_healthy_of_which_there_are_more_findings_than_there_is_room_for(
    monkeypatch: pytest.MonkeyPatch, room: int, state: str
) -> None:
    monkeypatch.setattr(run, "MAX_FINDINGS", room)
    verdict = waiting(3).verdict
    assert verdict.state == state
    assert ("of LCK011 there may be more findings than there is room for" in verdict.summary) == (room < 3)


def test_one_long_wait_among_very_many_short_ones_is_a_fault() -> None:
    """At the limit itself: where all have room, and where one has none. The long one is about the last file by name."""
    for short in (run.MAX_FINDINGS - 1, run.MAX_FINDINGS):
        diagnosis = waiting(short + 1, long=max(range(short + 1), key=lambda file: crc32(handle(file))))
        assert (diagnosis.verdict.state, diagnosis.verdict.rule) == ("fault", "LCK011")
        assert len(diagnosis.findings) == run.MAX_FINDINGS
        assert bool(lacking("room", diagnosis.cannot_tell)) == (short == run.MAX_FINDINGS)


def test_a_rule_that_breaks_after_some_findings_keeps_them(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(run, "MAX_FINDINGS", 2)
    rule = Rule("LCK011", "made", "info")
    found = [rule.finding(host=f"10.0.0.{number}", title="waits", explanation="") for number in range(3)]

    def check() -> Iterator[Answer]:
        yield from found
        raise ValueError("no row")

    *kept, broken, more = run.ask_one(Check(rule, check, "", (), {}), doubting(), {})
    assert kept == found[:2]
    assert isinstance(broken, Broken)
    assert more == rule.cannot_tell(TOO_MANY, lacks="room")
