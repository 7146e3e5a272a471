"""Every NLM exchange finds the lock session that it belongs to."""

from __future__ import annotations

from nfsrpc.sessions.lock_exchanges import Membership
from tests.scenario import Scenario
from tests.sessions.conftest import Read


def members(read: Read, s: Scenario) -> dict[int, list[str]]:
    """By session the procedures of its exchanges, in the order of their calls."""
    tables = read(s.capture())
    found = Membership(tables.decoded, tables["calls"], tables["locks"])
    procedures = {row.exchange: row.procedure for row in tables["calls"].rows()}
    assert {number: row for row, numbers in found.exchanges.items() for number in numbers} == found.session
    return {
        row: [name for number, name in procedures.items() if number in set(found.exchanges[row])]
        for row in sorted(found.exchanges)
    }


def test_polls_call_backs_and_their_results(tables: Read) -> None:
    s = Scenario()
    server, one, two = s.host("10.0.0.9", name="nfssrv"), s.host("10.0.0.1", name="a"), s.host("10.0.0.2", name="b")
    held = one.lock(server).granted()
    waits = two.lock(server, svid=2).blocked()
    for _ in range(2):
        s.wait(30.7)
        waits = two.lock(server, svid=2).blocked()
    held.unlock().granted()
    waits.granted()
    waits.unlock().granted()
    assert members(tables, s) == {
        0: ["LOCK", "UNLOCK"],
        1: ["LOCK", "LOCK", "LOCK", "GRANTED_MSG", "GRANTED_RES", "UNLOCK"],
    }


def test_the_next_session_on_the_same_range_is_another(tables: Read) -> None:
    s = Scenario()
    server, one = s.host("10.0.0.9"), s.host("10.0.0.1", name="a")
    for _ in range(2):
        one.lock(server).granted().unlock().granted()
        s.wait(3)
    one.lock(server, offset=5, length=1).granted()
    assert members(tables, s) == {0: ["LOCK", "UNLOCK"], 1: ["LOCK", "UNLOCK"], 2: ["LOCK"]}


def test_asynchronous_requests(tables: Read) -> None:
    s = Scenario()
    server, one = s.host("10.0.0.9"), s.host("10.0.0.1", name="a")
    one.lock(server, asynchronous=True).granted().unlock().granted()
    assert members(tables, s) == {0: ["LOCK_MSG", "LOCK_RES", "UNLOCK"]}


def test_nothing_to_belong_to(tables: Read) -> None:
    s = Scenario()
    s.host("10.0.0.1").getattr(s.host("10.0.0.9"), "/srv")
    assert members(tables, s) == {}
