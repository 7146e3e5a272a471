"""What a report on a fleet leads with: hosts to fix, what nodes cannot tell, and the one capture to make next."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from benchmarks import fleet
from nfsrpc.diagnosis.faults import fault
from nfsrpc.findings.advice import loopback_of, wire_of
from nfsrpc.findings.finding import CannotTell, Certainty, Diagnosis, Finding, Rule, Severity, Verdict
from nfsrpc.fleet.judging import combined
from nfsrpc.fleet.overview import reported
from nfsrpc.fleet.places import captures_of, nodes
from nfsrpc.fleet.rows import rows_of
from nfsrpc.fleet.run import DecodedNode, Fleet, by_itself, judge
from nfsrpc.fleet.unknown import unknown
from nfsrpc.report import text
from nfsrpc.report.contents import Report
from nfsrpc.report.fleet import NodeAnswer, OpenQuestion, Overview, SharedQuestion
from tests.report.samples import CAPTURE

pytest.importorskip("pyarrow")
pytest.importorskip("fsspec")

NOTHING = Verdict(None, "cannot-tell", "Cannot tell whether locks work: no lock requests in the capture.")


def found(host: str, clients: int, wait_s: float, severity: Severity = "error", **fields: Any) -> Finding:
    return Rule("REG001", "made", severity).finding(
        host=host,
        title="no statd",
        explanation="",
        clients=tuple(f"10.8.0.{number}" for number in range(clients)),
        wait_s=wait_s,
        **fields,
    )


def overview(
    *causes: Finding, answers: Sequence[NodeAnswer] = (), others: Sequence[Finding] = (), **fields: Any
) -> Overview:
    verdict = fault(causes, (*causes, *others)) if causes else NOTHING
    report = Report(Diagnosis(verdict, (*causes, *others), **fields), (CAPTURE,), ())
    lead = reported(Fleet(report, tuple(answers), 0)).fleet
    assert lead
    return lead


def test_the_worst_host_comes_first() -> None:
    """Gravity, then the number of clients, then the longest wait."""
    likely: dict[str, Certainty] = {"certainty": "likely"}
    rows = overview(
        found("10.9.0.1", 9, 90.0, "warning"),
        found("10.9.0.2", 9, 90.0, **likely),
        found("10.9.0.3", 2, 90.0),
        found("10.9.0.4", 3, 10.0),
        found("10.9.0.5", 3, 11.0),
    ).hosts_to_fix
    assert [row.finding.host for row in rows] == [f"10.9.0.{number}" for number in (5, 4, 3, 2, 1)]


def test_findings_of_one_rule_at_one_host_are_one_row() -> None:
    first = found("10.9.0.1", 2, 1.0, certainty="likely")
    second = replace(found("10.9.0.1", 3, 61.6), number=2)
    (row,) = overview(first, second).hosts_to_fix
    assert (row.certainty, row.number, row.wait, row.findings) == (
        ("certain", "3", "61.6 s", ("REG001@10.9.0.1", "REG001@10.9.0.1#2"))
    )


def test_a_cause_without_clients_has_those_of_its_effects() -> None:
    late = Rule("LCK002", "made", "error").finding(
        host="10.9.0.1", title="late", explanation="", clients=("10.8.0.7",), wait_s=61.6
    )
    cause = replace(found("10.9.0.1", 0, 0.0), wait_s=None, explains=("LCK002@10.9.0.1",))
    (row,) = overview(cause, others=[late]).hosts_to_fix
    assert (row.clients, row.wait_s) == (("10.8.0.7",), 61.6)


def answer(name: str, *questions: OpenQuestion, state: Any = "healthy") -> NodeAnswer:
    return NodeAnswer(name, 1, state, NOTHING.summary if state == "cannot-tell" else "No fault.", questions)


LOOPBACK, WIRE = loopback_of("10.9.0.1"), wire_of("10.9.0.2")
NO_LOOPBACK = OpenQuestion("the loopback of 10.9.0.1 was not captured", ("REG001",), LOOPBACK.vantage)
NO_WIRE = OpenQuestion("the wire of 10.9.0.2 was not captured", ("NET001",), WIRE.vantage)


def test_what_nodes_cannot_tell_stands_once_with_their_names() -> None:
    """Whether locks work first, then what a likely cause lacks, then what most nodes lack."""
    more = NO_LOOPBACK._replace(rules=("REG007", "REG001"))
    lead = overview(
        found("10.9.0.2", 1, 1.0, certainty="likely", needs=WIRE),
        answers=[answer("a", NO_LOOPBACK), answer("b", more, NO_WIRE), answer("c", state="cannot-tell")],
        cannot_tell=(CannotTell("REG001", "not captured", LOOPBACK),),
    )
    assert lead.unknown == (
        SharedQuestion(NOTHING.summary, (), ("c",)),
        SharedQuestion(NO_WIRE.why, ("NET001",), ("b",)),
        SharedQuestion(NO_LOOPBACK.why, ("REG001", "REG007"), ("a", "b")),
    )


def test_what_another_node_shows_is_not_unknown() -> None:
    assert not overview(found("10.9.0.2", 1, 1.0), answers=[answer("a", NO_LOOPBACK)]).unknown


def test_one_more_capture_is_that_of_a_likely_cause_before_that_of_most_questions() -> None:
    """What only informs is no open question, and one question of many nodes is one."""
    open_ones = (
        CannotTell("REG001", "not captured", LOOPBACK),
        CannotTell("MON001", "not captured", LOOPBACK),
        CannotTell("MON001", "not captured", LOOPBACK),
        CannotTell("LCK013", "only one client", wire_of("10.9.0.3")),
    )
    one_more = overview(cannot_tell=open_ones).one_more
    assert str(one_more) == "Capture the loopback of 10.9.0.1: it would settle 2 open questions (MON001, REG001)."
    likely = found("10.9.0.2", 1, 1.0, certainty="likely", needs=WIRE)
    one_more = overview(likely, cannot_tell=open_ones).one_more
    assert str(one_more) == "Capture the wire of 10.9.0.2: it would settle 1 open question (REG001)."
    assert one_more
    assert one_more.need == WIRE
    assert overview(cannot_tell=open_ones[3:]).one_more is None
    symptom = Rule("CAP005", "made", "info").finding(
        host=None, title="", explanation="", needs=WIRE, certainty="likely"
    )
    assert overview(others=[symptom], cannot_tell=open_ones[3:]).one_more is None
    assert overview(replace(likely, certainty="certain")).one_more is None


def test_a_node_does_not_name_its_own_host() -> None:
    """So that what all nodes lack is one sentence; an address that begins like it stays."""
    report = Report(
        Diagnosis(
            NOTHING,
            cannot_tell=(
                CannotTell("REG002", "the loopback of 10.1.84.31 (srv) was not captured", loopback_of("10.1.84.31")),
                CannotTell("REG002", "the loopback of 10.1.84.311 was not captured", loopback_of("10.1.84.3")),
                CannotTell("LCK013", "only 10.1.84.31 uses its files", wire_of("10.1.84.31")),
                CannotTell("LCK001", "no LOCK requests in the capture"),
            ),
        ),
        (CAPTURE,),
        (),
        names={"10.1.84.31": "srv"},
    )
    assert [question.why for question in unknown(report)] == [
        "the loopback of the node itself was not captured",
        "the loopback of 10.1.84.311 was not captured",
    ]


def test_a_small_fleet(tmp_path: Path) -> None:
    """From captures to the screen: each ill server once with all its clients; the proof in brief is of one node."""
    truth = fleet.write(tmp_path, nodes=9, servers=4, ill=3, rounds=1)
    listed, _ = nodes([str(tmp_path)])
    decoded = [DecodedNode(rows_of(node.name, captures_of(node))) for node in listed]
    answers = tuple(by_itself((), each) for each in decoded)
    report = reported(Fleet(judge((), None, *decoded), answers, 0))
    lead = report.fleet
    assert lead
    assert {(str(row.finding.host), row.finding.rule): set(row.clients) for row in lead.hosts_to_fix} == {
        (server, each["rule"]): set(each["clients"]) for server, each in truth.items()
    }
    own = [row for row in lead.unknown if row.why == "the loopback of the node itself was not captured"]
    assert [row.rules for row in own] == [("REG002",)]
    assert len(own[0].nodes) > 1
    assert lead.one_more
    assert lead.one_more.need.vantage in {each.needs.vantage for each in report.diagnosis.causes if each.needs}
    assert lead.unaligned == lead.captures == 18
    for row in lead.hosts_to_fix:
        places = {report.captures[proof.capture].clock for proof in report.of_one_clock(row.finding)}
        assert len(places) == 1
    screen = text.render(report, 80)
    statd = screen[screen.index("REG001 statd-not-registered, likely") :].partition("Fix")[0]
    (client,) = {part.split(")")[0] for part in statd.partition("LOCK of ")[2].split("(")[1:2]}
    assert statd.count(f"{client}/ring.pcap") == statd.count("/ring.pcap") == 2
    assert all(len(line) <= 80 for line in screen.splitlines())


def test_clocks_of_groups_that_are_judged_by_themselves_stay_different(tmp_path: Path) -> None:
    fleet.write(tmp_path, nodes=3, servers=3, ill=3, rounds=1)
    listed, _ = nodes([str(tmp_path)])
    decoded = [DecodedNode(rows_of(node.name, captures_of(node))) for node in listed]
    groups = [judge((), None, *decoded[:2]), judge((), None, decoded[2])]
    clocks = [capture.clock for capture in combined(groups).captures]
    assert [clocks.index(clock) for clock in clocks] == [0, 0, 2, 2, 4, 4]
