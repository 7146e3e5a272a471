"""Frames explained: every kind of message, and what is none."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

from nfsrpc.decode import decode
from nfsrpc.report.frame import Explanation, explain
from nfsrpc.sessions import WANTED, Sessions
from tests.scenario import Host, Scenario

Explain = Callable[[Scenario, str], Explanation]


@pytest.fixture
def s() -> Scenario:
    return Scenario()


@pytest.fixture
def server(s: Scenario) -> Host:
    return s.host("10.0.0.9", name="nfssrv")


@pytest.fixture
def client(s: Scenario) -> Host:
    return s.host("10.0.0.1", name="web-1")


@pytest.fixture
def explained(tmp_path: Path) -> Explain:
    def explain_first(s: Scenario, words: str) -> Explanation:
        """The first frame of which the first line has these words."""
        path = tmp_path / "trace.pcap"
        path.write_bytes(s.capture(on="any"))
        tables = Sessions(decode([path], WANTED))
        frames = range(1, tables["captures"].row(0).frames + 1)
        told = (explain(tables, frame) for frame in frames)
        return next(explanation for explanation in told if words in explanation.says[0])

    return explain_first


def test_a_call_that_was_sent_again_and_its_reply(s: Scenario, server: Host, client: Host, explained: Explain) -> None:
    lock = client.lock(server, "/srv/a", offset=50, length=10).granted(after=61.6, resent=[10.3, 60.5], copies=3)
    s.wait(2)
    lock.unlock().granted()
    call, reply = explained(s, "LOCK (nlm version 4) call"), explained(s, "LOCK (nlm version 4) reply")
    assert call.says[0].startswith("LOCK (nlm version 4) call of 10.0.0.1:")
    assert call.says[0].endswith(": exclusive, bytes 50–59")
    first, again, last = call.frame, *call.partners[1:]
    assert call.says[1] == f"retransmitted in frame {again} (10.3 s later), {last} (60.5 s later)"
    assert call.says[2] == f"answered in frame {reply.frame} after 61.6 s: GRANTED"
    assert call.partners[0] == reply.frame
    assert reply.says[0].endswith(f"to the call in frame {first}, 61.6 s later: GRANTED")
    assert (call.sessions, reply.sessions) == ((0,), (0,))
    told = f"Lock session 0: exclusive lock of 1@web-1 at 10.0.0.1 on FH:0x{'*'}"
    assert call.says[-1].partition(" on ")[0] == told.partition(" on ")[0]
    assert f"asked in frame {first}, granted in frame {reply.frame} after 61.6 s, released in frame" in call.says[-1]


def test_a_call_sent_again(s: Scenario, server: Host, client: Host, explained: Explain) -> None:
    client.lock(server).granted(after=12, resent=[10.2])
    s.wait(1)
    again = explained(s, "retransmission")
    first = explained(s, "LOCK (nlm version 4) call")
    assert again.says[0].endswith(f": retransmission of frame {first.frame}, 10.2 s after it")
    assert again.says[1] == first.says[2]
    assert again.partners == (first.frame, first.partners[0])


def test_a_waiter_and_its_call_back(s: Scenario, server: Host, client: Host, explained: Explain) -> None:
    other = s.host("10.0.0.2", name="web-2")
    held = client.lock(server).granted()
    waits = other.lock(server, svid=2).blocked()
    s.wait(9)
    held.unlock().granted()
    waits.granted()
    grant = explained(s, "GRANTED_MSG (nlm version 4) call of 10.0.0.9")
    result = explained(s, "GRANTED_RES (nlm version 4) call of 10.0.0.2")
    lookup = explained(s, "GETPORT (portmap version 2) call")
    assert grant.says[0].endswith(": exclusive, whole file")
    assert result.says[0].endswith(": GRANTED")
    assert grant.sessions == result.sessions == (1,)
    assert grant.says[-1].endswith("; held; behind 1@web-1 (10.0.0.1)")
    assert lookup.says[0].endswith(": nlockmgr (100021), tcp")
    assert lookup.says[1].endswith(": port 32803")


@pytest.mark.parametrize(
    ("unanswered", "waited", "says"),
    [(True, 60, "not answered"), (True, 1, "the capture cannot tell whether it was answered")],
)
def test_no_answer(
    s: Scenario, server: Host, client: Host, explained: Explain, unanswered: bool, waited: float, says: str
) -> None:
    client.getattr(server, "/srv")
    client.lock(server).unanswered()
    s.wait(waited)
    client.getattr(server, "/srv")
    assert explained(s, "LOCK (nlm version 4) call").says[1] == says


def test_a_statd_and_an_error(s: Scenario, server: Host, client: Host, explained: Explain) -> None:
    server.monitor(client).reply(res_stat="STAT_FAIL")
    client.call(server, "nlm4", "NULL").error("PROG_UNAVAIL")
    monitor = explained(s, "SM_MON (nsm version 1) call")
    assert ", loopback)" in monitor.says[0]
    assert monitor.says[0].endswith(": 10.0.0.1")
    assert monitor.says[1].endswith(": STAT_FAIL")
    assert explained(s, "NULL (nlm version 4) call").says[1].endswith(": PROG_UNAVAIL")


def test_a_port_that_refuses(s: Scenario, server: Host, client: Host, explained: Explain) -> None:
    client.syn(server, 32803, refused=True)
    s.wait(1)
    syn, reset = explained(s, "SYN of"), explained(s, "reset of")
    assert syn.says[0].endswith(": refused")
    assert (syn.partners, reset.partners) == ((reset.frame,), (syn.frame,))


def test_no_message(s: Scenario, server: Host, client: Host, explained: Explain) -> None:
    client.getattr(server, "/srv")
    assert explained(s, "No RPC message is complete in it").partners == ()


def test_its_text_and_its_html(s: Scenario, server: Host, client: Host, explained: Explain) -> None:
    client.lock(server, "/srv/a").granted()
    call = explained(s, "LOCK")
    assert str(call) == repr(call)
    assert str(call).splitlines()[0] == f"Frame {call.frame} of {call.file}"
    assert str(call).splitlines()[1] == f"  {call.says[0]}"
    assert f"<li>{call.says[1]}</li>" in call._repr_html_()
    assert "<b>&lt;" in Explanation("a", 0, 1, ("<b>",))._repr_html_().replace("<li>", "<b>")


@pytest.mark.parametrize(
    ("frame", "capture", "says"),
    [
        (0, 0, "no frame 0 in .*: it has 6, counted from 1"),
        (7, 0, "no frame 7 in "),
        (1, 1, "no capture 1: there are 1"),
    ],
)
def test_what_there_is_not(tmp_path: Path, frame: int, capture: int, says: str) -> None:
    s = Scenario()
    s.host("10.0.0.1").getattr(s.host("10.0.0.9"), "/srv")
    path = tmp_path / "trace.pcap"
    path.write_bytes(s.capture())
    tables = Sessions(decode([path], WANTED))
    with pytest.raises(ValueError, match=says):
        explain(tables, frame, capture)
