"""The pictures of the README say what is drawn now; how it is drawn may differ with the version of what draws it."""

import importlib.util
import re
from pathlib import Path

import pytest

pytest.importorskip("altair")
pytest.importorskip("vl_convert")

ROOT = Path(__file__).resolve().parents[2]
spec = importlib.util.spec_from_file_location("pictures", ROOT / "docs" / "pictures.py")
assert spec is not None
assert spec.loader is not None
pictures = importlib.util.module_from_spec(spec)
spec.loader.exec_module(pictures)


def texts(svg: str) -> list[str]:
    return sorted(re.findall(r"<text[^>]*>([^<]*)</text>", svg))


def test_they_are_not_stale() -> None:
    """A stale picture is renewed by `make docs`."""
    for path, chart in pictures.pictures():
        assert texts(path.read_text(encoding="utf-8")) == texts(chart.to_svg()), path.name


def test_the_readme_shows_them_light_and_dark() -> None:
    text = (ROOT / "README.md").read_text(encoding="utf-8")
    shown = set(re.findall(r'docs/pictures/([\w-]+)\.svg"', text))
    assert shown
    assert shown == {name for name in shown if (ROOT / "docs" / "pictures" / f"{name}.svg").exists()}
    assert {name for name in shown if name.endswith("-dark")} == {
        f"{name}-dark" for name in shown if "-dark" not in name
    }
