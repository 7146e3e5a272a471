"""Counters count everything once and never decrease, though the window of live forgets."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable
from pathlib import Path
from typing import Any, TypeVar

import pytest

import nfsrpc
from nfsrpc.diagnosis.run import CutShort
from nfsrpc.metrics.histogram import Histograms
from nfsrpc.metrics.labels import MAX_HOSTS, OTHER
from nfsrpc.metrics.totals import LOCKING, Totals
from nfsrpc.protocols.numbers import Prog
from nfsrpc.trace import Trace
from tests.captures_dir import Capture, captures
from tests.metrics.watching import after_each_piece
from tests.scenario import Scenario

T = TypeVar("T")
PIECE_S = 4.0
DEMO = "server-without-statd/nfssrv-any.pcap"


def numbers(histograms: Histograms) -> dict[Any, int]:
    return {labels: counts[-1] for labels, counts, _ in histograms.items()}


def counters(totals: Totals) -> dict[Any, float]:
    """Every counter, bucket and sum by what it is of."""
    found: dict[Any, float] = {("requests", server): count for server, count in totals.requests.items()}
    for name in ("lock_waits", "monitors", "rpc"):
        for labels, counts, total in getattr(totals, name).items():
            found |= {(name, labels, bucket): count for bucket, count in enumerate(counts)}
            found[name, labels, "sum"] = total
    return found


def of_whole(trace: Trace) -> tuple[dict[Any, int], ...]:
    """The same from tables of the whole capture."""
    calls, locks, monitors = trace.tables["calls"], trace.tables["locks"], trace.tables["monitors"]
    requests = Counter(
        row.server
        for row in calls.rows()
        if (row.prog, row.state != "orphan", row.duplicate_of) == (Prog.NLM, True, None) and row.proc in LOCKING
    )
    waits = Counter((row.server,) for row in locks.rows() if row.requested is not None and row.granted is not None)
    replies = Counter((row.host,) for row in monitors.rows() if row.procedure == "MON" and row.reply_time is not None)
    rpc = {(row.program, row.procedure): row.replies for row in trace.tables["programs"].rows() if row.replies}
    return requests, waits, replies, rpc


@pytest.mark.parametrize("window_s", [1e8, 5.0], ids=["whole", "forgetful"])
@pytest.mark.parametrize("capture", captures("samples"))
def test_each_is_counted_once_and_no_counter_decreases(capture: Capture, window_s: float) -> None:
    data = capture.load()
    if data[:4] not in (b"\xd4\xc3\xb2\xa1", b"\x4d\x3c\xb2\xa1"):
        pytest.skip("no pcap file, which could be cut by time")
    before: dict[Any, float] = {}
    for totals in after_each_piece(data, PIECE_S, window_s):
        now = counters(totals)
        assert {key: value for key, value in before.items() if now.get(key, 0) < value} == {}
        before = now
    requests, waits, replies, rpc = of_whole(nfsrpc.read(data, count=True))
    assert dict(totals.requests) == requests
    assert numbers(totals.monitors) == replies
    if window_s > 5:
        assert numbers(totals.lock_waits) == waits
        sides = 2 if capture.name.startswith("two-pods-behind-one-address/cl1") else 1  # of an address translation
        assert by_program(numbers(totals.rpc)) == {name: sides * count for name, count in by_program(rpc).items()}


def by_program(counts: dict[Any, int]) -> dict[str, int]:
    found = Counter[str]()
    for (program, _), count in counts.items():
        found[program] += count
    return found


def test_the_demo(samples: Path) -> None:
    *_, totals = after_each_piece((samples / DEMO).read_bytes(), PIECE_S, rules="")
    server = "10.1.84.31"
    assert totals.requests == {server: 4}
    [(labels, counts, total)] = totals.lock_waits.items()
    assert labels == (server,)
    assert counts == [0, 0, 2, 3, 3, 3, 3, 3, 3, 3, 3, 3, 3, 4, 4]
    assert round(total, 1) == 61.6
    assert totals.registrations[server, "nsm", "tcp"] is False
    assert totals.registrations[server, "nlm", "tcp"] is True
    assert totals.findings[("REG001", server, "certain", "error")] == 1
    assert totals.waiting[server].number == 0


def test_a_request_that_waits(samples: Path) -> None:
    seen = []
    for totals in after_each_piece((samples / DEMO).read_bytes(), PIECE_S):
        its = totals.waiting.get("10.1.84.31")
        seen.append((its.number, round(its.oldest_s)) if its else None)
    waiting = [each for each in seen if each and each[0]]
    assert waiting[0][0] == waiting[-1][0] == 1
    assert waiting[-1][1] == pytest.approx(60, abs=PIECE_S)
    assert seen[-1] == (0, 0)


def test_a_look_that_is_cut_short_adds_nothing_and_the_next_all(samples: Path) -> None:
    cuts = iter(range(1_000_000))

    def every_other(work: Callable[[], T], at_the_end: bool = False) -> T:
        if next(cuts) % 2:
            raise CutShort
        return work()

    data = (samples / DEMO).read_bytes()
    *_, cut = after_each_piece(data, PIECE_S, limited=every_other)
    assert next(cuts) > 10
    *_, whole = after_each_piece(data, PIECE_S)
    assert (cut.requests, numbers(cut.lock_waits)) == (whole.requests, numbers(whole.lock_waits))


def test_rules_that_take_all_the_time_of_a_look_leave_some_for_its_counters(samples: Path) -> None:
    def no_time(work: Callable[[], T], at_the_end: bool = False) -> T:
        if not at_the_end:
            raise CutShort
        return work()

    *_, totals = after_each_piece((samples / DEMO).read_bytes(), 1e6, limited=no_time)
    assert totals.requests == {"10.1.84.31": 4}


def test_hosts_beyond_the_first_200_are_other() -> None:
    s = Scenario()
    client = s.host("10.0.0.1", name="web-1")
    for number in range(MAX_HOSTS + 5):
        client.lock(s.host(f"10.1.{number // 250}.{number % 250 + 1}"), "/srv/a").granted().unlock().granted()
    *_, totals = after_each_piece(s.capture(at=client), 1e6)
    assert len(totals.requests) == MAX_HOSTS + 1
    assert totals.requests[OTHER] == 5
    assert sum(totals.requests.values()) == MAX_HOSTS + 5
    assert len(numbers(totals.lock_waits)) == MAX_HOSTS + 1


def test_a_host_with_a_finding_has_its_label_before_all_others(monkeypatch: pytest.MonkeyPatch, samples: Path) -> None:
    monkeypatch.setattr("nfsrpc.metrics.labels.MAX_HOSTS", 1)
    *_, totals = after_each_piece((samples / DEMO).read_bytes(), 1e6, rules="REG001")
    assert list(totals.findings) == [("REG001", "10.1.84.31", "certain", "error")]


def test_a_complete_list_says_what_is_not_registered() -> None:
    s = Scenario()
    server, client = s.host("10.0.0.9"), s.host("10.0.0.1")
    mapping = {"prog": 100003, "vers": 3, "prot": 6, "port": 2049}
    client.call(server, "portmap2", "DUMP", port=111).reply(mappings=[mapping])
    *_, totals = after_each_piece(s.capture(at=server), 1e6)
    assert totals.registrations["10.0.0.9", "nfs", "tcp"] is True
    assert totals.registrations["10.0.0.9", "nsm", "tcp"] is False
    assert len(totals.registrations) == 8
