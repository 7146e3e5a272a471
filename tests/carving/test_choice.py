"""Which frames come with what is wished: segments, fragments, what opens a connection, what names a file."""

from __future__ import annotations

import struct

import pytest

import nfsrpc
from nfsrpc.carving.choice import Wish, frames_of, messages, proof, with_connections, with_hosts
from nfsrpc.findings.finding import Evidence, Finding
from nfsrpc.protocols import program
from nfsrpc.trace import Trace
from tests.rpc_messages import auth_sys, encode_call
from tests.scenario import Host, Scenario


@pytest.fixture
def s() -> Scenario:
    return Scenario()


@pytest.fixture
def server(s: Scenario) -> Host:
    return s.host("10.0.0.9", name="nfssrv")


@pytest.fixture
def client(s: Scenario) -> Host:
    return s.host("10.0.0.1", name="web-1")


def chosen(trace: Trace, wish: Wish) -> dict[int, list[str]]:
    reasons = frames_of(trace.tables, wish)
    return {frame: list(reasons[capture, frame]) for capture, frame in sorted(reasons)}


def exchange(trace: Trace, procedure: str) -> int:
    calls = trace.tables["calls"]
    (row, *_) = calls.where(calls["procedure"] == procedure).rows()
    return int(row.exchange)


def finding(*evidence: Evidence, **fields: object) -> Finding:
    known = {
        "rule": "LCK001",
        "name": "lock",
        "severity": "error",
        "certainty": "certain",
        "host": None,
        "title": "",
        "explanation": "",
    }
    return Finding(**known | fields, evidence=evidence)


OPENS = ["opens the connection"]


def test_a_call_in_segments(s: Scenario, server: Host, client: Host) -> None:
    client.lock(server, svid=1).granted(after=0.01)
    client.lock(server, svid=2, fragments=3).granted(after=0.01)
    client.lock(server, svid=3).granted(after=0.01)
    trace = nfsrpc.read(s.capture())
    wish = Wish()
    wish.exchange([trace.tables["calls"].row(1).exchange], "wished")
    assert chosen(trace, wish) == {
        **dict.fromkeys((1, 2, 3), OPENS),
        6: ["part of the LOCK call"],
        7: ["part of the LOCK call"],
        8: ["LOCK call", "wished"],
        9: ["LOCK reply", "wished"],
    }


def test_segments_out_of_order_and_a_message_that_begins_in_the_segment_of_another(
    s: Scenario, server: Host, client: Host
) -> None:
    client.lock(server, fragments=3).granted(after=0.01)
    trace = nfsrpc.read(s.capture(swapped=[5]))
    wish = Wish()
    wish.exchange([0], "wished")
    assert list(chosen(trace, wish)) == [1, 2, 3, 4, 5, 6, 7]


def test_datagrams_have_no_segments_and_open_nothing(s: Scenario, server: Host, client: Host) -> None:
    for svid in range(3):
        client.lock(server, svid=svid, transport="udp").granted()
    trace = nfsrpc.read(s.capture())
    wish = Wish()
    wish.exchange([1], "wished")
    assert chosen(trace, wish) == {3: ["LOCK call", "wished"], 4: ["LOCK reply", "wished"]}


def test_copies_on_another_connection(s: Scenario, server: Host, client: Host) -> None:
    lock = client.lock(server)
    lock.unanswered(resend=[10])
    s.wait(5)
    lock.flow.reset(by_server=False)
    client.reconnect(server, server.ports[100021])
    lock.resend().granted()
    trace = nfsrpc.read(s.capture(lost=[5, 7]))
    wish = Wish()
    wish.exchange([0], "wished")
    assert chosen(trace, wish) == {
        **dict.fromkeys((1, 2, 3, 7, 8, 9), OPENS),
        4: ["LOCK call", "wished"],
        5: ["LOCK call, retransmitted", "wished"],
        10: ["LOCK call, retransmitted", "wished"],
        11: ["LOCK reply", "wished"],
    }
    wish = Wish()
    wish.flow([1], "all of it")
    assert chosen(trace, wish)[7] == [*OPENS, "all of it"]
    assert list(chosen(trace, wish)) == [7, 8, 9, 10, 11, 12]


def test_only_the_message_of_a_frame(s: Scenario, server: Host, client: Host) -> None:
    client.lock(server).granted(after=0.01)
    trace = nfsrpc.read(s.capture())
    wish = Wish()
    wish.frame((0, 5), "asked for")
    wish.messages.add((0, 5))
    assert chosen(trace, wish) == {**dict.fromkeys((1, 2, 3), OPENS), 5: ["LOCK reply", "asked for"]}


def test_proof_brings_the_session_the_names_and_the_ends(s: Scenario, server: Host, client: Host) -> None:
    client.mount(server, "/srv", transport="udp")
    client.lookup(server, "/srv", "other")
    client.lookup(server, "/srv", "a")
    lock = client.lock(server, "/srv/a", transport="udp").granted()
    client.lock(server, "/srv/other", svid=3, transport="udp").granted()
    s.wait(1)
    lock.unlock().granted()
    client.getattr(server, "/srv/a")
    trace = nfsrpc.read(s.capture())
    calls = trace.tables["calls"]
    places = {row.procedure: row.call_frame for row in calls.rows()}
    first = calls.where(calls["procedure"] == "LOCK").row(0).call_frame
    wish = proof(trace.tables, [finding(Evidence(0, first, "asks"), files=("/srv/a",))])
    found = chosen(trace, wish)
    assert found[1] == ["MNT call", "the capture begins"]
    assert found[2] == ["MNT reply", "LCK001: names the file"]
    assert found[first] == ["LOCK call", "LCK001: asks"]
    assert found[first + 1] == ["LOCK reply", "LCK001: of the proof"]
    assert found[places["UNLOCK"]] == ["UNLOCK call", "LCK001: of the lock session"]
    assert found[max(found)][-1] == "the capture ends"
    names = [frame for frame, why in found.items() if why[0] == "LOOKUP call"]
    assert len(names) == 1
    assert sum("LOCK call" in why for why in found.values()) == 1


def test_an_attempt_to_connect_is_wished_with_all_its_repetitions(s: Scenario, server: Host, client: Host) -> None:
    client.syn(server, 32803, resend=[1, 3])
    client.syn(server, 111, refused=True)
    client.lock(server, transport="udp").unreachable()
    trace = nfsrpc.read(s.capture())
    for frame, expected in ((1, [1, 2, 3]), (5, [4, 5]), (7, [6, 7])):
        found = chosen(trace, proof(trace.tables, [finding(Evidence(0, frame, "fails"))]))
        assert set(expected) <= set(found)
        assert len(set(found) - {*expected, 1, 7}) == 0


def test_ever_wider(s: Scenario, server: Host, client: Host) -> None:
    other = s.host("10.0.0.2")
    client.lock(server).granted(after=0.01)
    client.getattr(server, "/srv")
    client.getport(server, "nlm4", transport="udp")
    other.getport(server, "nlm4", transport="udp")
    other.getattr(server, "/srv")
    trace = nfsrpc.read(s.capture())
    findings = [finding(Evidence(0, 4, "asks"))]
    least = proof(trace.tables, findings)
    hosts = [
        with_hosts(trace.tables, least, findings, others=others, nfs=nfs)
        for nfs in (False, True)
        for others in (False, True)
    ]
    flows = [set(wish.flows) for wish in (least, with_connections(trace.tables, least), *hosts)]
    lockd, nfs, portmap, others_portmap, others_nfs = range(5)
    assert flows == [
        set(),
        {lockd},
        {lockd, portmap},
        {lockd, portmap, others_portmap},
        {lockd, nfs, portmap},
        {lockd, nfs, portmap, others_portmap, others_nfs},
    ]


def test_whose_loopback_it_is(s: Scenario, server: Host, client: Host) -> None:
    server.monitor(client, transport="udp").reply(res_stat="STAT_SUCC", state=3)
    client.lock(server, transport="udp").granted()
    server.call(client, "nlm4", "NULL", transport="udp").reply()
    server.call(client, "nlm4", "NULL", transport="udp").reply()
    trace = nfsrpc.read(s.capture(at=server, on="any"))
    found = chosen(trace, proof(trace.tables, [finding(Evidence(0, 1, "asks"))]))
    assert found[5] == ["NULL call", "tells whose loopback this is"]
    assert 7 not in found


def test_a_message_that_begins_in_the_segment_of_another(s: Scenario, server: Host, client: Host) -> None:
    first, second = (
        struct.pack(">I", 1 << 31 | len(message)) + message
        for message in (encode_call(program("nlm4"), "LOCK", xid=xid, cred=auth_sys("web-1")) for xid in (1, 2))
    )
    flow = client.flow(server, 32803, 6)
    for part in (first + second[:50], second[50:]):
        flow.note(s.tick(), True, 24, part)
    flow.note(s.tick(), True, 24, first[:4] + b"\0\0\0\3" + first[8:])
    trace = nfsrpc.read(s.capture())
    expected = {1: [1, 2, 3, 4], 2: [1, 2, 3, 4, 5], 3: [1, 2, 3, 6]}
    for xid, frames in expected.items():
        calls = trace.tables["calls"]
        wish = Wish()
        wish.exchange(calls["exchange"][calls["xid"] == xid].tolist(), "wished")
        assert list(chosen(trace, wish)) == frames


def test_copies_are_part_of_the_proof_too(s: Scenario, server: Host, client: Host) -> None:
    client.getattr(server, "/srv", transport="udp")
    client.lock(server, transport="udp").granted(after=20, resent=[10], copies=1)
    client.getattr(server, "/srv", transport="udp")
    trace = nfsrpc.read(s.capture())
    found = chosen(trace, proof(trace.tables, [finding(Evidence(0, 4, "again"))]))
    assert list(found) == [1, 3, 4, 5, 7]
    assert found[4] == ["LOCK call, retransmitted", "LCK001: again"]
    assert found[5] == ["LOCK reply", "LCK001: of the proof"]


def test_a_reply_comes_on_the_connection_of_the_last_call(s: Scenario, server: Host, client: Host) -> None:
    lock = client.lock(server, acked=False)
    s.wait(5)
    lock.flow.reset(by_server=False)
    client.reconnect(server, 32803, same_port=False)
    lock.resend().reply(stat="GRANTED", copies=2)
    trace = nfsrpc.read(s.capture())
    (row,) = trace.tables["calls"].rows()
    reply = next(m for m in messages(trace.tables, [row.exchange]) if m.what == "LOCK reply")
    flows = trace.tables["flows"]
    assert reply.flow == flows.row(1).flow != row.flow
