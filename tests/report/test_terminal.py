"""When there is colour, and which."""

import io
import re

import pytest

from nfsrpc.report.terminal import STYLES, columns, painted, uses_colour, wrap

BLACK, WHITE = (0, 0, 0), (255, 255, 255)


class Terminal(io.StringIO):
    def isatty(self) -> bool:
        return True


@pytest.mark.parametrize(
    ("terminal", "environment", "colour"),
    [
        (True, {"TERM": "xterm"}, True),
        (True, {}, True),
        (True, {"TERM": "dumb"}, False),
        (True, {"NO_COLOR": "1"}, False),
        (True, {"NO_COLOR": ""}, True),
        (False, {"TERM": "xterm"}, False),
        (False, {"FORCE_COLOR": "1"}, True),
        (False, {"FORCE_COLOR": "1", "NO_COLOR": "1"}, False),
    ],
)
def test_colour_is_for_terminals_that_want_it(terminal: bool, environment: dict[str, str], colour: bool) -> None:
    stream = Terminal() if terminal else io.StringIO()
    assert uses_colour(stream, environment) is colour


def rgb(number: int) -> tuple[int, ...]:
    """A colour of the 256, above the first 16, which every terminal defines for itself."""
    assert number >= 16
    if number >= 232:
        return (8 + 10 * (number - 232),) * 3
    levels = (0, 95, 135, 175, 215, 255)
    return tuple(levels[(number - 16) // power % 6] for power in (36, 6, 1))


def luminance(colour: tuple[int, ...]) -> float:
    """WCAG 2's relative luminance."""
    parts = [part / 255 for part in colour]
    linear = [part / 12.92 if part <= 0.04045 else ((part + 0.055) / 1.055) ** 2.4 for part in parts]
    return 0.2126 * linear[0] + 0.7152 * linear[1] + 0.0722 * linear[2]


def contrast(one: tuple[int, ...], other: tuple[int, ...]) -> float:
    light, dark = sorted((luminance(one), luminance(other)), reverse=True)
    return (light + 0.05) / (dark + 0.05)


@pytest.mark.parametrize("style", STYLES)
def test_styles_read_on_black_and_on_white(style: str) -> None:
    foreground = re.search(r"\b38;5;(\d+)", STYLES[style])
    background = re.search(r"\b48;5;(\d+)", STYLES[style])
    if foreground is None:
        assert STYLES[style] == "1"  # bold, in the terminal's own colour
        return
    backgrounds = [rgb(int(background[1]))] if background else [BLACK, WHITE]
    assert min(contrast(rgb(int(foreground[1])), ground) for ground in backgrounds) > 3.99


def test_painting_nothing_gives_nothing() -> None:
    assert painted("error", "") == ""
    assert painted("heading", "x") == "\x1b[1mx\x1b[0m"


def test_wrapping_breaks_no_word_and_no_number_from_its_unit() -> None:
    assert wrap("a 0123456789abcdef b", 8) == ["a", "0123456789abcdef", "b"]
    assert wrap("waited 61.6 s for it", 11) == ["waited", "61.6 s for", "it"]
    assert wrap("", 8) == [""]


def test_columns_align() -> None:
    assert columns([("a", "1", "x"), ("bcd", "22", "")], (False, True, False)) == ["a     1  x", "bcd  22"]
