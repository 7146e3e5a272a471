"""Names of hosts: those that are given count more than those that a capture shows."""

from pathlib import Path

import pytest

from nfsrpc.report.host_names import GivenNames
from tests.cli.command import run


def analyze(*args: str | Path) -> str:
    """What a process of its own would print: names are those of one command."""
    GivenNames.names = {}
    result = run("analyze", *args)
    assert result.exit_code == 1, result.stderr
    return result.stdout


TEXT = """# as /etc/hosts
127.0.0.1 localhost
127.0.1.1 workstation
10.1.84.31   nfssrv.example.org nfssrv  # the server
10.1.84.41   web1
2001:DB8::0:1 six
10.1.84.99   $(reboot) -x
"""


@pytest.fixture(autouse=True)
def no_names(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(GivenNames, "names", {})


@pytest.fixture
def statd(samples: Path) -> Path:
    return samples.resolve() / "server-without-statd" / "nfssrv-any.pcap"


def test_a_file_of_hosts_names_them(statd: Path, tmp_path: Path) -> None:
    (tmp_path / "hosts").write_text(TEXT)
    text = analyze(statd, "--hosts", tmp_path / "hosts")
    assert "The server 10.1.84.31 (nfssrv) has no rpc.statd registered; 10.1.84.41 (web1) waited" in " ".join(
        text.split()
    )
    assert "cl1)" not in text
    assert "rpcinfo -p 10.1.84.31 | grep" in text  # commands are as they were
    assert GivenNames.names == {"10.1.84.31": "nfssrv", "10.1.84.41": "web1", "2001:db8::1": "six"}


def test_without_it_hosts_have_the_names_of_the_capture(statd: Path) -> None:
    assert "10.1.84.41 (cl1) waited" in analyze(statd)


def test_the_settings_name_hosts_and_the_command_line_counts_more(
    statd: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "nfsrpc.toml").write_text('[hosts]\n"10.1.84.31" = "filer"\n"10.1.84.41" = "web7"\n')
    assert "10.1.84.31 (filer) has no rpc.statd" in analyze(statd)
    (tmp_path / "hosts").write_text(TEXT)
    text = analyze(statd, "--hosts", "hosts")
    assert "10.1.84.31 (nfssrv) has no rpc.statd" in text


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        ("10.1.84.31 a\nnfssrv 10.1.84.31\n", "hosts:2: nfssrv is no address"),
        (None, "hosts: cannot be read: No such file or"),
    ],
)
def test_what_is_no_file_of_hosts_is_one_line(
    statd: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, text: str | None, reason: str
) -> None:
    monkeypatch.chdir(tmp_path)
    if text is not None:
        (tmp_path / "hosts").write_text(text)
    result = run("analyze", statd, "--hosts", "hosts")
    assert (result.exit_code, result.stdout) == (2, "")
    assert result.stderr.startswith(f"nfsrpc: {reason}")
    assert result.stderr.count("\n") == 1


def test_the_directory_of_configuration_is_the_last_place(
    statd: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "config" / "nfsrpc").mkdir(parents=True)
    (tmp_path / "config" / "nfsrpc" / "nfsrpc.toml").write_text('[hosts]\n"10.1.84.31" = "configured"\n')
    (tmp_path / "work").mkdir()
    monkeypatch.chdir(tmp_path / "work")
    monkeypatch.setenv("XDG_CONFIG_HOME", str(tmp_path / "config"))
    assert "10.1.84.31 (configured) has" in analyze(statd)
    monkeypatch.setenv("XDG_CONFIG_HOME", "../config")  # a relative one is to be ignored
    assert "configured" not in analyze(statd)
    monkeypatch.delenv("XDG_CONFIG_HOME")
    monkeypatch.setenv("HOME", str(tmp_path))
    (tmp_path / "config").rename(tmp_path / ".config")
    assert "10.1.84.31 (configured) has" in analyze(statd)
    (tmp_path / "work" / "nfsrpc.toml").write_text('[hosts]\n"10.1.84.31" = "near"\n')
    assert "10.1.84.31 (near) has" in analyze(statd)
