"""Captures at URLs of hosts, as sftp:// and hdfs:// have them: fsspec's paths, and what it finds, lack the host."""

from __future__ import annotations

import logging
import os
from pathlib import Path
from typing import Any

import pytest

from benchmarks import fleet
from nfsrpc.cli.fleet import fleet_of
from nfsrpc.fleet import overview, places, run
from nfsrpc.fleet.judging import judged
from nfsrpc.fleet.places import nodes
from nfsrpc.sources import SourceError

fsspec = pytest.importorskip("fsspec")
pytest.importorskip("pyarrow")
from fsspec.implementations.local import LocalFileSystem  # noqa: E402
from fsspec.utils import infer_storage_options  # noqa: E402


class Hosted(LocalFileSystem):  # type: ignore[misc]
    """The files of this machine as fsspec has those of an SFTP server: of each it knows when it was read last."""

    protocol = "hosted"
    cachable = False

    def __init__(self, host: str, **options: Any) -> None:
        super().__init__()
        self.host = host

    @classmethod
    def _strip_protocol(cls, path: str) -> str:
        return str(infer_storage_options(path)["path"])

    @staticmethod
    def _get_kwargs_from_urls(url: str) -> dict[str, Any]:
        options: dict[str, Any] = infer_storage_options(url)
        return {name: value for name, value in options.items() if name not in ("path", "protocol")}

    def unstrip_protocol(self, name: str) -> str:
        return f"hosted://{name}"

    def info(self, path: Any, **_: Any) -> dict[str, Any]:
        path = os.fspath(path)  # an entry of a folder, where it is listed
        now = os.stat(path)
        kind = "directory" if os.path.isdir(path) else "file"
        return {"name": path, "type": kind, "size": now.st_size, "mtime": now.st_mtime, "time": now.st_atime_ns}


@pytest.fixture
def few(tmp_path: Path) -> Path:
    fsspec.register_implementation("hosted", Hosted, clobber=True)
    fleet.write(tmp_path / "few", nodes=2, servers=1, ill=1, rounds=1)
    return tmp_path / "few"


@pytest.mark.parametrize("end", ["", "/", "/node-*"])
def test_files_found_at_a_host_are_read_from_it(end: str, few: Path) -> None:
    url = f"hosted://me@host:2222{few}"
    found, errors = nodes([f"{url}{end}"])
    assert not errors
    assert [node.name for node in found] == ["node-0000", "node-0001"]
    assert [file for node in found for file in node.files] == [
        f"{url}/{node}/ring.pcap{part}" for node in ("node-0000", "node-0001") for part in (0, 1)
    ]
    report = judged([run.decode_node(node, "").rows for node in found])
    assert not report.skipped
    assert report.diagnosis.verdict.hosts == ("10.9.0.1",)


def test_reading_a_file_is_no_change(few: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    node = nodes([f"hosted://host{few}/node-0000"])[0][0]
    begun: list[float] = []

    def read(*args: Any) -> Any:
        for file in (few / "node-0000").iterdir():
            os.utime(file, ns=(len(begun), file.stat().st_mtime_ns))
        begun.append(0)
        return original(*args)

    original = run.rows_of
    monkeypatch.setattr(run, "rows_of", read)
    assert [run.decode_node(node, str(tmp_path / "cache")).cached for _ in range(2)] == [False, True]
    assert len(begun) == 1


def test_a_password_is_not_repeated() -> None:
    found, (error,) = nodes(["hosted://me:secret@host/rings"])
    assert not found
    assert str(error).startswith("hosted://***@host/rings: reports would show its password")


def test_what_a_package_says_is_one_line_of_bounded_length(monkeypatch: pytest.MonkeyPatch) -> None:
    def url_to_fs(_url: str) -> None:
        raise OSError("Unable to load libjvm\n" + "dlopen(/usr/lib/jvm) failed " * 100)

    monkeypatch.setattr(fsspec.core, "url_to_fs", url_to_fs)
    with pytest.raises(SourceError, match="Unable to load libjvm dlopen") as caught:
        places.located("hdfs://name-node/rings")
    assert len(str(caught.value)) < 300
    assert "\n" not in str(caught.value)


@pytest.mark.acceptance
def test_what_a_package_logs_of_its_errors_is_not_printed(
    monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    """paramiko logs a traceback of an error that it then raises."""
    pytest.importorskip("distributed")

    def analyze(*_: Any) -> None:
        logging.getLogger("paramiko.transport").error("Traceback")

    root = logging.getLogger()
    monkeypatch.setattr(root, "handlers", [])
    monkeypatch.setattr(run, "analyze", analyze)
    monkeypatch.setattr(overview, "reported", lambda fleet: fleet)
    fleet_of([], "", "", ())
    assert "Traceback" not in capfd.readouterr().err
