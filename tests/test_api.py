"""The public API says what it gives: every name has a docstring and an example, every table its columns and dtypes."""

from __future__ import annotations

import ast
import doctest
import inspect
import pydoc
import subprocess
import sys
from collections.abc import Iterator
from html import escape
from importlib.metadata import version
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest

import nfsrpc
from nfsrpc.columns import TableSpec, dtype
from nfsrpc.diagnosis import catalogue
from nfsrpc.findings.command import Command
from nfsrpc.findings.finding import Answer, Verdict
from nfsrpc.plot import Plots
from nfsrpc.sessions.holders import HOLDERS
from nfsrpc.tables import TABLES
from tests.scenario import Scenario

PROPERTIES = sorted(TABLES.keys() - {"findings", "captures"})  # tables that are properties of a trace


@pytest.fixture(scope="module")
def trace() -> nfsrpc.Trace:
    return nfsrpc.read(Path(__file__).parents[1] / "captures" / "contended" / "nfssrv-any.pcap")


def members(kind: type) -> Iterator[tuple[str, Any]]:
    for name, member in vars(kind).items():
        if not name.startswith("_") and name not in PROPERTIES and name != "messages":
            yield f"{kind.__name__}.{name}", member


PUBLIC = {name: getattr(nfsrpc, name) for name in nfsrpc.__all__}
DOCUMENTED = PUBLIC | dict(members(nfsrpc.Trace)) | dict(members(Plots))


@pytest.mark.parametrize("name", DOCUMENTED)
def test_everything_public_has_a_docstring(name: str) -> None:
    assert (inspect.getdoc(DOCUMENTED[name]) or "").strip()


@pytest.mark.parametrize("name", sorted(DOCUMENTED.keys() - {"MissingExtraError", "SourceError", "Trace.files"}))
def test_everything_public_has_an_example(name: str) -> None:
    """They are run as doctests."""
    assert doctest.DocTestParser().get_examples(inspect.getdoc(DOCUMENTED[name]) or "")


@pytest.mark.parametrize("name", PROPERTIES)
def test_help_of_a_table_has_its_columns(name: str) -> None:
    text = pydoc.plain(pydoc.render_doc(getattr(nfsrpc.Trace, name)))
    assert TABLES[name].meaning in inspect.getdoc(getattr(nfsrpc.Trace, name))
    for column in TABLES[name].columns:
        assert f"{column.name} ({dtype(column.kind)}" in text


def check(frame: pd.DataFrame, spec: TableSpec) -> None:
    assert [str(name) for name in frame.columns] == [column.name for column in spec.columns]
    for column in spec.columns:
        found = frame[column.name]
        if column.kind == "texts":
            assert found.dtype == object
            assert all(isinstance(cell, tuple) for cell in found)
        else:
            assert str(found.dtype) == dtype(column.kind), column.name
        if column.kind == "time":
            assert found.dt.tz is not None


@pytest.mark.parametrize("name", TABLES)
def test_dtypes_are_as_documented(trace: nfsrpc.Trace, name: str) -> None:
    check(trace.table(name), TABLES[name])
    if name in PROPERTIES:
        assert getattr(trace, name) is trace.table(name)


def test_of_holders_too(trace: nfsrpc.Trace) -> None:
    check(trace.holders("2026-11-22 05:37:50"), HOLDERS)


@pytest.mark.parametrize(
    "at", ["2026-11-22 05:37:42.9", "2026-11-22 05:38:07", 1795325870.5, "05:37:50", pd.NaT, 10**30]
)
def test_a_moment_outside_of_the_captures_is_an_error(trace: nfsrpc.Trace, at: Any) -> None:
    says = r"outside of the captures: 2026-11-22 05:37:43 to 05:38:06 UTC \(22\.6 s\)"
    with pytest.raises(ValueError, match=says):
        trace.holders(at)


@pytest.mark.parametrize("at", ["2026-11-22 05:37:43", "2026-11-22 05:38:06.9"])
def test_the_first_and_the_last_second_are_of_the_captures(trace: nfsrpc.Trace, at: str) -> None:
    assert len(trace.holders(at)) == 0


def test_tables_are_not_to_be_replaced(trace: nfsrpc.Trace) -> None:
    with pytest.raises(AttributeError, match="calls is what the captures say"):
        trace.calls = pd.DataFrame()


def test_names_complete() -> None:
    assert set(nfsrpc.__all__) <= set(dir(nfsrpc))


def test_the_package_imports_nothing_heavy_for_its_names() -> None:
    source = (Path(nfsrpc.__file__)).read_text(encoding="utf-8")
    at_once = [node for node in ast.parse(source).body if isinstance(node, ast.Import | ast.ImportFrom)]
    assert {getattr(node, "module", None) for node in at_once} <= {"__future__", "importlib", "typing"}


# Moments


@pytest.mark.parametrize(
    "at",
    [
        "2026-11-22 05:37:50",
        "2026-11-22T06:37:50+01:00",
        pd.Timestamp("2026-11-22 05:37:50"),
        pd.Timestamp("2026-11-22 05:37:50", tz="UTC"),
        pd.Timestamp("2026-11-22 05:37:50").to_pydatetime(),
        np.datetime64("2026-11-22T05:37:50"),
        1795325870_000000000,
        np.int64(1795325870_000000000),
    ],
)
def test_a_moment_in_any_form(trace: nfsrpc.Trace, at: Any) -> None:
    assert trace.holders(at)["owner"].tolist() == ["0@cl1", "0@cl2"]


# Packets


def test_packets_are_the_frames(trace: nfsrpc.Trace) -> None:
    first, second = trace.packets([175, 156])
    call = trace.calls.query("call_frame == 156").iloc[0]
    assert (first["IP"].src, second["IP"].src) == (call["client"], call["server"])
    assert float(first.time) == pytest.approx(call["time"].timestamp(), abs=1e-6)
    assert first["TCP"].dport == call["server_port"]
    assert trace.packets(1)[0].wirelen == len(trace.packets(1)[0])
    assert [frame.time for frame in trace.packets(trace.locks["frame"][0])] == [first.time]


@pytest.mark.parametrize(
    ("frames", "capture", "says"),
    [(0, 0, "no frame 0 in .*: it has 304"), (305, 0, "no frame 305"), (1, 2, "no capture 2")],
)
def test_packets_that_are_not_there(trace: nfsrpc.Trace, frames: int, capture: int, says: str) -> None:
    with pytest.raises(ValueError, match=says):
        trace.packets(frames, capture)


def test_packets_of_what_is_gone(trace: nfsrpc.Trace) -> None:
    data = Path(trace.files[0]).read_bytes()
    once = nfsrpc.read(chunk for chunk in (data[:999], data[999:]))
    assert len(once.calls) == 65
    with pytest.raises(ValueError, match="generator cannot be read again"):
        once.packets(1)
    with pytest.raises(ValueError, match="generator cannot be read again"):
        once.decoded("nlm4")


def test_given_in_any_form_the_tables_are_the_same(trace: nfsrpc.Trace) -> None:
    path = Path(trace.files[0])
    data = path.read_bytes()
    with path.open("rb") as file:
        for given in (path, [path], f"{path.parent}/nfssrv*", file, data, [data[:5000], data[5000:]]):
            pd.testing.assert_frame_equal(nfsrpc.read(given).calls, trace.calls)
    assert nfsrpc.read(path.parent).table("captures")["frames"].tolist() == [177, 304]
    with pytest.raises(ValueError, match="no capture is given"):
        nfsrpc.read([])


# Parquet


def test_parquet_keeps_dtypes(trace: nfsrpc.Trace, tmp_path: Path) -> None:
    pytest.importorskip("pyarrow")
    files = trace.to_parquet(tmp_path / "new" / "tables")
    assert [Path(file).stem for file in files] == list(TABLES)
    locks = pd.read_parquet(tmp_path / "new" / "tables" / "locks.parquet")
    pd.testing.assert_frame_equal(locks, trace.locks, check_dtype=True)


# What they show of themselves


def test_a_trace_in_a_terminal_and_in_a_notebook(trace: nfsrpc.Trace) -> None:
    head, *lines = repr(trace).splitlines()
    assert head.startswith("HEALTHY: ")
    assert lines[-1] == "  tables: calls 65, locks 4, monitors 2, registrations 12, paths 2, flows 26, hosts 3"
    html = trace._repr_html_()
    assert "HEALTHY" in html
    assert "<th" in html
    assert "304 frames" in html


def test_what_was_left_out_in_a_terminal_and_in_a_notebook(
    samples: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def check() -> list[Answer]:
        raise KeyError("<status>")

    made = catalogue.find("LCK001")._replace(check=check, parameters=())
    monkeypatch.setitem(catalogue.rules(), "LCK001", made)
    trace = nfsrpc.read(samples / "contended" / "nfssrv-any.pcap", tmp_path / "missing.pcap")
    assert [str(error) for error in trace.skipped] == [f"{tmp_path}/missing.pcap: no such file"]
    head, *lines = repr(trace).splitlines()
    assert head.startswith("CANNOT TELL: ")
    assert f"  skipped {tmp_path}/missing.pcap: no such file" in lines
    failed = "LCK001 failed, which is a bug of nfsrpc: KeyError: "
    assert f"  {failed}'<status>'" in lines
    for html in (trace._repr_html_(), trace.diagnosis._repr_html_()):
        assert "CANNOT TELL" in html
        assert f"{failed}&#x27;&lt;status&gt;" in html
    assert f"skipped {tmp_path}/missing.pcap: no such file" in trace._repr_html_()


def test_a_finding_in_a_terminal_and_in_a_notebook(samples: Path) -> None:
    diagnosis = nfsrpc.read(samples / "server-without-statd" / "nfssrv-any.pcap").diagnosis
    finding = diagnosis.findings[0]
    assert str(finding).splitlines()[0] == "# ERROR REG001 statd-not-registered, certain"
    for proof in finding.evidence:
        assert f"frame {proof.frame}: {proof.note}" in str(finding)
    html = finding._repr_html_()
    for text in (finding.title, finding.host or "", str(finding.remedy[0])):
        assert escape(text) in html
    assert str(diagnosis.verdict).startswith("FAULT REG001: ")
    assert "FAULT" in diagnosis.verdict._repr_html_()
    assert diagnosis._repr_html_().count("<tr>") == 1 + len(diagnosis.findings)


def test_nothing_in_a_terminal_is_a_control_sequence(samples: Path, tmp_path: Path) -> None:
    evil = tmp_path / "x\x1b[2J\u202e.pcap"
    evil.write_bytes((samples / "server-without-statd" / "nfssrv-any.pcap").read_bytes())
    trace = nfsrpc.read(evil)
    told = Verdict("REG001", "fault", "x\x1b[2J\u202e")
    for text in (repr(trace), str(trace.explain(102)), str(told)):
        assert r"x\x1b[2J\u202e" in text
        assert all(char.isprintable() for line in text.split("\n") for char in line)
    assert r"x\x1b[2J\u202e" in trace._repr_html_()
    assert "\x1b" not in trace._repr_html_() + trace.explain(102)._repr_html_() + told._repr_html_()


def test_names_from_captures_are_only_text() -> None:
    finding = nfsrpc.Finding(
        "X", "x", "error", "certain", "<script>", "<b>", "&", remedy=(Command("<i>"),), files=("<u>",)
    )
    html = finding._repr_html_()
    for markup in ("<script>", "<b><b>", "<i>", "<u>"):
        assert markup not in html
    assert "&lt;script&gt;" in html


def test_a_table_shows_itself(trace: nfsrpc.Trace) -> None:
    table = trace.tables["locks"]
    assert repr(table) == f"<locks: 4 rows of {len(TABLES['locks'].columns)} columns>"
    html = table._repr_html_()
    assert "<th>exclusive</th>" not in html  # of many columns the first and the last
    assert "<td>10.1.84.42</td>" in html
    assert "4 rows × " in html


def test_a_report_is_a_page_that_a_notebook_shows_in_a_frame(trace: nfsrpc.Trace) -> None:
    page = trace.report()
    assert page.startswith("<!DOCTYPE html>")
    assert "HEALTHY" in page
    assert f'srcdoc="{escape(page)}"' in page._repr_html_()


def test_only_what_is_public_is_offered_to_complete() -> None:
    nfsrpc.read  # noqa: B018  which imports modules of the package
    assert [name for name in dir(nfsrpc) if not name.startswith("__")] == sorted(nfsrpc.__all__)
    assert nfsrpc.__version__ == version("nfsrpc")
    assert "__version__" in dir(nfsrpc)


@pytest.mark.parametrize("name", [*TABLES, "nlm4", "nfs3", "nfs3.entries", "rpcbind4"])
def test_arrow_has_the_values_of_the_frame(trace: nfsrpc.Trace, name: str) -> None:
    pytest.importorskip("pyarrow")
    table, frame = trace.arrow(name), trace.table(name)
    table.validate(full=True)
    assert table.column_names == frame.columns.tolist()
    for column in frame.columns:
        values = [
            list(cell) if isinstance(cell, tuple) else None if cell is None or pd.isna(cell) else cell
            for cell in frame[column].tolist()
        ]
        assert table[column].to_pylist() == values, column


def test_arrow_needs_no_pandas(trace: nfsrpc.Trace) -> None:
    """pyarrow imports pandas as soon as it is given an array of numpy."""
    pytest.importorskip("pyarrow")
    code = (
        "import sys; sys.modules['pandas'] = None; import nfsrpc; trace = nfsrpc.read(sys.argv[1]); "
        "table = trace.arrow('locks'); trace.arrow('nlm4'); print(len(table), hasattr(table, '__arrow_c_stream__'))"
    )
    done = subprocess.run([sys.executable, "-c", code, trace.files[0]], capture_output=True, text=True, check=False)
    assert (done.stdout, done.stderr) == ("4 True\n", "")


def test_arrow_escapes_what_is_no_text(tmp_path: Path) -> None:
    pytest.importorskip("pyarrow")
    s = Scenario()
    server, client = s.host("10.0.0.9"), s.host("10.0.0.1")
    client.call(server, "nfs3", "LOOKUP", name="w\udcffb").reply()
    (tmp_path / "trace.pcap").write_bytes(s.capture())
    (name,) = nfsrpc.read(tmp_path / "trace.pcap").arrow("nfs3")["name"].to_pylist()
    assert name.isprintable()
