"""Files are written whole or not at all."""

import os
import stat
from collections.abc import Iterator
from pathlib import Path

import pytest

from nfsrpc.cli.ending import say
from nfsrpc.cli.output import replacing, write_bytes


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
