"""When it is looked, and how it ends: with a source and a clock that the test turns."""

import threading
import time
from collections.abc import Callable, Iterator
from threading import Timer
from typing import TypeVar

import pytest

from nfsrpc.diagnosis.run import CutShort
from nfsrpc.sources import SourceError
from nfsrpc.sources.live_queue import NextFile
from nfsrpc.watch.limit import LAST_LOOK, LOOK, Allowance
from nfsrpc.watch.schedule import Live, Look, Options, Pace
from nfsrpc.watch.watch import Stir
from tests.scenario import Scenario
from tests.watch.pieces import by_time

T = TypeVar("T")


class Script:
    """A source that gives what it is messages to, then waits until it is stopped, or ends with an error."""

    drops: int | None = None

    def __init__(self, *pieces: bytes | NextFile, ends: bool = True, error: str = "", prompt: bool = True) -> None:
        self.name = "script"
        self.prompt = prompt
        self.given = pieces
        self.ends, self.error = ends, error
        self.stopped = threading.Event()
        self.given_all = threading.Event()

    def pieces(self) -> Iterator[bytes | NextFile]:
        yield from self.given
        self.given_all.set()
        if not self.ends:
            self.stopped.wait(10)
        if self.error:
            raise SourceError(self.name, self.error)

    def stop(self) -> None:
        self.stopped.set()


def waiting_lock() -> bytes:
    s = Scenario()
    server, client = s.host("10.0.0.9"), s.host("10.0.0.1", name="web-1")
    client.lock(server, "/srv/a").granted().unlock().granted()
    client.lock(server, "/srv/b")
    return s.capture(at=server)


def granted_locks() -> bytes:
    s = Scenario()
    server, client = s.host("10.0.0.9"), s.host("10.0.0.1", name="web-1")
    for _ in range(3):
        client.lock(server, "/srv/a").granted().unlock().granted()
    return s.capture(at=server)


def rules(look: Look) -> list[str]:
    return [finding.rule for finding in look.diagnosis.findings]


class Clock:
    """Hours pass in a look: once a source has given all that it has, each reading is so much later."""

    def __init__(self, source: Script, step: float) -> None:
        self.source, self.step = source, step
        self.now = 0.0

    def __call__(self) -> float:
        self.now += self.step if self.source.given_all.is_set() else 0.0
        return self.now


def test_a_request_that_waits_is_told_though_nothing_comes() -> None:
    source = Script(waiting_lock(), ends=False)
    live = Live(source, Options(interval_s=0.01), clock=Clock(source, 0.05))
    seen: list[tuple[str, str]] = []
    for look in live.looks():
        for change in look.changes:
            seen.append((change.what, change.finding.rule if change.finding else ""))
            if seen[-1] == ("appeared", "LCK001"):
                assert [round(wait.age_s) for wait in look.waits] == [10]
                assert change.finding
                assert change.finding.title == "1 LOCK to 10.0.0.9 not answered yet"
                live.stop()
    assert look.final
    assert look.diagnosis.findings[0].title == "1 LOCK to 10.0.0.9 never answered"
    assert seen[:3] == [("verdict", ""), ("waiting", ""), ("appeared", "LCK001")]


def test_where_packets_may_be_held_back_silence_proves_nothing() -> None:
    source = Script(waiting_lock(), ends=False, prompt=False)
    live = Live(source, Options(interval_s=0.01, for_s=60), clock=Clock(source, 0.05))
    *_, last = live.looks()
    assert last.final
    assert rules(last) == []


def test_until_finding_ends_at_the_first_fault() -> None:
    s = Scenario()
    server, client = s.host("10.0.0.9"), s.host("10.0.0.1")
    lock = client.lock(server)
    for _ in range(3):
        server.getport(server, "nsm1", port=0)
        s.wait(3)
    lock.unanswered()
    live = Live(Script(s.capture(at=server, on="any", link="sll2"), ends=False), Options(0.01, until_finding=True))
    *_, last = live.looks()
    assert last.final
    assert rules(last)[0] == "REG001"


@pytest.mark.parametrize("cut", [1, 100])
def test_a_source_that_fails_midway_ends_with_a_report(cut: int) -> None:
    live = Live(Script(waiting_lock()[:-cut], error="was ended by SIGKILL"), Options(0.01))
    *_, last = live.looks()
    assert last.final
    assert str(live.trouble) == "script: was ended by SIGKILL"
    assert last.trace.captures[0]["quality"]["truncated"]
    assert len(last.trace.tables["locks"]) >= 1


def test_a_stream_that_breaks_off_is_told_from_one_that_ends() -> None:
    for data, trouble in ((waiting_lock(), None), (waiting_lock()[:-1], "script: ended within a packet")):
        live = Live(Script(data), Options(0.01))
        *_, last = live.looks()
        assert last.final
        assert (live.trouble and str(live.trouble).partition(" (")[0]) == trouble


def test_rubbish_in_the_middle_is_noted_and_what_follows_is_read() -> None:
    before, after = waiting_lock(), waiting_lock()[24:]
    said: list[str] = []
    live = Live(Script(before, b"\xee" * 1000, after), Options(0.01), said.append)
    *_, last = live.looks()
    assert "capture-record" in last.trace.tables["oddities"]["kind"].tolist()
    assert live.watch.frames == 2 * (last.trace.captures[0]["frames"] // 2)
    frames = live.watch.frames // 2
    assert said == [f"script: what comes after frame {frames} is no packet; it is read on where there is one again"]
    assert live.trouble is None


def test_a_file_of_a_ring_that_is_no_capture_ends_with_a_report() -> None:
    live = Live(Script(waiting_lock(), NextFile("second"), b"\xee" * 1000), Options(0.01))
    *_, last = live.looks()
    assert "second" in str(live.trouble)
    assert len(last.trace.tables["locks"]) == 2


def test_what_is_no_capture_is_an_error() -> None:
    live = Live(Script(b"hello, this is no capture at all\n" * 9), Options(0.01))
    with pytest.raises(SourceError, match=r"script: .*capture"):
        list(live.looks())


def test_a_source_without_packets_ends_with_a_report() -> None:
    [last] = Live(Script(), Options(0.01)).looks()
    assert last.final
    assert last.diagnosis.verdict.state == "cannot-tell"
    assert not last.trace.captures[0]["quality"]["truncated"]


def test_all_that_was_delivered_is_seen() -> None:
    s = Scenario()
    server, client = s.host("10.0.0.9"), s.host("10.0.0.1")
    for number in range(500):
        client.lock(server, f"/srv/{number}").granted().unlock().granted()
    data = s.capture(at=server)
    chunks = [data[start : start + 999] for start in range(0, len(data), 999)]
    live = Live(Script(*chunks), Options(0.001))
    *_, last = live.looks()
    assert len(last.trace.tables["calls"]) == 1000


def test_silence_is_said_once() -> None:
    said: list[str] = []
    source = Script(waiting_lock(), ends=False)
    live = Live(source, Options(0.01, for_s=200), said.append, clock=Clock(source, 0.5))
    list(live.looks())
    assert len(said) == 1
    assert said[0].startswith("script: nothing has come for 6")


def test_what_the_source_says_it_lost_is_in_the_report() -> None:
    source = Script(waiting_lock())
    source.drops = 12
    *_, last = Live(source, Options(0.01)).looks()
    assert last.trace.captures[0]["quality"]["drops"] == 12


def test_a_storm_shortens_the_window_and_it_is_said() -> None:
    s = Scenario()
    server, client = s.host("10.0.0.9"), s.host("10.0.0.1")
    for number in range(20):
        client.lock(server, f"/srv/{number}").granted().unlock().granted()
        s.wait(1)
    said: list[str] = []
    *_, last = Live(Script(s.capture(at=server)), Options(0.01, max_rows=10), said.append).looks()
    assert len(last.trace.tables["calls"]) == 10
    assert said == ["script: so much is listed that rules look back on 4 s only"]


@pytest.mark.parametrize(("clients", "said"), [(5, []), (6, ["so much is listed that rules look back on 8 s only"])])
def test_very_many_sums_shorten_the_window(clients: int, said: list[str]) -> None:
    """Of each client there is a sum of its GETATTRs, and room for half as many sums as for exchanges."""
    s = Scenario()
    server, heard = s.host("10.0.0.9"), list[str]()
    for number in range(clients):
        s.host(f"10.0.0.{number + 1}").getattr(server, "/srv/a")
        s.wait(2)
    list(Live(Script(s.capture(at=server)), Options(0.01, max_rows=10), heard.append).looks())
    assert [line.removeprefix("script: ") for line in heard] == said


def test_a_storm_of_nfs_leaves_what_is_about_locks() -> None:
    before, storm = Scenario(1_700_000_000.0), Scenario(1_700_000_010.0)
    for s in (before, storm):
        server, client = s.host("10.0.0.9"), s.host("10.0.0.1")
        if s is before:
            client.lock(server, "/srv/a").granted()
        for _ in range(40 if s is storm else 0):
            client.getattr(server, "/srv/a")
            s.wait(1)
    data = before.capture(at=before.hosts[0]) + storm.capture(at=storm.hosts[0], sent_by=storm.hosts[0])[24:]
    said: list[str] = []
    *_, last = Live(Script(data), Options(0.01, max_rows=20), said.append).looks()
    assert said == []
    assert last.trace.tables["calls"]["state"].tolist() == ["answered", *["orphan"] * 10]
    assert len(last.trace.tables["locks"]) == 1


def test_news_are_looked_at_soon_and_traffic_rarely() -> None:
    pace = Pace(1.0)
    pace.stirred(-0.2, Stir.NEWS)
    assert not pace.is_due(-0.1)  # the answer may be on its way
    assert pace.is_due(0.0)
    pace.looked(0.0, 0.1)
    assert not pace.is_due(0.5)
    pace.stirred(0.5, Stir.TRAFFIC)
    assert not pace.is_due(5.0)
    assert pace.is_due(10.2)
    pace.stirred(2.0, Stir.NEWS)
    assert pace.is_due(2.0)


def test_looking_takes_a_share_of_the_time() -> None:
    pace = Pace(1.0)
    pace.stirred(0.0, Stir.NEWS)
    pace.looked(0.0, 3.0)
    pace.stirred(4.0, Stir.NEWS)
    assert not pace.is_due(8.9)
    assert pace.is_due(9.0)
    pace.looked(9.0, 10.0)
    pace.stirred(11.0, Stir.TRAFFIC)
    assert not pace.is_due(109.0)
    assert pace.is_due(110.0)


def test_an_idle_node_is_not_looked_at(monkeypatch: pytest.MonkeyPatch) -> None:
    """Some minutes of nothing but GETATTRs a second: a look every ten seconds."""
    s = Scenario()
    server, client = s.host("10.0.0.9"), s.host("10.0.0.1")
    for _ in range(60):
        client.getattr(server, "/srv")
        s.wait(1)
    pieces = [piece.data for piece in by_time(s.capture(at=server), 1)]
    source = Script(*pieces)
    clock = Clock(source, 0.0)
    live = Live(source, Options(1.0), clock=clock)
    take = live._take

    def a_second_later(arrivals: object) -> bool:
        clock.now += 1
        return take(arrivals)  # type: ignore[arg-type]

    monkeypatch.setattr(live, "_take", a_second_later)
    assert len(list(live.looks())) <= 8


class Noting:
    """A limit of which nothing is cut short but the rules of some looks."""

    def __init__(self, *cut: Allowance) -> None:
        self.cut_looks = cut
        self.noted: list[Allowance | str] = []
        self.current = LOOK

    def begin(self, allowance: Allowance) -> None:
        self.noted.append(allowance)
        self.current = allowance

    def __call__(self, work: Callable[[], T], at_the_end: bool = False) -> T:
        if self.current in self.cut_looks:
            raise CutShort
        return work()

    def cut(self) -> None:
        self.noted.append("cut")


def interrupted(limit: Noting, capture: bytes | None = None) -> tuple[list[Look], list[str]]:
    said: list[str] = []
    source = Script(capture or waiting_lock(), ends=False)
    live = Live(source, Options(0.001), say=said.append, limit=limit)  # type: ignore[arg-type]
    looks = []
    for look in live.looks():
        looks.append(look)
        if not look.final:
            live.interrupt()
    assert live.was_last_cut_short == any("the last look took too long" in line for line in said)
    return looks, said


def test_somebody_who_waits_gets_the_last_look_sooner() -> None:
    limit = Noting()
    (first, last), said = interrupted(limit)
    assert limit.noted == [LOOK, "cut", LAST_LOOK]
    assert last.final
    assert last.diagnosis.findings == first.diagnosis.findings
    assert said == []


def test_a_last_look_that_is_cut_short_gives_way_to_the_one_before() -> None:
    (first, last), said = interrupted(Noting(LAST_LOOK))
    assert last.final
    assert last.diagnosis is first.diagnosis
    assert last.changes == []
    [messages] = said
    assert messages.startswith("script: the last look took too long and was cut short; the report is as of 2023-")


def test_that_all_was_well_before_says_nothing_of_a_last_look_that_is_cut_short() -> None:
    (first, last), said = interrupted(Noting(LAST_LOOK), granted_locks())
    assert (first.diagnosis.verdict.state, last.diagnosis.verdict.state) == ("healthy", "cannot-tell")
    assert said == ["script: the last look took too long and was cut short"]


def test_where_no_look_was_whole_nothing_is_known() -> None:
    (first, last), said = interrupted(Noting(LOOK, LAST_LOOK))
    assert first.diagnosis.verdict.state == last.diagnosis.verdict.state == "cannot-tell"
    assert first.waits == last.waits == []
    assert said[0].startswith("script: looking takes too long and was cut short: CAP001, ")
    assert said[1:] == ["script: the last look took too long and was cut short"]


def test_where_nobody_reads_nothing_is_waited_for() -> None:
    live = Live(Script(waiting_lock(), ends=False), Options(0.001))
    began = time.monotonic()
    for look in live.looks():
        if not look.final:
            live.abandon()
    assert look.final
    assert time.monotonic() - began < 5.0


def test_where_nobody_reads_nobody_hears_that_it_is_no_capture() -> None:
    source = Script(b"hello", ends=False)
    live = Live(source, Options(0.001))
    Timer(0.1, live.abandon).start()
    assert list(live.looks()) == []
