"""Facts at the edges that no capture of a story comes to: equal times, missing durations, clocks that differ."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any, cast

import numpy as np
import pytest

from nfsrpc.columns import NAT
from nfsrpc.facts.attempts import AGAIN, silent_since
from nfsrpc.facts.vantages import Vantages, at_ends
from nfsrpc.facts.waiters import Waiter
from nfsrpc.wording import SECOND

FLOW, LAST = 7, 100


@pytest.mark.parametrize(
    ("heard", "found"), [(LAST - 1, {FLOW: LAST - 1}), (LAST, {}), (LAST + 1, {}), (NAT, {FLOW: 0})]
)
def test_a_server_that_is_heard_with_the_clients_last_frame_is_not_silent(heard: int, found: dict[int, int]) -> None:
    columns = {"flow": FLOW, "first": 1, "c_last": LAST, "s_last": heard, "c_retransmitted": AGAIN, "transport": "tcp"}
    connections: Any = {name: np.array([value]) for name, value in columns.items()}
    assert silent_since(connections) == found


def test_a_wait_of_unknown_length_ends_where_it_begins() -> None:
    row: Any = SimpleNamespace(requested=5 * SECOND, wait_s=None)
    assert Waiter(row, 0, None).end == 5 * SECOND
    row.wait_s = 1.5
    assert Waiter(row, 0, None).end == 6.5 * SECOND


@pytest.mark.parametrize("ahead", [0, 3 * SECOND, -3 * SECOND])
def test_where_a_capture_was_taken_is_asked_by_its_own_clock(ahead: int) -> None:
    """The second capture is taken at the server, in the moment of the connection only."""
    moment = 100 * SECOND

    def taken_at(host: str, time: int) -> set[int]:
        return {1} if (host, time) == ("10.0.0.9", moment) else set()

    vantages = cast(Vantages, SimpleNamespace(ahead={0: ahead}, taken_at=taken_at))
    client, server = (SimpleNamespace(server="10.0.0.9", vantage=number, first=moment + ahead) for number in (0, 1))
    assert at_ends(client, server, vantages) == (client, server)
