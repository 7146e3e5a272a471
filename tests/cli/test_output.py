"""Files are written whole or not at all."""

import gzip
import os
import shlex
import stat
import tarfile
from collections.abc import Iterator
from pathlib import Path

import pytest

from nfsrpc.cli.ending import say
from nfsrpc.cli.output import replacing, write_bytes
from tests.cli.command import run, shell


def pieces(error: type[BaseException]) -> Iterator[bytes]:
    yield b"half of it"
    raise error


@pytest.mark.parametrize("error", [KeyboardInterrupt, MemoryError, ZeroDivisionError])
def test_what_is_interrupted_leaves_nothing_half_written(tmp_path: Path, error: type[BaseException]) -> None:
    with pytest.raises(error):
        write_bytes(pieces(error), str(tmp_path / "new"))
    assert list(tmp_path.iterdir()) == []
    (tmp_path / "old").write_bytes(b"before")
    with pytest.raises(error):
        write_bytes(pieces(error), str(tmp_path / "old"))
    assert [(path.name, path.read_bytes()) for path in tmp_path.iterdir()] == [("old", b"before")]


@pytest.mark.parametrize(
    ("suffix", "command"),
    [
        (".pcap", "analyze $1 -o $2"),
        (".pcap", "table locks $1 -o $2"),
        (".pcap", "show $1 102 -o $2"),
        (".pcap", "sql $1 'SELECT 1' -o $2"),
        (".gz", "analyze $1 -o $2"),
        (".tar", "analyze $1 -o $2"),
        (".pcap", "carve $1 -o $3 --anonymize --map $2"),
    ],
)
def test_a_capture_is_never_replaced_by_what_is_said_of_it(
    samples: Path, tmp_path: Path, suffix: str, command: str
) -> None:
    original = samples / "server-without-statd" / "nfssrv-any.pcap"
    path = tmp_path / f"a{suffix}"
    path.write_bytes(gzip.compress(original.read_bytes()) if suffix == ".gz" else original.read_bytes())
    if suffix == ".tar":
        with tarfile.open(path, "w") as archive:
            archive.add(original, "a.pcap")
    before = path.read_bytes()
    words = [
        {"$1": str(original), "$2": str(path), "$3": str(tmp_path / "out.pcapng")}.get(word, word)
        for word in shlex.split(command)
    ]
    result = run(*words)
    assert (result.exit_code, result.stdout) == (2, "")
    assert result.stderr == f"nfsrpc: {path} holds captures, and would be lost: name another file\n"
    assert path.read_bytes() == before


@pytest.mark.parametrize("command", ["carve $1 -o", "probe 127.0.0.1 -o"])
@pytest.mark.parametrize(
    ("name", "says"), [("x.pcap", "x.pcap: what is written is pcapng, whose"), ("-", "-o: a capture is written to a")]
)
def test_a_capture_is_written_under_its_own_name(samples: Path, command: str, name: str, says: str) -> None:
    capture = str(samples / "server-without-statd" / "nfssrv-any.pcap")
    result = run(*command.replace("$1", capture).split(), name)
    assert (result.exit_code, result.stdout) == (2, "")
    assert result.stderr.startswith(f"nfsrpc: {says}")
    assert not Path(name).exists()


@pytest.mark.parametrize("command", ["analyze $1", "table locks $1", "show $1 102", "sql $1 'SELECT 1'"])
def test_a_dash_is_standard_output(samples: Path, command: str) -> None:
    capture = str(samples / "server-without-statd" / "nfssrv-any.pcap")
    words = [word.replace("$1", capture) for word in shlex.split(command)]
    assert run(*words, "-o", "-").stdout == run(*words).stdout != ""


@pytest.mark.parametrize("command", ["analyze - -", "analyze - - --dask", "table calls - $1 -", "sql - - 'SELECT 1'"])
def test_standard_input_is_named_once(samples: Path, command: str) -> None:
    capture = samples / "server-without-statd" / "nfssrv-any.pcap"
    words = [word.replace("$1", str(capture)) for word in shlex.split(command)]
    result = shell(*words, stdin=capture.read_bytes())
    assert (result.returncode, result.stdout) == (2, b"")
    assert result.stderr == b"nfsrpc: - is standard input, which can be read only once: name it once\n"
    assert shell("table", "flows", "-", capture, stdin=capture.read_bytes()).returncode == 0


def test_another_report_is_replaced(samples: Path, tmp_path: Path) -> None:
    path = tmp_path / "report.txt"
    path.write_text("before")
    assert run("analyze", samples / "server-without-statd" / "nfssrv-any.pcap", "-o", path).exit_code == 1
    assert path.read_text().startswith(" FAULT   REG001")


def test_a_file_keeps_its_rights_and_a_link_stays_one(tmp_path: Path) -> None:
    target, link = tmp_path / "target", tmp_path / "link"
    target.write_bytes(b"before")
    target.chmod(0o604)
    link.symlink_to(target)
    write_bytes([b"after"], str(link))
    assert (link.is_symlink(), target.read_bytes(), stat.S_IMODE(target.stat().st_mode)) == (True, b"after", 0o604)


def test_a_new_file_has_the_rights_of_any_other(tmp_path: Path) -> None:
    (tmp_path / "other").write_bytes(b"")
    write_bytes([b"x"], str(tmp_path / "new"))
    assert (tmp_path / "new").stat().st_mode == (tmp_path / "other").stat().st_mode


def test_what_is_no_regular_file_is_written_as_it_is(tmp_path: Path) -> None:
    with replacing("/dev/null") as part:
        assert part == "/dev/null"
    os.mkfifo(tmp_path / "pipe")
    with replacing(str(tmp_path / "pipe")) as part:
        assert part == str(tmp_path / "pipe")


def test_where_no_file_can_be_made_the_old_one_is_written(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "old").write_bytes(b"before")
    monkeypatch.setattr(os, "access", lambda *_: False)
    with replacing(str(tmp_path / "old")) as part:
        assert part == str(tmp_path / "old")


def test_a_message_is_one_line_whatever_is_in_a_name(capsys: pytest.CaptureFixture[str]) -> None:
    say("a\x1b[2J\nb: no such file")
    assert capsys.readouterr().err == "nfsrpc: a\\x1b[2J\\nb: no such file\n"
