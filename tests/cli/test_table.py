"""`nfsrpc table`: every table in every format, conditions good and bad."""

import csv
import io
import json
from pathlib import Path

import pytest

from nfsrpc.cli.table import neutral_cell
from nfsrpc.extras import install_command
from nfsrpc.printable import clean
from nfsrpc.protocols import PROTOCOLS
from nfsrpc.tables import TABLES
from tests.cli.command import run, shell
from tests.scenario import Scenario


@pytest.fixture(scope="module")
def statd(samples: Path) -> Path:
    return samples / "server-without-statd" / "nfssrv-any.pcap"


def rows(*args: str | Path) -> list[dict[str, object]]:
    result = run("table", *args, "--format", "jsonl")
    assert (result.exit_code, result.stderr) == (0, "")
    return [json.loads(line) for line in result.stdout.splitlines()]


@pytest.mark.parametrize("name", TABLES)
def test_every_table_has_its_declared_columns(statd: Path, name: str) -> None:
    result = run("table", name, statd, "--format", "csv")
    assert result.exit_code == 0
    assert next(csv.reader(io.StringIO(result.stdout))) == [column.name for column in TABLES[name].columns]


@pytest.mark.parametrize("protocol", [program.protocol for program in PROTOCOLS])
def test_every_protocol_is_a_table(statd: Path, protocol: str) -> None:
    result = run("table", protocol, statd)
    assert (result.exit_code, result.stderr) == (0, "")
    assert result.stdout.startswith("capture  call_frame  reply_frame  time")


def test_conditions_and_columns_choose(statd: Path) -> None:
    found = rows(
        "calls", statd, "--where", "program == 'nlm' and latency_s > 5", "--columns", "call_frame,reply_frame,state"
    )
    assert found == [{"call_frame": 102, "reply_frame": 336, "state": "answered"}]


def test_a_condition_that_is_null_is_not_true(statd: Path) -> None:
    assert len(rows("calls", statd, "--where", "reply_frame > 0")) + len(
        rows("calls", statd, "--where", "reply_frame.isna()")
    ) == len(rows("calls", statd))


@pytest.mark.parametrize("moment", ["2026-11-22 05:32:41.9", "2026-11-22T05:32:41.9Z"])
def test_times_compare_with_and_without_a_zone(statd: Path, moment: str) -> None:
    found = rows("calls", statd, "--where", f"program == 'nlm' and time > '{moment}'")
    assert [row["call_frame"] for row in found] == [365, 368, 384, 387, 395, 398]
    assert found[0]["time"] == "2026-11-22T05:32:41.911155000Z"


@pytest.mark.parametrize(
    ("condition", "told"),
    [
        ("latency > 5", "name 'latency' is not defined; did you mean latency_s?; calls has the columns capture, "),
        (
            "state == 'anwsered'",
            "state is never 'anwsered'; it is answered, unanswered, undecided, orphan; did you mean answered?\n",
        ),
        ("'LOK' != procedure", "procedure is never 'LOK'; it is NULL, SET, "),
        ("state in ['answered', 'helt'] and xid > 5", "state is never 'helt'; it is answered, "),
        ("latency_s >", "invalid syntax"),
        ("client > 5", ""),
        ("latency_s", "not a condition; compare columns"),
        ("1", "not a condition; compare columns"),
        ("xid = 5", "not a condition; compare columns"),
        ("", ""),
        ("__import__('os').getpid()", ""),
    ],
)
def test_a_bad_condition_is_one_line(statd: Path, condition: str, told: str) -> None:
    result = run("table", "calls", statd, "--where", condition)
    assert (result.exit_code, result.stdout) == (2, "")
    assert result.stderr.startswith(f"nfsrpc: --where {condition!r}: {told}")
    assert result.stderr.count("\n") == 1


NO_NLM = "program is 'NLM' in no row; it is portmap, nfs, mount, nlm, nfsacl; did you mean nlm?"


@pytest.mark.parametrize(
    ("condition", "reasons"),
    [
        ("program == 'NLM'", [NO_NLM]),
        ("'NLM' == program and latency_s > 0", [NO_NLM]),
        ("program in ['NLM', 'x']", [NO_NLM, "program is 'x' in no row; it is portmap, nfs, mount, nlm, nfsacl"]),
        ("program in ['NLM', 'nlm'] and latency_s > 5e9", [NO_NLM]),
        (
            "client == '10.1.84.42'",
            ["client is '10.1.84.42' in no row; it is 10.1.84.31, 10.1.84.41; did you mean 10."],
        ),
        ("prog == 'nlm'", ["prog holds numbers, never the text 'nlm'"]),
        ("latency_s == 'x'", ["latency_s holds numbers, never the text 'x'"]),
        ("client == 5", ["client holds texts, never a number: compare it with '5'"]),
        ("duplicates > 90", []),  # what could be, and is not
        ("state == 'undecided'", []),
        ("procedure == 'FREE_ALL'", []),
        ("time > '2027-01-01'", []),
        ("client == None", []),
        ("program in ['NLM', 'nlm']", []),  # there are rows
        ("program != 'NLM'", []),
    ],
)
def test_why_no_row_can_fulfil_a_condition(statd: Path, condition: str, reasons: list[str]) -> None:
    result = run("table", "calls", statd, "--where", condition, "--format", "jsonl")
    assert result.exit_code == 0
    assert (result.stdout == "") == ("!=" not in condition and condition != "program in ['NLM', 'nlm']")
    lines = result.stderr.splitlines()
    assert len(lines) == len(reasons)
    for line, reason in zip(lines, reasons, strict=True):
        assert line.startswith(f"nfsrpc: --where {condition!r}: {reason}")


def test_a_file_in_the_place_of_a_table(statd: Path) -> None:
    result = run("table", statd, "locks")
    assert (result.exit_code, result.stdout) == (2, "")
    assert result.stderr == (
        f"nfsrpc: {statd} is no table but a file: the name of a table comes first, as in nfsrpc table calls {statd}\n"
    )


def test_true_and_false_are_no_texts(statd: Path) -> None:
    result = run("table", "locks", statd, "--where", "exclusive == 'True'")
    assert "exclusive holds True or False, never the text 'True'\n" in result.stderr


@pytest.mark.parametrize(
    ("args", "told"),
    [
        (("lokcs",), "no table lokcs; did you mean locks? (nfsrpc explain lists them)"),
        (("wonders",), "no table wonders (nfsrpc explain lists them)"),
        (("locks.args",), "no table locks.args; did you mean locks? (nfsrpc explain lists them)"),
        (("calls", "--columns", "xid,"), "--columns: no column ''; there are capture, call_frame"),
        (("calls", "--columns", "xid,foo"), "--columns: no column foo; there are capture, call_frame"),
        (("calls", "--columns", "clinet"), "--columns: no column clinet; did you mean client?; there are capture, "),
        (("nlm4.foo",), "no messages nlm4.foo"),
    ],
)
def test_bad_names(statd: Path, args: tuple[str, ...], told: str) -> None:
    result = run("table", args[0], statd, *args[1:])
    assert (result.exit_code, result.stdout) == (2, "")
    assert result.stderr.startswith(f"nfsrpc: {told}")
    assert result.stderr.count("\n") == 1


@pytest.mark.parametrize("format", ["table", "csv", "json", "jsonl", "parquet"])
def test_a_column_that_is_named_twice_is_there_once(statd: Path, tmp_path: Path, format: str) -> None:  # noqa: A002
    once, twice = tmp_path / "once", tmp_path / "twice"
    for path, columns in ((once, "xid,client"), (twice, "xid, client,xid")):
        result = run("table", "calls", statd, "--columns", columns, "--format", format, "-o", path)
        assert (result.exit_code, result.stderr) == (0, "")
    assert once.read_bytes() == twice.read_bytes() != b""


def test_messages_of_a_protocol(statd: Path) -> None:
    found = rows("nlm4", statd, "--where", "procedure == 'LOCK'", "--columns", "call_frame,caller_name,svid,res_stat")
    assert found[0] == {"call_frame": 102, "caller_name": "cl1", "svid": 0, "res_stat": 0}


def test_messages_of_standard_input_cannot_be_read_twice(statd: Path) -> None:
    result = shell("table", "nlm4", "-", stdin=statd.read_bytes())
    assert result.returncode == 2
    assert result.stderr.startswith(b"nfsrpc: standard input cannot be read again")


def test_csv_and_json_agree(statd: Path) -> None:
    as_csv = csv.DictReader(io.StringIO(run("table", "hosts", statd, "--format", "csv").stdout))
    as_json = json.loads(run("table", "hosts", statd, "--format", "json").stdout)
    assert [(row["host"], row["names"], row["first"]) for row in as_csv] == [
        (row["host"], ", ".join(row["names"]), row["first"]) for row in as_json
    ]
    assert {row["host"] for row in as_json} >= {"10.1.84.31", "10.1.84.41"}


EVIL = ("=1+1", "+1", "-1", "@A1", "\t=1", "\r=1", "\n=1")


@pytest.mark.parametrize(
    ("text", "cell"),
    [
        *((text, f"'{clean(text)}") for text in EVIL),
        ("a=1", "a=1"),
        ("1-1", "1-1"),
        ("", ""),
        ("\x1b[2J", r"\x1b[2J"),
        (-1, -1),
        (None, None),
    ],
)
def test_a_cell_is_no_formula(text: object, cell: object) -> None:
    assert neutral_cell(text) == cell


@pytest.fixture
def formulas(tmp_path: Path) -> Path:
    scenario = Scenario()
    server, client = scenario.host("10.0.0.9"), scenario.host("10.0.0.1", name="=HYPERLINK(1)")
    client.lock(server, "/srv/a", svid=-1).granted()
    path = tmp_path / "formulas.pcap"
    path.write_bytes(scenario.capture())
    return path


@pytest.mark.parametrize(("options", "name"), [((), "'=HYPERLINK(1)"), (("--raw",), "=HYPERLINK(1)")])
def test_names_are_no_formulas_and_numbers_stay(formulas: Path, options: tuple[str, ...], name: str) -> None:
    columns = ("--columns", "caller_name,owner,svid")
    text = run("table", "locks", formulas, "--format", "csv", *columns, *options).stdout
    assert list(csv.reader(io.StringIO(text)))[1] == [name, "'-1@=HYPERLINK(1)" if not options else f"-1@{name}", "-1"]
    (row,) = rows("locks", formulas, *columns)
    assert row["caller_name"] == "=HYPERLINK(1)"


def test_lists_of_names_are_no_formulas(formulas: Path) -> None:
    text = run("table", "hosts", formulas, "--format", "csv", "--columns", "names").stdout
    assert "'=HYPERLINK(1)" in text.splitlines()


def test_parquet_keeps_types(statd: Path, tmp_path: Path) -> None:
    parquet = pytest.importorskip("pyarrow.parquet", reason="pyarrow is an extra")
    target = tmp_path / "calls.parquet"
    assert run("table", "calls", statd, "--format", "parquet", "-o", target).exit_code == 0
    table = parquet.read_table(target)
    assert table.column_names == [column.name for column in TABLES["calls"].columns]
    assert str(table.schema.field("time").type) == "timestamp[ns, tz=UTC]"
    assert table["call_frame"].to_pylist()[:3] == [row["call_frame"] for row in rows("calls", statd)[:3]]


def test_parquet_without_pyarrow_says_what_to_install(statd: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(__import__("sys").modules, "pyarrow", None)
    result = run("table", "calls", statd, "--format", "parquet")
    assert result.exit_code == 2
    assert result.stderr == f"nfsrpc: --format parquet needs pyarrow: {install_command('parquet')}\n"


def test_a_table_for_the_eye_is_aligned(statd: Path) -> None:
    result = run(
        "table", "calls", statd, "--where", "program == 'nlm'", "--columns", "call_frame,client,latency_s,status"
    )
    head, first, *_ = result.stdout.splitlines()
    assert head == "call_frame  client      latency_s  status"
    assert first == "       102  10.1.84.41  61.559203       0"


def test_no_rows_are_a_table_too(statd: Path) -> None:
    assert run("table", "calls", statd, "--where", "xid < 0", "--columns", "xid").stdout == "xid\n"
