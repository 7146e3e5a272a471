"""Charts show and save themselves, in every format, light and dark, and never ask the network."""

from __future__ import annotations

import re
import socket
import sys
from pathlib import Path
from typing import Any, NoReturn
from xml.etree import ElementTree

import pytest

import nfsrpc
from nfsrpc.plot.chart import BLUE, DARK, GREEN, LIGHT, ORANGE, PURPLE, RED, SKY, YELLOW
from tests.scenario import Scenario

pytest.importorskip("altair")
pytest.importorskip("vl_convert")

PLOTS = ("locks", "ladder", "latency", "rates")


@pytest.fixture(autouse=True)
def no_network(monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(*_args: object) -> NoReturn:
        raise AssertionError("a chart asks the network")

    monkeypatch.setattr(socket.socket, "connect", refuse)


@pytest.fixture(scope="module")
def trace() -> nfsrpc.Trace:
    return nfsrpc.read(Path(__file__).parents[2] / "captures" / "contended" / "nfssrv-any.pcap")


@pytest.fixture(params=PLOTS)
def chart(trace: nfsrpc.Trace, request: pytest.FixtureRequest) -> Any:
    return getattr(trace.plot, request.param)()


def test_svg(chart: Any, tmp_path: Path) -> None:
    chart.save(tmp_path / "chart.svg")
    root = ElementTree.parse(tmp_path / "chart.svg").getroot()
    assert root.tag.endswith("svg")
    texts = {element.text for element in root.iter() if element.tag.endswith("text")}
    assert chart.title["text"] in texts


def test_png(chart: Any, tmp_path: Path) -> None:
    chart.save(str(tmp_path / "chart.png"))
    assert (tmp_path / "chart.png").read_bytes().startswith(b"\x89PNG\r\n")


def test_html_carries_all_that_it_needs(trace: nfsrpc.Trace, tmp_path: Path) -> None:
    trace.plot.locks().save(tmp_path / "chart.html")
    text = (tmp_path / "chart.html").read_text(encoding="utf-8")
    assert re.findall(r"<(?:script|link)[^>]+(?:src|href)=[^>]*>", text) == []
    assert "import(" not in re.sub(r"<script[^>]*>.*?</script>", "", text, flags=re.DOTALL)
    assert chart_is_embedded(text)


@pytest.mark.parametrize("write", ["save", "to_html"])
def test_no_name_ends_the_script_of_a_page(tmp_path: Path, write: str) -> None:
    evil = "</script><script>alert(1)</script>"
    scenario = Scenario()
    server, client = scenario.host("10.0.0.9"), scenario.host("10.0.0.1", name=evil)
    client.lock(server, "/srv/a").granted()
    chart = nfsrpc.read(scenario.capture()).plot.ladder(0)
    assert evil in chart.title["text"]
    chart.save(tmp_path / "chart.html")
    page = chart.to_html() if write == "to_html" else (tmp_path / "chart.html").read_text(encoding="utf-8")
    assert evil not in page
    assert r"\u003c/script>\u003cscript>alert(1)" in page


def chart_is_embedded(text: str) -> bool:
    return "vegaEmbed" in text and "/export/lockme" in text


def test_what_a_notebook_shows(chart: Any) -> None:
    shown = chart._repr_mimebundle_()
    kinds = [kind for kind in shown if kind.startswith("application/vnd.vegalite.v")]
    assert len(kinds) == 1
    assert shown["image/svg+xml"].startswith("<svg")
    assert chart.title["text"] in shown["text/plain"]


def test_the_same_each_time(trace: nfsrpc.Trace) -> None:
    for plot in PLOTS:
        assert getattr(trace.plot, plot)().to_svg() == getattr(trace.plot, plot)().to_svg()


def test_a_chart_can_be_changed_and_stays_what_it_is(trace: nfsrpc.Trace, tmp_path: Path) -> None:
    chart = trace.plot.rates().properties(title="mine")
    chart.save(tmp_path / "chart.html")
    assert "https://cdn" not in (tmp_path / "chart.html").read_text(encoding="utf-8")


@pytest.mark.parametrize("plot", PLOTS)
@pytest.mark.parametrize("dark", [False, True])
def test_backgrounds(trace: nfsrpc.Trace, plot: str, dark: bool) -> None:
    svg = getattr(trace.plot, plot)(dark=dark).to_svg()
    assert (f'fill="{DARK.background}"' in svg, f'fill="{LIGHT.background}"' in svg) == (dark, not dark)


@pytest.mark.parametrize("plot", PLOTS)
def test_a_trace_without_anything(tmp_path: Path, plot: str) -> None:
    s = Scenario()
    s.host("10.0.0.1").getattr(s.host("10.0.0.9"), "/srv")
    path = tmp_path / "trace.pcap"
    path.write_bytes(s.capture(until=0))
    getattr(nfsrpc.read(path).plot, plot)().save(tmp_path / "chart.png")


def luminance(colour: str) -> float:
    """WCAG 2.2."""
    parts = (int(colour[at : at + 2], 16) / 255 for at in (1, 3, 5))
    red, green, blue = (part / 12.92 if part <= 0.04045 else ((part + 0.055) / 1.055) ** 2.4 for part in parts)
    return 0.2126 * red + 0.7152 * green + 0.0722 * blue


def contrast(one: str, other: str) -> float:
    low, high = sorted((luminance(one), luminance(other)))
    return (high + 0.05) / (low + 0.05)


@pytest.mark.parametrize("theme", [LIGHT, DARK])
def test_texts_stand_out(theme: Any) -> None:
    assert contrast(theme.text, theme.background) > 12
    assert contrast(theme.faint, theme.background) > 4.5
    assert contrast(theme.blue, theme.background) > 4.5  # white or black text lies on it
    assert contrast(theme.red, theme.background) > 3.8
    assert contrast(LIGHT.text, ORANGE) > 4.5


def test_the_colours_are_those_of_okabe_and_ito() -> None:
    palette = {"#E69F00", "#56B4E9", "#009E73", "#F0E442", "#0072B2", "#D55E00", "#CC79A7"}
    assert {ORANGE, SKY, GREEN, YELLOW, BLUE, RED, PURPLE} == palette


@pytest.mark.parametrize("missing", ["altair", "vl_convert"])
def test_without_the_extra(trace: nfsrpc.Trace, monkeypatch: pytest.MonkeyPatch, missing: str) -> None:
    monkeypatch.setitem(sys.modules, missing, None)
    with pytest.raises(nfsrpc.MissingExtraError, match=rf"a plot needs {missing}: \S.* install 'nfsrpc\[plots\]'$"):
        trace.plot.locks()
