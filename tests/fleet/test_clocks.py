"""Nodes whose clocks are an hour off: aligned by messages that two captures show, else no times are compared."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from itertools import count
from pathlib import Path
from random import Random
from typing import Any

import pytest

import nfsrpc
from benchmarks import fleet
from nfsrpc.findings.finding import Cause, Diagnosis
from nfsrpc.fleet.judging import judged
from nfsrpc.fleet.places import captures_of, nodes
from nfsrpc.fleet.rows import NodeRows, rows_of
from nfsrpc.report.contents import report_of
from tests.captures_dir import listed
from tests.fleet.test_judging import SEVERAL, conclusions, in_groups
from tests.rules.test_holders_elsewhere import Site, passed_on
from tests.scenario import Host, Scenario
from tests.wire import shifted

pytest.importorskip("pyarrow")
pytest.importorskip("fsspec")


def test_a_fleet_against_its_truth(tmp_path: Path) -> None:
    """All ill servers with all their clients, and nothing else: in one group and by server, as sure as by one node.

    The nodes are so many that some were granted locks when, by clocks an hour off, others waited for theirs.
    """
    truth = fleet.write(tmp_path, nodes=20, servers=5, ill=3, rounds=1)
    found, errors = nodes([str(tmp_path)])
    assert not errors
    assert [node.name for node in found] == [f"node-{number:04}" for number in range(20)]
    rows = [rows_of(node.name, captures_of(node)) for node in found]
    sure = {(cause.rule, cause.host) for each in rows for cause in certain(judged([each]).diagnosis)}
    assert {rule for rule, _ in sure} == {"REG003"}
    for most_rows in (10**9, 0):
        diagnosis = in_groups(rows, most_rows)
        ids = {cause.finding for cause in diagnosis.verdict.causes}
        hurt = victims(found for found in diagnosis.findings if found.id in ids)
        assert hurt == {(server, each["rule"]): set(each["clients"]) for server, each in truth.items()}
        assert len(diagnosis.verdict.causes) == len(truth)
        assert {(cause.rule, cause.host) for cause in certain(diagnosis)} == sure


def certain(diagnosis: Diagnosis) -> list[Cause]:
    return [cause for cause in diagnosis.verdict.causes if cause.certainty == "certain"]


HOUR = 3600


def node_of(number: int, clock_s: float, story: Callable[[Scenario, Host, Host, str], None]) -> bytes:
    """The capture of a node whose clock is off, and which meets a server in some way."""
    scenario = Scenario(fleet.BEGIN + clock_s)
    client = scenario.host(f"10.8.0.{number}", name=f"node-{number}")
    scenario.xids = count(number * 1_000_000)
    server = scenario.host("10.9.0.1", name="srv-1")
    client.mount(server, "/export")
    client.getattr(server, f"/export/{number}")
    story(scenario, client, server, f"/export/{number}")
    scenario.wait(20.0)
    client.getattr(server, f"/export/{number}")
    return scenario.capture(at=client)


def by_itself(captures: Sequence[bytes], folder: Path) -> list[NodeRows]:
    found = []
    for number, capture in enumerate(captures):
        place = folder / f"node-{number}"
        place.mkdir(parents=True)
        (place / "ring.pcap0").write_bytes(capture)
        found.append(rows_of(place.name, [str(place / "ring.pcap0")]))
    return found


STORIES = {"before": fleet.without_statd, "after": fleet.healthy, "filtered": fleet.filtered}


@pytest.mark.parametrize("seed", range(3))
def test_captures_without_a_common_message_say_what_each_says_by_itself(seed: int, tmp_path: Path) -> None:
    """A server is repaired in the middle: half of its clients waited before, the others were granted at once after.

    By clocks that are an hour off at most, each order of both is seen.
    """
    random = Random(seed)
    stories = [*(["before"] * 3), *(["after"] * 3), "filtered"]
    clocks = [random.uniform(-HOUR, HOUR) for _ in stories]
    clocks[3] = clocks[0]  # two of them to the same second
    captures = [
        node_of(n, clock, STORIES[which]) for n, (clock, which) in enumerate(zip(clocks, stories, strict=True), 1)
    ]
    rows = by_itself(captures, tmp_path)
    alone = [judged([each]).diagnosis for each in rows]
    expected = victims(cause for diagnosis in alone for cause in diagnosis.causes)
    assert expected[("10.9.0.1", "REG001")] == {"10.8.0.1", "10.8.0.2", "10.8.0.3"}
    trace = nfsrpc.read(*(each.files[0] for each in rows), count=True)
    together = [judged(rows).diagnosis, report_of(trace.tables, trace.diagnosis).diagnosis]
    for diagnosis in together:
        assert victims(diagnosis.causes) == expected
        assert len(diagnosis.causes) == len(expected)
        assert [each.rule for each in diagnosis.findings].count("CAP007") == 1
    assert conclusions(together[0]) == conclusions(together[1])


OWN_CLOCKS = [folder for folder in SEVERAL if "23a" not in folder.name]


@pytest.mark.parametrize("folder", OWN_CLOCKS, ids=lambda folder: folder.name)
def test_clocks_an_hour_off_are_aligned_by_common_messages(folder: Path) -> None:
    """What each clock says is another time, and all that is concluded is the same."""
    captures = [capture.load() for capture in listed("samples", "kernel", "reports") if capture.path.parent == folder]
    if not all(capture[:4] in CLASSIC for capture in captures):
        pytest.skip("only classic pcap files are given other times here")
    expected = nfsrpc.read(*captures, count=True)
    if len(set(expected.tables.exchanges.clocks.reference)) > 1 or len(expected.tables.decoded.vantages) < len(
        captures
    ):
        pytest.skip("a ring, or captures without a common message")
    clocks = [Random(folder.name).choice((-HOUR, 0, HOUR // 2, HOUR)) for _ in captures]
    found = nfsrpc.read(*map(shifted, captures, clocks), count=True)
    assert found.verdict.state == expected.verdict.state
    assert by_whom(found.diagnosis) == by_whom(expected.diagnosis)


CLASSIC = (b"\xd4\xc3\xb2\xa1", b"\x4d\x3c\xb2\xa1", b"\xa1\xb2\xc3\xd4", b"\xa1\xb2\x3c\x4d")


def by_whom(diagnosis: Diagnosis) -> list[tuple[Any, ...]]:
    causes = {cause.id for cause in diagnosis.causes}
    return sorted(
        (each.id, each.id in causes, each.certainty, each.clients, each.files, each.count, each.title)
        for each in diagnosis.findings
    )


def victims(findings: Iterable[Any]) -> dict[tuple[str, str], set[str]]:
    hurt: dict[tuple[str, str], set[str]] = {}
    for found in findings:
        hurt.setdefault((found.host, found.rule), set()).update(found.clients)
    return hurt


@pytest.mark.parametrize(("clock", "is_said"), [(0, True), (HOUR, False)])
def test_a_holder_at_another_node(clock: int, is_said: bool, tmp_path: Path) -> None:
    """No finding names it, and one says that it would be the holder if the clocks of both nodes agree, as `analyze`."""
    site = Site(clients=2)
    passed_on(site)
    rows = by_itself(site.captures([0, clock]), tmp_path)
    found = judged(rows).diagnosis
    (one,) = [each for each in found.findings if each.rule == "LCK011"]
    assert (one.host, one.certainty) == (None, "certain")
    text = "If the clocks of node-1/ring.pcap0 and node-0/ring.pcap0 agree and 10.9.0.1 is the same host in both, "
    assert (text in one.explanation) == is_said
    trace = nfsrpc.read(*(each.files[0] for each in rows), count=True)
    whole = report_of(trace.tables, trace.diagnosis).diagnosis
    assert conclusions(found) == conclusions(whole)
    assert {each.explanation for each in found.findings} == {each.explanation for each in whole.findings}
