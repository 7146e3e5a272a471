"""What is true of the small captures that a common tool gets wrong: of those made here, and of the originals.

Both have the same frame numbers. Each test states a row of the captures' list, by value.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

import nfsrpc
from nfsrpc.findings.finding import Diagnosis, Finding
from nfsrpc.trace import Trace
from tests.captures_dir import Capture, missing
from tests.repro import CAPTURES

Open = Callable[[str], Trace]

ORIGINALS = Capture("repro", "handle-to-path.pcap").path.is_file()


def made(name: str) -> Trace:
    return nfsrpc.read(CAPTURES[name]())


def original(name: str) -> Trace:
    return nfsrpc.read(Capture("repro", f"{name}.pcap").path)


@pytest.fixture(params=[pytest.param(made, id="made"), original if ORIGINALS else missing("repro")])
def trace(request: pytest.FixtureRequest) -> Open:
    opener: Open = request.param
    return opener


def values(trace: Trace, table: str, *columns: str) -> list[tuple[Any, ...]]:
    read = trace.tables[table]
    return list(zip(*map(read.values, columns), strict=True))


def found(diagnosis: Diagnosis, rule: str) -> Finding:
    (finding,) = (finding for finding in diagnosis.findings if finding.rule == rule)
    return finding


def rules(diagnosis: Diagnosis) -> set[str]:
    return {finding.rule for finding in diagnosis.findings}


def frames(finding: Finding) -> set[int]:
    return {proof.frame for proof in finding.evidence}


def test_async_cookie_collision(trace: Open) -> None:
    """LOCK_RES in frame 5 answers the LOCK_MSG of frame 1, and 6 that of 3: one cookie, two clients."""
    columns = ("client", "frame", "state", "granted_frame", "blocked_frame")
    assert values(trace("async-cookie-collision"), "locks", *columns) == [
        ("10.0.0.1", 1, "held", 5, None),
        ("10.0.0.2", 3, "waiting", None, 6),
    ]


def test_lock_unanswered_reconnect(trace: Open) -> None:
    """One LOCK, sent three times, on two connections, never answered."""
    read = trace("lock-unanswered-reconnect")
    assert values(read, "calls", "procedure", "call_frame", "retransmits", "state") == [("LOCK", 4, 2, "unanswered")]
    assert values(read, "copies", "frame", "reply") == [(5, False), (10, False)]
    assert len(read.tables["flows"]) == 2
    diagnosis = read.diagnosis
    assert (diagnosis.verdict.rule, diagnosis.verdict.state) == ("LCK001", "fault")
    assert found(diagnosis, "LCK001").host == "10.0.0.9"
    assert 4 in frames(found(diagnosis, "LCK001"))


def test_getport_zero(trace: Open) -> None:
    """Five times, 3 s apart, NLM is not registered; neither is statd, says the empty address of frame 12."""
    read = trace("getport-zero")
    assert values(read, "registrations", "reply_frame", "source", "prog", "vers", "port") == [
        *((frame, "GETPORT", 100021, 4, 0) for frame in (2, 4, 6, 8, 10)),
        (12, "GETADDR", 100024, 1, 0),
    ]
    diagnosis = read.diagnosis
    assert {"REG003", "REG001"} <= rules(diagnosis)
    assert (found(diagnosis, "REG003").host, found(diagnosis, "REG003").count) == ("10.0.0.9", 5)
    assert found(diagnosis, "REG001").host == "10.0.0.9"
    assert 12 in frames(found(diagnosis, "REG001"))


def test_grant_refused(trace: Open) -> None:
    """GRANTED_MSG in frame 6 is for the LOCK of frame 4, and GRANTED_RES in frame 8 refuses it."""
    read = trace("grant-refused")
    columns = (
        "frame",
        "blocked_frame",
        "callback_frame",
        "callback_state",
        "callback_status",
        "state",
        "granted_frame",
    )
    assert values(read, "locks", *columns) == [(4, 5, 6, "answered", 1, "waiting", None)]
    assert read.verdict.rule == "CBK002"
    assert found(read.diagnosis, "CBK002").host == "10.0.0.1"


def test_fragments_out_of_order(trace: Open) -> None:
    """A record of three fragments in three segments, two of them swapped."""
    read = trace("fragments-out-of-order")
    columns = ("procedure", "call_frame", "reply_frame", "status", "retransmits")
    assert values(read, "calls", *columns) == [("LOCK", 6, 7, 2, 0)]
    assert read.verdict.rule == "LCK004"


def test_xid_reuse(trace: Open) -> None:
    """A DUMP with the xid of the GETPORT before; and one xid for two hosts, who answer in the other order."""
    read = trace("xid-reuse")
    columns = ("frame", "reply_frame", "host", "source", "prog", "vers", "transport", "port")
    assert values(read, "registrations", *columns) == [
        (1, 2, "10.0.0.9", "GETPORT", 100021, 4, "tcp", 4045),
        (3, 4, "10.0.0.9", "DUMP", 100024, 1, "udp", 662),
        (5, 8, "10.0.0.10", "GETPORT", 100024, 1, "udp", 662),
        (6, 7, "10.0.0.11", "GETPORT", 100021, 4, "udp", 0),
    ]
    assert values(read, "calls", "retransmits", "duplicates") == [(0, 0)] * 4
    assert "10.0.0.10" not in {finding.host for finding in read.diagnosis.findings}


def test_monitor_refused(trace: Open) -> None:
    """statd will not watch the client; then it tells lockd what the client's statd told it."""
    read = trace("monitor-refused")
    columns = ("frame", "reply_frame", "host", "asker", "procedure", "result", "nsm_state", "loopback")
    mon, notify, downcall = values(read, "monitors", *columns)
    assert mon[:6] == (3, 4, "10.0.0.9", "10.0.0.9", "MON", 1)
    assert notify == (5, 6, "10.0.0.9", "10.0.0.1", "NOTIFY", None, 5, False)
    assert downcall == (7, 8, "10.0.0.9", "10.0.0.9", "DOWNCALL", None, 5, True)
    names = values(read, "monitors", "mon_name")
    assert names[1:] == [("web-1",), ("web-1",)]
    assert found(read.diagnosis, "MON001").host == "10.0.0.9"
    assert {3, 4} <= frames(found(read.diagnosis, "MON001"))


def test_snaplen_96(trace: Open) -> None:
    """Arguments are missing, not wrong; the results are there."""
    read = trace("snaplen-96")
    assert values(read, "calls", "procedure", "call_frame", "reply_frame", "status") == [
        ("LOCK", 1, 2, 0),
        ("LOCK", 3, 4, 1),
        ("LOCK", 5, 6, 2),
        ("LOCK", 7, 8, 3),
    ]
    assert len(read.tables["locks"]) == len(read.tables["oddities"]) == 0
    assert "CAP003" in rules(read.diagnosis)


def test_lost_segment(trace: Open) -> None:
    """The call of the reply in frame 8 was never captured; the other five LOCKs have their replies."""
    read = trace("lost-segment")
    assert values(read, "calls", "state", "procedure", "call_frame", "reply_frame") == [
        ("answered", "LOCK", 4, 5),
        ("answered", "LOCK", 6, 7),
        ("orphan", None, None, 8),
        ("answered", "LOCK", 9, 10),
        ("answered", "LOCK", 11, 12),
        ("answered", "LOCK", 13, 14),
    ]
    assert "CAP002" in rules(read.diagnosis)


def test_handle_to_path(trace: Open) -> None:
    """The file of the LOCK in frame 11."""
    read = trace("handle-to-path")
    assert values(read, "locks", "frame", "server", "file") == [(11, "10.0.0.9", "/srv/www/sess.lock")]
    assert values(read, "paths", "frame", "path") == [(2, "/srv/www"), (7, "/srv/www/sess.lock")]


def test_captured_twice(trace: Open) -> None:
    """Three LOCKs, each frame captured twice 3 µs apart: no retransmission."""
    read = trace("captured-twice")
    columns = ("call_frame", "reply_frame", "retransmits", "duplicates", "state")
    assert values(read, "calls", *columns) == [
        (1, 3, 0, 0, "answered"),
        (5, 7, 0, 0, "answered"),
        (9, 11, 0, 0, "answered"),
    ]
    assert read.captures[0]["quality"]["duplicates"] == 6
    assert "CAP004" in rules(read.diagnosis)


def test_every_original_is_made_here() -> None:
    if not ORIGINALS:
        pytest.skip("no originals")
    originals = {path.stem for path in Capture("repro", "").path.glob("*.pcap")}
    assert originals == set(CAPTURES)
