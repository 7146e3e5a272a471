"""Settings of `nfsrpc analyze`: `--set`, and the nearest file; the command line counts more."""

import json
from pathlib import Path

import pytest

from tests.cli.command import run


@pytest.fixture
def statd(samples: Path) -> Path:
    return samples.resolve() / "server-without-statd" / "nfssrv-any.pcap"


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A project, in whose subfolder one works."""
    (tmp_path / "work").mkdir()
    monkeypatch.chdir(tmp_path / "work")
    return tmp_path


def found(*args: str | Path) -> set[str]:
    result = run("analyze", *args, "--format", "json")
    assert result.exit_code in (0, 1), result.stderr
    return {finding["rule"] for finding in json.loads(result.stdout)["findings"]}


def refused(*args: str | Path) -> str:
    result = run("analyze", *args)
    assert (result.exit_code, result.stdout) == (2, "")
    assert result.stderr.startswith("nfsrpc: ")
    assert result.stderr.count("\n") == 1
    return result.stderr.removeprefix("nfsrpc: ").rstrip("\n")


def test_a_threshold_of_the_command_line(statd: Path, folder: Path) -> None:
    assert "LCK002" in found(statd)
    assert "LCK002" not in found(statd, "--set", "LCK002.late_s=90")
    assert "LCK002" in found(statd, "--set", "LCK002.late_s=90", "--set", "LCK002.late_s=5")


def test_a_slip_is_told_before_the_capture_is_read(folder: Path) -> None:
    assert refused("missing.pcap", "--set", "LCK002.late=9") == (
        "--set LCK002.late=9: LCK002 has no threshold late; it has: late_s, error_s, reclaim_s; perhaps late_s?"
    )
    assert refused("missing.pcap", "--select", "XYZ") == (
        "--select: no rule begins with XYZ (nfsrpc explain lists them)"
    )


@pytest.mark.parametrize(
    ("name", "text"),
    [
        ("nfsrpc.toml", "[rules.LCK002]\nlate_s = 90"),
        ("nfsrpc.toml", 'ignore = ["LCK"]'),
        ("nfsrpc.toml", 'select = "REG,CAP"'),
        ("pyproject.toml", "[tool.nfsrpc.rules.lock-request-answered-late]\nlate_s = 90.0"),
    ],
)
@pytest.mark.parametrize("place", [".", "work"])
def test_a_file_here_or_above(statd: Path, folder: Path, name: str, text: str, place: str) -> None:
    (folder / place / name).write_text(text)
    rules = found(statd)
    assert "REG001" in rules
    assert "LCK002" not in rules


def test_the_nearest_file_counts_and_a_project_of_others_is_none(statd: Path, folder: Path) -> None:
    (folder / "nfsrpc.toml").write_text("[rules.LCK002]\nlate_s = 90")
    (folder / "work" / "pyproject.toml").write_text("[project]\nname = 'other'")
    assert "LCK002" not in found(statd)
    (folder / "work" / "nfsrpc.toml").write_text("[rules.LCK002]\nlate_s = 5")
    assert "LCK002" in found(statd)


def test_the_command_line_counts_more(statd: Path, folder: Path) -> None:
    (folder / "nfsrpc.toml").write_text('select = ["REG"]\n[rules.LCK002]\nlate_s = 90')
    assert found(statd, "--select", "LCK", "--set", "LCK002.late_s=5") == {"LCK002"}


@pytest.mark.parametrize(
    ("text", "complaint"),
    [
        ("selct = []", "no key selct; there are select, ignore, rules; perhaps select?"),
        ('select = ["XYZ"]', "select: no rule begins with XYZ (nfsrpc explain lists them)"),
        ("select = 3", 'select: not a list of names, as ["REG001", "LCK"]'),
        ("rules = 3", "rules: not a table"),
        ("[rules]\nLCK002 = 3", "rules.LCK002: not a table"),
        ("[rules.LCK002]\nlate_s = true", "rules.LCK002.late_s: True is not a number of 0 or more"),
        ("[rules.LCK02]\nlate_s = 3", "rules.LCK02.late_s: no rule LCK02; perhaps LCK012?"),
    ],
)
def test_what_a_file_may_not_say(folder: Path, text: str, complaint: str) -> None:
    (folder / "nfsrpc.toml").write_text(text)
    assert refused("missing.pcap") == f"{folder}/nfsrpc.toml: {complaint}"


def test_a_file_that_is_no_toml(folder: Path) -> None:
    (folder / "nfsrpc.toml").write_text("late_s: 3")
    assert refused("missing.pcap").startswith(f"{folder}/nfsrpc.toml: ")
