"""The progress bar: on a terminal, after a second, gone at the end; and nowhere else."""

import io
import sys

import pytest

from nfsrpc.cli import progress
from nfsrpc.cli.progress import progress_bar


class Terminal(io.StringIO):
    def isatty(self) -> bool:
        return True


def watched(monkeypatch: pytest.MonkeyPatch) -> Terminal:
    stream = Terminal()
    monkeypatch.setattr(sys, "stderr", stream)
    monkeypatch.setenv("TERM", "xterm")
    monkeypatch.setenv("COLUMNS", "80")
    return stream


def test_no_bar_where_nobody_watches(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, "stderr", io.StringIO())
    with progress_bar() as report:
        assert report is None


def test_no_bar_within_a_second(monkeypatch: pytest.MonkeyPatch) -> None:
    terminal = watched(monkeypatch)
    with progress_bar() as report:
        assert report is not None
        report(10, 100)
    assert terminal.getvalue() == ""


@pytest.mark.parametrize("total", [100_000_000, None])
def test_a_bar_after_a_second_that_goes_away(monkeypatch: pytest.MonkeyPatch, total: int | None) -> None:
    terminal = watched(monkeypatch)
    monkeypatch.setattr(progress, "PATIENCE_S", 0.0)
    with progress_bar("reading") as report:
        assert report is not None
        report(30_000_000, total)
        report(60_000_000, total)
    shown = terminal.getvalue()
    assert "reading" in shown
    assert "60.0/100.0 MB" in shown or total is None
    assert shown.endswith("\x1b[2K")  # the line is wiped
