"""A fleet whose names, addresses and files are hostile."""

from __future__ import annotations

import io
import shutil
import tarfile
from itertools import count
from pathlib import Path

import pytest

from benchmarks import fleet
from nfsrpc.fleet import cache
from nfsrpc.fleet.judging import judged
from nfsrpc.fleet.overview import reported
from nfsrpc.fleet.places import captures_of, nodes
from nfsrpc.fleet.rows import NodeRows, rows_of
from nfsrpc.fleet.run import Fleet
from nfsrpc.report import html, markdown
from nfsrpc.report import text as screen
from nfsrpc.report.fleet import NodeAnswer
from nfsrpc.report.json import document
from tests.scenario import Scenario

pytest.importorskip("pyarrow")
pytest.importorskip("fsspec")


@pytest.fixture(scope="module")
def small(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("fleet")
    fleet.write(folder, nodes=3, servers=3, ill=3, rounds=1)
    return folder


def decoded(*traces: Path) -> list[NodeRows]:
    found, errors = nodes(list(map(str, traces)))
    assert not errors
    return [rows_of(node.name, captures_of(node)) for node in found]


NAMES = ("evil\x1b[2J", "a;touch owned", "<script>", "-rf", "line\nbreak")


@pytest.mark.parametrize("name", NAMES)
def test_a_name_of_a_node_does_nothing(name: str, small: Path, tmp_path: Path) -> None:
    shutil.copytree(small / "node-0000", tmp_path / name)
    (rows,) = decoded(tmp_path)
    assert rows.name == name
    answers = (NodeAnswer(name, 2, "cannot-tell", "no lock requests were captured"),) * 2
    report = reported(Fleet(judged([rows]), answers, 0))
    shown = screen.render(report, 80, verbose=True)
    assert shown.replace("\n", "").isprintable()
    assert not any(line.startswith("break") for line in shown.splitlines())
    assert "<script>" not in html.render(report).replace('<script>\n"use strict"', "")
    assert "<script>" not in markdown.render(report).replace("\\<script\\>", "")
    assert {node["name"] for node in document(report)["fleet"]["nodes"]} == {name}


def test_two_nodes_of_one_name_are_two(small: Path, tmp_path: Path) -> None:
    for site, node in (("here", "node-0000"), ("there", "node-0001")):
        shutil.copytree(small / node, tmp_path / site / "web")
    found, _ = nodes([str(tmp_path / "here"), str(tmp_path / "there")])
    assert [node.name for node in found] == [f"{tmp_path}/here/web", f"{tmp_path}/there/web"]
    assert [len(node.files) for node in found] == [2, 2]


def test_a_file_that_is_given_twice_is_read_once(small: Path) -> None:
    folder = small / "node-0000"
    found, _ = nodes([str(folder), str(folder / "ring.pcap0"), str(folder), f"{folder}/*"])
    assert [(node.name, len(node.files)) for node in found] == [("node-0000", 2)]


def test_a_ring_that_lies_there_twice_counts_once(small: Path, tmp_path: Path) -> None:
    shutil.copytree(small / "node-0000", tmp_path / "copy")
    once, twice = (judged(decoded(*traces)) for traces in ([small / "node-0000"], [small / "node-0000", tmp_path]))
    assert [(each.id, each.clients, each.count) for each in twice.diagnosis.causes] == [
        (each.id, each.clients, each.count) for each in once.diagnosis.causes
    ]


def test_paths_in_an_archive_lead_nowhere(small: Path, tmp_path: Path) -> None:
    archive, data = tmp_path / "rings.tar", (small / "node-0000" / "ring.pcap0").read_bytes()
    with tarfile.open(archive, "w") as tar:
        for name in ("../../etc/a.pcap", "/root/b.pcap"):
            member = tarfile.TarInfo(name)
            member.size = len(data)
            tar.addfile(member, io.BytesIO(data))
        link = tarfile.TarInfo("c.pcap")
        link.type, link.linkname = tarfile.SYMTYPE, "/etc/passwd"
        tar.addfile(link)
    found, errors = nodes([str(archive)])
    assert not errors
    assert [node.name for node in found] == ["etc", "root"]
    assert all(file.startswith(f"{archive}/") and ".." not in file for node in found for file in node.files)


def test_what_names_nothing_is_one_line(tmp_path: Path) -> None:
    (tmp_path / "empty").mkdir()
    for trace in (str(tmp_path / "empty"), f"{tmp_path}/none*", f"file://{tmp_path}/none*", "nowhere://a/b", "s3:///x"):
        found, errors = nodes([trace])
        assert not found
        assert len(errors) == 1
        assert "\n" not in str(errors[0])


def test_an_entry_of_the_cache_that_says_something_else_does_not_count(small: Path, tmp_path: Path) -> None:
    node = nodes([str(small / "node-0000")])[0][0]
    key = cache.key_of(captures_of(node))
    for text in ("[]", "{}", "[1", '{"vantages": [{}]}', '{"vantages": 1}', '{"vantages": [], "pairs": [[1]]}'):
        (tmp_path / key).mkdir(exist_ok=True)
        for data in (text.encode(), cache.sealed(text.encode())):
            (tmp_path / key / cache.MANIFEST).write_bytes(data)
            assert cache.kept(str(tmp_path), key, node) is None
    cache.keep(str(tmp_path), key, rows_of(node.name, captures_of(node)))
    for table in (tmp_path / key).glob("*.parquet"):
        table.write_bytes(b"PAR1 nothing PAR1")
    assert cache.kept(str(tmp_path), key, node) is None


def in_a_private_network(ill: bool, clock_s: float, folder: Path) -> NodeRows:
    """A node whose client and server have addresses that other nodes' have, too: each is on networks of its own."""
    story = Scenario(fleet.BEGIN + clock_s)
    client, server = story.host("172.17.0.2", name="pod"), story.host("172.17.0.1", name="srv")
    others = [story.host(f"172.17.0.{number}") for number in (3, 4)]
    story.xids = count(round(clock_s) + 5_000_000)
    for host in (server, *others):
        client.mount(host, "/export")  # so that the capture shows whose it is
    story.wait(1.0)
    (fleet.without_statd if ill else fleet.healthy)(story, client, server, "/export/a")
    folder.mkdir()
    (folder / "ring.pcap0").write_bytes(story.capture(at=client))
    return rows_of(folder.name, [str(folder / "ring.pcap0")])


@pytest.mark.parametrize("clock_s", [0.0, 2.0, 50.0, -3600.0])
def test_hosts_of_one_address_in_two_private_networks_refute_nothing(clock_s: float, tmp_path: Path) -> None:
    ill, well = (
        in_a_private_network(kind == "ill", clock, tmp_path / kind) for kind, clock in (("ill", 0.0), ("well", clock_s))
    )
    assert [each.id for each in judged([ill]).diagnosis.causes] == ["REG001@172.17.0.1"]
    assert judged([well]).diagnosis.verdict.state == "healthy"
    for both in ([ill, well], [well, ill]):
        assert [each.id for each in judged(both).diagnosis.causes] == ["REG001@172.17.0.1"]
