"""When there is colour, and which."""

import io
import re

import pytest
from rich.cells import cell_len

from nfsrpc.report.terminal import STYLES, columns, cut, padded, painted, uses_colour, width_of, wrap

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


# Texts and the columns that a terminal gives them: wide, with accents of their own, Korean as macOS writes it.
WIDE = {"共有ファイル": 12, "cafe\u0301": 4, "\u1112\u1161\u11ab": 2, "ａｂ": 4, "naïve": 5, "💾": 2, "data": 4, "": 0}


@pytest.mark.parametrize(("text", "width"), WIDE.items())
def test_texts_take_columns_and_not_characters(text: str, width: int) -> None:
    assert width_of(text) == width
    assert cell_len(padded(text, 20)) == cell_len(padded(text, 20, to_right=True)) == 20
    assert padded(text, 20).startswith(text)
    assert padded(text, 20, to_right=True).endswith(text)


def test_columns_of_wide_text_are_straight() -> None:
    lines = columns([(text, "|", text, "|") for text in WIDE], (False, False, True, False))
    assert {cell_len(line) for line in lines} == {12 + 2 + 1 + 2 + 12 + 2 + 1}
    assert {cell_len(line[: line.index("|")]) for line in lines} == {14}


def test_lines_of_wide_text_are_no_wider_than_the_terminal() -> None:
    lines = wrap("共有 " * 100 + "cafe\u0301 " * 100, 24)
    assert {cell_len(line) for line in lines[:-1]} <= {23, 24}
    assert lines[0] == "共有 共有 共有 共有 共有"
    assert lines[-2] == "cafe\u0301 cafe\u0301 cafe\u0301 cafe\u0301 cafe\u0301"


@pytest.mark.parametrize("most", range(1, 14))
@pytest.mark.parametrize("keeps_end", [False, True])
@pytest.mark.parametrize("text", WIDE)
def test_a_text_that_is_cut_fits(text: str, keeps_end: bool, most: int) -> None:
    shown = cut(text, most, keeps_end)
    whole = width_of(text) <= most
    assert (shown == text) == whole
    assert whole or most - 1 <= cell_len(shown) <= most
