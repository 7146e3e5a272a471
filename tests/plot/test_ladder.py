"""What a ladder shows: of which session, which messages, in which order, and what is left out of it."""

from __future__ import annotations

from pathlib import Path

import pytest

from nfsrpc.decode import decode
from nfsrpc.plot import Plots
from nfsrpc.plot.locks import sessions_of
from nfsrpc.plot.scene import Arrow, Scene, longest_wait, shortened, without_repetition
from nfsrpc.sessions import WANTED, Sessions
from tests.plot.conftest import Of, Sample
from tests.scenario import Scenario

SERVER, CL1, CL2 = "10.1.84.31", "10.1.84.41", "10.1.84.42"


def ladder(tables: Sessions, session: int | None = None) -> list[str]:
    """The arrows in order: `source → target: text`, with ! before what is bad."""
    scene = Scene(tables, longest_wait(tables["locks"]) if session is None else session)
    return [
        f"{'! ' if arrow.bad else ''}{arrow.source} → {arrow.target}: {arrow.text}"
        + (f" × {arrow.times}" if arrow.times > 1 else "")
        for arrow in scene.arrows()
    ]


def test_the_server_has_no_statd(sample: Sample) -> None:
    tables = sample("server-without-statd/nfssrv-any.pcap")
    assert ladder(tables) == [
        f"{CL1} → {SERVER}: GETPORT nlockmgr (100021), tcp",
        f"{SERVER} → {CL1}: port 32803",
        f"{CL1} → {SERVER}: LOCK exclusive, whole file",
        f"! {SERVER} → {SERVER}: GETPORT status (100024), tcp: not registered × 4",
        f"{CL1} → {SERVER}: LOCK again, after 10.3 s",
        f"! {SERVER} → {SERVER}: GETPORT status (100024), tcp: not registered × 7",
        f"{CL1} → {SERVER}: LOCK again, after 31.8 s",
        f"! {SERVER} → {SERVER}: GETPORT status (100024), tcp: not registered × 9",
        f"{CL1} → {SERVER}: GETPORT nlockmgr (100021), tcp",
        f"{SERVER} → {CL1}: port 32803",
        f"{CL1} → {SERVER}: LOCK again, after 60.5 s",
        f"! {SERVER} → {SERVER}: GETPORT status (100024), tcp: not registered",
        f"{SERVER} → {CL1}: GRANTED, 61.6 s later",
        f"{CL1} → {SERVER}: UNLOCK whole file",
        f"{SERVER} → {CL1}: GRANTED",
    ]


def test_of_a_session_that_is_named(sample: Sample) -> None:
    tables = sample("server-without-statd/nfssrv-any.pcap")
    assert ladder(tables, 3) == [
        f"{CL1} → {SERVER}: LOCK exclusive, bytes 0–9",
        f"{SERVER} → {CL1}: GRANTED",
        f"{CL1} → {SERVER}: UNLOCK bytes 0–9",
        f"{SERVER} → {CL1}: GRANTED",
    ]


def test_who_was_in_the_way_and_the_call_back(sample: Sample) -> None:
    tables = sample("contended/nfssrv-any.pcap")
    shown = ladder(tables, 1)
    assert [line for line in shown if "GETPORT" not in line and "port" not in line] == [
        f"{CL1} → {SERVER}: LOCK exclusive, whole file",
        f"{SERVER} → {CL1}: GRANTED",
        f"{CL2} → {SERVER}: LOCK exclusive, whole file",
        f"{SERVER} → {SERVER}: SM_MON {CL2}: STAT_SUCC",
        f"{SERVER} → {CL2}: BLOCKED",
        f"{CL1} → {SERVER}: UNLOCK whole file",
        f"{SERVER} → {CL1}: GRANTED",
        f"{SERVER} → {CL2}: GRANTED_MSG exclusive, whole file",
        f"{CL2} → {SERVER}: GRANTED_MSG reply",
        f"{CL2} → {SERVER}: GRANTED_RES GRANTED",
        f"{SERVER} → {CL2}: GRANTED_RES reply",
        f"{CL2} → {SERVER}: UNLOCK whole file",
        f"{SERVER} → {CL2}: GRANTED",
    ]
    scene = Scene(tables, 1)
    assert scene.hosts == [CL2, SERVER, CL1]
    locks = tables["locks"]
    holder, waiter = locks.row(0), locks.row(1)
    assert scene.spans() == [
        (CL2, "waits", waiter.requested, waiter.granted),
        (CL2, "holds", waiter.granted, waiter.released),
        (CL1, "holds", holder.granted, holder.released),
    ]


def test_asking_again_and_again_is_one_pair(sample: Sample) -> None:
    shown = ladder(sample("waiting-behind-a-dead-client/nfssrv-any.pcap"))
    assert shown[-3:] == [
        f"{SERVER} → {CL2}: BLOCKED",
        f"{CL2} → {SERVER}: LOCK exclusive, whole file × 6",
        f"{SERVER} → {CL2}: BLOCKED × 6",
    ]


def test_a_statd_that_is_gone(sample: Sample) -> None:
    assert ladder(sample("statd-killed/nfssrv-any.pcap"), 0)[-4:] == [
        f"{CL1} → {SERVER}: LOCK exclusive, whole file",
        f"{SERVER} → {SERVER}: GETPORT status (100024), tcp: port 662",
        f"! {SERVER} → {SERVER}: connection to status port 662: refused × 2",
        f"! {SERVER} → {CL1}: DENIED_NOLOCKS",
    ]


def test_where_no_lock_could_be_asked_for(sample: Sample) -> None:
    shown = ladder(sample("lockd-port-dropped/cl1-any.pcap"))
    assert f"! {CL1} → {SERVER}: connection to nlockmgr port 32803: no answer to 7 SYNs" in shown
    assert f"{CL1} → {CL1}: SM_MON {SERVER}: STAT_SUCC" in shown


def test_a_client_without_statd_asks_before_it_sends_a_lock(sample: Sample) -> None:
    assert f"! {CL1} → {CL1}: GETPORT status (100024), tcp: not registered × 21" in ladder(
        sample("client-without-statd/cl1-any.pcap")
    )


def test_nothing_about_locks(tables: Of) -> None:
    s = Scenario()
    s.host("10.0.0.1").getattr(s.host("10.0.0.9"), "/srv")
    assert ladder(tables(s)) == []


def test_no_answer(tables: Of) -> None:
    s = Scenario()
    server, client = s.host("10.0.0.9"), s.host("10.0.0.1")
    client.getattr(server, "/srv")
    client.lock(server).unanswered()
    s.wait(60)
    client.getattr(server, "/srv")
    assert ladder(tables(s)) == ["! 10.0.0.1 → 10.0.0.9: LOCK exclusive, whole file: no answer"]


def test_a_further_reply_that_says_something_else(tables: Of) -> None:
    """A statd that had hung comes back: the copies of a LOCK that was denied are granted."""
    s = Scenario()
    server, client = s.host("10.0.0.9"), s.host("10.0.0.1")
    lock = client.lock(server).denied("DENIED_NOLOCKS", after=60)
    s.wait(5)
    lock.granted()
    client.lock(server, svid=2).granted()
    assert ladder(tables(s), 0)[-1] == "! 10.0.0.9 → 10.0.0.1: GRANTED, one more reply to LOCK"


def test_of_several_vantages_whose_clocks_differ(tmp_path: Path) -> None:
    """What the server asks over its loopback stands between the LOCK and its answer, whatever its clock says."""

    def told(ahead: float) -> list[str]:
        paths = []
        for name, start in (("client", 1_700_000_000.0), ("server", 1_700_000_000.0 + ahead)):
            s = Scenario(start)
            server, client = s.host("10.0.0.9", name="nfssrv"), s.host("10.0.0.1", name="web-1")
            for svid in range(3):
                client.lock(server, svid=svid).granted().unlock().granted()
            lock = client.lock(server, svid=9)
            s.wait(1)
            server.getport(server, "nsm1").reply(port=662)
            s.wait(1)
            server.monitor(client).reply(res_stat="STAT_SUCC", state=3)
            s.wait(1)
            lock.granted()
            paths.append(tmp_path / f"{name}.pcap")
            paths[-1].write_bytes(s.capture(at=client if name == "client" else server, on="any"))
        plots = Plots(Sessions(decode(paths, WANTED)))
        locks = plots._tables["locks"]
        assert locks["wait_s"].max() > 2
        return ladder(plots._tables)

    assert told(0) == told(3600.5) == told(-2.5)
    lock, *asked, granted = told(-2.5)
    assert "LOCK exclusive" in lock
    assert [line.split(": ")[0] for line in asked] == ["10.0.0.9 → 10.0.0.9"] * 2
    assert "GRANTED" in granted


def arrow(text: str, time: int = 0, kind: str = "call") -> Arrow:
    return Arrow(time, time, "a", "b", text, kind)


def test_what_is_repeated_is_one_arrow() -> None:
    lone = [arrow("x", 1), arrow("x", 3), arrow("y", 4), arrow("x", 5), arrow("x", 9), arrow("x", 11)]
    assert [(one.text, one.times, one.time, one.last, one.last_frame) for one in without_repetition(lone, 1)] == [
        ("x", 2, 1, 3, 3),
        ("y", 1, 4, 0, None),
        ("x", 3, 5, 11, 11),
    ]
    pairs = [arrow(text, time, kind) for time in range(3) for text, kind in (("ask", "call"), ("tell", "reply"))]
    assert [(one.text, one.times) for one in without_repetition(pairs, 2)] == [("ask", 3), ("tell", 3)]
    assert without_repetition(pairs, 1) == pairs


def test_a_long_story_loses_its_middle() -> None:
    arrows = [arrow(str(number), number) for number in range(200)]
    assert [one.time for one in shortened(arrows)] == [*range(32), *range(168, 200)]
    assert shortened(arrows[:64]) == arrows[:64]


@pytest.mark.parametrize("session", [-1, 4])
def test_a_session_that_is_not_there(sample: Sample, session: int) -> None:
    pytest.importorskip("altair")
    from nfsrpc.plot import ladder

    with pytest.raises(ValueError, match=f"no lock session {session}: there are 4, counted from 0"):
        ladder.chart(sample("contended/nfssrv-any.pcap"), session, dark=False)


def test_a_capture_without_times_or_procedures(kernel_captures: Path) -> None:
    for name in (
        "23a-file-formats/30-pcapng-simple-packet-blocks-no-timestamps.pcapng",
        "18-onesided-snaplen/snap96-srv-any.pcap",
    ):
        tables = Sessions(decode([kernel_captures / name], WANTED))
        assert ladder(tables)
        assert list(sessions_of(tables, "file")) == [] or tables["locks"].valid("time").all()
