"""A capture fed in pieces is the same capture; a window holds what is recent, and what is forgotten was not needed."""

import gc
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

import nfsrpc
from nfsrpc.trace import Trace
from nfsrpc.watch import watch as module
from nfsrpc.watch import window
from nfsrpc.watch.watch import Stir, Watch
from tests.captures_dir import Capture, captures
from tests.rules.control_traffic import Control
from tests.rules.lock_traffic import Traffic
from tests.scenario import Host, Scenario
from tests.watch.pieces import by_time

EVER_S = 1e8
PIECES = 7


def looks(data: bytes, step: int, watch: Watch) -> Iterator[Trace]:
    for start in range(0, len(data), step):
        watch.feed(data[start : start + step])
        watch.stir()
        trace = watch.trace()
        if trace:
            yield trace
    last = watch.close()
    assert last
    yield last


def contents(trace: Trace, name: str) -> dict[str, list[Any]]:
    """A table, but for the numbers of exchanges, which are those of the window."""
    table = trace.tables[name]
    return {column: table.values(column) for column in table.columns if "exchange" not in column}


@pytest.mark.parametrize("capture", captures("samples"))
def test_pieces_come_to_the_same_diagnosis(capture: Capture) -> None:
    data = capture.load()
    *_, last = looks(data, max(len(data) // PIECES, 1000), Watch("a.pcap", EVER_S))
    whole = nfsrpc.read(data, count=True)
    assert last.diagnosis == whole.diagnosis
    assert last.diagnosis.broken == ()
    for name in ("locks", "registrations", "monitors", "programs", "quality", "writes"):
        assert contents(last, name) == contents(whole, name), name


@pytest.mark.parametrize("seed", range(4))
def test_questions_asked_again_and_again_are_counted(seed: int, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(window, "MANY", 0)
    data = Control(seed, oddity=0.02, every=1).capture(150)
    *_, last = looks(data, len(data) // PIECES, Watch("a.pcap", EVER_S))
    whole = nfsrpc.read(data)
    assert last.diagnosis == whole.diagnosis
    assert contents(last, "programs")["calls"] == contents(whole, "programs")["calls"]
    assert len(last.tables["calls"]) < len(whole.tables["calls"]) - 100


@pytest.mark.parametrize("taken", [0, 1 << 20])
@pytest.mark.parametrize("seed", range(4))
def test_lock_sessions_that_are_over_are_counted(seed: int, taken: int, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(window, "MANY", 0)
    monkeypatch.setattr(module, "MAX_TAKEN_ROWS", taken)
    data = Traffic(seed, oddity=0.02).capture(300)
    *_, last = looks(data, len(data) // PIECES, Watch("a.pcap", EVER_S))
    whole = nfsrpc.read(data)
    assert last.diagnosis == whole.diagnosis
    assert contents(last, "programs")["calls"] == contents(whole, "programs")["calls"]
    assert len(last.tables["locks"]) < len(whole.tables["locks"]) - 20


@pytest.mark.parametrize("capture", captures("samples"))
def test_what_the_core_forgets_was_not_needed(capture: Capture, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "MAX_TAKEN_ROWS", 0)
    data = capture.load()
    *_, last = looks(data, max(len(data) // PIECES, 1000), Watch("a.pcap", EVER_S))
    whole = nfsrpc.read(data, count=True)
    assert last.diagnosis == whole.diagnosis
    for name in ("locks", "writes"):
        assert contents(last, name) == contents(whole, name), name
    assert last.tables["hosts"].values("host") == whole.tables["hosts"].values("host")


@pytest.fixture
def hour() -> Scenario:
    """A server without statd, which is started after a minute; then every minute a lock, for an hour."""
    s = Scenario()
    server, client = s.host("10.0.0.9", name="nfssrv"), s.host("10.0.0.1", name="web-1")
    lock = client.lock(server, "/srv/a")
    for _ in range(20):
        server.getport(server, "nsm1", port=0)
        s.wait(3.07)
    lock.granted(after=61.6)
    server.getport(server, "nsm1")
    server.monitor(client).reply(res_stat="STAT_SUCC", state=1)
    for number in range(60):
        hold(client, server, f"/srv/{number}")
        s.wait(60)
    return s


def hold(client: Host, server: Host, path: str) -> None:
    client.lock(server, path).granted().unlock().granted()


def test_a_window_holds_what_is_recent(hour: Scenario) -> None:
    data = hour.capture(at=hour.hosts[0], on="any", link="sll2")
    watch = Watch("a.pcap", 900)
    found, sizes, frames, spans = [], [], [], []
    for piece in by_time(data, 30):
        watch.feed(piece.data)
        watch.stir()
        trace = watch.trace()
        assert trace
        found.append([finding.rule for finding in trace.diagnosis.findings])
        [capture] = trace.captures
        spans.append((capture["last"] - capture["first"]) / 1e9)
        frames.append(capture["frames"])
        sizes.append(len(trace.tables["calls"]))
    assert len(trace.tables["flows"]) == 1  # not the look-ups of an hour ago, which may go on
    assert found[0] == ["REG001", "LCK001"]
    assert "LCK002" in found[3]
    assert found[-1] == []
    assert max(sizes[40:]) <= 32
    assert max(spans) <= 900
    assert max(frames[40:]) < sum(frames[:1]) + 200 < watch.frames


def test_memory_is_flat_over_days() -> None:
    """What there is after an hour of locks on ever new files there is after a day of it."""
    s = Scenario()
    server, client = s.host("10.0.0.9", name="nfssrv"), s.host("10.0.0.1", name="web-1")
    for number in range(24 * 60):
        hold(client, server, f"/srv/{number}")
        s.wait(60)
    watch = Watch("a.pcap", 900)
    sizes = []
    for piece in by_time(s.capture(at=server), 300):
        watch.feed(piece.data)
        watch.stir()
        watch.trace()
        window = watch.window
        messages = sum(len(columns["exchange"].values) for columns in window.messages.values())
        rows = sum(len(next(iter(columns.values()))) for columns in window.rows.values())
        sizes.append((len(window.strings) + messages + rows, len(window._marks)))
    hourly = [max(sizes[start : start + 12]) for start in range(0, len(sizes), 12)]
    assert max(hourly[2:]) <= max(hourly[1:3])
    gc.collect()


def test_news_are_told_from_traffic() -> None:
    s = Scenario()
    server, client = s.host("10.0.0.9"), s.host("10.0.0.1")
    client.getattr(server, "/srv")
    s.wait(10)
    client.getattr(server, "/srv")
    s.wait(10)
    client.lock(server)
    first, second, third = (piece.data for piece in by_time(s.capture(at=server), 5))
    watch = Watch("a.pcap")
    watch.feed(first)
    assert watch.stir() is Stir.TRAFFIC
    assert watch.stir() is Stir.NOTHING
    watch.feed(second)
    assert watch.stir() is Stir.TRAFFIC
    watch.feed(third)
    assert watch.stir() is Stir.NEWS
    assert len(watch.open_calls) == 1


def test_rows_that_are_final_before_the_first_look_have_a_time() -> None:
    s = Scenario()
    server, client = s.host("10.0.0.9"), s.host("10.0.0.1")
    for _ in range(6000):  # more than the core keeps in reach
        client.getattr(server, "/srv")
        s.wait(0.01)
    watch = Watch("a.pcap")
    for piece in (piece.data for piece in by_time(s.capture(at=server), 55)):
        watch.feed(piece)
        watch.stir()
        trace = watch.trace()
        assert trace
        times = watch.window.rows["latencies"]["interval"]
        assert len(times)
        assert (times > 0).all()
    assert trace.tables["programs"]["calls"].tolist() == [6000]


def test_a_look_is_of_all_that_was_fed() -> None:
    """Rows that became final since the last stir are in the trace, and once; what the core forgets has been taken."""
    s = Scenario()
    server, client = s.host("10.0.0.9", name="nfssrv"), s.host("10.0.0.1", name="web-1")
    for number in range(60):
        hold(client, server, f"/srv/{number}")
        s.wait(60)
    watch = Watch("a.pcap", 900)
    first, *more = (piece.data for piece in by_time(s.capture(at=server), 300))
    watch.feed(first)
    watch.stir()
    for piece in more:
        watch.feed(piece)
        trace = watch.trace()
        assert trace
        calls = trace.tables["calls"]
        assert len(set(calls["call_frame"].tolist())) == len(calls)
        assert int(trace.tables["captures"]["last"].max()) - int(calls["time"].max()) < 10**9
        assert trace.diagnosis.broken == ()
        assert watch.stir() is Stir.NEWS


def test_silence_is_time_where_the_source_is_prompt() -> None:
    s = Scenario()
    server, client = s.host("10.0.0.9"), s.host("10.0.0.1")
    hold(client, server, "/srv/a")
    client.lock(server, "/srv/b")
    watch = Watch("a.pcap")
    watch.feed(s.capture(at=server))
    watch.stir()
    early, late = watch.trace(9 * 10**9), watch.trace(11 * 10**9)
    assert early
    assert late
    assert "LCK001" not in [finding.rule for finding in early.diagnosis.findings]
    assert "LCK001" in [finding.rule for finding in late.diagnosis.findings]


def test_a_look_before_anything_of_the_next_file_has_come(hour: Scenario) -> None:
    data = hour.capture(at=hour.hosts[0])
    watch = Watch("ring0", 900)
    watch.feed(data)
    watch.stir()
    watch.next_file("ring1")
    assert watch.trace()
    watch.feed(data)
    last = watch.close()
    assert last
    assert last.files[-1] == "ring1"


def test_a_ring_is_one_window(tmp_path: Path, hour: Scenario) -> None:
    """The files of a ring in one watch: those that the window has left behind are dropped, evidence names its file."""
    data = hour.capture(at=hour.hosts[0])
    header = data[:24]
    watch = Watch("ring0", 900)
    trace = None
    for number, piece in enumerate(by_time(data, 300)):
        if number:
            watch.next_file(f"ring{number}")
        watch.feed(piece.data if not number else header + piece.data)
        watch.stir()
        trace = watch.trace()
        assert trace
        assert trace.files[-1] == f"ring{number}"
        assert len(trace.files) <= 5
    assert trace
    assert set(trace.tables["calls"]["capture"].tolist()) <= set(range(len(trace.files)))
    assert len(watch.window.sources) <= 5
