"""What findings and verdicts say of captures that hold more than there is room for: just inside and just outside."""

from __future__ import annotations

import json
import struct
from typing import NamedTuple

import pytest

from benchmarks.attacks import (
    ACK,
    CLIENT,
    LOCK,
    LOCKD,
    NFS,
    NFSD,
    NLM,
    NLM_GRANTED,
    NOLOCKS,
    RST,
    SERVER,
    SYN,
    UNLOCK,
    Ends,
    Owner,
    Writer,
    handle,
    host,
    opaque,
)
from nfsrpc.decode import decode
from nfsrpc.diagnosis.verdict import diagnose
from nfsrpc.findings.finding import UNLISTED, Diagnosis, Finding, Rule, lacking
from nfsrpc.report import html, text
from nfsrpc.report.contents import Report, report_of
from nfsrpc.report.json import document
from nfsrpc.sessions import COUNTING, WANTED, Sessions, crowding, thinning
from nfsrpc.trace import Trace
from nfsrpc.wording import AtLeast
from tests.little_room import ROOM

pytestmark = pytest.mark.usefixtures("little_room")


class Found(NamedTuple):
    report: Report

    @property
    def diagnosis(self) -> Diagnosis:
        return self.report.diagnosis

    @property
    def quality(self) -> dict[str, int]:
        return self.report.captures[0].quality

    @property
    def page(self) -> str:
        return " ".join(text.render(self.report).split())

    def of(self, rule: str) -> Finding:
        (finding,) = (finding for finding in self.diagnosis.findings if finding.rule == rule)
        return finding

    def why(self, rule: str) -> str:
        return next((each.why for each in self.diagnosis.cannot_tell if each.rule == rule), "")


def found(w: Writer, count: bool = True) -> Found:
    tables = Sessions(decode([w.capture()], WANTED, counting=COUNTING if count else None))
    return Found(report_of(tables, diagnose(tables)))


def unanswered(number: int) -> Writer:
    """LOCKs of so many clients, each sent twice, and a lock before them that is granted."""
    w = Writer()
    w.lock(CLIENT, Owner(0, 0), NLM_GRANTED)
    w.lock(CLIENT, Owner(0, 0), NLM_GRANTED, UNLOCK)
    ends = [Ends(host(each), 700, SERVER, LOCKD) for each in range(number)]
    xids = [w.call(each, NLM, 4, LOCK, Owner(at, at).arguments(LOCK)) for at, each in enumerate(ends)]
    w.wait(10)
    for at, (each, xid) in enumerate(zip(ends, xids, strict=True)):
        w.call(each, NLM, 4, LOCK, Owner(at, at).arguments(LOCK), xid=xid)
    w.end()
    return w


def test_counts_are_exact_where_there_is_room_for_all() -> None:
    inside = found(unanswered(ROOM - 3))  # beside the lock, its UNLOCK and the call at the end
    finding = inside.of("LCK001")
    assert (finding.count, finding.at_least, len(finding.clients)) == (ROOM - 3, False, ROOM - 3)
    assert finding.title == f"37 LOCKs to {SERVER} never answered"
    assert UNLISTED not in finding.explanation
    assert (inside.quality["unlisted"], inside.quality["oddities"]) == (0, 0)
    assert "at least" not in inside.page.lower()
    assert [each["at_least"] for each in document(inside.report)["findings"]] == [False] * 3


def test_counts_say_that_there_may_be_more_where_there_is_no_room() -> None:
    outside = found(unanswered(ROOM - 2))
    finding = outside.of("LCK001")
    listed = int(finding.count)
    assert (listed < ROOM - 2, finding.at_least, len(finding.clients)) == (True, True, listed)
    assert finding.title == f"at least {listed} LOCKs to {SERVER} never answered"
    assert finding.explanation.startswith(f"At least {listed} LOCKs of ")
    assert f"retransmitted at least {listed} times" in finding.explanation
    assert finding.explanation.endswith(UNLISTED)
    assert outside.quality["unlisted"] == 11
    assert outside.quality["oddities"] == 0
    one = next(each for each in document(outside.report)["findings"] if each["rule"] == "LCK001")
    assert (one["count"], one["at_least"]) == (listed, True)
    assert json.loads(json.dumps(one))["count"] == listed
    assert "and at least 25 more waited" in outside.page
    assert f"at least {listed} LOCKs to" in html.render(outside.report)
    for page in (outside.page, html.render(outside.report)):
        assert "11 exchanges counted, not listed, for lack of room" in page
        assert "nfsrpc table findings lists all" in page


def test_the_table_of_findings_says_which_counts_may_be_more() -> None:
    trace = Trace(decode([unanswered(ROOM - 2).capture()], WANTED, counting=COUNTING))
    rows = dict(zip(trace.findings["rule"], trace.findings["at_least"], strict=True))
    assert (rows["LCK001"], rows["CAP005"]) == (True, False)


def refusing(number: int, kept: int = 0) -> Writer:
    """UNLOCKs of so many clients, which are refused, and others that get no answer."""
    w = Writer()
    for each in range(number):
        w.lock(host(each), Owner(each, each), None if each < kept else NOLOCKS, UNLOCK)
    w.end()
    return w


def test_parts_of_a_count_say_so_too() -> None:
    inside, outside = (found(refusing(number, 2)).of("LCK007") for number in (ROOM - 1, ROOM + 20))
    assert "37 refused" in inside.explanation
    assert "at least " in outside.explanation.partition(" refused")[0].rpartition(",")[2]


def test_an_address_that_begins_an_explanation_stays_as_it_is() -> None:
    rule = Rule("LCK001", "made", "error")
    said = ("fd00::2 sent it.", "at least 2 LOCKs failed.")
    of = [rule.finding(host=None, title="", explanation=each, count=AtLeast(2)).explanation for each in said]
    assert of == [f"fd00::2 sent it. {UNLISTED}", f"At least 2 LOCKs failed. {UNLISTED}"]


def test_where_all_is_listed_the_counts_are_of_all() -> None:
    finding = found(unanswered(ROOM + 60), count=False).of("LCK001")
    assert (finding.count, finding.at_least) == (ROOM + 60, False)


def refused(clients: int) -> Writer:
    """Connections to a port of a server that is closed, and one question by which the server serves these clients."""
    w = Writer()
    for number in range(clients):
        ends = Ends(host(number), 600, SERVER, 111)
        w.getport(ends, NFS, 3, NFSD)
    for number in range(clients):
        for port in (700, 701):
            w.tcp(host(number), port, SERVER, NFSD, SYN, ack=0)
            w.tcp(SERVER, NFSD, host(number), port, RST | ACK, ack=2)
        w.wait(1)
    return w


def test_tries_are_exact_where_there_is_room_for_all_connections() -> None:
    inside = found(refused(13))
    finding = inside.of("NET002")
    assert (finding.count, finding.at_least) == (26, False)
    assert inside.quality["unlisted_flows"] == 0


def test_tries_may_be_more_where_connections_are_left_out() -> None:
    outside = found(refused(60))
    finding = outside.of("NET002")
    assert (finding.count < 120, finding.at_least) == (True, True)
    assert f"{finding.count} times" in finding.explanation
    assert outside.quality["unlisted_flows"] > 0
    assert "connections not listed, for lack of room" in outside.page


def granted(number: int) -> Writer:
    w = Writer()
    for each in range(number):
        w.lock(host(each), Owner(each, each, b"h"), NLM_GRANTED)
        w.lock(host(each), Owner(each, each, b"h"), NLM_GRANTED, UNLOCK)
        w.wait(100)
    w.end()
    return w


def test_sums_without_hosts_make_the_number_of_lock_requests_a_least_one(monkeypatch: pytest.MonkeyPatch) -> None:
    for module in (crowding, thinning):
        monkeypatch.setattr(module, "MAX_FLOWS", 1 << 10)
    few, many = (found(granted(number)).diagnosis.verdict for number in (10, 2 * ROOM))
    assert few.summary.startswith("No fault: 20 lock requests were answered")
    assert many.state == "healthy"
    assert many.summary.startswith("No fault: at least ")


def writing(files: int, locked: int) -> Writer:
    """A host locks files and another writes to so many, but to none of these."""
    w = Writer()
    for number in range(locked):
        w.lock(host(1), Owner(number, number, b"h1"), NLM_GRANTED)
    for number in range(files):
        args = opaque(handle(1000 + number)) + struct.pack(">QII", 0, 4, 1) + opaque(b"data")
        w.asked(Ends(host(2), 701, SERVER, NFSD), NFS, 3, 7, args, struct.pack(">IIIIIQ", 0, 0, 0, 4, 1, 0))
    return w


def test_that_nobody_writes_without_a_lock_is_said_only_where_all_writes_are_counted() -> None:
    inside, outside = (found(writing(files, 1)) for files in (ROOM, ROOM + 1))
    assert "more than there is room for" not in inside.why("LCK013")
    assert "more than there is room for" in outside.why("LCK013")


def test_who_writes_is_not_accused_where_its_lock_requests_may_be_left_out() -> None:
    """A host locks a file first, then very many others; another locks the first file, and the host writes to it."""

    def of(others: int) -> Writer:
        w = Writer()
        w.lock(host(2), Owner(0, 1, b"h2", length=1), NLM_GRANTED)
        for number in range(others):
            w.lock(host(1), Owner(1 + number, number, b"h1"), NLM_GRANTED)
        w.lock(host(1), Owner(0, 1, b"h1", offset=10, length=1), NLM_GRANTED)
        args = opaque(handle(0)) + struct.pack(">QII", 10, 1, 1) + opaque(b"d")
        w.asked(Ends(host(2), 701, SERVER, NFSD), NFS, 3, 7, args, struct.pack(">IIIIIQ", 0, 0, 0, 1, 1, 0))
        return w

    inside, outside = found(of(ROOM - 2)), found(of(ROOM - 1))
    assert "not all lock requests are listed" not in inside.why("LCK013")
    assert "not all lock requests are listed" in outside.why("LCK013")
    for each in (inside, outside):
        assert "LCK013" not in {finding.rule for finding in each.diagnosis.findings}


def test_the_verdict_says_that_other_clients_may_be_affected() -> None:
    inside, outside = (found(unanswered(number)).diagnosis.verdict for number in (ROOM - 3, ROOM - 2))
    assert " and 34 more waited" in inside.summary
    assert " and at least 25 more waited" in outside.summary


def test_a_rule_passes_only_where_there_is_room_for_all_that_it_judges() -> None:
    """What is out of the ordinary may have been left out; frames are all counted."""
    inside, outside = (found(unanswered(number)).diagnosis for number in (ROOM - 3, ROOM - 2))
    passed = {answer.rule for answer in inside.clear}
    assert {"LCK002", "LCK009", "NET004", "RPC003", "CAP003", "CAP004"} <= passed
    assert {answer.rule for answer in outside.clear} == {"CAP003", "CAP004", "CAP007"}
    reasons = {answer.rule: answer.why for answer in outside.cannot_tell}
    assert reasons["LCK009"] == "there is no room to list all granted locks of the capture"
    assert reasons["RPC003"] == "there is no room to list all of the capture"
    assert not lacking("room", outside.cannot_tell)


def test_no_rule_passes_where_connections_are_left_out() -> None:
    inside, outside = (found(refused(clients)).diagnosis for clients in (13, 60))
    assert "CAP002" in {answer.rule for answer in inside.clear}
    assert "CAP002" not in {answer.rule for answer in outside.clear}


def test_who_held_a_lock_before_is_not_known_where_locks_are_left_out() -> None:
    """What is in order leaves as sums: other rules pass, since nothing that they look for is left out."""

    def held(number: int) -> Diagnosis:
        w = Writer()
        for svid in range(number):
            w.lock(host(1), Owner(svid, svid, b"h1"), NLM_GRANTED)
        return found(w).diagnosis

    inside, outside = (held(number) for number in (ROOM, ROOM + 1))
    assert {each.verdict.state for each in (inside, outside)} == {"healthy"}
    of_holders = {"LCK009", "LCK014", "MON008"}
    assert of_holders <= {answer.rule for answer in inside.clear}
    assert of_holders.isdisjoint({answer.rule for answer in outside.clear})
    assert {"LCK001", "LCK004"} <= {answer.rule for answer in outside.clear}
