"""What is true of the small captures that a common tool gets wrong, as far as the core alone can say it.

A row is an exchange: call frame, reply frame, frames of resends, frames of repeated replies (0: there is none).
"""

from typing import Any

import pytest

from tests.agreement.answer import calls_of_core, decode
from tests.captures_dir import SETS, Capture
from tests.reference import UNKNOWN

CALL_CUT = 16  # a flag of exchanges

pytestmark = pytest.mark.skipif(
    not SETS["repro"].found.is_dir(), reason=f"no captures in {SETS['repro'].found}: set {SETS['repro'].variable}"
)

Frames = tuple[int, int, tuple[int, ...], tuple[int, ...]]


def answered(*pairs: tuple[int, int]) -> list[Frames]:
    return [(call, reply, (), ()) for call, reply in pairs]


EXCHANGES: dict[str, list[Frames]] = {
    "async-cookie-collision": answered((1, 2), (3, 4), (5, 0), (6, 0)),
    "captured-twice": answered((1, 3), (5, 7), (9, 11)),
    "fragments-out-of-order": answered((6, 7)),
    "getport-zero": answered((1, 2), (3, 4), (5, 6), (7, 8), (9, 10), (11, 12)),
    "grant-refused": answered((4, 5), (6, 7), (8, 9)),
    "handle-to-path": answered((1, 2), (6, 7), (11, 12)),
    "lock-unanswered-reconnect": [(4, 0, (5, 10), ())],
    "lost-segment": answered((0, 8), (4, 5), (6, 7), (9, 10), (11, 12), (13, 14)),
    "monitor-refused": answered((1, 2), (3, 4), (5, 6), (7, 8)),
    "snaplen-96": answered((1, 2), (3, 4), (5, 6), (7, 8)),
    "xid-reuse": answered((1, 2), (3, 4), (5, 8), (6, 7)),
}


def batch(name: str) -> dict[str, Any]:
    return decode(Capture("repro", f"{name}.pcap").load())


@pytest.mark.parametrize("name", EXCHANGES)
def test_exchanges(name: str) -> None:
    found = calls_of_core(batch(name))
    assert [(each.call_frame, each.reply_frame, each.resends, each.duplicates) for each in found] == EXCHANGES[name]


def test_asynchronous_results_go_to_whom_they_are_for() -> None:
    found = calls_of_core(batch("async-cookie-collision"))
    assert [(each.client, each.server, each.proc) for each in found] == [
        ("10.0.0.1", "10.0.0.9", 7),
        ("10.0.0.2", "10.0.0.9", 7),
        ("10.0.0.9", "10.0.0.1", 12),
        ("10.0.0.9", "10.0.0.2", 12),
    ]


def test_a_reused_xid_is_told_apart_by_server_and_procedure() -> None:
    found = calls_of_core(batch("xid-reuse"))
    assert [(each.server, each.proc) for each in found] == [
        ("10.0.0.9", 3),
        ("10.0.0.9", 4),
        ("10.0.0.10", 3),
        ("10.0.0.11", 3),
    ]


def test_frames_captured_twice_are_counted_as_such() -> None:
    assert batch("captured-twice")["captures"]["duplicates"].tolist() == [6]


def test_a_cut_call_says_so() -> None:
    flags = batch("snaplen-96")["exchanges"]["flags"].tolist()
    assert [flag & CALL_CUT for flag in flags] == [CALL_CUT] * 4


def test_a_lost_call_leaves_an_orphan_and_a_gap() -> None:
    found = batch("lost-segment")
    assert calls_of_core(found)[0].prog == UNKNOWN
    assert found["flows"]["c_lost_bytes"].tolist() == [189]
    assert found["flows"]["s_lost_bytes"].tolist() == [0]


def test_a_reconnection_is_another_flow_of_one_exchange() -> None:
    found = batch("lock-unanswered-reconnect")
    assert found["copies"]["flow"].tolist() == [0, 1]
    assert len(found["flows"]["flow"]) == 2
    assert found["exchanges"]["retransmits"].tolist() == [2]
