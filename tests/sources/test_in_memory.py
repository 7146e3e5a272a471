"""However a capture is given, the same bytes come out, and again where that is possible; where not, it is said."""

import gzip
import io
import os
import threading
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from nfsrpc.sources import SourceError, captures, is_read_once, open_capture, read_again

DATA = bytes(range(256)) * 40


def content(thing: Any) -> bytes:
    (capture,) = captures([thing])
    with open_capture(capture) as source:
        return b"".join(source)


def chunks() -> Iterator[bytes]:
    yield from (DATA[:5], b"", DATA[5:6000], DATA[6000:])


GIVEN: dict[str, Callable[[], Any]] = {
    "bytes": lambda: DATA,
    "bytearray": lambda: bytearray(DATA),
    "memoryview": lambda: memoryview(DATA),
    "file": lambda: io.BytesIO(DATA),
    "chunks": lambda: list(chunks()),
    "memoryviews": lambda: [memoryview(chunk) for chunk in chunks()],
    "generator": chunks,
}


@pytest.mark.parametrize("kind", GIVEN)
def test_the_same_bytes_however_given(kind: str) -> None:
    assert content(GIVEN[kind]()) == DATA


@pytest.mark.parametrize("kind", GIVEN)
def test_twice_unless_it_is_gone_then(kind: str) -> None:
    (capture,) = captures([GIVEN[kind]()])
    with open_capture(capture) as source:
        first = b"".join(source)
    if kind == "generator":
        assert is_read_once(capture)
        with pytest.raises(ValueError, match="generator cannot be read again: save the capture to a file first"):
            read_again(capture)
    else:
        with open_capture(read_again(capture)) as source:
            assert b"".join(source) == first == DATA


def test_a_file_is_read_from_where_it_stands_and_left_open() -> None:
    file = io.BytesIO(b"header" + DATA)
    file.seek(6)
    assert content(file) == DATA
    assert not file.closed


def test_a_pipe_is_read_once() -> None:
    reading, writing = os.pipe()
    writer = threading.Thread(target=lambda: [os.write(writing, DATA), os.close(writing)])
    writer.start()
    with open(reading, "rb", buffering=0) as pipe:
        (capture,) = captures([pipe])
        assert is_read_once(capture)
        with open_capture(capture) as source:
            assert b"".join(source) == DATA
    writer.join()


def test_names(tmp_path: Path) -> None:
    path = tmp_path / "a.pcap"
    path.write_bytes(DATA)
    with path.open("rb") as file:
        unnamed = gzip.GzipFile(fileobj=io.BytesIO(gzip.compress(DATA)))
        given = [path, file, io.BytesIO(DATA), unnamed, DATA, chunks()]
        assert [str(capture) for capture in captures(given)] == [
            str(path),
            str(path),
            "BytesIO",
            "GzipFile",
            "bytes",
            "generator",
        ]


def test_several_captures_in_whatever_they_come(tmp_path: Path) -> None:
    for name in ("a.pcap", "b.pcap"):
        (tmp_path / name).write_bytes(bytes.fromhex("d4c3b2a1") + DATA)
    expected = [str(tmp_path / "a.pcap"), str(tmp_path / "b.pcap")]
    several = [expected, tuple(expected), sorted(tmp_path.iterdir()), (name for name in expected), tmp_path]
    for given in [*several, f"{tmp_path}/*.pcap"]:
        assert captures([given]) == expected
    assert captures(expected) == expected
    assert captures([[], []]) == []


@pytest.mark.parametrize("thing", [5, None, 0.5, [3]])
def test_what_is_no_capture(thing: Any) -> None:
    with pytest.raises(TypeError, match=r"not a capture: .*; a path, an open file, bytes, or several of them"):
        captures([thing])


def test_a_file_open_as_text(tmp_path: Path) -> None:
    path = tmp_path / "a.pcap"
    path.write_bytes(DATA)
    with path.open(encoding="latin-1") as file, pytest.raises(TypeError, match=r"a.pcap is open as text: .* 'rb'"):
        captures([file])


def test_nothing_in_it() -> None:
    (capture,) = captures([b""])
    with pytest.raises(SourceError, match="bytes: is empty"):
        open_capture(capture)


def test_a_file_that_is_begun_again_is_not_moved_by_what_still_reads_it() -> None:
    """As a thread does that decompresses ahead, when only the first frame was asked for."""
    (capture,) = captures([io.BytesIO(DATA)])
    with open_capture(capture, chunk_size=64) as source, open_capture(capture, chunk_size=64) as again:
        pairs = list(zip(source, again, strict=True))
    assert b"".join(mine for mine, _ in pairs) == b"".join(other for _, other in pairs) == DATA
