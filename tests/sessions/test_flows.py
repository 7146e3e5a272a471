"""Flows, what they carry, and what captures lack."""

from __future__ import annotations

from typing import Any

import pytest

from tests.records import sent_again
from tests.scenario import Host, Scenario
from tests.sessions.conftest import Read


@pytest.fixture
def pair() -> tuple[Scenario, Host, Host]:
    s = Scenario()
    return s, s.host("10.0.0.9", name="nfssrv"), s.host("10.0.0.1", name="web-1")


def flow(rows: Any, port: int) -> Any:
    (found,) = [row for row in rows if row.server_port == port]
    return found


def test_a_port_that_never_answers_is_known_by_its_registration(
    pair: tuple[Scenario, Host, Host], tables: Read
) -> None:
    s, server, client = pair
    client.getport(server, "nlm4")
    client.syn(server, 32803, resend=[1, 3, 7])
    row = flow(tables(s.capture())["flows"].rows(), 32803)
    assert (row.program, row.registered, row.rpc) == ("nlm", True, False)
    assert (row.syn, row.synack, row.synack_frame, row.rst_frame) == (4, 0, None, None)
    assert row.syn_last - row.syn_time == 7_000_000_000
    assert (row.c_frames, row.s_frames, row.s_last) == (4, 0, None)


def test_a_port_that_refuses(pair: tuple[Scenario, Host, Host], tables: Read) -> None:
    s, server, _ = pair
    server.getport(server, "nsm1", port=662)
    server.syn(server, 662, refused=True)
    row = flow(tables(s.capture(at=server, on="any"))["flows"].rows(), 662)
    assert (row.program, row.registered, row.loopback, row.s_rst) == ("nsm", True, True, 1)
    assert (row.rst_capture, row.syn_frame < row.rst_frame) == (0, True)


def test_a_port_that_nobody_named(pair: tuple[Scenario, Host, Host], tables: Read) -> None:
    s, server, client = pair
    client.getport(server, "nlm4", port=0)
    client.syn(server, 4711, refused=True)
    client.syn(server, 111, refused=True)
    rows = [row for row in tables(s.capture())["flows"].rows() if not row.rpc]
    assert [(row.server_port, row.program, row.registered) for row in rows] == [
        (4711, None, False),
        (111, "portmap", False),
    ]


def test_another_host_or_transport_is_another_port(pair: tuple[Scenario, Host, Host], tables: Read) -> None:
    s, server, client = pair
    client.getport(server, "nlm4", netid="udp")
    other = s.host("10.0.0.8")
    client.syn(server, 32803, refused=True)
    client.syn(other, 32803, refused=True)
    rows = [row for row in tables(s.capture())["flows"].rows() if row.server_port == 32803]
    assert [row.registered for row in rows] == [False, False]


def test_rpcbind_names_another_address(pair: tuple[Scenario, Host, Host], tables: Read) -> None:
    """A lock manager in another network namespace: the address in the answer counts, and the one that was asked."""
    s, server, client = pair
    container = s.host("172.17.0.2")
    question = {"r_prog": 100021, "r_vers": 4, "r_netid": "tcp", "r_addr": "", "r_owner": ""}
    client.call(server, "rpcbind4", "GETADDR", **question).reply(addr="172.17.0.2.128.35")
    for host, port in ((container, 32803), (server, 32803), (container, 32804)):
        client.syn(host, port, refused=True)
    rows = [row for row in tables(s.capture())["flows"].rows() if row.server_port != 111]
    assert [(row.program, row.registered) for row in rows] == [("nlm", True), ("nlm", True), (None, False)]


def test_calls_tell_the_program_of_a_flow(pair: tuple[Scenario, Host, Host], tables: Read) -> None:
    s, server, client = pair
    client.lock(server, port=4045, transport="udp").granted()
    client.call(server, "nlm4", "NULL", port=4046).unreachable()
    rows = list(tables(s.capture())["flows"].rows())
    assert [(row.program, row.registered, row.c_calls, row.s_replies, row.icmp) for row in rows] == [
        ("nlm", False, 1, 1, 0),
        ("nlm", False, 1, 0, 1),
    ]


def test_a_flow_of_two_vantages_counts_once(pair: tuple[Scenario, Host, Host], tables: Read) -> None:
    s, server, client = pair
    client.syn(server, 32803, resend=[1])
    flows = tables(server=s.capture(at=server), client=s.capture(at=client))["flows"]
    assert [row.duplicate_of for row in flows.rows()] == [None, 0]


def test_quality_of_a_capture_that_lacks_much(pair: tuple[Scenario, Host, Host], tables: Read) -> None:
    s, server, client = pair
    for svid in range(3):
        client.lock(server, svid=svid).granted()
        s.wait(15)
    whole = next(tables(s.capture())["quality"].rows())
    assert (whole.calls, whole.undecided, whole.orphans, whole.one_way_flows, whole.truncated) == (3, 0, 0, 0, False)
    half = next(tables(s.capture(sent_by=client))["quality"].rows())
    assert (half.calls, half.undecided, half.one_way_flows) == (3, 3, 1)
    cut = next(tables(s.capture(snaplen=96))["quality"].rows())
    assert cut.cut_frames >= 3
    short = next(tables(s.capture()[:-7])["quality"].rows())
    assert short.truncated
    lost = next(tables(s.capture(lost=[4]))["quality"].rows())
    assert lost.lost_bytes > 0


def test_the_longest_stretch_of_retransmissions_without_an_answer(
    pair: tuple[Scenario, Host, Host], tables: Read
) -> None:
    s, server, client = pair
    client.lock(server).granted()
    s.wait(5)
    lost = client.lock(server, "/srv/b", acked=False)
    frame = len(s.packets())
    lost.granted(after=10)
    s.wait(5)
    delayed = client.lock(server, "/srv/c", acked=False)
    later = len(s.packets())
    delayed.granted(after=0.3)
    capture = sent_again(s.capture(), {frame: [0.2, 0.6, 6.2], later: [0.1]})
    row = flow(tables(capture)["flows"].rows(), 32803)
    assert (row.c_unheard, row.c_retransmitted) == (3, 4)
    assert row.c_unheard_last - row.c_unheard_first == 10_000_000_000
    assert (row.s_unheard, row.s_unheard_first, row.s_unheard_last) == (0, None, None)


def test_a_flow_that_is_there_to_the_end_was_not_evicted(pair: tuple[Scenario, Host, Host], tables: Read) -> None:
    s, server, client = pair
    client.getattr(server, "/srv")
    (row,) = tables(s.capture())["flows"].rows()
    assert (row.rpc, row.superseded, row.evicted, row.tls) == (True, False, False, False)
