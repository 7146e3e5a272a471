"""What statds are asked, what they tell others, and their own lockd."""

from __future__ import annotations

import pytest

from tests.scenario import Host, Scenario
from tests.sessions.conftest import Read


@pytest.fixture
def pair() -> tuple[Scenario, Host, Host]:
    s = Scenario()
    server, client = s.host("10.0.0.9", name="nfssrv"), s.host("10.0.0.1", name="web-1")
    client.getattr(server, "/srv")
    return s, server, client


@pytest.mark.parametrize(("stat", "result"), [("STAT_SUCC", 0), ("STAT_FAIL", 1)])
def test_monitoring(pair: tuple[Scenario, Host, Host], tables: Read, stat: str, result: int) -> None:
    s, server, client = pair
    server.monitor(client).reply(after=10.2, res_stat=stat, state=9)
    (row,) = tables(s.capture(at=server, on="any"))["monitors"].rows()
    assert (row.procedure, row.host, row.asker, row.loopback) == ("MON", "10.0.0.9", "10.0.0.9", True)
    assert (row.mon_name, row.my_name, row.peer) == ("10.0.0.1", "nfssrv", "10.0.0.1")
    assert (row.my_prog, row.my_vers, row.my_proc) == (100021, 3, 16)
    assert (row.result, row.nsm_state, row.state, row.latency_s, row.port) == (result, 9, "answered", 10.2, 662)


def test_a_reboot_and_the_downcall(pair: tuple[Scenario, Host, Host], tables: Read) -> None:
    s, server, client = pair
    server.notify(client, 5).reply()
    down = {"mon_name": "10.0.0.9", "state": 5, "priv": b"\0" * 16}
    client.call(client, "nlm3", "NSM_NOTIFY", transport="udp", **down).reply()
    notice, downcall = tables(s.capture(at=client, on="any"))["monitors"].rows()
    assert (notice.procedure, notice.host, notice.asker, notice.nsm_state) == ("NOTIFY", "10.0.0.1", "10.0.0.9", 5)
    assert (notice.mon_name, notice.peer, notice.loopback) == ("nfssrv", "10.0.0.9", False)  # who sends it names itself
    assert (downcall.procedure, downcall.host, downcall.nsm_state) == ("DOWNCALL", "10.0.0.1", 5)
    assert (downcall.mon_name, downcall.peer, downcall.loopback) == ("10.0.0.9", "10.0.0.9", True)


def test_unmonitoring_and_probing(pair: tuple[Scenario, Host, Host], tables: Read) -> None:
    s, server, _ = pair
    server.call(server, "nsm1", "NULL", transport="udp").reply()
    server.call(server, "nsm1", "SM_UNMON", mon_name="10.0.0.1", my_name="nfssrv").reply(state=7)
    rows = list(tables(s.capture(at=server, on="any"))["monitors"].rows())
    assert [(row.procedure, row.mon_name, row.nsm_state, row.result) for row in rows] == [
        ("NULL", None, None, None),
        ("UNMON", "10.0.0.1", 7, None),
    ]


def test_a_statd_that_does_not_answer(pair: tuple[Scenario, Host, Host], tables: Read) -> None:
    s, server, client = pair
    server.monitor(client)
    s.wait(30)
    client.getattr(server, "/srv")
    (row,) = tables(s.capture(at=server, on="any"))["monitors"].rows()
    assert (row.state, row.result, row.reply_frame, row.latency_s) == ("unanswered", None, None, None)
