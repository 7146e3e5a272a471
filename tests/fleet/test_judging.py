"""A fleet's diagnosis is that of `analyze` of the same files, however its nodes are merged, split and stored."""

from __future__ import annotations

import shutil
import tarfile
from collections import Counter
from pathlib import Path
from typing import Any

import pytest

import nfsrpc
from benchmarks import fleet, traffic
from nfsrpc.findings.finding import Diagnosis
from nfsrpc.fleet import cache
from nfsrpc.fleet.arrow import unpacked
from nfsrpc.fleet.groups import Group, Summary, groups_of
from nfsrpc.fleet.judging import combined, judged
from nfsrpc.fleet.places import captures_of, nodes
from nfsrpc.fleet.rows import NodeRows, rows_of
from nfsrpc.report.contents import report_of
from tests.captures_dir import listed

pytest.importorskip("pyarrow")
pytest.importorskip("fsspec")


def conclusions(diagnosis: Diagnosis) -> list[tuple[Any, ...]]:
    """What a diagnosis says, without the numbers of files, which the order of nodes changes."""
    return sorted(
        (each.id, each.certainty, each.clients, each.files, each.count, tuple((e.frame, e.note) for e in each.evidence))
        for each in diagnosis.findings
    )


def in_groups(found: list[NodeRows], most_rows: int) -> Diagnosis:
    groups = groups_of([Summary(node.rows, node.pairs, node.servers) for node in found], most_rows)
    return combined([judged([found[n] for n in group.nodes], servers=group.servers) for group in groups]).diagnosis


@pytest.fixture(scope="module")
def small(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("fleet")
    fleet.write(folder, nodes=9, servers=5, ill=3, rounds=1)
    return folder


FOLDERS = Counter(
    capture.path.parent for capture in listed("samples", "kernel", "reports") if "storm" not in capture.name
)
SEVERAL = sorted(folder for folder, number in FOLDERS.items() if number > 1)


@pytest.mark.parametrize("folder", SEVERAL, ids=lambda folder: folder.name)
def test_vantages_as_nodes_say_what_analyze_says(folder: Path) -> None:
    files = sorted(str(path) for path in folder.iterdir() if ".pcap" in path.name)
    trace = nfsrpc.read(*files, count=True)
    expected = report_of(trace.tables, trace.diagnosis).diagnosis
    splits = [[files]]
    if len(trace.tables.decoded.vantages) == len(files):  # the files of a ring belong to one node
        splits += [[[file] for file in files], [files[:1], files[1:]]]
    for split in splits:
        found = judged([rows_of(part[0], part) for part in split]).diagnosis
        assert found.verdict.state == expected.verdict.state
        assert conclusions(found) == conclusions(expected)


def test_by_server_and_as_a_whole_are_alike(small: Path) -> None:
    rows = [rows_of(node.name, captures_of(node)) for node in nodes([str(small)])[0]]
    whole, parts = in_groups(rows, 10**9), in_groups(rows, 0)
    assert clients_and_counts(whole) == clients_and_counts(parts)


def test_a_capture_that_is_judged_for_several_servers_is_one(small: Path) -> None:
    """Its evidence is numbered so, and whether its clock was compared in one part is known."""
    rows = [rows_of(node.name, captures_of(node)) for node in nodes([str(small)])[0]]
    parts = [judged([rows[n] for n in group.nodes], servers=group.servers) for group in in_parts(rows)]
    assert sum(len(part.captures) for part in parts) > 18
    report = combined(parts)
    assert sorted(capture.file for capture in report.captures) == sorted(file for node in rows for file in node.files)
    shown = {(report.captures[e.capture].file, e.frame) for f in report.diagnosis.findings for e in f.evidence}
    assert shown == {
        (part.captures[e.capture].file, e.frame) for part in parts for f in part.diagnosis.findings for e in f.evidence
    }
    other = [part._replace(captures=tuple(c._replace(offset_s=0.5) for c in part.captures)) for part in parts]
    assert {capture.offset_s for capture in combined([*parts, *other]).captures} == {0.5}


def in_parts(rows: list[NodeRows]) -> list[Group]:
    return groups_of([Summary(node.rows, node.pairs, node.servers) for node in rows], 0)


def clients_and_counts(diagnosis: Diagnosis) -> set[tuple[Any, ...]]:
    """Of findings about hosts: by server, a node is judged once for each of its servers."""
    return {(each.id, each.clients, each.count) for each in diagnosis.findings if each.host}


def test_what_the_cache_has_is_what_was_kept(small: Path, tmp_path: Path) -> None:
    node = nodes([str(small)])[0][0]
    key = cache.key_of(captures_of(node))
    rows = rows_of(node.name, captures_of(node))
    assert cache.kept(str(tmp_path), key, node) is None
    cache.keep(str(tmp_path), key, rows)
    again = cache.kept(str(tmp_path), key, node)
    assert again is not None
    assert again._replace(vantages=[]) == rows._replace(vantages=[])
    assert conclusions(judged([again]).diagnosis) == conclusions(judged([rows]).diagnosis)
    for mine, theirs in zip(rows.vantages, again.vantages, strict=True):
        assert mine.files == theirs.files
        assert unpacked(theirs.stream) == unpacked(mine.stream)


def test_a_part_of_a_group_has_all_that_its_server_exchanges() -> None:
    """Callbacks go from server to client, a server may be a client of others, and without NFS the hub is the server."""
    callback = Summary(5, frozenset({("c1", "s1"), ("s1", "c1")}), frozenset({"s1"}))
    another = Summary(5, frozenset({("c1", "s2"), ("s1", "s2")}), frozenset({"s2"}))
    assert groups_of([callback, another], 9) == [Group((0, 1), frozenset({"s1"})), Group((1,), frozenset({"s2"}))]
    both = Summary(5, frozenset({("s1", "s2"), ("s2", "s1")}), frozenset({"s1", "s2"}))
    assert groups_of([both, another], 9) == [Group((0, 1), frozenset({"s1"})), Group((0, 1), frozenset({"s2"}))]
    locks_only = [Summary(5, frozenset({(client, "s1"), ("s1", client)})) for client in ("c1", "c2")]
    assert groups_of(locks_only, 9) == [Group((0, 1), frozenset({"s1"}))]
    assert groups_of(locks_only, 10) == [Group((0, 1))]


# What is compared beyond a server's address: an address that is translated to another, and two addresses of one host.
BEYOND_AN_ADDRESS = ("service-address", "kubeproxy", "ipv6-mount-server")


@pytest.mark.parametrize(
    "folder",
    [each for each in SEVERAL if not any(name in each.name for name in BEYOND_AN_ADDRESS)],
    ids=lambda f: f.name,
)
def test_by_server_the_same_hosts_are_named(folder: Path) -> None:
    files = sorted(str(path) for path in folder.iterdir() if ".pcap" in path.name)
    rows = [rows_of(file, [file]) for file in files]
    whole, parts = in_groups(rows, 10**9).verdict, in_groups(rows, 0).verdict
    assert parts.state == whole.state
    assert {(cause.rule, cause.host) for cause in parts.causes} == {(cause.rule, cause.host) for cause in whole.causes}


@pytest.mark.parametrize(
    "folder", [each for each in SEVERAL if any(name in each.name for name in BEYOND_AN_ADDRESS)], ids=lambda f: f.name
)
def test_groups_keep_together_what_one_node_shows(folder: Path) -> None:
    """A service address, and the server's own, are of one server, of which one node shows both."""
    files = sorted(str(path) for path in folder.iterdir() if ".pcap" in path.name)
    trace = nfsrpc.read(*files, count=True)
    expected = report_of(trace.tables, trace.diagnosis).diagnosis
    assert conclusions(in_groups([rows_of(file, [file]) for file in files], 10**9)) == conclusions(expected)


PART_OF_BYTES, BYTES_PER_EXCHANGE = 0.01, 100


@pytest.mark.parametrize("name", traffic.CAPTURES)
def test_the_rows_of_a_node_are_small(name: str, tmp_path: Path) -> None:
    """As they are sent and as they are kept: 1 % of the bytes of ordinary traffic, else 100 bytes per exchange."""
    ring = tmp_path / "ring.pcap"
    traffic.CAPTURES[name](ring, 20_000)
    node = rows_of("node", [str(ring)])
    exchanges = sum(len(vantage.batch["exchanges"]["exchange"]) for vantage in node.vantages)
    most = max(PART_OF_BYTES * ring.stat().st_size, BYTES_PER_EXCHANGE * exchanges)
    cache.keep(str(tmp_path), "entry", node)
    stored = sum(file.stat().st_size for file in (tmp_path / "entry").iterdir())
    assert 0 < node.size <= most
    assert 0 < stored <= most


def test_an_entry_that_is_not_whole_does_not_count(small: Path, tmp_path: Path) -> None:
    node = nodes([str(small)])[0][0]
    key = cache.key_of(captures_of(node))
    rows = rows_of(node.name, captures_of(node))
    cache.keep(str(tmp_path), key, rows)
    for file in (tmp_path / key).iterdir():
        whole = file.read_bytes()
        for place in (0, len(whole) // 2, len(whole) - 1):
            file.write_bytes(whole[:place] + bytes([whole[place] ^ 1]) + whole[place + 1 :])
            assert cache.kept(str(tmp_path), key, node) is None
        file.write_bytes(whole[:-20])
        assert cache.kept(str(tmp_path), key, node) is None
        file.unlink()
        assert cache.kept(str(tmp_path), key, node) is None
        file.write_bytes(whole)
    assert cache.kept(str(tmp_path), key, node) is not None


def test_a_file_in_a_folder_that_is_no_capture_is_named(small: Path, tmp_path: Path) -> None:
    folder = tmp_path / "node"
    shutil.copytree(small / "node-0000", folder)
    (folder / "ring.pcap7").write_bytes(b"no capture at all")
    found, errors = nodes([str(folder)])
    assert [(node.name, len(node.files)) for node in found] == [("node", 2)]
    assert [error.path for error in errors] == [str(folder / "ring.pcap7")]


def test_an_archive_is_its_nodes(small: Path, tmp_path: Path) -> None:
    """Each folder of it, and each file beside them, is a node's; only the archive is on disk."""
    archive = tmp_path / "rings.tar.gz"
    with tarfile.open(archive, "w:gz") as tar:
        for name in ("node-0000", "node-0001"):
            tar.add(small / name, name)
        tar.add(small / "node-0002" / "ring.pcap0", "lone.pcap")
    found, errors = nodes([str(archive)])
    assert not errors
    assert [(node.name, len(node.files)) for node in found] == [("lone", 1), ("node-0000", 2), ("node-0001", 2)]
    rows = [rows_of(node.name, captures_of(node)) for node in found]
    assert [len(node.files) for node in rows] == [1, 2, 2]
    assert not any(node.skipped for node in rows)
    plain = [rows_of(name, [str(path) for path in sorted((small / name).iterdir())]) for name in ("node-0000",)]
    assert conclusions(judged(rows[1:2]).diagnosis) == conclusions(judged(plain).diagnosis)
    keys = [cache.key_of(captures_of(node)) for node in found]
    assert len(set(keys)) == 3
    unpacked_ones = [nodes([str(small / name)])[0][0] for name in ("node-0000", "node-0001")]
    assert keys[1:] == [cache.key_of(captures_of(node)) for node in unpacked_ones]


def test_a_node_without_a_readable_capture_is_named_and_stops_no_other(small: Path, tmp_path: Path) -> None:
    bad = tmp_path / "bad.pcap"
    bad.write_bytes(b"no capture at all")
    node = nodes([str(small)])[0][0]
    report = judged([rows_of(node.name, captures_of(node)), rows_of("bad", [str(bad)])])
    assert report.diagnosis.verdict.state == "fault"
    assert [error.path for error in report.skipped] == [str(bad)]
    assert judged([rows_of("bad", [str(bad)])]).diagnosis.verdict.state == "cannot-tell"


def test_hosts_that_are_connected_are_judged_together() -> None:
    one, two, three = (frozenset({pair}) for pair in (("a", "s"), ("b", "t"), ("b", "s")))
    summaries = [Summary(1, one), Summary(1, two), Summary(1, frozenset())]
    assert groups_of(summaries) == [Group((0,)), Group((1,)), Group((2,))]
    assert groups_of([*summaries, Summary(1, three)]) == [Group((0, 1, 3)), Group((2,))]
    assert groups_of([Summary(1, one | two), *summaries]) == [Group((0, 1, 2)), Group((3,))]
    large = [Summary(3, one | two, frozenset({"s", "t"})), Summary(3, three, frozenset({"s"}))]
    assert groups_of(large, 6) == [Group((0, 1))]
    assert groups_of(large, 5) == [
        *(Group((0, 1), frozenset({"s"})), Group((0,), frozenset({"t"}))),
    ]
