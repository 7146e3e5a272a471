"""Settings of `nfsrpc analyze`: `--set`, and the nearest file; the command line counts more."""

import json
import os
from collections.abc import Callable
from pathlib import Path

import pytest

from nfsrpc.cli import settings
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
        "--set LCK002.late=9: LCK002 has no threshold late; it has: late_s, error_s, reclaim_s; did you mean late_s?"
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
        ("selct = []", "no key selct; there are select, ignore, rules, hosts; did you mean select?"),
        ('select = ["XYZ"]', "select: no rule begins with XYZ (nfsrpc explain lists them)"),
        ("select = 3", 'select: not a list of names, as ["LCK", "NET"]'),
        ("rules = 3", "rules: not a table"),
        ("[rules]\nLCK002 = 3", "rules.LCK002: not a table"),
        ("[rules.LCK002]\nlate_s = true", "rules.LCK002.late_s: True is not a number of 0 or more"),
        ("[rules.LCK02]\nlate_s = 3", "rules.LCK02.late_s: no rule LCK02; did you mean LCK012?"),
    ],
)
def test_what_a_file_may_not_say(folder: Path, text: str, complaint: str) -> None:
    (folder / "nfsrpc.toml").write_text(text)
    assert refused("missing.pcap") == f"{folder}/nfsrpc.toml: {complaint}"


def test_a_file_that_is_no_toml(folder: Path) -> None:
    (folder / "nfsrpc.toml").write_text("late_s: 3")
    assert refused("missing.pcap").startswith(f"{folder}/nfsrpc.toml: ")


# Whose file it is

STRANGER = 4321


def owned(user: int) -> Callable[[Path], None]:
    return lambda path: os.chown(path, user, -1)


def permitted(mode: int) -> Callable[[Path], None]:
    return lambda path: path.chmod(mode)


as_root = pytest.mark.skipif(os.geteuid() != 0, reason="only root gives files away")


@pytest.mark.parametrize("name", ["nfsrpc.toml", "pyproject.toml"])
@pytest.mark.parametrize(
    ("place", "change", "why"),
    [
        (".", permitted(0o777), "other users can write {folder}"),
        (".", permitted(0o1777), "other users can write {folder}"),
        (".", permitted(0o775), "other users can write {folder}"),
        ("FILE", permitted(0o666), "other users can write {folder}/FILE"),
        ("FILE", permitted(0o664), "other users can write {folder}/FILE"),
        pytest.param("FILE", owned(STRANGER), "{folder}/FILE belongs to another user", marks=as_root),
        pytest.param(".", owned(STRANGER), "{folder} belongs to another user", marks=as_root),
    ],
)
def test_a_file_that_others_can_write_hides_nothing(
    statd: Path, folder: Path, name: str, place: str, change: Callable[[Path], None], why: str
) -> None:
    table = "[tool.nfsrpc]\n" if name == "pyproject.toml" else ""
    (folder / name).write_text(table + 'ignore = ["REG", "LCK"]')
    assert found(statd).isdisjoint({"REG001", "LCK002"})
    change(folder / place.replace("FILE", name))
    result = run("analyze", statd, "--format", "json")
    assert "REG001" in result.stdout
    why = why.format(folder=folder).replace("FILE", name)
    assert result.stderr == f"nfsrpc: {folder / name} is not used, because {why}\n"
    assert json.loads(result.stdout)["settings"]["file"] is None


@pytest.mark.parametrize("mode", [0o755, 0o700])
def test_a_file_that_only_its_user_can_write_is_used(statd: Path, folder: Path, mode: int) -> None:
    (folder / "nfsrpc.toml").write_text('ignore = ["REG"]')
    (folder / "nfsrpc.toml").chmod(0o644)
    folder.chmod(mode)
    assert "REG001" not in found(statd)


def test_a_file_of_a_stranger_does_not_stand_before_ones_own(statd: Path, folder: Path) -> None:
    (folder / "nfsrpc.toml").write_text('ignore = ["LCK"]')
    (folder / "work" / "nfsrpc.toml").write_text('ignore = ["REG"]')
    (folder / "work").chmod(0o777)
    assert found(statd) >= {"REG001"}
    assert "LCK002" not in found(statd)


def test_where_a_link_leads_counts(statd: Path, folder: Path) -> None:
    shared = folder / "shared"
    shared.mkdir()
    (shared / "theirs.toml").write_text('ignore = ["REG"]')
    (folder / "work" / "nfsrpc.toml").symlink_to(shared / "theirs.toml")
    assert "REG001" not in found(statd)
    shared.chmod(0o777)
    assert "REG001" in found(statd)


def test_what_is_no_file_is_not_waited_for(statd: Path, folder: Path) -> None:
    os.mkfifo(folder / "nfsrpc.toml")
    assert "REG001" in found(statd)
    own = folder / "work" / "nfsrpc.toml"
    own.symlink_to("nfsrpc.toml")
    result = run("analyze", statd)
    assert result.exit_code == 1
    why = f"{own} cannot be looked at: Too many levels of symbolic links"
    assert result.stderr == f"nfsrpc: {own} is not used, because {why}\n"


@as_root
def test_under_sudo_the_files_of_who_called_it_are_trusted(
    statd: Path, folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (folder / "nfsrpc.toml").write_text('ignore = ["REG"]')
    os.chown(folder / "nfsrpc.toml", STRANGER, -1)
    assert "REG001" in found(statd)
    monkeypatch.setenv("SUDO_UID", str(STRANGER))
    assert "REG001" not in found(statd)
    monkeypatch.setattr(os, "geteuid", lambda: 4322)  # the variable is anybody's to set
    assert settings.trusted_users() == {0, 4322}


def test_reports_name_the_settings_in_force(statd: Path, folder: Path) -> None:
    (folder / "nfsrpc.toml").write_text("[rules.LCK002]\nlate_s = 90")
    args = ("analyze", statd, "--ignore", "NFS", "--set", "LCK011.wait_s=9")
    assert json.loads(run(*args, "--format", "json").stdout)["settings"] == {
        "file": f"{folder}/nfsrpc.toml",
        "select": [],
        "ignore": ["NFS"],
        "thresholds": {"LCK002": {"late_s": 90.0}, "LCK011": {"wait_s": 9.0}},
    }
    text = " ".join(run(*args).stdout.split())
    assert f"Settings of {folder}/nfsrpc.toml; without the rules NFS; LCK002.late_s = 90; LCK011.wait_s = 9" in text
    (folder / "nfsrpc.toml").unlink()
    assert "Settings" not in run("analyze", statd).stdout


def test_a_user_id_that_is_none_adds_nobody(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(os, "geteuid", lambda: 0)
    for called, trusted in (("4321", {0, 4321}), ("²", {0}), ("-1", {0}), ("1" * 5000, {0})):
        monkeypatch.setenv("SUDO_UID", called)
        assert settings.trusted_users() == trusted


def test_a_removed_working_directory_holds_no_settings(
    statd: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    removed = tmp_path / "removed"
    removed.mkdir()
    monkeypatch.chdir(removed)
    removed.rmdir()
    assert "REG001" in found(statd)
