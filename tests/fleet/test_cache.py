"""A cache that cannot be written, files that change or fail while they are read: what each costs."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from benchmarks import fleet
from nfsrpc.findings.finding import Diagnosis, Verdict
from nfsrpc.fleet import cache, places, run
from nfsrpc.fleet.overview import reported
from nfsrpc.fleet.places import Node, captures_of, nodes
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
    answers = iter([before, after, {"size": 9}])

    class Pages:
        def invalidate_cache(self) -> None: ...

        def ukey(self, path: str) -> str:
            return path

        def info(self, _path: str) -> dict[str, Any]:
            return next(answers)

    monkeypatch.setattr(cache, "located", lambda url: (Pages(), url))
    first, second = (cache.key_of("a", ["http://host/a.pcap"]) for _ in range(2))
    assert (first != second) is changes
    with pytest.raises(SourceError, match="neither an ETag nor a time of change"):
        cache.key_of("a", ["http://host/a.pcap"])


def test_a_package_that_finds_no_credentials_is_one_line(monkeypatch: pytest.MonkeyPatch) -> None:
    def url_to_fs(_url: str) -> None:
        raise RuntimeError("no default\ncredentials")

    monkeypatch.setattr(fsspec.core, "url_to_fs", url_to_fs)
    with pytest.raises(SourceError, match="is no URL that can be used: no default credentials"):
        places.located("gs://bucket/a")
    with pytest.raises(SourceError):
        captures_of(Node("a", ("gs://bucket/a.pcap",)))[0].begin()  # type: ignore[union-attr]


@pytest.mark.acceptance
def test_the_command_line_names_a_cache_that_cannot_be_written(node: Node) -> None:
    pytest.importorskip("distributed")
    folder = os.path.dirname(node.files[0])
    command = [sys.executable, "-m", "nfsrpc", "analyze", "--dask", "--cache", "/proc/x", folder]
    result = subprocess.run(command, capture_output=True, text=True, timeout=120, check=False)
    assert result.returncode == 2
    assert result.stderr.startswith("nfsrpc: /proc/x: cannot be written: ")
    assert result.stderr.count("\n") == 1
