"""A ring is followed as it grows, through names that are taken again."""

import os
import threading
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from nfsrpc.sources import SourceError
from nfsrpc.sources.follow import Follow
from nfsrpc.sources.live_queue import NextFile
from tests.scenario import Scenario
from tests.watch.pieces import HEADER, by_time

POLL_S = 0.01


@pytest.fixture
def pieces() -> list[bytes]:
    """What a minute of a capture holds, ten times, each a file of its own."""
    s = Scenario()
    server, client = s.host("10.0.0.9"), s.host("10.0.0.1")
    for _ in range(10):
        client.getattr(server, "/srv")
        s.wait(60)
    data = s.capture(at=server)
    return [piece.data if not n else data[:HEADER] + piece.data for n, piece in enumerate(by_time(data, 60))]


class Reader:
    """Takes what a source gives, in a thread."""

    def __init__(self, source: Follow) -> None:
        self.source = source
        self.files: list[bytes] = []
        self.names: list[str] = []
        self.thread = threading.Thread(target=self._read, daemon=True)
        self.thread.start()

    def _read(self) -> None:
        for piece in self.source.pieces():
            if isinstance(piece, NextFile):
                self.names.append(Path(piece.name).name)
                self.files.append(b"")
            else:
                self.files[-1] += piece

    def until(self, files: list[bytes]) -> None:
        end = time.monotonic() + 5
        while self.files != files:
            assert time.monotonic() < end, [len(file) for file in self.files]
            time.sleep(POLL_S)

    def stop(self) -> None:
        self.source.stop()
        self.thread.join(5)
        assert not self.thread.is_alive()


@pytest.fixture
def reader(tmp_path: Path) -> Iterator[Reader]:
    found = Reader(Follow(str(tmp_path), 900, POLL_S))
    yield found
    found.stop()


def test_a_ring_that_is_overwritten_before_it_is_read(tmp_path: Path, pieces: list[bytes]) -> None:
    said: list[str] = []
    (tmp_path / "ring0").write_bytes(pieces[0])
    source = Follow(str(tmp_path), 900, POLL_S, said.append)
    taken = source.pieces()
    assert isinstance(next(taken), NextFile)
    assert next(taken) == pieces[0]
    (tmp_path / "ring0").write_bytes(pieces[1])  # no other file meanwhile, in which it would have gone on
    assert isinstance(next(taken), NextFile)
    assert next(taken) == pieces[1]
    assert said == [f"{tmp_path}: ring0 was overwritten before it was read to its end; a larger ring helps"]


def test_a_file_is_read_as_it_grows(tmp_path: Path, pieces: list[bytes], reader: Reader) -> None:
    file = tmp_path / "ring0"
    file.write_bytes(pieces[0][:100])
    reader.until([pieces[0][:100]])
    with file.open("ab") as opened:
        opened.write(pieces[0][100:])
    reader.until([pieces[0]])


def test_the_next_file_comes_when_the_one_before_is_read(tmp_path: Path, pieces: list[bytes], reader: Reader) -> None:
    (tmp_path / "notes.txt").write_text("not a capture " * 100)
    for number, piece in enumerate(pieces[:3]):
        (tmp_path / f"ring{number}").write_bytes(piece)
        reader.until(pieces[: number + 1])
    assert reader.names == ["ring0", "ring1", "ring2"]


def test_names_are_taken_again(tmp_path: Path, pieces: list[bytes], reader: Reader) -> None:
    for number, piece in enumerate(pieces[:7]):
        (tmp_path / f"ring{number % 3}").write_bytes(piece)
        reader.until(pieces[: number + 1])
    assert reader.names == ["ring0", "ring1", "ring2", "ring0", "ring1", "ring2", "ring0"]


def test_a_ring_that_is_there_is_read_in_the_order_of_time(tmp_path: Path, pieces: list[bytes]) -> None:
    for name, piece in zip(("ring2", "ring0", "ring1"), pieces, strict=False):
        (tmp_path / name).write_bytes(piece)
    reader = Reader(Follow(str(tmp_path), 900, POLL_S))
    reader.until(pieces[:3])
    reader.stop()


def test_what_is_long_past_is_left_out(tmp_path: Path, pieces: list[bytes]) -> None:
    for number, piece in enumerate(pieces[:3]):
        (tmp_path / f"ring{number}").write_bytes(piece)
    for number in range(2):
        os.utime(tmp_path / f"ring{number}", (1, 1))
    reader = Reader(Follow(str(tmp_path), 900, POLL_S))
    reader.until(pieces[2:3])
    reader.stop()


def test_where_there_is_no_directory() -> None:
    with pytest.raises(SourceError, match=r"/nowhere: cannot be followed: No such file or directory"):
        list(Follow("/nowhere", 900).pieces())
