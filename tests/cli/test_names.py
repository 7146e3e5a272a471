"""A file whose name is no UTF-8 is as good as any other: every command reads it, every format shows it escaped."""

import json
import os
from io import BytesIO
from pathlib import Path

import pandas as pd
import pytest

import nfsrpc
from tests.cli.command import run

ESCAPED = "caf\\udce9.pcap"


@pytest.fixture
def cafe(samples: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> str:
    """Its name in Latin-1."""
    monkeypatch.chdir(tmp_path)
    name = os.fsdecode(b"caf\xe9.pcap")
    Path(name).write_bytes((samples / "server-without-statd" / "nfssrv-any.pcap").read_bytes())
    return name


@pytest.mark.parametrize(
    ("format_", "shown"),
    [
        ("text", ESCAPED),
        ("json", json.dumps(ESCAPED)),
        ("markdown", ESCAPED.replace("\\", "\\\\")),
        ("html", ESCAPED),
    ],
)
def test_reports(cafe: str, format_: str, shown: str) -> None:
    result = run("analyze", cafe, "--format", format_)
    assert (result.exit_code, result.stderr) == (1, "")
    assert shown in result.stdout
    assert run("analyze", cafe, "--format", format_, "-o", cafe + ".out").exit_code == 1
    assert shown in Path(cafe + ".out").read_text(encoding="utf-8")


@pytest.mark.parametrize("command", [("table", "captures"), ("sql", "SELECT * FROM captures")])
@pytest.mark.parametrize("format_", ["table", "csv", "json", "jsonl", "parquet"])
def test_tables(cafe: str, command: tuple[str, str], format_: str) -> None:
    name, query = command
    args = ("table", query, cafe) if name == "table" else ("sql", cafe, query)
    result = run(*args, "--format", format_)
    assert (result.exit_code, result.stderr) == (0, "")
    if format_ == "parquet":
        assert pd.read_parquet(BytesIO(result.stdout_bytes))["file"].tolist() == [ESCAPED]
    else:
        assert (json.dumps(ESCAPED) if "json" in format_ else ESCAPED) in result.stdout


def test_frames_and_carving(cafe: str) -> None:
    assert run("show", cafe, "109").stdout.startswith(f"Frame 109 of {ESCAPED}, ")
    carved = run("carve", cafe, "-o", os.fsdecode(b"out\xe9.pcapng"))
    assert (carved.exit_code, carved.stderr) == (0, "")
    assert carved.stdout.startswith("out\\udce9.pcapng: ")
    assert ESCAPED.encode() in Path(os.fsdecode(b"out\xe9.pcapng")).read_bytes()
    again = run("carve", cafe, "--where", "client == '\udce9'", "-o", "where.pcapng")
    assert (again.exit_code, again.stderr.count("\n")) == (2, 1)


def test_what_is_carved_from_is_not_written_over(cafe: str) -> None:
    before = Path(cafe).read_bytes()
    result = run("carve", cafe, "-o", cafe)
    assert result.exit_code == 2
    assert Path(cafe).read_bytes() == before


def test_python(cafe: str, tmp_path: Path) -> None:
    trace = nfsrpc.read(cafe)
    assert trace.files == [ESCAPED]
    assert trace.table("captures")["file"].tolist() == [ESCAPED]
    assert len(trace.decoded("nlm4"))
    for shown in (repr(trace), trace._repr_html_(), str(trace.explain(109))):
        assert ESCAPED in shown
        shown.encode()
    trace.to_parquet(tmp_path / "tables", "captures")


def test_errors(tmp_path: Path) -> None:
    result = run("analyze", tmp_path / os.fsdecode(b"no\xe9.pcap"))
    assert (result.exit_code, result.stderr) == (2, f"nfsrpc: {tmp_path}/no\\udce9.pcap: no such file\n")


def test_logs_and_skipped_files(cafe: str, tmp_path: Path) -> None:
    log, empty = os.fsdecode(b"log\xe9"), os.fsdecode(b"no\xe9.pcap")
    Path(log).write_text("[   93.129579] lockd: server 10.1.84.31 not responding, still trying\n")
    report = json.loads(run("analyze", cafe, empty, "--dmesg", log, "--format", "json").stdout)
    assert (report["dmesg"][0]["file"], report["skipped"][0]["file"]) == ("log\\udce9", "no\\udce9.pcap")
