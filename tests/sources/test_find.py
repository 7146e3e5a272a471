"""What a name, a wildcard and a directory stand for."""

import gzip
from pathlib import Path

import pytest

from nfsrpc.sources import SourceError, find_captures

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


def names(files: list[str]) -> list[str]:
    return [Path(file).name for file in files]


def test_a_name_stays_as_it_is_whether_there_is_such_a_file_or_not() -> None:
    assert find_captures(["-", "b.pcap", "a.pcap", Path("c.pcap")]) == ["-", "b.pcap", "a.pcap", "c.pcap"]


def test_a_directory_stands_for_the_captures_in_it_told_by_content(ring: Path) -> None:
    assert names(find_captures([ring])) == ["new.pcapng", "old.pcap.gz", "ring.pcap0", "ring.pcap1"]


def test_a_wildcard_stands_for_what_it_matches_by_name(ring: Path) -> None:
    assert names(find_captures([f"{ring}/ring.*"])) == ["ring.pcap0", "ring.pcap1"]


def test_a_wildcard_may_match_directories(ring: Path) -> None:
    assert names(find_captures([f"{ring.parent}/r*g"])) == ["new.pcapng", "old.pcap.gz", "ring.pcap0", "ring.pcap1"]


def test_a_file_with_brackets_in_its_name_is_no_wildcard(tmp_path: Path) -> None:
    path = tmp_path / "trace[1].pcap"
    path.write_bytes(PCAP)
    assert find_captures([path]) == [str(path)]


def test_a_wildcard_without_a_match_is_an_error(tmp_path: Path) -> None:
    with pytest.raises(SourceError, match=r"\*\.pcap: no file matches$"):
        find_captures([tmp_path / "*.pcap"])


def test_a_directory_without_captures_is_an_error(tmp_path: Path) -> None:
    (tmp_path / "notes.txt").write_text("nothing")
    with pytest.raises(SourceError, match=f"{tmp_path}: holds no capture"):
        find_captures([tmp_path])


def test_a_directory_of_captures_that_may_not_be_read_is_not_called_one_without(
    ring: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("nfsrpc.sources.find.is_capture", lambda file: False)
    monkeypatch.setattr("os.access", lambda file, mode: not file.endswith("ring.pcap0"))
    with pytest.raises(SourceError, match=r"ring\.pcap0: permission denied"):
        find_captures([ring])


@pytest.mark.parametrize(
    "magic", ["a1b2c3d4", "d4c3b2a1", "a1b23c4d", "4d3cb2a1", "a1b2cd34", "34cdb2a1", "0a0d0d0a", "736e6f6f70000000"]
)
def test_every_format_is_known_by_its_magic(tmp_path: Path, magic: str) -> None:
    (tmp_path / "x").write_bytes(bytes.fromhex(magic) + bytes(20))
    assert names(find_captures([tmp_path])) == ["x"]
