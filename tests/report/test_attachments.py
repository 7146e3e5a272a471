"""What is attached to a page: the messages of each frame of the proof, pictures or text, the rule; and its policy."""

from __future__ import annotations

import re
import sys
from base64 import b64encode
from hashlib import sha256
from pathlib import Path

import pytest

import nfsrpc
from nfsrpc.report import attachments as attachments_module
from nfsrpc.report import html
from nfsrpc.report.attachments import attachments
from nfsrpc.report.contents import report_of
from tests.cli.command import run
from tests.report.samples import CERTAIN
from tests.scenario import Scenario


@pytest.fixture(scope="module")
def statd(samples: Path) -> Path:
    return samples / "server-without-statd" / "nfssrv-any.pcap"


def page_of(trace: nfsrpc.Trace) -> str:
    report = report_of(trace.tables, trace.diagnosis)
    return html.render(report, attachments(report, trace.tables))


def test_each_frame_of_the_proof_leads_to_its_messages(statd: Path) -> None:
    trace = nfsrpc.read(statd)
    page = page_of(trace)
    for frame in (102, 107, 109, 333, 336):
        assert page.count(f'<a href="#frame-0-{frame}">') == page.count(f'<details id="frame-0-{frame}">') == 1
    shown = run("show", statd, "102").stdout.splitlines()
    text = page.partition('<details id="frame-0-102">')[2].partition("</details>")[0]
    assert [line for line in shown[1:-2] if html.markup.text(line) not in text] == []


def test_the_page_of_the_rule_is_in_it(statd: Path) -> None:
    page = page_of(nfsrpc.read(statd))
    assert "<summary>REG001 statd-not-registered: " in page
    explained = run("explain", "REG001").stdout
    titles = re.findall(r"<h3>([^<]+)</h3>", page.partition("<h2>About the rules</h2>")[2])
    assert titles == [title for title in titles if f"\n{title}\n" in explained]
    assert {"Sees", "How to fix"} <= set(titles)


def test_standard_input_has_no_messages_to_lead_to(statd: Path) -> None:
    with statd.open("rb") as stream:
        page = page_of(nfsrpc.read(iter([stream.read()])))
    assert "nfsrpc" in page
    assert "#frame-" not in page
    assert "<details id=" not in page


def test_pictures_are_inline_light_and_dark(statd: Path) -> None:
    pytest.importorskip("altair", reason="altair is an extra")
    page = page_of(nfsrpc.read(statd))
    assert page.count("<svg ") == 4
    assert page.index("<h2>Verify</h2>") < page.index("<h2>Messages of the lock</h2>") < page.index("Locks over time")
    names = re.findall(r'\bid="([^"]+)"', page)
    assert len(names) == len(set(names))
    used = re.findall(r"url\(#([^)]+)\)", page)
    assert set(used) <= set(names)


@pytest.mark.parametrize(("most", "pictures"), [(4, 4), (3, 2)])
def test_a_picture_of_too_many_locks_is_left_out(
    statd: Path, monkeypatch: pytest.MonkeyPatch, most: int, pictures: int
) -> None:
    pytest.importorskip("altair", reason="altair is an extra")
    trace = nfsrpc.read(statd)
    assert len(trace.locks) == 4
    monkeypatch.setattr(attachments_module, "MOST_SESSIONS", most)
    page = page_of(trace)
    assert page.count("<svg ") == pictures
    assert ("4 lock sessions: too many for this page." in page) == (pictures == 2)


@pytest.mark.parametrize("missing", ["altair", "vl_convert"])
def test_without_the_extra_the_ladder_is_text(statd: Path, missing: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, missing, None)
    page = page_of(nfsrpc.read(statd))
    assert "<svg" not in page
    lines = page.partition("<h2>Messages of the lock</h2>")[2].partition("</pre>")[0].splitlines()
    assert lines[0].endswith("<pre>The lock of 0@cl1 on /export/lockme")
    assert "+10.269 146 cl1 ⇢ 10.1.84.31 LOCK again, after 10.3 s" in [" ".join(line.split()) for line in lines]
    assert any("GETPORT status (100024), tcp: not registered × 4, every 3.1 s" in line for line in lines)


def test_no_locks_no_pictures(tmp_path: Path) -> None:
    s = Scenario()
    s.host("10.0.0.1").call(s.host("10.0.0.9"), "nfs3", "NULL").reply()
    (tmp_path / "trace.pcap").write_bytes(s.capture())
    page = page_of(nfsrpc.read(tmp_path / "trace.pcap"))
    assert "<svg" not in page
    assert "Messages of the lock" not in page


def test_names_in_pictures_and_messages_are_no_markup(tmp_path: Path) -> None:
    evil = "</svg></pre><script>alert(1)</script>"
    s = Scenario()
    server, client = s.host("10.0.0.9"), s.host("10.0.0.1", name=evil)
    request = client.lock(server, "/srv/<b>a")
    s.wait(40)
    request.granted()
    (tmp_path / "trace.pcap").write_bytes(s.capture())
    page = page_of(nfsrpc.read(tmp_path / "trace.pcap"))
    assert page.count("<script") == 1
    assert page.count("<b>a") == 0
    assert page.count("</pre>") == page.count("<pre")


def test_the_policy_lets_no_script_run_but_the_pages_own() -> None:
    page = html.render(CERTAIN)
    (policy,) = re.findall(r'http-equiv="Content-Security-Policy" content="([^"]+)"', page)
    script = page.partition("<script>")[2].partition("</script>")[0]
    digest = b64encode(sha256(script.encode()).digest()).decode()
    assert policy == f"default-src 'none'; style-src 'unsafe-inline'; script-src 'sha256-{digest}'"
