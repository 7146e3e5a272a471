"""A capture by another clock may hold what never came in this one: then nothing says for certain that it never did."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import partial
from pathlib import Path
from typing import Literal

import pytest

import nfsrpc
from nfsrpc.diagnosis.catalogue import rules
from nfsrpc.findings.finding import Diagnosis, Finding
from nfsrpc.sources import SourceError
from tests.scenario import Host, LockRequest, Scenario
from tests.wire import shifted

SERVER, A, B = "10.9.0.1", "10.8.0.1", "10.8.0.2"
NAMES = ("before.pcap", "after.pcap")


class Site:
    """Two clients of a server. The first one sends a LOCK, and again after 10 s, and has no reply for a minute."""

    def __init__(self) -> None:
        self.scenario = Scenario()
        self.started = self.scenario.now
        self.server = self.scenario.host(SERVER, name="srv")
        self.clients = [self.scenario.host(address, name=f"cl{number}") for number, address in enumerate((A, B), 1)]
        self.slow = self.sent(self.clients[0])
        self.at(60)
        self.asked(*self.clients)

    def at(self, seconds: float) -> None:
        """Waits until so many seconds after the start."""
        self.scenario.wait(seconds - (self.scenario.now - self.started) / 1e9)

    def sent(self, client: Host) -> LockRequest:
        client.getattr(self.server, "/srv")
        return client.lock(self.server, "/srv/slow").unanswered(resend=[10.2])

    def asked(self, *clients: Host) -> None:
        for client in clients:
            client.getattr(self.server, "/srv")

    def halves(self, at: Host) -> list[bytes]:
        """What a host captured up to a minute after the LOCK, and later."""
        return [self.scenario.capture(at=at, until=65), self.scenario.capture(at=at, since=100)]


def written(folder: Path, captures: Sequence[bytes], names: Sequence[str] = NAMES) -> list[Path]:
    paths = [folder / name for name in names]
    for path, data in zip(paths, captures, strict=True):
        path.parent.mkdir(exist_ok=True)
        path.write_bytes(data)
    return paths


def unanswered(diagnosis: Diagnosis) -> list[Finding]:
    return [found for found in diagnosis.findings if found.rule == "LCK001"]


def lonely(data: bytes) -> Finding:
    """The finding of one capture, which is certain."""
    (found,) = unanswered(nfsrpc.read(data).diagnosis)
    assert found.certainty == "certain"
    return found


def together(paths: Sequence[Path], clocks: int = 2) -> nfsrpc.Trace:
    trace = nfsrpc.read(*paths)
    assert len(set(trace.tables["captures"]["clock"].tolist())) == clocks
    return trace


ORDERS = pytest.mark.parametrize("order", [1, -1], ids=["before first", "after first"])


def one_asks(site: Site) -> None:
    """The two hosts exchange something else, and the reply may have come between the captures."""
    site.asked(site.clients[0])


def resent_in_vain(site: Site) -> None:
    site.slow.unanswered(resend=[2.0])
    site.at(150)
    site.asked(site.clients[0])


def answered_late(site: Site) -> None:
    """Which reply is whose is not asked: an xid comes again."""
    site.slow.granted()
    site.asked(site.clients[0])


def answered_with_another_xid(site: Site) -> None:
    other = site.clients[0].lock(site.server, "/srv/other")
    other.granted()
    site.asked(site.clients[0])


@ORDERS
@pytest.mark.parametrize("story", [one_asks, resent_in_vain, answered_late, answered_with_another_xid])
def test_a_capture_of_the_same_two_hosts_makes_it_likely(
    tmp_path: Path, story: Callable[[Site], None], order: int
) -> None:
    site = Site()
    site.at(120)
    story(site)
    halves = site.halves(site.clients[0])
    alone = lonely(halves[0])
    trace = together(written(tmp_path, halves)[::order])
    (found,) = (each for each in unanswered(trace.diagnosis) if each.wait_s == alone.wait_s)
    assert (found.certainty, found.host, found.clients) == ("likely", SERVER, (A,))
    assert (
        f"after.pcap shows {A} with {SERVER} as well, and no message tells whether it was taken later: what did not "
        "come here may have come later." in found.explanation
    )


def certainties(captures: Sequence[bytes], folder: Path, clocks: int = 2) -> list[str]:
    names = [f"{number}.pcap" for number in "abc"[: len(captures)]]
    trace = together(written(folder, captures, names), clocks)
    return [found.certainty for found in unanswered(trace.diagnosis)]


def test_captures_of_two_clients_of_one_server_stay_certain(tmp_path: Path) -> None:
    site = Site()
    site.at(120)
    site.asked(*site.clients)
    captures = [site.scenario.capture(at=client) for client in site.clients]
    assert certainties(captures, tmp_path) == ["certain"]


def test_so_do_captures_of_two_servers_of_one_client(tmp_path: Path) -> None:
    site = Site()
    other = site.scenario.host("10.9.0.2", name="srv2")
    site.at(120)
    site.clients[0].getattr(other, "/srv")
    captures = [site.scenario.capture(at=site.clients[0], until=65), site.scenario.capture(at=other)]
    assert certainties(captures, tmp_path) == ["certain"]


def test_so_does_what_another_capture_shows_the_calls_of_alone(tmp_path: Path) -> None:
    """It could not hold a reply."""
    site = Site()
    site.at(120)
    site.asked(site.clients[0])
    client = site.clients[0]
    before, after = site.halves(client)
    one_way = site.scenario.capture(at=client, since=100, sent_by=client)
    assert certainties([before, one_way], tmp_path / "one-way") == ["certain"]
    assert certainties([before, after], tmp_path / "both-ways") == ["likely"]


def test_so_do_captures_at_both_ends_whose_messages_compare_the_clocks(tmp_path: Path) -> None:
    site = Site()
    captures = [site.scenario.capture(at=site.clients[0]), shifted(site.scenario.capture(at=site.server), 600)]
    assert certainties(captures, tmp_path, clocks=1) == ["certain"]


def test_so_does_a_ring(tmp_path: Path) -> None:
    site = Site()
    site.at(120)
    site.asked(site.clients[0])
    paths = written(tmp_path, site.halves(site.clients[0]), ("trace.pcap0", "trace.pcap1"))
    assert [found.certainty for found in unanswered(together(paths, clocks=1).diagnosis)] == ["certain"]


MANY = [f"10.8.0.{number}" for number in range(1, 10)]
IN_DOUBT = (
    " after.pcap shows {} with {} as well, and no message tells whether it was taken later: what did not come here may "
    "have come later."
)
OTHERS_NOT = " So of {} it is likely, of others certain."


def doubts(found: Finding) -> str:
    """What the explanation says of another clock."""
    at = found.explanation.find(" after.pcap shows")
    return found.explanation[at:] if at >= 0 else ""


@pytest.mark.parametrize("later", [0, 1, 5, 8, 9])
@pytest.mark.parametrize("waits_most", [0, 4])
def test_of_many_clients_those_are_in_doubt_that_another_clock_shows(
    tmp_path: Path, later: int, waits_most: int
) -> None:
    """Whichever of them the evidence shows: of those that wait for longest."""
    scenario = Scenario()
    server = scenario.host(SERVER, name="srv")
    clients = [scenario.host(address, name=f"cl{number}") for number, address in enumerate(MANY)]
    for client in clients:
        client.getattr(server, "/srv")
    for request in [client.lock(server, "/srv/slow") for client in clients[waits_most:] + clients[:waits_most]]:
        request.unanswered(resend=[10.2])
    scenario.wait(60)
    clients[0].getattr(server, "/srv")
    first = scenario.capture(at=server)
    scenario.wait(300)
    stranger = scenario.host("10.8.0.99", name="cl99")
    for client in [*clients[:later], stranger]:
        client.getattr(server, "/srv")
    second = scenario.capture(at=server, since=250)
    (found,) = unanswered(together(written(tmp_path, [first, second])).diagnosis)
    assert (found.clients, found.count) == (tuple(MANY), len(MANY))
    shown = {
        0: "",
        1: "10.8.0.1",
        5: "10.8.0.1, 10.8.0.2, 10.8.0.3 and 2 more",
        8: "10.8.0.1, 10.8.0.2, 10.8.0.3 and 5 more",
    }
    if later == len(MANY):
        doubt = IN_DOUBT.format("10.8.0.1, 10.8.0.2, 10.8.0.3 and 6 more", SERVER)
        assert (found.certainty, doubts(found)) == ("likely", doubt)
    else:
        doubt = IN_DOUBT.format(shown[later], SERVER) + OTHERS_NOT.format(shown[later])
        assert (found.certainty, doubts(found)) == ("certain", doubt if later else "")


@pytest.mark.parametrize(("again", "in_doubt"), [((A,), ""), ((B,), B), ((A, B), B)])
def test_a_client_whose_call_was_refused_is_not_in_doubt(tmp_path: Path, again: Sequence[str], in_doubt: str) -> None:
    scenario = Scenario()
    server = scenario.host(SERVER, name="srv")
    clients = [scenario.host(address, name=f"cl{address[-1]}") for address in (A, B)]
    locks = [client.lock(server, f"/srv/{client.name}").granted() for client in clients]
    scenario.wait(5)
    locks[0].unlock().denied("DENIED_NOLOCKS")
    locks[1].unlock().unanswered(resend=[10.2])
    scenario.wait(60)
    for client in clients:
        client.getattr(server, "/srv")
    first = scenario.capture(at=server)
    scenario.wait(300)
    for client in clients:
        if client.address in again:
            client.getattr(server, "/srv")
    captures = [first, scenario.capture(at=server, since=250)]
    (found,) = (each for each in together(written(tmp_path, captures)).diagnosis.findings if each.rule == "LCK007")
    assert (found.clients, found.certainty) == ((A, B), "certain")
    doubt = IN_DOUBT.format(in_doubt, SERVER) + OTHERS_NOT.format(in_doubt)
    assert doubts(found) == (doubt if in_doubt else "")


@pytest.mark.parametrize(
    ("again", "certainty", "in_doubt"), [((), "certain", ""), ((A,), "certain", A), ((A, B), "likely", f"{A} and {B}")]
)
def test_a_notice_of_reboot_may_have_come_later_to_the_holders_that_are_seen_again(
    tmp_path: Path, again: Sequence[str], certainty: str, in_doubt: str
) -> None:
    """The client that meets the grace period is in the later capture, too, and never in doubt: it held no lock."""
    scenario = Scenario()
    server = scenario.host(SERVER, name="srv")
    holders = [scenario.host(address, name=f"cl{address[-1]}") for address in (A, B)]
    other = scenario.host("10.8.0.99", name="cl99")
    for client in (*holders, other):
        client.getport(server, "nlm4")
    for client in holders:
        client.lock(server, f"/srv/{client.name}").granted()
    scenario.wait(30)
    other.lock(server, "/srv/other").denied("DENIED_GRACE_PERIOD")
    scenario.wait(130)
    for client in (*holders, other):
        client.getattr(server, "/srv")
    first = scenario.capture(at=server)
    scenario.wait(300)
    for client in (*holders, other):
        if client is other or client.address in again:
            client.getattr(server, "/srv")
    captures = [first, scenario.capture(at=server, since=350)]
    (found,) = (each for each in together(written(tmp_path, captures)).diagnosis.findings if each.rule == "MON008")
    assert (found.clients, found.certainty) == ((A, B), certainty)
    some = OTHERS_NOT.format(in_doubt) if certainty == "certain" else ""
    assert doubts(found) == (f"{IN_DOUBT.format(in_doubt, SERVER)}{some}" if in_doubt else "")


def test_only_the_hosts_of_the_call_without_reply_count(tmp_path: Path) -> None:
    """A later capture shows the client that waits for a silent holder: it does not show the holder."""
    for again, certainty in ((1, "certain"), (0, "likely")):
        site = Site()
        waiter = site.clients[1]
        site.slow.granted()
        site.at(70)
        waiter.lock(site.server, "/srv/slow").blocked()
        for later in (150, 220):
            site.at(later)
            site.asked(waiter)
        first = site.scenario.capture(at=site.server)
        site.at(400)
        site.asked(site.clients[again])
        second = site.scenario.capture(at=site.server, since=350)
        trace = together(written(tmp_path, [first, second]))
        (found,) = (each for each in trace.diagnosis.findings if each.rule == "LCK010")
        assert (found.host, found.certainty) == (A, certainty)


def unlocked_in_vain(site: Site) -> None:
    site.slow.granted()
    site.slow.unlock().unanswered(resend=[10.2])


def notified_in_vain(site: Site) -> None:
    site.slow.granted()
    site.server.notify(site.clients[0], 3).unanswered(resend=[3.0, 9.0])


def locked_late(site: Site) -> None:
    """That a reply came late is certain whatever comes later."""
    site.slow.granted()


STORIES = [(unlocked_in_vain, "LCK007"), (notified_in_vain, "MON004"), (locked_late, "LCK002")]


@pytest.mark.parametrize(("story", "rule"), STORIES)
def test_rules_that_say_never_are_doubted_and_others_are_not(
    tmp_path: Path, story: Callable[[Site], None], rule: str
) -> None:
    for address, certainty in ((B, "certain"), (A, "likely")):
        site = Site()
        story(site)
        site.at(150)
        site.asked(site.clients[0])
        first = site.scenario.capture(at=site.clients[0])
        site.at(300)
        later = next(client for client in site.clients if client.address == address)
        site.asked(later)
        captures = [first, site.scenario.capture(at=later, since=250)]
        found = together(written(tmp_path, captures)).diagnosis.findings
        assert [each.certainty for each in found if each.rule == rule] == ["certain" if rule == "LCK002" else certainty]


@ORDERS
def test_what_hangs_in_one_capture_is_a_fault_though_another_has_the_reply(tmp_path: Path, order: int) -> None:
    """Calls that no rule of locks asks about."""
    site = Site()
    client = site.clients[1]
    asked = [client.call(site.server, "nfs3", "GETATTR", object=b"f") for _ in range(20)]
    for call in asked:
        call.unanswered(resend=[10.0, 30.0, 70.0])
    site.at(300)
    first = site.scenario.capture(at=client)
    site.at(400)
    for call in asked:
        call.reply()
    site.asked(client)
    trace = together(written(tmp_path, [first, site.scenario.capture(at=client, since=350)])[::order])
    alone = nfsrpc.read(first)
    assert (alone.verdict.state, trace.verdict.state) == ("fault", "fault")
    hang = {found.rule for found in alone.diagnosis.findings if found.severity != "info"}
    assert hang == {"RPC005"}
    assert hang <= {found.rule for found in trace.diagnosis.findings}


def test_the_rules_that_say_never() -> None:
    never = {name for name, check in rules().items() if check.rule.says_never}
    assert never == {"CBK001", "LCK001", "LCK003", "LCK007", "LCK008", "LCK010", "MON004", "MON008"}


def called_back_in_vain(site: Site) -> None:
    """A callback that arrives at any later time shows that the port was open."""
    site.slow.blocked()
    site.slow.call_back().unanswered(resend=[10.0, 30.0])


def blocked_once(site: Site) -> None:
    site.slow.blocked()


def blocked_again(site: Site) -> None:
    """That the wait lasts is what the server says."""
    site.slow.blocked()
    site.at(100)
    site.clients[0].lock(site.server, "/srv/slow").blocked()


def blocked_and_granted(site: Site) -> None:
    site.slow.blocked()
    site.at(140)
    site.slow.granted()


def files_in_vain(site: Site) -> None:
    """They are not answered in time, whenever they are."""
    site.slow.granted()
    site.clients[0].call(site.server, "nfs3", "GETATTR", object=b"f").unanswered(resend=[30.0])


def looked_up_in_vain(site: Site, transport: Literal["tcp", "udp"] = "udp") -> None:
    """The first of these is sent after 62 s."""
    site.slow.granted()
    site.at(62)
    mapping = {"prog": 100021, "vers": 4, "prot": 6}
    asking = site.clients[0].call(site.server, "portmap2", "GETPORT", transport=transport, **mapping)
    asking.unanswered(resend=[3.0, 9.0])


def knocked_in_vain(site: Site) -> None:
    site.slow.granted()
    site.at(62)
    site.clients[0].syn(site.server, 111, resend=[1.0, 3.0, 7.0])


@pytest.mark.parametrize(
    ("story", "rule", "ends_s", "certainty"),
    [
        (called_back_in_vain, "CBK001", 150, "likely"),
        (blocked_once, "LCK011", 150, "likely"),
        (blocked_again, "LCK011", 150, "certain"),
        (blocked_and_granted, "LCK011", 150, "certain"),
        (files_in_vain, "RPC005", 150, "certain"),
        (looked_up_in_vain, "REG005", 62 + 29.9, "likely"),
        (looked_up_in_vain, "REG005", 62 + 30.1, "certain"),
        (partial(looked_up_in_vain, transport="tcp"), "REG005", 62 + 29.9, "likely"),
        (knocked_in_vain, "REG005", 62 + 29.9, "likely"),
        (knocked_in_vain, "REG005", 62 + 30.1, "certain"),
    ],
)
def test_what_a_finding_says_of_a_stretch_of_time_stays_certain(
    tmp_path: Path, story: Callable[[Site], None], rule: str, ends_s: float, certainty: str
) -> None:
    site = Site()
    story(site)
    site.at(ends_s)
    site.asked(*site.clients)
    first = site.scenario.capture()
    (alone,) = (each for each in nfsrpc.read(first).diagnosis.findings if each.rule == rule)
    assert alone.certainty == "certain"
    site.at(300)
    site.asked(site.clients[0])
    trace = together(written(tmp_path, [first, site.scenario.capture(since=250)]))
    (found,) = (each for each in trace.diagnosis.findings if each.rule == rule)
    assert found.certainty == certainty


@pytest.mark.parametrize("lacks", ["trace.pcap1", "other.pcap1"])
def test_a_ring_that_lacks_a_file_is_doubted_by_whichever_clock_it_is(tmp_path: Path, lacks: str) -> None:
    site = Site()
    site.at(120)
    site.asked(*site.clients)
    captures = [site.scenario.capture(at=client) for client in site.clients[::-1]]
    paths = written(tmp_path, captures, ("other.pcap0", "trace.pcap0"))
    (tmp_path / lacks).write_text("no capture")
    for order in (1, -1):
        trace = nfsrpc.read(*paths[::order], tmp_path / lacks)
        assert [type(error) for error in trace.skipped] == [SourceError]
        (found,) = unanswered(trace.diagnosis)
        assert found.certainty == ("likely" if lacks == "trace.pcap1" else "certain")
