"""Which findings are one incident, when it is over, and what flaps."""

from __future__ import annotations

from dataclasses import replace

import pytest

from nfsrpc.diagnosis.run import CUT_SHORT
from nfsrpc.findings.finding import CannotTell
from nfsrpc.record.incidents import HOUR, Incidents
from nfsrpc.record.manifest import Manifest
from nfsrpc.wording import SECOND
from tests.record.pieces import CLIENT, SERVER, START, diagnosis, finding

CAUSE = finding("REG001", explains=(f"LCK002@{SERVER}",))
EFFECT = finding("LCK002", title="a lock request was answered late", severity="warning")
NOTHING = diagnosis()


def whats(events: object) -> list[tuple[str, str]]:
    return [(event.what, event.manifest.id) for event in events]  # type: ignore[attr-defined]


def test_a_cause_opens_one_incident_with_what_it_explains() -> None:
    incidents = Incidents(source="tcpdump on any")
    events = incidents.update(diagnosis(CAUSE, EFFECT, causes=(CAUSE,)), START + 5 * SECOND)
    assert whats(events) == [("opened", "20261122T053139Z-REG001-10.1.84.31")]
    [manifest] = [event.manifest for event in events]
    assert manifest.findings == [f"REG001@{SERVER}", f"LCK002@{SERVER}"]
    assert (manifest.opened, manifest.first, manifest.host) == (START + 5 * SECOND, START, SERVER)
    assert (manifest.severity, manifest.certainty, manifest.clients) == ("error", "certain", [CLIENT])
    assert incidents.update(diagnosis(CAUSE, EFFECT, causes=(CAUSE,)), START + 6 * SECOND) == []


def test_information_and_findings_on_the_capture_open_none() -> None:
    informs = finding("LCK011", severity="info")
    lost = finding("CAP001", host=None, severity="warning")
    assert Incidents().update(diagnosis(informs, lost), START) == []


def test_a_cause_that_is_found_later_joins() -> None:
    incidents = Incidents()
    [opened] = incidents.update(diagnosis(EFFECT), START)
    events = incidents.update(diagnosis(CAUSE, EFFECT, causes=(CAUSE,)), START + SECOND)
    assert whats(events) == [("joined", opened.manifest.id)]
    assert opened.manifest.id == "20261122T053139Z-LCK002-10.1.84.31"
    [cause] = opened.manifest.explained_by
    assert (cause["finding"], cause["time"]) == (f"REG001@{SERVER}", "2026-11-22T05:31:40.000000000Z")
    # It carries the cause, and is open as long as that is there.
    assert incidents.update(diagnosis(CAUSE), START + 2 * SECOND) == []
    assert incidents.update(diagnosis(CAUSE), START + 200 * SECOND) == []


def test_another_host_is_another_incident() -> None:
    incidents = Incidents()
    incidents.update(diagnosis(EFFECT), START)
    other = finding("REG001", host="10.1.84.32", explains=("LCK002@10.1.84.32",))
    assert whats(incidents.update(diagnosis(other, EFFECT), START)) == [
        ("opened", "20261122T053139Z-REG001-10.1.84.32")
    ]


def test_two_causes_of_one_effect_are_two_incidents() -> None:
    incidents = Incidents()
    incidents.update(diagnosis(CAUSE, EFFECT, causes=(CAUSE,)), START)
    other = finding("NET001", explains=(EFFECT.id,))
    events = incidents.update(diagnosis(CAUSE, other, EFFECT, causes=(CAUSE, other)), START + SECOND)
    assert whats(events) == [("opened", "20261122T053139Z-NET001-10.1.84.31")]


def test_two_of_a_rule_on_a_host_have_two_names() -> None:
    second = replace(CAUSE, number=2)
    events = Incidents().update(diagnosis(CAUSE, second), START)
    assert [event.manifest.id[:16] for event in events] == ["20261122T053139Z", "20261122T053140Z"]


def test_further_occurrences_extend_it() -> None:
    incidents = Incidents()
    incidents.update(diagnosis(CAUSE), START)
    later = replace(CAUSE, last=START + 9 * SECOND, count=3)
    [event] = incidents.update(diagnosis(later), START + 10 * SECOND)
    assert (event.what, event.manifest.last, event.manifest.count) == ("extended", START + 9 * SECOND, 3)


def test_what_becomes_certain_is_written_at_once() -> None:
    incidents = Incidents()
    incidents.update(diagnosis(replace(CAUSE, certainty="likely")), START)
    [event] = incidents.update(diagnosis(CAUSE), START + SECOND)
    assert (event.what, event.manifest.certainty) == ("changed", "certain")
    [event] = incidents.update(diagnosis(replace(CAUSE, clients=(CLIENT, "10.1.84.42"))), START + SECOND)
    assert (event.what, event.manifest.clients) == ("extended", [CLIENT, "10.1.84.42"])


@pytest.mark.parametrize(("away_s", "is_over"), [(59, False), (60, True)])
def test_it_is_resolved_when_its_findings_stay_away(away_s: int, is_over: bool) -> None:
    incidents = Incidents()
    incidents.update(diagnosis(CAUSE), START)
    events = incidents.update(NOTHING, START + away_s * SECOND)
    assert [event.what for event in events] == (["resolved"] if is_over else [])
    if is_over:
        assert (events[0].manifest.state, events[0].manifest.resolved) == ("resolved", START + away_s * SECOND)


def test_a_rule_that_was_cut_short_resolves_nothing() -> None:
    incidents = Incidents()
    incidents.update(diagnosis(CAUSE), START)
    unknown = replace(NOTHING, cannot_tell=(CannotTell("REG001", CUT_SHORT, lacks="time"),))
    assert incidents.update(unknown, START + 120 * SECOND) == []


@pytest.mark.parametrize(("back_s", "names"), [(3600, 1), (3601, 2)])
def test_what_comes_back_within_an_hour_is_the_same_incident(back_s: int, names: int) -> None:
    incidents = Incidents()
    found = incidents.update(diagnosis(CAUSE), START)
    found += incidents.update(NOTHING, START + 60 * SECOND)
    again = replace(CAUSE, first=START + back_s * SECOND, last=START + back_s * SECOND)
    found += incidents.update(diagnosis(again), START + back_s * SECOND)
    assert [event.what for event in found] == ["opened", "resolved", "opened"]
    assert len({event.manifest.id for event in found}) == names


def test_what_flaps_is_reported_less_and_less() -> None:
    """A fault that comes and goes every two minutes for a day."""
    incidents = Incidents()
    events = []
    for minute in range(0, 24 * 60, 2):
        time = START + minute * 60 * SECOND
        here = replace(CAUSE, first=time, last=time)
        events += incidents.update(diagnosis(here) if minute % 4 == 0 else NOTHING, time)
    assert {event.manifest.id for event in events} == {"20261122T053139Z-REG001-10.1.84.31"}
    # It was resolved after 1 min, and then takes 4 min, in which it is back.
    assert [event.what for event in events if event.what != "extended"] == ["opened", "resolved", "opened"]


def test_a_dozen_an_hour_are_opened() -> None:
    incidents = Incidents()
    many = diagnosis(*(finding(host=f"10.0.0.{number}") for number in range(20)))
    assert len(incidents.update(many, START)) == 12
    assert incidents.refused == 8
    assert incidents.update(many, START + HOUR - 1) == []
    assert len(incidents.update(many, START + HOUR)) == 8


def test_incidents_of_an_earlier_run_go_on() -> None:
    first = Incidents()
    [event] = first.update(diagnosis(CAUSE), START)
    again = Incidents([event.manifest])
    assert again.update(diagnosis(CAUSE), START + 300 * SECOND) == []
    assert whats(again.update(NOTHING, START + 400 * SECOND)) == [("resolved", event.manifest.id)]


def test_an_earlier_incident_that_is_long_over_is_resolved_and_its_name_not_used_again() -> None:
    old = Manifest("20261122T053139Z-REG001-10.1.84.31", "open", "REG001", SERVER, "", START, START, START)
    old.findings = [CAUSE.id]
    incidents = Incidents([old])
    events = incidents.update(diagnosis(CAUSE), START + 2 * HOUR)
    assert whats(events) == [("opened", "20261122T053140Z-REG001-10.1.84.31"), ("resolved", old.id)]


def test_a_line_of_the_kernel_opens_an_incident_that_a_finding_explains() -> None:
    incidents = Incidents()
    line = "lockd: server nfssrv not responding, still trying"
    [event] = incidents.kernel(line, SERVER, START)
    assert whats([event]) == [("opened", "20261122T053139Z-KERNEL-10.1.84.31")]
    assert (event.manifest.title, event.manifest.kernel_log) == (line, [line])
    assert whats(incidents.kernel(line, SERVER, START + SECOND)) == [("extended", event.manifest.id)]
    assert whats(incidents.update(diagnosis(CAUSE), START + 2 * SECOND)) == [("joined", event.manifest.id)]
    assert whats(incidents.kernel(line, SERVER, START + 3 * SECOND)) == [("extended", event.manifest.id)]


def test_a_line_of_the_kernel_joins_what_is_open_about_its_server() -> None:
    incidents = Incidents()
    [opened] = incidents.update(diagnosis(CAUSE), START)
    line = "lockd: server 10.1.84.31 not responding, still trying"
    assert whats(incidents.kernel(line, SERVER, START + SECOND)) == [("extended", opened.manifest.id)]
    assert opened.manifest.kernel_log == [line]
    assert whats(incidents.kernel(line, None, START + SECOND)) == [("opened", "20261122T053140Z-KERNEL-unknown")]
