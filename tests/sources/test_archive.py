"""Captures in archives are read as they are; what an archive says of itself is believed within limits only."""

from __future__ import annotations

import bz2
import gc
import gzip
import io
import lzma
import os
import random
import tarfile
import zipfile
from collections.abc import Callable, Mapping
from contextlib import suppress
from pathlib import Path

import pytest

import nfsrpc
from nfsrpc.raw import reread
from nfsrpc.sources import SourceError, find_captures, open_capture, rings_of
from nfsrpc.sources import archive as module
from nfsrpc.sources.archive import Member, is_archive_at
from tests.cli.command import shell

PCAP = bytes.fromhex("d4c3b2a1 0200 0400 00000000 00000000 00000400 01000000")
FILES = {
    "node1/trace.pcap0": PCAP,
    "node1/trace.pcap1.gz": gzip.compress(PCAP),
    "./node2/trace.pcap": PCAP + b"2",
    "node2/notes.txt": b"iptables",
    "node3.pcap": PCAP + b"3",
    "empty.pcap": b"",
    "__MACOSX/node1/._trace.pcap0": b"\0\5\x16\7",
}
FOUND = ["node1/trace.pcap0", "node1/trace.pcap1.gz", "node2/trace.pcap", "node3.pcap"]


def tar(files: Mapping[str, bytes], format_: int = tarfile.PAX_FORMAT) -> bytes:
    file = io.BytesIO()
    with tarfile.open(fileobj=file, mode="w", format=format_) as archive:
        for name, content in files.items():
            info = tarfile.TarInfo(name)
            info.size = len(content)
            archive.addfile(info, io.BytesIO(content))
    return file.getvalue()


def zipped(files: Mapping[str, bytes], method: int = zipfile.ZIP_DEFLATED) -> bytes:
    file = io.BytesIO()
    with zipfile.ZipFile(file, "w", method) as archive:
        for name, content in files.items():
            archive.writestr(name, content)
    return file.getvalue()


def names(path: Path) -> list[str]:
    return [str(found).removeprefix(f"{path}/") for found in find_captures([path]) if isinstance(found, Member)]


def rings(path: Path) -> list[int]:
    """For each capture in an archive the first one of its ring."""
    found = [str(each) for each in find_captures([path]) if isinstance(each, Member)]
    return rings_of(found, [()] * len(found))


def errors(path: Path) -> dict[str, str]:
    found = [each for each in find_captures([path]) if isinstance(each, SourceError)]
    return {error.path.removeprefix(f"{path}/"): error.reason for error in found}


def content(member: object) -> bytes:
    assert isinstance(member, Member)
    with open_capture(member) as source:
        return b"".join(source)


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "x"  # what it is says its content


@pytest.mark.parametrize(
    "data",
    [
        pytest.param(tar(FILES), id="tar"),
        pytest.param(tar(FILES, tarfile.GNU_FORMAT), id="tar of GNU"),
        pytest.param(tar(FILES, tarfile.USTAR_FORMAT), id="ustar"),
        pytest.param(gzip.compress(tar(FILES)), id="tar.gz"),
        pytest.param(bz2.compress(tar(FILES)), id="tar.bz2"),
        pytest.param(lzma.compress(tar(FILES)), id="tar.xz"),
        pytest.param(zipped(FILES), id="zip"),
        pytest.param(zipped(FILES, zipfile.ZIP_STORED), id="zip, stored"),
        pytest.param(zipped(FILES, zipfile.ZIP_BZIP2), id="zip of bzip2"),
    ],
)
def test_the_captures_in_an_archive(path: Path, data: bytes) -> None:
    path.write_bytes(data)
    assert is_archive_at(str(path))
    assert names(path) == FOUND
    assert errors(path) == {"empty.pcap": "is empty"}
    found = [each for each in find_captures([path]) if isinstance(each, Member)]
    assert [content(member) for member in found] == [PCAP, PCAP, PCAP + b"2", PCAP + b"3"]
    assert [content(member) for member in reversed(found)] == [PCAP + b"3", PCAP + b"2", PCAP, PCAP]


def test_a_folder_is_a_node_with_its_ring_and_a_file_beside_it_a_node_of_its_own(path: Path) -> None:
    path.write_bytes(tar(dict.fromkeys(["n1/t.pcap0", "n1/t.pcap1", "n1.pcap", "n2.pcap", "t.pcap3", "t.pcap4"], PCAP)))
    assert names(path) == ["n1.pcap", "n1/t.pcap0", "n1/t.pcap1", "n2.pcap", "t.pcap3", "t.pcap4"]
    assert rings(path) == [0, 1, 1, 3, 4, 4]


@pytest.mark.parametrize(
    ("first", "second"),
    [
        ("trace.pcap0", "trace.pcap12"),
        ("trace-20261122-0531.pcap", "trace-20261122-0631.pcap"),
        ("trace_00001_20261122053139.pcapng", "trace_00002_20261122063139.pcapng"),
        ("ring-20261122T053139Z-000001.pcapng", "ring-20261122T063139Z-000002.pcapng"),
    ],
)
def test_files_beside_each_other_that_are_a_ring(path: Path, first: str, second: str) -> None:
    path.write_bytes(tar({first: PCAP, second: PCAP, "node1.pcap": PCAP, "node2.pcap": PCAP}))
    assert sorted(rings(path).count(ring) for ring in set(rings(path))) == [1, 1, 2]
    found = dict(zip(names(path), rings(path), strict=True))
    assert found[first] == found[second]


def test_the_incidents_of_a_recorder_are_not_read_beside_its_ring(path: Path) -> None:
    incident = {"nfsrpc/incidents/20261122T053139Z-REG001-10.1.84.31/capture.pcapng": PCAP}
    path.write_bytes(tar({"nfsrpc/ring-20261122T053139Z-000001.pcapng": PCAP} | incident))
    assert names(path) == ["nfsrpc/ring-20261122T053139Z-000001.pcapng"]
    path.write_bytes(tar(incident))
    assert names(path) == list(incident)


def test_standard_input_is_no_archive_whatever_is_called_so(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "-").write_bytes(tar(FILES))
    monkeypatch.chdir(tmp_path)
    assert find_captures(["-"]) == ["-"]


def test_archives_of_several_nodes_in_a_directory(tmp_path: Path) -> None:
    (tmp_path / "node1.tar.gz").write_bytes(gzip.compress(tar({"trace.pcap": PCAP, "ip-resources.txt": b"lo"})))
    (tmp_path / "node2.zip").write_bytes(zipped({"trace.pcap": PCAP}))
    (tmp_path / "notes.zip").write_bytes(zipped({"notes": b"x"}))
    assert names(tmp_path) == ["node1.tar.gz/trace.pcap", "node2.zip/trace.pcap"]
    assert errors(tmp_path) == {"notes.zip": "holds no capture"}


def test_an_archive_within_an_archive_but_no_deeper(path: Path) -> None:
    inner = gzip.compress(tar({"trace.pcap": PCAP}))
    path.write_bytes(zipped({"node1.tgz": inner, "node2.tgz": gzip.compress(tar({"again.tgz": inner}))}))
    assert names(path) == ["node1.tgz/trace.pcap"]


def test_the_name_of_a_member_is_never_used_as_a_path(tmp_path: Path, path: Path) -> None:
    here = sorted(os.listdir(tmp_path))
    path.write_bytes(tar({"../../escape.pcap": PCAP, "/etc/trace.pcap": PCAP, "a\x1b[2J/x.pcap": PCAP}))
    assert names(path) == ["a\x1b[2J/x.pcap", "escape.pcap", "etc/trace.pcap"]
    told = shell("table", "captures", path)
    assert b"\x1b" not in told.stdout + told.stderr
    assert sorted(os.listdir(tmp_path)) == [*here, "x"]


def test_links_and_devices_are_no_captures(path: Path) -> None:
    file = io.BytesIO()
    with tarfile.open(fileobj=file, mode="w") as archive:
        for kind in (tarfile.SYMTYPE, tarfile.LNKTYPE, tarfile.CHRTYPE, tarfile.FIFOTYPE):
            info = tarfile.TarInfo(f"{kind.decode()}.pcap")
            info.type, info.linkname = kind, "/etc/shadow"
            archive.addfile(info)
    path.write_bytes(file.getvalue())
    assert errors(path) == {str(path): "holds no capture"}


def test_what_is_cut_off_is_said_and_the_rest_read(path: Path) -> None:
    whole = tar({"a.pcap": PCAP, "b.pcap": PCAP * 100})
    path.write_bytes(whole[: 2 * 512 + 700])
    assert names(path) == ["a.pcap", "b.pcap"]
    assert errors(path) == {str(path): "is damaged: unexpected end of data"}
    path.write_bytes(whole[: 2 * 512])
    assert names(path) == ["a.pcap"]
    assert errors(path) == {str(path): "is damaged, or cut off: members may be missing"}
    path.write_bytes(gzip.compress(whole)[:-20])
    assert names(path)
    assert errors(path)[str(path)] == "its gzip stream is cut off"


def test_a_damaged_header_hides_no_members_silently(path: Path) -> None:
    data = bytearray(tar({"a.pcap": PCAP, "b.pcap": PCAP, "c.pcap": PCAP}))
    data[1024 + 20] ^= 0xFF
    path.write_bytes(data)
    assert names(path) == ["a.pcap"]
    assert errors(path) == {str(path): "is damaged, or cut off: members may be missing"}


def test_a_damaged_member_of_a_zip_file(path: Path) -> None:
    data = bytearray(zipped({"a.pcap": PCAP, "b.pcap": PCAP + random.Random(1).randbytes(5000)}))
    data[data.index(b"b.pcap") + 3000] ^= 0xFF
    path.write_bytes(data)
    assert names(path) == ["a.pcap", "b.pcap"]
    with pytest.raises(SourceError, match="damaged"):
        content(find_captures([path])[1])


@pytest.mark.parametrize(
    ("change", "reason"),
    [
        (lambda info: setattr(info, "flag_bits", 1), "cannot be read: it is encrypted"),
        (
            lambda info: setattr(info, "compress_type", 14),
            "cannot be read: its compression is none of deflate and bzip2",
        ),
    ],
)
def test_members_that_cannot_be_read(path: Path, change: Callable[[zipfile.ZipInfo], None], reason: str) -> None:
    file = io.BytesIO()
    with zipfile.ZipFile(file, "w") as archive:
        archive.writestr("a.pcap", PCAP)
        change(archive.infolist()[0])
    path.write_bytes(file.getvalue())
    assert errors(path) == {"a.pcap": reason}


def test_a_sparse_member_is_not_read(path: Path) -> None:
    info = tarfile.TarInfo("huge.pcap")
    info.type, info.size = tarfile.GNUTYPE_SPARSE, 512
    header = bytearray(info.tobuf(tarfile.GNU_FORMAT))
    header[386:410] = b"00000000000\0" + b"00000001000\0"  # one extent
    header[483:495] = b"77777777777\0"  # of 8 GiB
    header[148:156] = b"        "
    header[148:156] = b"%06o\0 " % sum(header)
    path.write_bytes(bytes(header) + PCAP.ljust(512, b"\0") + bytes(1024))
    assert errors(path) == {"huge.pcap": "cannot be read: it is sparse"}


def test_a_header_is_not_believed_to_be_long(path: Path) -> None:
    info = tarfile.TarInfo("././@LongLink")
    info.type, info.size = tarfile.GNUTYPE_LONGNAME, 1 << 20
    path.write_bytes(info.tobuf(tarfile.GNU_FORMAT) + bytes(1 << 20))
    assert errors(path) == {str(path): "cannot be read: a header is longer than any"}


def test_a_member_that_ends_before_it_begins(path: Path) -> None:
    """Older tarfiles read such an archive for ever."""
    info = tarfile.TarInfo("a.pcap")
    header = bytearray(info.tobuf(tarfile.GNU_FORMAT))
    header[124:136] = b"\xff" * 10 + (1 << 16 | -1024 & 0xFFFF).to_bytes(4, "big")[-2:]
    header[148:156] = b"        "
    header[148:156] = b"%06o\0 " % sum(header)
    path.write_bytes(bytes(header) * 4)
    assert next(iter(errors(path).values())).startswith("is damaged")


def test_headers_without_end(path: Path) -> None:
    info = tarfile.TarInfo("././@LongLink")
    info.type, info.size = tarfile.GNUTYPE_LONGNAME, 1
    path.write_bytes((info.tobuf(tarfile.GNU_FORMAT) + bytes(512)) * 5000)
    assert next(iter(errors(path).values())).startswith("is damaged")


def test_what_would_fill_the_disk_is_not_unpacked(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path.write_bytes(gzip.compress(tar({"a.pcap": PCAP, "zeros": bytes(3 << 20)})))
    assert names(path) == ["a.pcap"]
    monkeypatch.setattr(module, "MAX_UNPACKED", 2 << 20)
    assert errors(path) == {str(path): module.TOO_LARGE}
    monkeypatch.setattr(module, "MAX_UNPACKED", 1 << 40)
    monkeypatch.setattr(module, "RESERVE", 1 << 60)
    assert "has no room to be unpacked" in errors(path)[str(path)]


def test_members_beyond_those_that_have_numbers(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path.write_bytes(tar({f"{number}.pcap": PCAP for number in range(5)}))
    monkeypatch.setattr(module, "MAX_MEMBERS", 5)
    assert errors(path) == {}
    monkeypatch.setattr(module, "MAX_MEMBERS", 4)
    assert errors(path) == {str(path): "holds more than 4 captures"}


def test_a_member_without_a_name(path: Path) -> None:
    path.write_bytes(zipped({"x": PCAP}).replace(b"x", b"\0"))
    [found] = find_captures([path])
    assert isinstance(found, SourceError)
    assert found.reason.startswith("cannot be read: damaged")


@pytest.mark.parametrize("make", [tar, zipped], ids=["tar", "zip"])
def test_no_damage_raises_anything_else(path: Path, make: Callable[[Mapping[str, bytes]], bytes]) -> None:
    whole = make(FILES)
    chance = random.Random(7)
    for _ in range(150):
        data = bytearray(whole)
        for _ in range(chance.randint(1, 4)):
            data[chance.randrange(len(data))] = chance.choice((0, 0x37, 0x80, 0xFF, chance.randrange(256)))
        path.write_bytes(data[: chance.randint(1, len(data))] if chance.random() < 0.3 else data)
        for found in find_captures([path]):
            if isinstance(found, Member):
                with suppress(SourceError):
                    content(found)


def test_files_are_closed_when_nothing_refers_to_them(path: Path) -> None:
    path.write_bytes(gzip.compress(tar(FILES)))
    before = len(os.listdir("/proc/self/fd"))
    members = find_captures([path])
    assert len(os.listdir("/proc/self/fd")) > before
    del members
    gc.collect()
    assert len(os.listdir("/proc/self/fd")) == before


def test_the_verdict_is_that_of_the_files(samples: Path, path: Path) -> None:
    incident = samples / "server-without-statd"
    files = sorted(incident.glob("*.pcap"))
    whole = nfsrpc.read(files)
    path.write_bytes(gzip.compress(tar({f"{file.stem}/{file.name}": file.read_bytes() for file in files}), 1))
    trace = nfsrpc.read(path)
    assert trace.diagnosis.verdict == whole.diagnosis.verdict
    assert trace.files == [f"{path}/{file.stem}/{file.name}" for file in files]
    assert [frame.bytes for frame in reread(trace.tables.decoded, [(2, 102)]).frames] == [
        frame.bytes for frame in reread(whole.tables.decoded, [(2, 102)]).frames
    ]
    told = shell("analyze", path)
    assert told.returncode == 1
    assert b"nfssrv-any/nfssrv-any.pcap:102" in told.stdout


def test_two_nodes_with_files_of_one_name(samples: Path, tmp_path: Path) -> None:
    incident = samples / "server-without-statd"
    for node in ("cl1", "nfssrv"):
        (tmp_path / node).mkdir()
        (tmp_path / node / "trace.pcap").write_bytes((incident / f"{node}-any.pcap").read_bytes())
    told = shell("analyze", tmp_path)
    assert told.returncode == 1
    assert b"nfssrv/trace.pcap:102" in told.stdout
    assert b"REG001" in told.stdout
