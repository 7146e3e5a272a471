"""The parts that all plots share: colours, fonts, sizes, and charts that need no network to be shown and saved.

Colours are those of Okabe and Ito, distinct in every kind of colour vision; where colour has a meaning, shape or
position has it too. Data is put into the chart as plain rows, as few as possible. altair is the extra `plots`, imported
when a plot is made.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from functools import cache
from json import JSONEncoder
from typing import Any, NamedTuple

from nfsrpc.extras import extra
from nfsrpc.printable import clean
from nfsrpc.wording import date_time

WIDTH = 760
NS_PER_MS = 1_000_000
FONT = "Liberation Sans, Arial, Helvetica, sans-serif"  # of equal widths, so that a text fits on every machine

ORANGE, SKY, GREEN, YELLOW, BLUE, RED, PURPLE, GREY = (
    "#E69F00",
    "#56B4E9",
    "#009E73",
    "#F0E442",
    "#0072B2",
    "#D55E00",
    "#CC79A7",
    "#8A8A8A",
)


# A diagonal cross; Vega's own "cross" is a plus.
CROSS = "M-1,-.6L-.6,-1L0,-.4L.6,-1L1,-.6L.4,0L1,.6L.6,1L0,.4L-.6,1L-1,.6L-.4,0Z"


class Theme(NamedTuple):
    background: str
    text: str
    faint: str  # axes, lifelines, secondary text
    grid: str
    blue: str
    red: str
    other_blue: str  # beside the first


LIGHT = Theme("#FFFFFF", "#1B1F24", "#57606A", "#E4E7EB", BLUE, RED, SKY)
DARK = Theme("#14181D", "#E6EDF3", "#9AA4AF", "#2A3038", SKY, "#F08A4B", YELLOW)  # BLUE would be too dark on it


def theme(dark: bool) -> Theme:
    return DARK if dark else LIGHT


def of_programs(names: Iterable[str], colours: Theme) -> dict[str, str]:
    """The colour of each program of these names; grey for those without one of their own."""
    known = {
        "nfs": colours.blue,
        "nlm": ORANGE,
        "portmap": GREEN,
        "rpcbind": GREEN,
        "nsm": colours.red,
        "mount": PURPLE,
        "nfsacl": colours.other_blue,
    }
    there = set(names)
    return {name: colour for name, colour in known.items() if name in there} | dict.fromkeys(
        sorted(there - known.keys()), GREY
    )


def scale(values: Mapping[str, str]) -> Any:
    """A scale that maps each name to its colour or shape, in this order."""
    return altair().Scale(domain=list(values), range=list(values.values()))


def colour_by(field: str, values: Mapping[str, str], **legend: Any) -> Any:
    """The encoding of a field by colour; without a legend if there is no value, since Vega cannot draw an empty one."""
    alt = altair()
    return alt.Color(field, scale=scale(values), legend=alt.Legend(**legend) if values else None)


def time_axis(first: int, last: int) -> dict[str, Any]:
    """Scale and axis for times between `first` and `last`, in ns; charts take ms."""
    alt = altair()
    return {
        "scale": alt.Scale(type="utc", domain=[first / NS_PER_MS, last / NS_PER_MS]),
        "axis": alt.Axis(format="%H:%M:%S", title=f"UTC, {date_time(first)[:10]}", tickCount=8, labelOverlap=True),
    }


def altair() -> Any:
    """The module altair. Raises MissingExtraError."""
    extra("plots", "vl_convert", "a plot")
    return extra("plots", "altair", "a plot")


class InScript(JSONEncoder):
    """JSON for the script of a page: no text in it can end the script."""

    def encode(self, o: Any) -> str:
        return super().encode(o).replace("<", "\\u003c")


def inline(rows: list[dict[str, Any]]) -> Any:
    return altair().Data(values=rows)


def finish(chart: Any, title: str, subtitle: str, dark: bool) -> Any:
    """The chart with headings and colours, which needs no network."""
    colours = theme(dark)
    headings = {
        "text": title,
        "subtitle": subtitle,
        "anchor": "start",
        "frame": "group",
        "fontSize": 15,
        "subtitleFontSize": 12,
        "offset": 14,
        "color": colours.text,
        "subtitleColor": colours.faint,
    }
    chart = chart.properties(title=headings, background=colours.background, padding=14, config=config(colours))
    kind: Any = type(chart)
    object.__setattr__(chart, "__class__", offline(kind))
    return chart


def config(colours: Theme) -> dict[str, Any]:
    label = {"labelColor": colours.faint, "titleColor": colours.faint, "labelFontSize": 11, "titleFontSize": 11}
    return {
        "font": FONT,
        "view": {"stroke": None},
        "axis": {
            **label,
            "titleFontWeight": "normal",
            "gridColor": colours.grid,
            "domainColor": colours.faint,
            "tickColor": colours.faint,
        },
        "legend": {**label, "labelColor": colours.text, "orient": "top", "title": None, "symbolSize": 110, "offset": 8},
        "header": {"labelColor": colours.text, "titleColor": colours.faint},
        "text": {"color": colours.text},
    }


@cache
def offline(kind: Any) -> Any:
    """A subclass of a kind of chart: its HTML has the JavaScript inline, and a notebook shows it as a picture."""

    class Chart(kind):  # type: ignore[misc]
        def save(self, fp: Any, format: Any = None, **options: Any) -> None:  # noqa: A002
            """Writes SVG, PNG, PDF, JSON or HTML, by the extension of the file."""
            wanted = format or str(getattr(fp, "name", fp)).rpartition(".")[2]
            if wanted == "html":
                options = {"inline": True, "json_kwds": {"cls": InScript}, **options}
            super().save(fp, format=format, **options)

        def to_html(self, **options: Any) -> str:
            html: str = super().to_html(**{"inline": True, "json_kwds": {"cls": InScript}, **options})
            return html

        def to_svg(self) -> str:
            svg: str = extra("plots", "vl_convert", "a plot").vegalite_to_svg(self.to_json())
            return svg

        def _repr_mimebundle_(self, *_include: Any, **_exclude: Any) -> dict[str, Any]:
            """Interactive where the notebook draws Vega-Lite itself, else a picture."""
            version = altair().SCHEMA_VERSION.partition(".")[0]
            return {
                f"application/vnd.vegalite.{version}+json": self.to_dict(),
                "image/svg+xml": self.to_svg(),
                "text/plain": clean(f"<{kind.__name__}: {self.title['text']}>"),
            }

    Chart.__name__ = Chart.__qualname__ = kind.__name__
    return Chart
