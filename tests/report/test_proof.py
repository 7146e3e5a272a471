"""Proof in order of time, hosts by their names, and times in a zone: from captures to what reports print."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from datetime import UTC
from pathlib import Path
from typing import TYPE_CHECKING, cast
from zoneinfo import ZoneInfo

import numpy as np
import pytest

from nfsrpc import read
from nfsrpc.findings.finding import Evidence
from nfsrpc.report import html, markdown, text
from nfsrpc.report import json as document
from nfsrpc.report.contents import Report, report_of
from nfsrpc.report.host_names import is_name, with_names
from nfsrpc.report.proof import display_filters, frame_times, sorted_proof
from nfsrpc.sources.dmesg import log_of
from nfsrpc.wording import SECOND, TimesOfDay, clock_time, date_time, span
from tests.scenario import Scenario, handle

if TYPE_CHECKING:
    from nfsrpc.tables import Tables

CAPTURES = Path(__file__).parents[2] / "captures"
STATD = CAPTURES / "server-without-statd" / "nfssrv-any.pcap"
LINES = 40


@pytest.fixture
def berlin() -> Iterator[None]:
    TimesOfDay.zone = ZoneInfo("Europe/Berlin")
    yield
    TimesOfDay.zone = UTC


def report_on(file: Path) -> Report:
    trace = read(str(file))
    return report_of(trace.tables, trace.diagnosis)


def test_proof_is_sorted_by_time_over_files_and_each_frame_stands_once() -> None:
    evidence = [Evidence(0, 9, "late"), Evidence(1, 3, "early"), Evidence(0, 2, "a"), Evidence(0, 2, "b")]
    times = {(0, 9): 30, (1, 3): 10, (0, 2): 20}
    assert sorted_proof([*evidence, *evidence], times, {0: 0, 1: 0}) == (
        Evidence(1, 3, "early", 10),
        Evidence(0, 2, "a; b", 20),
        Evidence(0, 9, "late", 30),
    )


def test_times_by_clocks_that_cannot_be_compared_have_no_order() -> None:
    """What the captures of one clock show stands together, in the order in which the evidence has the clocks."""
    evidence = [Evidence(3, 9, "late"), Evidence(0, 1, "first of all"), Evidence(2, 4, "early"), Evidence(0, 2, "last")]
    times = {(3, 9): 30, (2, 4): 20, (0, 1): 10, (0, 2): 40}
    shown = sorted_proof(evidence, times, {0: 0, 2: 2, 3: 2})
    assert [proof.note for proof in shown] == ["early", "late", "first of all", "last"]


def test_a_frame_without_time_stands_behind_the_one_before_it_in_its_file() -> None:
    evidence = (Evidence(0, 5, "b"), Evidence(0, 4, "a"), Evidence(1, 1, "c"))
    shown = sorted_proof(evidence, {(0, 4): 10, (1, 1): 20}, {0: 0, 1: 0})
    assert [(proof.note, proof.time) for proof in shown] == [("a", 10), ("b", None), ("c", 20)]


def test_frames_of_writes_that_are_counted_have_their_times() -> None:
    s = Scenario(start=1_700_000_000.0)
    client, server = s.host("10.0.0.1"), s.host("10.0.0.9")
    for _ in range(3):
        client.call(server, "nfs3", "WRITE", file=handle("/a"), offset=0, count=4, data=b"data").reply(status="OK")
        s.wait(1)
    listed, counted = read(s.capture(), count=False).tables, read(s.capture()).tables
    expected = dict(zip(listed["calls"]["call_frame"].tolist(), listed["calls"]["time"].tolist(), strict=True))
    (first,), (last,) = counted["writes"]["first_frame"].tolist(), counted["writes"]["last_frame"].tolist()
    nothing = np.zeros(0, dtype=np.int64)
    without_calls = cast("Tables", {**counted, "calls": counted["calls"].take(nothing)})
    assert first < last
    assert frame_times({(0, first), (0, last), (0, 9999)}, without_calls) == {
        (0, first): expected[first],
        (0, last): expected[last],
    }


@pytest.mark.parametrize("file", sorted(CAPTURES.glob("*/*.pcap")), ids=lambda file: f"{file.parent.name}-{file.stem}")
def test_all_proof_has_its_time_and_one_fault_fits_one_screen(file: Path) -> None:
    report = report_on(file)
    proofs = [finding.evidence for finding in report.diagnosis.findings]
    for evidence in proofs:
        times = [proof.time for proof in evidence if proof.time is not None]
        assert len(times) == len(evidence)
        assert times == sorted(times)
        assert len({(proof.capture, proof.frame) for proof in evidence}) == len(evidence)
    if len(report.faults) == 1:
        assert len(text.render(report, 80).splitlines()) <= LINES


def test_the_filter_stands_in_every_format() -> None:
    report = report_on(STATD)
    evidence = report.faults[0].finding.evidence
    ((_, expression),) = display_filters(evidence)
    assert expression == "frame.number in {102,107,109,333,336}"
    for page in (text.render(report, 80), markdown.render(report), html.render(report)):
        assert expression in page
    (finding, *_) = json.loads(document.render(report))["findings"]
    assert finding["display_filters"] == [{"capture": 0, "filter": expression}]
    assert finding["evidence"][0]["time"].startswith("2026-11-22T05:31:39.")


def test_hosts_have_their_names_in_every_format() -> None:
    report = report_on(STATD)
    for page in (text.render(report, 80), markdown.render(report), html.render(report), document.render(report)):
        assert "10.1.84.41 (cl1)" in page
    (finding, *_) = json.loads(document.render(report))["findings"]
    assert finding["clients"] == ["10.1.84.41"]


@pytest.mark.parametrize(
    ("said", "named"),
    [
        ("10.0.0.1 waits for 10.0.0.2; 10.0.0.1 retries", "10.0.0.1 (cl1) waits for 10.0.0.2; 10.0.0.1 retries"),
        ("granted to 0@cl1 (10.0.0.1)", "granted to 0@cl1 (10.0.0.1)"),
        ("0@10.0.0.1 of 110.0.0.1 and 10.0.0.11", "0@10.0.0.1 of 110.0.0.1 and 10.0.0.11"),
        ("in 10.0.0.1.pcap and /srv/10.0.0.1.", "in 10.0.0.1.pcap and /srv/10.0.0.1."),
        ("to fd00::1: refused by 10.0.0.1.", "to fd00::1 (six): refused by 10.0.0.1 (cl1)."),
        ("10.0.0.1 (cl1) waits", "10.0.0.1 (cl1) waits"),
    ],
)
def test_an_address_has_its_name_where_it_is_first_mentioned(said: str, named: str) -> None:
    names = {"10.0.0.1": "cl1", "fd00::1": "six"}
    assert with_names(said, names) == named
    assert with_names(named, names) == named


@pytest.mark.parametrize("name", ["10.0.0.1", "::1", "localhost", "localhost.localdomain", "", "a b", "$(x)", "x" * 65])
def test_what_is_no_name(name: str) -> None:
    assert not is_name(name)
    assert is_name("x" * 64)


@pytest.mark.usefixtures("berlin")
def test_times_in_a_zone_say_which() -> None:
    winter, summer = 1_700_000_000 * SECOND, 1_690_000_000 * SECOND
    assert (date_time(winter), clock_time(summer)) == ("2023-11-14 23:13:20 CET", "06:26:40 CEST")
    assert span(winter, winter + 61_564_000_000) == "2023-11-14 23:13:20 to 23:14:21 CET (61.6 s)"
    screen = text.render(report_on(STATD), 80)
    assert "06:31:39 to 06:32:41 CET (61.6 s)" in screen
    assert re.search(r"06:31:39\.\d+  nfssrv-any.pcap:102  LOCK of 10.1.84.41 \(cl1\)", screen)
    assert "UTC" not in screen
    assert "2026-11-22T05:31:39." in document.render(report_on(STATD))


def test_local_times_of_a_kernel_log_are_those_of_the_zone() -> None:
    line = "[Sun Nov 22 06:32:40 2026] lockd: server 10.1.84.31 not responding, still trying\n"
    local, zoned = log_of("cl1", line), log_of("cl1", line, zone=ZoneInfo("Europe/Berlin"))
    assert (local.clock, zoned.clock) == ("local", "utc")
    assert local.lines[0].time - zoned.lines[0].time == 3600 * SECOND
