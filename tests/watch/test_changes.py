"""Findings appear, change and are resolved; lock requests wait and are over."""

from dataclasses import replace
from pathlib import Path

from nfsrpc.diagnosis.faults import fault
from nfsrpc.findings.finding import Clear, Diagnosis, Finding, Verdict
from nfsrpc.watch.changes import Change, Changes, LockWait, waits_in
from nfsrpc.watch.watch import Watch
from tests.watch.pieces import by_time

HEALTHY = Verdict(None, "healthy", "No fault.")
FOUND = Finding("REG001", "statd-not-registered", "error", "certain", "10.0.0.9", "no statd", "…", count=2)
WAIT = LockWait("10.0.0.9", "10.0.0.1", "1@web-1", "/srv/a", 1_000_000_000, 6.0, ())


def news(changes: list[Change]) -> list[tuple[str, str]]:
    return [(change.what, change.finding.rule if change.finding else "") for change in changes]


def test_a_finding_appears_changes_and_is_resolved() -> None:
    changes = Changes()

    def update(*findings: Finding, clear: tuple[Clear, ...] = ()) -> list[Change]:
        return changes.update(Diagnosis(HEALTHY, findings, clear=clear), [], 0)

    assert news(update(FOUND)) == [("appeared", "REG001"), ("verdict", "")]
    assert update(replace(FOUND, count=3)) == []
    assert news(update(replace(FOUND, count=4))) == [("changed", "REG001")]
    assert news(update(replace(FOUND, count=4, certainty="likely"))) == [("changed", "REG001")]
    assert news(update(replace(FOUND, count=4, certainty="likely", clients=("10.0.0.1",)))) == [("changed", "REG001")]
    other = replace(FOUND, host="10.0.0.8")
    assert news(update(replace(FOUND, clients=("10.0.0.1",), count=4, certainty="likely"), other)) == [
        ("appeared", "REG001")
    ]
    [first, second] = update(clear=(Clear("REG001", "statd of 10.0.0.9 was started"),))
    assert (first.what, first.why) == ("resolved", "statd of 10.0.0.9 was started")
    assert (second.what, second.why) == ("resolved", "not seen any more")


def test_findings_of_one_rule_and_host_are_told_apart_by_their_numbers() -> None:
    changes, more = Changes(), replace(FOUND, clients=("10.0.0.1",), count=3, number=2)
    new = changes.update(Diagnosis(HEALTHY, (FOUND, more)), [], 0)
    assert [change.finding.id for change in new if change.finding] == ["REG001@10.0.0.9", "REG001@10.0.0.9#2"]
    [over] = changes.update(Diagnosis(HEALTHY, (FOUND,)), [], 0)
    assert (over.what, over.finding) == ("resolved", more)


def test_the_verdict_is_told_again_when_it_has_other_causes() -> None:
    changes = Changes()

    def update(*findings: Finding) -> list[Verdict]:
        verdict = fault(findings, findings)
        return [new.verdict for new in changes.update(Diagnosis(verdict, findings), [], 0) if new.verdict]

    other = replace(FOUND, host="10.0.0.8")
    assert [verdict.hosts for verdict in update(FOUND)] == [("10.0.0.9",)]
    assert update(FOUND) == []
    assert [verdict.hosts for verdict in update(FOUND, other)] == [("10.0.0.9", "10.0.0.8")]
    assert [verdict.hosts for verdict in update(other)] == [("10.0.0.8",)]


def test_a_request_waits_once_it_is_late() -> None:
    changes = Changes()
    none = Diagnosis(HEALTHY)
    changes.update(none, [WAIT._replace(age_s=4.0)], 5_000_000_000)
    [waiting] = changes.update(none, [WAIT], 7_000_000_000)
    assert (waiting.what, waiting.wait) == ("waiting", WAIT)
    assert changes.update(none, [WAIT._replace(age_s=9.0)], 10_000_000_000) == []
    [over] = changes.update(none, [], 21_000_000_000)
    assert over.wait
    assert (over.what, over.wait.age_s) == ("over", 20.0)


def test_the_incident_as_it_happened(samples: Path) -> None:
    """The kernel's own capture of a server without statd, at its own pace."""
    watch, changes = Watch("a.pcap"), Changes()
    log = []
    for piece in by_time((samples / "server-without-statd" / "nfssrv-any.pcap").read_bytes(), 1.0):
        watch.feed(piece.data)
        watch.stir()
        trace = watch.trace()
        assert trace
        waits = waits_in(trace.tables["locks"], watch.last)
        new = changes.update(trace.diagnosis, waits, watch.last)
        log += [(round(piece.at), what, rule) for what, rule in news(new)]
    seconds = {(what, rule): at for at, what, rule in reversed(log)}
    assert seconds["appeared", "REG001"] <= 2
    assert 6 <= seconds["waiting", ""] <= 8
    assert 11 <= seconds["appeared", "LCK001"] <= 14
    assert 62 <= seconds["over", ""] <= 64
    assert 62 <= seconds["resolved", "LCK001"] <= 64
    assert 62 <= seconds["appeared", "LCK002"] <= 64
    assert ("resolved", "REG001") not in seconds
