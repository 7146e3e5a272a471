"""A cache that cannot be written, files that change or fail while they are read: what each costs."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from collections import Counter
from collections.abc import Callable, Iterable, Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from itertools import repeat
from pathlib import Path
from threading import Thread
from typing import Any

import pytest

from benchmarks import fleet
from nfsrpc.findings.finding import Diagnosis, Verdict
from nfsrpc.fleet import cache, places, run
from nfsrpc.fleet.arrow import LISTS
from nfsrpc.fleet.overview import reported
from nfsrpc.fleet.places import Node, captures_of, nodes, remote_capture
from nfsrpc.fleet.rows import rows_of
from nfsrpc.report.contents import Report
from nfsrpc.sources import SourceError

fsspec = pytest.importorskip("fsspec")
pytest.importorskip("pyarrow")


@pytest.fixture
def node(tmp_path: Path) -> Node:
    fleet.write(tmp_path / "fleet", nodes=1, servers=1, ill=1, rounds=1)
    return nodes([str(tmp_path / "fleet")])[0][0]


def in_memory(node: Node) -> Node:
    """The node with its files at URLs of fsspec's memory."""
    files = tuple(f"memory://{file}" for file in node.files)
    for file, url in zip(node.files, files, strict=True):
        fsspec.filesystem("memory").pipe_file(url, Path(file).read_bytes())
    return Node(node.name, files)


def test_a_cache_that_can_be_written_is_marked_as_one(tmp_path: Path) -> None:
    for _ in range(2):
        cache.check(f"{tmp_path}/a/b/")
    assert [file.name for file in (tmp_path / "a" / "b").iterdir()] == ["CACHEDIR.TAG"]


@pytest.mark.parametrize("place", ["/proc/x", "file:///proc/x", "{file}/x", "nowhere://a/b", "http://127.0.0.1:1/x"])
def test_a_cache_that_cannot_be_written_is_one_line(place: str, tmp_path: Path) -> None:
    (tmp_path / "file").write_text("in the way")
    place = place.format(file=tmp_path / "file")
    with pytest.raises(SourceError) as caught:
        cache.check(place)
    assert str(caught.value).startswith(f"{place}: ")
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize("place", ["/proc/x", "{file}/x"])
def test_a_cache_that_fails_later_costs_only_the_cache(place: str, node: Node, tmp_path: Path) -> None:
    (tmp_path / "file").write_text("in the way")
    place = place.format(file=tmp_path / "file")
    found = run.decode_node(node, place)
    assert found.rows.pairs
    assert found.uncached.startswith(f"{place}: cannot be written: ")
    report = Report(Diagnosis(Verdict(None, "cannot-tell", "")), (), ())
    overview = reported(run.Fleet(report, (), 0, (found.uncached,) * 3)).fleet
    assert overview
    assert overview.notes[-1] == ("Cache", f"the rows of 3 nodes were not kept: {found.uncached}")


class FailsToRead:
    """An open file of a package whose connection is lost after so many reads."""

    def __init__(self, file: Any, reads: int) -> None:
        self.file, self.reads = file, reads

    def read(self, size: int) -> bytes:
        self.reads -= 1
        if self.reads < 0:
            raise RuntimeError("Unable to locate\ncredentials")
        data: bytes = self.file.read(min(size, 512))
        return data

    def close(self) -> None:
        raise RuntimeError("cannot be closed either")


def opening(monkeypatch: pytest.MonkeyPatch, opened: Callable[[Any], Any]) -> None:
    """What a URL of fsspec's memory opens as."""
    system = type(fsspec.filesystem("memory"))
    original = system.open
    monkeypatch.setattr(system, "open", lambda *args, **options: opened(original(*args, **options)))


@pytest.mark.parametrize("reads", [0, 1, 3])
def test_a_url_that_cannot_be_read_on_costs_that_file_and_is_named(
    reads: int, node: Node, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    node = in_memory(Node(node.name, node.files[:1]))
    with monkeypatch.context() as patch:
        opening(patch, lambda file: FailsToRead(file, reads))
        found = run.decode_node(node, str(tmp_path / "cache"))
    reason = "cannot be read: Unable to locate credentials"
    if reads == 0:
        assert [each[1] for each in found.rows.skipped] == [reason]
    else:
        assert found.rows.damages == {0: reason}
    again = run.decode_node(node, str(tmp_path / "cache"))  # the next time it can be read
    assert not again.cached
    assert not again.rows.damages
    assert run.decode_node(node, str(tmp_path / "cache")).cached


def test_a_file_that_changes_while_it_is_read_is_not_kept(
    node: Node, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    whole = [Path(file).read_bytes() for file in node.files]
    for file, data in zip(node.files, whole, strict=True):
        Path(file).write_bytes(data[: len(data) // 2])

    def read(name: str, captures: Any) -> Any:
        rows = rows_of(name, captures)
        for file, data in zip(node.files, whole, strict=True):
            Path(file).write_bytes(data)
        return rows

    with monkeypatch.context() as patch:
        patch.setattr(run, "rows_of", read)
        half = run.decode_node(node, str(tmp_path / "cache"))
    assert not list((tmp_path / "cache").glob("*"))
    again = run.decode_node(node, str(tmp_path / "cache"))
    assert (half.cached, again.cached) == (False, False)
    assert again.rows.vantages[0].stream != half.rows.vantages[0].stream


@pytest.mark.parametrize(
    ("before", "after", "changes"),
    [
        ({"size": 9, "ETag": "a"}, {"size": 9, "ETag": "b"}, True),
        ({"Last-Modified": "Mon"}, {"Last-Modified": "Tue"}, True),
        ({"ETag": "a"}, {"ETag": "a"}, False),
    ],
)
def test_a_page_that_changes_has_another_key(
    before: dict[str, Any], after: dict[str, Any], changes: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    """For fsspec a page never changes: its `ukey` is that of the URL."""
    answering(monkeypatch, [before, after, {"size": 9}])
    page = "http://host/a.pcap"
    first, second = (cache.state_of([page]) for _ in range(2))
    assert (first != second) is changes
    with pytest.raises(SourceError, match="neither an ETag nor a time of change"):
        cache.state_of([page])


def answering(monkeypatch: pytest.MonkeyPatch, answers: Iterable[dict[str, Any]]) -> None:
    """What a file system knows of whatever it is asked for, one answer after the other."""

    class Answering:
        remaining = iter(answers)

        def invalidate_cache(self) -> None: ...

        def info(self, _path: str) -> dict[str, Any]:
            return next(self.remaining)

    system = Answering()
    monkeypatch.setattr(cache, "located", lambda url: (system, url))


@pytest.mark.parametrize(
    ("urls", "before", "after", "same"),
    [
        (("s3://a/1.pcap", "s3://b/2.pcap"), {"ETag": "x", "LastModified": 1}, {"ETag": "x", "LastModified": 2}, True),
        (("s3://a/1.pcap", "s3://a/1.pcap"), {"ETag": "x"}, {"ETag": "y"}, False),
        (("gs://a/1.pcap", "gs://b/2.pcap"), {"md5Hash": "x", "etag": 1}, {"md5Hash": "x", "etag": 2}, True),
        (("gs://a/1.pcap", "gs://a/1.pcap"), {"etag": 1}, {"etag": 2}, False),  # composed of parts: has no MD5
        (("http://a/1.pcap", "http://b/1.pcap"), {"ETag": "x"}, {"ETag": "x"}, False),  # says nothing beyond its URL
        (("sftp://a/1.pcap", "sftp://a/1.pcap"), {"mtime": 1, "time": 1}, {"mtime": 1, "time": 2}, True),
        (("sftp://a/1.pcap", "sftp://a/1.pcap"), {"mtime": 1, "time": 1}, {"mtime": 2, "time": 1}, False),
    ],
)
def test_remote_files_are_told_apart_by_checksum_else_by_address_and_change(
    urls: tuple[str, str], before: dict[str, Any], after: dict[str, Any], same: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    keys = []
    for url, known in zip(urls, (before, after), strict=True):
        answering(monkeypatch, repeat(known))
        keys.append(cache.key_of([remote_capture(url)]))
    assert (keys[0] == keys[1]) is same


def in_turn(node: Node, folder: Path, monkeypatch: pytest.MonkeyPatch) -> tuple[bool, int, int]:
    """Whether a node came from the cache, and how often its bytes were read for a digest and were decoded."""
    calls: Counter[str] = Counter()

    def counted(module: Any, name: str) -> None:
        original = getattr(module, name)
        patch.setattr(module, name, lambda *args: calls.update([name]) or original(*args))

    with monkeypatch.context() as patch:
        counted(run, "rows_of")
        counted(cache, "begun")
        found = run.decode_node(node, str(folder / "cache"))
    assert not found.uncached
    assert (found.rows.name, found.rows.files) == (node.name, list(node.files))
    return found.cached, calls["begun"], calls["rows_of"]


def test_what_has_not_changed_is_not_even_read(node: Node, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    assert in_turn(node, tmp_path, monkeypatch) == (False, 2, 1)
    assert in_turn(node, tmp_path, monkeypatch) == (True, 0, 0)


@pytest.mark.parametrize("how", ["moved", "copied", "touched", "renamed"])
def test_files_with_the_same_bytes_come_from_the_cache(
    how: str, node: Node, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Under their own names; and the next time without being read."""
    in_turn(node, tmp_path, monkeypatch)
    old = Path(node.files[0]).parent
    if how == "moved":
        old.rename(tmp_path / "elsewhere")
    elif how == "copied":
        shutil.copytree(old, tmp_path / "elsewhere")
    elif how == "touched":
        os.utime(node.files[0], (1, 1))
    else:
        for number, file in enumerate(node.files):
            Path(file).rename(old / f"other.pcap{number}")
    again = nodes([str(tmp_path / "elsewhere" if how in ("moved", "copied") else old)])[0][0]
    assert in_turn(again, tmp_path, monkeypatch) == (True, 2, 0)
    assert in_turn(again, tmp_path, monkeypatch) == (True, 0, 0)


def test_files_in_another_order_or_of_other_rings_have_another_key(node: Node, tmp_path: Path) -> None:
    one, other = node.files
    assert cache.key_of([one, other]) != cache.key_of([other, one])
    shutil.copy(other, tmp_path / "other-ring.pcap")
    assert cache.key_of([one, other]) != cache.key_of([one, str(tmp_path / "other-ring.pcap")])


@pytest.mark.parametrize("linked", [False, True])
def test_other_bytes_of_the_same_size_and_time_are_decoded(
    linked: bool, node: Node, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Also where the index knows the file: its inode, or the time of change of that, is another."""
    if linked:
        shutil.move(node.files[0], tmp_path / "target")
        Path(node.files[0]).symlink_to(tmp_path / "target")
    in_turn(node, tmp_path, monkeypatch)
    before, data = os.stat(node.files[0]), bytearray(Path(node.files[0]).read_bytes())
    data[-1] ^= 1
    Path(node.files[0]).write_bytes(data)
    os.utime(node.files[0], ns=(before.st_atime_ns, before.st_mtime_ns))
    after = os.stat(node.files[0])
    assert (after.st_size, after.st_mtime_ns, after.st_ino) == (before.st_size, before.st_mtime_ns, before.st_ino)
    assert in_turn(node, tmp_path, monkeypatch) == (False, 2, 1)


@pytest.mark.parametrize("name", ["version", "FORMAT"])
def test_another_version_decodes_anew(name: str, node: Node, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    in_turn(node, tmp_path, monkeypatch)
    with monkeypatch.context() as patch:
        patch.setattr(cache, name, (lambda _: "0.0.1") if name == "version" else 0)
        assert in_turn(node, tmp_path, monkeypatch) == (False, 2, 1)
    assert in_turn(node, tmp_path, monkeypatch) == (True, 0, 0)


def test_a_damaged_cache_costs_only_what_is_damaged(
    node: Node, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    in_turn(node, tmp_path, monkeypatch)
    (index,) = (tmp_path / "cache" / cache.INDEX).iterdir()
    index.write_bytes(index.read_bytes().translate(bytes.maketrans(b"abcdef", b"fabcde")))
    assert in_turn(node, tmp_path, monkeypatch) == (True, 2, 0)
    (manifest,) = (tmp_path / "cache").glob(f"*/{cache.MANIFEST}")
    manifest.write_bytes(manifest.read_bytes().replace(b"10.8.0.1", b"10.8.0.2"))
    assert in_turn(node, tmp_path, monkeypatch) == (False, 2, 1)
    assert in_turn(node, tmp_path, monkeypatch) == (True, 0, 0)


@pytest.mark.parametrize(
    "foreign",
    [
        {"vantages": []},
        {"vantages": [{"files": [0, 1], "tables": {}, "lists": {}}]},
        {"vantages": [{"files": [2], "tables": {}, "lists": {name: [] for name in LISTS}}]},
        {"pairs": [["10.8.0.1"]]},
        {"servers": 1},
        [],
    ],
)
def test_a_manifest_that_is_sealed_and_foreign_is_made_anew(
    foreign: Any, node: Node, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    in_turn(node, tmp_path, monkeypatch)
    (manifest,) = (tmp_path / "cache").glob(f"*/{cache.MANIFEST}")
    own = manifest.read_bytes()
    if isinstance(foreign, dict):
        foreign = json.loads(own.partition(b"\n")[2]) | foreign
    manifest.write_bytes(cache.sealed(json.dumps(foreign).encode()))
    assert in_turn(node, tmp_path, monkeypatch) == (False, 2, 1)
    assert manifest.read_bytes() == own


@pytest.fixture
def refusing_puts() -> Iterator[str]:
    """The URL of a server that refuses to store."""

    class Refusing(BaseHTTPRequestHandler):
        def do_PUT(self) -> None:
            self.send_response(403)
            self.send_header("Content-Length", "0")
            self.end_headers()

        def log_message(self, *_: object) -> None: ...

    with ThreadingHTTPServer(("127.0.0.1", 0), Refusing) as server:
        Thread(target=server.serve_forever, daemon=True).start()
        yield f"http://127.0.0.1:{server.server_address[1]}/cache"
        server.shutdown()


def test_a_package_that_finds_no_credentials_is_one_line(monkeypatch: pytest.MonkeyPatch) -> None:
    def url_to_fs(_url: str) -> None:
        raise RuntimeError("no default\ncredentials")

    monkeypatch.setattr(fsspec.core, "url_to_fs", url_to_fs)
    with pytest.raises(SourceError, match="is no URL that can be used: no default credentials"):
        places.located("gs://bucket/a")
    with pytest.raises(SourceError):
        captures_of(Node("a", ("gs://bucket/a.pcap",)))[0].begin()  # type: ignore[union-attr]


@pytest.mark.acceptance
@pytest.mark.parametrize("where", ["disk", "page"])
def test_the_command_line_names_a_cache_that_cannot_be_written(where: str, node: Node, refusing_puts: str) -> None:
    """Also where what the package raised cannot be pickled: aiohttp's errors cannot."""
    pytest.importorskip("distributed")
    pytest.importorskip("aiohttp")
    folder = os.path.dirname(node.files[0])
    place = "/proc/x" if where == "disk" else refusing_puts
    command = [sys.executable, "-m", "nfsrpc", "analyze", "--dask", "--cache", place, folder]
    result = subprocess.run(command, capture_output=True, text=True, timeout=120, check=False)
    assert result.returncode == 2
    assert result.stderr.startswith(f"nfsrpc: {place}: cannot be written: ")
    assert result.stderr.count("\n") == 1
