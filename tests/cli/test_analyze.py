"""`nfsrpc analyze`: verdicts of the sample captures, exit codes, formats, and input that is bad."""

import gzip
import json
import os
import pty
import re
import signal
import subprocess
import sys
import time
from importlib.resources import files
from pathlib import Path

import pytest
from jsonschema import Draft202012Validator

from nfsrpc.diagnosis import catalogue
from nfsrpc.findings.finding import Answer, Diagnosis
from nfsrpc.report.contents import report_of
from nfsrpc.report.text import render
from nfsrpc.trace import read
from tests.cli.command import ENVIRONMENT, run, shell

SCHEMA = json.loads(files("nfsrpc.report").joinpath("analyze.schema.json").read_text(encoding="utf-8"))


@pytest.fixture(scope="module")
def statd(samples: Path) -> Path:
    return samples / "server-without-statd" / "nfssrv-any.pcap"


def test_a_fault_leads_with_host_and_proof_and_exits_with_1(statd: Path) -> None:
    result = run("analyze", statd)
    assert result.exit_code == 1
    first, second, *_ = result.stdout.splitlines()
    assert first == " FAULT   REG001 statd-not-registered, certain"
    assert "10.1.84.31" in second
    for proof in (":102  ", ":109  ", ":336  "):
        assert any(proof in line for line in result.stdout.splitlines())
    assert "systemctl restart rpc-statd" in result.stdout
    assert result.stderr == ""


@pytest.mark.parametrize(
    ("name", "state", "code"),
    [
        ("contended/nfssrv-any.pcap", "healthy", 0),
        ("healthy/nfssrv-any.pcap.zst", "healthy", 0),
        ("cut/B-cut-srv-any.pcap", "cannot-tell", 0),
        ("lockd-port-dropped/nfssrv-eth0.pcap", "fault", 1),
    ],
)
def test_exit_codes(samples: Path, name: str, state: str, code: int) -> None:
    result = run("analyze", samples / name, "--format", "json")
    assert (json.loads(result.stdout)["verdict"]["state"], result.exit_code) == (state, code)


def test_every_sample_gives_the_json_that_the_schema_describes(samples: Path) -> None:
    captures = sorted(path for path in samples.rglob("*") if path.suffix in (".pcap", ".zst"))
    assert captures
    for capture in captures:
        report = json.loads(run("analyze", capture, "--format", "json").stdout)
        assert [error.message for error in Draft202012Validator(SCHEMA).iter_errors(report)] == [], capture
        assert report["captures"][0]["file"] == str(capture)


def commands(diagnosis: Diagnosis) -> set[str]:
    needs = [finding.needs for finding in diagnosis.findings] + [answer.needs for answer in diagnosis.cannot_tell]
    told = [command for finding in diagnosis.findings for command in (*finding.remedy, *finding.verify)]
    return {need.command.line for need in needs if need} | {command.line for command in told}


def test_every_sample_fits_a_screen_of_80_columns_but_for_commands(samples: Path) -> None:
    for capture in sorted(samples.rglob("*.pcap")):
        trace = read(capture)
        wide = [line for line in render(report_of(trace.tables, trace.diagnosis), 80).splitlines() if len(line) > 80]
        assert {line.strip() for line in wide if str(capture) not in line} <= commands(trace.diagnosis)


def test_several_captures_are_one_incident(samples: Path) -> None:
    folder = samples / "server-without-statd"
    result = run("analyze", folder / "cl1-eth0.pcap", folder / "nfssrv-any.pcap", "--format", "json")
    report = json.loads(result.stdout)
    assert [Path(capture["file"]).name for capture in report["captures"]] == ["cl1-eth0.pcap", "nfssrv-any.pcap"]
    assert report["verdict"]["rule"] == "REG001"
    assert report["findings"][0]["certainty"] == "certain"
    assert {evidence["capture"] for evidence in report["findings"][0]["evidence"]} <= {0, 1}


def test_a_directory_is_its_captures(samples: Path) -> None:
    result = run("analyze", samples / "contended", "--format", "json")
    assert len(json.loads(result.stdout)["captures"]) == 2


def test_markdown_is_for_tickets(statd: Path) -> None:
    result = run("analyze", statd, "--format", "markdown")
    assert result.exit_code == 1
    assert result.stdout.startswith("## Fault: REG001 statd-not-registered (certain)\n")


def test_output_goes_to_a_file_without_colour(statd: Path, tmp_path: Path) -> None:
    target = tmp_path / "report.txt"
    result = shell("analyze", statd, "-o", target, FORCE_COLOR="1")
    assert (result.returncode, result.stdout, result.stderr) == (1, b"", b"")
    assert target.read_text(encoding="utf-8").startswith(" FAULT   REG001")


def test_output_that_cannot_be_written(statd: Path, tmp_path: Path) -> None:
    result = run("analyze", statd, "-o", tmp_path / "no" / "report.txt")
    assert result.exit_code == 2
    assert result.stderr == f"nfsrpc: {tmp_path}/no/report.txt: cannot be written: No such file or directory\n"


def test_rules_are_chosen_by_their_beginnings(statd: Path) -> None:
    only = json.loads(run("analyze", statd, "--select", "LCK", "--format", "json").stdout)
    assert {finding["rule"] for finding in only["findings"]} == {"LCK002"}
    without = json.loads(run("analyze", statd, "--ignore", "reg001,lock-request", "--format", "json").stdout)
    assert {"REG001", "LCK002"}.isdisjoint(finding["rule"] for finding in without["findings"])


@pytest.mark.parametrize("option", ["--select", "--ignore"])
def test_a_rule_that_is_none_is_no_pass(statd: Path, option: str) -> None:
    result = run("analyze", statd, option, "REG001,XYZ")
    assert result.exit_code == 2
    assert result.stderr == f"nfsrpc: {option}: no rule begins with XYZ (nfsrpc explain lists them)\n"


def test_standard_input_is_a_dash(statd: Path) -> None:
    result = shell("analyze", "-", "--format", "json", stdin=gzip.compress(statd.read_bytes()))
    assert result.returncode == 1
    assert json.loads(result.stdout)["verdict"]["rule"] == "REG001"


def bad_input(tmp_path: Path) -> dict[str, Path]:
    contents = {
        "empty.pcap": b"",
        "text.pcap": b"lockd: server 10.1.84.31 not responding, still trying\n" * 9,
        "short.pcap": bytes.fromhex("d4c3b2a10200"),
        "broken.pcap.gz": b"\x1f\x8b\x08" + bytes(40),
    }
    for name, content in contents.items():
        (tmp_path / name).write_bytes(content)
    (tmp_path / "folder").mkdir()
    return {name: tmp_path / name for name in (*contents, "missing.pcap", "folder", "no-*.pcap")}


@pytest.mark.parametrize(
    "name", ["empty.pcap", "text.pcap", "short.pcap", "broken.pcap.gz", "missing.pcap", "folder", "no-*.pcap"]
)
@pytest.mark.parametrize("command", [("analyze",), ("table", "calls")])
def test_bad_input_is_one_line_that_names_the_file(tmp_path: Path, name: str, command: tuple[str, ...]) -> None:
    path = bad_input(tmp_path)[name]
    result = run(*command, path)
    assert result.exit_code == 2
    assert result.stdout == ""
    assert result.stderr.startswith(f"nfsrpc: {path}: ")
    assert result.stderr.count("\n") == 1
    assert len(result.stderr) > len(f"nfsrpc: {path}: ") + 5


@pytest.mark.skipif(os.geteuid() == 0, reason="root may read everything")
def test_a_forbidden_file_says_how_to_read_it(tmp_path: Path) -> None:
    path = tmp_path / "root.pcap"
    path.write_bytes(b"")
    path.chmod(0)
    result = run("analyze", path)
    assert result.exit_code == 2
    assert "permission denied" in result.stderr
    assert "sudo" in result.stderr


@pytest.mark.parametrize("args", [(), ("analyze",), ("analyze", "--format", "xml", "x"), ("analyse", "x"), ("-x",)])
def test_bad_usage_exits_with_2(args: tuple[str, ...]) -> None:
    result = run(*args)
    assert result.exit_code == 2
    assert "Usage: nfsrpc" in result.output


def test_a_capture_cut_at_its_end_is_analysed_up_to_there_and_says_so(statd: Path, tmp_path: Path) -> None:
    cut = tmp_path / "cut.pcap"
    cut.write_bytes(statd.read_bytes()[:-30])
    result = run("analyze", cut)
    assert result.exit_code == 1
    assert result.stdout.startswith(" FAULT   REG001")
    assert "the file ends within a record: analysed up to there" in result.stdout
    assert json.loads(run("analyze", cut, "--format", "json").stdout)["captures"][0]["quality"]["truncated"] is True


def test_a_name_that_is_no_text_is_shown_escaped(statd: Path, tmp_path: Path) -> None:
    path = os.fsencode(tmp_path) + b"/\xff\x1b[2J.pcap"
    Path(os.fsdecode(path)).write_bytes(statd.read_bytes())
    result = shell("analyze", os.fsdecode(path))
    assert result.returncode == 1
    assert b"\x1b" not in result.stdout
    assert b"\\udcff\\x1b[2J.pcap" in result.stdout
    assert json.loads(shell("analyze", os.fsdecode(path), "--format", "json").stdout)["verdict"]["rule"] == "REG001"


def test_a_terminal_of_few_characters_is_enough(statd: Path) -> None:
    result = shell("analyze", statd, PYTHONIOENCODING="ascii")
    assert result.returncode == 1
    assert result.stdout.startswith(b" FAULT   REG001")


def test_piped_is_plain_and_forced_is_coloured(statd: Path) -> None:
    assert b"\x1b" not in shell("analyze", statd).stdout
    assert shell("analyze", statd, FORCE_COLOR="1").stdout.startswith(b"\x1b[1;38;5;231;48;5;160m FAULT ")


def on_terminal(*args: str | Path, **environment: str) -> tuple[str, int]:
    """What a terminal shows of a command, and its exit code."""
    ours, its = pty.openpty()
    process = subprocess.Popen(
        [sys.executable, "-m", "nfsrpc", *map(str, args)],
        stdin=its,
        stdout=its,
        stderr=its,
        env=ENVIRONMENT | {"TERM": "xterm-256color", "COLUMNS": "80"} | environment,
    )
    os.close(its)
    shown = b""
    try:
        while data := os.read(ours, 65536):
            shown += data
    except OSError:
        pass  # Linux's end of a terminal
    os.close(ours)
    return shown.decode(), process.wait(timeout=30)


def test_a_terminal_gets_colour_unless_told_otherwise(statd: Path) -> None:
    shown, code = on_terminal("analyze", statd)
    assert code == 1
    assert shown.startswith("\x1b[1;38;5;231;48;5;160m FAULT ")
    assert "\x1b" not in on_terminal("analyze", statd, NO_COLOR="1")[0]


def test_standard_input_that_is_a_terminal_is_refused() -> None:
    shown, code = on_terminal("analyze", "-")
    assert code == 2
    assert shown.startswith("nfsrpc: standard input: is a terminal")


@pytest.mark.parametrize("args", [("analyze",), ("table", "calls"), ("table", "calls", "--format", "csv")])
def test_a_reader_that_goes_away_is_no_error(statd: Path, args: tuple[str, ...]) -> None:
    reader, writer = os.pipe()
    os.close(reader)
    result = subprocess.run(
        [sys.executable, "-m", "nfsrpc", *args, str(statd)],
        stdout=writer,
        stderr=subprocess.PIPE,
        env=ENVIRONMENT,
        timeout=60,
        check=False,
    )
    os.close(writer)
    assert result.stderr == b""
    assert result.returncode == (1 if args == ("analyze",) else 0)


def test_interrupted_it_ends_at_once_without_a_traceback() -> None:
    process = subprocess.Popen(
        [sys.executable, "-m", "nfsrpc", "analyze", "-"],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        env=ENVIRONMENT,
    )
    assert process.stdin is not None
    process.stdin.write(bytes.fromhex("d4c3b2a1 0200 0400 00000000 00000000 00000400 01000000"))
    process.stdin.flush()
    time.sleep(1.5)  # until it waits for more
    process.send_signal(signal.SIGINT)
    out, err = process.communicate(timeout=10)
    assert process.returncode == 130
    assert out == b""
    assert b"Traceback" not in err


def test_a_broken_rule_stops_no_other(statd: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def broken() -> list[Answer]:
        raise KeyError("status")

    check = catalogue.find("LCK002")._replace(check=broken, parameters=())
    monkeypatch.setitem(catalogue.rules(), "LCK002", check)
    result = run("analyze", statd)
    assert result.stdout.startswith(" FAULT   REG001")
    assert "LCK002 failed, which is a bug of nfsrpc: KeyError: 'status'" in result.stdout


def test_times_in_a_zone_and_passed_checks(statd: Path) -> None:
    result = run("analyze", statd, "--timezone", "Europe/Berlin", "-v")
    assert "2026-11-22 06:31:39 to 06:32:41 CET (61.6 s)" in result.stdout
    assert "\nPassed    LCK001  " in result.stdout
    assert "UTC" not in result.stdout
    result = run("analyze", statd)
    checks = r"^Passed    \d+ checks, \d+ could not be judged \(--verbose lists them\)$"
    assert re.search(checks, result.stdout, re.MULTILINE)
    assert "2026-11-22 05:31:39 to 05:32:41 UTC (61.6 s)" in result.stdout


def test_a_zone_that_does_not_exist_is_one_line(statd: Path) -> None:
    result = run("analyze", statd, "--timezone", "Mars/Base")
    assert (result.exit_code, result.stdout) == (2, "")
    assert result.stderr == "nfsrpc: --timezone Mars/Base: no such time zone; names are as in Europe/Berlin\n"
