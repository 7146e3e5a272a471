"""What a name, a wildcard and a directory stand for."""

import gzip
import os
import socket
from pathlib import Path

import pytest

from nfsrpc.sources import Source, SourceError, find_captures, is_read_once, open_source, rings_of
from nfsrpc.sources.find import Found

PCAP = bytes.fromhex("d4c3b2a1 0200 0400 00000000 00000000 00000400 01000000")
PCAPNG = bytes.fromhex("0a0d0d0a1c0000004d3c2b1a01000000")


@pytest.fixture
def ring(tmp_path: Path) -> Path:
    directory = tmp_path / "ring"
    (directory / "deeper").mkdir(parents=True)
    for name, content in {
        "ring.pcap1": PCAP,
        "ring.pcap0": PCAP[:4][::-1] + PCAP[4:],
        "old.pcap.gz": gzip.compress(PCAP),
        "new.pcapng": PCAPNG,
        "dmesg.txt": b"lockd: server 10.1.84.31 not responding, still trying",
        "dmesg.txt.gz": gzip.compress(b"lockd: server 10.1.84.31 OK"),
        "empty.pcap": b"",
        "short.pcap": PCAP[:3],
        "deeper/trace.pcap": PCAP,
    }.items():
        (directory / name).write_bytes(content)
    return directory


def names(found: list[Found]) -> list[str]:
    return [Path(file).name for file in found if isinstance(file, str)]


def errors(found: list[Found]) -> dict[str, str]:
    return {Path(error.path).name: error.reason for error in found if isinstance(error, SourceError)}


def test_a_name_stays_as_it_is_whether_there_is_such_a_file_or_not() -> None:
    assert find_captures(["-", "b.pcap", "a.pcap", Path("c.pcap")]) == ["-", "b.pcap", "a.pcap", "c.pcap"]


IN_RING = ["new.pcapng", "old.pcap.gz", "ring.pcap0", "ring.pcap1", "trace.pcap"]  # the last is in a subdirectory


def test_a_directory_stands_for_the_captures_in_it_told_by_content(ring: Path) -> None:
    assert names(find_captures([ring])) == IN_RING


def test_each_subdirectory_is_a_node(ring: Path) -> None:
    (ring / ".hidden").mkdir()
    (ring / ".hidden" / "trace.pcap").write_bytes(PCAP)
    (ring / "incidents").mkdir()
    (ring / "incidents" / "capture.pcapng").write_bytes(PCAPNG)
    (ring / "link").symlink_to(ring.parent)
    (ring / "deeper" / "still").mkdir()
    (ring / "deeper" / "still" / "trace.pcap").write_bytes(PCAP)
    assert find_captures([ring])[-1] == str(ring / "deeper" / "trace.pcap")
    assert names(find_captures([ring])) == IN_RING
    assert names(find_captures([ring / "incidents"])) == ["capture.pcapng"]
    assert errors(find_captures([ring / "incidents" / ".."])).keys() == {"empty.pcap", "short.pcap"}


def test_files_of_one_name_are_a_ring_within_their_directory(ring: Path) -> None:
    (ring / "deeper" / "ring.pcap2").write_bytes(PCAP)
    found = [str(ring / name) for name in ("ring.pcap0", "ring.pcap1", "deeper/ring.pcap2")]
    assert rings_of(found, [()] * 3) == [0, 0, 2]


def test_a_wildcard_stands_for_what_it_matches_by_name(ring: Path) -> None:
    assert names(find_captures([f"{ring}/ring.*"])) == ["ring.pcap0", "ring.pcap1"]


def test_a_wildcard_may_match_directories(ring: Path) -> None:
    assert names(find_captures([f"{ring.parent}/r*g"])) == IN_RING


def test_a_file_with_brackets_in_its_name_is_no_wildcard(tmp_path: Path) -> None:
    path = tmp_path / "trace[1].pcap"
    path.write_bytes(PCAP)
    assert find_captures([path]) == [str(path)]


def test_what_has_the_name_of_a_capture_and_is_none_is_an_error_among_them(ring: Path) -> None:
    assert errors(find_captures([ring])) == {"empty.pcap": "is empty", "short.pcap": "is not a capture"}


def test_what_continues_a_ring_by_its_name_may_be_a_part_of_it(tmp_path: Path) -> None:
    for name, content in {"trace": PCAP, "trace1": PCAP, "trace2": b"", "notes1": b"", "README.md": b"x"}.items():
        (tmp_path / name).write_bytes(content)
    found = find_captures([tmp_path])
    assert (names(found), errors(found)) == (["trace", "trace1"], {"trace2": "is empty"})


def test_a_wildcard_without_a_match_is_an_error(tmp_path: Path) -> None:
    assert errors(find_captures([tmp_path / "*.pcap"])) == {"*.pcap": "no file matches"}


def test_a_directory_without_captures_is_an_error(tmp_path: Path) -> None:
    (tmp_path / "notes.txt").write_text("nothing")
    assert errors(find_captures([tmp_path])) == {tmp_path.name: "holds no capture"}


def test_a_directory_that_cannot_be_listed_is_an_error(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def forbidden(_path: str) -> None:
        raise PermissionError(13, "Permission denied")

    monkeypatch.setattr("os.scandir", forbidden)
    assert errors(find_captures([tmp_path])) == {tmp_path.name: "cannot be listed: Permission denied"}


def test_what_the_system_refuses_may_be_anything(ring: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (ring / "loop").symlink_to("loop")
    (ring / "dangling").symlink_to("nowhere")
    (ring / "dangling.pcap").symlink_to("nowhere")

    def open_some(path: str, chunk_size: int) -> Source:
        if path.endswith("dmesg.txt"):
            raise SourceError(path, "permission denied") from PermissionError(13, "Permission denied")
        return open_source(path, chunk_size)

    monkeypatch.setattr("nfsrpc.sources.find.open_source", open_some)
    assert errors(find_captures([ring])) == {
        "dangling.pcap": "no such file",
        "dmesg.txt": "permission denied",
        "empty.pcap": "is empty",
        "loop": "cannot be opened: Too many levels of symbolic links",
        "short.pcap": "is not a capture",
    }


def test_what_is_no_regular_file_is_not_opened(ring: Path) -> None:
    os.mkfifo(ring / "pipe.pcap")
    os.mkfifo(ring / "pipe")
    with socket.socket(socket.AF_UNIX) as listening:
        listening.bind(str(ring / "socket.pcap"))
    found = find_captures([ring])
    assert names(found) == IN_RING
    assert errors(found).items() >= {"pipe.pcap": "is a named pipe", "socket.pcap": "is a socket"}.items()
    assert "pipe" not in errors(found)
    assert errors(find_captures([f"{ring}/pip*"])) == {"pipe": "is a named pipe", "pipe.pcap": "is a named pipe"}


def test_a_pipe_that_is_named_is_meant(ring: Path) -> None:
    os.mkfifo(ring / "pipe")
    assert find_captures([ring / "pipe"]) == [str(ring / "pipe")]
    assert is_read_once(str(ring / "pipe"))
    assert not is_read_once(str(ring / "ring.pcap0"))
    assert not is_read_once(str(ring / "missing.pcap"))


@pytest.mark.parametrize(
    "magic", ["a1b2c3d4", "d4c3b2a1", "a1b23c4d", "4d3cb2a1", "a1b2cd34", "34cdb2a1", "0a0d0d0a", "736e6f6f70000000"]
)
def test_every_format_is_known_by_its_magic(tmp_path: Path, magic: str) -> None:
    (tmp_path / "x").write_bytes(bytes.fromhex(magic) + bytes(20))
    assert names(find_captures([tmp_path])) == ["x"]
