"""`nfsrpc sql`: answers in every format, and one line for what is no query."""

import json
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from nfsrpc.extras import install_command
from tests.cli.command import ENVIRONMENT, run, shell

pytest.importorskip("duckdb")


@pytest.fixture
def contended(samples: Path) -> Path:
    return samples / "contended" / "nfssrv-any.pcap"


def test_a_query(contended: Path) -> None:
    result = run("sql", contended, "SELECT client, max(wait_s) AS waited FROM locks GROUP BY client ORDER BY waited")
    assert result.exit_code == 0
    assert result.stdout.splitlines() == [
        "client         waited",
        "10.1.84.41   0.082194",
        "10.1.84.42  10.125331",
    ]


def test_tables_joined_with_messages_and_lists(contended: Path) -> None:
    query = (
        "SELECT nlm4.caller_name, locks.granted_by FROM locks JOIN nlm4 USING (exchange) WHERE wait_s > 5 "
        "UNION ALL SELECT 'mappings', count(*)::VARCHAR FROM \"portmap2.mappings\""
    )
    result = run("sql", contended, query, "--format", "csv")
    assert result.stdout.splitlines() == ["caller_name,granted_by", "cl2,callback", "mappings,0"]


def test_times_are_utc_and_lists_stay_lists(contended: Path) -> None:
    result = run("sql", contended, "SELECT first, roles FROM hosts ORDER BY host LIMIT 1", "--format", "json")
    assert json.loads(result.stdout) == [{"first": "2026-11-22T05:37:44.686847000Z", "roles": ["server"]}]


def test_several_captures(samples: Path) -> None:
    result = run("sql", *sorted((samples / "contended").glob("*.pcap")), "SELECT count(*) AS files FROM captures")
    assert result.stdout.split() == ["files", "2"]


def test_to_a_file(contended: Path, tmp_path: Path) -> None:
    path = tmp_path / "answer.csv"
    assert run("sql", contended, "SELECT 7 AS x", "--format", "csv", "-o", path).stdout == ""
    assert path.read_text() == "x\n7\n"


@pytest.mark.parametrize(
    ("query", "says"),
    [
        ("selec 1", "nfsrpc: Parser Error: syntax error at or near "),
        ("SELECT nothing FROM calls", "nfsrpc: Binder Error: Referenced column "),
        ("SELECT * FROM nothing", "nfsrpc: no table nothing; there are calls, locks, "),
        ("SELECT * FROM lock", "nfsrpc: no table lock; did you mean locks?; there are calls, locks, "),
        ('SELECT * FROM "nfs3.nothing"', "nfsrpc: no messages nfs3.nothing; there are "),
    ],
)
def test_what_is_no_query(contended: Path, query: str, says: str) -> None:
    result = run("sql", contended, query)
    assert (result.exit_code, result.stdout) == (2, "")
    assert result.stderr.startswith(says)
    assert result.stderr.count("\n") == 1
    assert "^" not in result.stderr


@pytest.mark.parametrize(("options", "cell"), [((), "'=1"), (("--raw",), "=1")])
def test_an_answer_is_no_formula(contended: Path, options: tuple[str, ...], cell: str) -> None:
    result = run("sql", contended, "SELECT '=' || 1 AS cell, -1 AS number", "--format", "csv", *options)
    assert result.stdout == f"cell,number\n{cell},-1\n"


def test_what_is_no_capture(tmp_path: Path) -> None:
    result = run("sql", tmp_path / "nowhere.pcap", "SELECT 1")
    assert (result.exit_code, result.stderr) == (2, f"nfsrpc: {tmp_path}/nowhere.pcap: no such file\n")


def test_without_duckdb(contended: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "duckdb", None)
    result = run("sql", contended, "SELECT 1")
    assert (result.exit_code, result.stderr) == (
        2,
        f"nfsrpc: a query needs duckdb: {install_command('sql')}\n",
    )


def test_messages_of_standard_input(contended: Path) -> None:
    result = shell("sql", "-", "SELECT count(*) FROM nlm4", stdin=contended.read_bytes())
    assert result.returncode == 2
    assert result.stderr == b"nfsrpc: standard input cannot be read again: save the capture to a file first\n"


@pytest.mark.parametrize(
    ("query", "says"),
    [
        (
            "SELECT client::INTEGER FROM locks",
            "nfsrpc: Conversion Error: Could not convert string '10.1.84.41' to INT32",
        ),
        ("SELECT 9223372036854775807 + svid FROM locks", "nfsrpc: Out of Range Error: "),
        ("SELECT error('a\x1b[2J')", "nfsrpc: Invalid Input Error: "),
        ("COPY locks TO '/nowhere/x'", "nfsrpc: IO Error: "),
    ],
)
def test_what_fails_while_rows_are_fetched_is_one_line(contended: Path, tmp_path: Path, query: str, says: str) -> None:
    for output in ([], ["-o", tmp_path / "out.csv"]):
        result = run("sql", contended, query, *output)
        assert (result.exit_code, result.stdout) == (2, "")
        assert result.stderr.startswith(says)
        assert result.stderr.count("\n") == 1
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("format_", ["table", "csv", "json", "jsonl", "parquet"])
def test_types_that_only_duckdb_has_are_written_in_every_format(contended: Path, format_: str) -> None:
    query = (
        "SELECT {'a': [1, 2], 'b': '\\xff'::BLOB} AS s, map {'x': DATE '2026-01-31'} AS m, ['a', NULL] AS l, "
        "'\\xff'::BLOB AS b, uuid() AS u, TIME '10:00' AS t, INTERVAL 1 DAY AS i, NULL AS n"
    )
    assert run("sql", contended, query, "--format", format_).exit_code == 0
    if format_ == "json":
        [row] = json.loads(run("sql", contended, query, "--format", format_).stdout)
        assert row["s"] == {"a": [1, 2], "b": "\\xff"}
        assert (row["m"], row["l"], row["b"], row["t"]) == ({"x": "2026-01-31"}, ["a", None], "\\xff", "10:00:00")


def test_a_query_without_end_is_interrupted(contended: Path) -> None:
    query = "SELECT sum(a.range * b.range) FROM range(10000000) a, range(1000000) b"
    process = subprocess.Popen(
        [sys.executable, "-m", "nfsrpc", "sql", contended, query],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        env=ENVIRONMENT,
    )
    time.sleep(2.5)  # until DuckDB is in one of its long steps, which heed no signal
    process.send_signal(signal.SIGINT)
    try:
        assert process.communicate(timeout=10) == (b"", b"")
    finally:
        process.kill()
    assert process.returncode == 130
